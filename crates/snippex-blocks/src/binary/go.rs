//! The table of functions that Go programs carry, stripped or not: `.gopclntab`.
//!
//! Its header is found by its first bytes, since neither a stripped ELF file nor a PE file needs to name it. Source: Go's
//! `src/internal/abi/symtab.go` (magic numbers), `src/debug/gosym/pclntab.go` (the layouts of 1.2, 1.16, 1.18 and 1.20) and
//! `src/runtime/symtab.go` (`moduledata`, where the address of the code stands since the header has it no longer, Go 1.26).

use super::image::{FunctionRange, Image, Segment};
use snippex_core::block::Origin;

/// Behind the magic number: two zeros, instructions of any length, pointers of eight bytes.
const AFTER_MAGIC: u32 = 0x0801_0000;
/// Bytes at whose multiples headers and module data begin.
const ALIGNMENT: usize = 8;
/// No program has more functions.
const MOST_FUNCTIONS: u64 = 1 << 24;
/// Words of `moduledata` before `minpc`, `maxpc`, `text` and `etext`: the header's address, six slices, `findfunctab`.
const BEFORE_RANGE: u64 = 1 + 6 * 3 + 1;

/// How entries of the table are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// Addresses of eight bytes behind a header of two words.
    Go2,
    /// The same, behind a header that says where.
    Go116,
    /// Four bytes each, from the start of the code.
    Go118,
}

impl Layout {
    fn from_magic(magic: u32) -> Option<Self> {
        match magic {
            0xffff_fffb => Some(Self::Go2),
            0xffff_fffa => Some(Self::Go116),
            0xffff_fff0 | 0xffff_fff1 => Some(Self::Go118),
            _ => None,
        }
    }
}

/// Adds the functions of a Go program; nothing of any other.
pub(super) fn read_function_tables(image: &mut Image<'_>) {
    let mut found = Vec::new();
    for segment in image.segments.iter().filter(|segment| !segment.executable) {
        let words = image.bytes_from(segment.address).chunks_exact(ALIGNMENT);
        for (number, word) in words.enumerate() {
            let [a, b, c, d, rest @ ..] = word else { continue };
            if *b == 0xff
                && rest == AFTER_MAGIC.to_le_bytes()
                && let Some(layout) = Layout::from_magic(u32::from_le_bytes([*a, *b, *c, *d]))
            {
                let address = segment.address + (number * ALIGNMENT) as u64;
                found.extend(read_table(image, address, layout).unwrap_or_default());
            }
        }
    }
    image.functions.append(&mut found);
}

/// The functions of the table whose header is at `address`; `None` when it is none.
fn read_table(image: &Image<'_>, address: u64, layout: Layout) -> Option<Vec<FunctionRange>> {
    let word = |index: u64| image.u64_at(address.checked_add(8 + 8 * index)?);
    let count = word(0).filter(|count| (1..=MOST_FUNCTIONS).contains(count))?;
    let (table, base) = match layout {
        Layout::Go2 => (address.checked_add(16)?, 0),
        Layout::Go116 => (address.checked_add(word(6)?)?, 0),
        Layout::Go118 => (address.checked_add(word(7)?)?, code_start(image, address)?),
    };
    let size = if layout == Layout::Go118 { 4 } else { 8 };
    // Behind the last function's entry stands where it ends.
    let length = (2 * count + 1) * size;
    let bytes = image.bytes_in_range(table..table.checked_add(length)?)?;
    let starts: Vec<u64> = bytes
        .chunks(2 * size as usize)
        .filter_map(|entry| match size {
            4 => base.checked_add(u64::from(u32::from_le_bytes(*entry.first_chunk()?))),
            _ => Some(u64::from_le_bytes(*entry.first_chunk()?)),
        })
        .collect();
    let ranges = starts.windows(2).map(|pair| (pair[0], pair[1]));
    let ascend = ranges.clone().all(|(start, end)| start <= end);
    if !ascend || !image.is_code(starts[0]) || !image.is_code(*starts.get(count as usize - 1)?) {
        return None;
    }
    let functions = ranges.filter(|(start, end)| start < end);
    Some(
        functions
            .map(|(address, end)| FunctionRange {
                address,
                end,
                origin: Origin::Symbol,
            })
            .collect(),
    )
}

