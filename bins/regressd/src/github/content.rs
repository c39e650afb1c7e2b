//! What a comment and a check run say: the report that benchgate shows too, with the history of each changed
//! benchmark and links to the service's pages.
//!
//! Names of benchmarks and findings are the text of strangers: they are escaped, here and in
//! [`regress_report`], so that they can neither mark up the comment nor call people.

use std::fmt::Write as _;

use regress_core::detect::VerdictKind;
use regress_report::benchmarks::{Outcome, Report, Row, markdown};

use super::{Annotation, Conclusion, render_sparkline};

/// Rows of which the history is drawn.
const MAX_HISTORIES: usize = 20;
/// Values that a history shows.
const MAX_VALUES: usize = 40;
/// Findings that are shown.
const MAX_FINDINGS: usize = 20;

/// What is said beside the report.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extras {
    /// The page of the run.
    pub page: Option<String>,
    /// The state of the branch that pull requests go to; only where everybody may see it.
    pub badge: Option<Badge>,
    /// What the analytics process found; plain text.
    pub findings: Vec<String>,
}

/// A picture that leads to a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Badge {
    /// The address of the picture.
    pub picture: String,
    /// The address of the page.
    pub page: String,
}

/// The text of a comment, at most `room` bytes.
#[must_use]
pub fn comment_text(report: &Report, extras: &Extras, room: usize) -> String {
    let tail = format!(
        "{}{}{}",
        histories(report),
        findings(&extras.findings),
        links(extras)
    );
    // When both do not fit, the report is what matters.
    let tail = if tail.len() > room / 3 {
        links(extras)
    } else {
        tail
    };
    let mut text = markdown::render_markdown(report, room.saturating_sub(tail.len() + 1));
    if !tail.is_empty() {
        text.push('\n');
        text.push_str(&tail);
    }
    text
}

fn is_changed(row: &&Row) -> bool {
    matches!(
        row.verdict,
        VerdictKind::Regression | VerdictKind::Suspected | VerdictKind::Improvement
    )
}

/// The history of each changed benchmark, oldest value first and this run's last.
fn histories(report: &Report) -> String {
    let mut out = String::new();
    for row in report.rows.iter().filter(is_changed).take(MAX_HISTORIES) {
        let values: Vec<f64> = row.history.iter().copied().chain(row.after).collect();
        let line = render_sparkline(&values, MAX_VALUES);
        if !line.is_empty() {
            let _ = writeln!(out, "| {} | {line} |", markdown::escape_for_comment(&row.name));
        }
    }
    if out.is_empty() {
        return out;
    }
    format!("| benchmark | history, this run last |\n| --- | --- |\n{out}\n")
}

fn findings(findings: &[String]) -> String {
    let mut out = String::new();
    for finding in findings.iter().take(MAX_FINDINGS) {
        let short: String = finding.chars().take(300).collect();
        let _ = writeln!(out, "- {}", markdown::escape_for_comment(&short));
    }
    if out.is_empty() {
        return out;
    }
    format!("<details><summary>What the history says</summary>\n\n{out}\n</details>\n\n")
}

fn links(extras: &Extras) -> String {
    let page = extras.page.as_deref().filter(|url| is_plain(url));
    let badge = extras.badge.as_ref();
    let badge = badge.filter(|badge| is_plain(&badge.picture) && is_plain(&badge.page));
    let page = page.map(|page| format!("[All values and the history]({page})"));
    let badge = badge.map(|badge| format!("[![benchmarks]({})]({})", badge.picture, badge.page));
    let all: Vec<String> = page.into_iter().chain(badge).collect();
    match all.is_empty() {
        true => String::new(),
        false => format!("{}\n", all.join(" · ")),
    }
}

/// Whether an address can stand in a link as it is.
fn is_plain(url: &str) -> bool {
    (url.starts_with("https://") || url.starts_with("http://"))
        && url.len() < 1000
        && url
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"()<>[]\"'`\\|".contains(&byte))
}

/// How the check of a report ends.
#[must_use]
pub fn conclusion_for_outcome(outcome: Outcome) -> Conclusion {
    match outcome {
        Outcome::Regression | Outcome::Mixed => Conclusion::Failure,
        Outcome::Improvement | Outcome::Unchanged => Conclusion::Success,
        // What is only suspected is neither: another run of the commit decides.
        Outcome::Suspected | Outcome::NotJudged => Conclusion::Neutral,
    }
}

