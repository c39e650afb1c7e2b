//! Disk images of Virtual PC and Hyper-V's first generation (VHD): fixed and dynamic.
//!
//! Source: Microsoft, Virtual Hard Disk Image Format Specification, 2006.

use std::io;
use std::sync::Arc;

use crate::ImageError;
use crate::bytes::{Bytes, Part, ReadAt, read_array, read_exact_at, read_vec};

const FORMAT: &str = "vhd";
/// Bytes of the footer, which ends the file.
pub(super) const FOOTER: u64 = 512;
const SECTOR: u64 = 512;
/// The entry of a block that was never written.
const ABSENT: u32 = u32::MAX;

struct DynamicDisk {
    bytes: Bytes,
    size: u64,
    block_size: u64,
    /// First sector of each block: a bitmap of its sectors, then the sectors.
    table: Vec<u32>,
}

pub(super) fn open(bytes: Bytes) -> Result<Bytes, ImageError> {
    let start = bytes.size().saturating_sub(FOOTER);
    let footer: [u8; FOOTER as usize] = read_array(&*bytes, start).map_err(ImageError::io("the footer"))?;
    let size = long(&footer, 48);
    match word(&footer, 60) {
        2 => Ok(Arc::new(Part::new(bytes, 0, size.min(start)))),
        3 => open_dynamic(bytes, size, long(&footer, 16)),
        4 => Err(ImageError::Unsupported {
            format: FORMAT,
            what: "that differs from another image".to_owned(),
        }),
        other => Err(ImageError::damaged(FORMAT, format!("disk type {other}"))),
    }
}

fn open_dynamic(bytes: Bytes, size: u64, header_start: u64) -> Result<Bytes, ImageError> {
    let header: [u8; 1024] =
        read_array(&*bytes, header_start).map_err(ImageError::io("the dynamic header"))?;
    if !header.starts_with(b"cxsparse") {
        return Err(ImageError::damaged(FORMAT, "there is no dynamic header"));
    }
    let (table_start, entries, block_size) = (long(&header, 16), word(&header, 28), word(&header, 32));
    if !block_size.is_power_of_two() || u64::from(block_size) < SECTOR * 8 {
        return Err(ImageError::damaged(
            FORMAT,
            format!("blocks of {block_size} bytes"),
        ));
    }
    if size > u64::from(entries) * u64::from(block_size) {
        return Err(ImageError::damaged(FORMAT, "its blocks do not make up the disk"));
    }
    let table = read_vec(&*bytes, table_start, entries as usize * 4)
        .map_err(ImageError::io("the table of blocks"))?;
    Ok(Arc::new(DynamicDisk {
        table: table.chunks_exact(4).map(|entry| word(entry, 0)).collect(),
        bytes,
        size,
        block_size: block_size.into(),
    }))
}

impl ReadAt for DynamicDisk {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        // A bit a sector, in whole sectors. A sector whose bit is not set reads as zeros, which is what is stored for it.
        let bitmap = (self.block_size / SECTOR / 8).next_multiple_of(SECTOR);
        super::read_pieces(
            self.size,
            self.block_size,
            offset,
            buffer,
            |block, within, piece| match self.table.get(block as usize) {
                Some(&sector) if sector != ABSENT => {
                    let start = u64::from(sector) * SECTOR + bitmap + within;
                    read_exact_at(&*self.bytes, start, piece)
                }
                _ => {
                    piece.fill(0);
                    Ok(())
                }
            },
        )
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from(word(bytes, at)) << 32 | u64::from(word(bytes, at + 4))
}
