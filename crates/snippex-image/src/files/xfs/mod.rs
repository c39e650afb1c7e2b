//! XFS of versions 4 and 5, read here: no kept crate reads it.
//!
//! Source: XFS Algorithms & Data Structures, 3rd edition (the chapters on the superblock, inodes, extents, directories and
//! symbolic links).

mod directory;
mod inode;

use std::collections::BTreeSet;

use self::inode::{Inode, InodeKind};
use crate::ImageError;
use crate::bytes::{Bytes, read_array, read_exact_at, read_vec};
use crate::limits::Limits;
use crate::node::{FileSystem, Listing, Node, NodeKind};

const FORMAT: &str = "xfs";

fn damaged(problem: impl std::fmt::Display) -> ImageError {
    ImageError::damaged(FORMAT, problem)
}

/// The geometry of a file system.
pub(super) struct Xfs {
    bytes: Bytes,
    block_size: u64,
    directory_block_size: u64,
    group_blocks: u64,
    groups: u64,
    inode_size: usize,
    root: u64,
    /// Bits of an inode's number that say which it is in its block.
    inode_bits: u32,
    /// Bits of a block's number that say which it is in its allocation group.
    block_bits: u32,
    version_5: bool,
    /// Directory entries say what they lead to.
    has_types: bool,
}

impl Xfs {
    pub(super) fn open(bytes: Bytes) -> Result<Self, ImageError> {
        let block: [u8; 512] = read_array(&*bytes, 0).map_err(ImageError::io("the superblock"))?;
        let version = u16_at(&block, 100) & 0xf;
        if !matches!(version, 4 | 5) {
            return Err(ImageError::Unsupported {
                format: FORMAT,
                what: format!("version {version}"),
            });
        }
        let block_size = u64::from(u32_at(&block, 4));
        let directory_log = u32::from(block[192]);
        let inode_size = usize::from(u16_at(&block, 104));
        let (inode_bits, block_bits) = (u32::from(block[123]), u32::from(block[124]));
        let sane = block_size.is_power_of_two()
            && (512..=65536).contains(&block_size)
            && directory_log <= 16
            && block_size << directory_log <= 65536
            && (256..=2048).contains(&inode_size)
            && inode_bits <= 8
            && (1..=31).contains(&block_bits)
            && u64::from(u32_at(&block, 84)) <= 1 << block_bits;
        if !sane {
            return Err(damaged("its superblock has impossible sizes"));
        }
        let version_5 = version == 5;
        let has_types = match version_5 {
            true => u32_at(&block, 216) & 1 != 0,
            false => u32_at(&block, 200) & 0x200 != 0,
        };
        Ok(Self {
            bytes,
            block_size,
            directory_block_size: block_size << directory_log,
            group_blocks: u32_at(&block, 84).into(),
            groups: u32_at(&block, 88).into(),
            inode_size,
            root: u64_at(&block, 56),
            inode_bits,
            block_bits,
            version_5,
            has_types,
        })
    }

    /// Where a block is: the high bits of its number are the allocation group.
    fn place_of_block(&self, block: u64) -> Result<u64, ImageError> {
        let (group, block) = (block >> self.block_bits, block & ((1 << self.block_bits) - 1));
        if group >= self.groups || block >= self.group_blocks {
            return Err(damaged("a block lies outside of the file system"));
        }
        Ok((group * self.group_blocks + block) * self.block_size)
    }

    fn inode(&self, number: u64) -> Result<Inode, ImageError> {
        let block = self.place_of_block(number >> self.inode_bits)?;
        let index = number & ((1 << self.inode_bits) - 1);
        let place = block + index * self.inode_size as u64;
        let bytes = read_vec(&*self.bytes, place, self.inode_size).map_err(ImageError::io("an inode"))?;
        Inode::parse(bytes)
    }

