//! Start states from the corners of the machine: for generated blocks, which are one instruction or a few.

use std::sync::Arc;

use super::x87_pairs::{self, X87Pair};
use super::{Roles, values};
use crate::address_space::{ARENA, STACK};
use crate::case::PAGE_SIZE;
use crate::group::VectorState;
use crate::random::Random;
use crate::state::{MXCSR_INITIAL, Vector, X87State};

/// Entries of a vector pool without a pair of x87 operands. The kind of lanes of an entry is its number modulo [`KINDS`].
const SIZE: u64 = 256;
const KINDS: u64 = 16;
/// The kind whose lanes are small numbers, as an index wants them.
const INDICES: u64 = 12;

/// Sub-stream of the seed that pools come from.
const STREAM: u64 = 0x636f_726e_6572_7300;

/// Places of x87 states that blocks with x87 go through: one for each pair of operands, and a third as many for states of any
/// kind. A form has as many starts, when it is generated as often as it is by default and has 64 starts a block.
const X87_PLACES: u64 = 2048;
/// Bytes from one generated block of a form to the next, and starts of each.
const X87_BLOCK: u64 = 64;
/// From one place to the next: prime to their number, so that few starts have some of everything.
const X87_STEP: u64 = 611;

/// The vector pool of `seed`: entries of any kind, then one for each pair of x87 operands.
pub(super) fn vector_pool(seed: u64) -> Arc<[VectorState]> {
    let random = Random::new(seed).derive_stream(&[STREAM]);
    (0..SIZE + X87Pair::COUNT as u64)
        .map(|index| {
            let mut random = random.derive_stream(&[index]);
            let mut entry = entry(&mut random, index);
            if let Some(pair) = index.checked_sub(SIZE) {
                entry.x87 = x87_pairs::pair_state(pair as usize, &mut random);
            }
            entry
        })
        .collect()
}

/// An entry of the vector pool for start `index` of a block at `address`.
pub(super) fn choose_vector_entry(random: &mut Random, roles: &Roles, address: u64, index: usize) -> u32 {
    let any = random.next_below(SIZE);
    if roles.x87 {
        let start = address / X87_BLOCK * X87_BLOCK + index as u64;
        let place = start.wrapping_mul(X87_STEP) % X87_PLACES;
        if place < X87Pair::COUNT as u64 {
            return (SIZE + place) as u32;
        }
    }
    if roles.vector_index && random.next_below(4) != 0 {
        return (any / KINDS * KINDS + INDICES) as u32;
    }
    any as u32
}

fn entry(random: &mut Random, index: u64) -> VectorState {
    let kind = index % KINDS;
    let clean = (index / KINDS).is_multiple_of(2);
    let mut vectors = [[0; 64]; 32];
    // Lanes that two operands have in common make comparisons come out equal.
    let mut model = [0; 64];
    fill(random, kind, &mut model);
    for (number, vector) in vectors.iter_mut().enumerate() {
        fill(random, kind, vector);
        for (lane, common) in vector.chunks_exact_mut(8).zip(model.chunks_exact(8)) {
            if random.next_below(8) == 0 {
                lane.copy_from_slice(common);
            }
        }
        if clean {
            vector[16..].fill(0);
            if number >= 16 {
                vector.fill(0);
            }
        }
    }
    let opmask = std::array::from_fn(|_| match random.next_below(8) {
        0 => 0,
        1 => u64::MAX,
        _ if clean => 0,
        _ => values::random_data(random),
    });
    VectorState {
        x87: x87(random),
        mxcsr: mxcsr(random),
        vectors,
        opmask,
    }
}

