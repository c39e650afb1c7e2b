//! squashfs 4, by the crate `backhand`.

use std::io::BufReader;
use std::os::unix::ffi::OsStrExt;

use backhand::{FilesystemReader, InnerNode};

use crate::ImageError;
use crate::bytes::{Bytes, Cursor};
use crate::limits::Limits;
use crate::node::{FileSystem, Listing, Node, NodeKind, read_most};

const FORMAT: &str = "squashfs";

pub(super) struct Squashfs(FilesystemReader<'static>);

impl Squashfs {
    pub(super) fn open(bytes: Bytes) -> Result<Self, ImageError> {
        let reader = FilesystemReader::from_reader(BufReader::new(Cursor::new(bytes)));
        reader
            .map(Self)
            .map_err(|error| ImageError::damaged(FORMAT, error))
    }
}

impl FileSystem for Squashfs {
    fn list(&self, limits: &Limits) -> Result<Listing, ImageError> {
        let mut listing = Listing::default();
        for (handle, node) in (0..).zip(self.0.files()) {
            let kind = match &node.inner {
                InnerNode::File(file) => NodeKind::File {
                    size: file.file_len() as u64,
                    executable: Some(node.header.permissions & 0o111 != 0),
                },
                InnerNode::Dir(_) => NodeKind::Folder,
                InnerNode::Symlink(link) => NodeKind::Link(link.link.as_os_str().as_bytes().to_vec()),
                _ => continue,
            };
            listing.push(node.fullpath.as_os_str().as_bytes(), kind, handle, limits)?;
        }
        Ok(listing)
    }

    fn read(&self, node: &Node, most: u64) -> Result<Vec<u8>, ImageError> {
        let found = usize::try_from(node.handle)
            .ok()
            .and_then(|handle| self.0.files().nth(handle));
        let Some(InnerNode::File(file)) = found.map(|node| &node.inner) else {
            return Err(ImageError::damaged(FORMAT, "a file is gone"));
        };
        let reader = self.0.file(file).reader_checked();
        let reader = reader.map_err(|error| ImageError::damaged(FORMAT, error))?;
        read_most(reader, most).map_err(|error| ImageError::damaged(FORMAT, error))
    }
}
