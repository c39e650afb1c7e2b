//! A program: flat code at an address of its own, with memory of its own, that runs until `hlt`.

use snippex_core::case::PAGE;
use snippex_core::observation::{SIGILL, SIGSEGV};
use std::collections::BTreeMap;

use thiserror::Error;

use snippex_core::address_space::{RUNNER, USER_END, USER_START};
use snippex_core::case::PAGE_SIZE;
use snippex_core::observation::Endpoint;
use snippex_core::state::{Components, MachineState, RSP};

use super::header::TestMode;

/// Opcode of HLT, which a user program may not execute: it ends a test.
const HLT: u8 = 0xf4;
/// Most bytes of code in a program.
pub const MAX_CODE: usize = 8 << 20;
/// Most bytes that all areas together may span: they are taken only as they are used.
const MAX_MEMORY: u64 = 64 << 30;
/// First address beyond what a 32-bit program can have: 4 GiB, less the last two pages (`IA32_PAGE_OFFSET` of Linux).
const USER_END_32: u64 = 0xffff_e000;
/// Where FEX-Emu's documentation puts the stack.
const STACK: u64 = 0xc000_0000;

/// Memory of a program, zero at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Area {
    /// First byte.
    pub address: u64,
    /// Number of bytes.
    pub size: u64,
}

/// What runs: code and memory may be read, written and executed alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestProgram {
    /// Whether it is 64-bit or 32-bit code. Of the state of a 32-bit program only its registers count: eight general ones, of 32
    /// bits, and eight vector registers.
    pub mode: TestMode,
    /// Where the code lies and starts.
    pub address: u64,
    /// Flat machine code.
    pub code: Vec<u8>,
    /// Memory, apart from the pages of the code.
    pub areas: Vec<Area>,
    /// Bytes put into memory before the start.
    pub data: Vec<(u64, Vec<u8>)>,
    /// Registers at the start.
    pub state: MachineState,
}

/// Pages that are mapped together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    /// First page.
    pub address: u64,
    /// Number of pages.
    pub pages: u32,
    /// Their bytes; `None` for zeros.
    pub content: Option<Vec<u8>>,
}

/// Why a program cannot be laid out.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProgramError {
    /// There is no code.
    #[error("the program has no code")]
    Empty,
    /// It has more code than can be run.
    #[error("the program has {0} bytes of code, more than {MAX_CODE}")]
    TooLarge(usize),
    /// An area cannot be mapped.
    #[error("memory at {address:#x}, {size:#x} bytes, is where no program can have it")]
    Unmappable {
        /// First byte.
        address: u64,
        /// Number of bytes.
        size: u64,
    },
    /// Data is put where no memory is.
    #[error("data at {0:#x} lies outside the memory of the program")]
    Outside(u64),
}

impl TestProgram {
    /// A program as FEX-Emu's harness starts it: code at 0x10000, ten pages of scratch memory at 0xe0000000, a page on
    /// either side of 0xe8000000, all registers zero (RSP, too), flags and x87 as after FNINIT.
    #[must_use]
    pub fn from_flat_code(code: Vec<u8>) -> Self {
        let scratch = |address, pages: u64| Area {
            address,
            size: pages * PAGE,
        };
        Self {
            mode: TestMode::Bits64,
            address: 0x1_0000,
            code,
            areas: vec![scratch(0xe000_0000, 10), scratch(0xe800_0000 - PAGE, 2)],
            data: Vec::new(),
            state: MachineState::default(),
        }
    }

    /// The same for 32-bit code: FEX-Emu's harness gives it a page at 0xc0000000 besides. Segments are as Linux starts a 32-bit
    /// process: CS, DS, ES and SS lead to all 4 GiB, FS and GS are null.
    #[must_use]
    pub fn from_flat_code_32(code: Vec<u8>) -> Self {
        let mut program = Self::from_flat_code(code);
        program.mode = TestMode::Bits32;
        program.areas.push(Area {
            address: STACK,
            size: PAGE,
        });
        program
    }