/// Where the code begins that the table of the header at `header` is about: the header says so, or the module data that points to it.
fn code_start(image: &Image<'_>, header: u64) -> Option<u64> {
    let pointer = |slot: u64| image.pointer_at(slot).or_else(|| image.u64_at(slot));
    let in_header = pointer(header + 24).filter(|&address| image.is_code(address));
    in_header.or_else(|| {
        let segments = image.segments.iter().filter(|segment| !segment.executable);
        let mut slots = segments.flat_map(slots_of);
        slots.find_map(|slot| {
            if pointer(slot) != Some(header) {
                return None;
            }
            let at = |index: u64| pointer(slot + 8 * (BEFORE_RANGE + index));
            let (least, most, start, end) = (at(0)?, at(1)?, at(2)?, at(3)?);
            (start <= least && least < most && most <= end && image.is_code(start)).then_some(start)
        })
    })
}

/// Addresses of words that are in the file.
fn slots_of(segment: &Segment) -> impl Iterator<Item = u64> + use<> {
    (segment.address..segment.address + (segment.file_size & !7)).step_by(ALIGNMENT)
}

#[cfg(test)]
mod tests {
    use super::super::image::FileFormat;
    use super::*;

    const CODE: u64 = 0x40_1000;
    const DATA: u64 = 0x50_0000;

    /// A program with 0x100 bytes of code and this data.
    fn functions(data: &[u8]) -> Vec<(u64, u64)> {
        let mut file = vec![0x90; 0x100];
        file.extend_from_slice(data);
        let segment = |address, file_offset, size, executable| Segment {
            address,
            size,
            file_offset,
            file_size: size,
            writable: false,
            executable,
        };
        let segments = vec![
            segment(CODE, 0, 0x100, true),
            segment(DATA, 0x100, data.len() as u64, false),
        ];
        let mut image = Image::with_segments(&file, FileFormat::Elf, segments).unwrap();
        image.code.push(CODE..CODE + 0x100);
        read_function_tables(&mut image);
        let found = image.functions.iter();
        found.map(|function| (function.address, function.end)).collect()
    }

    fn words(words: &[u64]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// A magic number with what follows it.
    fn first_word(magic: u32) -> u64 {
        u64::from(magic) | u64::from(AFTER_MAGIC) << 32
    }

    const FOUND: [(u64, u64); 2] = [(CODE + 0x10, CODE + 0x40), (CODE + 0x40, CODE + 0x80)];

    /// The table of Go 1.18 and later: entries relative to `start`, which the header may name.
    fn relative(magic: u32, start: u64) -> Vec<u8> {
        let mut data = words(&[first_word(magic), 2, 1, start, 0, 0, 0, 0, 72]);
        for number in [0x10_u32, 7, 0x40, 8, 0x80] {
            data.extend(number.to_le_bytes());
        }
        data.resize(96, 0);
        data
    }

    #[test]
    fn functions_of_every_layout_are_read() {
        assert_eq!(functions(&relative(0xffff_fff0, CODE)), FOUND);
        assert_eq!(functions(&relative(0xffff_fff1, CODE)), FOUND);
        let table = [CODE + 0x10, 7, CODE + 0x40, 8, CODE + 0x80];
        let old = [&[first_word(0xffff_fffb), 2][..], &table].concat();
        assert_eq!(functions(&words(&old)), FOUND);
        let newer = [&[first_word(0xffff_fffa), 2, 1, 0, 0, 0, 0, 64][..], &table].concat();
        assert_eq!(functions(&words(&newer)), FOUND);
    }

    #[test]
    fn module_data_says_where_the_code_begins() {
        let mut data = relative(0xffff_fff1, 0);
        assert_eq!(functions(&data), []);
        data.extend(words(&[DATA]));
        data.extend(words(&[0; 19]));
        data.extend(words(&[CODE + 0x10, CODE + 0x80, CODE, CODE + 0x100]));
        assert_eq!(functions(&data), FOUND);
    }

    #[test]
    fn tables_that_contradict_themselves_are_passed_over() {
        let good = relative(0xffff_fff1, CODE);
        for (at, byte) in [(8, 0), (8, 200), (15, 1), (71, 0xff), (73, 0x10), (80, 0x01)] {
            let mut data = good.clone();
            data[at] = byte;
            assert_eq!(functions(&data), [], "{at}");
        }
        for length in 0..good.len() - 4 {
            assert_eq!(functions(&good[..length]), [], "{length}");
        }
    }
}
