//! Logical volumes of LVM2 that are linear or striped over one disk image.
//!
//! Source: the on-disk structures of LVM2's `lib/format_text/layout.h`, and its metadata, which is text.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::Volume;
use crate::ImageError;
use crate::bytes::{Bytes, Part, ReadAt, read_array, read_vec};

const FORMAT: &str = "LVM";
const SECTOR: u64 = 512;
/// Metadata is text about some hundred volumes.
const MAX_METADATA: u64 = 16 << 20;
/// A table of a million pieces is as much as any volume needs, and as much as the memory should hold.
const MAX_PIECES: u64 = 1 << 20;

/// A disk, or a partition, that is part of a volume group.
pub(crate) struct PhysicalVolume {
    uuid: String,
    bytes: Bytes,
    metadata: String,
}

impl PhysicalVolume {
    /// Reads the label, which is in one of the first four sectors, and the metadata that it leads to.
    pub(crate) fn read(bytes: &Bytes) -> Result<Option<Self>, ImageError> {
        for sector in 0..4 {
            let label: [u8; 512] = match read_array(&**bytes, sector * SECTOR) {
                Ok(label) => label,
                Err(_) => return Ok(None),
            };
            if label.starts_with(b"LABELONE") && label[24..32] == *b"LVM2 001" {
                return Self::read_labelled(bytes, &label).map(Some);
            }
        }
        Ok(None)
    }

    fn read_labelled(bytes: &Bytes, label: &[u8; 512]) -> Result<Self, ImageError> {
        let damaged = |problem: &str| ImageError::damaged(FORMAT, problem);
        let header = u32::from_le_bytes([label[20], label[21], label[22], label[23]]) as usize;
        let header = label
            .get(header..)
            .ok_or_else(|| damaged("its label is cut off"))?;
        let uuid = header.get(..32).ok_or_else(|| damaged("its label is cut off"))?;
        let uuid = String::from_utf8_lossy(uuid).into_owned();
        // Two lists of places follow the size: of data, and of metadata; each ends with zeros.
        let mut places = header
            .get(40..)
            .unwrap_or_default()
            .chunks_exact(16)
            .map(|place| (long(place, 0), long(place, 8)));
        places
            .by_ref()
            .take_while(|place| *place != (0, 0))
            .for_each(drop);
        let (start, size) =
            places
                .next()
                .filter(|place| *place != (0, 0))
                .ok_or_else(|| ImageError::Unsupported {
                    format: FORMAT,
                    what: "without metadata on this disk".to_owned(),
                })?;
        Ok(Self {
            uuid,
            bytes: Arc::clone(bytes),
            metadata: read_metadata(bytes, start, size)?,
        })
    }

    /// The logical volumes of all groups that these disks make up; with what could not be put together.
    pub(crate) fn assemble(disks: &[Self]) -> (Vec<Volume>, Vec<String>) {
        let mut volumes = Vec::new();
        let mut problems = Vec::new();
        let mut seen = Vec::new();
        for disk in disks {
            let sections = match Section::parse(&disk.metadata) {
                Ok(root) => root.sections,
                Err(problem) => {
                    problems.push(format!("its LVM metadata {problem}"));
                    continue;
                }
            };
            for (name, group) in sections {
                // Every disk of a group has the metadata of all.
                let id = group.text("id").to_owned();
                if seen.contains(&id) {
                    continue;
                }
                seen.push(id);
                let places = Group::new(&group, disks);
                for (volume, section) in group.section("logical_volumes") {
                    match places.open(section) {
                        Ok(bytes) => volumes.push(Volume {
                            name: format!("{name}/{volume}"),
                            bytes,
                        }),
                        Err(problem) => problems.push(format!("logical volume {name}/{volume}: {problem}")),
                    }
                }
            }
        }
        (volumes, problems)
    }
}

