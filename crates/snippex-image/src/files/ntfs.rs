//! NTFS, by the crate `ntfs`.

use std::collections::BTreeSet;
use std::io::{self, BufReader, Read};
use std::sync::Arc;

use ::ntfs::attribute_value::NtfsAttributeValue;
use ::ntfs::structured_values::{NtfsFileName, NtfsFileNamespace};
use ::ntfs::{Ntfs as Disk, NtfsFile, NtfsReadSeek};

use crate::ImageError;
use crate::bytes::{Bytes, Cursor};
use crate::limits::Limits;
use crate::node::{FileSystem, Listing, Node, NodeKind, read_most};

const FORMAT: &str = "NTFS";
/// Records below this one are the file system's own.
const FIRST_FILE: u64 = 24;

pub(super) struct Ntfs(pub(super) Bytes);

type Reader = BufReader<Cursor>;

/// A folder that is still to be read.
struct Folder {
    record: u64,
    path: String,
}

impl Ntfs {
    fn load(&self) -> Result<(Disk, Reader), ImageError> {
        let mut reader = BufReader::new(Cursor::new(Arc::clone(&self.0)));
        let disk = Disk::new(&mut reader).map_err(|error| ImageError::damaged(FORMAT, error))?;
        Ok((disk, reader))
    }
}

impl FileSystem for Ntfs {
    fn list(&self, limits: &Limits) -> Result<Listing, ImageError> {
        let (disk, mut reader) = self.load()?;
        let root = disk
            .root_directory(&mut reader)
            .map_err(|error| ImageError::damaged(FORMAT, error))?;
        let mut listing = Listing::default();
        let mut seen = BTreeSet::from([root.file_record_number()]);
        let mut folders = vec![Folder {
            record: root.file_record_number(),
            path: String::new(),
        }];
        while let Some(folder) = folders.pop() {
            let entries = match folder_entries(&disk, &mut reader, folder.record, &mut listing) {
                Ok(entries) => entries,
                Err(error) => {
                    listing.note(format!("/{}: {error}", folder.path));
                    continue;
                }
            };
            for (record, name) in entries {
                let path = match folder.path.as_str() {
                    "" => name.name().to_string_lossy(),
                    above => format!("{above}/{}", name.name().to_string_lossy()),
                };
                if name.is_directory() {
                    listing.push(path.as_bytes(), NodeKind::Folder, record, limits)?;
                    // A damaged index can hold a folder above.
                    if seen.insert(record) {
                        folders.push(Folder { record, path });
                    }
                } else {
                    let kind = NodeKind::File {
                        size: name.data_size(),
                        executable: None,
                    };
                    listing.push(path.as_bytes(), kind, record, limits)?;
                }
            }
        }
        Ok(listing)
    }

    fn read(&self, node: &Node, most: u64) -> Result<Vec<u8>, ImageError> {
        let damaged = |error| ImageError::damaged(FORMAT, error);
        let (disk, mut reader) = self.load()?;
        let file = disk.file(&mut reader, node.handle).map_err(damaged)?;
        let Some(item) = file.data(&mut reader, "") else {
            return Ok(Vec::new());
        };
        let item = item.map_err(damaged)?;
        let attribute = item.to_attribute().map_err(damaged)?;
        let value = attribute.value(&mut reader).map_err(damaged)?;
        let contents = Contents {
            value,
            reader: &mut reader,
        };
        read_most(contents, most).map_err(|error| ImageError::damaged(FORMAT, error))
    }
}

/// The files of a folder with their records; without the file system's own, and without second names in DOS's form.
fn folder_entries(
    disk: &Disk,
    reader: &mut Reader,
    record: u64,
    listing: &mut Listing,
) -> Result<Vec<(u64, NtfsFileName)>, ::ntfs::NtfsError> {
    let folder: NtfsFile<'_> = disk.file(reader, record)?;
    let index = folder.directory_index(reader)?;
    let mut entries = index.entries();
    let mut found = Vec::new();
    while let Some(entry) = entries.next(reader) {
        let (record, name) = match entry {
            Ok(entry) => (entry.file_reference().file_record_number(), entry.key()),
            Err(error) => {
                listing.note(error.to_string());
                break;
            }
        };
        match name {
            Some(Ok(name)) if name.namespace() != NtfsFileNamespace::Dos && record >= FIRST_FILE => {
                found.push((record, name));
            }
            Some(Err(error)) => listing.note(error.to_string()),
            _ => {}
        }
    }
    Ok(found)
}

struct Contents<'n, 'f, 'r> {
    value: NtfsAttributeValue<'n, 'f>,
    reader: &'r mut Reader,
}

impl Read for Contents<'_, '_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.value.read(self.reader, buffer).map_err(io::Error::other)
    }
}
