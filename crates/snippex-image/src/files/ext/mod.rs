//! ext2, ext3 and ext4: by the crate `ext4-view`, which replays journals, and by a reader of our own for what that does not read.

mod directory;
mod inode;
mod journaled;
mod plain;

use crate::ImageError;
use crate::bytes::{Bytes, read_array};
use crate::node::FileSystem;

use self::journaled::Journaled;
use self::plain::{Plain, Superblock};

const FORMAT: &str = "ext4";

/// What a file system has that is read only by who knows it (`s_feature_incompat`).
mod feature {
    pub(super) const COMPRESSION: u32 = 1;
    pub(super) const FILE_TYPES: u32 = 2;
    pub(super) const RECOVERY: u32 = 4;
    pub(super) const JOURNAL_DEVICE: u32 = 8;
    pub(super) const META_GROUPS: u32 = 0x10;
    pub(super) const EXTENTS: u32 = 0x40;
    pub(super) const WIDE: u32 = 0x80;
    pub(super) const INLINE_DATA: u32 = 0x8000;
}

fn damaged(problem: impl std::fmt::Display) -> ImageError {
    ImageError::damaged(FORMAT, problem)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

/// The file system in `bytes`.
pub(super) fn open(bytes: Bytes) -> Result<Box<dyn FileSystem>, ImageError> {
    let block: [u8; 1024] = read_array(&*bytes, 1024).map_err(ImageError::io("the superblock"))?;
    let superblock = Superblock::parse(&block)?;
    Ok(if superblock.needs_plain_reader() {
        Box::new(Plain::new(bytes, superblock)?)
    } else {
        Box::new(Journaled(bytes))
    })
}
