//! The charts of a report, drawn.

use serde::Serialize;

use super::chart::{Bar, Point, bar_chart, line_chart};
use super::model::{NamedCount, ReportModel};
use crate::format_number;

/// Bars of a chart; what follows is in the table beside it or in the findings.
const MAX_BARS: usize = 12;
/// Checks in a chart: the newest.
const MAX_CHECKS: usize = 60;

/// Drawings as SVG; empty where there is nothing to draw.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ReportCharts {
    /// Share of each engine's blocks that pass.
    pub success: String,
    /// Diverging runs by kind of divergence.
    pub kinds: String,
    /// Diverging runs by instruction-set extension.
    pub extensions: String,
    /// How long each of the newest checks took.
    pub time: String,
    /// Share of the blocks that pass, check by check.
    pub trend: String,
}

impl ReportCharts {
    /// The charts of `report`.
    #[must_use]
    pub fn from_report(report: &ReportModel) -> Self {
        Self {
            success: success(report),
            kinds: counts("Diverging runs by kind of divergence", &report.kinds),
            extensions: counts("Diverging runs by instruction-set extension", &report.extensions),
            time: time(report),
            trend: trend(report),
        }
    }
}

fn success(report: &ReportModel) -> String {
    let bars: Vec<Bar> = report
        .engines
        .iter()
        .take(MAX_BARS)
        .map(|engine| Bar {
            label: engine_label(&engine.name, &engine.version),
            share: engine.success,
            figure: crate::format_percent(
                engine.blocks - engine.diverging_blocks.min(engine.blocks),
                engine.blocks,
            ),
            class: "good",
        })
        .collect();
    drawn("Share of blocks without a divergence, by engine", &bars)
}

/// Name and version; versions often begin with the name.
pub(super) fn engine_label(name: &str, version: &str) -> String {
    let version = version.strip_prefix(name).unwrap_or(version).trim_start();
    let version = version.strip_prefix("version ").unwrap_or(version);
    format!("{name} {version}")
}

fn counts(name: &str, counts: &[NamedCount]) -> String {
    let most = counts.iter().map(|count| count.runs).max().unwrap_or(0).max(1);
    let bars: Vec<Bar> = counts
        .iter()
        .take(MAX_BARS)
        .map(|count| Bar {
            label: count.name.clone(),
            share: count.runs as f64 / most as f64,
            figure: format_number(count.runs),
            class: "bad",
        })
        .collect();
    drawn(name, &bars)
}

fn drawn(name: &str, bars: &[Bar]) -> String {
    if bars.is_empty() {
        return String::new();
    }
    bar_chart(name, bars)
}

fn time(report: &ReportModel) -> String {
    let newest = &report.checks[report.checks.len().saturating_sub(MAX_BARS)..];
    let most = newest.iter().map(|check| check.seconds).fold(0.0, f64::max);
    let bars: Vec<Bar> = newest
        .iter()
        .map(|check| Bar {
            label: format!("run {}: {}", check.run, check.engine),
            share: if most > 0.0 { check.seconds / most } else { 0.0 },
            figure: format!("{:.1} s", check.seconds),
            class: "plain",
        })
        .collect();
    drawn("How long checks took", &bars)
}

/// From the lowest share to the highest, so that small changes are seen; the words at the sides say which they are.
fn trend(report: &ReportModel) -> String {
    let newest = &report.checks[report.checks.len().saturating_sub(MAX_CHECKS)..];
    let with_blocks = || newest.iter().filter(|check| check.blocks > 0);
    let lowest = with_blocks().map(|check| check.success).fold(1.0, f64::min);
    let highest = with_blocks().map(|check| check.success).fold(0.0, f64::max);
    let points: Vec<Point> = with_blocks()
        .map(|check| Point {
            height: if highest > lowest {
                (check.success - lowest) / (highest - lowest)
            } else {
                0.5
            },
            name: format!(
                "{} run {}, {}: {:.2} %",
                check.started.split('T').next().unwrap_or_default(),
                check.run,
                check.engine,
                check.success * 100.0
            ),
        })
        .collect();
    if points.is_empty() {
        return String::new();
    }
    let words = |share: f64| format!("{:.2} %", share * 100.0);
    let name = "Share of blocks without a divergence, check by check";
    line_chart(name, &points, &words(lowest), &words(highest))
}
