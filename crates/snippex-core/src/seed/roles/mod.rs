//! What each register's start value is used for in a block, found by following linear combinations of start values
//! through moves, additions and LEA.

mod analysis;
mod role;

#[cfg(test)]
mod tests;

pub use role::{MemoryUse, Role};

use crate::decode::block_decoder;
use iced_x86::Instruction;

use crate::block::{Block, Terminator};
use crate::case::Placement;
use analysis::Analysis;

/// The roles of a block's registers and its memory operands.
#[derive(Clone, Debug)]
pub struct Roles {
    /// By register, encoding order.
    pub roles: [Role; 16],
    /// Operands in order of execution; those of a conditional or repeated instruction included.
    pub memory: Vec<MemoryUse>,
    /// Where the terminator loads its target from: the slot of RET, or the operand of an indirect jump or call.
    pub target_slot: Option<MemoryUse>,
    /// A loaded value is used as an address.
    pub follows_pointers: bool,
    /// Some instruction reads the direction flag.
    pub uses_direction: bool,
    /// Some instruction computes with x87 registers.
    pub x87: bool,
    /// Some address has a vector register as index.
    pub vector_index: bool,
}

impl Roles {
    /// Analyses a block that lies at `placement`.
    #[must_use]
    pub fn from_block(block: &Block, placement: Placement) -> Self {
        let mut analysis = Analysis::new(placement);
        let mut decoder = block_decoder(block);
        let mut instruction = Instruction::default();
        while decoder.can_decode() {
            decoder.decode_out(&mut instruction);
            if instruction.is_invalid() {
                break;
            }
            analysis.apply_instruction(&instruction);
        }
        let mut roles = analysis.roles;
        if !matches!(
            block.terminator,
            Terminator::Ret | Terminator::IndirectCall | Terminator::IndirectJmp
        ) {
            roles.target_slot = None;
        }
        roles
    }
}
