//! cpio in the form of initramfs and RPM (`newc`), read here: what crates there are read names that are UTF-8 only, and do not say
//! where a file lies.
//!
//! Source: Linux, Documentation/driver-api/early-userspace/buffer-format.rst.

use std::collections::BTreeMap;

use super::read_piece;
use crate::ImageError;
use crate::bytes::{Bytes, read_array, read_vec};
use crate::limits::Limits;
use crate::node::{FileSystem, Listing, Node, NodeKind};

const FORMAT: &str = "cpio";
const HEADER: u64 = 110;
const MAX_NAME: u64 = 4096;

pub(crate) struct Cpio {
    bytes: Bytes,
    entries: Vec<Entry>,
    problem: Option<String>,
    /// Where what follows the archive begins, if something does.
    pub(crate) rest: Option<u64>,
}

struct Entry {
    name: Vec<u8>,
    inode: u64,
    mode: u64,
    links: u64,
    start: u64,
    size: u64,
}

impl Cpio {
    pub(crate) fn open(bytes: Bytes, limits: &Limits) -> Result<Self, ImageError> {
        let mut cpio = Self {
            bytes,
            entries: Vec::new(),
            problem: None,
            rest: None,
        };
        let mut at = 0;
        loop {
            let (entry, next) = match read_entry(&cpio.bytes, at) {
                Ok(found) => found,
                Err(problem) => {
                    cpio.problem = Some(problem.to_string());
                    return Ok(cpio);
                }
            };
            if entry.name == b"TRAILER!!!" {
                cpio.rest = skip_zeros(&cpio.bytes, next);
                return Ok(cpio);
            }
            if cpio.entries.len() as u64 >= limits.entries {
                return Err(ImageError::Limit {
                    what: "the number of files",
                    limit: limits.entries,
                });
            }
            cpio.entries.push(entry);
            at = next;
        }
    }
}

fn read_entry(bytes: &Bytes, at: u64) -> Result<(Entry, u64), ImageError> {
    let header: [u8; HEADER as usize] = read_array(&**bytes, at).map_err(ImageError::io("a header"))?;
    if !matches!(&header[..6], b"070701" | b"070702") {
        return Err(ImageError::damaged(
            FORMAT,
            "there is no header where one should be",
        ));
    }
    let field = |index: usize| {
        let digits = std::str::from_utf8(&header[6 + index * 8..14 + index * 8]).unwrap_or("");
        u64::from_str_radix(digits, 16).map_err(|_| ImageError::damaged(FORMAT, "a header has no numbers"))
    };
    let (size, name_length) = (field(6)?, field(11)?);
    if name_length == 0 || name_length > MAX_NAME {
        return Err(ImageError::damaged(FORMAT, "a name is too long"));
    }
    let name = read_vec(&**bytes, at + HEADER, name_length as usize - 1).map_err(ImageError::io("a name"))?;
    let start = (at + HEADER + name_length).next_multiple_of(4);
    let entry = Entry {
        name,
        inode: field(0)?,
        mode: field(1)?,
        links: field(4)?,
        start,
        size,
    };
    Ok((entry, (start + size).next_multiple_of(4)))
}

/// The next byte that is not zero: archives are padded, and the kernel takes one behind the other.
fn skip_zeros(bytes: &Bytes, mut at: u64) -> Option<u64> {
    let mut block = [0; 512];
    loop {
        let read = bytes.read_at(at, &mut block).ok().filter(|&read| read > 0)?;
        if let Some(found) = block[..read].iter().position(|&byte| byte != 0) {
            return Some(at + found as u64);
        }
        at += read as u64;
    }
}

impl FileSystem for Cpio {
    fn list(&self, limits: &Limits) -> Result<Listing, ImageError> {
        let mut listing = Listing::default();
        // Of several names of a file only the last one has the contents.
        let with_contents = self
            .entries
            .iter()
            .filter(|entry| entry.links > 1 && entry.size > 0);
        let contents: BTreeMap<u64, &Entry> = with_contents.map(|entry| (entry.inode, entry)).collect();
        for entry in &self.entries {
            let kind = match entry.mode & 0o170_000 {
                0o040_000 => NodeKind::Folder,
                0o120_000 => {
                    let length = entry.size.min(MAX_NAME) as usize;
                    match read_vec(&*self.bytes, entry.start, length) {
                        Ok(target) => NodeKind::Link(target),
                        Err(error) => {
                            listing.note(format!("/{}: {error}", String::from_utf8_lossy(&entry.name)));
                            continue;
                        }
                    }
                }
                0o100_000 => {
                    let place = match entry.size {
                        0 if entry.links > 1 => contents.get(&entry.inode).copied().unwrap_or(entry),
                        _ => entry,
                    };
                    let kind = NodeKind::File {
                        size: place.size,
                        executable: Some(entry.mode & 0o111 != 0),
                    };
                    listing.push(&entry.name, kind, place.start, limits)?;
                    continue;
                }
                _ => continue,
            };
            listing.push(&entry.name, kind, entry.start, limits)?;
        }
        if let Some(problem) = &self.problem {
            listing.note(format!("what comes next cannot be read: {problem}"));
        }
        Ok(listing)
    }

    fn read(&self, node: &Node, most: u64) -> Result<Vec<u8>, ImageError> {
        read_piece(&self.bytes, node, most)
    }
}
