//! tar, by the crate of that name.

use std::io::Read;
use std::sync::Arc;

use ::tar::{Archive, EntryType};

use super::read_piece;
use crate::ImageError;
use crate::bytes::{Bytes, Cursor, Part};
use crate::limits::Limits;
use crate::node::{FileSystem, Listing, Node, NodeKind, read_most};

const FORMAT: &str = "tar";
/// Marks the handle of a file with holes: its pieces are put together by the crate.
const SPARSE: u64 = 1 << 63;

/// Whether a block is a header: its checksum counts all bytes, its own field as spaces.
pub(super) fn is_header(block: &[u8]) -> bool {
    let Some(field) = block.get(148..156) else {
        return false;
    };
    let digits = field
        .iter()
        .skip_while(|&&byte| byte == b' ')
        .take_while(|byte| byte.is_ascii_digit());
    let stored = digits.fold(0u64, |sum, &digit| sum * 8 + u64::from(digit - b'0'));
    let sum = |block: &[u8]| block.iter().map(|&byte| u64::from(byte)).sum::<u64>();
    let counted = sum(block) - sum(field) + 8 * u64::from(b' ');
    block.len() == 512 && block[0] != 0 && stored == counted
}

pub(crate) struct Tar(pub(crate) Bytes);

impl FileSystem for Tar {
    fn list(&self, limits: &Limits) -> Result<Listing, ImageError> {
        let mut listing = Listing::default();
        let mut archive = Archive::new(Cursor::new(Arc::clone(&self.0)));
        let entries = archive
            .entries_with_seek()
            .map_err(|error| ImageError::damaged(FORMAT, error))?;
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    listing.note(format!("what comes next cannot be read: {error}"));
                    break;
                }
            };
            let header = entry.header();
            let kind = match header.entry_type() {
                EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => NodeKind::File {
                    size: entry.size(),
                    executable: Some(header.mode().unwrap_or(0) & 0o111 != 0),
                },
                EntryType::Directory => NodeKind::Folder,
                EntryType::Symlink => NodeKind::Link(entry.link_name_bytes().unwrap_or_default().to_vec()),
                // A second name of a file, counted from the root.
                EntryType::Link => {
                    let target = entry.link_name_bytes().unwrap_or_default();
                    NodeKind::Link([b"/", target.as_ref()].concat())
                }
                _ => continue,
            };
            let sparse = match header.entry_type() {
                EntryType::GNUSparse => SPARSE,
                _ => 0,
            };
            let handle = entry.raw_file_position() | sparse;
            listing.push(&entry.path_bytes(), kind, handle, limits)?;
        }
        Ok(listing)
    }

    fn read(&self, node: &Node, most: u64) -> Result<Vec<u8>, ImageError> {
        if node.handle & SPARSE == 0 {
            return read_piece(&self.0, node, most);
        }
        let damaged = |error| ImageError::damaged(FORMAT, error);
        let mut archive = Archive::new(Cursor::new(Arc::clone(&self.0)));
        for entry in archive.entries_with_seek().map_err(damaged)? {
            let entry = entry.map_err(damaged)?;
            if entry.raw_file_position() == node.handle & !SPARSE {
                return read_most(entry.take(most), most).map_err(damaged);
            }
        }
        Err(ImageError::damaged(FORMAT, "a file is gone"))
    }

    fn open_bytes(&self, node: &Node, limits: &Limits) -> Result<Bytes, ImageError> {
        match node.kind {
            NodeKind::File { size, .. } if node.handle & SPARSE == 0 => {
                Ok(Arc::new(Part::new(Arc::clone(&self.0), node.handle, size)))
            }
            _ => Ok(Arc::new(self.read(node, limits.file_size)?)),
        }
    }
}
