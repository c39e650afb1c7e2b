//! FAT 12, 16 and 32, by the crate `fatfs`.

use std::sync::Arc;

use fatfs::{FileSystem as Disk, FsOptions};

use crate::ImageError;
use crate::bytes::{Bytes, Cursor, ReadOnly};
use crate::limits::Limits;
use crate::node::{FileSystem, Listing, Node, NodeKind, read_most};

const FORMAT: &str = "FAT";
/// Folders in each other. The table of a damaged one can lead back to a folder above.
const MAX_DEPTH: usize = 64;

/// Whether a sector begins a FAT file system: the fields that tell it from a partition table are sane.
pub(super) fn is_boot_sector(sector: &[u8; 512]) -> bool {
    let bytes_per_sector = u16::from_le_bytes([sector[11], sector[12]]);
    sector[510..] == [0x55, 0xaa]
        && matches!(sector[0], 0xeb | 0xe9)
        && matches!(bytes_per_sector, 512 | 1024 | 2048 | 4096)
        && sector[13].is_power_of_two()
        && matches!(sector[16], 1 | 2)
        && (sector[54..57] == *b"FAT" || sector[82..87] == *b"FAT32")
}

pub(super) struct Fat(pub(super) Bytes);

impl Fat {
    fn load(&self) -> Result<Disk<ReadOnly>, ImageError> {
        let options = FsOptions::new().update_accessed_date(false);
        Disk::new(ReadOnly(Cursor::new(Arc::clone(&self.0))), options)
            .map_err(|error| ImageError::damaged(FORMAT, error))
    }
}

impl FileSystem for Fat {
    fn list(&self, limits: &Limits) -> Result<Listing, ImageError> {
        let disk = self.load()?;
        let mut listing = Listing::default();
        let mut folders = vec![(disk.root_dir(), String::new(), 0)];
        while let Some((folder, path, depth)) = folders.pop() {
            for entry in folder.iter() {
                let entry = match entry {
                    Ok(entry) => entry,
                    Err(error) => {
                        listing.note(format!("/{path}: {error}"));
                        break;
                    }
                };
                let name = entry.file_name();
                if name == "." || name == ".." || name.contains('/') {
                    continue;
                }
                let path = match path.as_str() {
                    "" => name,
                    _ => format!("{path}/{name}"),
                };
                if entry.is_dir() {
                    listing.push(path.as_bytes(), NodeKind::Folder, 0, limits)?;
                    if depth < MAX_DEPTH {
                        folders.push((entry.to_dir(), path, depth + 1));
                    } else {
                        listing.note(format!("/{path}: too many folders in each other"));
                    }
                } else {
                    let kind = NodeKind::File {
                        size: entry.len(),
                        executable: None,
                    };
                    listing.push(path.as_bytes(), kind, 0, limits)?;
                }
            }
        }
        Ok(listing)
    }

    fn read(&self, node: &Node, most: u64) -> Result<Vec<u8>, ImageError> {
        let disk = self.load()?;
        let path = String::from_utf8_lossy(&node.path).into_owned();
        let file = disk.root_dir().open_file(&path);
        // A table that leads in a circle would never end.
        file.and_then(|file| read_most(file, most.min(self.0.size())))
            .map_err(|error| ImageError::damaged(FORMAT, error))
    }
}
