//! A conformance test and its verdict.

use snippex_core::case::Case;
use snippex_core::diff::{Comparison, Difference, InconclusiveReason, Tolerance, compare_observations};
use snippex_core::group::Group;
use snippex_core::observation::Endpoint;
use snippex_core::observation::SIGILL;
use snippex_core::state::Components;
use snippex_formats::conformance::header::Feature;
use snippex_formats::conformance::{Expected, Mismatch, ProgramEnd, Register, TestProgram, find_mismatches};
use snippex_formats::snip::SnipExpectation;

use crate::engine::{Engine, EngineError, GuestCpu, ProgramOutcome};
use crate::results::RunOutcome;

/// A test that any engine can be put to.
#[derive(Clone, Debug)]
pub struct ConformanceTest {
    /// As reports and lists of known failures have it.
    pub name: String,
    /// Variables that the engine's environment has to have.
    pub environment: Vec<(String, String)>,
    /// Features that the engine's processor has to have.
    pub features: Vec<Feature>,
    /// What runs, and what has to come out.
    pub body: TestBody,
}

/// What a test runs.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "most tests are programs: a box would be one more allocation for each"
)]
pub enum TestBody {
    /// A program that runs until `hlt`.
    Program {
        /// Code and memory.
        program: TestProgram,
        /// Registers at the end.
        expected: Vec<Expected>,
        /// Registers in which two engines have to agree, whatever they hold.
        agreed: Vec<Register>,
    },
    /// A case that says how it ends.
    Case(Box<CaseTest>),
}

/// A case as a test.
#[derive(Clone, Debug)]
pub struct CaseTest {
    /// What runs.
    pub case: Case,
    /// How it has to end. What the manuals leave open is not compared.
    pub end: SnipExpectation,
    /// CPU features it needs beyond those its instructions tell, as iced-x86 calls them, in lower case.
    pub needs: Vec<String>,
    /// What the engine documents to do otherwise.
    pub tolerance: Tolerance,
}

/// How a test ended.
enum Ended {
    Program(Box<ProgramOutcome>),
    Case(RunOutcome),
}

/// Whether an engine passes a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TestVerdict {
    /// Everything that is listed is as expected.
    Passed,
    /// Something is not.
    Failed(TestFailure),
    /// The engine lacks what the test needs, in words.
    Unsupported(String),
}

/// How a test failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TestFailure {
    /// Registers have other values.
    Differs(Vec<Mismatch>),
    /// It did not come to its end.
    Ended(Endpoint),
    /// A case ended otherwise, in bits that the manuals define.
    Diverged(Vec<Difference>),
}

impl ConformanceTest {
    /// The feature that the test needs and a processor is known to lack, in words.
    #[must_use]
    pub fn find_missing_feature(&self, cpu: &GuestCpu) -> Option<String> {
        let missing = self
            .features
            .iter()
            .find(|feature| cpu.has_feature(**feature) == Some(false));
        if let Some(feature) = missing {
            return Some(format!("the engine has no {}", feature.name()));
        }
        let TestBody::Case(test) = &self.body else {
            return None;
        };
        let missing = test.needs.iter().find(|name| cpu.has_named(name) != Some(true));
        missing.map(|name| format!("the engine has no {name}"))
    }

    /// Registers in which two engines have to agree.
    fn agreed(&self) -> &[Register] {
        match &self.body {
            TestBody::Program { agreed, .. } => agreed,
            TestBody::Case(_) => &[],
        }
    }

    fn judge(&self, ended: &Ended, covered: Components, cpu: &GuestCpu) -> TestVerdict {
        match (&self.body, ended) {
            (TestBody::Program { expected, .. }, Ended::Program(outcome)) => {
                self.judge_program(expected, outcome, covered, cpu)
            }
            (TestBody::Case(test), Ended::Case(outcome)) => test.judge(outcome, covered),
            _ => unreachable!("a test ends as what it is"),
        }
    }

    fn judge_program(
        &self,
        expected: &[Expected],
        outcome: &ProgramOutcome,
        covered: Components,
        cpu: &GuestCpu,
    ) -> TestVerdict {
        let end = match outcome {
            ProgramOutcome::Unsupported(reason) => return TestVerdict::Unsupported(reason.to_string()),
            ProgramOutcome::Ended(end) => end,
        };
        if !end.has_halted() {
            return self.judge_end(end, cpu);
        }
        match find_mismatches(expected, end, covered.intersection(end.covered)) {
            Err(uncovered) => TestVerdict::Unsupported(uncovered.to_string()),
            Ok(found) if found.is_empty() => TestVerdict::Passed,
            Ok(found) => TestVerdict::Failed(TestFailure::Differs(found)),
        }
    }

    /// It ended where it should not.
    fn judge_end(&self, end: &ProgramEnd, cpu: &GuestCpu) -> TestVerdict {
        // Whether the processor has some features is not announced where the runner looks: the instruction tells.
        let unknown = match end.endpoint {
            Endpoint::Signal(signal) if signal.number == SIGILL => self
                .features
                .iter()
                .find(|feature| cpu.has_feature(**feature).is_none()),
            _ => None,
        };
        match unknown {
            Some(feature) => {
                TestVerdict::Unsupported(format!("the engine has no {}: it raises SIGILL", feature.name()))
            }
            None => TestVerdict::Failed(TestFailure::Ended(end.endpoint)),
        }
    }
}

