//! Helpers: code assembled for the purpose, in a case that gives known addresses and counts.

mod faults;
mod host;
mod integer;
mod properties;
mod table;
mod vector;
mod x87;

use std::sync::Arc;

use iced_x86::code_asm::*;

use super::*;
use crate::block::{Origin, Terminator};
use crate::case::{PAGE_SIZE, Page, PageAccess, Placement};

pub(crate) const ADDRESS: u64 = 0x40_1000;
pub(crate) const DATA: u64 = 0x10_0000;

/// A block of assembled code.
pub(crate) fn block(write: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>) -> Block {
    let mut assembler = CodeAssembler::new(64).unwrap();
    write(&mut assembler).unwrap();
    let instruction_count = assembler.instructions().len() as u32;
    Block {
        address: ADDRESS,
        bytes: assembler.assemble(ADDRESS).unwrap(),
        instruction_count,
        terminator: Terminator::FallThrough,
        successors: Vec::new(),
        origin: Origin::Sweep,
        unrunnable: None,
    }
}

/// A case of `block` with two data pages at [`DATA`], RSI, RDI and RSP pointing into them, and RCX of `count`.
pub(crate) fn case(block: Block, count: u64) -> Case {
    let page = |address| Page {
        address,
        access: PageAccess::ReadWrite,
        content: Arc::new([0x11; PAGE_SIZE]),
    };
    let mut state = MachineState::default();
    state.gpr[1] = count;
    state.gpr[4] = DATA + 0x800;
    state.gpr[6] = DATA + 0x100;
    state.gpr[7] = DATA + 0x200;
    Case {
        block: Arc::new(block),
        placement: Placement {
            image_base: 0,
            code_base: 0x1000_0000,
        },
        state,
        pages: Arc::new([page(DATA), page(DATA + PAGE_SIZE as u64)]),
    }
}

fn mask_with(count: u64, write: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>) -> Mask {
    let case = case(block(write), count);
    BlockEffects::new(&case.block).mask_at_endpoint(&case, &Endpoint::Exit { target: 0 }, &case.state)
}

fn mask(write: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>) -> Mask {
    mask_with(0, write)
}

fn rules(list: &[Rule]) -> RuleSet {
    list.iter().copied().collect()
}
