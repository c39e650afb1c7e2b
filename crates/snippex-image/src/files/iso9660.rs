//! ISO 9660 with the names and links of Rock Ridge, else those of Joliet, read here: what crates there are does not read links or
//! files of several extents.
//!
//! Source: ECMA-119, 4th edition; IEEE P1281 (SUSP 1.12) and P1282 (Rock Ridge 1.12); Joliet Specification, 1995.

use std::collections::BTreeSet;

use crate::ImageError;
use crate::bytes::{Bytes, read_array, read_exact_at, read_vec};
use crate::limits::Limits;
use crate::node::{FileSystem, Listing, Node, NodeKind};

const FORMAT: &str = "iso9660";
const SECTOR: u64 = 2048;
/// Bytes of one folder; a million entries are less.
const MAX_FOLDER: u32 = 64 << 20;
/// Continuations of the additional fields of one record; a long link has two.
const MAX_CONTINUATIONS: usize = 64;
const FOLDER: u8 = 0x02;
const CONTINUED: u8 = 0x80;

/// How names are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Names {
    Plain,
    Joliet,
    /// With this many bytes in front of each record's additional fields.
    RockRidge(usize),
}

pub(super) struct Iso9660 {
    bytes: Bytes,
    root: Extent,
    names: Names,
}

#[derive(Clone, Copy)]
struct Extent {
    start: u64,
    size: u32,
}

/// A record of a folder.
struct Record {
    extent: Extent,
    flags: u8,
    name: Vec<u8>,
    /// What comes behind the name.
    additional: Vec<u8>,
    length: usize,
}

/// What Rock Ridge says of a file.
#[derive(Default)]
struct Attributes {
    name: Vec<u8>,
    mode: Option<u32>,
    link: Option<Vec<u8>>,
    /// A folder that lies elsewhere, because eight levels are the limit.
    moved_from: Option<u64>,
    is_moved: bool,
}

impl Iso9660 {
    pub(super) fn open(bytes: Bytes) -> Result<Self, ImageError> {
        let mut primary = None;
        let mut joliet = None;
        for sector in 16..64 {
            let descriptor: [u8; SECTOR as usize] =
                read_array(&*bytes, sector * SECTOR).map_err(ImageError::io("a volume descriptor"))?;
            if descriptor[1..6] != *b"CD001" {
                break;
            }
            let root = || Record::parse(&descriptor[156..190]).map(|record| record.extent);
            match descriptor[0] {
                1 if primary.is_none() => primary = root(),
                2 if matches!(&descriptor[88..91], b"%/@" | b"%/C" | b"%/E") => joliet = root(),
                255 => break,
                _ => {}
            }
        }
        let primary = primary.ok_or_else(|| ImageError::damaged(FORMAT, "there is no primary volume"))?;
        let skipped = rock_ridge(&bytes, primary);
        let (root, names) = match (skipped, joliet) {
            (Some(skipped), _) => (primary, Names::RockRidge(skipped)),
            (None, Some(joliet)) => (joliet, Names::Joliet),
            (None, None) => (primary, Names::Plain),
        };
        Ok(Self { bytes, root, names })
    }

    fn attributes(&self, record: &Record) -> Attributes {
        match self.names {
            Names::RockRidge(skipped) => {
                let mut attributes = Attributes::default();
                let fields = record.additional.get(skipped..).unwrap_or_default().to_vec();
                self.read_fields(fields, &mut attributes);
                if attributes.name.is_empty() {
                    attributes.name = plain_name(&record.name);
                }
                attributes
            }
            Names::Joliet => {
                let units = record
                    .name
                    .chunks_exact(2)
                    .map(|unit| u16::from_be_bytes([unit[0], unit[1]]));
                let name: String = char::decode_utf16(units)
                    .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
                    .collect();
                Attributes {
                    name: plain_name(name.as_bytes()),
                    ..Attributes::default()
                }
            }
            Names::Plain => Attributes {
                name: plain_name(&record.name.to_ascii_lowercase()),
                ..Attributes::default()
            },
        }
    }

