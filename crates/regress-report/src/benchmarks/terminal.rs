//! For terminals: a table sorted by severity, and a history as a chart.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use regress_core::detect::VerdictKind;

use super::words::{format_percent, is_loud, outcome_heading, severity_rank, short_commit};
use super::{Outcome, Report, Row};

const BOLD: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// How much of a report to show.
#[derive(Debug, Clone, Copy, Default)]
pub struct TerminalOptions {
    /// Columns of the terminal; `None` if there is none.
    pub width: Option<u16>,
    /// Also the rows that did not change.
    pub all: bool,
}

/// More rows than this that did not change are counted instead of shown.
const MAX_UNCHANGED: usize = 30;
/// Rows of the others that are shown; a screen holds fewer.
const MAX_ROWS: usize = 200;
/// Rows whose reason is told below the table.
const MAX_REASONS: usize = 20;

/// The report as text with colours, ending in a line feed.
#[must_use]
pub fn render_terminal(report: &Report, options: TerminalOptions) -> String {
    let style = outcome_style(report.outcome);
    let mut out = String::new();
    let (loud, quiet): (Vec<&Row>, Vec<&Row>) = report.rows.iter().partition(|row| is_loud(row));
    let quiet_shown = if options.all || quiet.len() <= MAX_UNCHANGED {
        quiet.len()
    } else {
        0
    };
    let loud_shown = if options.all {
        loud.len()
    } else {
        loud.len().min(MAX_ROWS)
    };
    let shown: Vec<&Row> = loud[..loud_shown]
        .iter()
        .chain(&quiet[..quiet_shown])
        .copied()
        .collect();
    if !shown.is_empty() {
        let _ = writeln!(out, "{}\n", table(&shown, options.width));
    }
    for (hidden, what) in [
        (loud.len() - loud_shown, "more rows are"),
        (quiet.len() - quiet_shown, "that did not change are"),
    ] {
        if hidden > 0 {
            let _ = writeln!(
                out,
                "{FAINT}{hidden} {what} not shown; --all shows them{FAINT:#}\n"
            );
        }
    }
    let asking: Vec<&Row> = shown
        .into_iter()
        .filter(|row| severity_rank(row.verdict) < 4)
        .collect();
    for row in asking.iter().take(MAX_REASONS) {
        let _ = writeln!(out, "{BOLD}{}{BOLD:#}: {}", row.name, row.reason);
    }
    if asking.len() > MAX_REASONS {
        let _ = writeln!(
            out,
            "{FAINT}reasons of {} more: see --format html{FAINT:#}",
            asking.len() - MAX_REASONS
        );
    }
    for note in &report.notes {
        let _ = writeln!(out, "{FAINT}note: {note}{FAINT:#}");
    }
    let _ = writeln!(out, "{FAINT}{}{FAINT:#}", report.sides_text());
    let _ = writeln!(
        out,
        "{style}{}{style:#}: {} ({})",
        outcome_heading(report.outcome),
        report.summary,
        report.counts_text()
    );
    out
}

