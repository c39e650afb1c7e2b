//! The table at the end of a test run, and its exit code.

use std::process::ExitCode;
use std::time::Duration;

/// How a step ended.
pub(crate) enum Outcome {
    /// It ran and found nothing wrong.
    Passed,
    /// What failed at first passed alone: nothing is known to be wrong but these tests, which are named.
    Flaky(String),
    /// It ran and found something, or could not run.
    Failed(String),
    /// What it needs is out of reach, for a reason that is no fault of the code.
    NotRun(String),
}

/// A step with its outcome and how long it took.
pub(crate) struct Ended {
    pub(crate) step: &'static str,
    pub(crate) outcome: Outcome,
    pub(crate) elapsed: Duration,
}

/// The table as text. Its last line counts the steps: `steps: 8 passed, 0 failed, 1 skipped`.
pub(crate) fn table(ended: &[Ended]) -> String {
    let mut text = String::new();
    for Ended {
        step,
        outcome,
        elapsed,
    } in ended
    {
        let (word, reason) = match outcome {
            Outcome::Passed => ("passed", ""),
            Outcome::Flaky(tests) => ("flaky", tests.as_str()),
            Outcome::Failed(reason) => ("FAILED", reason.as_str()),
            Outcome::NotRun(reason) => ("not run", reason.as_str()),
        };
        let line = format!(
            "  {step:<11} {word:<8} {:>7.1} s  {reason}",
            elapsed.as_secs_f64()
        );
        text.push_str(line.trim_end());
        text.push('\n');
    }
    let count = |wanted: fn(&Outcome) -> bool| ended.iter().filter(|ended| wanted(&ended.outcome)).count();
    let passed = count(|outcome| matches!(outcome, Outcome::Passed | Outcome::Flaky(_)));
    let failed = count(|outcome| matches!(outcome, Outcome::Failed(_)));
    let skipped = count(|outcome| matches!(outcome, Outcome::NotRun(_)));
    text.push_str(&format!(
        "steps: {passed} passed, {failed} failed, {skipped} skipped\n"
    ));
    text
}

/// 0 if no step failed, else 1.
pub(crate) fn exit_code(ended: &[Ended]) -> ExitCode {
    let failed = ended
        .iter()
        .any(|ended| matches!(ended.outcome, Outcome::Failed(_)));
    if failed {
        ExitCode::from(1)
    } else {
        ExitCode::SUCCESS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_counts_what_it_shows() {
        let end = |step, outcome| Ended {
            step,
            outcome,
            elapsed: Duration::from_millis(1250),
        };
        let ended = [
            end("fmt", Outcome::Passed),
            end("clippy", Outcome::Failed("exit status: 101".into())),
            end("advisories", Outcome::NotRun("no network".into())),
            end("tests", Outcome::Flaky("a::b".into())),
        ];
        let expected = "  fmt         passed       1.2 s
  clippy      FAILED       1.2 s  exit status: 101
  advisories  not run      1.2 s  no network
  tests       flaky        1.2 s  a::b
steps: 2 passed, 1 failed, 1 skipped
";
        assert_eq!(table(&ended), expected);
        assert_eq!(exit_code(&ended), ExitCode::from(1));
        assert_eq!(exit_code(&ended[..1]), ExitCode::SUCCESS);
        assert_eq!(exit_code(&ended[2..]), ExitCode::SUCCESS);
    }
}