    /// The same with a stack of `size` bytes, where FEX-Emu's documentation puts it.
    #[must_use]
    pub fn with_stack(mut self, size: u64) -> Self {
        self.areas.push(Area { address: STACK, size });
        // Aligned as the ABI has it.
        self.state.gpr[RSP] = (STACK + size) & !15;
        self
    }

    /// The pages of the program, disjoint and in ascending order.
    ///
    /// # Errors
    /// When memory lies where it cannot be, or data outside of it.
    pub fn page_extents(&self) -> Result<Vec<Extent>, ProgramError> {
        if self.code.is_empty() {
            return Err(ProgramError::Empty);
        }
        if self.code.len() > MAX_CODE {
            return Err(ProgramError::TooLarge(self.code.len()));
        }
        let code = Area {
            address: self.address,
            size: self.code.len() as u64,
        };
        let mut ranges = Vec::new();
        let mut room = MAX_MEMORY;
        for &area in self.areas.iter().chain([&code]) {
            let Area { address, size } = area;
            let left = room.checked_sub(size);
            room = left.ok_or(ProgramError::Unmappable { address, size })?;
            ranges.push(pages_of(area, self.mode)?);
        }
        ranges.sort_unstable();
        let mut merged: Vec<(u64, u64)> = Vec::new();
        for (start, end) in ranges {
            match merged.last_mut() {
                Some(last) if start <= last.1 => last.1 = last.1.max(end),
                _ => merged.push((start, end)),
            }
        }
        // Pages that do not start as zeros.
        let mut filled: BTreeMap<u64, [u8; PAGE_SIZE]> = BTreeMap::new();
        let data = self.data.iter().map(|(address, bytes)| (*address, &bytes[..]));
        for (address, bytes) in [(self.address, &self.code[..])].into_iter().chain(data) {
            let end = address.checked_add(bytes.len() as u64);
            let inside =
                end.is_some_and(|end| merged.iter().any(|range| range.0 <= address && end <= range.1));
            if !inside {
                return Err(ProgramError::Outside(address));
            }
            put(&mut filled, address, bytes);
        }
        let mut extents: Vec<Extent> = Vec::new();
        for (start, end) in merged {
            let mut at = start;
            for (&page, bytes) in filled.range(start..end) {
                if page > at {
                    extents.push(zeros(at, page));
                }
                match extents.last_mut() {
                    Some(Extent {
                        address,
                        pages,
                        content: Some(content),
                    }) if *address + u64::from(*pages) * PAGE == page => {
                        *pages += 1;
                        content.extend(bytes);
                    }
                    _ => extents.push(Extent {
                        address: page,
                        pages: 1,
                        content: Some(bytes.to_vec()),
                    }),
                }
                at = page + PAGE;
            }
            if at < end {
                extents.push(zeros(at, end));
            }
        }
        Ok(extents)
    }
}

fn zeros(start: u64, end: u64) -> Extent {
    Extent {
        address: start,
        pages: u32::try_from((end - start) / PAGE).expect("all areas together are limited"),
        content: None,
    }
}

/// First page and end of the last one, where a program of `mode` can have them.
fn pages_of(area: Area, mode: TestMode) -> Result<(u64, u64), ProgramError> {
    let Area { address, size } = area;
    let user_end = match mode {
        TestMode::Bits64 => USER_END,
        TestMode::Bits32 => USER_END_32,
    };
    let unmappable = ProgramError::Unmappable { address, size };
    let end = address
        .checked_add(size)
        .and_then(|end| end.checked_next_multiple_of(PAGE));
    let start = address & !(PAGE - 1);
    match end {
        Some(end)
            if size != 0
                && start >= USER_START
                && end <= user_end
                && !RUNNER.iter().any(|taken| taken.start < end && start < taken.end) =>
        {
            Ok((start, end))
        }
        _ => Err(unmappable),
    }
}

fn put(pages: &mut BTreeMap<u64, [u8; PAGE_SIZE]>, mut address: u64, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let offset = (address % PAGE) as usize;
        let (part, rest) = bytes.split_at(bytes.len().min(PAGE_SIZE - offset));
        let page = pages.entry(address - offset as u64).or_insert([0; PAGE_SIZE]);
        page[offset..offset + part.len()].copy_from_slice(part);
        address += part.len() as u64;
        bytes = rest;
    }
}

