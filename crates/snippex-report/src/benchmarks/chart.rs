//! A row's history as inline SVG: values, levels between change points, the band of the baseline, this run.
//!
//! Colours come from the classes of the page's style sheet, so that the drawing follows light and dark.

use std::fmt::Write as _;

use super::Row;
use super::escape::html as escape;
use super::words::short;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 210.0;
/// Room for the labels as large as a phone shows them.
const LEFT: f64 = 120.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 22.0;
/// More points than pixels help nobody.
const MOST_POINTS: usize = 500;

/// The places of values on the drawing.
struct Axes {
    low: f64,
    high: f64,
    count: usize,
}

impl Axes {
    fn x(&self, index: usize) -> f64 {
        let steps = self.count.saturating_sub(1).max(1) as f64;
        LEFT + (WIDTH - LEFT - RIGHT) * index as f64 / steps
    }

    fn y(&self, value: f64) -> f64 {
        TOP + (HEIGHT - TOP - BOTTOM) * (self.high - value) / (self.high - self.low)
    }
}

/// The chart of a row; empty when there are fewer than two values to draw.
pub(super) fn full(row: &Row) -> String {
    let all = row.course();
    let skipped = all.len().saturating_sub(MOST_POINTS);
    let course = &all[skipped..];
    let Some(axes) = axes(course, row.band) else {
        return String::new();
    };
    let mut out = format!(
        "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"History of {}\">",
        escape(&row.name)
    );
    if let Some((low, high)) = row.band {
        let (top, height) = (axes.y(high), (axes.y(low) - axes.y(high)).max(1.0));
        let width = WIDTH - LEFT - RIGHT;
        let _ = write!(
            out,
            "<rect class=\"band\" x=\"{LEFT}\" y=\"{top:.1}\" width=\"{width}\" height=\"{height:.1}\"><title>baseline: {} to {}</title></rect>",
            escape(&row.unit.human(low)),
            escape(&row.unit.human(high))
        );
    }
    grid(&mut out, &axes, row);
    if row.shows_history() {
        levels(&mut out, &axes, row, skipped);
    }
    points(&mut out, &axes, row, course, skipped);
    out.push_str("</svg>");
    out
}

/// A small line without axes; empty when there are fewer than two values.
pub(super) fn spark(row: &Row) -> String {
    let all = row.course();
    let course = &all[all.len().saturating_sub(60)..];
    let Some(axes) = axes(course, None) else {
        return String::new();
    };
    let steps = course.len().saturating_sub(1).max(1) as f64;
    let place = |(index, value): (usize, &f64)| {
        let share = (axes.high - value) / (axes.high - axes.low);
        format!(
            "{:.1},{:.1}",
            2.0 + 116.0 * index as f64 / steps,
            2.0 + 24.0 * share
        )
    };
    let line: Vec<String> = course
        .iter()
        .enumerate()
        .filter(|(_, value)| value.is_finite())
        .map(place)
        .collect();
    format!(
        "<svg class=\"spark\" viewBox=\"0 0 120 28\" aria-hidden=\"true\"><polyline points=\"{}\"/></svg>",
        line.join(" ")
    )
}

/// Axes that hold all values and the band; `None` with fewer than two values.
fn axes(course: &[f64], band: Option<(f64, f64)>) -> Option<Axes> {
    let finite = || course.iter().copied().filter(|value| value.is_finite());
    if finite().count() < 2 {
        return None;
    }
    let ends = band
        .into_iter()
        .flat_map(|(low, high)| [low, high])
        .filter(|value| value.is_finite());
    let (low, high) = finite()
        .chain(ends)
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
    // A margin, and a least height so that noise below a percent stays a flat line.
    let reach = (high - low).max(high.abs() * 0.02).max(f64::MIN_POSITIVE);
    let middle = (high + low) / 2.0;
    let axes = Axes {
        low: middle - 0.6 * reach,
        high: middle + 0.6 * reach,
        count: course.len(),
    };
    (axes.low.is_finite() && axes.high.is_finite() && axes.high > axes.low).then_some(axes)
}

fn grid(out: &mut String, axes: &Axes, row: &Row) {
    for share in [0.1, 0.5, 0.9] {
        let value = axes.low + share * (axes.high - axes.low);
        let y = axes.y(value);
        let (end, text) = (WIDTH - RIGHT, LEFT - 6.0);
        let _ = write!(
            out,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{end}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><text x=\"{text}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            y + 4.0,
            escape(&row.unit.human(value))
        );
    }
}

