//! Object files (`.o`, members of `.a`) and kernel modules (`.ko`), linked to themselves: sections get addresses, relocations are
//! applied, and what comes out is an ELF program like any other.
//!
//! Symbols of other files get places of their own in memory that is zero, so that code refers to them as it does once linked. What
//! only a whole program decides is left at zero: offsets of thread-local variables. Source: System V ABI, AMD64 supplement, 4.4
//! (relocation types).

use std::collections::BTreeMap;

use object::LittleEndian as Le;
use object::elf::{self, FileHeader64, Rela64, SectionHeader64, Sym64};
use object::read::SymbolIndex;
use object::read::elf::{FileHeader, SectionHeader, SectionTable, Sym, SymbolTable};

use super::ImageError;

type Header = FileHeader64<Le>;

/// Where the first section lies, as in programs that are not position independent; the file's headers stand in the page before.
const BASE: u64 = 0x40_0000;
const PAGE: u64 = 0x1000;
/// Memory for a symbol of another file.
const OUTER_SIZE: u64 = 16;
const POINTER_SIZE: u64 = 8;
/// No object file is mapped beyond.
const LIMIT: u64 = 1 << 40;
const HEADER_SIZE: u64 = 64;
const SECTION_SIZE: usize = 64;

/// Whether `data` begins like an object file for x86-64.
#[must_use]
pub fn is_object_file(data: &[u8]) -> bool {
    matches!(
        data.get(..20),
        Some([
            0x7f,
            b'E',
            b'L',
            b'F',
            2,
            1,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            1,
            0,
            62,
            0
        ])
    )
}

/// A section with its place.
struct Placed<'a> {
    header: &'a SectionHeader64<Le>,
    address: u64,
    /// Its bytes; none of a section that is zero.
    bytes: &'a [u8],
}

/// Sections that are mapped alike lie one after the other.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Group {
    Code,
    ReadOnly,
    Writable,
}

impl Group {
    fn of_section(header: &SectionHeader64<Le>) -> Option<Self> {
        let flags = header.sh_flags.get(Le).0;
        let is = |flag: u64| flags & flag != 0;
        match (
            is(elf::SHF_ALLOC.0),
            is(elf::SHF_EXECINSTR.0),
            is(elf::SHF_WRITE.0),
        ) {
            (false, ..) => None,
            (_, true, _) => Some(Self::Code),
            (_, _, true) => Some(Self::Writable),
            _ => Some(Self::ReadOnly),
        }
    }

    fn flags(self) -> u32 {
        match self {
            Self::Code => elf::PF_R.0 | elf::PF_X.0,
            Self::ReadOnly => elf::PF_R.0,
            Self::Writable => elf::PF_R.0 | elf::PF_W.0,
        }
    }
}

/// Where a group lies: its addresses, and up to where they have bytes in the file.
struct Mapped {
    group: Group,
    start: u64,
    end: u64,
    filled: u64,
}

/// An ELF program of what is in an object file.
///
/// # Errors
/// [`ImageError`] when the file is cut off or contradicts itself.
pub fn link_object(data: &[u8]) -> Result<Vec<u8>, ImageError> {
    let header = Header::parse(data).map_err(unreadable)?;
    let sections = header.sections(Le, data).map_err(unreadable)?;
    if sections.len() >= usize::from(elf::SHN_LORESERVE) - 8 {
        return Err(malformed("more sections than a program can have"));
    }
    let symbols = sections.symbols(Le, data, elf::SHT_SYMTAB).map_err(unreadable)?;
    let layout = Layout::place_sections(data, &sections, symbols.len() as u64)?;
    let addresses: Vec<u64> = symbols
        .enumerate()
        .map(|(number, symbol)| layout.address_of(number.0, symbol, section_of(&symbols, number)))
        .collect();
    let mut file = layout.fill(&addresses);
    for section in sections.iter() {
        let target = layout.placed.get(&(section.sh_info.get(Le) as usize));
        if let (Some(target), Ok(Some((relocations, _)))) = (target, section.rela(Le, data)) {
            for relocation in relocations {
                layout.apply_relocation(relocation, target, &symbols, &addresses, &mut file);
            }
        }
    }
    let strings = sections
        .section(symbols.string_section())
        .and_then(|section| section.data(Le, data))
        .unwrap_or_default();
    layout.write_tables(&sections, &symbols, &addresses, strings, &mut file);
    Ok(file)
}