/// How a program ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramEnd {
    /// The signal, or no end at all.
    pub endpoint: Endpoint,
    /// The byte that RIP pointed at, if it can be read.
    pub at_rip: Option<u8>,
    /// Registers at the end. Components that the engine does not support hold the start values.
    pub state: MachineState,
    /// Components of the state that mean something, whatever else the engine supports.
    pub covered: Components,
}

impl Default for ProgramEnd {
    /// A start state that never ended.
    fn default() -> Self {
        Self {
            endpoint: Endpoint::Hung,
            at_rip: None,
            state: MachineState::default(),
            covered: Components::ALL,
        }
    }
}

impl ProgramEnd {
    /// Whether it reached `hlt`: a privileged instruction, which Linux answers with SIGSEGV and engines that do not
    /// know it with SIGILL.
    #[must_use]
    pub fn has_halted(&self) -> bool {
        match self.endpoint {
            Endpoint::Signal(signal) => matches!(signal.number, SIGSEGV | SIGILL) && self.at_rip == Some(HLT),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_scratch_and_data_become_disjoint_extents() {
        let mut program = TestProgram::from_flat_code(vec![0x90; 5000]);
        program.areas.push(Area {
            address: 0x1000_0010,
            size: 4096,
        });
        program.data.push((0xe000_1ffe, vec![1, 2, 3, 4]));
        let extents = program.page_extents().unwrap();
        let places: Vec<_> = extents
            .iter()
            .map(|extent| (extent.address, extent.pages, extent.content.is_some()))
            .collect();
        assert_eq!(
            places,
            [
                (0x1_0000, 2, true),
                (0x1000_0000, 2, false),
                (0xe000_0000, 1, false),
                (0xe000_1000, 2, true),
                (0xe000_3000, 7, false),
                (0xe7ff_f000, 2, false),
            ]
        );
        let filled = extents[3].content.as_ref().unwrap();
        assert_eq!(filled[0xffe..0x1002], [1, 2, 3, 4]);
        assert_eq!(filled.len(), 2 * PAGE_SIZE);
    }

    #[test]
    fn a_32_bit_program_has_a_page_of_stack_and_nothing_above_4_gib() {
        let with = |address| {
            let mut program = TestProgram::from_flat_code_32(vec![0xf4]);
            program.areas.push(Area { address, size: 4096 });
            program.page_extents()
        };
        let extents = with(0xf000_0000).unwrap();
        let addresses: Vec<u64> = extents.iter().map(|extent| extent.address).collect();
        assert_eq!(
            addresses,
            [0x1_0000, 0xc000_0000, 0xe000_0000, 0xe7ff_f000, 0xf000_0000]
        );
        for address in [0xffff_f000, 0x1_0000_0000] {
            assert!(
                matches!(with(address), Err(ProgramError::Unmappable { .. })),
                "{address:#x}"
            );
        }
    }

    #[test]
    fn memory_where_it_cannot_be_is_refused() {
        let with = |address, size| {
            let mut program = TestProgram::from_flat_code(vec![0xf4]);
            program.areas.push(Area { address, size });
            program.page_extents()
        };
        for (address, size) in [
            (0, 4096),
            (0x7000_0000, 4096),
            (0xc_0000_0000 - 1, 2),
            (u64::MAX, 4096),
            (0x7fff_ffff_f000, 4096),
            (0x5_0000_0000, u64::MAX),
            (0x5_0000_0000, 0),
        ] {
            assert_eq!(
                with(address, size),
                Err(ProgramError::Unmappable { address, size })
            );
        }
        assert!(
            with(0x5_0000_0000, 0x1_0000_0000).is_ok(),
            "4 GiB that nobody fills"
        );
        let mut program = TestProgram::from_flat_code(vec![0xf4]);
        program.data.push((0x2000_0000, vec![1]));
        assert_eq!(program.page_extents(), Err(ProgramError::Outside(0x2000_0000)));
        assert_eq!(
            TestProgram::from_flat_code(vec![]).page_extents(),
            Err(ProgramError::Empty)
        );
    }
}
