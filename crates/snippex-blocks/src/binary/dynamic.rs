//! The dynamic section of an ELF file: relocations, imports, and tables of constructors (gABI chapter 5; x86-64
//! psABI section 4.4; the RELR encoding as in the gABI's "Relative Relocation Table").

use object::LittleEndian as Le;
use object::elf::{self, Dyn64, Rela64, Relr64, Sym64};

use super::elf::read_records;
use super::image::{Fixup, FunctionRange, Image};
use snippex_core::block::Origin;

/// Values of the dynamic section by tag, as far as they matter here.
#[derive(Default)]
struct Tags {
    rela: (u64, u64),
    jump_rela: (u64, u64),
    relr: (u64, u64),
    symbols: u64,
    strings: (u64, u64),
    init: Option<u64>,
    fini: Option<u64>,
    init_array: (u64, u64),
    fini_array: (u64, u64),
    preinit_array: (u64, u64),
}

/// Reads the dynamic section at `address` into the image's fixups, imports and functions.
pub(super) fn read_dynamic_section(image: &mut Image<'_>, address: u64) {
    let tags = tags(image, address);
    // Packed relative relocations first: where both name a word, the later table wins in the loader, too.
    read_relr(image, tags.relr);
    for table in [tags.rela, tags.jump_rela] {
        read_rela(image, table, &tags);
    }
    image.fixups.reverse(); // sort_tables keeps the first of each address, which must be the last written
    for address in [tags.init, tags.fini].into_iter().flatten() {
        image.functions.push(FunctionRange {
            address,
            end: address,
            origin: Origin::InitArray,
        });
    }
    for (start, size) in [tags.init_array, tags.fini_array, tags.preinit_array] {
        read_array(image, start, size);
    }
}

fn tags(image: &Image<'_>, address: u64) -> Tags {
    let mut tags = Tags::default();
    for entry in read_records::<Dyn64<Le>>(image, address, u64::MAX) {
        let value = entry.d_val.get(Le);
        match entry.d_tag.get(Le) {
            elf::DT_NULL => break,
            elf::DT_RELA => tags.rela.0 = value,
            elf::DT_RELASZ => tags.rela.1 = value,
            elf::DT_JMPREL => tags.jump_rela.0 = value,
            elf::DT_PLTRELSZ => tags.jump_rela.1 = value,
            elf::DT_RELR => tags.relr.0 = value,
            elf::DT_RELRSZ => tags.relr.1 = value,
            elf::DT_SYMTAB => tags.symbols = value,
            elf::DT_STRTAB => tags.strings.0 = value,
            elf::DT_STRSZ => tags.strings.1 = value,
            elf::DT_INIT => tags.init = Some(value),
            elf::DT_FINI => tags.fini = Some(value),
            elf::DT_INIT_ARRAY => tags.init_array.0 = value,
            elf::DT_INIT_ARRAYSZ => tags.init_array.1 = value,
            elf::DT_FINI_ARRAY => tags.fini_array.0 = value,
            elf::DT_FINI_ARRAYSZ => tags.fini_array.1 = value,
            elf::DT_PREINIT_ARRAY => tags.preinit_array.0 = value,
            elf::DT_PREINIT_ARRAYSZ => tags.preinit_array.1 = value,
            _ => {}
        }
    }
    tags
}

/// Addresses in bitmaps: an even word is an address, an odd word says which of the next 63 words follow it.
fn read_relr(image: &mut Image<'_>, (address, size): (u64, u64)) {
    let mut next = 0_u64;
    for entry in read_records::<Relr64<Le>>(image, address, size) {
        let entry = entry.0.get(Le);
        let first = next;
        if entry & 1 == 0 {
            push_in_place(image, entry);
            next = entry.wrapping_add(8);
        } else {
            let set = (0..63).filter(|bit| entry >> (bit + 1) & 1 == 1);
            set.for_each(|bit| push_in_place(image, first.wrapping_add(8 * bit)));
            next = first.wrapping_add(8 * 63);
        }
        // Linkers write ascending addresses; anything else could name the same word without end.
        if next <= first {
            return;
        }
    }
}

