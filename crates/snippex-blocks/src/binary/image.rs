//! The image: what is common to ELF and PE once the headers are read.

use std::ops::Range;

use super::{ImageError, elf, go, pe};
use snippex_core::block::Origin;

/// The container format of a program file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileFormat {
    /// Executable and Linkable Format (System V gABI).
    Elf,
    /// Portable Executable (Microsoft PE/COFF specification), PE32+.
    Pe,
}

impl FileFormat {
    /// The format that a file with these first bytes (two to four of them decide) claims to have.
    #[must_use]
    pub fn from_magic_bytes(head: &[u8]) -> Option<Self> {
        match head {
            [0x7f, b'E', b'L', b'F', ..] => Some(Self::Elf),
            [b'M', b'Z', ..] => Some(Self::Pe),
            _ => None,
        }
    }
}

/// A range of memory that the loader fills from the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// First address, as the file says it. Not necessarily page aligned.
    pub address: u64,
    /// Bytes in memory; those after the first `file_size` are zero.
    pub size: u64,
    /// Where its bytes begin in the file.
    pub file_offset: u64,
    /// Bytes taken from the file; never more than `size`.
    pub file_size: u64,
    /// Stores are allowed.
    pub writable: bool,
    /// Code may run from here.
    pub executable: bool,
}

impl Segment {
    /// First address after the segment.
    #[must_use]
    pub fn end_address(&self) -> u64 {
        self.address + self.size
    }
}

/// A function symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol<'a> {
    /// Address of the first instruction.
    pub address: u64,
    /// Bytes of the function; 0 when the file does not say.
    pub size: u64,
    /// Name as it stands in the file: not necessarily UTF-8, not demangled.
    pub name: &'a [u8],
}

/// A place where the file itself says that a function begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FunctionRange {
    /// Address of the first instruction.
    pub address: u64,
    /// First address after the function; equal to `address` when the file does not say.
    pub end: u64,
    /// What told so.
    pub origin: Origin,
}

/// Eight bytes that the loader writes: `value` plus the load base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fixup {
    pub(super) address: u64,
    pub(super) value: u64,
}

/// A parsed x86-64 program file. Borrows the file's bytes; all addresses are file addresses.
#[derive(Clone, Debug)]
pub struct Image<'a> {
    pub(super) data: &'a [u8],
    pub(super) format: FileFormat,
    pub(super) position_independent: bool,
    /// Address that relative addresses of the format count from: the PE image base; 0 for ELF.
    pub(super) relative_base: u64,
    /// Ascending, not overlapping.
    pub(super) segments: Vec<Segment>,
    /// File-backed executable ranges, ascending, not overlapping, not empty.
    pub(super) code: Vec<Range<u64>>,
    /// Ascending by address, one entry an address (the first of [`Origin`], the largest end).
    pub(super) functions: Vec<FunctionRange>,
    /// Ascending by address.
    pub(super) symbols: Vec<Symbol<'a>>,
    /// Starts of exception handlers, ascending.
    pub(super) landing_pads: Vec<u64>,
    /// Ascending by address, one an address.
    pub(super) fixups: Vec<Fixup>,
    /// Slots that the loader fills with the address of a symbol of another file, ascending.
    pub(super) imports: Vec<(u64, &'a [u8])>,
    /// Ranges inside code that symbols call data, ascending.
    pub(super) data_in_code: Vec<Range<u64>>,
    /// Bytecode of .NET lies among the code.
    pub(super) holds_bytecode: bool,
}

impl<'a> Image<'a> {
    /// Reads the headers and tables of an ELF or PE file for x86-64.
    ///
    /// # Errors
    /// [`ImageError`] names what the file is instead, what is cut off, or what contradicts itself.
    pub fn parse(data: &'a [u8]) -> Result<Self, ImageError> {
        let mut image = match FileFormat::from_magic_bytes(data) {
            Some(FileFormat::Elf) => elf::parse_elf(data)?,
            Some(FileFormat::Pe) => pe::parse_pe(data)?,
            None => {
                return Err(ImageError::UnknownFormat {
                    found: super::error::looks_like(data),
                });
            }
        };
        if image.code.is_empty() {
            return Err(ImageError::NoCode);
        }
        // Go's tables need the relocations in order.
        image.sort_tables();
        let before = image.functions.len();
        go::read_function_tables(&mut image);
        if image.functions.len() > before {
            image.sort_tables();
        }
        Ok(image)
    }

