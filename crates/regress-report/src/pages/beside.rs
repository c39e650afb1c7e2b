//! Several benchmarks in one drawing: each in percent of its first shown value, so that units and sizes do not matter.

use std::fmt::Write as _;

use super::frame::{Link, render_link};
use crate::benchmarks::words::format_percent;
use report_kit::escape::escape_html as escape;

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 16.0;

/// The view.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BesidePart {
    /// The benchmarks; the page's own is the first.
    pub lines: Vec<BesideLine>,
    /// Where a choice goes.
    pub action: String,
    /// What the choice keeps: names and values of hidden fields.
    pub kept: Vec<(String, String)>,
    /// Benchmarks that can be added: number and name.
    pub others: Vec<(i64, String)>,
}

/// One benchmark of the drawing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BesideLine {
    /// Its name and its page.
    pub name: Link,
    /// The page without it; empty for the page's own benchmark.
    pub without: String,
    /// Its values in the runs of the page's own; `None` where it was not measured.
    pub values: Vec<Option<f64>>,
}

impl BesideLine {
    /// The values in percent of the first one.
    fn percents(&self) -> Vec<Option<f64>> {
        let usable = |value: &f64| value.is_finite() && *value > 0.0;
        let first = self.values.iter().flatten().copied().find(usable);
        let percent = |value: &Option<f64>| {
            let (value, first) = (value.filter(usable)?, first?);
            Some(100.0 * (value / first - 1.0))
        };
        self.values.iter().map(percent).collect()
    }
}

/// The drawing, where there is more than one benchmark, and the choice of another.
pub(super) fn render_beside_part(out: &mut String, part: &BesidePart) {
    if part.lines.len() > 1 {
        out.push_str("<h2>Beside others</h2>\n");
        drawing(out, part);
        legend(out, part);
    }
    if part.others.is_empty() {
        return;
    }
    let _ = write!(
        out,
        "<form class=\"range\" action=\"{}\" method=\"get\">",
        escape(&part.action)
    );
    for (name, value) in &part.kept {
        let _ = write!(
            out,
            "<input type=\"hidden\" name=\"{}\" value=\"{}\">",
            escape(name),
            escape(value)
        );
    }
    out.push_str("<label>beside <select name=\"add\">");
    for (number, name) in &part.others {
        let _ = write!(out, "<option value=\"{number}\">{}</option>", escape(name));
    }
    out.push_str("</select></label><button>Draw both</button></form>\n");
}

fn drawing(out: &mut String, part: &BesidePart) {
    let lines: Vec<Vec<Option<f64>>> = part.lines.iter().map(BesideLine::percents).collect();
    let all = || lines.iter().flatten().flatten().copied();
    let low = all().fold(0.0, f64::min);
    let high = all().fold(0.0, f64::max);
    let room = ((high - low) * 0.05).max(0.5);
    let (low, high) = (low - room, high + room);
    let count = part.lines.iter().map(|line| line.values.len()).max().unwrap_or(0);
    let x = |index: usize| {
        let share = index as f64 / count.saturating_sub(1).max(1) as f64;
        LEFT + share * (WIDTH - LEFT - RIGHT)
    };
    let y = |percent: f64| TOP + (high - percent) / (high - low) * (HEIGHT - TOP - BOTTOM);
    let _ = write!(
        out,
        "<svg class=\"chart beside\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{} benchmarks in percent of their first values\">",
        part.lines.len()
    );
    for step in 0..=4 {
        let percent = low + (high - low) * f64::from(step) / 4.0;
        let at = y(percent);
        let _ = write!(
            out,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 8.0,
            at + 4.0,
            format_percent(percent)
        );
    }
    for (index, percents) in lines.iter().enumerate() {
        let points: Vec<String> = percents
            .iter()
            .enumerate()
            .filter_map(|(at, percent)| Some(format!("{:.1},{:.1}", x(at), y((*percent)?))))
            .collect();
        let _ = write!(
            out,
            "<polyline class=\"beside-{index}\" points=\"{}\"><title>{}</title></polyline>",
            points.join(" "),
            escape(&part.lines[index].name.text)
        );
    }
    out.push_str("</svg>\n");
}

fn legend(out: &mut String, part: &BesidePart) {
    out.push_str("<ul class=\"plain\">");
    for (index, line) in part.lines.iter().enumerate() {
        let newest = line.percents().into_iter().flatten().next_back();
        let newest = newest.map_or_else(|| "–".to_owned(), format_percent);
        let _ = write!(
            out,
            "<li><svg class=\"beside key\" viewBox=\"0 0 28 8\" aria-hidden=\"true\"><polyline class=\"beside-{index}\" points=\"0,4 28,4\"/></svg> "
        );
        render_link(out, &line.name);
        let _ = write!(out, " <span class=\"faint\">{newest}</span> ");
        if !line.without.is_empty() {
            render_link(out, &Link::new("leave out", line.without.clone()));
        }
        out.push_str("</li>");
    }
    out.push_str("</ul>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str, values: &[f64]) -> BesideLine {
        BesideLine {
            name: Link::new(name, "/series/1"),
            values: values.iter().map(|value| Some(*value)).collect(),
            ..BesideLine::default()
        }
    }

    #[test]
    fn units_and_sizes_do_not_matter() {
        let part = BesidePart {
            lines: vec![line("a<b", &[1.0, 2.0]), line("c", &[1e9, 2e9])],
            ..BesidePart::default()
        };
        let mut out = String::new();
        render_beside_part(&mut out, &part);
        let drawn = |index: usize| {
            let from = out.split(&format!("beside-{index}\" points=\"")).nth(1).unwrap();
            from.split('"').next().unwrap().to_owned()
        };
        assert_eq!(drawn(0), drawn(1));
        assert!(
            out.contains(&format_percent(100.0)) && out.contains("a&lt;b") && !out.contains("a<b"),
            "{out}"
        );
    }

    #[test]
    fn what_was_not_measured_is_left_out() {
        let mut holes = line("a", &[4.0, 0.0, 5.0]);
        holes.values[0] = None;
        assert_eq!(holes.percents(), [None, None, Some(0.0)]);
        let mut out = String::new();
        let lines = vec![holes, BesideLine::default()];
        render_beside_part(
            &mut out,
            &BesidePart {
                lines,
                ..BesidePart::default()
            },
        );
        assert!(out.contains("<polyline") && !out.contains("NaN"), "{out}");
    }
}
