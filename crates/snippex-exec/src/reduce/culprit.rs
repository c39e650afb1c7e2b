//! Which instruction of a block a divergence begins at: the block's beginnings are run on both engines until one
//! diverges.
//!
//! This finds the instruction at which the states part, which is the one computed wrongly unless an earlier one had
//! an effect that no component of the state shows.

use iced_x86::{InstructionInfoFactory, Register};
use snippex_core::address_space::RUNNER;
use snippex_core::case::Case;
use snippex_core::decode::intel_decoder;
use snippex_core::diff::{Class, Comparison, Culprit, Divergence, Field};
use snippex_core::observation::{Endpoint, Observation};
use snippex_triage::cause::{Attribution, attribute_causes, of_signature};
use snippex_triage::pattern::DivergenceFacts;
use snippex_triage::reduce::{block_prefix, instruction_ends, starting_at};
use snippex_triage::signature::{BugKind, Signature};

use super::proof::prove_attributions;
use super::trial::{Trial, TrialOutcome};
use crate::engine::EngineError;

/// Beginnings that are run at a time.
const BATCH: usize = 32;

/// Where two engines part.
#[derive(Clone, Debug)]
pub struct FirstDivergence {
    /// The instruction.
    pub instruction: usize,
    /// What differs right behind it.
    pub divergence: Divergence,
    /// The signature of that, in which several bugs may show at the same time.
    pub signature: Signature,
    /// The reference's state right before it; `None` at the first instruction.
    pub before: Option<Observation>,
    /// What is behind it: of the instruction alone, from the reference's state, where that shows anything.
    pub attributions: Vec<Attribution>,
}

impl FirstDivergence {
    /// Kind and culprit as reports group by them.
    #[must_use]
    pub fn class(&self) -> Class {
        Class {
            kind: self.divergence.class.kind,
            culprit: Some(Culprit {
                instruction: self.instruction,
                form: self.signature.form.text.clone(),
            }),
        }
    }

    /// Whether the instruction uses memory where the runner's own lies, for a state that a program would be in: what is
    /// there belongs to no case, and differs from engine to engine.
    #[must_use]
    pub fn reaches_runner(&self, case: &Case) -> bool {
        let state = self.before.as_ref().map_or(&case.state, |before| &before.state);
        let ip = case.block.address.wrapping_add(case.placement.image_base);
        let decoder = intel_decoder(&case.block.bytes, ip);
        let Some(instruction) = decoder.into_iter().nth(self.instruction) else {
            return false;
        };
        let value = |register: Register| match register {
            Register::FS => Some(state.fs_base),
            Register::GS => Some(state.gs_base),
            _ if register.is_segment_register() => Some(0),
            _ if register.is_gpr() => {
                let full = state.gpr[register.full_register().number()];
                Some(if register.is_gpr32() {
                    full & 0xffff_ffff
                } else {
                    full
                })
            }
            _ => None,
        };
        let mut factory = InstructionInfoFactory::new();
        let info = factory.info(&instruction);
        info.used_memory().iter().any(|memory| {
            let address = memory.virtual_address(0, |register, _, _| value(register));
            let end = |address: u64| address.saturating_add(memory.memory_size().size().max(1) as u64);
            address.is_some_and(|address| {
                let mut areas = RUNNER.iter();
                areas.any(|area| address < area.end && end(address) > area.start)
            })
        })
    }
}

/// Where the engines part in `case`, which diverges as `whole` says. `None` when that cannot be said.
///
/// # Errors
/// When an engine cannot be used.
pub fn locate_first_divergence(
    case: &Case,
    whole: &Divergence,
    trial: &mut Trial<'_>,
) -> Result<Option<FirstDivergence>, EngineError> {
    let ends = instruction_ends(&case.block);
    let sticky = is_sticky(whole);
    // Where the engine dies or hangs, each beginning that is too long costs a process, or all of its patience.
    let batch = match BugKind::from_divergence(whole) {
        BugKind::EngineDied | BugKind::EngineHung => 1,
        _ => BATCH,
    };
    let mut before: Option<Observation> = None;
    let mut first_sticky: Option<FirstDivergence> = None;
    // The whole block is known to diverge, but what it looks like at its end need not be where it begins.
    for first in (0..ends.len()).step_by(batch) {
        let indices = first..ends.len().min(first + batch);
        let beginnings: Vec<Case> = indices
            .clone()
            .map(|index| Case {
                block: block_prefix(&case.block, ends[index], index + 1).into(),
                ..case.clone()
            })
            .collect();
        let seen = trial.run_cases(&beginnings, false)?;
        for (index, seen) in indices.zip(seen) {
            let Some(seen) = seen else {
                return Ok(None);
            };
            let ran_through = matches!(seen.expected.endpoint, Endpoint::Exit { .. });
            if let Comparison::Diverged(divergence) = seen.comparison {
                let is_sticky = is_sticky(&divergence);
                let Some(signature) = Signature::from_divergence(&case.block, index, &divergence) else {
                    return Ok(None);
                };
                let first_divergence = FirstDivergence {
                    instruction: index,
                    divergence,
                    signature,
                    before: before.clone(),
                    attributions: Vec::new(),
                };
                if sticky || !is_sticky {
                    let chosen = match first_sticky {
                        Some(first) if alone(case, &first_divergence, &ends, trial)?.is_none() => first,
                        _ => first_divergence,
                    };
                    return attributed(case, chosen, &ends, trial).map(Some);
                }
                // Exception flags stay set: when they are not what this is about, another bug has set them before. But
                // what reads them (FNSTSW) is wrong because of that other bug.
                first_sticky.get_or_insert(first_divergence);
            }
            if !ran_through {
                return Ok(None);
            }
            before = Some(seen.expected);
        }
    }
    Ok(None)
}

