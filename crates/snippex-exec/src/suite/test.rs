//! A conformance test and its verdict.

use snippex_core::conformance::header::Feature;
use snippex_core::conformance::{Expected, Mismatch, Program, ProgramEnd, Register, mismatches};
use snippex_core::observation::Endpoint;
use snippex_core::state::Components;

use crate::engine::{Engine, EngineError, GuestCpu, ProgramOutcome};

const SIGILL: u8 = 4;

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
    pub subject: Subject,
}

/// What a test runs.
#[derive(Clone, Debug)]
pub enum Subject {
    /// A program that runs until `hlt`.
    Program {
        /// Code and memory.
        program: Program,
        /// Registers at the end.
        expected: Vec<Expected>,
        /// Registers in which two engines have to agree, whatever they hold.
        agreed: Vec<Register>,
    },
}

/// Whether an engine passes a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything that is listed is as expected.
    Passed,
    /// Something is not.
    Failed(Failure),
    /// The engine lacks what the test needs, in words.
    Unsupported(String),
}

/// How a test failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Registers have other values.
    Differs(Vec<Mismatch>),
    /// It did not come to its end.
    Ended(Endpoint),
}

impl ConformanceTest {
    /// The feature that the test needs and a processor is known to lack, in words.
    #[must_use]
    pub fn lacks(&self, cpu: &GuestCpu) -> Option<String> {
        let missing = self
            .features
            .iter()
            .find(|feature| cpu.has_feature(**feature) == Some(false));
        missing.map(|feature| format!("the engine has no {}", feature.name()))
    }

    /// Registers in which two engines have to agree.
    fn agreed(&self) -> &[Register] {
        let Subject::Program { agreed, .. } = &self.subject;
        agreed
    }

    fn judge(&self, outcome: &ProgramOutcome, covered: Components, cpu: &GuestCpu) -> Verdict {
        let Subject::Program { expected, .. } = &self.subject;
        let end = match outcome {
            ProgramOutcome::Unsupported(reason) => return Verdict::Unsupported(reason.to_string()),
            ProgramOutcome::Ended(end) => end,
        };
        if !end.halted() {
            return self.judge_end(end, cpu);
        }
        match mismatches(expected, end, covered) {
            Err(uncovered) => Verdict::Unsupported(uncovered.to_string()),
            Ok(found) if found.is_empty() => Verdict::Passed,
            Ok(found) => Verdict::Failed(Failure::Differs(found)),
        }
    }

    /// It ended where it should not.
    fn judge_end(&self, end: &ProgramEnd, cpu: &GuestCpu) -> Verdict {
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
                Verdict::Unsupported(format!("the engine has no {}: it raises SIGILL", feature.name()))
            }
            None => Verdict::Failed(Failure::Ended(end.endpoint)),
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
) -> Result<Vec<Verdict>, EngineError> {
    let covered = subject.identity().components;
    let cpu = subject.identity().cpu.clone();
    let mut verdicts: Vec<Option<Verdict>> = tests
        .iter()
        .map(|test| test.lacks(&cpu).map(Verdict::Unsupported))
        .collect();
    let runnable: Vec<usize> = (0..tests.len())
        .filter(|&index| verdicts[index].is_none())
        .collect();
    let outcomes = run_all(tests, &runnable, subject)?;
    for (&index, outcome) in runnable.iter().zip(&outcomes) {
        verdicts[index] = Some(tests[index].judge(outcome, covered, &cpu));
    }
    if let Some(reference) = reference {
        let passed = |index: &usize| verdicts[*index] == Some(Verdict::Passed);
        let (shared, ends): (Vec<usize>, Vec<&ProgramOutcome>) = runnable
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
                verdicts[index] = Some(Verdict::Failed(Failure::Differs(differing)));
            }
        }
    }
    let complete = "an engine says for each program how it ended";
    Ok(verdicts
        .into_iter()
        .map(|verdict| verdict.expect(complete))
        .collect())
}

fn run_all(
    tests: &[&ConformanceTest],
    indices: &[usize],
    engine: &mut dyn Engine,
) -> Result<Vec<ProgramOutcome>, EngineError> {
    if indices.is_empty() {
        return Ok(Vec::new());
    }
    let programs: Vec<Program> = indices
        .iter()
        .map(|&index| {
            let Subject::Program { program, .. } = &tests[index].subject;
            program.clone()
        })
        .collect();
    engine.run_programs(&programs)
}

/// Registers of `agreed` that both engines cover and that ended otherwise than on the reference.
fn disagreements(
    agreed: &[Register],
    expected: &ProgramOutcome,
    actual: &ProgramOutcome,
    covered: Components,
) -> Vec<Mismatch> {
    let (ProgramOutcome::Ended(expected), ProgramOutcome::Ended(actual)) = (expected, actual) else {
        return Vec::new();
    };
    if !expected.halted() {
        return Vec::new();
    }
    let wanted = agreed.iter().filter_map(|&register| {
        let widths = [register.max_values(), 2, 1];
        let width = widths
            .into_iter()
            .find(|&width| covered.contains(register.component(width)))?;
        let mut values = register.values(expected);
        values.truncate(width);
        Some(Expected { register, values })
    });
    let wanted: Vec<Expected> = wanted.collect();
    mismatches(&wanted, actual, covered).expect("only what is covered is listed")
}
