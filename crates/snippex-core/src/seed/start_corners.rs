//! Starts that are there for one corner each: the operand in memory at an edge, and flags that are all set or all clear.
//!
//! Which start has which corner follows from its index, so that every block that can meet a corner does, and that it does can
//! be counted without making start states.

use super::{Linear, Role, Roles};
use crate::address_space::ARENA;
use crate::case::PAGE_SIZE;
use crate::state::{RSP, rflags};

/// What one of the starts of a generated block is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StartCorner {
    /// The operand in memory ends at the last byte of its page: what reads beyond it faults.
    OperandAtPageEnd,
    /// The operand begins at the first byte of its page.
    OperandAtPageStart,
    /// All status flags are clear, and so is DF.
    FlagsClear,
    /// All status flags are set.
    FlagsSet,
    /// The operand lies across sixteen bytes.
    OperandAcrossChunk,
    /// The operand lies across a line of 64 bytes.
    OperandAcrossLine,
    /// The operand lies across a page.
    OperandAcrossPage,
}

/// Index of the start with the first corner.
const FIRST: usize = 7;
/// A line in the middle of the page.
const LINE: u64 = ARENA + 0x440;
const CHUNK: u64 = LINE + 0x10;
const PAGE_END: u64 = ARENA + PAGE_SIZE as u64;

impl StartCorner {
    /// In the order of the starts that have them.
    pub const ALL: [Self; 7] = [
        Self::OperandAtPageEnd,
        Self::OperandAtPageStart,
        Self::FlagsClear,
        Self::FlagsSet,
        Self::OperandAcrossChunk,
        Self::OperandAcrossLine,
        Self::OperandAcrossPage,
    ];

    /// That of the start with an index.
    pub(super) fn of_start(index: usize) -> Option<Self> {
        Self::ALL.get(index.checked_sub(FIRST)?).copied()
    }

    /// Whether a block with `roles` meets it among so many starts.
    #[must_use]
    pub fn is_met(self, roles: &Roles, starts: usize) -> bool {
        let is_there = FIRST + self as usize;
        let is_met = match self {
            Self::FlagsClear | Self::FlagsSet => true,
            _ => self.wanted_address(roles).is_some() && movable_operand(roles).is_some(),
        };
        is_there < starts && is_met
    }

    /// Where the only operand in memory has to begin; `None` where it cannot lie so.
    fn wanted_address(self, roles: &Roles) -> Option<u64> {
        let [memory] = &roles.memory[..] else { return None };
        let size = memory.size as u64;
        let across = |boundary: u64, most: u64| (2..=most).contains(&size).then(|| boundary - size / 2);
        match self {
            Self::OperandAtPageEnd => Some(PAGE_END - size.max(1)),
            Self::OperandAtPageStart => Some(ARENA),
            Self::OperandAcrossChunk => across(CHUNK, 16),
            Self::OperandAcrossLine => across(LINE, 64),
            Self::OperandAcrossPage => across(PAGE_END, 64),
            Self::FlagsClear | Self::FlagsSet => None,
        }
    }

    /// Moves the operand there. Operands whose address no register moves by itself stay where they are.
    pub(super) fn move_operand(self, roles: &Roles, gpr: &mut [u64; 16]) {
        if let (Some(wanted), Some((address, register))) =
            (self.wanted_address(roles), movable_operand(roles))
        {
            let distance = wanted.wrapping_sub(address.value_for(gpr));
            let slot = &mut gpr[usize::from(register)];
            *slot = slot.wrapping_add(distance);
        }
    }

    /// The flags of a start that has others without it.
    pub(super) fn set_flags(self, flags: u64) -> u64 {
        match self {
            Self::FlagsClear => flags & !(rflags::STATUS | rflags::DF),
            Self::FlagsSet => flags | rflags::STATUS,
            _ => flags,
        }
    }
}

/// The address of the only operand in memory, and the register that moves it byte by byte.
fn movable_operand(roles: &Roles) -> Option<(&Linear, u8)> {
    let [memory] = &roles.memory[..] else { return None };
    let address = memory.address.as_ref().filter(|_| memory.segment.is_none())?;
    let can_move = |register: u8| {
        let role = roles.roles[usize::from(register)];
        usize::from(register) != RSP && !matches!(role, Role::Base { pinned: true, .. })
    };
    let mut terms = address.terms.iter();
    let plain = terms.find(|(register, scale)| *scale == 1 && can_move(*register))?;
    (!address.narrowed).then_some((address, plain.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::{Block, Origin, Terminator};
    use crate::case::Placement;

    #[test]
    fn an_operand_is_moved_to_where_its_corner_is() {
        // vpsllw ymm0, ymm1, [rdi+rcx*2+8]
        let block = Block {
            address: 0x1000,
            bytes: vec![0xc5, 0xf5, 0xf1, 0x44, 0x4f, 0x08],
            instruction_count: 1,
            terminator: Terminator::FallThrough,
            successors: vec![],
            origin: Origin::Generated,
            unrunnable: None,
        };
        let placement = Placement {
            image_base: 0,
            code_base: 0,
        };
        let roles = Roles::from_block(&block, placement);
        let address = |corner: StartCorner| {
            let mut gpr = [7; 16];
            corner.move_operand(&roles, &mut gpr);
            gpr[7].wrapping_add(2 * gpr[1]).wrapping_add(8)
        };
        assert_eq!(address(StartCorner::OperandAtPageEnd), PAGE_END - 16);
        assert_eq!(address(StartCorner::OperandAtPageStart), ARENA);
        assert_eq!(address(StartCorner::OperandAcrossChunk), CHUNK - 8);
        assert_eq!(address(StartCorner::OperandAcrossLine), LINE - 8);
        assert_eq!(address(StartCorner::OperandAcrossPage), PAGE_END - 8);
        assert_eq!(address(StartCorner::FlagsSet), 29);
        assert!(StartCorner::ALL.iter().all(|corner| corner.is_met(&roles, 64)));
        assert!(!StartCorner::FlagsSet.is_met(&roles, 8));
    }

    #[test]
    fn flags_are_all_set_or_all_clear() {
        let flags = rflags::INITIAL | rflags::DF | rflags::ZF;
        assert_eq!(StartCorner::FlagsClear.set_flags(flags), rflags::INITIAL);
        assert_eq!(StartCorner::FlagsSet.set_flags(flags), flags | rflags::STATUS);
        assert_eq!(StartCorner::OperandAtPageEnd.set_flags(flags), flags);
    }
}
