//! ext2, ext3 and ext4 by the crate `ext4-view`, which replays a journal that was left over.

use std::error::Error;
use std::io::{self, Read};
use std::sync::Arc;

use ext4_view::{Ext4, Ext4Read, FileType};

use super::FORMAT;
use crate::ImageError;
use crate::bytes::{Bytes, read_exact_at};
use crate::limits::Limits;
use crate::node::{FileSystem, Listing, Node, NodeKind, read_most};

pub(super) struct Journaled(pub(super) Bytes);

impl Journaled {
    fn load(&self) -> Result<Ext4, ImageError> {
        Ext4::load(Box::new(Reader(Arc::clone(&self.0)))).map_err(|error| ImageError::damaged(FORMAT, error))
    }
}

impl FileSystem for Journaled {
    fn list(&self, limits: &Limits) -> Result<Listing, ImageError> {
        let disk = self.load()?;
        let mut listing = Listing::default();
        let mut folders = vec![b"/".to_vec()];
        while let Some(folder) = folders.pop() {
            let shown = || String::from_utf8_lossy(&folder).into_owned();
            let Ok(path) = ext4_view::Path::try_from(folder.as_slice()) else {
                listing.note(format!("{}: too long a path", shown()));
                continue;
            };
            let entries = match disk.read_dir(path) {
                Ok(entries) => entries,
                Err(error) => {
                    listing.note(format!("{}: {error}", shown()));
                    continue;
                }
            };
            for entry in entries {
                let entry = match entry {
                    Ok(entry) => entry,
                    Err(error) => {
                        listing.note(format!("{}: {error}", shown()));
                        break;
                    }
                };
                let name = entry.file_name();
                if matches!(name.as_ref(), b"." | b"..") {
                    continue;
                }
                let path = entry.path();
                let found = entry
                    .metadata()
                    .and_then(|metadata| kind(&disk, &path, &metadata));
                match found {
                    Ok(Some(kind)) => {
                        // A path as long as that is a folder in itself.
                        if kind == NodeKind::Folder && path.as_ref().len() < 4096 {
                            folders.push(path.as_ref().to_vec());
                        }
                        listing.push(path.as_ref(), kind, 0, limits)?;
                    }
                    Ok(None) => {}
                    Err(error) => listing.note(format!("{}: {error}", path.display())),
                }
            }
        }
        Ok(listing)
    }

    fn read(&self, node: &Node, most: u64) -> Result<Vec<u8>, ImageError> {
        let damaged = |error| ImageError::damaged(FORMAT, error);
        let path = [b"/", node.path.as_slice()].concat();
        let path = ext4_view::Path::try_from(path.as_slice())
            .map_err(|_| ImageError::damaged(FORMAT, "too long a path"))?;
        let file = self.load()?.open(path).map_err(damaged)?;
        read_most(Opened(file), most).map_err(|error| ImageError::damaged(FORMAT, error))
    }
}

fn kind(
    disk: &Ext4,
    path: &ext4_view::PathBuf,
    metadata: &ext4_view::Metadata,
) -> Result<Option<NodeKind>, ext4_view::Ext4Error> {
    Ok(match metadata.file_type() {
        FileType::Directory => Some(NodeKind::Folder),
        FileType::Symlink => Some(NodeKind::Link(disk.read_link(path)?.as_ref().to_vec())),
        FileType::Regular => Some(NodeKind::File {
            size: metadata.len(),
            executable: Some(metadata.mode() & 0o111 != 0),
        }),
        _ => None,
    })
}

struct Reader(Bytes);

impl Ext4Read for Reader {
    fn read(&mut self, start: u64, buffer: &mut [u8]) -> Result<(), Box<dyn Error + Send + Sync + 'static>> {
        Ok(read_exact_at(&*self.0, start, buffer)?)
    }
}

struct Opened(ext4_view::File);

impl Read for Opened {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read_bytes(buffer).map_err(io::Error::other)
    }
}
