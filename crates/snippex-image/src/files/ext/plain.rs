//! What `ext4-view` does not read: small files and folders inside their inodes (`inline_data`), inodes of 128 bytes with checksums,
//! and files of ext2 and ext3 with holes as large as a block of pointers.
//!
//! Source: Linux, Documentation/filesystems/ext4 (super, group_descr, inodes, ifork, inlinedata, directory, attributes). Checksums
//! are not looked at, and a journal is not replayed.

use std::collections::BTreeSet;

use super::directory::{FileKind, read_entries};
use super::inode::Inode;
use super::{FORMAT, damaged, feature, u16_at, u32_at};
use crate::ImageError;
use crate::bytes::{Bytes, read_array, read_vec};
use crate::limits::Limits;
use crate::node::{FileSystem, Listing, Node, NodeKind};

/// Number of the inode of the root folder.
const ROOT: u32 = 2;
/// Bytes of one folder; one of a million long names has fewer.
const MAX_FOLDER: u64 = 128 << 20;
/// The longest target of a link.
const MAX_LINK: u64 = 4096;
/// Checksums of inodes do not fit into what is smaller.
const CHECKED_INODE: u16 = 132;
/// Metadata has checksums (`s_feature_ro_compat`).
const METADATA_CHECKSUMS: u32 = 0x400;

/// The geometry of a file system.
#[derive(Debug)]
pub(super) struct Superblock {
    pub(super) block_size: u64,
    blocks: u64,
    first_block: u64,
    inodes: u32,
    inodes_per_group: u32,
    inode_size: u16,
    descriptor_size: u64,
    features: u32,
    has_checksums: bool,
}

impl Superblock {
    pub(super) fn parse(block: &[u8; 1024]) -> Result<Self, ImageError> {
        let features = u32_at(block, 0x60);
        let wide = features & feature::WIDE != 0;
        let high_blocks = if wide { u32_at(block, 0x150) } else { 0 };
        let size_log = u32_at(block, 0x18);
        // Revision 0 has no field for it.
        let inode_size = match u32_at(block, 0x4c) {
            0 => 128,
            _ => u16_at(block, 0x58),
        };
        let descriptor_size = if wide { u64::from(u16_at(block, 0xfe)) } else { 32 };
        let inodes_per_group = u32_at(block, 0x28);
        let sane = size_log <= 6
            && inodes_per_group > 0
            && inode_size >= 128
            && u64::from(inode_size) <= 1024 << size_log
            && (32..=1024).contains(&descriptor_size);
        if !sane {
            return Err(damaged("its superblock has impossible sizes"));
        }
        Ok(Self {
            block_size: 1024 << size_log,
            blocks: u64::from(u32_at(block, 4)) | u64::from(high_blocks) << 32,
            first_block: u32_at(block, 0x14).into(),
            inodes: u32_at(block, 0),
            inodes_per_group,
            inode_size,
            descriptor_size,
            features,
            has_checksums: u32_at(block, 0x64) & METADATA_CHECKSUMS != 0,
        })
    }

    fn has(&self, feature: u32) -> bool {
        self.features & feature != 0
    }

    /// Whether the other reader does not read it; one that left its journal behind is better read by that.
    pub(super) fn needs_plain_reader(&self) -> bool {
        let is_small = self.has_checksums && self.inode_size < CHECKED_INODE;
        let has_pointers = !self.has(feature::EXTENTS) && !self.has(feature::RECOVERY);
        self.has(feature::INLINE_DATA) || is_small || has_pointers
    }
}

pub(super) struct Plain {
    bytes: Bytes,
    superblock: Superblock,
}

impl Plain {
    pub(super) fn new(bytes: Bytes, superblock: Superblock) -> Result<Self, ImageError> {
        let unread = [
            (feature::COMPRESSION, "with compression"),
            (feature::JOURNAL_DEVICE, "with a journal on another device"),
            (
                feature::META_GROUPS,
                "with meta block groups (meta_bg) and inline_data, small inodes or no extents",
            ),
        ];
        match unread.iter().find(|(feature, _)| superblock.has(*feature)) {
            Some((_, what)) => Err(ImageError::Unsupported {
                format: FORMAT,
                what: (*what).to_owned(),
            }),
            None => Ok(Self { bytes, superblock }),
        }
    }

    fn inode(&self, number: u32) -> Result<Inode, ImageError> {
        let of = &self.superblock;
        if number == 0 || number > of.inodes {
            return Err(damaged(format!("there is no inode {number}")));
        }
        let (group, index) = (
            (number - 1) / of.inodes_per_group,
            (number - 1) % of.inodes_per_group,
        );
        let descriptor = (of.first_block + 1) * of.block_size + u64::from(group) * of.descriptor_size;
        let failed = || ImageError::io("an inode");
        let low: [u8; 4] = read_array(&*self.bytes, descriptor + 8).map_err(failed())?;
        let high: [u8; 4] = match of.descriptor_size {
            64.. => read_array(&*self.bytes, descriptor + 0x28).map_err(failed())?,
            _ => [0; 4],
        };
        let table = u64::from(u32::from_le_bytes(low)) | u64::from(u32::from_le_bytes(high)) << 32;
        let place = self.place_of_block(table)? + u64::from(index) * u64::from(of.inode_size);
        Inode::parse(read_vec(&*self.bytes, place, of.inode_size.into()).map_err(failed())?)
    }

