//! Edits: single steps to a plainer case, and which of them a case allows.

use snippex_core::decode::{block_decoder, intel_decoder};
use std::collections::BTreeMap;
use std::sync::Arc;

use iced_x86::ConstantOffsets;

use super::cell::Cell;
use super::{Stage, code, memory, simpler};
use snippex_core::address_space::{CODE_DISTANCE, IMAGE_BASE};
use snippex_core::case::{Case, Placement};
use snippex_core::state::MachineState;

/// Address of a plain block in its file.
const PLAIN_ADDRESS: u64 = 0x1000;

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Edit {
    /// Leave an instruction out.
    LeaveOut(usize),
    /// Put other bytes in place of an instruction. Of several for one, the first counts.
    Replace(usize, Vec<u8>),
    /// Put the block where plain blocks lie.
    Rebase,
    /// Move a page, with what points into it, to where plain pages lie.
    MovePage(u64),
    /// Leave a page out.
    DropPage(u64),
    /// Bits of a part of the state back to their value after reset.
    Reset(Cell, u64),
    /// TOP to 0, the registers keeping their places in the stack.
    ResetTop,
    /// Bits of an aligned word of memory to zero.
    Clear(u64, u64),
    /// A byte of the last instruction left out: a prefix.
    DropByte(usize),
    /// The memory operand as one register.
    PlainOperand,
    /// Bits of a byte of the block to zero: immediate or displacement.
    ClearCode(usize, u8),
}

/// What `stage` has to try on `case`.
pub(super) fn edits_for_stage(stage: Stage, case: &Case, before: Option<&MachineState>) -> Vec<Edit> {
    match stage {
        Stage::Instructions => (0..(case.block.instruction_count as usize).saturating_sub(1))
            .map(Edit::LeaveOut)
            .collect(),
        Stage::Simpler => simpler::find_simpler_instructions(case, before)
            .into_iter()
            .map(|(index, bytes)| Edit::Replace(index, bytes))
            .collect(),
        Stage::Places => places(case),
        Stage::Pages => case
            .pages
            .iter()
            .map(|page| Edit::DropPage(page.address))
            .collect(),
        Stage::Cells => cells(case).map(|(cell, bits)| Edit::Reset(cell, bits)).collect(),
        Stage::Words => memory::nonzero_words(case)
            .map(|(address, _)| Edit::Clear(address, u64::MAX))
            .collect(),
        Stage::Encoding => encoding(case),
        Stage::Bits => {
            let states =
                cells(case).flat_map(|(cell, bits)| ones(bits).map(move |bit| Edit::Reset(cell, bit)));
            let words = memory::nonzero_words(case)
                .flat_map(|(address, value)| ones(value).map(move |bit| Edit::Clear(address, bit)));
            states.chain(words).chain(constants(case)).collect()
        }
    }
}

/// `case` after `edits`; `None` when one of them cannot be done, or all together change nothing.
pub(super) fn apply_edits(case: &Case, edits: &[&Edit]) -> Option<Case> {
    let mut left_out: Vec<usize> = Vec::new();
    let mut replaced: BTreeMap<usize, &[u8]> = BTreeMap::new();
    let mut result = case.clone();
    let mut pages = None;
    for edit in edits {
        match **edit {
            Edit::LeaveOut(index) => left_out.push(index),
            Edit::Replace(index, ref bytes) => {
                replaced.entry(index).or_insert(bytes);
            }
            Edit::Rebase => {
                let mut block = (*result.block).clone();
                block.address = PLAIN_ADDRESS;
                let count = block.instruction_count;
                let bytes = std::mem::take(&mut block.bytes);
                result.block = Arc::new(code::replace_block_bytes(&block, bytes, count)?);
                result.placement = PLAIN_PLACEMENT;
            }
            Edit::MovePage(from) => result = memory::move_page(&result, from)?,
            Edit::DropPage(address) => {
                pages
                    .get_or_insert_with(|| result.pages.to_vec())
                    .retain(|page: &snippex_core::case::Page| page.address != address);
            }
            Edit::Reset(cell, bits) => {
                let value = cell.get(&result.state) ^ (cell.odd_bits(case) & bits);
                cell.set(&mut result.state, value);
            }
            Edit::ResetTop => {
                let x87 = &mut result.state.x87;
                x87.tags = x87.tags.rotate_right(u32::from(x87.top()));
                x87.status &= !(7 << 11);
            }
            Edit::Clear(address, bits) => {
                memory::clear_bits(pages.get_or_insert_with(|| result.pages.to_vec()), address, bits);
            }
            Edit::DropByte(at) => {
                let mut bytes = result.block.bytes.clone();
                if at >= bytes.len() {
                    return None;
                }
                bytes.remove(at);
                let count = result.block.instruction_count;
                result.block = Arc::new(code::replace_block_bytes(&result.block, bytes, count)?);
            }
            Edit::PlainOperand => result = code::with_plain_operand(&result)?,
            Edit::ClearCode(at, bits) => {
                let mut bytes = result.block.bytes.clone();
                *bytes.get_mut(at)? &= !bits;
                let count = result.block.instruction_count;
                result.block = Arc::new(code::replace_block_bytes(&result.block, bytes, count)?);
            }
        }
    }
    if let Some(pages) = pages {
        result.pages = pages.into();
    }
    if !left_out.is_empty() || !replaced.is_empty() {
        result.block = Arc::new(code::rewrite_block(&result.block, &left_out, &replaced)?);
    }
    (result != *case).then_some(result)
}

