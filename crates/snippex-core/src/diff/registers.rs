//! Comparison of registers, in the order general, flags, segment bases, vectors, opmasks, MXCSR, x87; and of
//! everything in them that is a number.

use super::difference::{Difference, Field, Noted, Value};
use super::tolerance::{Deviates, Tolerance};
use crate::effects::{Bits, Mask, Rule, RuleSet};
use crate::state::{Components, GPR_NAMES, MachineState, rflags};

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
    pub(super) fn compare_components(&mut self, covered: Components) {
        if covered.contains(Components::GENERAL) {
            self.general();
            self.flags();
        }
        if covered.contains(Components::SEGMENT_BASES) {
            self.bases();
        }
        self.compare_vectors(covered);
        if covered.contains(Components::AVX512) {
            self.opmasks();
        }
        if covered.contains(Components::SSE) {
            let bits = |deviates| match deviates {
                Deviates::Mxcsr(bits) => Some(u64::from(bits)),
                _ => None,
            };
            let (a, b) = (u64::from(self.expected.mxcsr), u64::from(self.actual.mxcsr));
            self.compare_number(Field::Mxcsr, "mxcsr".into(), (a, b), self.mask.mxcsr, bits);
        }
        if covered.contains(Components::X87) {
            self.compare_x87();
        }
    }

    fn general(&mut self) {
        for (register, name) in (0u8..).zip(GPR_NAMES) {
            let index = usize::from(register);
            let values = (self.expected.gpr[index], self.actual.gpr[index]);
            self.compare_number(
                Field::Gpr { register },
                name.into(),
                values,
                self.mask.gpr[index],
                |_| None,
            );
        }
    }

    fn flags(&mut self) {
        let changed = self.expected.rflags ^ self.actual.rflags;
        if changed & rflags::RF != 0 {
            self.noted.note_rules(RuleSet::from_rule(Rule::SignalFlags));
        }
        let changed = changed & COMPARED_FLAGS;
        if changed == 0 {
            return;
        }
        for (name, flag) in rflags::NAMES.into_iter().filter(|(_, flag)| changed & flag != 0) {
            let values = (self.expected.rflags & flag, self.actual.rflags & flag);
            let values = (u64::from(values.0 != 0), u64::from(values.1 != 0));
            let open = Bits::new(1, self.mask.flag_rules(flag));
            self.compare_number(
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
        self.compare_number(
            Field::FsBase,
            "fs.base".into(),
            (expected.fs_base, actual.fs_base),
            fs,
            |_| None,
        );
        self.compare_number(
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
            self.compare_number(
                Field::Opmask { register },
                format!("k{register}"),
                values,
                self.mask.opmask[index],
                |_| None,
            );
        }
    }

    /// Compares two numbers under open bits and under the deviations that `excused` picks out.
    pub(super) fn compare_number(
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
            self.noted.note_rules(open.rules);
            differing &= !open.mask;
        }
        for (deviation, bits) in self.tolerance.excusing_deviations(excused) {
            if differing & bits != 0 {
                self.noted.note_deviation(deviation);
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
}
