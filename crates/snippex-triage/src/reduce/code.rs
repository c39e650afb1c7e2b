//! Blocks with instructions left out or written more plainly.

use snippex_core::decode::{
    block_decoder, block_instructions, instructions_in, intel_decoder, refused_bytes,
};
use std::collections::BTreeMap;
use std::sync::Arc;

use iced_x86::{Encoder, Instruction, OpKind, Register};

use super::memory::apply_changed_lines;
use snippex_core::block::{Block, Terminator};
use snippex_core::case::Case;
use snippex_core::decode::{Control, control_flow};
use snippex_core::observation::Observation;
use snippex_core::state::{RSP, rflags};

/// RFLAGS bits that a start state may have: those a user program can change, but TF, and the two that are always set.
const STARTABLE: u64 = 0x24_4cd5 | rflags::INITIAL;

/// Offset behind each instruction of `block`.
#[must_use]
pub fn instruction_ends(block: &Block) -> Vec<usize> {
    block_instructions(block).map(|found| found.end()).collect()
}

/// The first `count` instructions of `block`, which end at offset `end`.
#[must_use]
pub fn block_prefix(block: &Block, end: usize, count: usize) -> Block {
    if end == block.bytes.len() {
        return block.clone();
    }
    Block {
        bytes: block.bytes[..end].to_vec(),
        instruction_count: count as u32,
        terminator: Terminator::FallThrough,
        successors: vec![block.address.wrapping_add(end as u64)],
        ..block.clone()
    }
}

/// The case that `case` is after its first `count` instructions, which end at offset `end`: what is left of the block,
/// from the state and memory that `observation` of those instructions has.
#[must_use]
pub fn starting_at(case: &Case, end: usize, count: usize, observation: &Observation) -> Case {
    let block = Block {
        address: case.block.address.wrapping_add(end as u64),
        bytes: case.block.bytes[end..].to_vec(),
        instruction_count: case.block.instruction_count.saturating_sub(count as u32),
        ..(*case.block).clone()
    };
    let mut state = observation.state.clone();
    state.rflags &= STARTABLE;
    state.mxcsr &= 0xffff;
    Case {
        block: Arc::new(block),
        placement: case.placement,
        state,
        pages: apply_changed_lines(&case.pages, &observation.memory),
    }
}

/// `block` without the instructions at `left_out` and with other bytes for those that are `replaced`, of which the last is
/// none; operands relative to RIP keep their addresses. `None` when that cannot be written.
pub(super) fn rewrite_block(
    block: &Block,
    left_out: &[usize],
    replaced: &BTreeMap<usize, &[u8]>,
) -> Option<Block> {
    let mut bytes = Vec::with_capacity(block.bytes.len());
    let mut count = 0;
    for (index, found) in block_instructions(block).enumerate() {
        let (start, end, instruction) = (found.offset, found.end(), found.instruction);
        if let Some(other) = replaced.get(&index).filter(|_| !left_out.contains(&index)) {
            bytes.extend_from_slice(other);
            count += 1;
        } else if !left_out.contains(&index) {
            let moved = end as i64 - (bytes.len() + end - start) as i64;
            let at = bytes.len();
            bytes.extend_from_slice(&block.bytes[start..end]);
            if instruction.is_ip_rel_memory_operand() {
                let offset = displacement_offset(found.bytes, instruction.ip());
                let field = bytes.get_mut(at + offset..)?.get_mut(..4)?;
                let old = i32::from_le_bytes(field.try_into().ok()?);
                let new = old.checked_add(i32::try_from(moved).ok()?)?;
                field.copy_from_slice(&new.to_le_bytes());
            }
            count += 1;
        }
    }
    replace_block_bytes(block, bytes, count)
}

/// Where the displacement lies among the `bytes` of an instruction at `address`.
fn displacement_offset(bytes: &[u8], address: u64) -> usize {
    let mut decoder = intel_decoder(bytes, address);
    let instruction = decoder.decode();
    decoder.get_constant_offsets(&instruction).displacement_offset()
}

