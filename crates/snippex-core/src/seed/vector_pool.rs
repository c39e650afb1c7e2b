//! Vector, x87 and opmask registers for the starts of a session.

use std::sync::Arc;

use super::{Style, corners, values};
use crate::group::VectorState;
use crate::random::Random;
use crate::state::{FCW_INITIAL, MXCSR_INITIAL, Vector, X87State};

/// Entries of a vector pool for compiled code: enough that each of a block's 64 starts has its own.
pub(super) const SIZE: usize = 64;

/// Sub-stream of the seed that pools come from.
const STREAM: u64 = 0x7061_6c65_7474_6500;

/// The vector pool of `seed` for code of a style.
#[must_use]
pub fn vector_pool(seed: u64, style: Style) -> Arc<[VectorState]> {
    match style {
        Style::Compiled => compiled(seed),
        Style::Corners => corners::vector_pool(seed),
    }
}

/// Even entries have clean upper halves (as compiled code leaves them), odd ones have data
/// everywhere.
fn compiled(seed: u64) -> Arc<[VectorState]> {
    let random = Random::new(seed).derive_stream(&[STREAM]);
    (0..SIZE)
        .map(|index| entry(&mut random.derive_stream(&[index as u64]), index % 2 == 0))
        .collect()
}

fn entry(random: &mut Random, clean: bool) -> VectorState {
    let mut vectors = [[0; 64]; 32];
    for (number, vector) in vectors.iter_mut().enumerate() {
        if clean && number >= 16 {
            continue;
        }
        fill(random, vector);
        if clean {
            vector[16..].fill(0);
        }
    }
    let opmask = if clean {
        [0; 8]
    } else {
        std::array::from_fn(|_| values::random_data(random))
    };
    VectorState {
        x87: x87(random),
        mxcsr: mxcsr(random),
        vectors,
        opmask,
    }
}

/// One kind of element per register, so that an operation sees lanes that make sense together.
fn fill(random: &mut Random, vector: &mut Vector) {
    match random.next_below(8) {
        0 | 1 => vector
            .chunks_exact_mut(8)
            .for_each(|lane| lane.copy_from_slice(&values::random_double(random).to_le_bytes())),
        2 | 3 => vector
            .chunks_exact_mut(4)
            .for_each(|lane| lane.copy_from_slice(&values::random_float(random).to_le_bytes())),
        4 => vector
            .chunks_exact_mut(8)
            .for_each(|lane| lane.copy_from_slice(&values::random_edge_value(random).to_le_bytes())),
        5 => vector.chunks_exact_mut(2).for_each(|lane| {
            lane.copy_from_slice(&(values::random_edge_value(random) as u16).to_le_bytes());
        }),
        6 => {
            const EDGES: [u8; 8] = [0, 1, 0x7f, 0x80, 0x81, 0xff, b'A', 0xfe];
            vector
                .iter_mut()
                .for_each(|lane| *lane = EDGES[random.next_below(8) as usize]);
        }
        _ => random.fill_bytes(vector),
    }
}

/// Mostly the value every program starts with; sometimes another rounding mode, DAZ, FTZ or sticky flags.
/// Exceptions stay masked: unmasked ones are the business of generated cases.
fn mxcsr(random: &mut Random) -> u32 {
    const DAZ: u32 = 1 << 6;
    const FTZ: u32 = 1 << 15;
    let mut value = MXCSR_INITIAL;
    if random.next_below(4) == 0 {
        value |= (random.next_below(4) as u32) << 13;
    }
    if random.next_below(8) == 0 {
        value |= DAZ;
    }
    if random.next_below(8) == 0 {
        value |= FTZ;
    }
    if random.next_below(8) == 0 {
        value |= random.next_below(64) as u32;
    }
    value
}

fn x87(random: &mut Random) -> X87State {
    let mut state = X87State {
        st: std::array::from_fn(|_| values::random_extended(random)),
        ..X87State::INITIAL
    };
    // A quarter as after FNINIT, half with some registers in use as in the middle of a computation, the rest full.
    let used = match random.next_below(8) {
        0 | 1 => 0,
        2..=6 => 1 + random.next_below(5) as u32,
        _ => 8,
    };
    let top = (8 - used) & 7;
    state.status = (top << 11) as u16 | ((random.next_below(8) as u16) << 8);
    for index in 0..used {
        state.tags |= 1 << ((top + index) & 7);
    }
    if random.next_below(4) == 0 {
        let precision = [0, 2, 3][random.next_below(3) as usize];
        state.control = (FCW_INITIAL & !0x0f00) | (precision << 8) | ((random.next_below(4) as u16) << 10);
    }
    state
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depends_on_the_seed_alone() {
        assert_eq!(vector_pool(1, Style::Compiled), vector_pool(1, Style::Compiled));
        assert_ne!(vector_pool(1, Style::Compiled), vector_pool(2, Style::Compiled));
    }

    #[test]
    fn half_is_clean_and_nothing_is_unmasked() {
        let vector_pool = vector_pool(3, Style::Compiled);
        assert_eq!(
            vector_pool.iter().filter(|entry| entry.is_clean()).count(),
            SIZE / 2
        );
        for entry in vector_pool.iter() {
            assert_eq!(entry.mxcsr & 0x1f80, 0x1f80);
            assert_eq!(entry.mxcsr & !0xffff, 0, "reserved bits would fault");
            assert_eq!(entry.x87.control & 0x3f, 0x3f);
        }
    }
}
