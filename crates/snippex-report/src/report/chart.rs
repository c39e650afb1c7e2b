//! Charts as SVG that stands in a page: sizes in user units, colours by class, so that a page's style sheet decides.

use std::fmt::Write as _;

use report_kit::escape::escape_html;

/// Width of a drawing, in user units.
const WIDTH: f64 = 460.0;
/// Height of a row of a bar chart.
const ROW: f64 = 24.0;
/// Where bars begin.
const LABELS: f64 = 176.0;
/// Room for the figure behind the longest bar.
const FIGURES: f64 = 76.0;
/// Letters of a label; the rest is in its tooltip.
const MAX_LABEL: usize = 20;
/// Height of a line chart, and of the room below it.
const HEIGHT: f64 = 170.0;
const MARGIN: f64 = 26.0;

/// A bar: its label, its length from 0 to 1, and the figure behind it.
#[derive(Clone, Debug)]
pub(super) struct Bar {
    pub(super) label: String,
    pub(super) share: f64,
    pub(super) figure: String,
    /// Class of the bar: `good` or `bad`.
    pub(super) class: &'static str,
}

/// Bars below each other, named for those who do not see them.
pub(super) fn bar_chart(name: &str, bars: &[Bar]) -> String {
    let height = ROW * bars.len() as f64 + 4.0;
    let mut svg = open(name, height);
    for (index, bar) in bars.iter().enumerate() {
        let top = ROW * index as f64 + 4.0;
        let length = (WIDTH - LABELS - FIGURES) * bar.share.clamp(0.0, 1.0);
        // What is there is seen.
        let length = if bar.share > 0.0 { length.max(2.0) } else { 0.0 };
        let base = top + 13.0;
        let _ = write!(
            svg,
            "<g><title>{title}</title><text class=\"label\" x=\"{x:.1}\" y=\"{base:.1}\" text-anchor=\"end\">{label}</text>\
             <rect class=\"{class}\" x=\"{LABELS}\" y=\"{top:.1}\" width=\"{length:.1}\" height=\"16\" rx=\"2\"/>\
             <text class=\"figure\" x=\"{end:.1}\" y=\"{base:.1}\">{figure}</text></g>",
            title = escape_html(&format!("{}: {}", bar.label, bar.figure)),
            x = LABELS - 8.0,
            label = escape_html(&shortened(&bar.label)),
            class = bar.class,
            end = LABELS + length + 6.0,
            figure = escape_html(&bar.figure),
        );
    }
    svg + "</svg>"
}

/// A point of a line: where it stands from 0 (below) to 1, and what it is.
#[derive(Clone, Debug)]
pub(super) struct Point {
    pub(super) height: f64,
    pub(super) name: String,
}

/// Points in their order, joined, between the words for the lowest and the highest.
pub(super) fn line_chart(name: &str, points: &[Point], lowest: &str, highest: &str) -> String {
    let left = 70.0;
    let step = (WIDTH - left - 20.0) / (points.len().max(2) - 1) as f64;
    let place = |index: usize, point: &Point| {
        // What is no number stands at the bottom.
        let height = if point.height.is_nan() {
            0.0
        } else {
            point.height.clamp(0.0, 1.0)
        };
        let y = 12.0 + (HEIGHT - 24.0) * (1.0 - height);
        (left + step * index as f64, y)
    };
    let mut svg = open(name, HEIGHT + MARGIN);
    for (text, y) in [(highest, 12.0), (lowest, HEIGHT - 12.0)] {
        let _ = write!(
            svg,
            "<line class=\"axis\" x1=\"{left}\" x2=\"{WIDTH}\" y1=\"{y}\" y2=\"{y}\"/>\
             <text class=\"label\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
            left - 8.0,
            y + 4.0,
            escape_html(text)
        );
    }
    let places: Vec<(f64, f64)> = points
        .iter()
        .enumerate()
        .map(|(index, point)| place(index, point))
        .collect();
    let path: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let _ = write!(svg, "<polyline class=\"line\" points=\"{}\"/>", path.join(" "));
    for (point, (x, y)) in points.iter().zip(&places) {
        let _ = write!(
            svg,
            "<circle class=\"dot\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\"><title>{}</title></circle>",
            escape_html(&point.name)
        );
    }
    for (point, x, anchor) in [
        (points.first(), left, "start"),
        (points.last().filter(|_| points.len() > 1), WIDTH, "end"),
    ] {
        if let Some(point) = point {
            let day = point.name.split(' ').next().unwrap_or_default();
            let _ = write!(
                svg,
                "<text class=\"label\" x=\"{x}\" y=\"{}\" text-anchor=\"{anchor}\">{}</text>",
                HEIGHT + 12.0,
                escape_html(day)
            );
        }
    }
    svg + "</svg>"
}

fn open(name: &str, height: f64) -> String {
    format!(
        "<svg class=\"chart\" role=\"img\" aria-label=\"{}\" viewBox=\"0 0 {WIDTH} {height:.0}\" preserveAspectRatio=\"xMinYMin meet\">",
        escape_html(name)
    )
}

fn shortened(label: &str) -> String {
    if label.chars().count() <= MAX_LABEL {
        return label.to_owned();
    }
    let kept: String = label.chars().take(MAX_LABEL - 1).collect();
    kept + "\u{2026}"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_chart_escapes_what_it_is_given_and_draws_what_is_there() {
        let bar = Bar {
            label: "<b>&\"x".to_owned(),
            share: 0.000_001,
            figure: "1 of 1,000,000".to_owned(),
            class: "bad",
        };
        let svg = bar_chart("n", &[bar]);
        assert!(!svg.contains("<b>"), "{svg}");
        assert!(
            svg.contains("&lt;b&gt;&amp;&quot;x") && svg.contains("width=\"2.0\""),
            "{svg}"
        );
    }

    #[test]
    fn a_line_chart_has_a_point_for_each_value_and_stays_in_its_box() {
        let points: Vec<Point> = [0.0, 7.0, f64::NAN]
            .iter()
            .map(|height| Point {
                height: *height,
                name: "2026-01-01 x".to_owned(),
            })
            .collect();
        let svg = line_chart("n", &points, "0", "1");
        assert_eq!(svg.matches("<circle").count(), 3);
        assert_eq!(line_chart("n", &[], "0", "1").matches("<circle").count(), 0);
        assert!(!svg.contains("-1"), "{svg}");
    }
}
