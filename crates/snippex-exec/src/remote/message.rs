//! What host and agent say, and the form in which it is sent. The order of fields and variants is the protocol.

use serde::{Deserialize, Serialize};
use snippex_core::block::Block;
use snippex_core::case::{PageAccess, Placement};
use snippex_core::codec::{self, Bytes, CodecError};
use snippex_core::seed::Style;
use snippex_core::state::Components;

use super::RemoteError;
use crate::engine::{EngineIdentity, ProgramDigests};
use crate::recording::container::{compress_bytes, decompress_bytes};
use crate::results::UnsupportedWire;

/// Version of the protocol.
pub(super) const PROTOCOL: u32 = 1;
/// Longest message when it is unpacked, in bytes.
const MAX_UNPACKED: u64 = 256 << 20;

/// What an agent says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentInfo {
    /// Version of the protocol that it speaks.
    pub protocol: u32,
    /// SHA-256 of its program file.
    pub sha256: [u8; 32],
    /// Version of snippex that it is.
    pub snippex: String,
    /// Architecture of its machine, such as `aarch64`.
    pub architecture: String,
    /// Release of its kernel.
    pub kernel: String,
    /// Bytes in a page of memory.
    pub page_size: u32,
    /// CPUs that it may use.
    pub cpus: u32,
}

/// What the host asks of the agent for the whole connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct HostInfo {
    pub(super) protocol: u32,
    /// Whether programs may be kept in files for the next time.
    pub(super) keep_blobs: bool,
}

/// The content address of a blob.
pub(super) type BlobId = [u8; 32];

/// What the host asks for.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Request<'a> {
    /// Start an engine, which is to go by `number`: its name, perhaps with a configuration, and its entry as JSON, where it has
    /// one.
    Open {
        number: u32,
        name: String,
        entry: Option<String>,
    },
    /// Cases are made so from now on where a batch names `number`.
    Origin { number: u32, origin: OriginWire },
    /// Is there a blob, or one of `bases`, which differ little from it?
    Offer { blob: BlobId, bases: Vec<BlobId> },
    /// The blob that was offered follows: so many pieces have come, packed against `base`.
    Blob {
        blob: BlobId,
        base: Option<BlobId>,
        length: u64,
    },
    /// Run a batch on the engine that goes by `engine`.
    Run {
        engine: u32,
        #[serde(borrow)]
        batch: BatchWire<'a>,
    },
    /// Have the engine begin with a fresh process.
    Restart { engine: u32 },
}

/// What the agent answers.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer<'a> {
    /// The engine runs, and these are its program files.
    Opened(Box<EngineIdentity>, ProgramDigests),
    /// It was done.
    Done,
    /// Whether there is the blob, else the base to be used.
    Offered { have: bool, base: Option<BlobId> },
    /// How the batch ended.
    Ran {
        #[serde(borrow)]
        results: ResultsWire<'a>,
    },
    /// The cases that were to be made again came out otherwise.
    OtherCases,
    /// It could not be done.
    Failed { problem: String, hint: String },
}

/// Where the cases of batches come from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct OriginWire {
    /// The program's file.
    pub(super) program: Option<BlobId>,
    pub(super) placement: Placement,
    pub(super) seed: u64,
    pub(super) states: u32,
    /// Blocks are single instructions in all their corners.
    pub(super) corners: bool,
    /// Digest of the vector pool that follows from this.
    pub(super) pool: u64,
}

impl OriginWire {
    pub(super) fn style(&self) -> Style {
        match self.corners {
            true => Style::Corners,
            false => Style::Compiled,
        }
    }
}

/// Groups to be run together.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct BatchWire<'a> {
    /// Where the cases come from, when they are to be made again.
    pub(super) origin: Option<u32>,
    /// In a process that has run nothing before.
    pub(super) fresh: bool,
    /// What of end states `expected` is about.
    pub(super) covered: Components,
    /// Packed [`GroupsWire`].
    #[serde(borrow)]
    pub(super) groups: Bytes<'a>,
    /// Of the runs of groups that are expected, eight bytes each.
    #[serde(borrow)]
    pub(super) expected: Bytes<'a>,
}

/// The groups of a batch.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum GroupsWire {
    /// To be made again.
    Made(Vec<GroupWire>),
    /// By their cases, as the codec has them, group by group.
    Whole(Vec<Vec<Vec<u8>>>),
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct GroupWire {
    pub(super) block: Block,
    pub(super) pages: Vec<(u64, PageAccess)>,
    /// Digest of what is made of it.
    pub(super) digest: u64,
    /// Whether its runs are among those that are expected.
    pub(super) expected: bool,
}

/// How a batch ended.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ResultsWire<'a> {
    /// By group, why it was not run.
    pub(super) unsupported: Vec<Option<UnsupportedWire>>,
    /// A bit for each run of each group that is expected: whether it ended so.
    #[serde(borrow)]
    pub(super) matched: Bytes<'a>,
    /// The ends of all other runs, packed, joined.
    #[serde(borrow)]
    pub(super) ends: Bytes<'a>,
    /// Instead of all that: the results of an engine that computes outcomes.
    #[serde(borrow)]
    pub(super) made: Option<Bytes<'a>>,
}

/// Encodes and packs a message.
pub(super) fn pack_message<T: Serialize>(message: &T) -> Vec<u8> {
    compress_bytes(&codec::encode_value(codec::FrameKind::Message, message))
        .expect("memory takes what is written to it")
}

/// Unpacks what [`pack_message`] packed; to be given to [`decode_message`].
pub(super) fn unpack_message(bytes: &[u8]) -> Result<Vec<u8>, RemoteError> {
    decompress_bytes(bytes, MAX_UNPACKED).map_err(|_| RemoteError::Malformed("a message does not unpack"))
}

/// Encodes a message.
pub(super) fn encode_message<T: Serialize>(message: &T) -> Vec<u8> {
    codec::encode_value(codec::FrameKind::Message, message)
}

/// Decodes a message.
pub(super) fn decode_message<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, CodecError> {
    codec::decode_value(codec::FrameKind::Message, bytes)
}
