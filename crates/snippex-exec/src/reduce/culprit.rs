//! Which instruction of a block a divergence begins at: the block's beginnings are run on both engines until one
//! diverges.
//!
//! This finds the instruction at which the states part, which is the one computed wrongly unless an earlier one had
//! an effect that no component of the state shows.

use snippex_core::case::Case;
use snippex_core::cause::{Share, of_signature, shares};
use snippex_core::diff::{Class, Comparison, Culprit, Divergence, Field};
use snippex_core::observation::{Endpoint, Observation};
use snippex_core::reduce::{instruction_ends, prefix, starting_at};
use snippex_core::ruling::Evidence;
use snippex_core::signature::{BugKind, Signature};

use super::trial::{Seen, Trial};
use crate::engine::EngineError;

/// Beginnings that are run at a time.
const BATCH: usize = 32;

/// Where two engines part.
#[derive(Clone, Debug)]
pub struct Parting {
    /// The instruction.
    pub instruction: usize,
    /// What differs right behind it.
    pub divergence: Divergence,
    /// The signature of that, in which several bugs may show at the same time.
    pub signature: Signature,
    /// The reference's state right before it; `None` at the first instruction.
    pub before: Option<Observation>,
    /// What is behind it: of the instruction alone, from the reference's state, where that shows anything.
    pub shares: Vec<Share>,
}

impl Parting {
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
}

/// Where the engines part in `case`, which diverges as `whole` says. `None` when that cannot be said.
///
/// # Errors
/// When an engine cannot be used.
pub fn part(case: &Case, whole: &Divergence, trial: &mut Trial<'_>) -> Result<Option<Parting>, EngineError> {
    let ends = instruction_ends(&case.block);
    let sticky = is_sticky(whole);
    // Where the engine dies or hangs, each beginning that is too long costs a process, or all of its patience.
    let batch = match BugKind::of(whole) {
        BugKind::EngineDied | BugKind::EngineHung => 1,
        _ => BATCH,
    };
    let mut before: Option<Observation> = None;
    let mut first_sticky: Option<Parting> = None;
    // The whole block is known to diverge, but what it looks like at its end need not be where it begins.
    for first in (0..ends.len()).step_by(batch) {
        let indices = first..ends.len().min(first + batch);
        let beginnings: Vec<Case> = indices
            .clone()
            .map(|index| Case {
                block: prefix(&case.block, ends[index], index + 1).into(),
                ..case.clone()
            })
            .collect();
        let seen = trial.all(&beginnings, false)?;
        for (index, seen) in indices.zip(seen) {
            let Some(seen) = seen else {
                return Ok(None);
            };
            let ran_through = matches!(seen.expected.endpoint, Endpoint::Exit { .. });
            if let Comparison::Diverged(divergence) = seen.comparison {
                let is_sticky = is_sticky(&divergence);
                let Some(signature) = Signature::of(&case.block, index, &divergence) else {
                    return Ok(None);
                };
                let parting = Parting {
                    instruction: index,
                    divergence,
                    signature,
                    before: before.clone(),
                    shares: Vec::new(),
                };
                if sticky || !is_sticky {
                    let chosen = match first_sticky {
                        Some(first) if alone(case, &parting, &ends, trial)?.is_none() => first,
                        _ => parting,
                    };
                    return attributed(case, chosen, &ends, trial).map(Some);
                }
                // Exception flags stay set: when they are not what this is about, another bug has set them before. But
                // what reads them (FNSTSW) is wrong because of that other bug.
                first_sticky.get_or_insert(parting);
            }
            if !ran_through {
                return Ok(None);
            }
            before = Some(seen.expected);
        }
    }
    Ok(None)
}

/// `parting` with what is behind it.
fn attributed(
    case: &Case,
    mut parting: Parting,
    ends: &[usize],
    trial: &mut Trial<'_>,
) -> Result<Parting, EngineError> {
    let shown = match alone(case, &parting, ends, trial)? {
        Some(shown) => Some(shown),
        None => {
            let whole = up_to(case, parting.instruction, ends);
            trial.one(&whole)?.ok().map(|seen| (whole, seen))
        }
    };
    parting.shares = shown
        .and_then(|(case, seen)| shares_of(&case, &seen))
        .unwrap_or_else(|| of_signature(&parting.signature));
    Ok(parting)
}

/// What is behind a divergence that begins at the last instruction of `case`.
pub(crate) fn shares_of(case: &Case, seen: &Seen) -> Option<Vec<Share>> {
    let Comparison::Diverged(divergence) = &seen.comparison else {
        return None;
    };
    let last = (case.block.instruction_count as usize).checked_sub(1)?;
    let signature = Signature::of(&case.block, last, divergence)?;
    let evidence = Evidence::new(&signature, case, &seen.expected, &divergence.differences)?;
    Some(shares(&evidence))
}

/// The block of `case` up to and including instruction `index`.
fn up_to(case: &Case, index: usize, ends: &[usize]) -> Case {
    Case {
        block: prefix(&case.block, ends[index], index + 1).into(),
        ..case.clone()
    }
}

/// The instruction where two runs part by itself, from the reference's state, if it diverges so.
fn alone(
    case: &Case,
    parting: &Parting,
    ends: &[usize],
    trial: &mut Trial<'_>,
) -> Result<Option<(Case, Seen)>, EngineError> {
    let index = parting.instruction;
    let whole = up_to(case, index, ends);
    let alone = match &parting.before {
        Some(before) => starting_at(&whole, ends[index - 1], index, before),
        None => whole,
    };
    let seen = trial.one(&alone)?.ok();
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
