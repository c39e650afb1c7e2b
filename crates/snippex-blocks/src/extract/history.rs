//! Looks back from an instruction over code that has been traced.

use iced_x86::{Instruction, Register};

use super::code::{CodeRegions, Position};
use snippex_core::decode::intel_decoder;

/// An instruction that ran before, newest first.
#[derive(Clone, Copy, Debug)]
pub(super) struct PastInstructions {
    pub(super) instruction: Instruction,
    /// Control came from here by a taken branch.
    pub(super) taken: bool,
}

/// The run of code that leads to a position: where it starts, and the branch taken to its start.
pub(super) type Path = (Position, Option<Position>);

/// Up to `limit` instructions on the path to `position`, newest first: the straight run itself, then the code that
/// branched to it. Beyond that, in order of address.
pub(super) fn collect_past_instructions(
    code: &CodeRegions<'_>,
    position: Position,
    (start, from): Path,
    limit: usize,
) -> Vec<PastInstructions> {
    let mut found = Vec::new();
    let (mut at, mut from) = (position, from);
    while found.len() < limit {
        let step = if at == start { from.take() } else { None };
        let taken = step.is_some();
        let Some(previous) = step.or_else(|| previous(code, at, 15)) else {
            break;
        };
        found.push(PastInstructions {
            instruction: decode(code, previous),
            taken,
        });
        at = previous;
    }
    found
}

/// The address that the nearest `lea register, [rip + x]` (or `mov register, address`) before `position` puts into
/// `register`, in order of address. Compilers hoist it, so that the path alone does not show it.
///
/// Looks back to `lowest` and over as many bytes as `budget` still has: what lies between may not have been traced
/// yet, so that gaps do not end the search.
pub(super) fn nearest_address(
    code: &CodeRegions<'_>,
    position: Position,
    register: Register,
    lowest: Position,
    budget: &mut u64,
) -> Option<u64> {
    let reach = u32::try_from(*budget).unwrap_or(Position::MAX);
    let lowest = lowest
        .max(position.saturating_sub(reach))
        .max(code.region_at(position).base);
    let mut at = position;
    let found = loop {
        let Some(previous) = code.previous_instruction(at, lowest) else {
            break None;
        };
        at = previous;
        let address = loaded_address(&decode(code, at), register);
        if address.is_some() {
            break address;
        }
    };
    *budget = budget.saturating_sub(u64::from(position - at));
    found
}

/// The address that `instruction` puts into `register`, when it is one.
pub(super) fn loaded_address(instruction: &Instruction, register: Register) -> Option<u64> {
    use iced_x86::{Mnemonic, OpKind};
    if instruction.op0_kind() != OpKind::Register || instruction.op0_register().full_register() != register {
        return None;
    }
    match (instruction.mnemonic(), instruction.op1_kind()) {
        (Mnemonic::Lea, _) if instruction.memory_base() == Register::RIP => {
            Some(instruction.memory_displacement64())
        }
        (Mnemonic::Mov, OpKind::Immediate32) => Some(u64::from(instruction.immediate32())),
        (Mnemonic::Mov, OpKind::Immediate32to64) => Some(instruction.immediate32to64() as u64),
        (Mnemonic::Mov, OpKind::Immediate64) => Some(instruction.immediate64()),
        _ => None,
    }
}

fn previous(code: &CodeRegions<'_>, position: Position, reach: Position) -> Option<Position> {
    let lowest = code.region_at(position).base.max(position.saturating_sub(reach));
    code.previous_instruction(position, lowest)
}

fn decode(code: &CodeRegions<'_>, position: Position) -> Instruction {
    intel_decoder(code.bytes_from(position), code.address_of(position)).decode()
}
