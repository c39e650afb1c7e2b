//! For systems that show test results: JUnit's XML, a test case a benchmark.

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};
use regress_core::detect::VerdictKind;

use super::{Report, Row};

/// What the suite is called, and the class of each of its cases.
const SUITE: &str = "benchmarks";

/// The report as JUnit XML. A regression is a failure; what could not be judged is skipped.
///
/// # Panics
/// Never: XML in memory has nothing that could fail.
#[must_use]
pub fn render_junit(report: &Report) -> String {
    let mut suite = TestSuite::new(SUITE);
    suite.add_test_cases(report.rows.iter().map(test_case));
    let remarks: Vec<_> = report.problems.iter().chain(&report.notes).cloned().collect();
    if !remarks.is_empty() {
        suite.set_system_err(remarks.join("\n"));
    }
    let mut document = quick_junit::Report::unnamed();
    document.add_test_suite(suite);
    document.to_string().expect("XML in memory can be written")
}

fn test_case(row: &Row) -> TestCase {
    let mut case = TestCase::new(row.name.as_str(), status(row));
    case.set_classname(SUITE);
    case
}

fn status(row: &Row) -> TestCaseStatus {
    match row.verdict {
        VerdictKind::Regression => {
            let mut failure = TestCaseStatus::non_success(NonSuccessKind::Failure);
            failure.set_type("regression").set_message(format!(
                "{} → {}, {}",
                row.before_text(),
                row.after_text(),
                row.reason
            ));
            failure
        }
        VerdictKind::Suspected | VerdictKind::EnvironmentChanged | VerdictKind::NotEnoughData => {
            let mut skipped = TestCaseStatus::skipped();
            skipped.set_message(row.reason.as_str());
            skipped
        }
        VerdictKind::Improvement | VerdictKind::Unchanged => TestCaseStatus::success(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::words::tests::example_report;
    use super::*;

    #[test]
    fn a_test_report() {
        insta::assert_snapshot!(render_junit(&example_report()));
    }

    #[test]
    fn names_and_reasons_cannot_leave_their_place() {
        let mut report = example_report();
        report.rows.truncate(1);
        report.rows[0].name = "<a b='\"'>&\u{1b}[31m\u{1}".to_owned();
        report.problems = vec!["]]></system-err><x/>".to_owned()];
        let text = render_junit(&report);
        let read = quick_junit::Report::deserialize_from_str(&text).unwrap();
        let suite = &read.test_suites[0];
        assert_eq!(suite.test_cases[0].name.as_str(), "<a b='\"'>&");
        assert!(
            suite
                .system_err
                .as_ref()
                .is_some_and(|text| text.contains("]]></system-err><x/>")),
            "{text}"
        );
    }
}