/// `block` with other bytes.
pub(crate) fn replace_block_bytes(block: &Block, bytes: Vec<u8>, count: u32) -> Option<Block> {
    let last = instructions_in(&bytes, block.address).last()?.instruction;
    // A refused encoding stays the last instruction; no other may become one.
    if last.is_invalid() && refused_bytes(block) != instructions_in(&bytes, 0).last().map(|last| last.bytes) {
        return None;
    }
    let end = block.address.wrapping_add(bytes.len() as u64);
    let terminator = match control_flow(&last) {
        _ if last.is_invalid() => Terminator::Trap,
        Control::Next => Terminator::FallThrough,
        Control::End(terminator) => terminator,
    };
    let target = || (last.op0_kind() == OpKind::NearBranch64).then(|| last.near_branch64());
    let successors = match terminator {
        Terminator::FallThrough => vec![end],
        Terminator::Jcc | Terminator::Loop => target().into_iter().chain([end]).collect(),
        Terminator::Jmp => target().into_iter().collect(),
        Terminator::Call => target().into_iter().chain([end]).collect(),
        _ => Vec::new(),
    };
    Some(Block {
        bytes,
        instruction_count: count,
        terminator,
        successors,
        ..block.clone()
    })
}

/// The last instruction of `block`, with its offset and its decoder.
pub(super) fn last_instruction(block: &Block) -> Option<(usize, Instruction, iced_x86::ConstantOffsets)> {
    let mut decoder = block_decoder(block);
    let mut found = None;
    while decoder.can_decode() {
        let start = decoder.position();
        let instruction = decoder.decode();
        let offsets = decoder.get_constant_offsets(&instruction);
        found = Some((start, instruction, offsets));
    }
    found.filter(|(_, instruction, _)| !instruction.is_invalid())
}

/// `case`, of one instruction, with its memory operand written as one register that holds the address. `None` when it
/// has no such operand, or is written so already.
pub(super) fn with_plain_operand(case: &Case) -> Option<Case> {
    if case.block.instruction_count != 1 {
        return None;
    }
    let (_, mut instruction, _) = last_instruction(&case.block)?;
    let memory = (0..instruction.op_count()).any(|operand| instruction.op_kind(operand) == OpKind::Memory);
    let is_plain = instruction.memory_base().is_gpr64()
        && instruction.memory_index() == Register::None
        && instruction.memory_displacement64() == 0
        && instruction.segment_prefix() == Register::None;
    if !memory || is_plain || instruction.is_vsib() {
        return None;
    }
    let value = |register: Register| -> Option<u64> {
        match register {
            Register::None => Some(0),
            register if register.is_gpr64() => Some(case.state.gpr[register.number()]),
            register if register.is_gpr32() => Some(case.state.gpr[register.number()] & 0xffff_ffff),
            _ => None,
        }
    };
    let segment = match instruction.memory_segment() {
        Register::FS => case.state.fs_base,
        Register::GS => case.state.gs_base,
        _ => 0,
    };
    let linear = if instruction.is_ip_rel_memory_operand() {
        instruction
            .ip_rel_memory_address()
            .wrapping_add(case.placement.image_base)
    } else {
        value(instruction.memory_base())?
            .wrapping_add(
                value(instruction.memory_index())?.wrapping_mul(u64::from(instruction.memory_index_scale())),
            )
            .wrapping_add(instruction.memory_displacement64())
    };
    let narrow = instruction.memory_base().is_gpr32() || instruction.memory_index().is_gpr32();
    let linear = if narrow { linear & 0xffff_ffff } else { linear };
    let address = linear.wrapping_add(segment);
    let named = |register: Register| {
        (0..instruction.op_count()).any(|operand| {
            instruction.op_kind(operand) == OpKind::Register
                && instruction.op_register(operand).full_register() == register
        })
    };
    let base = instruction.memory_base().full_register();
    let free = [Register::RDI, Register::RSI, Register::RBX, Register::R8];
    let base = if base.is_gpr64() && base != Register::RSP && !named(base) {
        base
    } else {
        free.into_iter().find(|register| !named(*register))?
    };
    instruction.set_memory_base(base);
    instruction.set_memory_index(Register::None);
    instruction.set_memory_index_scale(1);
    instruction.set_memory_displacement64(0);
    instruction.set_memory_displ_size(0);
    instruction.set_segment_prefix(Register::None);
    let mut encoder = Encoder::new(64);
    encoder.encode(&instruction, case.block.address).ok()?;
    let block = replace_block_bytes(&case.block, encoder.take_buffer(), 1)?;
    let mut plainer = case.clone();
    plainer.block = Arc::new(block);
    plainer.state.gpr[base.number()] = address;
    debug_assert!(base.number() != RSP);
    Some(plainer)
}
