//! Inodes of ext, and where their contents lie: in the inode, in extents, or behind blocks of pointers.

use super::directory::FileKind;
use super::plain::Plain;
use super::{damaged, u16_at, u32_at};
use crate::ImageError;

/// Where `i_block` is: pointers, the root of a tree of extents, or contents.
const BLOCK: std::ops::Range<usize> = 0x28..0x64;
/// Bytes of an inode that there always are.
const CORE: usize = 128;
const EXTENT_MAGIC: u16 = 0xf30a;
/// Header and entry of a node of a tree of extents.
const EXTENT: usize = 12;
/// Levels of such a tree; more do not fit a file.
const MAX_DEPTH: u16 = 5;
/// Nodes of a tree of extents, or blocks of pointers, of one file; a file of a gigabyte in the smallest pieces has fewer.
const MAX_NODES: u32 = 1 << 16;
/// Extents that are longer by this are set aside and read as zeros.
const UNWRITTEN: u64 = 1 << 15;
/// What begins the extended attributes in an inode.
const ATTRIBUTES: u32 = 0xea02_0000;
/// The attributes whose names begin with `system.`.
const SYSTEM: u8 = 7;

mod flag {
    pub(super) const ENCRYPTED: u32 = 0x800;
    pub(super) const EXTENTS: u32 = 0x8_0000;
    pub(super) const INLINE_DATA: u32 = 0x1000_0000;
}

pub(super) struct Inode(Vec<u8>);

/// Blocks of a file that lie one behind the other.
pub(super) struct Extent {
    /// First block in the file.
    pub(super) offset: u64,
    /// First block in the file system.
    pub(super) block: u64,
    pub(super) blocks: u64,
}

/// Takes an extent.
type Take<'t> = dyn FnMut(Extent) -> Result<(), ImageError> + 't;

impl Inode {
    pub(super) fn parse(bytes: Vec<u8>) -> Result<Self, ImageError> {
        match bytes.len() {
            CORE.. => Ok(Self(bytes)),
            _ => Err(damaged("an inode is cut short")),
        }
    }

    pub(super) fn mode(&self) -> u16 {
        u16_at(&self.0, 0)
    }

    pub(super) fn kind(&self) -> FileKind {
        match self.mode() & 0o170_000 {
            0o100_000 => FileKind::File,
            0o040_000 => FileKind::Folder,
            0o120_000 => FileKind::Link,
            _ => FileKind::Other,
        }
    }

    pub(super) fn size(&self) -> u64 {
        u64::from(u32_at(&self.0, 4)) | u64::from(u32_at(&self.0, 0x6c)) << 32
    }

    fn has(&self, flag: u32) -> bool {
        u32_at(&self.0, 0x20) & flag != 0
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.has(flag::ENCRYPTED)
    }

    fn block(&self) -> &[u8] {
        &self.0[BLOCK]
    }

    /// The target of a link that is short enough to stand in place of pointers.
    pub(super) fn short_target(&self) -> Option<Vec<u8>> {
        let length = usize::try_from(self.size()).ok()?;
        let inside = !self.has(flag::EXTENTS) && !self.has(flag::INLINE_DATA) && length < self.block().len();
        inside.then(|| self.block()[..length].to_vec())
    }

    /// The contents that are in the inode: in place of pointers, and in the attribute `system.data`.
    pub(super) fn inline_parts(&self) -> Option<(&[u8], Vec<u8>)> {
        self.has(flag::INLINE_DATA)
            .then(|| (self.block(), self.data_attribute().unwrap_or_default().to_vec()))
    }

    /// The same in one piece.
    pub(super) fn inline_data(&self) -> Option<Vec<u8>> {
        let (block, attribute) = self.inline_parts()?;
        Some([block, &attribute].concat())
    }

