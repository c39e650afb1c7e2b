//! What values at the end of a run may be made of: registers at the start, memory at the start, registers at the end.

use iced_x86::{InstructionInfoFactory, OpAccess};
use snippex_core::case::{PAGE, Page};
use snippex_core::decode::block_decoder;
use snippex_core::group::{Group, Start};
use snippex_core::seed::{MemoryUse, Roles};

/// Most operands of a block that are looked at.
const MAX_OPERANDS: usize = 12;

/// First term that is a register at the end.
pub(super) const ENDS: usize = 16;
/// First term that is memory.
pub(super) const LOADS: usize = 32;

/// The values at the start that others may follow from, by run.
#[derive(Debug)]
pub(super) struct Terms<'g> {
    group: &'g Group,
    /// General registers at the end, as far as they are known.
    pub(super) ends: Vec<[u64; 16]>,
    /// Registers at the end that may be used: those below.
    pub(super) known: usize,
    loads: Vec<Vec<u64>>,
    /// Registers that a combination of two is looked for among, at the start and at the end: a set bit is one.
    combined: (u16, u16),
    pub(super) stores: Vec<Piece>,
}

/// Up to eight bytes that the block may store to, by run.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    /// Run-time address in each run.
    pub(super) addresses: Vec<u64>,
    /// Bytes.
    pub(super) size: usize,
}

impl<'g> Terms<'g> {
    pub(super) fn from_group(group: &'g Group) -> Self {
        let roles = Roles::from_block(&group.block, group.placement);
        let operands = roles.memory.iter().filter(|memory| memory.address.is_some());
        let mut loads = Vec::new();
        let mut stores = Vec::new();
        for memory in operands.take(MAX_OPERANDS) {
            let addresses: Vec<u64> = group.starts.iter().map(|start| address(memory, start)).collect();
            let size = memory.size.min(32);
            for at in (0..size).step_by(8) {
                let piece = Piece {
                    addresses: addresses
                        .iter()
                        .map(|base| base.wrapping_add(at as u64))
                        .collect(),
                    size: (size - at).min(8),
                };
                loads.push(
                    piece
                        .addresses
                        .iter()
                        .map(|&address| read_initial_memory(&group.pages, address, piece.size))
                        .collect(),
                );
                if memory.written {
                    stores.push(piece);
                }
            }
        }
        Self {
            group,
            ends: vec![[0; 16]; group.starts.len()],
            known: 0,
            loads,
            combined: (0, 0),
            stores,
        }
    }

    /// Says which registers a combination of two may be of: those that the block reads, and those that it has `changed`.
    pub(super) fn set_combinable_registers(&mut self, changed: u16) {
        let block = &self.group.block;
        let mut factory = InstructionInfoFactory::new();
        let mut read = 0;
        for instruction in block_decoder(block) {
            for used in factory.info(&instruction).used_registers() {
                let full = used.register().full_register();
                if full.is_gpr() && used.access() != OpAccess::Write {
                    read |= 1 << full.number();
                }
            }
        }
        self.combined = (read, changed);
    }

    /// The terms that a combination of two is looked for among.
    pub(super) fn combinable_terms(&self) -> impl Iterator<Item = usize> + Clone + use<> {
        let (read, changed) = self.combined;
        let known = self.known;
        (0..ENDS)
            .filter(move |register| read & (1 << register) != 0)
            .chain(
                (0..known)
                    .filter(move |register| changed & (1 << register) != 0)
                    .map(|at| ENDS + at),
            )
            .chain(LOADS..LOADS + self.loads.len())
    }

    /// Every term that may be used now.
    pub(super) fn usable_terms(&self) -> impl Iterator<Item = usize> + Clone + use<> {
        let (_, changed) = self.combined;
        let known = self.known;
        (0..ENDS)
            // What did not change is there already.
            .chain(
                (0..known)
                    .filter(move |register| changed & (1 << register) != 0)
                    .map(|at| ENDS + at),
            )
            .chain(LOADS..LOADS + self.loads.len())
    }

    /// Whether there is such a term.
    pub(super) fn contains_term(&self, term: usize) -> bool {
        term < ENDS + self.known || (LOADS..LOADS + self.loads.len()).contains(&term)
    }

    /// Value of `term` in `run`.
    pub(super) fn value(&self, term: usize, run: usize) -> u64 {
        match term {
            ..ENDS => self.group.starts[run].gpr[term],
            ENDS..LOADS => self.ends[run][term - ENDS],
            _ => self.loads[term - LOADS][run],
        }
    }
}

/// Run-time address of an operand whose address is known.
fn address(memory: &MemoryUse, start: &Start) -> u64 {
    let base = match memory.segment {
        None => 0,
        Some(iced_x86::Register::FS) => start.fs_base,
        Some(_) => start.gs_base,
    };
    let linear = memory
        .address
        .as_ref()
        .map_or(0, |linear| linear.value_for(&start.gpr));
    linear.wrapping_add(base)
}

/// Up to eight bytes of memory before the run, 0 where there is no page.
pub(super) fn read_initial_memory(pages: &[Page], address: u64, size: usize) -> u64 {
    let mut bytes = [0; 8];
    let offset = (address % PAGE) as usize;
    if offset + size <= PAGE as usize {
        if let Some(page) = page_at(pages, address) {
            bytes[..size].copy_from_slice(&page.content[offset..offset + size]);
        }
    } else {
        for (index, byte) in bytes[..size].iter_mut().enumerate() {
            let address = address.wrapping_add(index as u64);
            if let Some(page) = page_at(pages, address) {
                *byte = page.content[(address % PAGE) as usize];
            }
        }
    }
    u64::from_le_bytes(bytes)
}

/// The page that `address` is in.
pub(super) fn page_at(pages: &[Page], address: u64) -> Option<&Page> {
    let start = address & !(PAGE - 1);
    let index = pages.binary_search_by_key(&start, |page| page.address).ok()?;
    Some(&pages[index])
}
