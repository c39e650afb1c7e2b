//! zip, wheels and what else is one, by the crate of that name.

use std::sync::Arc;

use ::zip::ZipArchive;

use crate::ImageError;
use crate::bytes::{Bytes, Cursor};
use crate::limits::Limits;
use crate::node::{FileSystem, Listing, Node, NodeKind, read_most};

const FORMAT: &str = "zip";
/// Bytes of a symbolic link's target.
const MAX_LINK: u64 = 4096;

pub(crate) struct Zip(pub(crate) Bytes);

impl Zip {
    fn load(&self) -> Result<ZipArchive<Cursor>, ImageError> {
        ZipArchive::new(Cursor::new(Arc::clone(&self.0))).map_err(|error| ImageError::damaged(FORMAT, error))
    }

    fn read_entry(
        &self,
        archive: &mut ZipArchive<Cursor>,
        index: usize,
        most: u64,
    ) -> Result<Vec<u8>, ImageError> {
        let entry = archive
            .by_index(index)
            .map_err(|error| ImageError::damaged(FORMAT, error))?;
        read_most(entry, most).map_err(|error| ImageError::damaged(FORMAT, error))
    }
}

impl FileSystem for Zip {
    fn list(&self, limits: &Limits) -> Result<Listing, ImageError> {
        let mut archive = self.load()?;
        let mut listing = Listing::default();
        // A link's target is its contents, which the raw entry does not unpack.
        let mut links = Vec::new();
        for index in 0..archive.len() {
            let entry = match archive.by_index_raw(index) {
                Ok(entry) => entry,
                Err(error) => {
                    listing.note(format!("entry {index}: {error}"));
                    continue;
                }
            };
            let kind = if entry.is_dir() {
                NodeKind::Folder
            } else if entry.is_symlink() {
                links.push((index, entry.name_raw().to_vec()));
                continue;
            } else {
                NodeKind::File {
                    size: entry.size(),
                    // Made on Windows, or by a tool that does not care.
                    executable: entry
                        .unix_mode()
                        .filter(|mode| mode & 0o777 != 0)
                        .map(|mode| mode & 0o111 != 0),
                }
            };
            listing.push(entry.name_raw(), kind, index as u64, limits)?;
        }
        for (index, name) in links {
            match self.read_entry(&mut archive, index, MAX_LINK) {
                Ok(target) => listing.push(&name, NodeKind::Link(target), index as u64, limits)?,
                Err(error) => listing.note(format!("entry {index}: {error}")),
            }
        }
        Ok(listing)
    }

    fn read(&self, node: &Node, most: u64) -> Result<Vec<u8>, ImageError> {
        self.read_entry(&mut self.load()?, node.handle as usize, most)
    }
}