const PLAIN_PLACEMENT: Placement = Placement {
    image_base: IMAGE_BASE,
    code_base: IMAGE_BASE + CODE_DISTANCE,
};

/// Cells that are not as after reset, with the bits that are not.
fn cells(case: &Case) -> impl Iterator<Item = (Cell, u64)> {
    Cell::all()
        .map(|cell| (cell, cell.odd_bits(case)))
        .filter(|(_, bits)| *bits != 0)
        // TOP is reset together with the tags (`ResetTop`), or every register would change its place.
        .map(|(cell, bits)| match cell {
            Cell::X87Status => (cell, bits & !(7 << 11)),
            _ => (cell, bits),
        })
        .filter(|(_, bits)| *bits != 0)
}

fn places(case: &Case) -> Vec<Edit> {
    let mut edits = Vec::new();
    if case.placement != PLAIN_PLACEMENT || case.block.address != PLAIN_ADDRESS {
        edits.push(Edit::Rebase);
    }
    if case.state.x87.top() != 0 {
        edits.push(Edit::ResetTop);
    }
    let far = case.pages.iter().filter(|page| !memory::is_plain(page.address));
    edits.extend(far.map(|page| Edit::MovePage(page.address)));
    edits
}

/// Prefixes that can be left out, and the memory operand.
fn encoding(case: &Case) -> Vec<Edit> {
    let Some((start, instruction, _)) = code::last_instruction(&case.block) else {
        return Vec::new();
    };
    let bytes = &case.block.bytes[start..];
    let mut edits = vec![Edit::PlainOperand];
    // Bytes are left out from behind, so that the places of the others stay.
    for at in (0..bytes.len().saturating_sub(1)).rev() {
        let mut shorter = bytes.to_vec();
        let byte = shorter.remove(at);
        let is_prefix =
            matches!(byte, 0x26 | 0x2e | 0x36 | 0x3e | 0x40..=0x4f | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3);
        let mut decoder = intel_decoder(&shorter, instruction.ip());
        let without = decoder.decode();
        if is_prefix && without.code() == instruction.code() && without.len() == shorter.len() {
            edits.push(Edit::DropByte(start + at));
        }
    }
    edits
}

/// Bits of immediates and displacements.
fn constants(case: &Case) -> Vec<Edit> {
    let mut decoder = block_decoder(&case.block);
    let mut edits = Vec::new();
    while decoder.can_decode() {
        let start = decoder.position();
        let instruction = decoder.decode();
        if instruction.is_invalid() {
            break;
        }
        // To move what is relative to RIP is no simplification.
        if !instruction.is_ip_rel_memory_operand() || !decoder.can_decode() {
            edits.extend(constants_of(
                case,
                start,
                decoder.get_constant_offsets(&instruction),
            ));
        }
    }
    edits
}

/// Bits of the immediates and the displacement of the instruction at `start`.
fn constants_of(case: &Case, start: usize, offsets: ConstantOffsets) -> Vec<Edit> {
    let mut edits = Vec::new();
    for (has, at, size) in [
        (
            offsets.has_immediate(),
            offsets.immediate_offset(),
            offsets.immediate_size(),
        ),
        (
            offsets.has_immediate2(),
            offsets.immediate_offset2(),
            offsets.immediate_size2(),
        ),
        (
            offsets.has_displacement(),
            offsets.displacement_offset(),
            offsets.displacement_size(),
        ),
    ] {
        for index in (0..size).filter(|_| has) {
            let at = start + at + index;
            let byte = case.block.bytes.get(at).copied().unwrap_or(0);
            edits.extend(ones(u64::from(byte)).map(|bit| Edit::ClearCode(at, bit as u8)));
        }
    }
    edits
}

/// The set bits of `bits`, the highest first, each by itself.
fn ones(bits: u64) -> impl Iterator<Item = u64> {
    (0..64)
        .rev()
        .map(|bit| 1 << bit)
        .filter(move |bit| bits & bit != 0)
}
