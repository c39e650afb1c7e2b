//! The file of a recording, all numbers little-endian:
//!
//! ```text
//! "SNIPXREC", format version (4 bytes), length of the header (4), the header
//! parts, one after another: the program, then for each batch its blocks and their ends; each by zstd
//! the index: offset, length and SHA-256 of each part
//! offset of the index (8), its length (8), SHA-256 of header and index, "SNIPXEND"
//! ```
//!
//! Header, index and blocks are in snippex-core's envelope. The digest at the end covers all of it and names the recording:
//! the same cases on the same engine have the same name, however many threads recorded them.

use std::collections::HashMap;
use std::fmt;
use std::io::{Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use snippex_core::block::Block;
use snippex_core::case::{PageAccess, Placement};
use snippex_core::codec::{self, FrameKind};
use snippex_core::group::Group;
use snippex_core::seed::Style;

use super::RecordingError;
use super::end::End;
use super::ends::unpack_ends;
use super::streams::Joined;
use crate::engine::EngineIdentity;
use crate::results::UnsupportedWire;

const MAGIC: [u8; 8] = *b"SNIPXREC";
const END: [u8; 8] = *b"SNIPXEND";
const VERSION: u32 = 2;
/// Bytes before the header.
const FRONT: usize = 16;
/// Bytes behind the index.
const TRAILER: usize = 56;
/// Longest batch in bytes when it is unpacked: far above any.
const MAX_BATCH: u64 = 256 << 20;
/// Longest program in bytes.
const MAX_PROGRAM: u64 = 2 << 30;
/// zstd's own default: what is left to compress is mostly what nothing predicts.
const LEVEL: i32 = 3;

/// What was recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Version of the snippex that recorded.
    pub snippex: String,
    /// The engine.
    pub engine: EngineIdentity,
    /// What the blocks come from.
    pub source: RecordedSource,
    /// Where they lie when they run.
    pub placement: Placement,
    /// Source of all start states and made-up memory.
    pub seed: u64,
    /// Start states of each block.
    pub states: u32,
}

/// What recorded blocks come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RecordedSource {
    /// A program, which the recording holds.
    Program {
        /// Name of its file, without the folder.
        name: String,
    },
    /// The instruction set; the request in words.
    Generated {
        /// As reports name it.
        request: String,
    },
}

impl RecordedSource {
    /// For people.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Program { name } => name,
            Self::Generated { request } => request,
        }
    }
}

impl About {
    /// What kind of code the blocks are.
    #[must_use]
    pub fn style(&self) -> Style {
        match self.source {
            RecordedSource::Program { .. } => Style::Compiled,
            RecordedSource::Generated { .. } => Style::Corners,
        }
    }
}

/// The content address of a recording: two are the same exactly when their names are.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RecordingId(pub [u8; 32]);

impl fmt::Display for RecordingId {
    /// 64 lower-case hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for RecordingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordingId({self})")
    }
}

/// A block of a recording.
#[derive(Serialize, Deserialize)]
pub(super) struct RecordedBlock {
    /// Its place among the blocks that were recorded.
    pub(super) place: u64,
    pub(super) block: Block,
    /// First half of the id of its group.
    pub(super) group: [u8; 16],
    /// Every page of its cases.
    pub(super) pages: Vec<(u64, PageAccess)>,
    /// Why it was not run.
    pub(super) unsupported: Option<UnsupportedWire>,
}

#[derive(Serialize, Deserialize)]
struct Part {
    offset: u64,
    /// Bytes in the file.
    length: u64,
    digest: [u8; 32],
}

#[derive(Serialize, Deserialize)]
struct Index {
    program: Option<Part>,
    /// Blocks and ends of each batch.
    batches: Vec<(Part, Part)>,
}

/// Writes a recording.
pub(super) struct Writer<W> {
    file: W,
    written: u64,
    digest: Sha256,
    index: Index,
}

/// Packed and compressed: the blocks of a batch, and their ends.
pub(super) struct PackedBatch {
    pub(super) blocks: Vec<u8>,
    pub(super) ends: Vec<u8>,
}

/// `bytes` by zstd.
pub(crate) fn compress_bytes(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    zstd::stream::encode_all(bytes, LEVEL)
}

/// What [`compress_bytes`] was given, if that is at most `limit` bytes long.
pub(crate) fn decompress_bytes(bytes: &[u8], limit: u64) -> Result<Vec<u8>, RecordingError> {
    const WHAT: RecordingError = RecordingError::Invalid("a part does not unpack");
    let mut unpacked = Vec::new();
    let decoder = zstd::stream::read::Decoder::new(bytes).map_err(|_| WHAT)?;
    decoder
        .take(limit + 1)
        .read_to_end(&mut unpacked)
        .map_err(|_| WHAT)?;
    match unpacked.len() as u64 <= limit {
        true => Ok(unpacked),
        false => Err(RecordingError::Invalid("a part is too long")),
    }
}