fn malformed(what: &str) -> ImageError {
    ImageError::Malformed {
        what: what.to_owned(),
    }
}

fn unreadable(error: object::read::Error) -> ImageError {
    malformed(&error.to_string())
}

/// The number of the section that a symbol is defined in.
fn section_of(symbols: &SymbolTable<'_, Header>, number: SymbolIndex) -> Option<usize> {
    let symbol = symbols.symbol(number).ok()?;
    let section = symbols.symbol_section(Le, symbol, number).ok()??;
    Some(section.0)
}

/// Where everything lies.
struct Layout<'a> {
    /// By number in the object file; only those that are mapped.
    placed: BTreeMap<usize, Placed<'a>>,
    groups: Vec<Mapped>,
    /// A table with the address of each symbol, for code that loads it from one.
    table: u64,
    /// Memory for symbols of other files.
    outer: u64,
}

impl<'a> Layout<'a> {
    fn place_sections(
        data: &'a [u8],
        sections: &SectionTable<'a, Header>,
        symbols: u64,
    ) -> Result<Self, ImageError> {
        let mut layout = Self {
            placed: BTreeMap::new(),
            groups: Vec::new(),
            table: 0,
            outer: 0,
        };
        let mut at = BASE + PAGE;
        let mut taken = 0;
        for group in [Group::Code, Group::ReadOnly, Group::Writable] {
            let start = at;
            if group == Group::Writable {
                layout.table = at;
                at += symbols * POINTER_SIZE;
            }
            let mut filled = at;
            // What is zero comes last: it takes no place in the file.
            for zero in [false, true] {
                for (index, header) in sections.enumerate() {
                    let is_zero = header.sh_type.get(Le) == elf::SHT_NOBITS;
                    if Group::of_section(header) != Some(group) || is_zero != zero {
                        continue;
                    }
                    let bytes = header.data(Le, data).map_err(unreadable)?;
                    taken += bytes.len();
                    if taken > 2 * data.len() {
                        return Err(malformed(
                            "sections have the same bytes of the file several times",
                        ));
                    }
                    let alignment = header.sh_addralign.get(Le).clamp(1, PAGE);
                    let address = at.next_multiple_of(alignment);
                    at = address
                        .checked_add(header.sh_size.get(Le))
                        .filter(|&end| end < LIMIT)
                        .ok_or_else(|| malformed("a section passes the end of memory"))?;
                    if !zero {
                        filled = at;
                    }
                    let section = Placed {
                        header,
                        address,
                        bytes,
                    };
                    layout.placed.insert(index.0, section);
                }
            }
            if group == Group::Writable {
                layout.outer = at.next_multiple_of(OUTER_SIZE);
                at = layout.outer + symbols * OUTER_SIZE;
            }
            layout.groups.push(Mapped {
                group,
                start,
                end: at,
                filled,
            });
            at = at.next_multiple_of(PAGE);
        }
        Ok(layout)
    }

    /// Where a symbol lies.
    fn address_of(&self, number: usize, symbol: &Sym64<Le>, section: Option<usize>) -> u64 {
        let value = symbol.st_value.get(Le);
        match section {
            Some(section) => {
                let placed = self.placed.get(&section);
                placed.map_or(0, |placed| placed.address.wrapping_add(value))
            }
            None if symbol.st_shndx(Le) == elf::SHN_ABS => value,
            None => self.outer + number as u64 * OUTER_SIZE,
        }
    }