/// Reads the text out of a metadata area, which is a ring behind its header.
fn read_metadata(bytes: &Bytes, start: u64, size: u64) -> Result<String, ImageError> {
    let cannot = |error| ImageError::io("its LVM metadata")(error);
    let header: [u8; 512] = read_array(&**bytes, start).map_err(cannot)?;
    if header[4..20] != *b" LVM2 x[5A%r0N*>" {
        return Err(ImageError::damaged(
            FORMAT,
            "there is no metadata where its label says",
        ));
    }
    let (offset, length) = (long(&header, 40), long(&header, 48));
    if length > MAX_METADATA || offset < SECTOR || offset >= size || length > size {
        return Err(ImageError::damaged(
            FORMAT,
            "its metadata lies outside of its area",
        ));
    }
    let first = length.min(size - offset);
    let mut text = read_vec(&**bytes, start + offset, first as usize).map_err(cannot)?;
    text.extend(read_vec(&**bytes, start + SECTOR, (length - first) as usize).map_err(cannot)?);
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn long(bytes: &[u8], at: usize) -> u64 {
    let mut long = [0; 8];
    long.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(long)
}

/// The disks of a volume group, by the names that its metadata has for them.
struct Group<'g> {
    extent: u64,
    disks: BTreeMap<&'g str, (&'g Bytes, u64)>,
}

impl<'g> Group<'g> {
    fn new(group: &'g Section, disks: &'g [PhysicalVolume]) -> Self {
        let plain = |uuid: &str| uuid.replace('-', "");
        let found = group.section("physical_volumes").filter_map(|(name, section)| {
            let uuid = plain(section.text("id"));
            let disk = disks.iter().find(|disk| plain(&disk.uuid) == uuid)?;
            Some((
                name.as_str(),
                (&disk.bytes, section.number("pe_start")?.checked_mul(SECTOR)?),
            ))
        });
        Self {
            extent: group
                .number("extent_size")
                .and_then(|sectors| sectors.checked_mul(SECTOR))
                .unwrap_or(0),
            disks: found.collect(),
        }
    }

    fn open(&self, volume: &Section) -> Result<Bytes, String> {
        let mut pieces = Vec::new();
        let mut segments: Vec<_> = volume
            .sections
            .values()
            .filter(|section| section.number("start_extent").is_some())
            .collect();
        segments.sort_by_key(|segment| segment.number("start_extent"));
        for segment in segments {
            self.add_segment(segment, &mut pieces)?;
        }
        match pieces.len() {
            0 => Err("it has no segments".to_owned()),
            _ => Ok(Arc::new(Joined::new(pieces))),
        }
    }

    fn add_segment(&self, segment: &Section, pieces: &mut Vec<Part>) -> Result<(), String> {
        let kind = segment.text("type");
        let stripes = segment
            .lists
            .get("stripes")
            .map(Vec::as_slice)
            .unwrap_or_default();
        let count = (stripes.len() / 2) as u64;
        if kind != "striped" || count == 0 {
            return Err(format!("its type {kind:?} is not read, only linear and striped"));
        }
        let bytes = |extents: u64| {
            extents
                .checked_mul(self.extent)
                .ok_or("it has more extents than a disk can")
        };
        let length = bytes(segment.number("extent_count").unwrap_or(0))? / count;
        let mut parts = Vec::new();
        for stripe in stripes.chunks_exact(2) {
            let (name, first) = (
                &stripe[0],
                stripe[1].parse::<u64>().map_err(|_| "a stripe has no number")?,
            );
            let (disk, start) = self
                .disks
                .get(name.as_str())
                .ok_or(format!("{name} is on another disk"))?;
            let start = bytes(first)?
                .checked_add(*start)
                .ok_or("it lies outside of the disk")?;
            parts.push((Arc::clone(disk), start));
        }
        if let [(disk, start)] = parts.as_slice() {
            pieces.push(Part::new(Arc::clone(disk), *start, length));
            return Ok(());
        }
        let stripe = segment
            .number("stripe_size")
            .and_then(|sectors| sectors.checked_mul(SECTOR))
            .unwrap_or(0);
        let pieces_more = length
            .checked_div(stripe)
            .and_then(|rows| rows.checked_mul(count));
        if pieces_more.is_none_or(|more| more > MAX_PIECES - (pieces.len() as u64).min(MAX_PIECES)) {
            return Err("its stripes are too small".to_owned());
        }
        for row in 0..length / stripe {
            // A place behind all that there is has nothing in it.
            let piece = |(disk, start): &(Bytes, u64)| {
                Part::new(Arc::clone(disk), start.saturating_add(row * stripe), stripe)
            };
            pieces.extend(parts.iter().map(piece));
        }
        Ok(())
    }
}

