//! A suite's answer as JUnit XML, which CI systems show: failures by test, what was left out as skipped.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::{SuiteView, TestStatus, TestView};

/// The whole document.
#[must_use]
pub fn render_suite_junit(suite: &SuiteView) -> String {
    let elapsed = Duration::from_secs_f64(suite.elapsed_s.max(0.0));
    let mut tests = TestSuite::new(format!("{} {}", suite.engine.name, suite.engine.version));
    tests.set_time(elapsed);
    tests.add_test_cases(suite.tests.iter().map(|test| test_case(&suite.engine.name, test)));
    let mut report = Report::new("snippex conformance");
    report.set_time(elapsed);
    report.add_test_suite(tests);
    report.to_string().expect("XML in memory can be written")
}

fn test_case(engine: &str, test: &TestView) -> TestCase {
    let (folder, file) = test.name.rsplit_once('/').unwrap_or(("", &test.name));
    let class = match folder {
        "" => engine.to_owned(),
        folder => format!("{engine}.{}", folder.replace('/', ".")),
    };
    let mut case = TestCase::new(file, junit_status(test));
    case.set_classname(class);
    case
}

fn junit_status(test: &TestView) -> TestCaseStatus {
    let reason = test.reason.as_deref().unwrap_or("");
    let (mut status, message) = match test.status {
        TestStatus::Passed => return TestCaseStatus::success(),
        TestStatus::Failed => (
            TestCaseStatus::non_success(NonSuccessKind::Failure),
            reason.to_owned(),
        ),
        TestStatus::UnexpectedPass => (
            TestCaseStatus::non_success(NonSuccessKind::Failure),
            "it passed, but a list says that it fails".to_owned(),
        ),
        TestStatus::Broken => (
            TestCaseStatus::non_success(NonSuccessKind::Error),
            reason.to_owned(),
        ),
        TestStatus::KnownFailure => (TestCaseStatus::skipped(), format!("known failure: {reason}")),
        TestStatus::Unsupported | TestStatus::NotRun => (TestCaseStatus::skipped(), reason.to_owned()),
    };
    status.set_message(message);
    status
}