    /// Fills `buffer` with what a file has from `offset` on; zeros where it has holes.
    fn read_file(&self, inode: &Inode, offset: u64, buffer: &mut [u8]) -> Result<(), ImageError> {
        if let Some(inline) = inode.inline_data() {
            let from = usize::try_from(offset).unwrap_or(usize::MAX);
            let rest = inline.get(from..).unwrap_or_default();
            let length = rest.len().min(buffer.len());
            buffer[..length].copy_from_slice(&rest[..length]);
            return Ok(());
        }
        let end = offset + buffer.len() as u64;
        for extent in inode.extents(self)? {
            let start = extent.offset * self.block_size;
            let stop = start + extent.blocks * self.block_size;
            let (from, to) = (start.max(offset), stop.min(end));
            if from < to && extent.written {
                let place = self.place_of_block(extent.block)? + (from - start);
                let piece = &mut buffer[(from - offset) as usize..(to - offset) as usize];
                read_exact_at(&*self.bytes, place, piece).map_err(ImageError::io("a file"))?;
            }
        }
        Ok(())
    }

    fn read_link(&self, inode: &Inode) -> Result<Vec<u8>, ImageError> {
        /// What Linux allows.
        const MAX_LENGTH: u64 = 4096;
        /// A header of version 5 in each block.
        const HEADER: usize = 56;
        let length = inode.size.min(MAX_LENGTH) as usize;
        if let Some(inline) = inode.inline_data() {
            return Ok(inline.get(..length).unwrap_or(inline).to_vec());
        }
        let mut target = Vec::new();
        for extent in inode.extents(self)? {
            for block in 0..extent.blocks {
                if target.len() >= length {
                    break;
                }
                let place = self.place_of_block(extent.block + block)?;
                let bytes = read_vec(&*self.bytes, place, self.block_size as usize)
                    .map_err(ImageError::io("a symbolic link"))?;
                let begins = if self.version_5 { HEADER } else { 0 };
                target.extend_from_slice(bytes.get(begins..).unwrap_or_default());
            }
        }
        target.truncate(length);
        Ok(target)
    }

    fn add_entry(
        &self,
        path: &[u8],
        number: u64,
        listing: &mut Listing,
        limits: &Limits,
    ) -> Result<bool, ImageError> {
        let inode = match self.inode(number) {
            Ok(inode) => inode,
            Err(error) => {
                listing.note(format!("/{}: {error}", String::from_utf8_lossy(path)));
                return Ok(false);
            }
        };
        let kind = match inode.kind() {
            InodeKind::Folder => NodeKind::Folder,
            InodeKind::File => NodeKind::File {
                size: inode.size,
                executable: Some(inode.mode & 0o111 != 0),
            },
            InodeKind::Link => match self.read_link(&inode) {
                Ok(target) => NodeKind::Link(target),
                Err(error) => {
                    listing.note(format!("/{}: {error}", String::from_utf8_lossy(path)));
                    return Ok(false);
                }
            },
            InodeKind::Other => return Ok(false),
        };
        let folder = kind == NodeKind::Folder;
        listing.push(path, kind, number, limits)?;
        Ok(folder)
    }
}

impl FileSystem for Xfs {
    fn list(&self, limits: &Limits) -> Result<Listing, ImageError> {
        let mut listing = Listing::default();
        let mut seen = BTreeSet::from([self.root]);
        let mut folders = vec![(self.root, Vec::new())];
        while let Some((number, path)) = folders.pop() {
            let entries = self
                .inode(number)
                .and_then(|inode| directory::entries(self, &inode));
            let entries = match entries {
                Ok(entries) => entries,
                Err(error) if path.is_empty() => return Err(error),
                Err(error) => {
                    listing.note(format!("/{}: {error}", String::from_utf8_lossy(&path)));
                    continue;
                }
            };
            for (name, number) in entries {
                let path = match path.as_slice() {
                    [] => name,
                    above => [above, &name].join(&b'/'),
                };
                // A damaged entry can lead to a folder above.
                if self.add_entry(&path, number, &mut listing, limits)? && seen.insert(number) {
                    folders.push((number, path));
                }
            }
        }
        Ok(listing)
    }

    fn read(&self, node: &Node, most: u64) -> Result<Vec<u8>, ImageError> {
        let inode = self.inode(node.handle)?;
        if inode.is_realtime() {
            return Err(ImageError::Unsupported {
                format: FORMAT,
                what: "files on a realtime device".to_owned(),
            });
        }
        let length = usize::try_from(inode.size.min(most)).map_err(|_| damaged("too large a file"))?;
        let mut contents = vec![0; length];
        self.read_file(&inode, 0, &mut contents)?;
        Ok(contents)
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) << 32 | u64::from(u32_at(bytes, at + 4))
}