/// `first_divergence` with what is behind it.
fn attributed(
    case: &Case,
    mut first_divergence: FirstDivergence,
    ends: &[usize],
    trial: &mut Trial<'_>,
) -> Result<FirstDivergence, EngineError> {
    let shown = match alone(case, &first_divergence, ends, trial)? {
        Some(shown) => Some(shown),
        None => {
            let whole = up_to(case, first_divergence.instruction, ends);
            trial.run_case(&whole)?.ok().map(|seen| (whole, seen))
        }
    };
    let proven = match &shown {
        Some((case, seen)) => prove_attributions(&[(case, seen)], is_fatal(seen), trial)?
            .pop()
            .flatten(),
        None => None,
    };
    first_divergence.attributions = proven.unwrap_or_else(|| of_signature(&first_divergence.signature));
    Ok(first_divergence)
}

/// Whether the subject died or hung.
fn is_fatal(seen: &TrialOutcome) -> bool {
    matches!(seen.actual.endpoint, Endpoint::EngineDied { .. } | Endpoint::Hung)
}

/// What is behind a divergence that begins at the last instruction of `case`.
pub(crate) fn shares_of(case: &Case, seen: &TrialOutcome) -> Option<Vec<Attribution>> {
    let Comparison::Diverged(divergence) = &seen.comparison else {
        return None;
    };
    let last = (case.block.instruction_count as usize).checked_sub(1)?;
    let signature = Signature::from_divergence(&case.block, last, divergence)?;
    let facts = DivergenceFacts::new(&signature, case, &seen.expected, &divergence.differences)?;
    Some(attribute_causes(&facts))
}

/// The block of `case` up to and including instruction `index`.
fn up_to(case: &Case, index: usize, ends: &[usize]) -> Case {
    Case {
        block: block_prefix(&case.block, ends[index], index + 1).into(),
        ..case.clone()
    }
}

/// The instruction where two runs part by itself, from the reference's state, if it diverges so.
fn alone(
    case: &Case,
    first_divergence: &FirstDivergence,
    ends: &[usize],
    trial: &mut Trial<'_>,
) -> Result<Option<(Case, TrialOutcome)>, EngineError> {
    let index = first_divergence.instruction;
    let whole = up_to(case, index, ends);
    let alone = match &first_divergence.before {
        Some(before) => starting_at(&whole, ends[index - 1], index, before),
        None => whole,
    };
    let seen = trial.run_case(&alone)?.ok();
    Ok(seen
        .filter(|seen| matches!(seen.comparison, Comparison::Diverged(_)))
        .map(|seen| (alone, seen)))
}

/// Whether only exception flags differ.
fn is_sticky(divergence: &Divergence) -> bool {
    divergence
        .differences
        .iter()
        .all(|difference| matches!(difference.field, Field::Mxcsr | Field::X87Status))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use snippex_core::block::{Block, Origin, Terminator};
    use snippex_core::case::Placement;
    use snippex_core::diff::{Comparison, Tolerance, compare_observations};
    use snippex_core::state::{Components, MachineState};

    use super::*;

    #[test]
    fn the_runners_memory_is_known_by_its_address() {
        // mov eax, ecx; mov r9d, [r8 + 8]; mov edx, [eax]
        let bytes = [0x89, 0xc8, 0x45, 0x8b, 0x48, 0x08, 0x67, 0x8b, 0x10];
        let block = Block {
            address: 0x1000,
            bytes: bytes.to_vec(),
            instruction_count: 3,
            terminator: Terminator::FallThrough,
            successors: vec![],
            origin: Origin::Symbol,
            unrunnable: None,
        };
        let mut case = Case {
            block: Arc::new(block),
            placement: Placement {
                image_base: 0x2_0000_0000,
                code_base: 0x2_1d60_0000,
            },
            state: MachineState::default(),
            pages: [].into(),
        };
        let end = Observation {
            endpoint: Endpoint::Exit {
                target: 0x2_1d60_1009,
            },
            state: case.state.clone(),
            memory: vec![],
        };
        let mut other = end.clone();
        other.state.gpr[9] = 1;
        let covered = Components::GENERAL;
        let Comparison::Diverged(divergence) =
            compare_observations(&case, &end, &other, covered, &Tolerance::none())
        else {
            panic!("they differ in R9");
        };
        let mut reaches = |instruction, r8, rax| {
            (case.state.gpr[8], case.state.gpr[0]) = (r8, rax);
            let first_divergence = FirstDivergence {
                instruction,
                signature: Signature::from_divergence(&case.block, instruction, &divergence)
                    .expect("a register differs"),
                divergence: divergence.clone(),
                before: None,
                attributions: Vec::new(),
            };
            first_divergence.reaches_runner(&case)
        };
        assert!(reaches(1, 0xc_0400_0000, 0));
        assert!(reaches(1, RUNNER[1].start - 9, 0));
        assert!(!reaches(1, RUNNER[1].start - 12, 0));
        assert!(!reaches(1, 0x3_1000_0000, 0));
        // 32-bit addresses.
        assert!(reaches(2, 0, 0xffff_0000_7000_0010));
        assert!(!reaches(0, 0xc_0400_0000, 0));
    }
}