    /// The value of `system.data`.
    fn data_attribute(&self) -> Option<&[u8]> {
        let extra = usize::from(u16_at(self.0.get(CORE..CORE + 2)?, 0));
        let attributes = self.0.get(CORE + extra..)?;
        if attributes.len() < 4 || u32_at(attributes, 0) != ATTRIBUTES {
            return None;
        }
        let entries = &attributes[4..];
        let mut rest = entries;
        while rest.len() >= 16 && u32_at(rest, 0) != 0 {
            let name = usize::from(rest[0]);
            if rest[1] == SYSTEM && rest.get(16..16 + name)? == b"data" && u32_at(rest, 4) == 0 {
                let (start, length) = (usize::from(u16_at(rest, 2)), u32_at(rest, 8) as usize);
                return entries.get(start..start.checked_add(length)?);
            }
            rest = rest.get(16 + name.next_multiple_of(4)..)?;
        }
        None
    }

    /// The extents of the first `wanted` blocks that are written, in any order.
    pub(super) fn each_extent(
        &self,
        disk: &Plain,
        block_size: u64,
        wanted: u64,
        take: &mut Take<'_>,
    ) -> Result<(), ImageError> {
        let mut walk = Walk {
            disk,
            wanted,
            nodes: 0,
            take,
        };
        if self.has(flag::EXTENTS) {
            return walk.extents(self.block(), MAX_DEPTH + 1);
        }
        let pointers = block_size / 4;
        let mut offset = 0;
        for (index, pointer) in self.block().chunks_exact(4).enumerate() {
            // Twelve blocks, and three trees of growing depth.
            let depth = index.saturating_sub(11) as u32;
            walk.pointer(u32_at(pointer, 0), offset, depth, pointers)?;
            offset += pointers.pow(depth);
        }
        Ok(())
    }
}

/// A way through what says where a file lies.
struct Walk<'w, 't> {
    disk: &'w Plain,
    /// Blocks of the file that are of interest.
    wanted: u64,
    nodes: u32,
    take: &'w mut Take<'t>,
}

impl Walk<'_, '_> {
    fn read_node(&mut self, block: u64) -> Result<Vec<u8>, ImageError> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(damaged("the map of a file leads in circles"));
        }
        self.disk.read_block(block)
    }

    /// A node of a tree of extents that lies below one of depth `above`.
    fn extents(&mut self, node: &[u8], above: u16) -> Result<(), ImageError> {
        let (entries, depth) = (usize::from(u16_at(node, 2)), u16_at(node, 6));
        if u16_at(node, 0) != EXTENT_MAGIC || depth >= above || entries >= node.len() / EXTENT {
            return Err(damaged("a tree of extents is none"));
        }
        for entry in node[EXTENT..].chunks_exact(EXTENT).take(entries) {
            let offset = u64::from(u32_at(entry, 0));
            if offset >= self.wanted {
                continue;
            }
            if depth > 0 {
                let below = u64::from(u32_at(entry, 4)) | u64::from(u16_at(entry, 8)) << 32;
                let node = self.read_node(below)?;
                self.extents(&node, depth)?;
                continue;
            }
            let blocks = u64::from(u16_at(entry, 4));
            if (1..=UNWRITTEN).contains(&blocks) {
                (self.take)(Extent {
                    offset,
                    block: u64::from(u32_at(entry, 8)) | u64::from(u16_at(entry, 6)) << 32,
                    blocks,
                })?;
            }
        }
        Ok(())
    }

    /// A pointer to a block of the file, or to a block of pointers; zero is a hole of that size.
    fn pointer(&mut self, block: u32, offset: u64, depth: u32, pointers: u64) -> Result<(), ImageError> {
        if block == 0 || offset >= self.wanted {
            return Ok(());
        }
        if depth == 0 {
            return (self.take)(Extent {
                offset,
                block: block.into(),
                blocks: 1,
            });
        }
        let below = self.read_node(block.into())?;
        let step = pointers.pow(depth - 1);
        for (index, pointer) in (0..).zip(below.chunks_exact(4)) {
            self.pointer(u32_at(pointer, 0), offset + index * step, depth - 1, pointers)?;
        }
        Ok(())
    }
}