    /// The bytes of all groups, where they lie behind [`BASE`].
    fn fill(&self, addresses: &[u64]) -> Vec<u8> {
        let end = self.groups.iter().map(|group| group.filled).max().unwrap_or(BASE);
        let mut file = vec![0; (end - BASE) as usize];
        // What is zero lies behind the end of the file.
        for placed in self.placed.values().filter(|placed| !placed.bytes.is_empty()) {
            write_at(&mut file, placed.address, placed.bytes);
        }
        for (slot, address) in (self.table..).step_by(POINTER_SIZE as usize).zip(addresses) {
            write_at(&mut file, slot, &address.to_le_bytes());
        }
        file
    }

    /// Writes what a relocation says, within its section.
    fn apply_relocation(
        &self,
        relocation: &Rela64<Le>,
        target: &Placed<'_>,
        symbols: &SymbolTable<'_, Header>,
        addresses: &[u64],
        file: &mut [u8],
    ) {
        let number = relocation.r_sym(Le, false) as usize;
        let Some(&symbol) = addresses.get(number) else {
            return;
        };
        let offset = relocation.r_offset.get(Le);
        let place = target.address.wrapping_add(offset);
        let added = relocation.r_addend.get(Le) as u64;
        let slot = self.table + number as u64 * POINTER_SIZE;
        let size = || {
            symbols
                .symbol(SymbolIndex(number))
                .map_or(0, |symbol| symbol.st_size.get(Le))
        };
        let absolute = symbol.wrapping_add(added);
        let relative = absolute.wrapping_sub(place);
        let (value, width) = match relocation.r_type(Le, false) {
            elf::R_X86_64_64 => (absolute, 8),
            elf::R_X86_64_32 | elf::R_X86_64_32S => (absolute, 4),
            elf::R_X86_64_16 => (absolute, 2),
            elf::R_X86_64_8 => (absolute, 1),
            elf::R_X86_64_PC64 => (relative, 8),
            elf::R_X86_64_PC32 | elf::R_X86_64_PLT32 => (relative, 4),
            elf::R_X86_64_PC16 => (relative, 2),
            elf::R_X86_64_PC8 => (relative, 1),
            elf::R_X86_64_GOTPCREL | elf::R_X86_64_GOTPCRELX | elf::R_X86_64_REX_GOTPCRELX => {
                (slot.wrapping_add(added).wrapping_sub(place), 4)
            }
            elf::R_X86_64_GOTOFF64 => (absolute.wrapping_sub(self.table), 8),
            elf::R_X86_64_GOTPC32 => (self.table.wrapping_add(added).wrapping_sub(place), 4),
            elf::R_X86_64_GOTPC64 => (self.table.wrapping_add(added).wrapping_sub(place), 8),
            elf::R_X86_64_SIZE32 => (size().wrapping_add(added), 4),
            elf::R_X86_64_SIZE64 => (size().wrapping_add(added), 8),
            _ => return,
        };
        let end = offset.checked_add(width as u64);
        if end.is_some_and(|end| end <= target.bytes.len() as u64) {
            write_at(file, place, &value.to_le_bytes()[..width]);
        }
    }

