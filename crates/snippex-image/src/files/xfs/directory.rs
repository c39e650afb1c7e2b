//! Directories of XFS: inside the inode, or in blocks.

use super::inode::{Inode, InodeKind};
use super::{Xfs, damaged, u16_at, u32_at, u64_at};
use crate::ImageError;

/// From here on a directory's file has its index instead of entries.
const INDEX_START: u64 = 32 << 30;

/// Names with the numbers of their inodes; without `.` and `..`.
pub(super) fn entries(disk: &Xfs, inode: &Inode) -> Result<Vec<(Vec<u8>, u64)>, ImageError> {
    if !matches!(inode.kind(), InodeKind::Folder) {
        return Err(damaged("a folder is none"));
    }
    if let Some(inline) = inode.inline_data() {
        return inline_entries(disk, inline).ok_or_else(|| damaged("a folder is cut off"));
    }
    let mut found = Vec::new();
    let size = disk.directory_block_size;
    let mut last = None;
    for extent in inode.extents(disk)? {
        let start = extent.offset * disk.block_size;
        let end = (start + extent.blocks * disk.block_size).min(INDEX_START);
        let mut at = start - start % size;
        while at < end {
            // A block of a directory can lie in two extents.
            if last < Some(at) {
                let mut block = vec![0; size as usize];
                disk.read_file(inode, at, &mut block)?;
                block_entries(disk, &block, &mut found)?;
                last = Some(at);
            }
            at += size;
        }
    }
    found.retain(|(name, _)| !matches!(name.as_slice(), b"." | b".."));
    Ok(found)
}

/// The short form: a count, how wide numbers are, the folder above, then entries one behind the other.
fn inline_entries(disk: &Xfs, bytes: &[u8]) -> Option<Vec<(Vec<u8>, u64)>> {
    let (count, wide) = (*bytes.first()?, *bytes.get(1)? > 0);
    let width = if wide { 8 } else { 4 };
    let number = |at: usize| {
        let number = bytes.get(at..at + width)?;
        Some(if wide {
            u64_at(number, 0)
        } else {
            u32_at(number, 0).into()
        })
    };
    let mut at = 2 + width;
    let mut found = Vec::new();
    for _ in 0..count {
        let length = usize::from(*bytes.get(at)?);
        let name = bytes.get(at + 3..at + 3 + length)?;
        at += 3 + length + usize::from(disk.has_types);
        found.push((name.to_vec(), number(at)?));
        at += width;
    }
    Some(found)
}

/// The entries of one block; free space is between them.
fn block_entries(disk: &Xfs, block: &[u8], found: &mut Vec<(Vec<u8>, u64)>) -> Result<(), ImageError> {
    const FREE: u16 = 0xffff;
    let (mut at, end) = match &block[..4] {
        // The only block of a directory has its index at the end.
        magic @ (b"XD2B" | b"XDB3") => {
            let tail = block.len() - 8;
            let index = u32_at(block, tail) as usize * 8;
            let end = tail
                .checked_sub(index)
                .ok_or_else(|| damaged("a folder's index does not fit"))?;
            (if magic == b"XDB3" { 64 } else { 16 }, end)
        }
        b"XDD3" => (64, block.len()),
        b"XD2D" => (16, block.len()),
        // A hole, or a block that was never written.
        [0, 0, 0, 0] => return Ok(()),
        _ => return Err(damaged("a folder's block is none")),
    };
    let cut = || damaged("a folder's entry does not fit");
    while at + 8 <= end {
        if u16_at(block, at) == FREE {
            let length = usize::from(u16_at(block, at + 2));
            if length < 8 {
                return Err(cut());
            }
            at += length;
            continue;
        }
        let length = usize::from(*block.get(at + 8).ok_or_else(cut)?);
        let name = block.get(at + 9..at + 9 + length).ok_or_else(cut)?;
        found.push((name.to_vec(), u64_at(block, at)));
        // Number, length, name, type and the entry's own place, to a multiple of eight.
        at += (8 + 1 + length + usize::from(disk.has_types) + 2).next_multiple_of(8);
    }
    Ok(())
}