impl CaseTest {
    fn judge(&self, outcome: &RunOutcome, covered: Components) -> TestVerdict {
        let actual = match outcome {
            RunOutcome::Unsupported(reason) => return TestVerdict::Unsupported(reason.to_string()),
            RunOutcome::Ran(observation) => observation,
        };
        let covered = covered.intersection(self.end.covered);
        match compare_observations(
            &self.case,
            &self.end.observation,
            actual,
            covered,
            &self.tolerance,
        ) {
            Comparison::Match(_) => TestVerdict::Passed,
            Comparison::Diverged(divergence) => {
                TestVerdict::Failed(TestFailure::Diverged(divergence.differences))
            }
            Comparison::Inconclusive(InconclusiveReason::Deviation { id, .. }) => {
                TestVerdict::Unsupported(format!("the engine documents that it ends otherwise ({id})"))
            }
            Comparison::Inconclusive(InconclusiveReason::ExpectedHung | InconclusiveReason::ExpectedDied) => {
                TestVerdict::Unsupported("the case says no end that can be compared".into())
            }
            Comparison::Inconclusive(
                InconclusiveReason::OpenEndpoint { .. } | InconclusiveReason::OpenMemory { .. },
            ) => TestVerdict::Unsupported("what the manuals leave open decides how the case ends".into()),
        }
    }
}

/// Runs `tests` on `subject` and judges each.
///
/// # Errors
/// When an engine cannot be used.
pub(super) fn judge_all(
    tests: &[&ConformanceTest],
    subject: &mut dyn Engine,
    reference: Option<&mut (dyn Engine + 'static)>,
) -> Result<Vec<TestVerdict>, EngineError> {
    let covered = subject.identity().components;
    let cpu = subject.identity().cpu.clone();
    let mut verdicts: Vec<Option<TestVerdict>> = tests
        .iter()
        .map(|test| test.find_missing_feature(&cpu).map(TestVerdict::Unsupported))
        .collect();
    let runnable: Vec<usize> = (0..tests.len())
        .filter(|&index| verdicts[index].is_none())
        .collect();
    let outcomes = run_all(tests, &runnable, subject)?;
    for (&index, outcome) in runnable.iter().zip(&outcomes) {
        verdicts[index] = Some(tests[index].judge(outcome, covered, &cpu));
    }
    if let Some(reference) = reference {
        let passed = |index: &usize| verdicts[*index] == Some(TestVerdict::Passed);
        let (shared, ends): (Vec<usize>, Vec<&Ended>) = runnable
            .iter()
            .copied()
            .zip(&outcomes)
            .filter(|(index, _)| passed(index) && !tests[*index].agreed().is_empty())
            .unzip();
        let covered = covered.intersection(reference.identity().components);
        let expected = run_all(tests, &shared, reference)?;
        for ((index, actual), expected) in shared.into_iter().zip(ends).zip(&expected) {
            let differing = disagreements(tests[index].agreed(), expected, actual, covered);
            if !differing.is_empty() {
                verdicts[index] = Some(TestVerdict::Failed(TestFailure::Differs(differing)));
            }
        }
    }
    let complete = "an engine says for each program how it ended";
    Ok(verdicts
        .into_iter()
        .map(|verdict| verdict.expect(complete))
        .collect())
}

/// Runs these tests: programs together, and each case by itself, since cases lie at the same addresses.
fn run_all(
    tests: &[&ConformanceTest],
    indices: &[usize],
    engine: &mut dyn Engine,
) -> Result<Vec<Ended>, EngineError> {
    let programs: Vec<TestProgram> = indices
        .iter()
        .filter_map(|&index| match &tests[index].body {
            TestBody::Program { program, .. } => Some(program.clone()),
            TestBody::Case(_) => None,
        })
        .collect();
    let outcomes = if programs.is_empty() {
        Vec::new()
    } else {
        engine.run_programs(&programs)?
    };
    let mut outcomes = outcomes.into_iter();
    indices
        .iter()
        .map(|&index| match &tests[index].body {
            TestBody::Program { .. } => {
                let outcome = outcomes.next();
                let outcome = outcome.expect("an engine says for each program how it ended");
                Ok(Ended::Program(Box::new(outcome)))
            }
            TestBody::Case(test) => {
                let group = [Group::from_case(&test.case)];
                Ok(Ended::Case(engine.run(&group)?.outcome(0, 0)))
            }
        })
        .collect()
}

/// Registers of `agreed` that both engines cover and that ended otherwise than on the reference.
fn disagreements(
    agreed: &[Register],
    expected: &Ended,
    actual: &Ended,
    covered: Components,
) -> Vec<Mismatch> {
    let (Ended::Program(expected), Ended::Program(actual)) = (expected, actual) else {
        return Vec::new();
    };
    let (ProgramOutcome::Ended(expected), ProgramOutcome::Ended(actual)) = (&**expected, &**actual) else {
        return Vec::new();
    };
    if !expected.has_halted() {
        return Vec::new();
    }
    let covered = covered
        .intersection(expected.covered)
        .intersection(actual.covered);
    let wanted = agreed.iter().filter_map(|&register| {
        let widths = [register.max_values(), 2, 1];
        let width = widths
            .into_iter()
            .find(|&width| covered.contains(register.component_for(width)))?;
        let mut values = register.values_at_end(expected);
        values.truncate(width);
        Some(Expected { register, values })
    });
    let wanted: Vec<Expected> = wanted.collect();
    find_mismatches(&wanted, actual, covered).expect("only what is covered is listed")
}