impl<W: Write> Writer<W> {
    /// Begins a recording; `program` is what its blocks come from.
    pub(super) fn new(mut file: W, about: &About, program: Option<&[u8]>) -> Result<Self, RecordingError> {
        let header = codec::encode_value(FrameKind::Recording, about);
        let length =
            u32::try_from(header.len()).map_err(|_| RecordingError::Invalid("its header is too long"))?;
        file.write_all(&MAGIC)?;
        file.write_all(&VERSION.to_le_bytes())?;
        file.write_all(&length.to_le_bytes())?;
        file.write_all(&header)?;
        let mut writer = Self {
            file,
            written: FRONT as u64 + header.len() as u64,
            digest: Sha256::new_with_prefix(&header),
            index: Index {
                program: None,
                batches: Vec::new(),
            },
        };
        if let Some(program) = program {
            writer.index.program = Some(writer.part(&compress_bytes(program)?)?);
        }
        Ok(writer)
    }

    fn part(&mut self, bytes: &[u8]) -> Result<Part, RecordingError> {
        self.file.write_all(bytes)?;
        let offset = self.written;
        self.written += bytes.len() as u64;
        Ok(Part {
            offset,
            length: bytes.len() as u64,
            digest: Sha256::digest(bytes).into(),
        })
    }

    pub(super) fn add_batch(&mut self, batch: &PackedBatch) -> Result<(), RecordingError> {
        let parts = (self.part(&batch.blocks)?, self.part(&batch.ends)?);
        self.index.batches.push(parts);
        Ok(())
    }

    /// Ends the recording; returns its name and its length in bytes.
    pub(super) fn finish(mut self) -> Result<(W, RecordingId, u64), RecordingError> {
        let index = codec::encode_value(FrameKind::Recording, &self.index);
        self.digest.update(&index);
        let digest: [u8; 32] = self.digest.finalize().into();
        self.file.write_all(&index)?;
        self.file.write_all(&self.written.to_le_bytes())?;
        self.file.write_all(&(index.len() as u64).to_le_bytes())?;
        self.file.write_all(&digest)?;
        self.file.write_all(&END)?;
        self.file.flush()?;
        let length = self.written + (index.len() + TRAILER) as u64;
        Ok((self.file, RecordingId(digest), length))
    }
}

/// A recording that was opened: header, index and blocks have been checked, the ends are when they are read.
pub struct Recording {
    bytes: Vec<u8>,
    id: RecordingId,
    about: About,
    index: Index,
    blocks: Vec<Entry>,
    /// Indices into `blocks` by address.
    by_address: HashMap<u64, Vec<u32>>,
}

struct Entry {
    recorded: RecordedBlock,
    batch: usize,
    /// Place within the batch.
    position: usize,
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording")
            .field("id", &self.id)
            .field("blocks", &self.blocks.len())
            .finish_non_exhaustive()
    }
}

