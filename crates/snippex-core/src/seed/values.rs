//! Values that make arithmetic go wrong: the edges of every width, and float encodings of every kind.

use crate::random::Random;

/// Shift and rotate counts around every operand width.
const COUNTS: [u64; 16] = [0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 255];

/// A shift or rotate count, mostly at an edge, in the low byte of a register whose other bits are random.
pub(super) fn shift_count(random: &mut Random) -> u64 {
    let dirty = if random.next_below(2) == 0 {
        random.next_u64() & !0xff
    } else {
        0
    };
    dirty
        | if random.next_below(4) == 0 {
            random.next_below(256)
        } else {
            COUNTS[random.next_below(16) as usize]
        }
}

/// A segment selector under garbage: null, of the segments that Linux gives its 64-bit and 32-bit programs, of those it
/// keeps for threads and for itself, or any.
pub(super) fn random_selector(random: &mut Random) -> u64 {
    const SELECTORS: [u64; 12] = [0, 1, 2, 3, 0x2b, 0x33, 0x23, 0x63, 0x7b, 0x10, 4, 7];
    let dirty = random.next_u64() & !0xffff;
    match random.next_below(16) as usize {
        index @ 0..12 => dirty | SELECTORS[index],
        _ => random.next_u64(),
    }
}

/// A value at or next to an edge of some width: zero, all ones, sign bits, powers of two, and their neighbours.
pub(super) fn random_edge_value(random: &mut Random) -> u64 {
    let width = [8, 16, 32, 64][random.next_below(4) as usize];
    let ones = u64::MAX >> (64 - width);
    let value = match random.next_below(8) {
        0 => 0,
        1 => 1,
        2 => ones,
        3 => ones >> 1,
        4 => (ones >> 1) + 1,
        5 => ones - 1,
        6 => 1 << random.next_below(width),
        _ => (1_u64 << random.next_below(width)).wrapping_sub(1),
    };
    // Upper bits: zero, sign extension or garbage. Narrow operations must not look at them.
    match random.next_below(3) {
        0 => value & ones,
        1 => (((value << (64 - width)) as i64) >> (64 - width)) as u64,
        _ => (value & ones) | (random.next_u64() & !ones),
    }
}

/// Data for a general register that is not used as an address.
pub(super) fn random_data(random: &mut Random) -> u64 {
    match random.next_below(16) {
        0..=4 => random.next_u64(),
        5..=9 => random_edge_value(random),
        10..=11 => random.next_below(256),
        12 => u64::from(random.next_u64() as u32),
        13 => i64::from(random.next_u64() as i32) as u64,
        14 => random_double(random),
        _ => u64::from(random_float(random)) | (random.next_u64() << 32),
    }
}

/// A double of any kind (IEEE 754): special values as often as ordinary ones.
pub(super) fn random_double(random: &mut Random) -> u64 {
    let sign = random.next_u64() << 63;
    let fraction = random.next_u64() >> 12;
    let magnitude = match random.next_below(16) {
        0 => 0,
        1 => 0x7ff0_0000_0000_0000,
        2 => 0x7ff8_0000_0000_0000 | fraction,
        3 => 0x7ff0_0000_0000_0000 | (fraction >> 1).max(1),
        4 => fraction.max(1),
        5 => 0x3ff0_0000_0000_0000,
        6 => 0x7fef_ffff_ffff_ffff,
        7 => 0x0010_0000_0000_0000,
        // Small whole numbers, exact in every operation.
        8 | 9 => ((random.next_below(2000) as f64) * 0.25).to_bits(),
        // Near the limits of integer conversion.
        10 => ((1_u64 << (30 + random.next_below(35)).min(63)) as f64).to_bits(),
        // Anything within a factor of 2^64 of one.
        _ => ((1023 - 64 + random.next_below(128)) << 52) | fraction,
    };
    sign | magnitude
}

/// A single-precision float of any kind.
pub(super) fn random_float(random: &mut Random) -> u32 {
    let sign = (random.next_u64() as u32) << 31;
    let fraction = (random.next_u64() >> 41) as u32;
    let magnitude = match random.next_below(16) {
        0 => 0,
        1 => 0x7f80_0000,
        2 => 0x7fc0_0000 | fraction,
        3 => 0x7f80_0000 | (fraction >> 1).max(1),
        4 => fraction.max(1),
        5 => 0x3f80_0000,
        6 => 0x7f7f_ffff,
        7 => 0x0080_0000,
        8 | 9 => ((random.next_below(2000) as f32) * 0.25).to_bits(),
        10 => ((1_u64 << (15 + random.next_below(49)).min(63)) as f32).to_bits(),
        _ => ((127 - 32 + random.next_below(64) as u32) << 23) | fraction,
    };
    sign | magnitude
}

/// An 80-bit extended value, mostly ordinary; one in 32 is an encoding that no operation produces (Intel SDM
/// volume 1, section 8.2.2: pseudo-denormals, unnormals, pseudo-NaNs, pseudo-infinities).
pub(super) fn random_extended(random: &mut Random) -> [u8; 10] {
    extended_of(32, random)
}

/// The same with special values more often: of `kinds` kinds of value, seven are special.
pub(super) fn extended_of(kinds: u64, random: &mut Random) -> [u8; 10] {
    let sign = (random.next_below(2) as u16) << 15;
    let fraction = random.next_u64();
    let integer = 1 << 63;
    let (exponent, significand) = match random.next_below(kinds) {
        0 => (0, 0),
        1 => (0x7fff, integer),
        2 => (0x7fff, integer | (1 << 62) | fraction),
        3 => (0x7fff, integer | ((fraction >> 2).max(1))),
        4 => (0, (fraction >> 1).max(1)),
        5 => (0x7ffe, u64::MAX),
        6 => (random.next_below(0x8000) as u16, fraction & !integer),
        7..=15 => (16383, integer),
        16..=20 => (16383 + random.next_below(64) as u16, integer | (fraction << 40)),
        _ => (16383 - 64 + random.next_below(128) as u16, integer | fraction),
    };
    let mut bytes = [0; 10];
    bytes[..8].copy_from_slice(&significand.to_le_bytes());
    bytes[8..].copy_from_slice(&(sign | exponent).to_le_bytes());
    bytes
}

/// A number of the magnitude of `divisor`, or up to 128 times that: a remainder by it has a small quotient.
pub(super) fn multiple_of(divisor: [u8; 10], random: &mut Random) -> [u8; 10] {
    let exponent = u16::from_le_bytes([divisor[8], divisor[9]]) & 0x7fff;
    let exponent = match exponent {
        1..0x7f00 => exponent + random.next_below(8) as u16,
        _ => 0x3fff,
    };
    let sign = (random.next_below(2) as u16) << 15;
    let mut number = [0; 10];
    number[..8].copy_from_slice(&(random.next_u64() | 1 << 63).to_le_bytes());
    number[8..].copy_from_slice(&(exponent | sign).to_le_bytes());
    number
}
