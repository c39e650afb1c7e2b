//! Comparison of the x87 unit.

use super::approximate::{registers_agree, significands_agree};
use super::difference::{Difference, Field, Value};
use super::registers::Registers;
use super::tolerance::Deviates;
use crate::effects::{Bits, Precision, RuleSet};
use crate::state::X87State;

impl Registers<'_> {
    pub(super) fn compare_x87(&mut self) {
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
        self.compare_number(
            Field::X87Control,
            "fcw".into(),
            values(expected.control, actual.control),
            self.mask.control,
            |_| None,
        );
        self.compare_number(
            Field::X87Status,
            "fsw".into(),
            values(expected.status, actual.status),
            open,
            status,
        );
        let tags = (u64::from(expected.tags), u64::from(actual.tags));
        self.compare_number(Field::X87Tags, "ftw".into(), tags, self.mask.tags, |_| None);
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
            Precision::Approximate(bound) => registers_agree(bound, a, b),
            Precision::Open(_) => true,
        };
        if excused {
            return self.noted.note_rules(precision.rules());
        }
        let empty = (expected.tags | actual.tags) & (1 << physical) == 0;
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
            return self.noted.note_deviation(deviation);
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
