//! Rulings: which engine is right, by a sentence of the manual, where one decides.
//!
//! A [`Ruling`] holds for a reduced divergence. It also groups bugs: an engine that never sets MXCSR.DE has one bug for
//! its developer, and a signature for each instruction. Where no ruling is found the engine that is taken as right is
//! the only judge.
//!
//! Place in the flow: after reduction. Undefined results never reach this point (`effects`), nothing is run here.

mod swept;
mod table;

use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic};
use serde::Serialize;

use crate::case::Case;
use crate::diff::{Difference, Field, Value};
use crate::effects::BlockEffects;
use crate::observation::{Endpoint, Observation, Signal};
use crate::signature::{BugKind, Signature};

/// Which side does what the manual says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// The engine that is taken as right.
    Reference,
    /// The engine under test.
    Tested,
}

/// A sentence of the manual.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Ruling {
    /// Stable name.
    pub id: &'static str,
    /// The bug in a few words.
    pub title: &'static str,
    /// What has to happen, in a sentence.
    pub what: &'static str,
    /// Where the manual says so.
    pub reference: &'static str,
    #[serde(skip)]
    decides: fn(&Evidence<'_>) -> Option<Side>,
}

/// A reduced divergence.
#[derive(Debug)]
pub struct Evidence<'e> {
    instruction: Instruction,
    effects: BlockEffects,
    index: usize,
    signature: &'e Signature,
    case: &'e Case,
    expected: &'e Observation,
    actual: &'e Observation,
    differences: &'e [Difference],
}

impl<'e> Evidence<'e> {
    /// The evidence of `case`, at fault in its last instruction. `None` when that does not decode.
    #[must_use]
    pub fn new(
        signature: &'e Signature,
        case: &'e Case,
        expected: &'e Observation,
        actual: &'e Observation,
        differences: &'e [Difference],
    ) -> Option<Self> {
        let block = &case.block;
        let instruction = Decoder::with_ip(64, &block.bytes, block.address, DecoderOptions::NONE)
            .into_iter()
            .last()
            .filter(|instruction| !instruction.is_invalid())?;
        let effects = BlockEffects::new(block);
        Some(Self {
            instruction,
            index: effects.instruction_count().checked_sub(1)?,
            effects,
            signature,
            case,
            expected,
            actual,
            differences,
        })
    }

    /// The ruling on it, and who is right.
    #[must_use]
    pub fn ruling(&self) -> Option<(&'static Ruling, Side)> {
        rules().find_map(|rule| Some((rule, (rule.decides)(self)?)))
    }

    /// The bytes of the instruction.
    fn bytes(&self) -> &[u8] {
        let bytes = &self.case.block.bytes;
        &bytes[bytes.len() - self.instruction.len()..]
    }

    fn is(&self, kind: BugKind) -> bool {
        self.signature.kind == kind
    }

    fn in_state(&self) -> bool {
        self.signature.kind.is_in_state()
    }

    fn mnemonic(&self) -> Mnemonic {
        self.instruction.mnemonic()
    }

    /// The mnemonic in lower case.
    fn name(&self) -> String {
        format!("{:?}", self.mnemonic()).to_lowercase()
    }

    fn has(&self, field: &str) -> bool {
        self.signature.fields.iter().any(|found| found == field)
    }

    fn only(&self, fields: &[&str]) -> bool {
        self.signature
            .fields
            .iter()
            .all(|found| fields.contains(&found.as_str()))
    }

    fn is_vector(&self) -> bool {
        self.effects.is_vector(self.index)
    }

    fn is_x87(&self) -> bool {
        self.effects.is_floating_point(self.index) && !self.is_vector()
    }

    /// The signal of the reference.
    fn signal(&self) -> Option<Signal> {
        match self.expected.endpoint {
            Endpoint::Signal(signal) => Some(signal),
            _ => None,
        }
    }

    /// Values of the differing elements of `size` bytes of vector registers, expected and actual.
    fn elements(&self, size: usize) -> impl Iterator<Item = (u64, u64)> {
        let number = |bytes: &[u8]| {
            bytes
                .iter()
                .rev()
                .fold(0, |number, byte| number << 8 | u64::from(*byte))
        };
        self.differences
            .iter()
            .filter(|difference| matches!(difference.field, Field::Vector { .. } | Field::Memory { .. }))
            .filter_map(|difference| match (&difference.expected, &difference.actual) {
                (Value::Bytes(expected), Value::Bytes(actual)) => Some((expected, actual)),
                _ => None,
            })
            .flat_map(move |(expected, actual)| expected.chunks(size).zip(actual.chunks(size)))
            .filter(|(expected, actual)| expected != actual)
            .map(move |(expected, actual)| (number(expected), number(actual)))
    }
}

/// Every ruling, in the order in which they are tried.
pub fn rules() -> impl Iterator<Item = &'static Ruling> {
    swept::RULES.iter().chain(table::RULES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_a_name_of_its_own_and_a_reference() {
        let mut ids: Vec<_> = rules().map(|rule| rule.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), rules().count());
        for rule in rules() {
            assert!(
                rule.reference.starts_with("SDM vol.") || rule.reference.starts_with("APM vol."),
                "{}",
                rule.id
            );
            assert!(
                rule.what
                    .ends_with(|last: char| last.is_alphanumeric() || last == ')'),
                "{}",
                rule.id
            );
        }
    }
}
