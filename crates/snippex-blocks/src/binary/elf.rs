//! ELF headers, sections and symbols (System V gABI chapters 4 and 5; x86-64 psABI).

use std::ops::Range;

use object::LittleEndian as Le;
use object::elf::{self, FileHeader64, ProgramHeader64};
use object::read::ReadRef;
use object::read::elf::{FileHeader, SectionHeader, SectionTable, Sym, SymbolTable};

use super::image::{FileFormat, FunctionRange, Image, Segment, Symbol, c_string, make_ranges_disjoint};
use super::{ImageError, dynamic, eh_frame, relocatable};
use snippex_core::block::Origin;

type Header = FileHeader64<Le>;

/// Reads an ELF file; the magic number has been seen.
pub(super) fn parse_elf(data: &[u8]) -> Result<Image<'_>, ImageError> {
    check_machine(data)?;
    let length = data.len() as u64;
    let header = Header::parse(data).map_err(|_| ImageError::Truncated {
        what: "the ELF header",
        end: size_of::<Header>() as u64,
        length,
    })?;
    match header.e_type(Le) {
        elf::ET_EXEC | elf::ET_DYN => {}
        elf::ET_REL => {
            let linked = relocatable::link_object(data);
            return Err(linked.err().unwrap_or(ImageError::NotLinked {
                found: "an object file",
            }));
        }
        elf::ET_CORE => return Err(ImageError::NotLinked { found: "a core dump" }),
        _ => {
            return Err(ImageError::NotLinked {
                found: "an ELF file of an unknown type",
            });
        }
    }
    let program_headers = header
        .program_headers(Le, data)
        .map_err(|_| ImageError::Truncated {
            what: "the program header table",
            end: header
                .e_phoff
                .get(Le)
                .saturating_add(u64::from(header.e_phnum.get(Le)) * 56),
            length,
        })?;
    let segments = program_headers
        .iter()
        .filter(|header| header.p_type.get(Le) == elf::PT_LOAD);
    let mut image = Image::with_segments(data, FileFormat::Elf, segments.map(segment).collect())?;
    image.position_independent = header.e_type(Le) == elf::ET_DYN;

    // Sections are hints: a file without them, or with broken ones, still has segments.
    let sections = header.sections(Le, data).unwrap_or_default();
    let entry = header.e_entry.get(Le);
    image.code = code_ranges(&image, &sections, entry);
    if entry != 0 {
        image.functions.push(FunctionRange {
            address: entry,
            end: entry,
            origin: Origin::Entry,
        });
    }
    for kind in [elf::SHT_SYMTAB, elf::SHT_DYNSYM] {
        if let Ok(table) = sections.symbols(Le, data, kind) {
            let strings = sections
                .section(table.string_section())
                .and_then(|section| section.data(Le, data));
            read_symbols(&mut image, &table, strings.unwrap_or_default());
        }
    }
    if let Some(header) = find(program_headers, elf::PT_DYNAMIC) {
        dynamic::read_dynamic_section(&mut image, header.p_vaddr.get(Le));
    }
    let unwind = find(program_headers, elf::PT_GNU_EH_FRAME)
        .and_then(|header| eh_frame::address_from_header(&image, header.p_vaddr.get(Le)))
        .or_else(|| section_address(&sections, b".eh_frame"));
    if let Some(address) = unwind {
        eh_frame::read_eh_frame(&mut image, address);
    }
    Ok(image)
}

/// Refuses other word sizes, byte orders and machines by name.
fn check_machine(data: &[u8]) -> Result<(), ImageError> {
    let Some(ident) = data.get(..20) else {
        return Err(ImageError::Truncated {
            what: "the ELF header",
            end: 64,
            length: data.len() as u64,
        });
    };
    let big_endian = ident[5] == 2;
    let machine = if big_endian {
        u16::from_be_bytes([ident[18], ident[19]])
    } else {
        u16::from_le_bytes([ident[18], ident[19]])
    };
    let name = match machine {
        3 => "i386",
        8 => "MIPS",
        20 => "32-bit PowerPC",
        21 => "64-bit PowerPC",
        22 => "S/390",
        40 => "32-bit ARM",
        62 if ident[4] == 1 => "x32 (x86-64 with 32-bit pointers)",
        62 if big_endian => "big-endian x86-64",
        62 => return Ok(()),
        183 => "AArch64",
        243 => "RISC-V",
        258 => "LoongArch",
        _ => {
            return Err(ImageError::WrongMachine {
                found: format!("ELF machine {machine}"),
            });
        }
    };
    Err(ImageError::WrongMachine {
        found: name.to_owned(),
    })
}