    /// Reads the fields behind a record, and those that they continue in.
    fn read_fields(&self, mut fields: Vec<u8>, attributes: &mut Attributes) {
        for _ in 0..MAX_CONTINUATIONS {
            let mut continued = None;
            let mut rest = fields.as_slice();
            while let [first, second, length, _, ..] = *rest {
                let length = usize::from(length);
                let Some(field) = rest.get(4..length.max(4)) else {
                    break;
                };
                match &[first, second] {
                    b"NM" => attributes
                        .name
                        .extend_from_slice(field.get(1..).unwrap_or_default()),
                    b"PX" => attributes.mode = field.get(..4).map(|mode| u32_at(mode, 0)),
                    b"SL" => add_link(field, &mut attributes.link),
                    b"CL" => {
                        attributes.moved_from =
                            field.get(..4).map(|block| u64::from(u32_at(block, 0)) * SECTOR);
                    }
                    b"RE" => attributes.is_moved = true,
                    b"CE" if field.len() >= 24 => {
                        let place = u64::from(u32_at(field, 0)) * SECTOR + u64::from(u32_at(field, 8));
                        continued = Some((place, u32_at(field, 16)));
                    }
                    b"ST" => break,
                    _ => {}
                }
                if length < 4 {
                    break;
                }
                rest = &rest[length..];
            }
            match continued {
                Some((place, length)) if u64::from(length) <= SECTOR => {
                    match read_vec(&*self.bytes, place, length as usize) {
                        Ok(next) => fields = next,
                        Err(_) => return,
                    }
                }
                _ => return,
            }
        }
    }

    /// The records of a folder with their places.
    fn records(&self, folder: Extent) -> Result<Vec<(u64, Record)>, ImageError> {
        if folder.size > MAX_FOLDER {
            return Err(ImageError::damaged(FORMAT, "a folder is too large"));
        }
        let bytes =
            read_vec(&*self.bytes, folder.start, folder.size as usize).map_err(ImageError::io("a folder"))?;
        let mut found = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            match Record::parse(&bytes[at..]) {
                Some(record) => {
                    let length = record.length;
                    found.push((folder.start + at as u64, record));
                    at += length;
                }
                // No record lies in two sectors: what is left of one is zeros.
                None => at = (at + 1).next_multiple_of(SECTOR as usize),
            }
        }
        Ok(found)
    }

    /// The size that the folder at this place says it has, in its entry for itself.
    fn folder_at(&self, start: u64) -> Option<Extent> {
        let sector = read_vec(&*self.bytes, start, SECTOR as usize).ok()?;
        Record::parse(&sector).map(|record| record.extent)
    }

    /// All extents of the file whose first record is here.
    fn extents(&self, place: u64) -> Result<Vec<Extent>, ImageError> {
        let mut found = Vec::new();
        let mut at = place;
        loop {
            let rest = (at / SECTOR + 1) * SECTOR - at;
            let bytes = read_vec(&*self.bytes, at, rest as usize).map_err(ImageError::io("a folder"))?;
            let Some(record) = Record::parse(&bytes) else {
                // The next sector goes on.
                if found.is_empty() || rest == SECTOR {
                    return Err(ImageError::damaged(FORMAT, "a file's record is gone"));
                }
                at += rest;
                continue;
            };
            found.push(record.extent);
            if record.flags & CONTINUED == 0 {
                return Ok(found);
            }
            at += record.length as u64;
        }
    }
}