    fn place_of_block(&self, block: u64) -> Result<u64, ImageError> {
        if block >= self.superblock.blocks {
            return Err(damaged("a block lies outside of the file system"));
        }
        Ok(block * self.superblock.block_size)
    }

    /// One block.
    pub(super) fn read_block(&self, block: u64) -> Result<Vec<u8>, ImageError> {
        let place = self.place_of_block(block)?;
        read_vec(&*self.bytes, place, self.superblock.block_size as usize).map_err(ImageError::io("a block"))
    }

    /// The first bytes of what an inode has, at most `most`; zeros where there are holes.
    fn contents(&self, inode: &Inode, most: u64) -> Result<Vec<u8>, ImageError> {
        let size = inode.size().min(most);
        let size = usize::try_from(size).map_err(|_| damaged("a file is too large for memory"))?;
        if let Some(mut inline) = inode.inline_data() {
            inline.resize(size, 0);
            return Ok(inline);
        }
        let mut contents = vec![0; size];
        let block_size = self.superblock.block_size;
        inode.each_extent(
            self,
            block_size,
            (size as u64).div_ceil(block_size),
            &mut |extent| {
                let start = extent.offset * block_size;
                let end = (start + extent.blocks * block_size).min(size as u64);
                if start < end {
                    self.place_of_block(extent.block + extent.blocks - 1)?;
                    let place = self.place_of_block(extent.block)?;
                    let piece = &mut contents[start as usize..end as usize];
                    let failed = ImageError::io("a file");
                    crate::bytes::read_exact_at(&*self.bytes, place, piece).map_err(failed)?;
                }
                Ok(())
            },
        )?;
        Ok(contents)
    }

    /// The entries of a folder: names and inodes.
    fn entries(&self, inode: &Inode) -> Result<Vec<(Vec<u8>, u32)>, ImageError> {
        if inode.size() > MAX_FOLDER {
            return Err(damaged("a folder is impossibly large"));
        }
        let has_types = self.superblock.has(feature::FILE_TYPES);
        let mut entries = Vec::new();
        match inode.inline_parts() {
            Some((in_block, in_attribute)) => {
                // The number of the folder above stands first, in place of the entries `.` and `..`.
                for part in [in_block.get(4..).unwrap_or_default(), &in_attribute] {
                    read_entries(part, has_types, &mut entries)?;
                }
            }
            None => {
                let contents = self.contents(inode, MAX_FOLDER)?;
                for block in contents.chunks(self.superblock.block_size as usize) {
                    read_entries(block, has_types, &mut entries)?;
                }
            }
        }
        Ok(entries)
    }

    fn kind(&self, inode: &Inode) -> Result<Option<NodeKind>, ImageError> {
        Ok(match inode.kind() {
            FileKind::Folder => Some(NodeKind::Folder),
            FileKind::Link => Some(NodeKind::Link(match inode.short_target() {
                Some(target) => target,
                None => self.contents(inode, MAX_LINK)?,
            })),
            FileKind::File => Some(NodeKind::File {
                size: inode.size(),
                executable: Some(inode.mode() & 0o111 != 0),
            }),
            FileKind::Other => None,
        })
    }
}

impl FileSystem for Plain {
    fn list(&self, limits: &Limits) -> Result<Listing, ImageError> {
        let mut listing = Listing::default();
        if self.superblock.has(feature::RECOVERY) {
            listing.note(
                "its journal is not replayed: it was not unmounted, and this is what was on it then"
                    .to_owned(),
            );
        }
        let mut seen = BTreeSet::from([ROOT]);
        let mut folders = vec![(Vec::new(), self.inode(ROOT)?)];
        while let Some((path, folder)) = folders.pop() {
            let shown = |name: &[u8]| String::from_utf8_lossy(&[&path[..], b"/", name].concat()).into_owned();
            let entries = match self.entries(&folder) {
                Ok(entries) => entries,
                Err(error) => {
                    listing.note(format!("{}: {error}", shown(b"")));
                    continue;
                }
            };
            for (name, number) in entries {
                let found = self
                    .inode(number)
                    .and_then(|inode| Ok((self.kind(&inode)?, inode)));
                let (kind, inode) = match found {
                    Ok((Some(kind), inode)) => (kind, inode),
                    Ok((None, _)) => continue,
                    Err(error) => {
                        listing.note(format!("{}: {error}", shown(&name)));
                        continue;
                    }
                };
                let whole = [&path[..], b"/", &name].concat();
                // A path as long as that, or a folder that is in itself, is damage.
                let enter = kind == NodeKind::Folder && whole.len() < 4096 && seen.insert(number);
                listing.push(&whole, kind, number.into(), limits)?;
                if enter {
                    folders.push((whole, inode));
                }
            }
        }
        Ok(listing)
    }

    fn read(&self, node: &Node, most: u64) -> Result<Vec<u8>, ImageError> {
        let number = u32::try_from(node.handle).map_err(|_| damaged("there is no such inode"))?;
        let inode = self.inode(number)?;
        if inode.is_encrypted() {
            return Err(ImageError::Unsupported {
                format: FORMAT,
                what: "an encrypted file".to_owned(),
            });
        }
        self.contents(&inode, most)
    }
}