fn segment(header: &ProgramHeader64<Le>) -> Segment {
    let flags = header.p_flags.get(Le);
    let size = header.p_memsz.get(Le);
    Segment {
        address: header.p_vaddr.get(Le),
        size,
        file_offset: header.p_offset.get(Le),
        file_size: header.p_filesz.get(Le).min(size),
        writable: flags.0 & elf::PF_W.0 != 0,
        executable: flags.0 & elf::PF_X.0 != 0,
    }
}

fn find(headers: &[ProgramHeader64<Le>], kind: elf::ProgramType) -> Option<&ProgramHeader64<Le>> {
    headers.iter().find(|header| header.p_type.get(Le) == kind)
}

fn section_address(sections: &SectionTable<'_, Header>, name: &[u8]) -> Option<u64> {
    Some(sections.section_by_name(Le, name)?.1.sh_addr.get(Le))
}

/// The executable sections, or the executable segments where sections say nothing of them: older linkers put read-only data
/// into the executable segment. The loader never reads sections, so a table that does not have the entry point is not trusted.
fn code_ranges(image: &Image<'_>, sections: &SectionTable<'_, Header>, entry: u64) -> Vec<Range<u64>> {
    let executable = image.segments.iter().filter(|segment| segment.executable);
    let backed: Vec<_> = executable
        .map(|segment| segment.address..segment.address + segment.file_size)
        .collect();
    let mut ranges = Vec::new();
    let mut says_something = false;
    for section in sections.iter() {
        if section.sh_flags.get(Le).0 & elf::SHF_EXECINSTR.0 == 0 {
            continue;
        }
        let start = section.sh_addr.get(Le);
        says_something |= backed.iter().any(|range| range.contains(&start));
        // That the code is in another file is said by this, too.
        if section.sh_type.get(Le) == elf::SHT_NOBITS {
            continue;
        }
        let end = start.saturating_add(section.sh_size.get(Le));
        // What passes the end of its segment is not mapped.
        ranges.extend(
            backed
                .iter()
                .filter(|range| range.contains(&start))
                .map(|range| start..end.min(range.end)),
        );
    }
    let has = |ranges: &[Range<u64>]| ranges.iter().any(|range| range.contains(&entry));
    let misses_entry = !ranges.is_empty() && has(&backed) && !has(&ranges);
    make_ranges_disjoint(if says_something && !misses_entry {
        ranges
    } else {
        backed
    })
}

/// Takes functions as starts, and objects that lie in code as data.
fn read_symbols<'a>(image: &mut Image<'a>, table: &SymbolTable<'a, Header>, strings: &'a [u8]) {
    for symbol in table.iter() {
        let (address, size) = (symbol.st_value.get(Le), symbol.st_size.get(Le));
        if symbol.st_shndx(Le) == elf::SHN_UNDEF || !image.is_code(address) {
            continue;
        }
        let end = address.saturating_add(size);
        match symbol.st_type() {
            elf::STT_FUNC | elf::STT_GNU_IFUNC => {
                image.functions.push(FunctionRange {
                    address,
                    end,
                    origin: Origin::Symbol,
                });
                let name = strings
                    .get(symbol.st_name.get(Le) as usize..)
                    .map(c_string)
                    .unwrap_or_default();
                image.symbols.push(Symbol { address, size, name });
            }
            elf::STT_OBJECT if size > 0 => image.data_in_code.push(address..end),
            _ => {}
        }
    }
}

/// Reads `count` records at a file address; as many as the segment holds.
pub(super) fn read_records<'a, T: object::pod::Pod>(image: &Image<'a>, address: u64, bytes: u64) -> &'a [T] {
    let available = image.bytes_from(address);
    let length = usize::try_from(bytes).unwrap_or(usize::MAX).min(available.len());
    available
        .read_slice_at(0, length / size_of::<T>())
        .unwrap_or_default()
}
