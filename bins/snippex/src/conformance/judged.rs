//! Verdicts as the answer shows them.

use snippex_core::observation::{Endpoint, signal_name};
use snippex_core::words::difference_sentence;
use snippex_exec::conformance_suite::{TestFailure, TestVerdict};
use snippex_formats::conformance::Mismatch;
use snippex_report::conformance::{RegisterMismatchView, TestStatus, TestView};

/// Mismatches that are shown to people for a test; the others are counted.
const MAX_SHOWN: usize = 4;

/// A test with its verdict, known failures apart.
pub(crate) fn view_of_verdict(name: &str, verdict: &TestVerdict) -> TestView {
    let failed = |reason| TestView::new(name, TestStatus::Failed, Some(reason));
    match verdict {
        TestVerdict::Passed => TestView::new(name, TestStatus::Passed, None),
        TestVerdict::Unsupported(reason) => {
            TestView::new(name, TestStatus::Unsupported, Some(reason.clone()))
        }
        TestVerdict::Failed(TestFailure::Ended(endpoint)) => failed(describe_endpoint(*endpoint)),
        TestVerdict::Failed(TestFailure::Diverged(differences)) => {
            failed(join_some(differences.iter().map(difference_sentence)))
        }
        TestVerdict::Failed(TestFailure::Differs(mismatches)) => TestView {
            differences: mismatches.iter().map(view_of_mismatch).collect(),
            ..failed(join_some(mismatches.iter().map(ToString::to_string)))
        },
    }
}

/// The first few of `sentences`, and how many there are besides.
fn join_some(sentences: impl ExactSizeIterator<Item = String>) -> String {
    let more = sentences.len().saturating_sub(MAX_SHOWN);
    let mut shown: Vec<String> = sentences.take(MAX_SHOWN).collect();
    if more > 0 {
        shown.push(format!("and {more} more"));
    }
    shown.join("; ")
}

fn view_of_mismatch(mismatch: &Mismatch) -> RegisterMismatchView {
    let hex = |values: &[u64]| values.iter().map(|value| format!("{value:#x}")).collect();
    RegisterMismatchView {
        register: mismatch.register.to_string(),
        expected: hex(&mismatch.expected),
        actual: hex(&mismatch.actual),
    }
}

/// How a test ended that did not reach its end.
fn describe_endpoint(endpoint: Endpoint) -> String {
    match endpoint {
        Endpoint::Signal(signal) => format!(
            "{} at {:#x} instead of hlt",
            describe_signal(signal.number),
            signal.rip
        ),
        Endpoint::Hung => "it did not end in time and was cut".into(),
        Endpoint::EngineDied { signal: Some(number) } => format!("the engine was killed by signal {number}"),
        Endpoint::EngineDied { signal: None } => "the engine ended by itself".into(),
        Endpoint::Exit { target } => format!("it went on at {target:#x}"),
    }
}

/// `signal SIGILL`, or its number where it has no name here.
fn describe_signal(number: u8) -> String {
    let name = signal_name(i32::from(number));
    if name.starts_with("signal ") {
        name
    } else {
        format!("signal {name}")
    }
}
