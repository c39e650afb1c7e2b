//! The answer: what became of each test, and sums.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use cli_kit::{Table, units};
use serde::Serialize;
use snippex_core::observation::Endpoint;
use snippex_exec::conformance_suite::{TestFailure, TestVerdict};
use snippex_formats::conformance::Mismatch;

use snippex_core::words::difference_sentence;
use snippex_report::EngineView;
use snippex_report::{several, untitled};

/// Mismatches that are shown to people for a test; the others are counted.
const SHOWN: usize = 4;
/// Tests that are named for a reason, for people.
const NAMED: usize = 6;

/// What became of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Status {
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

/// A test in the answer.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct TestView {
    pub(crate) name: String,
    pub(crate) status: Status,
    /// Why it did not pass, or is known to fail; for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// Registers that differ.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) differences: Vec<DifferenceView>,
    /// It failed among others, and passed alone.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) only_alone: bool,
    /// Variables that it puts into the engine's environment.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) environment: Vec<String>,
}

/// A register that differs, 64 bits at a time, the lowest first.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct DifferenceView {
    pub(crate) register: String,
    pub(crate) expected: Vec<String>,
    pub(crate) actual: Vec<String>,
}

impl From<&Mismatch> for DifferenceView {
    fn from(mismatch: &Mismatch) -> Self {
        let hex = |values: &[u64]| values.iter().map(|value| format!("{value:#x}")).collect();
        Self {
            register: mismatch.register.to_string(),
            expected: hex(&mismatch.expected),
            actual: hex(&mismatch.actual),
        }
    }
}

impl TestView {
    /// A test with a status and why.
    pub(crate) fn new(name: &str, status: Status, reason: Option<String>) -> Self {
        Self {
            name: name.to_owned(),
            status,
            reason,
            differences: Vec::new(),
            only_alone: false,
            environment: Vec::new(),
        }
    }

    /// A test with its verdict, known failures apart.
    pub(crate) fn judged(name: &str, verdict: &TestVerdict) -> Self {
        match verdict {
            TestVerdict::Passed => Self::new(name, Status::Passed, None),
            TestVerdict::Unsupported(reason) => Self::new(name, Status::Unsupported, Some(reason.clone())),
            TestVerdict::Failed(TestFailure::Ended(endpoint)) => {
                Self::new(name, Status::Failed, Some(ended(*endpoint)))
            }
            TestVerdict::Failed(TestFailure::Diverged(differences)) => {
                let mut words: Vec<String> =
                    differences.iter().take(SHOWN).map(difference_sentence).collect();
                if differences.len() > SHOWN {
                    words.push(format!("and {} more", differences.len() - SHOWN));
                }
                Self::new(name, Status::Failed, Some(words.join("; ")))
            }
            TestVerdict::Failed(TestFailure::Differs(mismatches)) => {
                let mut words: Vec<String> = mismatches.iter().take(SHOWN).map(ToString::to_string).collect();
                if mismatches.len() > SHOWN {
                    words.push(format!("and {} more", mismatches.len() - SHOWN));
                }
                Self {
                    differences: mismatches.iter().map(DifferenceView::from).collect(),
                    ..Self::new(name, Status::Failed, Some(words.join("; ")))
                }
            }
        }
    }
}

/// How a test ended that did not reach its end.
fn ended(endpoint: Endpoint) -> String {
    match endpoint {
        Endpoint::Signal(signal) => format!(
            "signal {} at {:#x} instead of hlt",
            signal_name(signal.number),
            signal.rip
        ),
        Endpoint::Hung => "it did not end in time and was cut".into(),
        Endpoint::EngineDied { signal: Some(number) } => format!("the engine was killed by signal {number}"),
        Endpoint::EngineDied { signal: None } => "the engine ended by itself".into(),
        Endpoint::Exit { target } => format!("it went on at {target:#x}"),
    }
}

fn signal_name(number: u8) -> String {
    match number {
        4 => "SIGILL".into(),
        5 => "SIGTRAP".into(),
        7 => "SIGBUS".into(),
        8 => "SIGFPE".into(),
        11 => "SIGSEGV".into(),
        other => other.to_string(),
    }
}

