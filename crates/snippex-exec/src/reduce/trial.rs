//! Runs many cases side by side on both engines and compares.

use snippex_core::block::{Block, Origin, Terminator};
use snippex_core::case::{Case, Placement};
use snippex_core::diff::{Comparison, Tolerance, compare_observations};
use snippex_core::group::Group;
use snippex_core::observation::{Endpoint, Observation};
use snippex_core::state::MachineState;

use crate::batch::split_into_batches;
use crate::engine::{Engine, EngineError};
use crate::results::{RunOutcome, Unsupported};

/// From one case's code to the next one's: more than a block with its exits takes.
const SPACING: u64 = 0x400;

/// Both ends of a case.
#[derive(Clone, Debug)]
pub struct TrialOutcome {
    /// How it ended on the reference engine.
    pub expected: Observation,
    /// How it ended on the subject.
    pub actual: Observation,
    /// What they say about each other.
    pub comparison: Comparison,
}

/// Two engines, and what the one under test documents to do otherwise.
pub struct Trial<'e> {
    reference: &'e mut dyn Engine,
    subject: &'e mut dyn Engine,
    tolerance: &'e Tolerance,
}

impl std::fmt::Debug for Trial<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Trial").finish_non_exhaustive()
    }
}

impl<'e> Trial<'e> {
    /// Runs on `reference`, which is taken as right, and on `subject`.
    pub fn new(reference: &'e mut dyn Engine, subject: &'e mut dyn Engine, tolerance: &'e Tolerance) -> Self {
        Self {
            reference,
            subject,
            tolerance,
        }
    }

    /// Starts both engines afresh.
    ///
    /// # Errors
    /// When one cannot be started.
    pub fn restart(&mut self) -> Result<(), EngineError> {
        self.reference.restart()?;
        self.subject.restart()
    }

    /// Runs one case where it lies.
    ///
    /// # Errors
    /// When an engine cannot be used.
    pub fn run_case(&mut self, case: &Case) -> Result<Result<TrialOutcome, Unsupported>, EngineError> {
        let groups = [Group::from_case(case)];
        let expected = self.reference.run(&groups)?;
        let actual = self.subject.run(&groups)?;
        let covered = expected.components().intersection(actual.components());
        Ok(match (expected.outcome(0, 0), actual.outcome(0, 0)) {
            (RunOutcome::Unsupported(reason), _) | (_, RunOutcome::Unsupported(reason)) => Err(reason),
            (RunOutcome::Ran(expected), RunOutcome::Ran(actual)) => {
                let comparison = compare_observations(case, &expected, &actual, covered, self.tolerance);
                Ok(TrialOutcome {
                    expected: *expected,
                    actual: *actual,
                    comparison,
                })
            }
        })
    }

    /// Runs `cases`, whose code may lie at the same address: each is moved to a place of its own. `None` where an
    /// engine does not run one. With `careful`, cases that kill an engine are kept apart by one that does not, so that
    /// the engine is not given up.
    ///
    /// # Errors
    /// When an engine cannot be used.
    pub fn run_cases(
        &mut self,
        cases: &[Case],
        careful: bool,
    ) -> Result<Vec<Option<TrialOutcome>>, EngineError> {
        if let ([case], false) = (cases, careful) {
            return Ok(vec![self.run_case(case)?.ok()]);
        }
        let distance = |index: usize| 2 * index as u64 * SPACING;
        let mut moved = Vec::with_capacity(cases.len());
        for (index, case) in cases.iter().enumerate() {
            let mut case = case.clone();
            case.placement.code_base = case.placement.code_base.wrapping_add(distance(index));
            moved.push(case);
        }
        let harmless = |case: &Case| {
            let placement = Placement {
                code_base: case.placement.code_base.wrapping_add(SPACING),
                ..case.placement
            };
            build_nop_case(case.block.address, placement)
        };
        let groups: Vec<Group> = if careful {
            moved
                .iter()
                .flat_map(|case| [Group::from_case(&harmless(case)), Group::from_case(case)])
                .collect()
        } else {
            moved.iter().map(Group::from_case).collect()
        };
        let step = if careful { 2 } else { 1 };
        let mut seen = Vec::with_capacity(cases.len());
        for range in split_into_batches(&groups) {
            let batch = &groups[range.clone()];
            let expected = self.reference.run(batch)?;
            let actual = self.subject.run(batch)?;
            let covered = expected.components().intersection(actual.components());
            for (position, index) in range.enumerate() {
                if careful && index % 2 == 0 {
                    continue;
                }
                let case = &moved[index / step];
                let back = |end: Observation| move_back(end, case, distance(index / step));
                seen.push(
                    match (expected.outcome(position, 0), actual.outcome(position, 0)) {
                        (RunOutcome::Ran(expected), RunOutcome::Ran(actual)) => Some(TrialOutcome {
                            comparison: compare_observations(
                                case,
                                &expected,
                                &actual,
                                covered,
                                self.tolerance,
                            ),
                            expected: back(*expected),
                            actual: back(*actual),
                        }),
                        _ => None,
                    },
                );
            }
        }
        Ok(seen)
    }
}

/// The end of a case that was moved by `distance`, with a signal where it comes from in the case that was meant.
fn move_back(mut end: Observation, moved: &Case, distance: u64) -> Observation {
    if let Endpoint::Signal(signal) = &mut end.endpoint
        && signal.rip.wrapping_sub(moved.code_address()) <= moved.block.bytes.len() as u64
    {
        signal.rip = signal.rip.wrapping_sub(distance);
    }
    end
}

/// A case that every engine survives.
pub(crate) fn build_nop_case(address: u64, placement: Placement) -> Case {
    let block = Block {
        address,
        bytes: vec![0x90],
        instruction_count: 1,
        terminator: Terminator::FallThrough,
        successors: vec![address.wrapping_add(1)],
        origin: Origin::Sweep,
        unrunnable: None,
    };
    Case {
        block: block.into(),
        placement,
        state: MachineState::default(),
        pages: [].into(),
    }
}
