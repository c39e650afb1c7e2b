//! Comparison of registers, in the order general, flags, segment bases, vectors, opmasks, MXCSR, x87.

use super::approximate::{elements_agree, registers_agree, significands_agree};
use super::difference::{Difference, Field, Noted, Value};
use super::tolerance::{Deviates, Tolerance};
use crate::effects::{Bits, Mask, Precision, RuleSet};
use crate::state::{Components, GPR_NAMES, MachineState, Vector, X87State, rflags};

/// The flags that are compared: all that have a name.
const COMPARED_FLAGS: u64 = {
    let mut flags = 0;
    let mut index = 0;
    while index < rflags::NAMES.len() {
        flags |= rflags::NAMES[index].1;
        index += 1;
    }
    flags
};

/// What the comparison of two states writes to.
pub(super) struct Registers<'a> {
    pub(super) expected: &'a MachineState,
    pub(super) actual: &'a MachineState,
    pub(super) mask: &'a Mask,
    pub(super) tolerance: &'a Tolerance,
    pub(super) noted: &'a mut Noted,
    pub(super) differences: Vec<Difference>,
}

impl Registers<'_> {
    /// Compares every covered part.
    pub(super) fn compare(&mut self, covered: Components) {
        if covered.contains(Components::GENERAL) {
            self.general();
            self.flags();
        }
        if covered.contains(Components::SEGMENT_BASES) {
            self.bases();
        }
        self.vectors(covered);
        if covered.contains(Components::AVX512) {
            self.opmasks();
        }
        if covered.contains(Components::SSE) {
            let bits = |deviates| match deviates {
                Deviates::Mxcsr(bits) => Some(u64::from(bits)),
                _ => None,
            };
            let (a, b) = (u64::from(self.expected.mxcsr), u64::from(self.actual.mxcsr));
            self.number(Field::Mxcsr, "mxcsr".into(), (a, b), self.mask.mxcsr, bits);
        }
        if covered.contains(Components::X87) {
            self.x87();
        }
    }

    fn general(&mut self) {
        for (register, name) in (0u8..).zip(GPR_NAMES) {
            let index = usize::from(register);
            let values = (self.expected.gpr[index], self.actual.gpr[index]);
            self.number(
                Field::Gpr { register },
                name.into(),
                values,
                self.mask.gpr[index],
                |_| None,
            );
        }
    }

    fn flags(&mut self) {
        let changed = (self.expected.rflags ^ self.actual.rflags) & COMPARED_FLAGS;
        if changed == 0 {
            return;
        }
        for (name, flag) in rflags::NAMES.into_iter().filter(|(_, flag)| changed & flag != 0) {
            let values = (self.expected.rflags & flag, self.actual.rflags & flag);
            let values = (u64::from(values.0 != 0), u64::from(values.1 != 0));
            let open = Bits::new(1, self.mask.flag_rules(flag));
            self.number(
                Field::Flag { flag },
                name.into(),
                values,
                open,
                |deviates| match deviates {
                    Deviates::Flags(flags) => Some(u64::from(flags & flag != 0)),
                    _ => None,
                },
            );
        }
    }

    fn bases(&mut self) {
        let [fs, gs] = self.mask.bases.map(|rules| Bits::new(u64::MAX, rules));
        let (expected, actual) = (self.expected, self.actual);
        self.number(
            Field::FsBase,
            "fs.base".into(),
            (expected.fs_base, actual.fs_base),
            fs,
            |_| None,
        );
        self.number(
            Field::GsBase,
            "gs.base".into(),
            (expected.gs_base, actual.gs_base),
            gs,
            |_| None,
        );
    }

    fn opmasks(&mut self) {
        for register in 0..8u8 {
            let index = usize::from(register);
            let values = (self.expected.opmask[index], self.actual.opmask[index]);
            self.number(
                Field::Opmask { register },
                format!("k{register}"),
                values,
                self.mask.opmask[index],
                |_| None,
            );
        }
    }

    /// Compares two numbers under open bits and under the deviations that `excused` picks out.
    fn number(
        &mut self,
        field: Field,
        name: String,
        (expected, actual): (u64, u64),
        open: Bits,
        excused: impl Fn(Deviates) -> Option<u64>,
    ) {
        if expected == actual {
            return;
        }
        let mut differing = expected ^ actual;
        if differing & open.mask != 0 {
            self.noted.rules(open.rules);
            differing &= !open.mask;
        }
        for (deviation, bits) in self.tolerance.excusing(excused) {
            if differing & bits != 0 {
                self.noted.deviation(deviation);
                differing &= !bits;
            }
        }
        if differing != 0 {
            self.differences.push(Difference {
                field,
                name,
                expected: Value::Number(expected),
                actual: Value::Number(actual),
                differing: Value::Number(differing),
            });
        }
    }

    fn vectors(&mut self, covered: Components) {
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
                self.noted.rules(open.rules);
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
                    self.noted.rules(RuleSet::of(lanes.rule));
                    differing &= !bytes;
                }
            }
        }
        differing
    }

    fn x87(&mut self) {
        let (expected, actual) = (&self.expected.x87, &self.actual.x87);
        if expected == actual {
            return;
        }
        let status = |deviates| match deviates {
            Deviates::X87Status(bits) => Some(u64::from(bits)),
            _ => None,
        };
        let values = |a: u16, b: u16| (u64::from(a), u64::from(b));
        let open = Bits::new(u64::from(self.mask.status_bits()), self.open_status());
        self.number(
            Field::X87Control,
            "fcw".into(),
            values(expected.control, actual.control),
            self.mask.control,
            |_| None,
        );
        self.number(
            Field::X87Status,
            "fsw".into(),
            values(expected.status, actual.status),
            open,
            status,
        );
        let tags = (u64::from(expected.tags), u64::from(actual.tags));
        self.number(Field::X87Tags, "ftw".into(), tags, self.mask.tags, |_| None);
        // By physical number, so that a wrong TOP does not make every register differ as well.
        for physical in 0..8u8 {
            self.x87_register(physical, expected, actual);
        }
    }

    /// Rules of the status bits that differ and are open.
    fn open_status(&self) -> RuleSet {
        let changed = self.expected.x87.status ^ self.actual.x87.status;
        self.mask.status_rules(changed & self.mask.status_bits())
    }

    fn x87_register(&mut self, physical: u8, expected: &X87State, actual: &X87State) {
        let stack = |state: &X87State| usize::from(physical.wrapping_sub(state.top()) & 7);
        let index = stack(expected);
        let (a, b) = (&expected.st[index], &actual.st[stack(actual)]);
        if a == b {
            return;
        }
        let precision = self.mask.st[usize::from(physical)];
        let excused = match precision {
            Precision::Exact => false,
            Precision::Approximate(rule) => registers_agree(rule, a, b),
            Precision::Open(_) => true,
        };
        if excused {
            return self.noted.rules(precision.rules());
        }
        let empty = expected.tags & actual.tags & (1 << physical) == 0
            && (expected.tags | actual.tags) & (1 << physical) == 0;
        let excuse = self
            .tolerance
            .deviations
            .iter()
            .find(|deviation| match deviation.deviates {
                Deviates::EmptyX87Registers => empty,
                Deviates::X87Significand(bits) => significands_agree(a, b, bits),
                _ => false,
            });
        if let Some(deviation) = excuse {
            return self.noted.deviation(deviation);
        }
        self.differences.push(Difference {
            field: Field::X87Register { index: index as u8 },
            name: format!("st({index})"),
            expected: Value::Bytes(a.to_vec()),
            actual: Value::Bytes(b.to_vec()),
            differing: Value::Bytes(a.iter().zip(b).map(|(a, b)| a ^ b).collect()),
        });
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
