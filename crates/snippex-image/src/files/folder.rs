//! A folder of this machine, as if it were an image: an unpacked root file system.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::ImageError;
use crate::bytes::{Bytes, FileBytes};
use crate::limits::Limits;
use crate::node::{FileSystem, Listing, Node, NodeKind, read_most};

pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn place(&self, path: &[u8]) -> PathBuf {
        self.0.join(Path::new(OsStr::from_bytes(path)))
    }
}

impl FileSystem for Folder {
    fn list(&self, limits: &Limits) -> Result<Listing, ImageError> {
        let mut listing = Listing::default();
        let mut folders = vec![PathBuf::new()];
        while let Some(folder) = folders.pop() {
            let entries = match fs::read_dir(self.0.join(&folder)) {
                Ok(entries) => entries,
                // What the user may not read is no reason to leave the rest out; a folder that is not there is.
                Err(error) if folder.as_os_str().is_empty() => {
                    return Err(ImageError::io(format!("{}", self.0.display()))(error));
                }
                Err(error) => {
                    listing.note(format!("/{}: {error}", folder.display()));
                    continue;
                }
            };
            for entry in entries.flatten() {
                let path = folder.join(entry.file_name());
                // Of the link, not of what it leads to: that may be outside.
                let Ok(metadata) = entry.metadata() else { continue };
                let kind = if metadata.is_dir() {
                    folders.push(path.clone());
                    NodeKind::Folder
                } else if metadata.is_symlink() {
                    let target = fs::read_link(entry.path()).unwrap_or_default();
                    NodeKind::Link(target.as_os_str().as_bytes().to_vec())
                } else if metadata.is_file() {
                    NodeKind::File {
                        size: metadata.len(),
                        executable: Some(metadata.permissions().mode() & 0o111 != 0),
                    }
                } else {
                    continue;
                };
                listing.push(path.as_os_str().as_bytes(), kind, 0, limits)?;
            }
        }
        Ok(listing)
    }

    fn read(&self, node: &Node, most: u64) -> Result<Vec<u8>, ImageError> {
        let path = self.place(&node.path);
        let cannot = || ImageError::io(format!("{}", path.display()));
        read_most(File::open(&path).map_err(cannot())?, most).map_err(cannot())
    }

    fn open_bytes(&self, node: &Node, limits: &Limits) -> Result<Bytes, ImageError> {
        let path = self.place(&node.path);
        let cannot = || ImageError::io(format!("{}", path.display()));
        let file = File::open(&path).map_err(cannot())?;
        let bytes = FileBytes::new(file, Some(path.clone()), limits.read).map_err(cannot())?;
        Ok(Arc::new(bytes))
    }
}
