//! Code that stays mapped from batch to batch, on a CPU.
//!
//! Mapping and unmapping the pages of a block costs as much as eight of its runs. A CPU follows stores to code, so
//! large chunks of the address range in which code executes are mapped once, filled with INT3; each batch writes its
//! blocks into them and INT3 over those of the batch before. An emulator would not notice that the host writes there,
//! and gets fresh mappings instead (see [`crate::plan`]).

use std::collections::BTreeMap;

use crate::lower::Lowered;
use crate::shared::{CHUNKS, CHUNKS_OFFSET, Shared};
use snippex_runner::layout::CODE_CHUNK;

const INT3: u8 = 0xcc;

/// The chunks, and which of them have code.
#[derive(Debug, Default)]
pub(crate) struct CodeWindow {
    /// Slot in the file, by the first address of the chunk.
    chunks: BTreeMap<u64, Chunk>,
    /// Slots that hold INT3 and nothing else but the code of the batch.
    filled: usize,
    /// File offset and length of the code of the batch.
    written: Vec<(u64, usize)>,
    batch: u64,
}

#[derive(Clone, Copy, Debug)]
struct Chunk {
    slot: usize,
    last_batch: u64,
}

impl CodeWindow {
    /// Writes the code of a batch over that of the batch before. `false`, with nothing written, when the code
    /// lies in more chunks than there are.
    pub(crate) fn write_batch_code(&mut self, shared: &mut Shared, lowered: &[Option<Lowered>]) -> bool {
        self.erase_batch_code(shared);
        self.batch += 1;
        for lowered in lowered.iter().flatten() {
            for address in [lowered.address, lowered.end_address() - 1] {
                if !self.take(shared, address & !(CODE_CHUNK - 1)) {
                    return false;
                }
            }
        }
        for lowered in lowered.iter().flatten() {
            let mut rest = &lowered.bytes[..];
            let mut address = lowered.address;
            while !rest.is_empty() {
                let inside = address % CODE_CHUNK;
                let (part, after) = rest.split_at(rest.len().min((CODE_CHUNK - inside) as usize));
                let chunk = self.chunks[&(address - inside)];
                let offset = offset(chunk.slot) + inside;
                shared.write(offset, part);
                self.written.push((offset, part.len()));
                address = address.wrapping_add(part.len() as u64);
                rest = after;
            }
        }
        true
    }

    /// Puts INT3 over the code of the batch.
    pub(crate) fn erase_batch_code(&mut self, shared: &mut Shared) {
        for (offset, length) in self.written.drain(..) {
            shared.slice_mut::<u8>(offset, length).fill(INT3);
        }
    }

    /// File offsets of all chunks, by address.
    pub(crate) fn chunk_offsets(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.chunks
            .iter()
            .map(|(&address, chunk)| (address, offset(chunk.slot)))
    }

    /// Whether `address` is that of a chunk at file offset `at`.
    pub(crate) fn contains_chunk(&self, address: u64, at: u64) -> bool {
        self.chunks
            .get(&address)
            .is_some_and(|chunk| offset(chunk.slot) == at)
    }

    fn take(&mut self, shared: &mut Shared, address: u64) -> bool {
        let batch = self.batch;
        if let Some(chunk) = self.chunks.get_mut(&address) {
            chunk.last_batch = batch;
            return true;
        }
        let slot = if self.filled < CHUNKS {
            shared
                .slice_mut::<u8>(offset(self.filled), CODE_CHUNK as usize)
                .fill(INT3);
            self.filled += 1;
            self.filled - 1
        } else {
            let oldest = self.chunks.iter().min_by_key(|(_, chunk)| chunk.last_batch);
            let Some((&oldest, &chunk)) = oldest.filter(|(_, chunk)| chunk.last_batch < batch) else {
                return false;
            };
            self.chunks.remove(&oldest);
            chunk.slot
        };
        let chunk = Chunk {
            slot,
            last_batch: batch,
        };
        self.chunks.insert(address, chunk);
        true
    }
}

fn offset(slot: usize) -> u64 {
    CHUNKS_OFFSET + slot as u64 * CODE_CHUNK
}
