//! For GitHub Actions: workflow commands that become annotations. The job summary is [`super::markdown`].

use std::fmt::Write as _;

use regress_core::detect::VerdictKind;

use super::escape::workflow_command as escape;
use super::words::outcome_heading;
use super::{Report, Row};

/// GitHub shows ten annotations of a level and step; the last of ours says how many more there are.
const MAX_ANNOTATIONS: usize = 10;

/// The report as workflow commands, one a line: an error a regression, a warning what could not be judged, and a
/// notice with the outcome.
#[must_use]
pub fn render_workflow_commands(report: &Report) -> String {
    let mut out = String::new();
    annotate(&mut out, report, "error", |row| {
        row.verdict == VerdictKind::Regression
    });
    annotate(&mut out, report, "warning", |row| {
        matches!(
            row.verdict,
            VerdictKind::Suspected | VerdictKind::EnvironmentChanged | VerdictKind::NotEnoughData
        )
    });
    let text = escape(&format!("{} ({})", report.summary, report.counts_text()), false);
    let _ = writeln!(
        out,
        "::notice title=Benchmarks%3A {}::{text}",
        outcome_heading(report.outcome)
    );
    out
}

fn annotate(out: &mut String, report: &Report, level: &str, wanted: impl Fn(&Row) -> bool) {
    let rows: Vec<&Row> = report.rows.iter().filter(|row| wanted(row)).collect();
    let shown = if rows.len() > MAX_ANNOTATIONS {
        MAX_ANNOTATIONS - 1
    } else {
        rows.len()
    };
    for row in &rows[..shown] {
        let title = escape(&format!("{} {}", row.name, row.change_text()), true);
        let text = format!("{} → {}: {}", row.before_text(), row.after_text(), row.reason);
        let _ = writeln!(out, "::{level} title={title}::{}", escape(&text, false));
    }
    if rows.len() > shown {
        let _ = writeln!(
            out,
            "::{level} title=Benchmarks::{} more, see the job summary",
            rows.len() - shown
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::words::tests::example_report;
    use super::*;

    #[test]
    fn annotations() {
        insta::assert_snapshot!(render_workflow_commands(&example_report()));
    }

    #[test]
    fn many_are_counted() {
        let mut report = example_report();
        report.rows = vec![report.rows[0].clone(); 400];
        let text = render_workflow_commands(&report);
        assert_eq!(
            text.lines().filter(|line| line.starts_with("::error")).count(),
            10
        );
        assert!(text.contains("391 more"));
    }
}
