//! A suite's answer for people: sums, then the tests that are not as they should be, then what the engine lacks.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use cli_kit::{Table, units};

use super::{SuiteView, TestStatus};
use crate::{format_count, render_headerless_table};

/// Tests that are named for a reason.
const MAX_NAMED: usize = 6;

/// The answer for people, in tables of at most `width` columns.
#[must_use]
pub fn render_suite(suite: &SuiteView, width: Option<u16>) -> String {
    let elapsed = units::format_duration(Duration::from_secs_f64(suite.elapsed_s));
    let mut text = format!(
        "{} on {} ({}) in {elapsed}\n{}\n",
        format_count(suite.total as u64, "conformance test"),
        suite.engine.name,
        suite.engine.version,
        render_headerless_table(&count_table(suite))
    );
    let named = [
        (TestStatus::Failed, "failed"),
        (TestStatus::KnownFailure, "failed as known"),
        (
            TestStatus::UnexpectedPass,
            "passed, but a list says they fail: take them off it",
        ),
        (TestStatus::Broken, "not tests"),
    ];
    let tables = named
        .into_iter()
        .map(|(status, title)| test_table(suite, status, title, width))
        .chain([reason_table(suite, width)]);
    for table in tables.filter(|table| !table.is_empty()) {
        writeln!(text, "\n{table}").expect("writing to a string cannot fail");
    }
    text.trim_end().to_owned()
}

/// Number of tests by status.
fn count_table(suite: &SuiteView) -> Table {
    let kinds = [
        (TestStatus::Passed, "passed"),
        (TestStatus::Failed, "failed"),
        (
            TestStatus::KnownFailure,
            "failed as a list of known failures says",
        ),
        (
            TestStatus::UnexpectedPass,
            "passed against a list of known failures",
        ),
        (TestStatus::Unsupported, "unsupported"),
        (TestStatus::Broken, "not a test: the file is wrong"),
        (TestStatus::NotRun, "not run"),
    ];
    let mut table = Table::new(Vec::<String>::new()).align_right(0);
    for (status, words) in kinds {
        let count = suite.count_tests(status);
        if count > 0 || matches!(status, TestStatus::Passed | TestStatus::Failed) {
            table.add_row([count.to_string(), words.to_owned()]);
        }
    }
    table
}

/// The tests with `status`, and why.
fn test_table(suite: &SuiteView, status: TestStatus, title: &str, width: Option<u16>) -> Table {
    let mut table = Table::new([title, "why"]).fit(width);
    for test in suite.tests.iter().filter(|test| test.status == status) {
        table.add_row([&test.name, test.reason.as_deref().unwrap_or("")]);
    }
    table
}

/// Why tests were not run, with some of those that share the reason.
fn reason_table(suite: &SuiteView, width: Option<u16>) -> Table {
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for test in &suite.tests {
        if matches!(test.status, TestStatus::Unsupported | TestStatus::NotRun) {
            let reason = test.reason.as_deref().unwrap_or("");
            reasons.entry(reason).or_default().push(&test.name);
        }
    }
    let mut table = Table::new(["unsupported", "tests", "why"])
        .align_right(0)
        .fit(width);
    for (reason, names) in reasons {
        let mut shown = names[..names.len().min(MAX_NAMED)].join(" ");
        if names.len() > MAX_NAMED {
            shown.push_str(" ...");
        }
        table.add_row([names.len().to_string(), shown, reason.to_owned()]);
    }
    table
}
