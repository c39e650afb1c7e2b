//! The code of an image as one space of positions, with one byte of marks for each byte of code.

use crate::binary::Image;
use snippex_core::block::Origin;
use snippex_core::decode::{MAX_LENGTH, intel_decoder};

/// Index of a byte of code: executable ranges one after the other, data left out.
pub(super) type Position = u32;

/// One executable range.
#[derive(Clone, Copy, Debug)]
pub(super) struct Region<'a> {
    pub(super) address: u64,
    pub(super) bytes: &'a [u8],
    /// Position of its first byte.
    pub(super) base: Position,
}

impl Region<'_> {
    pub(super) fn end_position(&self) -> Position {
        self.base + self.bytes.len() as Position
    }
}

/// What is known of each byte of code.
#[derive(Debug)]
pub(super) struct CodeRegions<'a> {
    pub(super) regions: Vec<Region<'a>>,
    /// Two instructions share bytes somewhere: one of them is none, most likely.
    pub(super) is_contradictory: bool,
    marks: Vec<u8>,
}

/// An instruction begins here.
const INSTRUCTION: u8 = 0x80;
/// Part of an instruction, or data.
const COVERED: u8 = 0x40;
/// The instruction was found by linear sweep.
const SWEPT: u8 = 0x20;
/// How a leader was found, plus one; 0 when no block begins here.
const LEADER: u8 = 0x0f;

/// Bit patterns of the leader field.
const ORIGINS: [Origin; 11] = [
    Origin::Entry,
    Origin::Symbol,
    Origin::UnwindInfo,
    Origin::InitArray,
    Origin::Relocation,
    Origin::BranchTarget,
    Origin::CallTarget,
    Origin::AfterTerminator,
    Origin::JumpTable,
    Origin::AddressTaken,
    Origin::Sweep,
];

impl<'a> CodeRegions<'a> {
    pub(super) fn new(image: &Image<'a>) -> Self {
        let mut regions = Vec::new();
        let mut base = 0_u32;
        for range in image.code_ranges() {
            let Some(bytes) = image.bytes_in_range(range.clone()) else {
                continue;
            };
            // Positions are 32 bits: code past 4 GiB stays out. The last 16 positions are never given out.
            let Some(next) = u32::try_from(bytes.len())
                .ok()
                .and_then(|length| base.checked_add(length))
            else {
                break;
            };
            if next > u32::MAX - 16 {
                break;
            }
            regions.push(Region {
                address: range.start,
                bytes,
                base,
            });
            base = next;
        }
        Self {
            regions,
            is_contradictory: false,
            marks: vec![0; base as usize],
        }
    }

    /// Number of positions.
    pub(super) fn len(&self) -> Position {
        self.marks.len() as Position
    }

    /// The region of a position.
    pub(super) fn region_at(&self, position: Position) -> Region<'a> {
        let after = self.regions.partition_point(|region| region.base <= position);
        self.regions[after - 1]
    }

    pub(super) fn position_of(&self, address: u64) -> Option<Position> {
        let after = self.regions.partition_point(|region| region.address <= address);
        let region = &self.regions[after.checked_sub(1)?];
        let offset = address - region.address;
        (offset < region.bytes.len() as u64).then(|| region.base + offset as Position)
    }

    pub(super) fn address_of(&self, position: Position) -> u64 {
        let region = self.region_at(position);
        region.address + u64::from(position - region.base)
    }

    /// The bytes from a position to the end of its region.
    pub(super) fn bytes_from(&self, position: Position) -> &'a [u8] {
        let region = self.region_at(position);
        &region.bytes[(position - region.base) as usize..]
    }

    pub(super) fn is_instruction(&self, position: Position) -> bool {
        self.marks[position as usize] & INSTRUCTION != 0
    }

    pub(super) fn is_covered(&self, position: Position) -> bool {
        self.marks[position as usize] & COVERED != 0
    }

    pub(super) fn is_swept(&self, position: Position) -> bool {
        self.marks[position as usize] & SWEPT != 0
    }

    /// Covered, but not where an instruction begins.
    pub(super) fn is_interior(&self, position: Position) -> bool {
        self.marks[position as usize] & (INSTRUCTION | COVERED) == COVERED
    }

    pub(super) fn is_leader(&self, position: Position) -> bool {
        self.marks[position as usize] & LEADER != 0
    }

    pub(super) fn origin_at(&self, position: Position) -> Option<Origin> {
        let field = self.marks[position as usize] & LEADER;
        ORIGINS.get(usize::from(field).checked_sub(1)?).copied()
    }

    /// Notes that a block begins here; the first origin of the list stays.
    pub(super) fn mark_leader(&mut self, position: Position, origin: Origin) {
        let field = ORIGINS
            .iter()
            .position(|&known| known == origin)
            .map_or(LEADER, |index| index as u8 + 1);
        let mark = &mut self.marks[position as usize];
        let old = *mark & LEADER;
        if old == 0 || field < old {
            *mark = *mark & !LEADER | field;
        }
    }

    pub(super) fn mark_instruction(&mut self, position: Position, length: usize) {
        let start = position as usize;
        let end = (start + length).min(self.marks.len());
        self.is_contradictory |= self.is_interior(position) && self.is_inside_instruction(position);
        let mut inside = 0;
        for mark in &mut self.marks[start + 1..end] {
            inside |= *mark;
            *mark |= COVERED;
        }
        self.is_contradictory |= inside & INSTRUCTION != 0;
        self.marks[start] |= INSTRUCTION | COVERED;
    }

    /// Whether an instruction that begins before `position` goes on there. Padding is covered, too, but no instruction.
    fn is_inside_instruction(&self, position: Position) -> bool {
        let lowest = self
            .region_at(position)
            .base
            .max(position.saturating_sub(MAX_LENGTH as Position));
        (lowest..position).rev().any(|at| {
            let length = || intel_decoder(self.bytes_from(at), 0).decode().len() as Position;
            self.is_instruction(at) && at + length() > position
        })
    }

    /// Takes back that an instruction is here.
    pub(super) fn clear_instruction(&mut self, position: Position, length: usize) {
        let start = position as usize;
        let end = (start + length).min(self.marks.len());
        self.marks[start] &= !INSTRUCTION;
        self.marks[start..end]
            .iter_mut()
            .for_each(|mark| *mark &= !COVERED);
    }

    /// Takes back that a block begins here.
    pub(super) fn clear_leader(&mut self, position: Position) {
        self.marks[position as usize] &= !LEADER;
    }

    pub(super) fn mark_swept(&mut self, position: Position, length: usize) {
        self.mark_instruction(position, length);
        self.marks[position as usize] |= SWEPT;
    }

    /// Bytes that are not code.
    pub(super) fn mark_data(&mut self, position: Position, length: usize) {
        let start = position as usize;
        let end = (start + length).min(self.marks.len());
        self.marks[start..end]
            .iter_mut()
            .for_each(|mark| *mark |= COVERED);
    }

    /// The start of the instruction that lies before `position`, not below `lowest`.
    pub(super) fn previous_instruction(&self, position: Position, lowest: Position) -> Option<Position> {
        (lowest..position).rev().find(|&at| self.is_instruction(at))
    }

    /// First position at or after `position` for which `wanted` holds, up to `end`.
    pub(super) fn find_position(
        &self,
        position: Position,
        end: Position,
        wanted: impl Fn(&Self, Position) -> bool,
    ) -> Position {
        (position..end).find(|&at| wanted(self, at)).unwrap_or(end)
    }
}