/// Lanes of one kind in all registers of an entry, so that both operands are what an instruction works on.
fn fill(random: &mut Random, kind: u64, vector: &mut Vector) {
    match kind {
        0..=3 => vector
            .chunks_exact_mut(8)
            .for_each(|lane| lane.copy_from_slice(&values::random_double(random).to_le_bytes())),
        4..=7 => vector
            .chunks_exact_mut(4)
            .for_each(|lane| lane.copy_from_slice(&values::random_float(random).to_le_bytes())),
        8 => vector
            .chunks_exact_mut(8)
            .for_each(|lane| lane.copy_from_slice(&values::random_edge_value(random).to_le_bytes())),
        9 => vector
            .chunks_exact_mut(2)
            .for_each(|lane| lane.copy_from_slice(&(values::random_edge_value(random) as u16).to_le_bytes())),
        10 => vector
            .chunks_exact_mut(4)
            .for_each(|lane| lane.copy_from_slice(&(values::random_edge_value(random) as u32).to_le_bytes())),
        11 => {
            const EDGES: [u8; 8] = [0, 1, 0x7f, 0x80, 0x81, 0xff, b'A', 0xfe];
            vector
                .iter_mut()
                .for_each(|lane| *lane = EDGES[random.next_below(8) as usize]);
        }
        // Small in every reading: as 32 or 64 bits, as a shift count, as a table index.
        INDICES => vector
            .chunks_exact_mut(8)
            .for_each(|lane| lane.copy_from_slice(&random.next_below(128).to_le_bytes())),
        // Masks: sign bits, whole lanes.
        13 => vector.chunks_exact_mut(4).for_each(|lane| {
            const MASKS: [u32; 4] = [0, u32::MAX, 0x8000_0000, 0x7fff_ffff];
            lane.copy_from_slice(&MASKS[random.next_below(4) as usize].to_le_bytes());
        }),
        // Text with an end: for string comparisons.
        14 => vector.iter_mut().for_each(|lane| {
            *lane = if random.next_below(12) == 0 {
                0
            } else {
                b'a' + random.next_below(4) as u8
            }
        }),
        _ => random.fill_bytes(vector),
    }
}

/// Every rounding mode, DAZ and FTZ as often as not; sticky flags and unmasked exceptions now and then.
fn mxcsr(random: &mut Random) -> u32 {
    let mut value = MXCSR_INITIAL;
    if random.next_below(2) == 0 {
        value |= (random.next_below(4) as u32) << 13;
    }
    for bit in [1 << 6, 1 << 15] {
        if random.next_below(3) == 0 {
            value |= bit;
        }
    }
    if random.next_below(4) == 0 {
        value |= random.next_below(64) as u32;
    }
    if random.next_below(6) == 0 {
        value &= !((random.next_below(64) as u32) << 7);
    }
    value
}

/// Every TOP with every filling, precision and rounding; pending and unmasked exceptions now and then.
fn x87(random: &mut Random) -> X87State {
    let top = random.next_below(8) as u32;
    let used = match random.next_below(8) {
        0 => 0,
        1 | 2 => 8,
        _ => 1 + random.next_below(7) as u32,
    };
    let mut tags = 0;
    for index in 0..used {
        tags |= 1 << ((top + index) & 7);
    }
    if random.next_below(6) == 0 {
        tags = random.next_u64() as u8;
    }
    let mut control = 0x007f | [0, 2, 3, 3][random.next_below(4) as usize] << 8;
    if random.next_below(2) == 0 {
        control |= (random.next_below(4) as u16) << 10;
    }
    if random.next_below(6) == 0 {
        control &= !(random.next_below(64) as u16);
    }
    let codes = random.next_u64() as u16 & 0x4700;
    let mut status = (top << 11) as u16 | codes;
    if random.next_below(4) == 0 {
        let flags = random.next_below(64) as u16;
        // One in four of these is pending; of the others the exceptions are masked.
        status |= if random.next_below(4) == 0 {
            flags
        } else {
            flags & control
        };
        status |= u16::from(random.next_below(4) == 0 && status & 1 != 0) << 6;
        if status & !control & 0x3f != 0 {
            status |= 0x8080;
        }
    }
    let mut st = std::array::from_fn(|_| values::extended_of(14, random));
    if random.next_below(4) == 0 {
        st[0] = values::multiple_of(st[1], random);
    }
    X87State {
        control,
        status,
        tags,
        st,
    }
}

/// Aligned, unaligned, across a cache line, across a page, at the end of one, at its start.
pub(super) fn random_corner_address(random: &mut Random, aligned: bool) -> u64 {
    let line = ARENA + 0x400 + random.next_below(0x20) * 64;
    let end = ARENA + PAGE_SIZE as u64;
    match random.next_below(if aligned { 12 } else { 16 }) {
        0 => line + random.next_below(64),
        1 if aligned => line + 16 * random.next_below(4),
        1 => end - 1 - random.next_below(64),
        2..=11 if aligned => line,
        2 => end - (1 << random.next_below(7)),
        3 => end,
        4 => line + 64 - 1 - random.next_below(8),
        5..=8 => line + random.next_below(64),
        _ => line + 8 * random.next_below(8),
    }
}

