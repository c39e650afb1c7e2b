//! What cargo's test programs print, read as they print it.

/// So many failed tests are run once more. More of them are no accident.
const FEW: usize = 3;

/// The tests of all programs that were run.
#[derive(Default)]
pub(crate) struct TestReport {
    /// Tests that passed.
    pub(crate) passed: usize,
    failed: Vec<String>,
    failed_by_count: usize,
    programs_started: usize,
    programs_ended: usize,
}

impl TestReport {
    /// Takes the next line of standard output.
    pub(crate) fn read_line(&mut self, line: &str) {
        if let Some(name) = line
            .strip_prefix("test ")
            .and_then(|rest| rest.strip_suffix(" ... FAILED"))
        {
            self.failed.push(name.to_owned());
        } else if line.starts_with("running ") && (line.ends_with(" tests") || line.ends_with(" test")) {
            self.programs_started += 1;
        } else if let Some(counts) = line.strip_prefix("test result: ") {
            self.programs_ended += 1;
            self.passed += count(counts, "passed");
            self.failed_by_count += count(counts, "failed");
        }
    }

    /// The failed tests by name, if they are few and nothing else can have failed: every program ran to its end, and said each name.
    pub(crate) fn few_failed(&self) -> Option<&[String]> {
        let whole = self.programs_started == self.programs_ended && self.failed.len() == self.failed_by_count;
        (whole && (1..=FEW).contains(&self.failed.len())).then_some(&self.failed)
    }
}

/// The number in front of `word` in `ok. 3 passed; 0 failed; 1 ignored`.
fn count(counts: &str, word: &str) -> usize {
    counts
        .split([';', '.'])
        .filter_map(|part| part.trim().strip_suffix(word))
        .find_map(|number| number.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(text: &str) -> TestReport {
        let mut report = TestReport::default();
        text.lines().for_each(|line| report.read_line(line));
        report
    }

    const GOOD: &str = "
running 2 tests
test a::b ... ok
test a::c ... ok

test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s
";

    const BAD: &str = "
running 2 tests
test d ... ok
test e::f ... FAILED

failures:
    e::f

test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s
";

    #[test]
    fn a_failed_test_is_named_and_the_others_counted() {
        let both = report(&[GOOD, BAD].concat());
        assert_eq!(both.few_failed(), Some(["e::f".to_owned()].as_slice()));
        assert_eq!(both.passed, 3);
        assert_eq!(report(GOOD).few_failed(), None);
    }

    #[test]
    fn more_than_a_few_are_no_accident() {
        assert_eq!(report(&BAD.repeat(FEW)).few_failed().map(<[_]>::len), Some(FEW));
        assert_eq!(report(&BAD.repeat(FEW + 1)).few_failed(), None);
    }

    #[test]
    fn what_did_not_end_or_was_not_named_is_not_run_again() {
        let crashed = [BAD, "running 7 tests\ntest g ... ok\n"].concat();
        assert_eq!(report(&crashed).few_failed(), None, "a program died");
        let unnamed = BAD.replace("test e::f ... FAILED", "test e::f ... somebody's noiseFAILED");
        assert_eq!(report(&unnamed).few_failed(), None, "a name is missing");
    }
}
