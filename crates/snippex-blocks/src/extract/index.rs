//! The result: blocks in compact form, made whole one at a time.

use iced_x86::Instruction;

use super::code::{CodeRegions, Position};
use super::trace::Tracer;
use crate::binary::Image;
use snippex_core::block::{Block, Origin, Terminator, Unrunnable};
use snippex_core::decode::{
    Control, MAX_LENGTH, control_flow, differs_by_vendor, intel_decoder, is_reserved, measure_refused,
    refused_reason, unrunnable_reason,
};

/// What extraction found besides the blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Statistics {
    /// Bytes of code in the file.
    pub code_bytes: u64,
    /// Bytes of code in blocks found by control flow.
    pub control_flow_bytes: u64,
    /// Bytes of code in blocks found by linear sweep.
    pub sweep_bytes: u64,
    /// Instructions in all blocks.
    pub instructions: u64,
    /// Functions: named by the file, or called.
    pub functions: u64,
    /// Jump tables recognised.
    pub jump_tables: u64,
    /// Indirect jumps through a register or computed memory that are not known to be a table.
    pub unresolved_jumps: u64,
    /// Calls of functions that never return.
    pub never_returning_calls: u64,
}

/// A block without its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockEntry {
    /// File address of the first byte.
    pub address: u64,
    /// Bytes.
    pub length: u32,
    /// Instructions.
    pub instruction_count: u32,
    /// How it ends.
    pub terminator: Terminator,
    /// How it was found.
    pub origin: Origin,
    /// Why it is not run.
    pub unrunnable: Option<Unrunnable>,
}

/// 16 bytes a block.
#[derive(Clone, Copy, Debug)]
struct Compact {
    position: Position,
    length: u32,
    instruction_count: u32,
    terminator: Terminator,
    origin: Origin,
    unrunnable: Option<Unrunnable>,
}

/// All blocks of an image, ascending by address.
///
/// Holds 16 bytes a block; [`Block`]s are made on demand by [`BlockIndex::get`] and [`BlockIndex::iter`].
#[derive(Debug)]
pub struct BlockIndex<'i, 'a> {
    image: &'i Image<'a>,
    /// Address and first position of each executable range.
    regions: Vec<(u64, Position)>,
    blocks: Vec<Compact>,
    statistics: Statistics,
}

impl<'i, 'a> BlockIndex<'i, 'a> {
    /// The image the blocks are from.
    #[must_use]
    pub fn image(&self) -> &'i Image<'a> {
        self.image
    }

    /// Number of blocks.
    #[must_use]
    pub fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Whether nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// What else extraction found.
    #[must_use]
    pub fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// Block number `index` without its bytes.
    #[must_use]
    pub fn entry_at(&self, index: usize) -> Option<BlockEntry> {
        let block = self.blocks.get(index)?;
        Some(BlockEntry {
            address: self.address(block.position),
            length: block.length,
            instruction_count: block.instruction_count,
            terminator: block.terminator,
            origin: block.origin,
            unrunnable: block.unrunnable,
        })
    }

    /// The bytes of block number `index`.
    #[must_use]
    pub fn block_bytes(&self, index: usize) -> Option<&'a [u8]> {
        let entry = self.entry_at(index)?;
        self.image
            .bytes_in_range(entry.address..entry.address + u64::from(entry.length))
    }

    /// Block number `index`, whole.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Block> {
        let entry = self.entry_at(index)?;
        let bytes = self.block_bytes(index)?.to_vec();
        let successors = successors(&entry, &bytes);
        Some(Block {
            address: entry.address,
            instruction_count: entry.instruction_count,
            terminator: entry.terminator,
            successors,
            origin: entry.origin,
            unrunnable: entry.unrunnable,
            bytes,
        })
    }

    /// All blocks, ascending by address.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Block> + DoubleEndedIterator + '_ {
        (0..self.len()).map(|index| self.get(index).expect("the index is below the length"))
    }

    /// All blocks without their bytes, ascending by address.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = BlockEntry> + DoubleEndedIterator + '_ {
        (0..self.len()).map(|index| self.entry_at(index).expect("the index is below the length"))
    }

    /// Number of the block that begins at `address`.
    #[must_use]
    pub fn find_block_at(&self, address: u64) -> Option<usize> {
        self.blocks
            .binary_search_by(|block| self.address(block.position).cmp(&address))
            .ok()
    }

    fn address(&self, position: Position) -> u64 {
        let after = self.regions.partition_point(|&(_, base)| base <= position);
        let (address, base) = self.regions[after - 1];
        address + u64::from(position - base)
    }
}

