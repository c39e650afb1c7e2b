//! For systems that show test results: JUnit's XML, a test case a benchmark.

use std::fmt::Write as _;

use regress_core::detect::VerdictKind;

use super::Report;
use super::escape::html as escape;

/// The report as JUnit XML. A regression is a failure; what could not be judged is skipped.
#[must_use]
pub fn render(report: &Report) -> String {
    let failures = report.count(VerdictKind::Regression);
    let skipped = report.rows.iter().filter(|row| is_skipped(row.verdict)).count();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    let _ = writeln!(
        out,
        "  <testsuite name=\"benchmarks\" tests=\"{}\" failures=\"{failures}\" skipped=\"{skipped}\" errors=\"0\">",
        report.rows.len()
    );
    for row in &report.rows {
        let _ = write!(
            out,
            "    <testcase classname=\"benchmarks\" name=\"{}\"",
            escape(&row.name)
        );
        let message = escape(&format!(
            "{} → {}, {}",
            row.before_text(),
            row.after_text(),
            row.reason
        ));
        match row.verdict {
            VerdictKind::Regression => {
                let _ = writeln!(
                    out,
                    ">\n      <failure type=\"regression\" message=\"{message}\"/>\n    </testcase>"
                );
            }
            verdict if is_skipped(verdict) => {
                let _ = writeln!(
                    out,
                    ">\n      <skipped message=\"{}\"/>\n    </testcase>",
                    escape(&row.reason)
                );
            }
            _ => out.push_str("/>\n"),
        }
    }
    let problems: Vec<_> = report
        .problems
        .iter()
        .chain(&report.notes)
        .map(|text| escape(text))
        .collect();
    if !problems.is_empty() {
        let _ = writeln!(out, "    <system-err>{}</system-err>", problems.join("\n"));
    }
    out.push_str("  </testsuite>\n</testsuites>\n");
    out
}

fn is_skipped(verdict: VerdictKind) -> bool {
    matches!(
        verdict,
        VerdictKind::EnvironmentChanged | VerdictKind::NotEnoughData
    )
}

#[cfg(test)]
mod tests {
    use super::super::words::tests::example;
    use super::*;

    #[test]
    fn a_test_report() {
        insta::assert_snapshot!(render(&example()));
    }
}
