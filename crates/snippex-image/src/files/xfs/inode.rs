//! Inodes of XFS, and where their contents lie.

use super::{Xfs, damaged, u16_at, u32_at, u64_at};
use crate::ImageError;
use crate::bytes::read_vec;

/// Bytes in front of the data fork: of versions 1 and 2, and of version 3.
const CORES: [usize; 2] = [100, 176];
/// Extents of one file; a file of a terabyte in the smallest pieces has fewer.
const MAX_EXTENTS: usize = 1 << 20;
/// Levels of a tree of extents; XFS itself stops at nine.
const MAX_LEVELS: u16 = 9;

pub(super) enum InodeKind {
    File,
    Folder,
    Link,
    Other,
}

pub(super) struct Inode {
    pub(super) mode: u16,
    pub(super) size: u64,
    bytes: Vec<u8>,
}

/// Blocks of a file that lie one behind the other.
pub(super) struct Extent {
    /// First block in the file.
    pub(super) offset: u64,
    /// First block in the file system.
    pub(super) block: u64,
    pub(super) blocks: u64,
    /// What was only set aside reads as zeros.
    pub(super) written: bool,
}

impl Inode {
    pub(super) fn parse(bytes: Vec<u8>) -> Result<Self, ImageError> {
        if bytes.get(..2) != Some(b"IN") || bytes.len() < CORES[1] {
            return Err(damaged("there is no inode where one should be"));
        }
        Ok(Self {
            mode: u16_at(&bytes, 2),
            size: u64_at(&bytes, 56),
            bytes,
        })
    }

    pub(super) fn kind(&self) -> InodeKind {
        match self.mode & 0o170_000 {
            0o100_000 => InodeKind::File,
            0o040_000 => InodeKind::Folder,
            0o120_000 => InodeKind::Link,
            _ => InodeKind::Other,
        }
    }

    pub(super) fn is_realtime(&self) -> bool {
        u16_at(&self.bytes, 90) & 1 != 0
    }

    fn is_version_3(&self) -> bool {
        self.bytes[4] >= 3
    }

    /// The bytes that say where the contents lie, or are the contents.
    fn data_fork(&self) -> &[u8] {
        let begins = CORES[usize::from(self.is_version_3())];
        let length = match usize::from(self.bytes[82]) {
            0 => self.bytes.len() - begins,
            offset => offset * 8,
        };
        let end = (begins + length).min(self.bytes.len());
        &self.bytes[begins..end]
    }

    /// The contents, where they are in the inode.
    pub(super) fn inline_data(&self) -> Option<&[u8]> {
        (self.bytes[5] == 1).then(|| self.data_fork())
    }

    fn extent_count(&self) -> u64 {
        /// The flag that counts of extents are 64 bits wide, and elsewhere.
        const WIDE_COUNTS: u64 = 1 << 4;
        match self.is_version_3() && u64_at(&self.bytes, 120) & WIDE_COUNTS != 0 {
            true => u64_at(&self.bytes, 24),
            false => u32_at(&self.bytes, 76).into(),
        }
    }

    pub(super) fn extents(&self, disk: &Xfs) -> Result<Vec<Extent>, ImageError> {
        let fork = self.data_fork();
        match self.bytes[5] {
            2 => {
                let count = usize::try_from(self.extent_count()).unwrap_or(usize::MAX);
                Ok(fork.chunks_exact(16).take(count).map(extent).collect())
            }
            3 => {
                let (Some(level), Some(count)) = (fork.get(..2), fork.get(2..4)) else {
                    return Err(damaged("an inode is cut off"));
                };
                let (level, count) = (u16_at(level, 0), usize::from(u16_at(count, 0)));
                let capacity = (fork.len() - 4) / 16;
                let pointers = fork.get(4 + capacity * 8..).unwrap_or_default();
                let mut found = Vec::new();
                for pointer in pointers.chunks_exact(8).take(count.min(capacity)) {
                    read_tree(disk, u64_at(pointer, 0), level.saturating_sub(1), &mut found)?;
                }
                Ok(found)
            }
            format => Err(damaged(format!("an inode of form {format}"))),
        }
    }
}

/// Reads a block of a tree of extents, and those below it. Each level is one less than the one above, so no circle goes on.
fn read_tree(disk: &Xfs, block: u64, level: u16, found: &mut Vec<Extent>) -> Result<(), ImageError> {
    let header = if disk.version_5 { 72 } else { 24 };
    let place = disk.place_of_block(block)?;
    let bytes = read_vec(&*disk.bytes, place, disk.block_size as usize)
        .map_err(ImageError::io("the extents of a file"))?;
    if !matches!(&bytes[..4], b"BMAP" | b"BMA3") || u16_at(&bytes, 4) != level || level > MAX_LEVELS {
        return Err(damaged("the extents of a file are no tree"));
    }
    let count = usize::from(u16_at(&bytes, 6));
    let body = &bytes[header..];
    if level == 0 {
        found.extend(body.chunks_exact(16).take(count).map(extent));
    } else {
        let capacity = body.len() / 16;
        for pointer in body[capacity * 8..].chunks_exact(8).take(count.min(capacity)) {
            read_tree(disk, u64_at(pointer, 0), level - 1, found)?;
        }
    }
    match found.len() {
        count if count <= MAX_EXTENTS => Ok(()),
        _ => Err(damaged("a file has too many extents")),
    }
}

/// A packed record: a flag, 54 bits of place in the file, 52 of block, 21 of count.
fn extent(record: &[u8]) -> Extent {
    let (high, low) = (u64_at(record, 0), u64_at(record, 8));
    Extent {
        offset: (high & (u64::MAX >> 1)) >> 9,
        block: (high & 0x1ff) << 43 | low >> 21,
        blocks: low & 0x1f_ffff,
        written: high >> 63 == 0,
    }
}
