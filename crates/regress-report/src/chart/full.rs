//! A series with axes: values, levels between change points, the band of the baseline.

use std::fmt::Write as _;

use super::axes::Axes;
use super::{Band, Chart, Point, PointKind, Size};
use crate::benchmarks::words::format_percent;
use report_kit::escape::escape_html as escape;

/// Labels of marks that are closer than this would cover each other.
const LABEL: f64 = 58.0;

/// The chart; empty when there are fewer than two values to draw.
pub(crate) fn render_full_chart(chart: &Chart, size: Size) -> String {
    let skipped = chart.points.len().saturating_sub(size.most);
    let Some(axes) = Axes::new(chart, skipped, size) else {
        return String::new();
    };
    // A picture has nothing in it that can be followed; what has links is a group.
    let has_links = size.detailed && chart.points.iter().any(|point| point.href.is_some());
    let role = if has_links { "group" } else { "img" };
    let mut out = format!(
        "<svg class=\"{}\" viewBox=\"0 0 {} {}\" role=\"{role}\" aria-label=\"History of {}\">",
        size.class,
        size.width,
        size.height,
        escape(&chart.name)
    );
    if let Some(band) = chart
        .band
        .filter(|band| band.low.is_finite() && band.high.is_finite())
    {
        draw_band(&mut out, &axes, chart, band, skipped, size);
    }
    grid(&mut out, &axes, chart, size);
    days(&mut out, &axes, &chart.points[skipped..], size);
    if chart.joined {
        levels(&mut out, &axes, chart, skipped);
        marks(&mut out, &axes, chart, skipped, size);
    }
    points(&mut out, &axes, chart, &chart.points[skipped..], size);
    out.push_str("</svg>");
    out
}

fn draw_band(out: &mut String, axes: &Axes, chart: &Chart, band: Band, skipped: usize, size: Size) {
    let (top, bottom) = (axes.y(band.high), axes.y(band.low));
    let left = axes
        .x(band.from.saturating_sub(skipped))
        .min(size.width - size.right - 1.0);
    let _ = write!(
        out,
        "<rect class=\"band\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\"><title>baseline: {} to {}</title></rect>",
        size.width - size.right - left,
        (bottom - top).max(1.0),
        escape(&chart.unit.format_value(band.low)),
        escape(&chart.unit.format_value(band.high))
    );
}

fn grid(out: &mut String, axes: &Axes, chart: &Chart, size: Size) {
    let (left, end, text) = (size.left, size.width - size.right, size.left - 8.0);
    for value in axes.ticks() {
        let y = axes.y(value);
        let _ = write!(
            out,
            "<line class=\"grid\" x1=\"{left}\" x2=\"{end}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><text x=\"{text}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            y + 4.0,
            escape(&short_value(&chart.unit.format_value(value)))
        );
    }
}

/// `1.400 ms` is `1.4 ms` on an axis of round values.
fn short_value(text: &str) -> String {
    match text.split_once(' ') {
        Some((number, unit)) if number.contains('.') && !number.contains('e') => {
            format!("{} {unit}", number.trim_end_matches('0').trim_end_matches('.'))
        }
        _ => text.to_owned(),
    }
}

/// The days of some points below the drawing.
fn days(out: &mut String, axes: &Axes, shown: &[Point], size: Size) {
    let places = if size.detailed { 5 } else { 3 };
    let mut last = "";
    for place in 0..places {
        let index = (shown.len() - 1) * place / (places - 1);
        let day = shown[index].day.as_str();
        if day.is_empty() || day == last {
            continue;
        }
        last = day;
        let anchor = match place {
            0 => "start",
            place if place == places - 1 => "end",
            _ => "middle",
        };
        let (x, y) = (axes.x(index), size.height - 8.0);
        let _ = write!(
            out,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>",
            escape(day)
        );
    }
}