/// Where control goes, as far as the code alone says.
fn successors(entry: &BlockEntry, bytes: &[u8]) -> Vec<u64> {
    let end = entry.address + u64::from(entry.length);
    let target = || {
        let mut decoder = intel_decoder(bytes, entry.address);
        decoder.iter().last().map(|last| last.near_branch_target())
    };
    match entry.terminator {
        Terminator::FallThrough | Terminator::Syscall => vec![end],
        Terminator::Jcc | Terminator::Loop => target().into_iter().chain([end]).collect(),
        Terminator::Jmp | Terminator::Call => target().into_iter().collect(),
        Terminator::IndirectJmp | Terminator::IndirectCall | Terminator::Ret | Terminator::Trap => Vec::new(),
    }
}

/// Cuts the marked code into blocks.
pub(super) fn build_index<'i, 'a>(tracer: Tracer<'i, 'a>) -> BlockIndex<'i, 'a> {
    let Tracer {
        image,
        code,
        functions,
        tables,
        unresolved_jumps,
        ..
    } = tracer;
    let mut statistics = Statistics {
        code_bytes: u64::from(code.len()),
        functions: functions.len() as u64,
        jump_tables: tables.found,
        unresolved_jumps,
        never_returning_calls: functions.never_returning_calls(),
        ..Statistics::default()
    };
    let count = (0..code.len())
        .filter(|&at| code.is_leader(at) && code.is_instruction(at))
        .count();
    let mut blocks = Vec::with_capacity(count);
    for region in &code.regions {
        for position in region.base..region.end_position() {
            if code.is_leader(position) && code.is_instruction(position) {
                let block = cut(&code, region.end_position(), position);
                let bytes = u64::from(block.length);
                match block.origin {
                    Origin::Sweep => statistics.sweep_bytes += bytes,
                    _ => statistics.control_flow_bytes += bytes,
                }
                statistics.instructions += u64::from(block.instruction_count);
                blocks.push(block);
            }
        }
    }
    let regions = code
        .regions
        .iter()
        .map(|region| (region.address, region.base))
        .collect();
    BlockIndex {
        image,
        regions,
        blocks,
        statistics,
    }
}

/// The block that begins at `position`.
fn cut(code: &CodeRegions<'_>, end: Position, position: Position) -> Compact {
    let mut decoder = intel_decoder(code.bytes_from(position), code.address_of(position));
    let mut instruction = Instruction::default();
    let mut block = Compact {
        position,
        length: 0,
        instruction_count: 0,
        terminator: Terminator::FallThrough,
        origin: code.origin_at(position).unwrap_or(Origin::Sweep),
        unrunnable: None,
    };
    loop {
        decoder.decode_out(&mut instruction);
        block.length += instruction.len() as u32;
        block.instruction_count += 1;
        block.unrunnable = block.unrunnable.or_else(|| unrunnable_reason(&instruction));
        let next = position + block.length;
        let start = block.length as usize - instruction.len();
        if block.unrunnable.is_none()
            && is_reserved(
                &code.bytes_from(position)[start..block.length as usize],
                &instruction,
            )
        {
            block.unrunnable = Some(Unrunnable::HostDependent);
        }
        if let Control::End(terminator) = control_flow(&instruction) {
            block.terminator = terminator;
            let bytes = &code.bytes_from(position)[start..block.length as usize];
            if differs_by_vendor(bytes, &instruction) {
                block.unrunnable = block.unrunnable.or(Some(Unrunnable::HostDependent));
            }
            return block;
        }
        if let Some(length) = refused_length(code, next, end) {
            return end_in_refusal(code, block, length);
        }
        if next >= end || !code.is_instruction(next) {
            // Runs out of the code, or into bytes that do not decode.
            block.unrunnable = block.unrunnable.or(Some(Unrunnable::Invalid));
            return block;
        }
        if code.is_leader(next) {
            return block;
        }
    }
}

/// Length of the encoding at `position` that the decoder refuses, if it does and no other block begins there.
fn refused_length(code: &CodeRegions<'_>, position: Position, end: Position) -> Option<u32> {
    if position >= end || code.is_instruction(position) || code.is_leader(position) {
        return None;
    }
    let limit = end.min(position + MAX_LENGTH as Position);
    let free = code.find_position(position, limit, CodeRegions::is_leader);
    let bytes = &code.bytes_from(position)[..(free - position) as usize];
    measure_refused(bytes).map(|length| length as u32)
}

/// `block`, behind which an encoding of `length` bytes follows that processors refuse.
fn end_in_refusal(code: &CodeRegions<'_>, mut block: Compact, length: u32) -> Compact {
    let start = block.length as usize;
    block.length += length;
    block.instruction_count += 1;
    block.terminator = Terminator::Trap;
    let bytes = &code.bytes_from(block.position)[start..block.length as usize];
    block.unrunnable = block.unrunnable.or_else(|| refused_reason(bytes));
    block
}
