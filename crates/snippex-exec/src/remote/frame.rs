//! Frames: what host and agent say to each other, cut into pieces on one stream of bytes.
//!
//! An agent begins with [`GREETING`]. What a login shell prints before it is noise, which is skipped and kept for the user;
//! a frame that does not check is the end of the connection. Layout, all numbers little-endian:
//!
//! ```text
//! offset size
//!      0    4  length of the payload in bytes
//!      4    4  stream: the request that the frame is of, 0 for the connection itself
//!      8    1  kind
//!      9    8  rapidhash (version 3) of the 9 bytes before it and of the payload
//!     17    -  payload
//! ```

use std::io::{self, ErrorKind, Read};

use rapidhash::v3::rapidhash_v3;

/// What an agent writes before its first frame; the last byte but one is the version of the protocol.
pub(super) const GREETING: [u8; 16] = *b"\0snippex-agent\x01\n";
/// Longest payload.
pub(super) const MAX_PAYLOAD: usize = 64 << 20;
/// Longest noise before the greeting.
const MAX_NOISE: usize = 64 << 10;
const HEADER: usize = 17;

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// What the agent says of itself, and what the host asks of it. Once each way.
    Hello,
    /// A message; counts against the credit of its sender.
    Message,
    /// A piece of a blob; counts against the credit of its sender.
    Piece,
    /// So many bytes may be sent in addition: four bytes.
    Credit,
    /// The sender is there.
    Pulse,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Hello, Self::Message, Self::Piece, Self::Credit, Self::Pulse];
}

/// A frame that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) stream: u32,
    pub(super) kind: Kind,
    pub(super) payload: Vec<u8>,
}

/// The bytes of a frame.
///
/// # Panics
/// When the payload is longer than [`MAX_PAYLOAD`]: what is longer is sent in pieces.
pub(super) fn encode_frame(stream: u32, kind: Kind, payload: &[u8]) -> Vec<u8> {
    assert!(payload.len() <= MAX_PAYLOAD, "a message is longer than 64 MiB");
    let mut bytes = Vec::with_capacity(HEADER + payload.len());
    bytes.extend((payload.len() as u32).to_le_bytes());
    bytes.extend(stream.to_le_bytes());
    bytes.push(kind as u8);
    bytes.extend(checksum(&bytes, payload).to_le_bytes());
    bytes.extend(payload);
    bytes
}

/// Bytes of a frame with a payload of `payload` bytes.
pub(super) fn frame_length(payload: usize) -> u64 {
    (HEADER + payload) as u64
}

/// Reads one frame; `None` at the end of the stream.
pub(super) fn read_frame(input: &mut dyn Read) -> io::Result<Option<Frame>> {
    let mut header = [0; HEADER];
    match input.read(&mut header[..1])? {
        0 => return Ok(None),
        _ => input.read_exact(&mut header[1..])?,
    }
    let word = |at: usize| u32::from_le_bytes(std::array::from_fn(|index| header[at + index]));
    let length = word(0) as usize;
    let kind = Kind::ALL.get(usize::from(header[8])).copied();
    let (Some(kind), true) = (kind, length <= MAX_PAYLOAD) else {
        return Err(not_a_frame());
    };
    // A forged length asks for no more memory than there are bytes.
    let mut payload = Vec::with_capacity(length.min(1 << 20));
    input.take(length as u64).read_to_end(&mut payload)?;
    let sum = u64::from_le_bytes(std::array::from_fn(|index| header[9 + index]));
    if payload.len() < length {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    if checksum(&header[..9], &payload) != sum {
        return Err(not_a_frame());
    }
    Ok(Some(Frame {
        stream: word(4),
        kind,
        payload,
    }))
}

/// Reads up to the greeting, and gives the noise before it.
pub(super) fn skip_noise(input: &mut dyn Read) -> Result<Vec<u8>, (io::Error, Vec<u8>)> {
    let mut noise = Vec::new();
    let mut byte = [0];
    while !noise.ends_with(&GREETING) {
        match input.read(&mut byte) {
            Ok(0) => return Err((ErrorKind::UnexpectedEof.into(), noise)),
            Ok(_) => noise.push(byte[0]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err((error, noise)),
        }
        if noise.len() > MAX_NOISE + GREETING.len() {
            let error = io::Error::new(ErrorKind::InvalidData, "no agent in the first 64 KiB");
            return Err((error, noise));
        }
    }
    noise.truncate(noise.len() - GREETING.len());
    Ok(noise)
}

fn checksum(header: &[u8], payload: &[u8]) -> u64 {
    rapidhash_v3(header) ^ rapidhash_v3(payload).rotate_left(1)
}

fn not_a_frame() -> io::Error {
    io::Error::new(
        ErrorKind::InvalidData,
        "something else than the agent wrote to its output",
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_after_any_noise(
            noise in proptest::collection::vec(any::<u8>(), 0..300),
            payload in proptest::collection::vec(any::<u8>(), 0..300),
            stream in any::<u32>(),
        ) {
            prop_assume!(!noise.windows(16).any(|window| window == GREETING));
            let mut bytes = noise.clone();
            bytes.extend(GREETING);
            bytes.extend(encode_frame(stream, Kind::Piece, &payload));
            let mut input = &bytes[..];
            prop_assert_eq!(skip_noise(&mut input).unwrap(), noise);
            let frame = read_frame(&mut input).unwrap().unwrap();
            prop_assert_eq!(frame, Frame { stream, kind: Kind::Piece, payload });
            prop_assert_eq!(read_frame(&mut input).unwrap(), None);
        }

        #[test]
        fn a_flipped_bit_or_a_cut_is_an_error(
            payload in proptest::collection::vec(any::<u8>(), 0..100),
            at in any::<proptest::sample::Index>(),
            bit in 0..8u32,
        ) {
            let mut bytes = encode_frame(7, Kind::Message, &payload);
            let at = at.index(bytes.len());
            prop_assert!(at == 0 || read_frame(&mut &bytes[..at]).is_err());
            bytes[at] ^= 1 << bit;
            prop_assert!(read_frame(&mut &bytes[..]).is_err());
        }
    }
}
