//! Small ELF and PE files made in memory, so that tests say what is in them byte by byte.

/// Address of the code of both kinds of files (PE: relative to [`PE_BASE`]).
pub(crate) const CODE: u64 = 0x1000;
/// Address of read-only data in an ELF file.
pub(crate) const RODATA: u64 = 0x10_0000;
/// Address of writable data in an ELF file; its dynamic section comes first.
pub(crate) const DATA: u64 = 0x20_0000;
/// Image base of a PE file.
pub(crate) const PE_BASE: u64 = 0x1_4000_0000;

/// A position-independent ELF file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Elf {
    pub(crate) code: Vec<u8>,
    pub(crate) rodata: Vec<u8>,
    /// Offset of the entry point in the code.
    pub(crate) entry: u64,
    /// R_X86_64_RELATIVE relocations: slot and addend.
    pub(crate) relative: Vec<(u64, u64)>,
    /// RELR words.
    pub(crate) relr: Vec<u64>,
    /// Bytes at [`WORDS`].
    pub(crate) words: Vec<u8>,
    /// Bytes of zero fill after the data.
    pub(crate) bss: u64,
    /// Function symbols as a section table would hold them: offset in the code, size, type (1 object, 2 function).
    pub(crate) symbols: Vec<(u64, u64, u8)>,
}

/// Where [`Elf::words`] lie.
pub(crate) const WORDS: u64 = DATA + 0x800;

impl Elf {
    /// A file with this code, entered at its start.
    pub(crate) fn new(code: Vec<u8>) -> Self {
        Self {
            code,
            ..Self::default()
        }
    }

