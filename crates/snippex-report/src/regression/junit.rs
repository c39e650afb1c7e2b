//! A comparison with a baseline as JUnit XML: a case for each block that differs, and one for all that do not.

use super::{ChangeName, ChangeView, RegressionView};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

/// The whole document.
#[must_use]
pub fn render_regression_junit(view: &RegressionView, allow_fixed: bool) -> String {
    let mut suite = TestSuite::new(view.section.clone());
    suite.add_test_case(TestCase::new(
        format!("{} blocks as expected", view.stable),
        TestCaseStatus::success(),
    ));
    for change in &view.changes {
        let mut case = TestCase::new(
            format!("{} {}", change.key, change.address),
            status(change, allow_fixed),
        );
        case.set_classname(change.binary.clone());
        suite.add_test_case(case);
    }
    let mut report = Report::new("snippex regression");
    report.add_test_suite(suite);
    report.to_string().expect("XML in memory can be written")
}

fn status(change: &ChangeView, allow_fixed: bool) -> TestCaseStatus {
    let mut status = match change.change {
        ChangeName::Accepted => TestCaseStatus::skipped(),
        ChangeName::Fixed if allow_fixed => return TestCaseStatus::success(),
        ChangeName::Fixed | ChangeName::Regressed | ChangeName::OtherCause | ChangeName::NewBug => {
            TestCaseStatus::non_success(NonSuccessKind::Failure)
        }
    };
    status.set_type(change.change.as_str());
    status.set_message(format!("the block {}", change.describe_change()));
    status
}