/// Parts one behind the other.
struct Joined {
    /// Each with the place at which it begins.
    parts: Vec<(u64, Part)>,
    size: u64,
}

impl Joined {
    fn new(parts: Vec<Part>) -> Self {
        let mut size = 0u64;
        let mut placed = Vec::new();
        for part in parts {
            let start = size;
            size = size.saturating_add(part.size());
            placed.push((start, part));
        }
        Self { parts: placed, size }
    }
}

impl ReadAt for Joined {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while done < buffer.len() && offset + (done as u64) < self.size {
            let at = offset + done as u64;
            let index = self.parts.partition_point(|(start, _)| *start <= at) - 1;
            let (start, part) = &self.parts[index];
            let read = part.read_at(at - start, &mut buffer[done..])?;
            if read == 0 {
                break;
            }
            done += read;
        }
        Ok(done)
    }
}

/// A section of LVM's configuration language: values, lists and sections by name.
#[derive(Debug, Default)]
struct Section {
    values: BTreeMap<String, String>,
    lists: BTreeMap<String, Vec<String>>,
    sections: BTreeMap<String, Section>,
}

impl Section {
    fn text(&self, name: &str) -> &str {
        self.values.get(name).map_or("", String::as_str)
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.text(name).parse().ok()
    }

    fn section<'s>(&'s self, name: &str) -> impl Iterator<Item = (&'s String, &'s Section)> {
        self.sections
            .get(name)
            .into_iter()
            .flat_map(|section| &section.sections)
    }

    fn parse(text: &str) -> Result<Self, &'static str> {
        let mut tokens = Tokens(text.trim_end_matches('\0'));
        Self::parse_inner(&mut tokens, 0)
    }

    fn parse_inner(tokens: &mut Tokens<'_>, depth: usize) -> Result<Self, &'static str> {
        if depth > 16 {
            return Err("is nested too deeply");
        }
        let mut section = Self::default();
        while let Some(name) = tokens.next_token() {
            if name == "}" {
                break;
            }
            match tokens.next_token() {
                Some("{") => {
                    section
                        .sections
                        .insert(name.to_owned(), Self::parse_inner(tokens, depth + 1)?);
                }
                Some("=") => match tokens.next_token().ok_or("is cut off")? {
                    "[" => {
                        let mut list = Vec::new();
                        loop {
                            match tokens.next_token().ok_or("is cut off")? {
                                "]" => break,
                                "," => {}
                                value => list.push(unquoted(value).to_owned()),
                            }
                        }
                        section.lists.insert(name.to_owned(), list);
                    }
                    value => {
                        section.values.insert(name.to_owned(), unquoted(value).to_owned());
                    }
                },
                _ => return Err("is not what LVM writes"),
            }
        }
        Ok(section)
    }
}

fn unquoted(value: &str) -> &str {
    value
        .strip_prefix('"')
        .and_then(|value| value.strip_suffix('"'))
        .unwrap_or(value)
}

struct Tokens<'t>(&'t str);

