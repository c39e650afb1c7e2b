//! What became of conformance tests: data for programs, [`render_suite`] for people, [`render_suite_junit`] for CI.
//!
//! Which test is what, and why, is filled in by whoever ran them.

mod junit;
mod text;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::EngineView;

pub use junit::render_suite_junit;
pub use text::render_suite;

/// What became of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TestStatus {
    /// As it should be.
    Passed,
    /// It failed.
    Failed,
    /// It failed, and a list says so.
    KnownFailure,
    /// A list says that it fails, and it passed: the list is to be mended.
    UnexpectedPass,
    /// The engine lacks what it needs.
    Unsupported,
    /// The test itself is wrong.
    Broken,
    /// The run ended before its turn.
    NotRun,
}

impl TestStatus {
    /// All of them, as they are listed.
    pub const ALL: [Self; 7] = [
        Self::Passed,
        Self::Failed,
        Self::KnownFailure,
        Self::UnexpectedPass,
        Self::Unsupported,
        Self::Broken,
        Self::NotRun,
    ];
}

/// A test in the answer.
#[derive(Clone, Debug, Serialize)]
pub struct TestView {
    /// Its path in the suite.
    pub name: String,
    /// What became of it.
    pub status: TestStatus,
    /// Why it did not pass, or is known to fail; for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Registers that differ.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<RegisterMismatchView>,
    /// It failed among others, and passed alone.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub only_alone: bool,
    /// Variables that it puts into the engine's environment, as `NAME=value`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub environment: Vec<String>,
}

impl TestView {
    /// A test with a status and why.
    #[must_use]
    pub fn new(name: &str, status: TestStatus, reason: Option<String>) -> Self {
        Self {
            name: name.to_owned(),
            status,
            reason,
            differences: Vec::new(),
            only_alone: false,
            environment: Vec::new(),
        }
    }

    /// What a list that names this test as one that fails, for `reason`, makes of it. An empty reason is none.
    pub fn apply_known_failure(&mut self, reason: &str) {
        match self.status {
            TestStatus::Passed => {
                self.status = TestStatus::UnexpectedPass;
                self.reason = Some(match reason {
                    "" => "on a list of known failures".to_owned(),
                    reason => format!("listed as: {reason}"),
                });
            }
            TestStatus::Failed => {
                self.status = TestStatus::KnownFailure;
                if !reason.is_empty() {
                    let found = self.reason.take().unwrap_or_default();
                    self.reason = Some(format!("{reason} ({found})"));
                }
            }
            TestStatus::Unsupported if !reason.is_empty() => {
                let found = self.reason.take().unwrap_or_default();
                self.reason = Some(format!("{found}; known: {reason}"));
            }
            _ => {}
        }
    }
}

/// A register that differs, 64 bits at a time, the lowest first.
#[derive(Clone, Debug, Serialize)]
pub struct RegisterMismatchView {
    /// Its name.
    pub register: String,
    /// As the test wants it, in hexadecimal.
    pub expected: Vec<String>,
    /// As the engine left it, in hexadecimal.
    pub actual: Vec<String>,
}

/// The answer.
#[derive(Debug, Serialize)]
pub struct SuiteView {
    /// `summary`, as in other answers of one object a line.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The engine that ran them.
    pub engine: EngineView,
    /// Number of tests.
    pub total: usize,
    /// Number of tests by status; statuses that no test has are 0.
    pub counts: BTreeMap<TestStatus, usize>,
    /// How long it took, in seconds.
    pub elapsed_s: f64,
    /// Whether every test had its turn.
    pub complete: bool,
    /// Each test, in the order of the suite. Left out of the last line of an answer of one object a line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tests: Vec<TestView>,
}

impl SuiteView {
    /// What became of `tests` on `engine`.
    #[must_use]
    pub fn new(engine: EngineView, tests: Vec<TestView>, elapsed: Duration) -> Self {
        let mut counts: BTreeMap<TestStatus, usize> =
            TestStatus::ALL.into_iter().map(|status| (status, 0)).collect();
        for test in &tests {
            *counts.entry(test.status).or_default() += 1;
        }
        Self {
            kind: "summary",
            engine,
            total: tests.len(),
            complete: counts[&TestStatus::NotRun] == 0,
            counts,
            elapsed_s: elapsed.as_secs_f64(),
            tests,
        }
    }

    /// Number of tests with `status`.
    #[must_use]
    pub fn count_tests(&self, status: TestStatus) -> usize {
        self.counts.get(&status).copied().unwrap_or(0)
    }
}
