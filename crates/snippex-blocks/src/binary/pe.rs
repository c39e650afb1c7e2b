//! PE32+ headers, sections, exports, unwind table and base relocations (Microsoft PE/COFF specification).

use std::ops::Range;

use object::LittleEndian as Le;
use object::pe;
use object::read::pe::{ImageNtHeaders, ImageOptionalHeader, PeFile, PeFile32, PeFile64};

use super::ImageError;
use super::image::{FileFormat, Fixup, FunctionRange, Image, Segment, Symbol, make_ranges_disjoint};
use snippex_core::block::Origin;

/// Reads a PE file; the DOS magic number has been seen.
pub(super) fn parse_pe(data: &[u8]) -> Result<Image<'_>, ImageError> {
    if data.get(KERNEL_MARK_AT..KERNEL_MARK_AT + 4) == Some(b"HdrS") {
        return Err(ImageError::UnknownFormat {
            found: "a compressed Linux kernel (scripts/extract-vmlinux of the kernel's sources writes the vmlinux in it)",
        });
    }
    check_machine(data)?;
    let file = PeFile64::parse(data).map_err(|error| ImageError::Malformed {
        what: error.to_string(),
    })?;
    let managed = managed_part(&file);
    if managed == Some(Managed::BytecodeOnly) {
        return Err(ImageError::Bytecode);
    }
    let optional = file.nt_headers().optional_header();
    let base = optional.image_base();
    let mut segments = vec![Segment {
        address: base,
        size: u64::from(optional.size_of_headers()),
        file_offset: 0,
        file_size: u64::from(optional.size_of_headers()).min(data.len() as u64),
        writable: false,
        executable: false,
    }];
    for section in file.section_table().iter() {
        segments.push(segment(section, base)?);
    }
    let mut image = Image::with_segments(data, FileFormat::Pe, segments)?;
    image.relative_base = base;
    image.holds_bytecode = managed.is_some();
    image.code = make_ranges_disjoint(
        image
            .segments
            .iter()
            .filter(|segment| segment.executable)
            .map(|segment| segment.address..segment.address + segment.file_size)
            .collect::<Vec<Range<u64>>>(),
    );
    let relocated = file
        .data_directory(pe::IMAGE_DIRECTORY_ENTRY_BASERELOC)
        .is_some_and(|d| d.size.get(Le) > 0);
    image.position_independent = relocated;
    let entry = optional.address_of_entry_point();
    if entry != 0 {
        push(&mut image, u64::from(entry), 0, Origin::Entry);
    }
    read_exports(&mut image, &file);
    read_unwind(&mut image, &file);
    read_relocations(&mut image, &file);
    Ok(image)
}

/// Where a compressed kernel has its mark: `Documentation/arch/x86/boot.rst` of Linux. It is a PE file as well, for UEFI.
const KERNEL_MARK_AT: usize = 0x202;

/// What an assembly of .NET has besides its bytecode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Managed {
    BytecodeOnly,
    /// Native code too: C++/CLI, or compiled ahead of time (ReadyToRun).
    WithNativeCode,
}

/// What the header of .NET says, if there is one (ECMA-335, II.25.3.3; `ManagedNativeHeader` is that of ReadyToRun and NGen).
fn managed_part<Headers: ImageNtHeaders>(file: &PeFile<'_, Headers>) -> Option<Managed> {
    const FLAGS_AT: usize = 16;
    const BYTECODE_ONLY: u32 = 1;
    const NATIVE_HEADER_AT: usize = 64;
    let directory = file.data_directory(pe::IMAGE_DIRECTORY_ENTRY_COM_DESCRIPTOR)?;
    let header = directory.data(file.data(), &file.section_table()).ok()?;
    let word = |at: usize| {
        let bytes = header.get(at..)?.first_chunk::<4>()?;
        Some(u32::from_le_bytes(*bytes))
    };
    let is_bytecode = word(FLAGS_AT)? & BYTECODE_ONLY != 0;
    Some(if is_bytecode && word(NATIVE_HEADER_AT)? == 0 {
        Managed::BytecodeOnly
    } else {
        Managed::WithNativeCode
    })
}

