//! Partition tables of the master boot record, with the chain of tables in an extended partition.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Volume;
use crate::ImageError;
use crate::bytes::{Bytes, Part, read_array};

const SECTOR: u64 = 512;
/// Logical partitions have numbers from here on.
const FIRST_LOGICAL: usize = 5;
/// Linux stops at 256 partitions of a disk.
const MAX_LOGICAL: usize = 251;

#[derive(Clone, Copy)]
struct Entry {
    kind: u8,
    start: u64,
    sectors: u64,
}

impl Entry {
    fn is_extended(self) -> bool {
        matches!(self.kind, 0x05 | 0x0f | 0x85)
    }
}

/// The four entries of a sector that ends as such tables do.
fn entries(sector: &[u8; 512]) -> Option<[Entry; 4]> {
    if sector[510..] != [0x55, 0xaa] {
        return None;
    }
    Some([446, 462, 478, 494].map(|at| {
        let word =
            |at: usize| u32::from_le_bytes([sector[at], sector[at + 1], sector[at + 2], sector[at + 3]]);
        Entry {
            kind: sector[at + 4],
            start: word(at + 8).into(),
            sectors: word(at + 12).into(),
        }
    }))
}

/// Whether this first sector of a disk of `size` bytes is a table: its entries are flagged as such are, and begin on the disk.
pub(super) fn is_table(sector: &[u8; 512], size: u64) -> bool {
    let Some(entries) = entries(sector) else {
        return false;
    };
    let flags_are_flags = [446, 462, 478, 494].iter().all(|&at| sector[at] & 0x7f == 0);
    let used = entries
        .iter()
        .filter(|entry| entry.kind != 0 && entry.sectors != 0);
    let lie_on_disk = used
        .clone()
        .all(|entry| entry.start > 0 && entry.start * SECTOR < size);
    flags_are_flags && used.count() > 0 && lie_on_disk
}

pub(super) fn partitions(disk: &Bytes) -> Result<(Vec<Volume>, Vec<String>), ImageError> {
    let first: [u8; 512] = read_array(&**disk, 0).map_err(ImageError::io("the master boot record"))?;
    let mut found = Vec::new();
    let mut problems = Vec::new();
    for (number, entry) in (1..).zip(entries(&first).unwrap_or(
        [Entry {
            kind: 0,
            start: 0,
            sectors: 0,
        }; 4],
    )) {
        if entry.kind == 0 || entry.sectors == 0 {
            continue;
        }
        if entry.is_extended() {
            problems.extend(logical(disk, entry, &mut found).err());
        } else {
            found.push(volume(disk, number, entry.start, entry.sectors));
        }
    }
    found.sort_by_key(|(number, _)| *number);
    Ok((found.into_iter().map(|(_, volume)| volume).collect(), problems))
}

/// Follows the chain of an extended partition: each table has one partition, whose place counts from the table, and the next
/// table, whose place counts from the extended partition.
fn logical(disk: &Bytes, extended: Entry, found: &mut Vec<(usize, Volume)>) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    let mut table = extended.start;
    for number in FIRST_LOGICAL..FIRST_LOGICAL + MAX_LOGICAL {
        if !seen.insert(table) {
            return Err("the tables of its extended partition lead in a circle".to_owned());
        }
        let sector: [u8; 512] = read_array(&**disk, table * SECTOR)
            .map_err(|error| format!("a table of its extended partition cannot be read: {error}"))?;
        let Some([part, next, ..]) = entries(&sector) else {
            return Err(format!("its extended partition has no table at sector {table}"));
        };
        if part.kind != 0 && part.sectors != 0 {
            found.push(volume(disk, number, table + part.start, part.sectors));
        }
        if !next.is_extended() || next.sectors == 0 {
            return Ok(());
        }
        table = extended.start + next.start;
    }
    Ok(())
}

fn volume(disk: &Bytes, number: usize, start: u64, sectors: u64) -> (usize, Volume) {
    let bytes = Arc::new(Part::new(Arc::clone(disk), start * SECTOR, sectors * SECTOR));
    let name = format!("p{number}");
    (number, Volume { name, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(entries: &[(u8, u32, u32)]) -> [u8; 512] {
        let mut sector = [0; 512];
        sector[510..].copy_from_slice(&[0x55, 0xaa]);
        for (index, (kind, start, sectors)) in entries.iter().enumerate() {
            let at = 446 + 16 * index;
            sector[at + 4] = *kind;
            sector[at + 8..at + 12].copy_from_slice(&start.to_le_bytes());
            sector[at + 12..at + 16].copy_from_slice(&sectors.to_le_bytes());
        }
        sector
    }

    #[test]
    fn logical_partitions_are_numbered_from_five_and_a_circle_is_told() {
        let mut disk = vec![0; 512 * 64];
        let mut put = |sector: usize, table: [u8; 512]| disk[sector * 512..][..512].copy_from_slice(&table);
        put(0, table(&[(0x83, 1, 4), (0x05, 10, 50)]));
        put(10, table(&[(0x83, 1, 2), (0x05, 20, 10)]));
        put(30, table(&[(0x83, 2, 3), (0x05, 0, 10)]));
        let disk: Bytes = Arc::new(disk);
        let (found, problems) = partitions(&disk).unwrap();
        let sizes: Vec<_> = found
            .iter()
            .map(|volume| (volume.name.as_str(), volume.bytes.size() / 512))
            .collect();
        assert_eq!(sizes, [("p1", 4), ("p5", 2), ("p6", 3)]);
        assert_eq!(
            problems,
            ["the tables of its extended partition lead in a circle"]
        );
    }

    #[test]
    fn a_sector_that_only_ends_like_a_table_is_none() {
        let mut code = [0x90; 512];
        code[510..].copy_from_slice(&[0x55, 0xaa]);
        assert!(!is_table(&code, 1 << 20));
        assert!(!is_table(&table(&[]), 1 << 20));
        assert!(!is_table(&table(&[(0x83, 5000, 10)]), 1 << 20));
        assert!(is_table(&table(&[(0x83, 50, 10)]), 1 << 20));
    }
}
