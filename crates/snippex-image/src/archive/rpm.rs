//! RPM packages: where the compressed cpio archive in them begins.
//!
//! Source: the RPM package format, version 4 (`format_v4` of RPM's manual): lead, signature, header, payload.

use crate::ImageError;
use crate::bytes::{Bytes, read_array};

const FORMAT: &str = "rpm";
const LEAD: u64 = 96;

/// The place of the payload.
pub(crate) fn payload_start(bytes: &Bytes) -> Result<u64, ImageError> {
    let signature_end = skip_header(bytes, LEAD)?;
    // The signature is padded, the header is not.
    skip_header(bytes, signature_end.next_multiple_of(8))
}

fn skip_header(bytes: &Bytes, at: u64) -> Result<u64, ImageError> {
    let header: [u8; 16] = read_array(&**bytes, at).map_err(ImageError::io("a header"))?;
    if header[..3] != [0x8e, 0xad, 0xe8] {
        return Err(ImageError::damaged(
            FORMAT,
            "there is no header where one should be",
        ));
    }
    let word = |at: usize| {
        u64::from(u32::from_be_bytes([
            header[at],
            header[at + 1],
            header[at + 2],
            header[at + 3],
        ]))
    };
    Ok(at + 16 + word(8) * 16 + word(12))
}