fn table(rows: &[&Row], width: Option<u16>) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    if let Some(width) = width {
        table
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(width);
    }
    let names = [
        "benchmark",
        "trend",
        "before",
        "now",
        "change",
        "95 % interval",
        "verdict",
    ];
    table.set_header(names.map(|name| Cell::new(format!("{BOLD}{name}{BOLD:#}"))));
    for row in rows {
        let style = verdict_style(row.verdict);
        table.add_row([
            row.name.clone(),
            sparkline(&row.trend_values(), 16),
            row.before_text(),
            row.after_text(),
            format!("{style}{}{style:#}", row.change_text()),
            row.range_text(),
            format!("{style}{}{style:#}", row.verdict_text()),
        ]);
    }
    for index in 2..6 {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let text = table.to_string();
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// The last `width` values as bars from the lowest to the highest.
fn sparkline(values: &[f64], width: usize) -> String {
    let finite: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    let values = &finite[finite.len().saturating_sub(width)..];
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    // A spread below a percent is noise in any benchmark and should not look like mountains.
    let reach = (high - low).max(high.abs() * 0.01);
    let bar = |value: &f64| BARS[level((value - low) / reach, BARS.len())];
    values.iter().map(bar).collect()
}

/// The row of `count` that a share from 0 to 1 falls in.
fn level(share: f64, count: usize) -> usize {
    // The cast saturates, and makes 0 of NaN.
    ((share * count as f64) as usize).min(count - 1)
}

/// A row's history as a chart of some lines, with its change points below.
#[must_use]
pub fn render_trend(row: &Row, width: Option<u16>) -> String {
    const HEIGHT: usize = 8;
    let trend = row.trend_values();
    let columns = usize::from(width.unwrap_or(80)).saturating_sub(14).clamp(10, 120);
    let from = trend.len().saturating_sub(columns);
    let values = &trend[from..];
    let mut out = format!("{BOLD}{}{BOLD:#}\n", row.name);
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    let (low, high) = (
        finite().fold(f64::INFINITY, f64::min),
        finite().fold(f64::NEG_INFINITY, f64::max),
    );
    if !low.is_finite() || !high.is_finite() {
        out.push_str("  no values\n");
        return out;
    }
    let reach = (high - low).max(high.abs() * 0.01).max(f64::MIN_POSITIVE);
    for line in (0..HEIGHT).rev() {
        let label = match line {
            line if line == HEIGHT - 1 => row.unit.format_value(low + reach),
            0 => row.unit.format_value(low),
            _ => String::new(),
        };
        let points: String = values
            .iter()
            .map(|value| {
                let eighth = level((value - low) / reach, HEIGHT * BARS.len());
                if value.is_finite() && eighth / BARS.len() == line {
                    BARS[eighth % BARS.len()]
                } else {
                    ' '
                }
            })
            .collect();
        let _ = writeln!(out, "{label:>12} │{}", points.trim_end());
    }
    for shift in &row.shifts {
        let commit = row.commits.get(shift.index).filter(|commit| !commit.is_empty());
        let commit = commit.map_or_else(String::new, |commit| format!(" at {}", short_commit(commit)));
        let change = format_percent(100.0 * (row.direction.cost_ratio(shift.before, shift.after) - 1.0));
        let (before, after) = (
            row.unit.format_value(shift.before),
            row.unit.format_value(shift.after),
        );
        let _ = writeln!(
            out,
            "  run {}{commit}: {before} → {after} (cost {change})",
            shift.index + 1
        );
    }
    if !row.reason.is_empty() {
        let _ = writeln!(out, "  {FAINT}{}{FAINT:#}", row.reason);
    }
    out
}

fn verdict_style(verdict: VerdictKind) -> Style {
    match verdict {
        VerdictKind::Regression => AnsiColor::Red.on_default(),
        VerdictKind::Improvement => AnsiColor::Green.on_default(),
        VerdictKind::Suspected | VerdictKind::EnvironmentChanged | VerdictKind::NotEnoughData => {
            AnsiColor::Yellow.on_default()
        }
        VerdictKind::Unchanged => Style::new(),
    }
}

fn outcome_style(outcome: Outcome) -> Style {
    match outcome {
        Outcome::Regression | Outcome::Mixed => AnsiColor::Red.on_default().bold(),
        Outcome::Improvement => AnsiColor::Green.on_default().bold(),
        Outcome::Unchanged => BOLD,
        Outcome::Suspected | Outcome::NotJudged => AnsiColor::Yellow.on_default().bold(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::words::tests::example_report;
    use super::*;

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn a_report_on_a_terminal() {
        insta::assert_snapshot!(plain(&render_terminal(
            &example_report(),
            TerminalOptions::default()
        )));
    }

    #[test]
    fn a_trend_on_a_terminal() {
        insta::assert_snapshot!(plain(&render_trend(&example_report().rows[0], Some(80))));
    }

    #[test]
    fn what_no_screen_holds_is_counted() {
        let mut report = example_report();
        report.rows = vec![report.rows[0].clone(); 1000];
        report.rows.extend(vec![example_report().rows[4].clone(); 500]);
        let text = plain(&render_terminal(&report, TerminalOptions::default()));
        assert!(text.lines().count() < 240, "{}", text.lines().count());
        assert!(text.contains("800 more rows are not shown") && text.contains("500 that did not change"));
        assert!(
            plain(&render_terminal(
                &report,
                TerminalOptions {
                    all: true,
                    width: None
                }
            ))
            .lines()
            .count()
                > 1500
        );
    }

    #[test]
    fn odd_values_draw_something() {
        assert_eq!(sparkline(&[], 8), "");
        assert_eq!(sparkline(&[f64::NAN, 1.0], 8), "▁");
        assert_eq!(sparkline(&[0.0, 0.0], 8), "▁▁");
        assert_eq!(sparkline(&[1.0, 2.0], 8), "▁█");
    }
}
