//! A series as a small line without axes.

use super::{Chart, PointKind};

/// Points that fit into the width.
const MAX_POINTS: usize = 60;
const WIDTH: f64 = 120.0;
const HEIGHT: f64 = 28.0;
const MARGIN: f64 = 2.5;

/// A small line, the newest value as a dot; empty when there are fewer than two values.
pub(crate) fn render_sparkline(chart: &Chart) -> String {
    let shown = &chart.points[chart.points.len().saturating_sub(MAX_POINTS)..];
    let finite = || {
        shown
            .iter()
            .map(|point| point.value)
            .filter(|value| value.is_finite())
    };
    if finite().count() < 2 {
        return String::new();
    }
    let low = finite().fold(f64::INFINITY, f64::min);
    let high = finite().fold(f64::NEG_INFINITY, f64::max);
    let reach = (high - low).max(high.abs() * 0.02).max(f64::MIN_POSITIVE);
    let (middle, steps) = (f64::midpoint(low, high), (shown.len() - 1) as f64);
    if !reach.is_finite() {
        return String::new();
    }
    let places: Vec<(f64, f64)> = shown
        .iter()
        .enumerate()
        .filter(|(_, point)| point.value.is_finite())
        .map(|(index, point)| {
            let x = MARGIN + (WIDTH - 2.0 * MARGIN) * index as f64 / steps;
            let y = HEIGHT / 2.0 - (HEIGHT - 2.0 * MARGIN) * (point.value - middle) / reach;
            (x, y)
        })
        .collect();
    let line: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let (x, y) = places.last().copied().unwrap_or_default();
    let rejected = shown
        .last()
        .is_some_and(|point| point.kind == PointKind::Rejected);
    let class = if rejected { " class=\"worse\"" } else { "" };
    format!(
        "<svg class=\"spark\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" aria-hidden=\"true\"><polyline points=\"{}\"/><circle{class} cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2\"/></svg>",
        line.join(" ")
    )
}