/// A remark for each changed benchmark, on `path`: results do not say in which file a benchmark stands.
///
/// What is only suspected has none: GitHub adds remarks to those that are there, and a confirmed one would stand twice.
#[must_use]
pub fn annotations_for_report(report: &Report, path: &str) -> Vec<Annotation> {
    let remark = |row: &Row| Annotation {
        path: path.to_owned(),
        start_line: 1,
        end_line: 1,
        annotation_level: match row.verdict {
            VerdictKind::Regression => "failure",
            _ => "notice",
        }
        .to_owned(),
        title: row.name.chars().take(200).collect(),
        message: format!("{}: {}", row.verdict, row.reason)
            .chars()
            .take(2000)
            .collect(),
    };
    let decided = |row: &&Row| is_changed(row) && row.verdict != VerdictKind::Suspected;
    report.rows.iter().filter(decided).map(remark).collect()
}

#[cfg(test)]
mod tests {
    use regress_core::measurement::{Direction, Unit};
    use regress_report::benchmarks::{REPORT_VERSION, Side};

    use super::*;

    fn row(name: &str, verdict: VerdictKind) -> Row {
        Row {
            name: name.to_owned(),
            unit: Unit::Nanoseconds,
            direction: Direction::SmallerIsBetter,
            verdict,
            reason: "slower".to_owned(),
            before: Some(100.0),
            after: Some(150.0),
            percent: Some(50.0),
            interval: Some((40.0, 60.0)),
            p: Some(0.001),
            q: Some(0.002),
            effect: Some(1.0),
            confidence: Some(0.99),
            threshold: 5.0,
            before_values: vec![],
            after_values: vec![],
            history: vec![100.0, 101.0, 100.0, 99.0],
            commits: vec![],
            shifts: vec![],
            noisy: false,
            band: None,
        }
    }

    fn report(names: &[&str]) -> Report {
        Report {
            version: REPORT_VERSION,
            title: "check".to_owned(),
            base: Side::default(),
            head: Side::default(),
            environment: "linux".to_owned(),
            threshold: 5.0,
            outcome: Outcome::Regression,
            summary: "slower".to_owned(),
            rows: names
                .iter()
                .map(|name| row(name, VerdictKind::Regression))
                .collect(),
            notes: vec![],
            problems: vec![],
        }
    }

    #[test]
    fn strangers_text_stays_text() {
        let hostile = "x|y <img src=x> @octocat #1 [a](http://e) `b` <!-- regressd:comment -->\n# big";
        let extras = Extras {
            page: Some("https://r.example/x) [y](javascript:1".to_owned()),
            badge: Some(Badge {
                picture: "https://r.example/badge/o/n.svg".to_owned(),
                page: "javascript:1".to_owned(),
            }),
            findings: vec![hostile.to_owned()],
        };
        let text = comment_text(&report(&[hostile]), &extras, 60_000);
        for bad in [
            "<img",
            "@octocat",
            "#1 ",
            "](http://e)",
            "<!--",
            "\n# big",
            "javascript",
            "x|y",
        ] {
            assert!(!text.contains(bad), "{bad:?} in {text}");
        }
        assert!(text.contains("▁▁▁▁█"), "{text}");
    }

    #[test]
    fn the_badge_leads_to_its_page() {
        let extras = Extras {
            page: Some("https://r.example/runs/1".to_owned()),
            badge: Some(Badge {
                picture: "https://r.example/badge/o/n.svg".to_owned(),
                page: "https://r.example/repositories/o/n".to_owned(),
            }),
            findings: Vec::new(),
        };
        let text = comment_text(&report(&["a"]), &extras, 60_000);
        assert!(
            text.ends_with(
                "[All values and the history](https://r.example/runs/1) · \
                 [![benchmarks](https://r.example/badge/o/n.svg)](https://r.example/repositories/o/n)\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn a_comment_never_outgrows_its_room() {
        let name = "n".repeat(500);
        let names: Vec<&str> = (0..2000).map(|_| name.as_str()).collect();
        let mut extras = Extras {
            page: Some("https://r.example/runs/1".to_owned()),
            ..Extras::default()
        };
        extras.findings = vec!["f".repeat(5000); 200];
        for room in [500, 5_000, 65_000] {
            let text = comment_text(&report(&names), &extras, room);
            assert!(text.len() <= room, "{} > {room}", text.len());
            assert!(text.contains("https://r.example/runs/1"));
        }
    }

    #[test]
    fn each_regression_gets_a_remark() {
        let remarks = annotations_for_report(&report(&["a", "b"]), ".github");
        assert_eq!(remarks.len(), 2);
        assert_eq!(remarks[1].title, "b");
        assert_eq!(remarks[0].annotation_level, "failure");
    }
}
