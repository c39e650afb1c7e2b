//! For pull-request comments and job summaries: GitHub's Markdown, within a limit of length.

use std::fmt::Write as _;

use super::words::{is_loud, outcome_heading};
use super::{Outcome, Report, Row};

/// Text of a stranger's as it can stand in a comment: no markup, no mention of a person, no link.
#[must_use]
pub fn escape(text: &str) -> String {
    super::escape::markdown(text)
}

/// The report as Markdown of at most `limit` bytes. Rows that do not fit are counted instead.
#[must_use]
pub fn render(report: &Report, limit: usize) -> String {
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
        escape(&report.summary),
        escape(&report.counts())
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
            escape(&row.name),
            escape(&row.before_text()),
            escape(&row.after_text()),
            row.change(),
            row.range().replace('[', "\\["),
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
        let _ = writeln!(out, "> {}\n", escape(note));
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
            let _ = writeln!(out, "- {}", escape(problem));
        }
        out.push_str("\n</details>\n\n");
    }
    let _ = writeln!(
        out,
        "<sub>{} · {} · threshold {} %, one value a process run</sub>",
        escape(&report.sides()),
        escape(&report.environment),
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
    use super::super::words::tests::example;
    use super::*;

    #[test]
    fn a_comment() {
        insta::assert_snapshot!(render(&example(), 65_536));
    }

    #[test]
    fn ten_thousand_benchmarks_fit_into_a_comment() {
        let mut report = example();
        for index in 0..10_000 {
            let mut row = report.rows[index % 5].clone();
            row.name = format!("group/benchmark with a long name {index}");
            report.rows.push(row);
            report
                .problems
                .push(format!("file {index}: something is wrong with it"));
        }
        report.sort();
        let text = render(&report, 65_000);
        assert!(text.len() <= 65_000, "{}", text.len());
        assert!(text.contains("more rows do not fit here"));
        assert!(text.trim_end().ends_with("</sub>"), "the foot is whole");
        assert!(render(&report, 100).len() <= 100);
    }
}
