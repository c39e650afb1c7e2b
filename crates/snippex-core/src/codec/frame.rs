//! The envelope around every encoded value, and the only file that names the serialisation library.
//!
//! Layout, all numbers little-endian:
//!
//! ```text
//! offset size
//!      0    4  magic "SNPX"
//!      4    2  format version
//!      6    2  kind: 1 case, 2 observation, 3 machine state, 4 results of a batch, 5 part of a recording,
//!                    6 message between host and agent, 16 cached verdicts
//!      8    4  length of the payload in bytes
//!     12    8  first bytes of the digest
//!     20    -  payload: fixed-width integers in declaration order
//! ```
//!
//! The digest is SHA-256 over version, kind, length and payload. It finds accidents; whoever forges bytes on
//! purpose can make it fit, therefore the payload is decoded under limits as well.

use bincode::config::{Configuration, Fixint, Limit, LittleEndian};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// Version of the format that this build writes, and the newest that it reads.
pub const VERSION: u16 = 1;
/// Longest payload that is decoded, in bytes: far above any case (a page is 4 KiB), far below harm.
pub const MAX_PAYLOAD: usize = 64 << 20;

const MAGIC: [u8; 4] = *b"SNPX";
const HEADER: usize = 20;
const CONFIG: Configuration<LittleEndian, Fixint, Limit<MAX_PAYLOAD>> = bincode::config::standard()
    .with_fixed_int_encoding()
    .with_limit::<MAX_PAYLOAD>();

/// What an envelope holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// A [`Case`](crate::case::Case).
    Case = 1,
    /// An [`Observation`](crate::observation::Observation).
    Observation = 2,
    /// A [`MachineState`](crate::state::MachineState).
    State = 3,
    /// Results of a batch on an engine, whose form `snippex-exec` has.
    Results = 4,
    /// A part of a recording, whose form `snippex-exec` has.
    Recording = 5,
    /// What hosts and agents say to each other, whose form `snippex-exec` has.
    Message = 6,
    /// Verdicts on blocks in a cache, whose form `snippex-session` has.
    Verdicts = 16,
}

/// Why bytes could not be decoded.
#[derive(Debug, Error)]
pub enum CodecError {
    /// The first bytes are not the format's.
    #[error("not snippex data: the first bytes are not \"SNPX\"")]
    Magic,
    /// Written by a newer snippex.
    #[error("data has format version {found}, this snippex reads up to {VERSION}; use a newer snippex")]
    Version {
        /// Version in the header.
        found: u16,
    },
    /// Valid, but of another kind than the one asked for.
    #[error("data is of kind {found}, not {expected:?}")]
    Kind {
        /// The kind that was asked for.
        expected: FrameKind,
        /// The kind in the header.
        found: u16,
    },
    /// The input is not as long as its header says.
    #[error("data is {found} bytes long, its header says {expected}")]
    Length {
        /// Bytes that the header asks for, header included.
        expected: u64,
        /// Bytes that are there.
        found: u64,
    },
    /// The header asks for more than [`MAX_PAYLOAD`].
    #[error("data says that it is {found} bytes long; at most {MAX_PAYLOAD} are read")]
    TooLong {
        /// Payload length in the header.
        found: u64,
    },
    /// The checksum does not fit: the data was damaged.
    #[error("data is damaged: its checksum does not match")]
    Checksum,
    /// The payload does not follow the format.
    #[error("data is malformed")]
    Malformed(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The payload follows the format but breaks a rule of the type it stands for.
    #[error("data is not valid: {0}")]
    Invalid(&'static str),
}

/// The payload of `value`, without an envelope.
pub(super) fn encode_payload<T: Serialize>(value: &T) -> Vec<u8> {
    bincode::serde::encode_to_vec(value, CONFIG.with_no_limit())
        .expect("plain data always encodes into memory")
}

/// Encodes `value`; returns the digest and the envelope.
pub(super) fn encode_envelope<T: Serialize>(kind: FrameKind, value: &T) -> ([u8; 32], Vec<u8>) {
    let mut bytes = vec![0; HEADER];
    bincode::serde::encode_into_std_write(value, &mut bytes, CONFIG.with_no_limit())
        .expect("plain data always encodes into memory");
    let length = u32::try_from(bytes.len() - HEADER).expect("a case or a batch is far smaller than 4 GiB");
    bytes[..4].copy_from_slice(&MAGIC);
    bytes[4..6].copy_from_slice(&VERSION.to_le_bytes());
    bytes[6..8].copy_from_slice(&(kind as u16).to_le_bytes());
    bytes[8..12].copy_from_slice(&length.to_le_bytes());
    let digest = digest(&bytes);
    bytes[12..HEADER].copy_from_slice(&digest[..8]);
    (digest, bytes)
}

/// Checks the envelope and decodes the payload.
pub(super) fn decode_envelope<'a, T: Deserialize<'a>>(
    kind: FrameKind,
    bytes: &'a [u8],
) -> Result<T, CodecError> {
    let Some((header, payload)) = bytes.split_first_chunk::<HEADER>() else {
        return Err(CodecError::Length {
            expected: HEADER as u64,
            found: bytes.len() as u64,
        });
    };
    check_header(kind, header, payload.len())?;
    if digest(bytes)[..8] != header[12..] {
        return Err(CodecError::Checksum);
    }
    let (value, used) = bincode::serde::borrow_decode_from_slice(payload, CONFIG)
        .map_err(|source| CodecError::Malformed(Box::new(source)))?;
    if used != payload.len() {
        return Err(CodecError::Invalid("bytes are left after the value"));
    }
    Ok(value)
}

fn check_header(kind: FrameKind, header: &[u8; HEADER], payload: usize) -> Result<(), CodecError> {
    if header[..4] != MAGIC {
        return Err(CodecError::Magic);
    }
    let version = u16::from_le_bytes([header[4], header[5]]);
    if version == 0 || version > VERSION {
        return Err(CodecError::Version { found: version });
    }
    let found = u16::from_le_bytes([header[6], header[7]]);
    if found != kind as u16 {
        return Err(CodecError::Kind {
            expected: kind,
            found,
        });
    }
    let length = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
    if length as usize > MAX_PAYLOAD {
        return Err(CodecError::TooLong { found: length.into() });
    }
    if length as usize != payload {
        let header = HEADER as u64;
        return Err(CodecError::Length {
            expected: header + u64::from(length),
            found: header + payload as u64,
        });
    }
    Ok(())
}

/// SHA-256 of an envelope without its magic and checksum.
fn digest(envelope: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(&envelope[4..12]);
    hash.update(&envelope[HEADER..]);
    hash.finalize().into()
}
