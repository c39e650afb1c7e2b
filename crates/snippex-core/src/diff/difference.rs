//! The outcome types of a comparison.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::class::Class;
use super::tolerance::Deviation;
use crate::effects::{Rule, RuleSet};
use crate::observation::Endpoint;

/// What two observations of a case say about each other.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "outcome", content = "detail")]
pub enum Comparison {
    /// Every defined bit agrees. Says which differences were passed over, if there were any.
    Match(Noted),
    /// At least one defined bit differs.
    Diverged(Divergence),
    /// The two cannot be held against each other.
    Inconclusive(InconclusiveReason),
}

/// Differences that do not count, by what excuses them: how many fields each excused (of memory: bytes).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Noted {
    /// Left open by the manuals.
    pub rules: BTreeMap<Rule, u32>,
    /// Documented by the engine, by [`super::Deviation::id`].
    pub deviations: BTreeMap<Cow<'static, str>, u32>,
}

impl Noted {
    /// Whether nothing was passed over.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.deviations.is_empty()
    }

    pub(super) fn note_rules(&mut self, rules: RuleSet) {
        for rule in rules.iter() {
            *self.rules.entry(rule).or_default() += 1;
        }
    }

    pub(super) fn note_deviation(&mut self, deviation: &Deviation) {
        *self.deviations.entry(deviation.id.clone()).or_default() += 1;
    }
}

/// Every defined difference, and what they look like in short.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Divergence {
    /// In the order of comparison; never empty.
    pub differences: Vec<Difference>,
    /// Kind and guessed culprit.
    pub class: Class,
    /// Differences that did not count.
    pub noted: Noted,
}

/// Why no verdict is possible.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "reason")]
pub enum InconclusiveReason {
    /// The engine that is taken as right did not end.
    ExpectedHung,
    /// The engine that is taken as right died.
    ExpectedDied,
    /// The endpoints differ, and which one is taken depends on an open bit.
    OpenEndpoint {
        /// Why the bit is open.
        rules: RuleSet,
        /// Both endpoints.
        difference: Box<Difference>,
    },
    /// Memory differs, and open data was stored at an address that the analysis does not know.
    OpenMemory {
        /// Why the data is open.
        rules: RuleSet,
        /// The bytes in question.
        differences: Vec<Difference>,
    },
    /// The endpoints differ as the engine documents. After that the states have nothing in common.
    Deviation {
        /// [`super::Deviation::id`].
        id: Cow<'static, str>,
        /// Both endpoints.
        difference: Box<Difference>,
    },
}

/// One part of the state that differs in defined bits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Which part.
    pub field: Field,
    /// What people call it: `rax`, `CF`, `ymm3`, `st(0)`, `[0x7fff0010]`.
    pub name: String,
    /// Value on the engine that is taken as right.
    pub expected: Value,
    /// Value on the subject.
    pub actual: Value,
    /// The bits that differ and are defined; for endpoints [`Value::None`].
    pub differing: Value,
}

/// A part of the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case", tag = "part")]
pub enum Field {
    /// How the run ended.
    Endpoint,
    /// The address that a page fault reports.
    FaultAddress,
    /// General register, by encoding number.
    Gpr {
        /// 0..=15.
        register: u8,
    },
    /// One bit of RFLAGS.
    Flag {
        /// Its mask.
        flag: u64,
    },
    /// FS base.
    FsBase,
    /// GS base.
    GsBase,
    /// Vector register; the lane is where bytes differ.
    Vector {
        /// 0..=31.
        register: u8,
        /// First differing byte.
        first: u8,
        /// Last differing byte.
        last: u8,
    },
    /// Opmask register.
    Opmask {
        /// 0..=7.
        register: u8,
    },
    /// MXCSR.
    Mxcsr,
    /// x87 control word.
    X87Control,
    /// x87 status word.
    X87Status,
    /// x87 abridged tags.
    X87Tags,
    /// x87 register, by its distance from the expected top of stack.
    X87Register {
        /// 0..=7.
        index: u8,
    },
    /// Memory.
    Memory {
        /// Run-time address of the first differing byte.
        address: u64,
    },
}

/// A value in a difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Not a value.
    None,
    /// A number. Serialised as a hexadecimal string, because JSON numbers end at 2^53.
    Number(u64),
    /// Bytes in memory order. Serialised as a hexadecimal string.
    Bytes(Vec<u8>),
    /// An endpoint.
    Endpoint(Endpoint),
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => serializer.serialize_none(),
            Self::Number(number) => serializer.collect_str(&format_args!("{number:#x}")),
            Self::Bytes(bytes) => serializer.serialize_str(&hex::encode(bytes)),
            Self::Endpoint(endpoint) => endpoint.serialize(serializer),
        }
    }
}