    pub(crate) fn build(&self) -> Vec<u8> {
        let mut file = vec![0; 0x1000];
        let align = |file: &mut Vec<u8>| file.resize(file.len().next_multiple_of(0x1000), 0);
        file.extend(&self.code);
        align(&mut file);
        let rodata_offset = file.len() as u64;
        // Relocation tables follow the read-only data.
        let rela = self.rodata.len().next_multiple_of(8) as u64;
        file.extend(&self.rodata);
        file.resize((rodata_offset + rela) as usize, 0);
        for (slot, addend) in &self.relative {
            [*slot, 8, *addend]
                .iter()
                .for_each(|word| file.extend(word.to_le_bytes()));
        }
        let relr = file.len() as u64 - rodata_offset;
        self.relr.iter().for_each(|word| file.extend(word.to_le_bytes()));
        let rodata_size = file.len() as u64 - rodata_offset;
        align(&mut file);
        let data_offset = file.len() as u64;
        let tags = [
            (7, RODATA + rela),
            (8, 24 * self.relative.len() as u64),
            (36, RODATA + relr),
            (35, 8 * self.relr.len() as u64),
            (0, 0),
        ];
        tags.iter().for_each(|(tag, value): &(u64, u64)| {
            file.extend(tag.to_le_bytes());
            file.extend(value.to_le_bytes());
        });
        file.resize(data_offset as usize + 0x800, 0);
        file.extend(&self.words);
        let data_size = file.len() as u64 - data_offset;
        let code_size = self.code.len() as u64;
        let sections = self.sections(&mut file);

        file[..16].copy_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
        let mut at = 16;
        let mut put = |bytes: &[u8]| {
            file[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        };
        [3_u16, 62].iter().for_each(|half| put(&half.to_le_bytes()));
        put(&1_u32.to_le_bytes());
        [CODE + self.entry, 64, sections]
            .iter()
            .for_each(|word| put(&word.to_le_bytes()));
        put(&0_u32.to_le_bytes());
        let section_count = if sections == 0 { 0 } else { 4 };
        [64_u16, 56, 4, 64, section_count, section_count.saturating_sub(1)]
            .iter()
            .for_each(|half| put(&half.to_le_bytes()));
        for (kind, flags, offset, address, size, memory) in [
            (1_u32, 5_u32, 0x1000, CODE, code_size, code_size),
            (1, 4, rodata_offset, RODATA, rodata_size, rodata_size),
            (1, 6, data_offset, DATA, data_size, data_size + self.bss),
            (2, 6, data_offset, DATA, 0x50, 0x50),
        ] {
            put(&kind.to_le_bytes());
            put(&flags.to_le_bytes());
            [offset, address, address, size, memory, 0x1000]
                .iter()
                .for_each(|word| put(&word.to_le_bytes()));
        }
        file
    }

    /// Appends a section table with the code, symbols and their names; its offset, 0 when there are no symbols.
    fn sections(&self, file: &mut Vec<u8>) -> u64 {
        if self.symbols.is_empty() {
            return 0;
        }
        let names_offset = file.len() as u64;
        file.extend(b"\0name\0\0\0");
        let symbols_offset = file.len() as u64;
        file.extend([0; 24]);
        for (offset, size, kind) in &self.symbols {
            file.extend(1_u32.to_le_bytes());
            file.extend([*kind, 0, 1, 0]);
            file.extend((CODE + offset).to_le_bytes());
            file.extend(size.to_le_bytes());
        }
        let symbols_size = file.len() as u64 - symbols_offset;
        let table = file.len() as u64;
        // name, type, flags, address, offset, size, link, info, alignment, entry size
        for (kind, flags, address, offset, size, link, entry) in [
            (0_u32, 0_u64, 0, 0, 0, 0_u32, 0_u64),
            (1, 6, CODE, 0x1000, self.code.len() as u64, 0, 0),
            (2, 0, 0, symbols_offset, symbols_size, 3, 24),
            (3, 0, 0, names_offset, 8, 0, 0),
        ] {
            file.extend(0_u32.to_le_bytes());
            file.extend(kind.to_le_bytes());
            [flags, address, offset, size]
                .iter()
                .for_each(|word: &u64| file.extend(word.to_le_bytes()));
            file.extend(link.to_le_bytes());
            file.extend(0_u32.to_le_bytes());
            file.extend(8_u64.to_le_bytes());
            file.extend(entry.to_le_bytes());
        }
        table
    }
}

/// A PE32+ file with one code section, an unwind table for `functions` (offsets in the code), and base relocations
/// of the 8-byte words at `relocated` (offsets in the code page).
pub(crate) fn pe(code: &[u8], functions: &[(u32, u32)], relocated: &[u16]) -> Vec<u8> {
    let mut file = vec![0; 0x400];
    let put = |file: &mut Vec<u8>, at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    let align = |file: &mut Vec<u8>| file.resize(file.len().next_multiple_of(0x200), 0);
    let code_offset = file.len() as u32;
    file.extend(code);
    align(&mut file);
    let pdata_offset = file.len() as u32;
    for (start, end) in functions {
        [CODE as u32 + start, CODE as u32 + end, 0]
            .iter()
            .for_each(|word| file.extend(word.to_le_bytes()));
    }
    align(&mut file);
    let reloc_offset = file.len() as u32;
    // Blocks are whole words: an entry of type 0 pads.
    let reloc_size = (8 + 2 * relocated.len() as u32).next_multiple_of(4);
    file.extend((CODE as u32).to_le_bytes());
    file.extend(reloc_size.to_le_bytes());
    relocated
        .iter()
        .for_each(|offset| file.extend((0xa000 | offset).to_le_bytes()));
    align(&mut file);

    put(&mut file, 0, b"MZ");
    put(&mut file, 0x3c, &0x80_u32.to_le_bytes());
    put(&mut file, 0x80, b"PE\0\0\x64\x86\x03\0");
    put(&mut file, 0x94, &[240, 0, 0x22, 0]);
    let optional = 0x98;
    put(&mut file, optional, &[0x0b, 0x02]);
    put(&mut file, optional + 16, &(CODE as u32).to_le_bytes());
    put(&mut file, optional + 24, &PE_BASE.to_le_bytes());
    put(&mut file, optional + 32, &0x1000_u32.to_le_bytes());
    put(&mut file, optional + 36, &0x200_u32.to_le_bytes());
    put(&mut file, optional + 56, &0x20_0000_u32.to_le_bytes());
    put(&mut file, optional + 60, &0x400_u32.to_le_bytes());
    put(&mut file, optional + 108, &16_u32.to_le_bytes());
    let directory = |number: usize| optional + 112 + 8 * number;
    put(&mut file, directory(3), &0x10_0000_u32.to_le_bytes());
    put(
        &mut file,
        directory(3) + 4,
        &(12 * functions.len() as u32).to_le_bytes(),
    );
    put(&mut file, directory(5), &0x18_0000_u32.to_le_bytes());
    put(&mut file, directory(5) + 4, &reloc_size.to_le_bytes());
    let table = optional + 240;
    for (number, (name, address, size, offset, flags)) in [
        (
            b".text\0\0\0",
            CODE as u32,
            code.len() as u32,
            code_offset,
            0x6000_0020_u32,
        ),
        (
            b".pdata\0\0",
            0x10_0000,
            12 * functions.len() as u32,
            pdata_offset,
            0x4000_0040,
        ),
        (b".reloc\0\0", 0x18_0000, reloc_size, reloc_offset, 0x4200_0040),
    ]
    .into_iter()
    .enumerate()
    {
        let at = table + 40 * number;
        put(&mut file, at, name);
        put(&mut file, at + 8, &size.to_le_bytes());
        put(&mut file, at + 12, &address.to_le_bytes());
        put(&mut file, at + 16, &size.next_multiple_of(0x200).to_le_bytes());
        put(&mut file, at + 20, &offset.to_le_bytes());
        put(&mut file, at + 36, &flags.to_le_bytes());
    }
    file
}

/// Assembles code that lies at [`CODE`].
pub(crate) fn assemble(
    write: impl FnOnce(&mut iced_x86::code_asm::CodeAssembler) -> Result<(), iced_x86::IcedError>,
) -> Vec<u8> {
    let mut assembler = iced_x86::code_asm::CodeAssembler::new(64).expect("64 is a valid bitness");
    write(&mut assembler).expect("the operands fit");
    assembler.assemble(CODE).expect("the code assembles")
}