impl Recording {
    /// Whether the file at `path` begins like a recording.
    #[must_use]
    pub fn is_at(path: &Path) -> bool {
        let mut begin = [0; MAGIC.len()];
        let file = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut begin));
        file.is_ok() && begin == MAGIC
    }

    /// Reads the file at `path`.
    ///
    /// # Errors
    /// When it cannot be read, is none, or is damaged as far as that shows without the ends; see [`Recording::verify`].
    pub fn open(path: &Path) -> Result<Self, RecordingError> {
        let mut file = std::fs::File::open(path)?;
        let mut bytes = Vec::new();
        (&mut file).take(MAGIC.len() as u64).read_to_end(&mut bytes)?;
        if bytes != MAGIC {
            return Err(RecordingError::NotARecording);
        }
        file.read_to_end(&mut bytes)?;
        Self::of_bytes(bytes)
    }

    /// The recording that `bytes` are.
    ///
    /// # Errors
    /// As [`Recording::open`].
    pub fn of_bytes(bytes: Vec<u8>) -> Result<Self, RecordingError> {
        if !bytes.starts_with(&MAGIC) {
            return Err(RecordingError::NotARecording);
        }
        let word = |at: usize| -> Option<u32> { Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?)) };
        match word(8) {
            Some(VERSION) => {}
            Some(other) => return Err(RecordingError::Version(other)),
            None => return Err(RecordingError::Truncated),
        }
        let trailer: &[u8; TRAILER] = bytes.last_chunk().ok_or(RecordingError::Truncated)?;
        if !trailer.ends_with(&END) {
            return Err(RecordingError::Truncated);
        }
        let long = |at: usize| u64::from_le_bytes(*trailer[at..].first_chunk().expect("within the trailer"));
        let (at, length) = (long(0), long(8));
        let expected = at
            .checked_add(length)
            .and_then(|end| end.checked_add(TRAILER as u64));
        if expected != Some(bytes.len() as u64) {
            return Err(RecordingError::Damaged("its end"));
        }
        let header_end = FRONT + word(12).ok_or(RecordingError::Truncated)? as usize;
        let header = bytes
            .get(FRONT..header_end)
            .ok_or(RecordingError::Damaged("its header"))?;
        let encoded = &bytes[at as usize..bytes.len() - TRAILER];
        let id: [u8; 32] = *trailer[16..].first_chunk().expect("within the trailer");
        let digest: [u8; 32] = Sha256::new_with_prefix(header)
            .chain_update(encoded)
            .finalize()
            .into();
        if digest != id {
            return Err(RecordingError::Damaged("its header or its index"));
        }
        let about: About = codec::decode_value(FrameKind::Recording, header)?;
        let index: Index = codec::decode_value(FrameKind::Recording, encoded)?;
        let mut recording = Self {
            bytes: Vec::new(),
            id: RecordingId(id),
            about,
            index,
            blocks: Vec::new(),
            by_address: HashMap::new(),
        };
        recording.bytes = bytes;
        recording.read_blocks()?;
        Ok(recording)
    }

    fn read_blocks(&mut self) -> Result<(), RecordingError> {
        for batch in 0..self.index.batches.len() {
            let packed = self.part(&self.index.batches[batch].0, "a list of blocks")?;
            let unpacked = decompress_bytes(packed, MAX_BATCH)?;
            let blocks: Vec<RecordedBlock> = codec::decode_value(FrameKind::Recording, &unpacked)?;
            for (position, recorded) in blocks.into_iter().enumerate() {
                let at = u32::try_from(self.blocks.len())
                    .map_err(|_| RecordingError::Invalid("it has too many blocks"))?;
                self.by_address
                    .entry(recorded.block.address)
                    .or_default()
                    .push(at);
                self.blocks.push(Entry {
                    recorded,
                    batch,
                    position,
                });
            }
        }
        Ok(())
    }

    /// A part of the file, if it is what was written.
    fn part(&self, part: &Part, what: &'static str) -> Result<&[u8], RecordingError> {
        let end = part.offset.checked_add(part.length);
        let range = end.and_then(|end| Some(usize::try_from(part.offset).ok()?..usize::try_from(end).ok()?));
        let bytes = range
            .and_then(|range| self.bytes.get(range))
            .ok_or(RecordingError::Invalid("a part lies beyond its end"))?;
        match <[u8; 32]>::from(Sha256::digest(bytes)) == part.digest {
            true => Ok(bytes),
            false => Err(RecordingError::Damaged(what)),
        }
    }

    /// Its content address.
    #[must_use]
    pub fn id(&self) -> RecordingId {
        self.id
    }

    /// What was recorded.
    #[must_use]
    pub fn about(&self) -> &About {
        &self.about
    }

    /// Bytes of its file.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it has no blocks.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Number of its runs.
    #[must_use]
    pub fn run_count(&self) -> u64 {
        self.blocks.len() as u64 * u64::from(self.about.states)
    }

    /// The recorded blocks, in the order in which they were given to be recorded.
    #[must_use]
    pub fn blocks(&self) -> Vec<Block> {
        let mut entries: Vec<&RecordedBlock> = self.blocks.iter().map(|entry| &entry.recorded).collect();
        entries.sort_by_key(|recorded| recorded.place);
        entries.iter().map(|recorded| recorded.block.clone()).collect()
    }

    /// The program that the blocks are of.
    ///
    /// # Errors
    /// When it is damaged. Recordings of generated blocks have none.
    pub fn read_program(&self) -> Result<Option<Vec<u8>>, RecordingError> {
        let Some(part) = &self.index.program else {
            return Ok(None);
        };
        decompress_bytes(self.part(part, "its program")?, MAX_PROGRAM).map(Some)
    }

    /// Checks everything that is checked elsewhere when it is read: the program, and the ends of every batch.
    ///
    /// # Errors
    /// When a part is damaged.
    pub fn verify(&self) -> Result<(), RecordingError> {
        self.read_program()?;
        (0..self.index.batches.len()).try_for_each(|batch| self.read_batch_ends(batch).map(drop))
    }

    /// The recorded block that is `block`.
    pub(super) fn find_block(&self, block: &Block) -> Option<usize> {
        let mut at = self.by_address.get(&block.address)?.iter().map(|&at| at as usize);
        at.find(|&at| self.blocks[at].recorded.block.bytes == block.bytes)
    }

    pub(super) fn recorded_block(&self, at: usize) -> &RecordedBlock {
        &self.blocks[at].recorded
    }

    /// The batch that block `at` is of.
    pub(super) fn batch_of(&self, at: usize) -> usize {
        self.blocks[at].batch
    }

    /// The ends of a batch.
    pub(super) fn read_batch_ends(&self, batch: usize) -> Result<Joined, RecordingError> {
        let packed = self.part(&self.index.batches[batch].1, "the ends of a batch")?;
        let bytes = decompress_bytes(packed, MAX_BATCH)?;
        Joined::from_bytes(bytes)
    }

    /// The ends of block `at`, of `batch`, whose group `group` is.
    pub(super) fn read_block_ends(
        &self,
        at: usize,
        batch: &Joined,
        group: &Group,
    ) -> Result<Vec<End>, RecordingError> {
        let position = self.blocks[at].position;
        let mut reader = batch.reader(position)?;
        let ends = unpack_ends(group, self.about.engine.components, &mut reader)?;
        match reader.is_empty() {
            true => Ok(ends),
            false => Err(RecordingError::Invalid("the ends of a block are too long")),
        }
    }
}