    /// Adds headers, and tables of sections and symbols.
    fn write_tables(
        &self,
        sections: &SectionTable<'a, Header>,
        symbols: &SymbolTable<'a, Header>,
        addresses: &[u64],
        strings: &[u8],
        file: &mut Vec<u8>,
    ) {
        let numbers: BTreeMap<usize, u16> = self.placed.keys().copied().zip(1..).collect();
        let mut records = Vec::new();
        for ((number, symbol), address) in symbols.enumerate().zip(addresses) {
            let section = section_of(symbols, number).and_then(|section| numbers.get(&section));
            records.extend(symbol.st_name.get(Le).to_le_bytes());
            records.extend([symbol.st_info.0, symbol.st_other.0]);
            records.extend(section.unwrap_or(&0).to_le_bytes());
            records.extend(address.to_le_bytes());
            records.extend(symbol.st_size.get(Le).to_le_bytes());
        }
        let mut names = vec![0];
        let mut name = |bytes: &[u8]| {
            let at = names.len() as u32;
            names.extend_from_slice(bytes);
            names.push(0);
            at
        };
        let mut table = vec![0; SECTION_SIZE];
        for placed in self.placed.values() {
            let header = placed.header;
            let name = name(sections.section_name(Le, header).unwrap_or_default());
            table.extend(section_header(
                [name, header.sh_type.get(Le).0],
                [
                    header.sh_flags.get(Le).0,
                    placed.address,
                    placed.address - BASE,
                    header.sh_size.get(Le),
                ],
                [0, 0],
                [header.sh_addralign.get(Le), header.sh_entsize.get(Le)],
            ));
        }
        let count = self.placed.len() as u32;
        let mut add = |name: u32, kind: u32, bytes: &[u8], link: u32, size: u64, file: &mut Vec<u8>| {
            file.resize(file.len().next_multiple_of(8), 0);
            let place = [0, 0, file.len() as u64, bytes.len() as u64];
            file.extend_from_slice(bytes);
            table.extend(section_header([name, kind], place, [link, 0], [8, size]));
        };
        let (of_symbols, of_strings, of_names) = (name(b".symtab"), name(b".strtab"), name(b".shstrtab"));
        add(of_symbols, elf::SHT_SYMTAB.0, &records, count + 2, 24, file);
        add(of_strings, elf::SHT_STRTAB.0, strings, 0, 0, file);
        add(of_names, elf::SHT_STRTAB.0, &names, 0, 0, file);
        file.resize(file.len().next_multiple_of(8), 0);
        let at = file.len() as u64;
        file.extend(&table);
        write_at(file, BASE, &self.file_header(at, count as u16 + 4));
    }

    /// The ELF header and the program headers.
    fn file_header(&self, sections_at: u64, sections: u16) -> Vec<u8> {
        let mut header = b"\x7fELF\x02\x01\x01".to_vec();
        header.resize(16, 0);
        header.extend(elf::ET_EXEC.0.to_le_bytes());
        header.extend(elf::EM_X86_64.0.to_le_bytes());
        header.extend(1_u32.to_le_bytes());
        for word in [0, HEADER_SIZE, sections_at] {
            header.extend(word.to_le_bytes());
        }
        header.extend(0_u32.to_le_bytes());
        let groups = self.groups.len() as u16;
        for half in [
            HEADER_SIZE as u16,
            56,
            groups,
            SECTION_SIZE as u16,
            sections,
            sections - 1,
        ] {
            header.extend(half.to_le_bytes());
        }
        for mapped in &self.groups {
            header.extend(elf::PT_LOAD.0.to_le_bytes());
            header.extend(mapped.group.flags().to_le_bytes());
            let filled = mapped.filled - mapped.start;
            let size = mapped.end - mapped.start;
            for word in [
                mapped.start - BASE,
                mapped.start,
                mapped.start,
                filled,
                size,
                PAGE,
            ] {
                header.extend(word.to_le_bytes());
            }
        }
        header
    }
}

/// Writes behind [`BASE`]; the place has been checked.
fn write_at(file: &mut [u8], address: u64, bytes: &[u8]) {
    let at = (address - BASE) as usize;
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

/// An entry of the section table: name and type; flags, address, offset, size; link and info; alignment and size of entries.
fn section_header(first: [u32; 2], place: [u64; 4], links: [u32; 2], last: [u64; 2]) -> Vec<u8> {
    let words = |words: &[u64]| {
        words
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect::<Vec<u8>>()
    };
    let halves = |halves: [u32; 2]| halves.into_iter().flat_map(u32::to_le_bytes).collect::<Vec<u8>>();
    [halves(first), words(&place), halves(links), words(&last)].concat()
}
