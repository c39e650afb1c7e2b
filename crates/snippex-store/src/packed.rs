//! Bytes of cases and observations as they lie in the database: compressed, an observation against its case.
//!
//! Most of a state is vector registers with arbitrary content, which compress to half at best. How a case ends is nearly what it
//! started with, though: an observation that may refer to its case is a fortieth of itself. What an earlier version has stored
//! is not compressed, and read all the same.

use std::borrow::Cow;
use std::io::{self, Read, Write};

use zstd::stream::{read, write};

/// With which every frame begins (RFC 8878, section 3.1.1).
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const LEVEL: i32 = 3;
/// No case or observation has more bytes.
const LARGEST: u64 = 1 << 28;

/// `bytes` for the database; `base` is what the reader will have at hand, may be nothing.
pub(crate) fn pack_bytes(bytes: &[u8], base: &[u8]) -> Vec<u8> {
    let packed = || -> io::Result<Vec<u8>> {
        let mut encoder = write::Encoder::with_ref_prefix(Vec::new(), LEVEL, base)?;
        encoder.write_all(bytes)?;
        encoder.finish()
    };
    // What cannot be compressed is stored as it is.
    packed().unwrap_or_else(|_| bytes.to_vec())
}

/// The bytes that `stored` was made of, with the same `base`.
///
/// # Errors
/// When it is damaged.
pub(crate) fn unpack_bytes<'s>(stored: &'s [u8], base: &[u8]) -> io::Result<Cow<'s, [u8]>> {
    if !stored.starts_with(&MAGIC) {
        return Ok(Cow::Borrowed(stored));
    }
    let mut bytes = Vec::new();
    let decoder = read::Decoder::with_ref_prefix(stored, base)?;
    decoder.take(LARGEST).read_to_end(&mut bytes)?;
    Ok(Cow::Owned(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_back() {
        let base: Vec<u8> = (0..4000_u32).map(|index| ((index * index) >> 3) as u8).collect();
        let mut ended = base.clone();
        ended[17] ^= 1;
        let packed = pack_bytes(&ended, &base);
        assert!(packed.len() < 100, "{}", packed.len());
        assert_eq!(*unpack_bytes(&packed, &base).unwrap(), ended);
        // Without a base by whoever wrote it, with one by whoever reads it.
        let alone = pack_bytes(&ended, &[]);
        assert_eq!(*unpack_bytes(&alone, &base).unwrap(), ended);
        // As it was before there was packing.
        assert!(matches!(unpack_bytes(&ended, &base), Ok(Cow::Borrowed(_))));
        assert!(unpack_bytes(&packed[..packed.len() - 5], &base).is_err());
    }
}