/// A word whose file content is the address to which the base is added.
fn push_in_place(image: &mut Image<'_>, address: u64) {
    if let Some(value) = image.u64_at(address) {
        image.fixups.push(Fixup { address, value });
    }
}

fn read_rela(image: &mut Image<'_>, (address, size): (u64, u64), tags: &Tags) {
    for entry in read_records::<Rela64<Le>>(image, address, size) {
        let (slot, info) = (entry.r_offset.get(Le), entry.r_info.get(Le));
        let addend = entry.r_addend.get(Le) as u64;
        let symbol_index = info >> 32;
        match elf::RelocationType(info as u32) {
            elf::R_X86_64_RELATIVE => push(image, slot, addend),
            // The loader would call the resolver; its address is the best that is known without running it.
            elf::R_X86_64_IRELATIVE => {
                push_slot(image, slot);
                let origin = Origin::Relocation;
                image.functions.push(FunctionRange {
                    address: addend,
                    end: addend,
                    origin,
                });
            }
            kind @ (elf::R_X86_64_64 | elf::R_X86_64_GLOB_DAT | elf::R_X86_64_JUMP_SLOT) => {
                let Some(symbol) = symbol(image, tags, symbol_index) else {
                    continue;
                };
                let addend = if kind == elf::R_X86_64_64 { addend } else { 0 };
                if symbol.st_shndx.get(Le) == elf::SHN_UNDEF {
                    let name = string(image, tags, symbol.st_name.get(Le));
                    image.imports.push((slot, name));
                    if kind == elf::R_X86_64_JUMP_SLOT {
                        push_slot(image, slot);
                    }
                } else {
                    push(image, slot, symbol.st_value.get(Le).wrapping_add(addend));
                }
            }
            _ => {}
        }
    }
}

/// A slot that keeps its content, relocated when it is an address of this file (the PLT entry that binds lazily).
fn push_slot(image: &mut Image<'_>, slot: u64) {
    if let Some(value) = image.u64_at(slot).filter(|&value| image.is_code(value)) {
        push(image, slot, value);
    }
}

fn push(image: &mut Image<'_>, address: u64, value: u64) {
    // Slots in zero fill exist, but are rare; slots outside every segment are hostile.
    let covered = image
        .segments
        .partition_point(|segment| segment.address <= address);
    if covered > 0 && address < image.segments[covered - 1].end_address() {
        image.fixups.push(Fixup { address, value });
    }
}

fn symbol<'a>(image: &Image<'a>, tags: &Tags, index: u64) -> Option<&'a Sym64<Le>> {
    let size = size_of::<Sym64<Le>>() as u64;
    let address = tags.symbols.checked_add(index.checked_mul(size)?)?;
    read_records::<Sym64<Le>>(image, address, size).first()
}

fn string<'a>(image: &Image<'a>, tags: &Tags, offset: u32) -> &'a [u8] {
    if u64::from(offset) >= tags.strings.1 {
        return &[];
    }
    image.c_string(tags.strings.0.wrapping_add(u64::from(offset)))
}

/// The words of a table of functions: relocated when the file is position independent, plain otherwise.
fn read_array(image: &mut Image<'_>, start: u64, size: u64) {
    let slots = (0..size / 8).map(|index| start.wrapping_add(index * 8));
    let words = slots.map_while(|slot| Some((slot, image.u64_at(slot)?)));
    let mut found: Vec<u64> = words
        .filter(|&(_, value)| image.is_code(value))
        .map(|(_, value)| value)
        .collect();
    // With RELA the addend, not the word, is the address.
    let range = start..start.saturating_add(size);
    found.extend(
        image
            .fixups
            .iter()
            .filter(|fixup| range.contains(&fixup.address))
            .map(|fixup| fixup.value),
    );
    let origin = Origin::InitArray;
    image
        .functions
        .extend(found.into_iter().map(|address| FunctionRange {
            address,
            end: address,
            origin,
        }));
}
