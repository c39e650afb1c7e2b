//! Baselines: what is expected of each block, kept in a repository, and what a check says now.
//!
//! Blocks are known by their bytes, so that a rebuilt program is compared with what was recorded before. Blocks of the same
//! bytes are one: it fails when one of them does. A baseline holds a section for each pair of engines with seed and number of
//! states; versions of engines are no part of it, for what changes between them is what is looked for.

mod comparison;
mod observed;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use snippex_core::block::Block;

pub use comparison::{BaselineChange, BaselineComparison, ChangeKind};
pub use observed::{ObservedVerdicts, SeenAt};
pub use text::BaselineError;

/// A block by its bytes: the beginning of their SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentKey([u8; 10]);

impl ContentKey {
    /// The key of a block.
    #[must_use]
    pub fn from_block(block: &Block) -> Self {
        let digest: [u8; 32] = Sha256::digest(&block.bytes).into();
        Self(
            *digest
                .first_chunk()
                .expect("a digest is longer than its beginning"),
        )
    }
}

impl fmt::Display for ContentKey {
    /// Twenty lower-case hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl FromStr for ContentKey {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut key = [0; 10];
        hex::decode_to_slice(text, &mut key).map_err(|_| "a block is named by 20 hexadecimal digits")?;
        Ok(Self(key))
    }
}

impl Serialize for ContentKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ContentKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What was found out about a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BlockVerdict {
    /// Runs match, and none diverges.
    Pass,
    /// Runs diverge; by these causes, where they could be told.
    Fail(BTreeSet<String>),
    /// Nothing can be said: no run has a verdict, or an engine does not support the block.
    Open,
}

impl BlockVerdict {
    /// The verdict on blocks of which one has this verdict and another `other`.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Fail(mut causes), Self::Fail(more)) => {
                causes.extend(more);
                Self::Fail(causes)
            }
            (Self::Fail(causes), _) | (_, Self::Fail(causes)) => Self::Fail(causes),
            (Self::Pass, _) | (_, Self::Pass) => Self::Pass,
            (Self::Open, Self::Open) => Self::Open,
        }
    }
}

/// What the verdicts of a section are of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SectionKey {
    /// The engine that is compared, with its configuration.
    pub engine: String,
    /// The engine that is taken as right.
    pub reference: String,
    /// What start states and memory follow from.
    pub seed: u64,
    /// Start states for each block.
    pub states: u32,
}

impl fmt::Display for SectionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} against {}, seed {}, {} states",
            self.engine, self.reference, self.seed, self.states
        )
    }
}

/// Who says why a failure is accepted, and for how long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Why.
    pub reason: String,
    /// Where it is reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issue: Option<String>,
    /// The last day on which it holds, UTC; without one it holds for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Date>,
}

impl Approval {
    /// Whether it holds on that day.
    #[must_use]
    pub fn is_valid_on(&self, today: Date) -> bool {
        self.until.is_none_or(|until| today <= until)
    }
}

/// What may fail: a block, or whatever a bug is behind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Approved {
    /// A block, whatever is behind it.
    Block(ContentKey),
    /// Every block in which nothing else shows; the name of a cause.
    Bug(String),
}

impl fmt::Display for Approved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Block(key) => key.fmt(f),
            Self::Bug(cause) => f.write_str(cause),
        }
    }
}

/// What is expected of the blocks of a section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section {
    /// By block.
    pub verdicts: BTreeMap<ContentKey, BlockVerdict>,
    /// Failures that are accepted.
    pub approvals: BTreeMap<Approved, Approval>,
}

/// A baseline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Baseline {
    /// By what they are of.
    pub sections: BTreeMap<SectionKey, Section>,
}

impl Baseline {
    /// Takes the verdicts of `other` in the place of its own, section by section and block by block.
    pub fn merge(&mut self, other: Self) {
        for (key, section) in other.sections {
            let own = self.sections.entry(key).or_default();
            own.verdicts.extend(section.verdicts);
            own.approvals.extend(section.approvals);
        }
    }
}

/// The day in UTC.
#[must_use]
pub fn current_utc_date() -> Date {
    jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date()
}
