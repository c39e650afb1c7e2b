//! Whether numbers that are too small for their exponent may be behind a difference: where MXCSR says what becomes of those
//! (DAZ of operands, FTZ of results), and such a number is among what the instruction read or what came of it.

use std::iter;

use iced_x86::{Instruction, InstructionInfoFactory, OpAccess, Register, UsedMemory};

use super::difference::{Difference, Field, Value};
use crate::block::Block;
use crate::case::{Case, PAGE_SIZE};
use crate::decode::block_decoder;
use crate::state::MachineState;

/// MXCSR: denormal operands count as zero.
const DAZ: u32 = 1 << 6;
/// MXCSR: results that are too small become zero.
const FTZ: u32 = 1 << 15;

/// Whether MXCSR's switches may have made what differs first, which instruction `culprit` of the block wrote.
pub(super) fn may_be_behind(case: &Case, culprit: usize, differences: &[Difference]) -> bool {
    let switches = case.state.mxcsr & (DAZ | FTZ);
    switches != 0 && (differences.iter().any(shows_a_flushed_number) || reads_a_denormal(case, culprit))
}

/// Whether one side of an element is zero and the other one too small for its exponent.
fn shows_a_flushed_number(difference: &Difference) -> bool {
    let (Field::Vector { .. }, Value::Bytes(a), Value::Bytes(b)) =
        (difference.field, &difference.expected, &difference.actual)
    else {
        return false;
    };
    let flushed = |a: &[u8], b: &[u8]| is_zero(a) && is_denormal(b) || is_denormal(a) && is_zero(b);
    let pairs = |size| iter::zip(a.chunks_exact(size), b.chunks_exact(size));
    pairs(4).chain(pairs(8)).any(|(a, b)| flushed(a, b))
}

fn is_zero(element: &[u8]) -> bool {
    element
        .split_last()
        .is_some_and(|(top, rest)| top & 0x7f == 0 && rest.iter().all(|byte| *byte == 0))
}

/// A single or double number, by its length.
fn is_denormal(element: &[u8]) -> bool {
    match (<[u8; 4]>::try_from(element), <[u8; 8]>::try_from(element)) {
        (Ok(single), _) => f32::from_le_bytes(single).is_subnormal(),
        (_, Ok(double)) => f64::from_le_bytes(double).is_subnormal(),
        _ => false,
    }
}

fn has_denormal(bytes: &[u8]) -> bool {
    bytes
        .chunks_exact(4)
        .chain(bytes.chunks_exact(8))
        .any(is_denormal)
}

/// Whether an instruction up to `culprit` reads such a number from a vector register as it was at the start, or from memory.
fn reads_a_denormal(case: &Case, culprit: usize) -> bool {
    let mut factory = InstructionInfoFactory::new();
    let mut written: Vec<Register> = Vec::new();
    for instruction in instructions(&case.block).take(culprit + 1) {
        let info = factory.info(&instruction);
        let in_register = info.used_registers().iter().any(|used| {
            let register = used.register();
            register.is_vector_register()
                && reads(used.access())
                && has_denormal(&case.state.vectors[register.number()][..register.size()])
        });
        let in_memory = info
            .used_memory()
            .iter()
            .any(|memory| reads(memory.access()) && has_denormal(&bytes_read(case, memory, &written)));
        if in_register || in_memory {
            return true;
        }
        let changed = info
            .used_registers()
            .iter()
            .filter(|used| !reads_only(used.access()));
        written.extend(changed.map(|used| used.register().full_register()));
    }
    false
}

fn instructions(block: &Block) -> impl Iterator<Item = Instruction> {
    let mut decoder = block_decoder(block);
    iter::from_fn(move || decoder.can_decode().then(|| decoder.decode()))
}

fn reads(access: OpAccess) -> bool {
    use OpAccess as A;
    matches!(access, A::Read | A::CondRead | A::ReadWrite | A::ReadCondWrite)
}

fn reads_only(access: OpAccess) -> bool {
    matches!(
        access,
        OpAccess::Read | OpAccess::CondRead | OpAccess::NoMemAccess | OpAccess::None
    )
}

/// What is at an operand in memory at the start of the run; everything in the case's pages when an instruction of the block
/// has `written` a register of its address.
fn bytes_read(case: &Case, memory: &UsedMemory, written: &[Register]) -> Vec<u8> {
    let known = [memory.base(), memory.index()]
        .iter()
        .all(|register| !register.is_gpr() || !written.contains(&register.full_register()));
    let address = memory.virtual_address(0, |register, _, _| register_value(&case.state, register));
    let (true, Some(address)) = (known, address) else {
        return case
            .pages
            .iter()
            .flat_map(|page| page.content.iter().copied())
            .collect();
    };
    let size = memory.memory_size().size().max(1) as u64;
    (0..size)
        .map(|offset| byte_at(case, address.wrapping_add(offset)))
        .collect()
}

fn byte_at(case: &Case, address: u64) -> u8 {
    let page = address & !(PAGE_SIZE as u64 - 1);
    let found = case.pages.binary_search_by_key(&page, |page| page.address);
    found.map_or(0, |index| case.pages[index].content[(address - page) as usize])
}

/// The part of an address that a register is, at the start of a run; nothing for those that no address of a scalar has.
fn register_value(state: &MachineState, register: Register) -> Option<u64> {
    match register {
        Register::FS => Some(state.fs_base),
        Register::GS => Some(state.gs_base),
        other if other.is_segment_register() => Some(0),
        other if other.is_gpr() => {
            let whole = state.gpr[other.full_register().number()];
            Some(if other.is_gpr32() {
                whole & 0xffff_ffff
            } else {
                whole
            })
        }
        _ => None,
    }
}