    /// The bytes of the file.
    #[must_use]
    pub fn file_bytes(&self) -> &'a [u8] {
        self.data
    }

    /// An image with segments only, checked: ascending, no overlap, no address past 2^64, every byte in the file,
    /// and not more than the file's size in all, so that later work is bounded by the length of the file.
    pub(super) fn with_segments(
        data: &'a [u8],
        format: FileFormat,
        mut segments: Vec<Segment>,
    ) -> Result<Self, ImageError> {
        let malformed = |what: String| ImageError::Malformed { what };
        segments.retain(|segment| segment.size > 0);
        segments.sort_by_key(|segment| segment.address);
        let mut mapped = 0_u64;
        for segment in &segments {
            let end = segment.file_offset.saturating_add(segment.file_size);
            if end > data.len() as u64 {
                return Err(ImageError::Truncated {
                    what: "a segment",
                    end,
                    length: data.len() as u64,
                });
            }
            // Page arithmetic rounds up: the last page of the address space stays free.
            if segment
                .address
                .checked_add(segment.size)
                .is_none_or(|end| end > u64::MAX - 0x1_0000)
            {
                return Err(malformed(format!(
                    "the segment at {:#x} passes the end of memory",
                    segment.address
                )));
            }
            mapped = mapped.saturating_add(segment.file_size);
        }
        if let Some(pair) = segments
            .windows(2)
            .find(|pair| pair[0].end_address() > pair[1].address)
        {
            return Err(malformed(format!(
                "the segments at {:#x} and {:#x} overlap",
                pair[0].address, pair[1].address
            )));
        }
        if mapped > 2 * data.len() as u64 {
            return Err(malformed(
                "the segments map the same bytes of the file several times".to_owned(),
            ));
        }
        Ok(Self {
            data,
            format,
            position_independent: false,
            relative_base: 0,
            segments,
            code: Vec::new(),
            functions: Vec::new(),
            symbols: Vec::new(),
            landing_pads: Vec::new(),
            fixups: Vec::new(),
            imports: Vec::new(),
            data_in_code: Vec::new(),
            holds_bytecode: false,
        })
    }

    /// Restores the orders that the fields promise.
    fn sort_tables(&mut self) {
        let code = std::mem::take(&mut self.code);
        self.functions
            .retain(|function| contains(&code, function.address));
        self.landing_pads.retain(|&address| contains(&code, address));
        self.code = code;
        self.functions.sort_unstable();
        self.functions.dedup_by(|later, first| {
            let same = later.address == first.address;
            if same {
                first.end = first.end.max(later.end);
                first.origin = first.origin.min(later.origin);
            }
            same
        });
        self.symbols.sort_by_key(|symbol| symbol.address);
        self.landing_pads.sort_unstable();
        self.landing_pads.dedup();
        self.fixups.sort_by_key(|fixup| fixup.address);
        self.fixups.dedup_by_key(|fixup| fixup.address);
        self.imports.sort();
        self.imports.dedup_by_key(|import| import.0);
        self.data_in_code.sort_by_key(|range| range.start);
    }

    /// Whether bytecode of .NET lies among the code, so that only what control flow reaches is code of this processor.
    #[must_use]
    pub fn holds_bytecode(&self) -> bool {
        self.holds_bytecode
    }

    /// ELF or PE.
    #[must_use]
    pub fn format(&self) -> FileFormat {
        self.format
    }

    /// Whether the file can be loaded at any base. When false, only base 0 (the file's own addresses) is right.
    #[must_use]
    pub fn position_independent(&self) -> bool {
        self.position_independent
    }

    /// Lowest to highest mapped file address.
    #[must_use]
    pub fn address_range(&self) -> Range<u64> {
        match (self.segments.first(), self.segments.last()) {
            (Some(first), Some(last)) => first.address..last.end_address(),
            _ => 0..0,
        }
    }

    /// What the loader maps, ascending by address, not overlapping.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Executable address ranges with bytes in the file, ascending, not overlapping.
    #[must_use]
    pub fn code_ranges(&self) -> &[Range<u64>] {
        &self.code
    }

    /// Where the file itself says that functions begin: entry point, symbols, unwind tables, tables of
    /// constructors. Ascending, one an address.
    #[must_use]
    pub fn functions(&self) -> &[FunctionRange] {
        &self.functions
    }

    /// Function symbols, ascending by address.
    #[must_use]
    pub fn symbols(&self) -> &[Symbol<'a>] {
        &self.symbols
    }

    /// Starts of exception handlers as the unwind tables name them, ascending.
    #[must_use]
    pub fn landing_pads(&self) -> &[u64] {
        &self.landing_pads
    }

    /// Ranges of code sections that symbols call data, ascending.
    #[must_use]
    pub fn data_in_code(&self) -> &[Range<u64>] {
        &self.data_in_code
    }

    /// The function symbol that covers `address`, the nearest before it when sizes are unknown.
    #[must_use]
    pub fn symbol_at(&self, address: u64) -> Option<&Symbol<'a>> {
        let after = self.symbols.partition_point(|symbol| symbol.address <= address);
        let symbol = self.symbols.get(after.checked_sub(1)?)?;
        (symbol.size == 0 || address - symbol.address < symbol.size).then_some(symbol)
    }

    /// Name of the symbol of another file whose address the loader writes to `slot`.
    #[must_use]
    pub fn import_at(&self, slot: u64) -> Option<&'a [u8]> {
        let found = self.imports.binary_search_by_key(&slot, |import| import.0).ok()?;
        Some(self.imports[found].1)
    }

    /// The address of this file that the loader writes to `slot`, before the base is added.
    #[must_use]
    pub fn pointer_at(&self, slot: u64) -> Option<u64> {
        let found = self
            .fixups
            .binary_search_by_key(&slot, |fixup| fixup.address)
            .ok()?;
        Some(self.fixups[found].value)
    }

    /// File addresses (base 0) of relocated pointers that lead into code.
    pub fn code_pointers(&self) -> impl Iterator<Item = u64> + '_ {
        self.fixups
            .iter()
            .map(|fixup| fixup.value)
            .filter(|&value| self.is_code(value))
    }

    /// Whether `address` lies in an executable range of the file.
    #[must_use]
    pub fn is_code(&self, address: u64) -> bool {
        contains(&self.code, address)
    }

    /// Address that relative addresses of the format count from: the PE image base; 0 for ELF.
    #[must_use]
    pub fn relative_base(&self) -> u64 {
        self.relative_base
    }

    /// The file's bytes from `address` to the end of its segment's file-backed part; empty when nothing is there.
    #[must_use]
    pub fn bytes_from(&self, address: u64) -> &'a [u8] {
        let after = self
            .segments
            .partition_point(|segment| segment.address <= address);
        let Some(segment) = after.checked_sub(1).map(|index| &self.segments[index]) else {
            return &[];
        };
        let skip = address - segment.address;
        if skip >= segment.file_size {
            return &[];
        }
        let start = segment.file_offset + skip;
        &self.data[start as usize..(segment.file_offset + segment.file_size) as usize]
    }

    /// The file's bytes of `range`, when all of them are there.
    #[must_use]
    pub fn bytes_in_range(&self, range: Range<u64>) -> Option<&'a [u8]> {
        let length = usize::try_from(range.end.checked_sub(range.start)?).ok()?;
        self.bytes_from(range.start).get(..length)
    }

    /// The zero-terminated string at `address`.
    pub(super) fn c_string(&self, address: u64) -> &'a [u8] {
        c_string(self.bytes_from(address))
    }

    /// The little-endian word at `address`, when the file has it.
    #[must_use]
    pub fn u64_at(&self, address: u64) -> Option<u64> {
        self.bytes_from(address)
            .first_chunk()
            .copied()
            .map(u64::from_le_bytes)
    }

    /// The little-endian signed 32-bit word at `address`, when the file has it.
    #[must_use]
    pub fn i32_at(&self, address: u64) -> Option<i32> {
        self.bytes_from(address)
            .first_chunk()
            .copied()
            .map(i32::from_le_bytes)
    }
}

/// The zero-terminated string that `bytes` begin with; empty when it has no end nearby. Names overlap in string
/// tables, so that without a limit a hostile file could have each of a million names run to its end.
pub(super) fn c_string(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().take(1024).position(|&byte| byte == 0).unwrap_or(0);
    &bytes[..end]
}

/// Whether one of the ascending `ranges` contains `address`.
fn contains(ranges: &[Range<u64>], address: u64) -> bool {
    let after = ranges.partition_point(|range| range.start <= address);
    after > 0 && address < ranges[after - 1].end
}

/// Sorts `ranges`, clips what overlaps and drops what is empty.
pub(super) fn make_ranges_disjoint(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.sort_by_key(|range| (range.start, range.end));
    let mut end = 0;
    for range in &mut ranges {
        range.start = range.start.max(end);
        end = end.max(range.end);
    }
    ranges.retain(|range| range.start < range.end);
    ranges
}
