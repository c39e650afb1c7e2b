//! Documented deviations in flags, told by the instruction that sets them and by how the block ends.

use iced_x86::Register;

use super::class::Class;
use super::difference::{Difference, Field};
use super::tolerance::{Deviates, Deviation, Tolerance};
use crate::block::Terminator;
use crate::case::Case;
use crate::decode::block_decoder;
use crate::effects::BlockEffects;

/// The deviation behind `differences`, which are all in flags.
pub(super) fn explain<'t>(
    effects: &BlockEffects,
    completed: usize,
    case: &Case,
    differences: &[Difference],
    tolerance: &'t Tolerance,
) -> Option<&'t Deviation> {
    let mut deviations = tolerance.deviations.iter();
    let deviation = deviations.find(|deviation| deviation.deviates == Deviates::FlagsAtCalls)?;
    let in_flags = |difference: &Difference| matches!(difference.field, Field::Flag { .. });
    if differences.is_empty() || !differences.iter().all(in_flags) {
        return None;
    }
    let ends_in_call = matches!(
        case.block.terminator,
        Terminator::Call | Terminator::IndirectCall | Terminator::Ret
    );
    let on_stack_pointer = || {
        let culprit = Class::of_state(effects, completed, differences).culprit?;
        let instruction = block_decoder(&case.block).into_iter().nth(culprit.instruction)?;
        Some(instruction.op0_register().full_register() == Register::RSP)
    };
    (ends_in_call || on_stack_pointer() == Some(true)).then_some(deviation)
}