impl FileSystem for Iso9660 {
    fn list(&self, limits: &Limits) -> Result<Listing, ImageError> {
        let mut listing = Listing::default();
        let mut seen = BTreeSet::from([self.root.start]);
        let mut folders = vec![(self.root, Vec::new())];
        while let Some((folder, above)) = folders.pop() {
            let records = match self.records(folder) {
                Ok(records) => records,
                Err(error) if above.is_empty() => return Err(error),
                Err(error) => {
                    listing.note(format!("/{}: {error}", String::from_utf8_lossy(&above)));
                    continue;
                }
            };
            // Sizes of the extents before the last one of a file.
            let mut earlier: Option<(u64, u64)> = None;
            for (place, record) in records {
                // The folder itself and the one above.
                if matches!(record.name.as_slice(), [0 | 1]) {
                    continue;
                }
                let (place, size) = earlier.take().unwrap_or((place, 0));
                let size = size + u64::from(record.extent.size);
                if record.flags & CONTINUED != 0 {
                    earlier = Some((place, size));
                    continue;
                }
                let attributes = self.attributes(&record);
                if attributes.is_moved || attributes.name.is_empty() {
                    continue;
                }
                let path = match above.as_slice() {
                    [] => attributes.name,
                    above => [above, &attributes.name].join(&b'/'),
                };
                let moved = attributes.moved_from.and_then(|start| self.folder_at(start));
                let kind = match (attributes.link, moved, attributes.mode) {
                    (Some(target), ..) => NodeKind::Link(target),
                    (None, Some(_), _) => NodeKind::Folder,
                    (None, None, _) if record.flags & FOLDER != 0 => NodeKind::Folder,
                    (None, None, Some(mode)) if mode & 0o170_000 != 0o100_000 => continue,
                    (None, None, mode) => NodeKind::File {
                        size,
                        executable: mode.map(|mode| mode & 0o111 != 0),
                    },
                };
                if kind == NodeKind::Folder {
                    let extent = moved.unwrap_or(record.extent);
                    // A damaged record can lead to a folder above.
                    if seen.insert(extent.start) {
                        folders.push((extent, path.clone()));
                    }
                }
                listing.push(&path, kind, place, limits)?;
            }
        }
        Ok(listing)
    }

    fn read(&self, node: &Node, most: u64) -> Result<Vec<u8>, ImageError> {
        let mut contents = Vec::new();
        for extent in self.extents(node.handle)? {
            let wanted = u64::from(extent.size).min(most - contents.len() as u64) as usize;
            let end = extent.start + wanted as u64;
            if end > self.bytes.size() {
                return Err(ImageError::damaged(
                    FORMAT,
                    "a file goes on behind the end of the image",
                ));
            }
            let begins = contents.len();
            contents.resize(begins + wanted, 0);
            read_exact_at(&*self.bytes, extent.start, &mut contents[begins..])
                .map_err(ImageError::io("a file"))?;
        }
        Ok(contents)
    }
}

impl Record {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let length = usize::from(*bytes.first()?);
        let bytes = bytes.get(..length).filter(|bytes| bytes.len() >= 34)?;
        let name_length = usize::from(bytes[32]);
        let name = bytes.get(33..33 + name_length)?;
        // An even number of bytes.
        let behind = 33 + name_length + usize::from(name_length.is_multiple_of(2));
        // Attributes in front of the contents.
        let attributes = u64::from(bytes[1]);
        Some(Self {
            extent: Extent {
                start: (u64::from(u32_at(bytes, 2)) + attributes) * SECTOR,
                size: u32_at(bytes, 10),
            },
            flags: bytes[25],
            name: name.to_vec(),
            additional: bytes.get(behind..).unwrap_or_default().to_vec(),
            length,
        })
    }
}

/// The bytes to skip in front of additional fields, if the root says that there are some of Rock Ridge.
fn rock_ridge(bytes: &Bytes, root: Extent) -> Option<usize> {
    let sector = read_vec(&**bytes, root.start, SECTOR as usize).ok()?;
    let record = Record::parse(&sector)?;
    let field = record.additional.get(..7)?;
    (field[..2] == *b"SP" && field[4..6] == [0xbe, 0xef]).then(|| usize::from(field[6]))
}

/// A name without its version (`;1`) and without the dot of an empty extension.
fn plain_name(name: &[u8]) -> Vec<u8> {
    let end = name.iter().rposition(|&byte| byte == b';').unwrap_or(name.len());
    let name = &name[..end];
    let name = name.strip_suffix(b".").unwrap_or(name);
    // A slash in a name would be a folder.
    name.iter()
        .map(|&byte| if byte == b'/' { b'_' } else { byte })
        .collect()
}

/// Adds the components of a part of a symbolic link.
fn add_link(field: &[u8], link: &mut Option<Vec<u8>>) {
    let link = link.get_or_insert_default();
    let mut rest = field.get(1..).unwrap_or_default();
    while let [flags, length, ..] = *rest {
        let end = 2 + usize::from(length);
        let Some(text) = rest.get(2..end) else { return };
        if !link.is_empty() && !link.ends_with(b"/") {
            link.push(b'/');
        }
        match flags & 0x0e {
            0x02 => link.push(b'.'),
            0x04 => link.extend_from_slice(b".."),
            0x08 => link.push(b'/'),
            _ => link.extend_from_slice(text),
        }
        rest = &rest[end..];
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
