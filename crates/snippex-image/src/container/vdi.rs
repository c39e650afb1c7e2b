//! VirtualBox disk images (VDI 1.1): a header, a map of blocks, the blocks.
//!
//! Source: the structures of VirtualBox' `VDICore.h`.

use std::io;

use crate::ImageError;
use crate::bytes::{Bytes, ReadAt, read_array, read_vec};

const FORMAT: &str = "vdi";
/// Entries of the map from which on a block has no bytes of its own: discarded, and never written. Both read as zeros.
const FIRST_WITHOUT_BYTES: u32 = 0xffff_fffe;

struct Vdi {
    bytes: Bytes,
    size: u64,
    block_size: u64,
    data_start: u64,
    map: Vec<u32>,
}

pub(super) fn open(bytes: Bytes) -> Result<Bytes, ImageError> {
    let header: [u8; 0x190] = read_array(&*bytes, 0).map_err(ImageError::io("the header"))?;
    let word = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let [version, kind] = [word(0x44), word(0x4c)];
    if version != 0x0001_0001 {
        return Err(ImageError::Unsupported {
            format: FORMAT,
            what: format!("version {}.{}", version >> 16, version & 0xffff),
        });
    }
    // 1 grows as it is written, 2 has all its blocks; 3 and 4 say what differs from another file.
    if !matches!(kind, 1 | 2) {
        return Err(ImageError::Unsupported {
            format: FORMAT,
            what: "that differs from another image".to_owned(),
        });
    }
    let [map_start, data_start, block_size, blocks] = [word(0x154), word(0x158), word(0x178), word(0x180)];
    let size = u64::from(word(0x170)) | u64::from(word(0x174)) << 32;
    if block_size == 0 || size > u64::from(blocks) * u64::from(block_size) {
        return Err(ImageError::damaged(FORMAT, "its blocks do not make up the disk"));
    }
    let map = read_vec(&*bytes, map_start.into(), blocks as usize * 4)
        .map_err(ImageError::io("the map of blocks"))?;
    let map = map
        .chunks_exact(4)
        .map(|entry| u32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]]));
    Ok(std::sync::Arc::new(Vdi {
        map: map.collect(),
        bytes,
        size,
        block_size: block_size.into(),
        data_start: data_start.into(),
    }))
}

impl ReadAt for Vdi {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        super::read_pieces(
            self.size,
            self.block_size,
            offset,
            buffer,
            |block, within, piece| match self.map.get(block as usize) {
                Some(&place) if place < FIRST_WITHOUT_BYTES => {
                    let start = self.data_start + u64::from(place) * self.block_size + within;
                    crate::bytes::read_exact_at(&*self.bytes, start, piece)
                }
                _ => {
                    piece.fill(0);
                    Ok(())
                }
            },
        )
    }
}
