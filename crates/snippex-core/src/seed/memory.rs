//! What pages hold before a run.

use crate::address_space::{ARENA, FS_BASE, GS_BASE};
use crate::case::PAGE_SIZE;
use crate::random::Random;

use super::{corners, values};

/// Sub-stream of the seed that page contents come from.
const STREAM: u64 = 0x7061_6765_7300_0000;

/// What a page outside the image is filled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Filling {
    /// Pointers into the arena: for blocks that follow pointers they load.
    Pointers,
    /// Integers and floats with many edge values: for blocks that only compute with what they load.
    Data,
    /// The same with extended precision, packed decimals and control words: for single instructions.
    Corners,
}

/// Content of the page at run-time address `address` for a session with `seed`.
#[must_use]
pub fn page_content(seed: u64, address: u64, filling: Filling) -> [u8; PAGE_SIZE] {
    let mut random = Random::new(seed).derive_stream(&[STREAM, address, filling as u64]);
    let mut bytes = [0; PAGE_SIZE];
    let mut at = 0;
    while at < PAGE_SIZE {
        // Data comes in runs of one kind, so that a vector load sees elements that belong together.
        let kind = random.next_below(8);
        if filling == Filling::Corners && random.next_below(2) == 0 {
            let line = (&mut bytes[at..at + 64]).try_into().expect("64 bytes");
            corners::fill_corner_line(&mut random, line);
            at += 64;
            continue;
        }
        for word in bytes[at..at + 64].chunks_exact_mut(8) {
            let value = match filling {
                Filling::Pointers => random_pointer(&mut random),
                Filling::Data | Filling::Corners => match kind {
                    0 | 1 => values::random_double(&mut random),
                    2 | 3 => {
                        u64::from(values::random_float(&mut random))
                            | (u64::from(values::random_float(&mut random)) << 32)
                    }
                    4 => random.next_u64(),
                    5 => random.next_below(256),
                    _ => values::random_edge_value(&mut random),
                },
            };
            word.copy_from_slice(&value.to_le_bytes());
        }
        at += 64;
    }
    for base in [FS_BASE, GS_BASE] {
        // The thread control block begins with its own address (System V ABI, TLS variant II).
        if let Some(slot) = base.checked_sub(address).filter(|&slot| slot < PAGE_SIZE as u64) {
            let slot = slot as usize;
            bytes[slot..slot + 8].copy_from_slice(&base.to_le_bytes());
        }
    }
    bytes
}

/// An address in the middle of the arena's first page, aligned as allocators align.
pub(super) fn random_pointer(random: &mut Random) -> u64 {
    ARENA + 0x400 + random.next_below(0x80) * 16
}
