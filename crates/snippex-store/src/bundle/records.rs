//! The records of a bundle as they are written. Version 1: nothing here changes without a new version.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use snippex_core::block::{Origin, Terminator, Unrunnable};
use snippex_triage::signature::BugKind;

use crate::run_summary::SummaryDetails;

/// Any record, for the way from the reader to the database.
#[derive(Debug)]
pub(super) enum Record {
    Host(HostRecord),
    Engine(EngineRecord),
    Binary(BinaryRecord),
    Block(BlockRecord),
    Run(Box<RunRecord>),
    Result(ResultRecord),
    Case(CaseRecord),
    Divergence(Box<DivergenceRecord>),
    Observation(ObservationRecord),
    Bug(BugRecord),
    Sighting(SightingRecord),
    Example(Box<ExampleRecord>),
    KnownBug(KnownBugRecord),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HostRecord {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) architecture: String,
    pub(super) cpu_model: String,
    pub(super) cpu_count: u32,
    pub(super) kernel: String,
    pub(super) page_size: u32,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EngineRecord {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) version: String,
    /// JSON as text, as it is compared.
    pub(super) configuration: String,
    pub(super) components: Vec<String>,
    pub(super) guest: GuestRecord,
    /// JSON as text, or empty.
    pub(super) host_cpu: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GuestRecord {
    pub(super) vendor: String,
    pub(super) brand: String,
    pub(super) hypervisor: String,
    pub(super) xcr0: HexNumber,
    pub(super) features: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BinaryRecord {
    pub(super) id: i64,
    pub(super) sha256: String,
    pub(super) name: String,
    pub(super) path: String,
    pub(super) size: u64,
    pub(super) format: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BlockRecord {
    pub(super) number: i64,
    pub(super) binary: i64,
    pub(super) address: HexNumber,
    pub(super) bytes: HexBytes,
    pub(super) instruction_count: u32,
    pub(super) terminator: Terminator,
    pub(super) successors: Vec<HexNumber>,
    pub(super) origin: Origin,
    pub(super) unrunnable: Option<Unrunnable>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RunRecord {
    pub(super) id: i64,
    pub(super) command: String,
    pub(super) arguments: String,
    pub(super) tool_version: String,
    pub(super) seed: HexNumber,
    pub(super) states_per_block: u32,
    pub(super) partition: Option<PartitionRecord>,
    pub(super) host: i64,
    /// The reference first.
    pub(super) engines: Vec<i64>,
    pub(super) owner: String,
    pub(super) finished: bool,
    pub(super) started_ms: i64,
    pub(super) heartbeat_ms: i64,
    pub(super) ended_ms: Option<i64>,
    pub(super) summary: Option<SummaryRecord>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PartitionRecord {
    pub(super) index: u32,
    pub(super) count: u32,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SummaryRecord {
    pub(super) elapsed_us: u64,
    pub(super) blocks: u64,
    pub(super) diverging_blocks: u64,
    pub(super) runs: u64,
    pub(super) completed: u64,
    pub(super) faulted: u64,
    pub(super) matched: u64,
    pub(super) diverged: u64,
    pub(super) inconclusive: u64,
    pub(super) unsupported: u64,
    pub(super) details: SummaryDetails,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ResultRecord {
    pub(super) run: i64,
    pub(super) block: i64,
    pub(super) engine: i64,
    pub(super) runs: u32,
    pub(super) completed: u32,
    pub(super) faulted: u32,
    pub(super) matched: u32,
    pub(super) diverged: u32,
    pub(super) unsupported: u32,
    pub(super) inconclusive: BTreeMap<String, u32>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CaseRecord {
    pub(super) id: String,
    pub(super) bytes: Base64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DivergenceRecord {
    pub(super) id: i64,
    pub(super) run: i64,
    pub(super) block: i64,
    pub(super) engine: i64,
    pub(super) reference: i64,
    pub(super) state_index: u32,
    pub(super) case: String,
    pub(super) class: String,
    pub(super) culprit: Option<String>,
    pub(super) confirmations: u32,
    /// JSON as text.
    pub(super) differences: String,
    pub(super) expected: Base64,
    pub(super) actual: Base64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ObservationRecord {
    pub(super) id: i64,
    pub(super) run: i64,
    pub(super) block: i64,
    pub(super) engine: i64,
    pub(super) state_index: u32,
    pub(super) case: String,
    pub(super) observation: Base64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BugRecord {
    pub(super) signature: String,
    pub(super) kind: BugKind,
    pub(super) form: String,
    pub(super) encoding: String,
    pub(super) fields: Vec<String>,
    pub(super) first_seen_ms: i64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SightingRecord {
    /// Empty where nobody has looked for it yet.
    pub(super) cause: String,
    pub(super) signature: String,
    pub(super) run: i64,
    pub(super) engine: i64,
    pub(super) runs: u64,
    pub(super) blocks: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExampleRecord {
    pub(super) cause: String,
    pub(super) signature: String,
    pub(super) engine: i64,
    pub(super) reference: i64,
    pub(super) block: Option<i64>,
    pub(super) case: String,
    pub(super) reduced: bool,
    pub(super) confirmations: u32,
    /// JSON as text.
    pub(super) differences: String,
    pub(super) expected: Base64,
    pub(super) actual: Base64,
    pub(super) found_ms: i64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KnownBugRecord {
    pub(super) bug: String,
    /// Empty for every engine.
    pub(super) engine: String,
    pub(super) issue: String,
    pub(super) note: String,
    pub(super) added_ms: i64,
}

/// An unsigned number of 64 bits, which not every reader of JSON keeps, as `"0x401000"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HexNumber(pub(super) u64);

impl Serialize for HexNumber {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:#x}", self.0))
    }
}

impl<'de> Deserialize<'de> for HexNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text("a hexadecimal number as \"0x401000\"", |text: &str| {
            let digits = text.strip_prefix("0x")?;
            // `from_str_radix` takes a sign.
            let is_plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            is_plain.then(|| u64::from_str_radix(digits, 16).ok().map(Self))?
        }))
    }
}

/// Bytes as hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HexBytes(pub(super) Vec<u8>);

impl Serialize for HexBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for HexBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text("bytes as hexadecimal digits", |text: &str| {
            hex::decode(text).ok().map(Self)
        }))
    }
}

/// Bytes in base64 with padding (RFC 4648).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Base64(pub(super) Vec<u8>);

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text("bytes in base64", |text: &str| {
            STANDARD.decode(text).ok().map(Self)
        }))
    }
}

/// Reads a text that stands for something.
struct Text<T>(&'static str, fn(&str) -> Option<T>);

impl<T> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        (self.1)(text).ok_or_else(|| E::custom(format_args!("expected {}", self.0)))
    }
}

/// A version that this build reads.
pub(super) struct KnownVersion;

impl<'de> Deserialize<'de> for KnownVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u32::deserialize(deserializer)? {
            super::BUNDLE_VERSION => Ok(Self),
            other => Err(D::Error::custom(format_args!(
                "the bundle has version {other}, this snippex reads version {}; use the snippex that wrote it",
                super::BUNDLE_VERSION
            ))),
        }
    }
}