/// Refuses other machines by name.
fn check_machine(data: &[u8]) -> Result<(), ImageError> {
    let length = data.len() as u64;
    let word = |at: usize| {
        data.get(at..)?
            .first_chunk::<4>()
            .map(|bytes| u32::from_le_bytes(*bytes))
    };
    let truncated = |end| ImageError::Truncated {
        what: "the PE header",
        end,
        length,
    };
    let offset = word(0x3c).ok_or_else(|| truncated(0x40))? as usize;
    let signature = word(offset).ok_or_else(|| truncated(offset as u64 + 4))?;
    if signature != u32::from_le_bytes(*b"PE\0\0") {
        return Err(ImageError::UnknownFormat {
            found: "a DOS program",
        });
    }
    let machine = word(offset + 4).ok_or_else(|| truncated(offset as u64 + 8))? as u16;
    /// What the systems that .NET compiles for are called by: it is laid over the number of the machine (`pedecoder.h` of .NET).
    const SYSTEMS: [u16; 6] = [0, 0x7b79, 0x4644, 0xadc4, 0x1993, 0x1992];
    if SYSTEMS.contains(&(machine ^ 0x8664)) {
        return Ok(());
    }
    let name = match machine {
        // Assemblies for any machine are written as if for this one.
        0x014c
            if PeFile32::parse(data).is_ok_and(|file| managed_part(&file) == Some(Managed::BytecodeOnly)) =>
        {
            return Err(ImageError::Bytecode);
        }
        0x014c => "32-bit x86 (PE32)",
        0xaa64 | 0xa641 | 0xa64e => "AArch64 (PE)",
        0x01c0 | 0x01c4 => "32-bit ARM (PE)",
        0x0200 => "Itanium (PE)",
        _ => {
            return Err(ImageError::WrongMachine {
                found: format!("PE machine {machine:#06x}"),
            });
        }
    };
    Err(ImageError::WrongMachine {
        found: name.to_owned(),
    })
}

fn segment(section: &pe::ImageSectionHeader, base: u64) -> Result<Segment, ImageError> {
    let relative = u64::from(section.virtual_address.get(Le));
    let address = base.checked_add(relative).ok_or_else(|| ImageError::Malformed {
        what: format!("the section at {relative:#x} passes the end of memory"),
    })?;
    let raw = u64::from(section.size_of_raw_data.get(Le));
    // A virtual size of zero means the raw size.
    let size = Some(u64::from(section.virtual_size.get(Le)))
        .filter(|&size| size > 0)
        .unwrap_or(raw);
    let flags = section.characteristics.get(Le).0;
    Ok(Segment {
        address,
        size,
        file_offset: u64::from(section.pointer_to_raw_data.get(Le)),
        file_size: raw.min(size),
        writable: flags & pe::IMAGE_SCN_MEM_WRITE.0 != 0,
        executable: flags & pe::IMAGE_SCN_MEM_EXECUTE.0 != 0,
    })
}

/// A function at a relative address.
fn push(image: &mut Image<'_>, relative: u64, size: u64, origin: Origin) {
    let address = image.relative_base.wrapping_add(relative);
    image.functions.push(FunctionRange {
        address,
        end: address.saturating_add(size),
        origin,
    });
}

fn read_exports<'a>(image: &mut Image<'a>, file: &PeFile64<'a>) {
    let Ok(Some(table)) = file.export_table() else {
        return;
    };
    for (name, index) in table.name_iter() {
        let Ok(relative) = table.address_by_index(index) else {
            continue;
        };
        let address = image.relative_base.wrapping_add(u64::from(relative));
        if table.is_forward(relative) || !image.is_code(address) {
            continue;
        }
        let name = image.c_string(image.relative_base.wrapping_add(u64::from(name)));
        image.symbols.push(Symbol {
            address,
            size: 0,
            name,
        });
    }
    for (_, _, relative) in table.address_iter() {
        if !table.is_forward(relative) {
            push(image, u64::from(relative), 0, Origin::Symbol);
        }
    }
}

/// `.pdata`: start, end and unwind data of each function, 12 bytes each.
fn read_unwind(image: &mut Image<'_>, file: &PeFile64<'_>) {
    let Some(directory) = file.data_directory(pe::IMAGE_DIRECTORY_ENTRY_EXCEPTION) else {
        return;
    };
    let start = image
        .relative_base
        .wrapping_add(u64::from(directory.virtual_address.get(Le)));
    let bytes = image.bytes_from(start);
    let length = bytes.len().min(directory.size.get(Le) as usize);
    for record in bytes[..length].chunks_exact(12) {
        let word = |at: usize| {
            u64::from(u32::from_le_bytes([
                record[at],
                record[at + 1],
                record[at + 2],
                record[at + 3],
            ]))
        };
        if word(0) != 0 {
            push(
                image,
                word(0),
                word(4).saturating_sub(word(0)),
                Origin::UnwindInfo,
            );
        }
    }
}

fn read_relocations(image: &mut Image<'_>, file: &PeFile64<'_>) {
    let sections = file.section_table();
    let Ok(Some(mut blocks)) = file.data_directories().relocation_blocks(file.data(), &sections) else {
        return;
    };
    while let Ok(Some(block)) = blocks.next() {
        for relocation in block {
            if relocation.typ != pe::IMAGE_REL_BASED_DIR64 {
                continue;
            }
            let address = image
                .relative_base
                .wrapping_add(u64::from(relocation.virtual_address));
            if let Some(value) = image.u64_at(address) {
                image.fixups.push(Fixup { address, value });
            }
        }
    }
}
