//! Which instruction of a block a divergence begins at: the block's prefixes are run on both engines until one
//! diverges.
//!
//! This finds the instruction at which the states part, which is the one computed wrongly unless an earlier one had
//! an effect that no component of the state shows. It does not simplify the state: that is reduction.

use std::sync::Arc;

use iced_x86::{Decoder, DecoderOptions};
use snippex_core::block::{Block, Terminator};
use snippex_core::case::Case;
use snippex_core::diff::{Class, Comparison, Culprit, Divergence, Field, Tolerance, compare};
use snippex_core::effects::BlockEffects;
use snippex_core::group::Group;
use snippex_core::observation::Endpoint;

use crate::engine::{Engine, EngineError};
use crate::results::Outcome;

/// The class of `divergence`, with the instruction at which the engines part.
///
/// # Errors
/// When an engine cannot be used.
pub fn locate(
    case: &Case,
    divergence: &Divergence,
    reference: &mut dyn Engine,
    subject: &mut dyn Engine,
    tolerance: &Tolerance,
) -> Result<Class, EngineError> {
    let effects = BlockEffects::new(&case.block);
    let ends = instruction_ends(&case.block);
    let sticky = divergence
        .differences
        .iter()
        .all(|difference| is_sticky(difference.field));
    for (index, &end) in ends.iter().enumerate().take(ends.len().saturating_sub(1)) {
        let prefix = Case {
            block: Arc::new(prefix(&case.block, end, index + 1)),
            ..case.clone()
        };
        let groups = [Group::of(&prefix)];
        let expected = reference.run(&groups)?;
        let actual = subject.run(&groups)?;
        let covered = expected.components().intersection(actual.components());
        let (Outcome::Ran(expected), Outcome::Ran(actual)) = (expected.outcome(0, 0), actual.outcome(0, 0))
        else {
            break;
        };
        if let Comparison::Diverged(parted) = compare(&prefix, &expected, &actual, covered, tolerance) {
            // Exception flags stay set: when they are not what this is about, another bug has set them before.
            if sticky
                || parted
                    .differences
                    .iter()
                    .any(|difference| !is_sticky(difference.field))
            {
                let culprit = effects.form(index).map(|form| Culprit {
                    instruction: index,
                    form,
                });
                return Ok(Class {
                    kind: parted.class.kind,
                    culprit,
                });
            }
        }
        if !matches!(expected.endpoint, Endpoint::Exit { .. }) {
            break;
        }
    }
    let mut class = divergence.class.clone();
    let ran_through = divergence
        .differences
        .first()
        .is_none_or(|difference| difference.field != Field::Endpoint);
    let last = ends.len().saturating_sub(1);
    if ran_through && let Some(form) = effects.form(last) {
        // No prefix diverges, so it is the last instruction.
        class.culprit = Some(Culprit {
            instruction: last,
            form,
        });
    }
    Ok(class)
}

fn is_sticky(field: Field) -> bool {
    matches!(field, Field::Mxcsr | Field::X87Status)
}

/// Offset behind each instruction.
fn instruction_ends(block: &Block) -> Vec<usize> {
    let mut decoder = Decoder::with_ip(64, &block.bytes, block.address, DecoderOptions::NONE);
    let mut ends = Vec::new();
    while decoder.can_decode() {
        let _ = decoder.decode();
        ends.push(decoder.position());
    }
    ends
}

fn prefix(block: &Block, end: usize, instructions: usize) -> Block {
    Block {
        bytes: block.bytes[..end].to_vec(),
        instruction_count: instructions as u32,
        terminator: Terminator::FallThrough,
        successors: vec![block.address + end as u64],
        ..block.clone()
    }
}