impl<'t> Tokens<'t> {
    fn next_token(&mut self) -> Option<&'t str> {
        loop {
            self.0 = self.0.trim_start();
            match self.0.strip_prefix('#') {
                Some(comment) => self.0 = comment.split_once('\n').map_or("", |(_, rest)| rest),
                None => break,
            }
        }
        let mut chars = self.0.char_indices();
        let length = match chars.next()?.1 {
            sign @ ('{' | '}' | '[' | ']' | '=' | ',') => sign.len_utf8(),
            '"' => {
                let mut escaped = false;
                let end = chars.find(|&(_, character)| {
                    let ends = character == '"' && !escaped;
                    escaped = character == '\\' && !escaped;
                    ends
                });
                end.map_or(self.0.len(), |(at, _)| at + 1)
            }
            _ => self
                .0
                .find(|character: char| character.is_whitespace() || "{}[]=,#\"".contains(character))
                .unwrap_or(self.0.len()),
        };
        let (token, rest) = self.0.split_at(length.max(1));
        self.0 = rest;
        Some(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"vg {
  id = "g-1"
  extent_size = 2 # sectors
  physical_volumes { pv0 { id = "a-b" pe_start = 4 } }
  logical_volumes {
    root { segment_count = 2
      segment2 { start_extent = 1 extent_count = 1 type = "striped" stripe_count = 1 stripes = ["pv0", 0] }
      segment1 { start_extent = 0 extent_count = 1 type = "striped" stripe_count = 1 stripes = [ "pv0", 2 ] } }
    thin { segment1 { start_extent = 0 extent_count = 1 type = "thin" } }
    far { segment1 { start_extent = 0 extent_count = 1 type = "striped" stripes = ["pv9", 0] } }
  }
}
contents = "Text Format Volume Group"
"#;

    #[test]
    fn segments_are_joined_in_their_order_and_what_is_not_there_is_told() {
        let disk: Vec<u8> = (0..512 * 16u32).map(|at| (at / 512) as u8).collect();
        let disk = PhysicalVolume {
            uuid: "ab".to_owned(),
            bytes: Arc::new(disk),
            metadata: TEXT.to_owned(),
        };
        let (volumes, problems) = PhysicalVolume::assemble(&[disk]);
        assert_eq!(volumes.len(), 1);
        assert_eq!(volumes[0].name, "vg/root");
        let bytes = read_vec(&*volumes[0].bytes, 0, 2048).unwrap();
        let sectors: Vec<u8> = bytes.chunks(512).map(|sector| sector[0]).collect();
        assert_eq!(sectors, [8, 9, 4, 5]);
        assert_eq!(
            problems,
            [
                "logical volume vg/far: pv9 is on another disk",
                "logical volume vg/thin: its type \"thin\" is not read, only linear and striped",
            ]
        );
    }

    #[test]
    fn stripes_cannot_ask_for_more_memory_than_a_table_of_a_million_pieces_takes() {
        let volumes = |extents: u64, first: u64, stripes: usize| {
            let list = format!("\"pv0\", {first}, ").repeat(stripes);
            let metadata = format!(
                "vg {{ id = \"g\" extent_size = 1 physical_volumes {{ pv0 {{ id = \"ab\" pe_start = 0 }} }} \
                 logical_volumes {{ big {{ segment1 {{ start_extent = 0 extent_count = {extents} type = \"striped\" \
                 stripe_size = 1 stripes = [{list}] }} }} }} }}"
            );
            let disk = PhysicalVolume {
                uuid: "ab".to_owned(),
                bytes: Arc::new(vec![0; 4096]),
                metadata,
            };
            PhysicalVolume::assemble(&[disk])
        };
        let (opened, problems) = volumes(1 << 30, 0, 1000);
        assert_eq!(opened.len(), 0);
        assert!(problems[0].contains("too small"), "{problems:?}");
        // The last place that can be named lies behind the disk, and its next stripe behind all numbers.
        let (opened, problems) = volumes(64, u64::MAX >> 9, 2);
        assert_eq!((opened.len(), problems.len()), (1, 0), "{problems:?}");
        assert_eq!(opened[0].bytes.size(), 0);
    }
}
