//! Comparison of vector registers, lane by lane where a lane is an approximation.

use super::approximate::elements_agree;
use super::difference::{Difference, Field, Value};
use super::registers::Registers;
use crate::effects::RuleSet;
use crate::state::{Components, Vector};

impl Registers<'_> {
    pub(super) fn compare_vectors(&mut self, covered: Components) {
        for register in 0..32u8 {
            let compared = compared_bytes(register, covered);
            let index = usize::from(register);
            let (expected, actual) = (&self.expected.vectors[index], &self.actual.vectors[index]);
            if expected == actual || compared == 0 {
                continue;
            }
            let changed = changed_bytes(expected, actual) & compared;
            let open = self.mask.vectors[index];
            if changed & open.mask != 0 {
                self.noted.note_rules(open.rules);
            }
            let differing = self.without_approximations(index, changed & !open.mask);
            if differing != 0 {
                self.differences
                    .push(vector_difference(register, expected, actual, differing));
            }
        }
    }

    /// Removes the elements of `differing` that are approximations and agree as such.
    fn without_approximations(&mut self, index: usize, mut differing: u64) -> u64 {
        let (expected, actual) = (&self.expected.vectors[index], &self.actual.vectors[index]);
        for lanes in self
            .mask
            .approximations
            .iter()
            .filter(|lanes| usize::from(lanes.register) == index)
        {
            let element = usize::from(lanes.element);
            for start in (0..expected.len()).step_by(element) {
                let bytes = ((1u64 << element) - 1) << start;
                let whole = lanes.bytes & bytes == bytes && differing & bytes != 0;
                let range = start..start + element;
                if whole && elements_agree(lanes.rule, &expected[range.clone()], &actual[range]) {
                    self.noted.note_rules(RuleSet::from_rule(lanes.rule));
                    differing &= !bytes;
                }
            }
        }
        differing
    }
}

/// Which bytes of vector `register` are compared.
fn compared_bytes(register: u8, covered: Components) -> u64 {
    let parts = [
        (Components::SSE, 0xffff),
        (Components::AVX, 0xffff_0000),
        (Components::AVX512, !0xffff_ffff),
    ];
    match register {
        0..16 => parts
            .iter()
            .filter(|(part, _)| covered.contains(*part))
            .fold(0, |all, (_, bytes)| all | bytes),
        _ if covered.contains(Components::AVX512) => u64::MAX,
        _ => 0,
    }
}

fn changed_bytes(expected: &Vector, actual: &Vector) -> u64 {
    expected
        .iter()
        .zip(actual)
        .enumerate()
        .fold(0, |changed, (byte, (a, b))| changed | (u64::from(a != b) << byte))
}

/// The difference under the narrowest register name that shows it.
fn vector_difference(register: u8, expected: &Vector, actual: &Vector, differing: u64) -> Difference {
    let first = differing.trailing_zeros() as u8;
    let last = 63 - differing.leading_zeros() as u8;
    let (name, width) = match last {
        0..16 => ("xmm", 16),
        16..32 => ("ymm", 32),
        _ => ("zmm", 64),
    };
    let bits = |byte: usize| {
        if differing & (1 << byte) != 0 {
            expected[byte] ^ actual[byte]
        } else {
            0
        }
    };
    Difference {
        field: Field::Vector {
            register,
            first,
            last,
        },
        name: format!("{name}{register}"),
        expected: Value::Bytes(expected[..width].to_vec()),
        actual: Value::Bytes(actual[..width].to_vec()),
        differing: Value::Bytes((0..width).map(bits).collect()),
    }
}
