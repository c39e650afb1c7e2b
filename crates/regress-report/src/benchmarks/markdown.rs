//! For pull-request comments and job summaries: GitHub's Markdown, within a limit of length.

use std::fmt::Write as _;

use super::words::{is_loud, outcome_heading};
use super::{Outcome, Report, Row};

/// Text of a stranger's as it can stand in a comment: no markup, no mention of a person, no link.
#[must_use]
pub fn escape_for_comment(text: &str) -> String {
    report_kit::escape::escape_markdown(text)
}

/// The report as Markdown of at most `limit` bytes. Rows that do not fit are counted instead.
#[must_use]
pub fn render_markdown(report: &Report, limit: usize) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "### {} Benchmarks: {}\n",
        sign(report.outcome),
        outcome_heading(report.outcome)
    );
    let _ = writeln!(
        out,
        "{}  \n{}\n",
        escape_for_comment(&report.summary),
        escape_for_comment(&report.counts_text())
    );
    let (loud, quiet): (Vec<&Row>, Vec<&Row>) = report.rows.iter().partition(|row| is_loud(row));
    let foot = foot(report, limit / 4);
    // What comes after the tables has to fit as well: the closing tag and two lines on what was left out.
    let budget = limit.saturating_sub(foot.len() + 300);
    table(&mut out, &loud, budget);
    if !quiet.is_empty() && out.len() + 200 < budget {
        let _ = writeln!(
            out,
            "<details><summary>{} that did not change</summary>\n",
            quiet.len()
        );
        table(&mut out, &quiet, budget);
        out.push_str("</details>\n\n");
    }
    out.push_str(&foot);
    cut(out, limit)
}

fn table(out: &mut String, rows: &[&Row], budget: usize) {
    if rows.is_empty() {
        return;
    }
    out.push_str("| benchmark | before | now | change | 95 % interval | verdict |\n");
    out.push_str("| --- | ---: | ---: | ---: | ---: | --- |\n");
    for (index, row) in rows.iter().enumerate() {
        let line = format!(
            "| {} | {} | {} | {} | {} | {} |\n",
            escape_for_comment(&row.name),
            escape_for_comment(&row.before_text()),
            escape_for_comment(&row.after_text()),
            row.change_text(),
            row.range_text().replace('[', "\\["),
            row.verdict_text()
        );
        if out.len() + line.len() > budget {
            let _ = writeln!(out, "\n{} more rows do not fit here.", rows.len() - index);
            break;
        }
        out.push_str(&line);
    }
    out.push('\n');
}

fn foot(report: &Report, limit: usize) -> String {
    let mut out = String::new();
    for note in &report.notes {
        let _ = writeln!(out, "> {}\n", escape_for_comment(note));
    }
    if !report.problems.is_empty() {
        let _ = writeln!(
            out,
            "<details><summary>{} entries could not be used</summary>\n",
            report.problems.len()
        );
        for problem in &report.problems {
            if out.len() + problem.len() > limit {
                out.push_str("- and more\n");
                break;
            }
            let _ = writeln!(out, "- {}", escape_for_comment(problem));
        }
        out.push_str("\n</details>\n\n");
    }
    let _ = writeln!(
        out,
        "<sub>{} · {} · threshold {} %, one value a process run</sub>",
        escape_for_comment(&report.sides_text()),
        escape_for_comment(&report.environment),
        report.threshold
    );
    out
}

/// The last guard: whatever happened above, the text is not longer than the limit.
fn cut(mut text: String, limit: usize) -> String {
    if text.len() > limit {
        let end = text
            .char_indices()
            .map(|(at, _)| at)
            .take_while(|at| *at <= limit)
            .last()
            .unwrap_or(0);
        text.truncate(end);
    }
    text
}

fn sign(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Regression | Outcome::Mixed => "🔴",
        Outcome::Improvement => "🟢",
        Outcome::Unchanged => "⚪",
        Outcome::Suspected | Outcome::NotJudged => "🟡",
    }
}

#[cfg(test)]
mod tests {
    use super::super::words::tests::example_report;
    use super::*;

    #[test]
    fn a_comment() {
        insta::assert_snapshot!(render_markdown(&example_report(), 65_536));
    }

    #[test]
    fn ten_thousand_benchmarks_fit_into_a_comment() {
        let mut report = example_report();
        for index in 0..10_000 {
            let mut row = report.rows[index % 5].clone();
            row.name = format!("group/benchmark with a long name {index}");
            report.rows.push(row);
            report
                .problems
                .push(format!("file {index}: something is wrong with it"));
        }
        report.sort_rows();
        let text = render_markdown(&report, 65_000);
        assert!(text.len() <= 65_000, "{}", text.len());
        assert!(text.contains("more rows do not fit here"));
        assert!(text.trim_end().ends_with("</sub>"), "the foot is whole");
        assert!(render_markdown(&report, 100).len() <= 100);
    }
}
