//! Folders of ext: entries one behind the other. What an index of names has of its own looks like entries that are not in use.

use super::{damaged, u16_at, u32_at};
use crate::ImageError;

/// Inode number, length of the entry, length of the name, kind.
const HEADER: usize = 8;

/// What an inode is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    File,
    Folder,
    Link,
    Other,
}

/// Adds the names and inode numbers of a block of entries, without `.` and `..`.
pub(super) fn read_entries(
    block: &[u8],
    has_types: bool,
    entries: &mut Vec<(Vec<u8>, u32)>,
) -> Result<(), ImageError> {
    let mut rest = block;
    while rest.len() >= HEADER {
        let number = u32_at(rest, 0);
        // Blocks of 64 KiB do not fit into the field.
        let length = match usize::from(u16_at(rest, 4)) {
            0 | 0xffff if rest.len() >= 0xffff => rest.len(),
            // What was never used at the end of an inode.
            0 if number == 0 => return Ok(()),
            length => length,
        };
        let name = match has_types {
            true => usize::from(rest[6]),
            false => usize::from(u16_at(rest, 6)),
        };
        if length < HEADER || length > rest.len() || number != 0 && HEADER + name > length {
            return Err(damaged("an entry of a folder reaches beyond its block"));
        }
        let (entry, after) = rest.split_at(length);
        if number != 0 {
            let name = &entry[HEADER..HEADER + name];
            if !matches!(name, b"" | b"." | b"..") {
                entries.push((name.to_vec(), number));
            }
        }
        rest = after;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: u32, length: u16, name: &[u8]) -> Vec<u8> {
        let mut bytes = number.to_le_bytes().to_vec();
        bytes.extend(length.to_le_bytes());
        bytes.extend([name.len() as u8, 1]);
        bytes.extend(name);
        bytes.resize(length.into(), 0);
        bytes
    }

    #[test]
    fn entries_end_with_their_block_and_no_later() {
        let block = [entry(2, 12, b"."), entry(0, 16, b"gone"), entry(9, 20, b"name")].concat();
        let mut entries = Vec::new();
        read_entries(&block, true, &mut entries).unwrap();
        assert_eq!(entries, [(b"name".to_vec(), 9)]);
        let changed = |at: usize, byte| {
            let mut entry = entry(3, 12, b"abc");
            entry[at] = byte;
            entry
        };
        // Shorter than its head, longer than what is left, and with a name that is longer than itself.
        for bad in [changed(4, 4), entry(3, 40, b"x")[..20].to_vec(), changed(6, 9)] {
            assert!(read_entries(&bad, true, &mut entries).is_err(), "{bad:?}");
        }
        // The unused end of an inode is zero.
        read_entries(&[0; 56], true, &mut entries).unwrap();
        assert_eq!(entries.len(), 1);
    }
}