/// The answer.
#[derive(Debug, Serialize)]
pub(crate) struct SuiteView {
    /// `summary`, as in other answers of one object a line.
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) engine: EngineView,
    pub(crate) total: usize,
    /// Number of tests by status; statuses that no test has are 0.
    pub(crate) counts: BTreeMap<Status, usize>,
    pub(crate) elapsed_s: f64,
    /// Whether every test had its turn.
    pub(crate) complete: bool,
    pub(crate) tests: Vec<TestView>,
}

impl SuiteView {
    pub(crate) fn new(engine: EngineView, tests: Vec<TestView>, elapsed: Duration) -> Self {
        use Status::{Broken, Failed, KnownFailure, NotRun, Passed, UnexpectedPass, Unsupported};
        let every = [
            Passed,
            Failed,
            KnownFailure,
            UnexpectedPass,
            Unsupported,
            Broken,
            NotRun,
        ];
        let mut counts: BTreeMap<Status, usize> = every.into_iter().map(|status| (status, 0)).collect();
        for test in &tests {
            *counts.entry(test.status).or_default() += 1;
        }
        Self {
            kind: "summary",
            engine,
            total: tests.len(),
            complete: counts[&NotRun] == 0,
            counts,
            elapsed_s: elapsed.as_secs_f64(),
            tests,
        }
    }

    /// Number of tests with `status`.
    pub(crate) fn count(&self, status: Status) -> usize {
        self.counts.get(&status).copied().unwrap_or(0)
    }

    /// As people read it.
    pub(crate) fn text(&self, width: Option<u16>) -> String {
        let mut text = String::new();
        let elapsed = units::duration(Duration::from_secs_f64(self.elapsed_s));
        let _ = writeln!(
            text,
            "{} on {} ({}) in {elapsed}",
            several(self.total as u64, "conformance test"),
            self.engine.name,
            self.engine.version
        );
        let mut table = Table::new(Vec::<String>::new()).right(0);
        let kinds = [
            (Status::Passed, "passed"),
            (Status::Failed, "failed"),
            (Status::KnownFailure, "failed as a list of known failures says"),
            (Status::UnexpectedPass, "passed against a list of known failures"),
            (Status::Unsupported, "unsupported"),
            (Status::Broken, "not a test: the file is wrong"),
            (Status::NotRun, "not run"),
        ];
        for (status, words) in kinds {
            let count = self.count(status);
            if count > 0 || matches!(status, Status::Passed | Status::Failed) {
                table.row([count.to_string(), words.to_owned()]);
            }
        }
        let _ = writeln!(text, "{}", untitled(&table));
        for (status, title) in [
            (Status::Failed, "failed"),
            (Status::KnownFailure, "failed as known"),
            (
                Status::UnexpectedPass,
                "passed, but a list says they fail: take them off it",
            ),
            (Status::Broken, "not tests"),
        ] {
            let tests = self.tests.iter().filter(|test| test.status == status);
            let mut table = Table::new([title, "why"]).fit(width);
            for test in tests {
                table.row([&test.name, test.reason.as_deref().unwrap_or("")]);
            }
            if !table.is_empty() {
                let _ = writeln!(text, "\n{table}");
            }
        }
        let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for test in &self.tests {
            if matches!(test.status, Status::Unsupported | Status::NotRun) {
                let reason = test.reason.as_deref().unwrap_or("");
                reasons.entry(reason).or_default().push(&test.name);
            }
        }
        let mut table = Table::new(["unsupported", "tests", "why"]).right(0).fit(width);
        for (reason, names) in reasons {
            let mut shown = names[..names.len().min(NAMED)].join(" ");
            if names.len() > NAMED {
                shown.push_str(" ...");
            }
            table.row([names.len().to_string(), shown, reason.to_owned()]);
        }
        if !table.is_empty() {
            let _ = writeln!(text, "\n{table}");
        }
        text.trim_end().to_owned()
    }
}