fn levels(out: &mut String, axes: &Axes, row: &Row, skipped: usize) {
    for shift in row.shifts.iter().filter(|shift| shift.index >= skipped) {
        let at = shift.index - skipped;
        let x = (axes.x(at.saturating_sub(1)) + axes.x(at)) / 2.0;
        let (bottom, label) = (HEIGHT - BOTTOM, HEIGHT - 6.0);
        let commit = row.commits.get(shift.index).map_or("", |commit| short(commit));
        let change = 100.0 * (row.direction.cost_ratio(shift.before, shift.after) - 1.0);
        let class = if change > 0.0 { "worse" } else { "better" };
        let _ = write!(
            out,
            "<line class=\"shift {class}\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{bottom}\"/><text class=\"{class}\" x=\"{x:.1}\" y=\"{label}\" text-anchor=\"middle\">{} {}</text>",
            super::words::percent(change),
            escape(commit)
        );
    }
    let mut starts: Vec<usize> = row
        .shifts
        .iter()
        .map(|shift| shift.index.saturating_sub(skipped))
        .collect();
    starts.push(axes.count);
    let mut from = 0;
    for (index, to) in starts.into_iter().enumerate() {
        let before = row.shifts.get(index).map(|shift| shift.before);
        let after = index
            .checked_sub(1)
            .and_then(|last| row.shifts.get(last))
            .map(|shift| shift.after);
        if let Some(level) = before.or(after).filter(|_| to > from) {
            let (left, right, y) = (axes.x(from), axes.x(to - 1), axes.y(level));
            let _ = write!(
                out,
                "<line class=\"level\" x1=\"{left:.1}\" x2=\"{right:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>"
            );
        }
        from = from.max(to);
    }
}

fn points(out: &mut String, axes: &Axes, row: &Row, course: &[f64], skipped: usize) {
    // Without a history the drawing shows two samples, which no line should join.
    if row.shows_history() {
        let line: Vec<String> = course
            .iter()
            .enumerate()
            .filter(|(_, value)| value.is_finite())
            .map(|(index, value)| format!("{:.1},{:.1}", axes.x(index), axes.y(*value)))
            .collect();
        let _ = write!(out, "<polyline class=\"line\" points=\"{}\"/>", line.join(" "));
    }
    let earlier = if row.shows_history() {
        row.history.len()
    } else {
        row.before_values.len()
    };
    for (index, value) in course.iter().enumerate().filter(|(_, value)| value.is_finite()) {
        let is_new = index + skipped >= earlier;
        let (class, radius) = if is_new { ("now", 3.5) } else { ("past", 2.0) };
        let commit = row.commits.get(index + skipped).filter(|_| row.shows_history());
        let commit = commit.map_or("", |commit| short(commit));
        let title = format!(
            "{} {}",
            row.unit.human(*value),
            if is_new { "this run" } else { commit }
        );
        let _ = write!(
            out,
            "<circle class=\"{class}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"{radius}\"><title>{}</title></circle>",
            axes.x(index),
            axes.y(*value),
            escape(title.trim())
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::words::tests::example;
    use super::*;

    #[test]
    fn odd_values_do_not_break_the_drawing() {
        let mut row = example().rows.remove(0);
        row.history = vec![f64::NAN, f64::MAX, -f64::MAX, 0.0];
        row.band = Some((f64::NAN, 1.0));
        row.shifts[0].index = 9000;
        for drawing in [full(&row), spark(&row)] {
            assert!(!drawing.contains("NaN") && !drawing.contains("inf"), "{drawing}");
        }
        row.history = vec![0.0; 5];
        row.after = Some(0.0);
        row.band = None;
        assert!(full(&row).contains("polyline"));
        row.history.clear();
        row.before_values.clear();
        row.after_values.clear();
        assert_eq!(full(&row), "");
    }

    #[test]
    fn long_histories_are_cut_at_their_start() {
        let mut row = example().rows.remove(0);
        row.history = (0..5000).map(|i| 1e6 + f64::from(i)).collect();
        row.commits.clear();
        assert_eq!(full(&row).matches("<circle").count(), MOST_POINTS);
    }
}