fn levels(out: &mut String, axes: &Axes, chart: &Chart, skipped: usize) {
    let end = chart.points.len();
    let mut ends: Vec<usize> = chart.marks.iter().map(|mark| mark.index.min(end)).collect();
    ends.push(end);
    let mut from = 0;
    for (index, to) in ends.into_iter().enumerate() {
        let own = chart.marks.get(index).map(|mark| mark.before);
        let of_last = index.checked_sub(1).and_then(|last| chart.marks.get(last));
        let level = own.or(of_last.map(|mark| mark.after));
        if let Some(level) = level.filter(|level| level.is_finite() && to > from.max(skipped)) {
            let (left, right) = (axes.x(from.saturating_sub(skipped)), axes.x(to - 1 - skipped));
            let y = axes.y(level);
            let _ = write!(
                out,
                "<line class=\"level\" x1=\"{left:.1}\" x2=\"{right:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>"
            );
        }
        from = from.max(to);
    }
}

fn marks(out: &mut String, axes: &Axes, chart: &Chart, skipped: usize, size: Size) {
    let mut free_from = 0.0;
    let shown = chart
        .marks
        .iter()
        .filter(|mark| (skipped..chart.points.len()).contains(&mark.index));
    for mark in shown {
        let at = mark.index - skipped;
        let x = f64::midpoint(axes.x(at.saturating_sub(1)), axes.x(at));
        let change = 100.0 * (chart.direction.cost_ratio(mark.before, mark.after) - 1.0);
        let class = match (mark.machine, change > 0.0) {
            (true, _) => "machine",
            (false, true) => "worse",
            (false, false) => "better",
        };
        let (bottom, top) = (size.height - size.bottom, size.top - 4.0);
        let _ = write!(
            out,
            "<line class=\"shift {class}\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top}\" y2=\"{bottom}\"/>"
        );
        if x - LABEL / 2.0 >= free_from {
            let place = x.clamp(size.left + LABEL / 3.0, size.width - size.right - LABEL / 2.0);
            let _ = write!(
                out,
                "<text class=\"{class}\" x=\"{place:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}<title>{}</title></text>",
                top - 6.0,
                format_percent(change),
                escape(mark.commit.as_str())
            );
            free_from = place + LABEL / 2.0;
        }
    }
}

fn points(out: &mut String, axes: &Axes, chart: &Chart, shown: &[Point], size: Size) {
    let finite = || {
        shown
            .iter()
            .enumerate()
            .filter(|(_, point)| point.value.is_finite())
    };
    if chart.joined {
        let line: Vec<String> = finite()
            .map(|(index, point)| format!("{:.1},{:.1}", axes.x(index), axes.y(point.value)))
            .collect();
        let _ = write!(out, "<polyline class=\"line\" points=\"{}\"/>", line.join(" "));
    }
    // Without room to point at single values, only those that stand out are drawn.
    let drawn = finite().filter(|(_, point)| size.detailed || point.kind != PointKind::Past);
    for (index, point) in drawn {
        if let Some(href) = point.href.as_deref().filter(|_| size.detailed) {
            // Not one tab stop a point: the table below the drawing has the same runs.
            let _ = write!(out, "<a href=\"{}\" tabindex=\"-1\">", escape(href));
            one_point(out, axes, chart, index, point);
            out.push_str("</a>");
        } else {
            one_point(out, axes, chart, index, point);
        }
    }
}

fn one_point(out: &mut String, axes: &Axes, chart: &Chart, index: usize, point: &Point) {
    let (class, radius) = match point.kind {
        PointKind::Past => ("past", 2.0),
        PointKind::Now => ("now", 3.5),
        PointKind::Rejected => ("rejected", 3.0),
    };
    let (x, y) = (axes.x(index), axes.y(point.value));
    let title = format!("{} {}", chart.unit.format_value(point.value), point.label);
    let title = escape(title.trim());
    if axes.is_beyond(point.value) {
        let tip = if point.value > axes.high { y - 7.0 } else { y + 7.0 };
        let _ = write!(
            out,
            "<path class=\"beyond {class}\" d=\"M{:.1} {y:.1}L{x:.1} {tip:.1}L{:.1} {y:.1}Z\"><title>{title}, beyond the edge</title></path>",
            x - 4.0,
            x + 4.0
        );
    } else {
        let _ = write!(
            out,
            "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\"><title>{title}</title></circle>"
        );
    }
}