/// Mostly as the ABI aligns it; sometimes anywhere, and at the start of the page.
pub(super) fn stack_pointer(random: &mut Random) -> u64 {
    match random.next_below(8) {
        0 => STACK + 0x800 + random.next_below(64),
        1 => STACK + random.next_below(16),
        2 | 3 => STACK + 0x808,
        _ => STACK + 0x800,
    }
}

/// Sixty-four bytes of what the other fillings do not have.
pub(super) fn fill_corner_line(random: &mut Random, line: &mut [u8; 64]) {
    match random.next_below(4) {
        0 => line.chunks_exact_mut(16).for_each(|chunk| {
            chunk[..10].copy_from_slice(&values::extended_of(14, random));
        }),
        // Packed decimals, now and then with a digit that is none.
        1 => line.chunks_exact_mut(16).for_each(|chunk| {
            for digits in &mut chunk[..9] {
                *digits = (random.next_below(10) << 4 | random.next_below(10)) as u8;
            }
            chunk[9] = (random.next_below(2) << 7) as u8;
            if random.next_below(8) == 0 {
                chunk[random.next_below(9) as usize] = random.next_u64() as u8;
            }
        }),
        // Control words: of SSE, of x87, and what masks need.
        2 => line.chunks_exact_mut(4).for_each(|chunk| {
            let word = match random.next_below(4) {
                0 => mxcsr(random),
                1 => u32::from(x87(random).control),
                2 => random.next_u64() as u32 & 0xffff,
                _ => values::random_float(random),
            };
            chunk.copy_from_slice(&word.to_le_bytes());
        }),
        _ => line.chunks_exact_mut(8).for_each(|chunk| {
            let small = random.next_below(64);
            chunk.copy_from_slice(&small.to_le_bytes());
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_x87_operands_have_a_small_quotient() {
        let exponent =
            |register: [u8; 10]| i32::from(u16::from_le_bytes([register[8], register[9]]) & 0x7fff);
        let vector_pool = vector_pool(1);
        let quotients = vector_pool.iter().filter(|entry| {
            let [first, second, ..] = entry.x87.st;
            (1..8).contains(&(exponent(first) - exponent(second))) && exponent(second) != 0
        });
        assert!(quotients.count() > 16);
    }

    #[test]
    fn every_corner_of_the_control_words_is_there() {
        let vector_pool = vector_pool(1);
        assert_eq!(vector_pool, super::vector_pool(1));
        let all = |found: &dyn Fn(&VectorState) -> u32, count: usize| {
            let mut seen: Vec<u32> = vector_pool.iter().map(found).collect();
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len(), count, "{seen:?}");
        };
        all(&|entry| entry.mxcsr >> 13 & 3, 4);
        all(&|entry| entry.mxcsr & 0x8040, 4);
        all(&|entry| u32::from(entry.x87.top()), 8);
        all(&|entry| u32::from(entry.x87.control) >> 8 & 3, 3);
        all(&|entry| u32::from(entry.x87.control) >> 10 & 3, 4);
        assert!(
            vector_pool.iter().any(|entry| entry.x87.tags == 0)
                && vector_pool.iter().any(|entry| entry.x87.tags == 0xff)
        );
        assert!(vector_pool.iter().any(|entry| entry.mxcsr & 0x1f80 != 0x1f80));
        assert!(vector_pool.iter().any(|entry| entry.x87.control & 0x3f != 0x3f));
        assert!(
            vector_pool.iter().any(VectorState::is_clean)
                && vector_pool.iter().any(|entry| !entry.is_clean())
        );
        for entry in vector_pool.iter() {
            assert_eq!(entry.mxcsr & !0xffff, 0, "reserved bits would fault");
            let pending = entry.x87.status & !entry.x87.control & 0x3f != 0;
            assert_eq!(entry.x87.status & 0x8080, if pending { 0x8080 } else { 0 });
        }
    }
}
