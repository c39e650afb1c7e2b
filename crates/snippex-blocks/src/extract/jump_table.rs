//! Jump tables: where an indirect jump of a `switch` can go.
//!
//! Recognises what GCC, Clang and MSVC write: `lea base,[rip+table]; movsxd x,[base+i*4]; add x,base; jmp x`
//! (also with the image base and 32-bit relative addresses), and `jmp [table+i*8]`, also through a register. The
//! length comes from the comparison before; a table without one ends where its entries stop making sense or
//! something else begins.

use std::ops::Range;

use iced_x86::{Instruction, Mnemonic, OpKind, Register};

use super::bound::{IndexBound, index_bound};
use super::code::{CodeRegions, Position};
use super::history::{PastInstructions, Path, collect_past_instructions, loaded_address, nearest_address};
use crate::binary::Image;

/// Instructions looked back over.
const LOOK_BACK: usize = 48;
/// No `switch` is longer.
const LONGEST: u64 = 0x1_0000;

/// What an entry of a table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TableEntry {
    /// 8 bytes: the address.
    Absolute,
    /// 4 bytes, signed: relative to this address.
    Relative(u64),
}

impl TableEntry {
    fn size(self) -> u64 {
        match self {
            Self::Absolute => 8,
            Self::Relative(_) => 4,
        }
    }
}

/// A jump through a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct JumpTable {
    pub(super) jump: Position,
    address: u64,
    entry: TableEntry,
    /// Entries that it has at most, where that is known.
    at_most: Option<u64>,
}

/// What is known of an indirect jump.
pub(super) enum Resolved {
    /// A table of these targets.
    Targets(Vec<Position>),
    /// A table whose length is judged when all certain code is known; where its first entry leads, if that is known.
    Later(Option<Position>),
    /// No table.
    Unknown,
}

/// A table that was followed.
#[derive(Debug)]
pub(super) struct FollowedTable {
    pub(super) jump: Position,
    /// A comparison or a mask says how long it is.
    pub(super) is_bounded: bool,
    /// Where its entries lead, in their order.
    pub(super) targets: Vec<Position>,
    /// The table itself, where it lies in code.
    pub(super) data: Option<(Position, usize)>,
}

/// The tables found so far.
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) found: u64,
    pub(super) followed: Vec<FollowedTable>,
    unbounded: Vec<JumpTable>,
    /// Data addresses that code takes, and starts of tables: no table reaches across one. Relative to `lowest`.
    references: Vec<u32>,
    lowest: u64,
    /// Entries that may still be read: keeps the whole linear in the size of the file.
    budget: u64,
    /// Bytes of code that may still be searched for bases of tables.
    search_budget: u64,
}

/// How far back the base of a table is looked for when the start of the function is not known.
const SEARCH: Position = 0x4000;

impl Tables {
    pub(super) fn new(image: &Image<'_>) -> Self {
        let budget: u64 = image.segments().iter().map(|segment| segment.file_size).sum();
        Self {
            found: 0,
            followed: Vec::new(),
            unbounded: Vec::new(),
            references: Vec::new(),
            lowest: image.address_range().start,
            budget,
            search_budget: 16 * budget,
        }
    }

    /// Notes an address of data that code takes.
    pub(super) fn note_reference(&mut self, address: u64) {
        if let Ok(offset) = u32::try_from(address.wrapping_sub(self.lowest))
            && offset % 4 == 0
            && self.references.last() != Some(&offset)
        {
            self.references.push(offset);
        }
    }

    pub(super) fn take_unbounded(&mut self) -> Vec<JumpTable> {
        self.references.sort_unstable();
        self.references.dedup();
        std::mem::take(&mut self.unbounded)
    }

    /// Looks for the table behind the indirect `jump` at `position`, which `run` leads to, in the function that
    /// begins at `function`.
    pub(super) fn resolve_jump(
        &mut self,
        image: &Image<'_>,
        code: &mut CodeRegions<'_>,
        position: Position,
        jump: &Instruction,
        run: Path,
        function: Position,
    ) -> Resolved {
        let past = collect_past_instructions(code, position, run, LOOK_BACK);
        let lowest = function.max(position.saturating_sub(SEARCH));
        let search = Search {
            code,
            position,
            past: &past,
            lowest,
        };
        let Some((mut table, index, loaded)) = recognise(image, search, jump, &mut self.search_budget) else {
            return Resolved::Unknown;
        };
        self.note_reference(table.address);
        let count = match index_bound(index, &past[loaded..]) {
            Some(IndexBound::Exactly(count)) => count,
            Some(IndexBound::AtMost(count)) => {
                table.at_most = Some(count);
                self.unbounded.push(table);
                // What returns by this case has callers, behind which the next table may be used.
                let first = Self::target(image, code, &table, 0);
                return Resolved::Later(first.filter(|&target| !code.is_interior(target)));
            }
            None => {
                self.unbounded.push(table);
                return Resolved::Later(None);
            }
        };
        let targets = self.read(image, code, &table, count, true, |_| true);
        if targets.is_empty() {
            Resolved::Unknown
        } else {
            Resolved::Targets(targets)
        }
    }

    /// The targets of a table whose length is not known, which lie in the function at `function` (empty: unknown).
    pub(super) fn unbounded_targets(
        &mut self,
        image: &Image<'_>,
        code: &mut CodeRegions<'_>,
        table: &JumpTable,
        function: Range<Position>,
    ) -> Vec<Position> {
        let offset = table.address.wrapping_sub(self.lowest);
        let next = self
            .references
            .partition_point(|&reference| u64::from(reference) <= offset);
        let limit = self
            .references
            .get(next)
            .map_or(LONGEST, |&next| (u64::from(next) - offset) / table.entry.size());
        let near = table.jump.saturating_sub(0x1_0000)..table.jump.saturating_add(0x1_0000);
        let allowed = if function.is_empty() { near } else { function };
        // Where something bounds it, cases may lie in another part of the function, such as its cold one.
        let bounded = table.at_most.is_some();
        let limit = limit.min(table.at_most.unwrap_or(LONGEST));
        self.read(image, code, table, limit, false, |target| {
            bounded || allowed.contains(&target)
        })
    }

    /// Where an entry leads, if into code.
    fn target(image: &Image<'_>, code: &CodeRegions<'_>, table: &JumpTable, index: u64) -> Option<Position> {
        let address = table.address.wrapping_add(index * table.entry.size());
        let target = match table.entry {
            TableEntry::Absolute => image.u64_at(address),
            TableEntry::Relative(base) => image
                .i32_at(address)
                .map(|entry| base.wrapping_add(i64::from(entry) as u64)),
        };
        code.position_of(target?)
    }

    /// The targets of up to `count` entries, up to the first that is none, ascending.
    fn read(
        &mut self,
        image: &Image<'_>,
        code: &mut CodeRegions<'_>,
        table: &JumpTable,
        count: u64,
        is_bounded: bool,
        allowed: impl Fn(Position) -> bool,
    ) -> Vec<Position> {
        let size = table.entry.size();
        let mut targets = Vec::new();
        let mut length = 0;
        for index in 0..count.min(LONGEST).min(self.budget) {
            let target = Self::target(image, code, table, index);
            let Some(target) = target.filter(|&target| !code.is_interior(target) && allowed(target)) else {
                break;
            };
            targets.push(target);
            length += size;
        }
        self.budget -= targets.len() as u64;
        self.found += u64::from(!targets.is_empty());
        let data = code
            .position_of(table.address)
            .map(|position| (position, length as usize));
        if let Some((position, length)) = data {
            code.mark_data(position, length);
        }
        if !targets.is_empty() {
            self.followed.push(FollowedTable {
                jump: table.jump,
                is_bounded,
                targets: targets.clone(),
                data,
            });
        }
        targets.sort_unstable();
        targets.dedup();
        targets
    }
}

/// Where values of registers are looked for.
#[derive(Clone, Copy)]
struct Search<'s, 'a> {
    code: &'s CodeRegions<'a>,
    /// The jump.
    position: Position,
    past: &'s [PastInstructions],
    lowest: Position,
}

impl Search<'_, '_> {
    /// The address in `register`, from the path or, failing that, from anywhere before in the function.
    fn address(&self, register: Register, budget: &mut u64) -> Option<u64> {
        let on_path = self
            .past
            .iter()
            .find_map(|past| loaded_address(&past.instruction, register));
        on_path.or_else(|| nearest_address(self.code, self.position, register, self.lowest, budget))
    }
}

/// The table, its index register, and how many instructions back the entry is loaded.
fn recognise(
    image: &Image<'_>,
    search: Search<'_, '_>,
    jump: &Instruction,
    budget: &mut u64,
) -> Option<(JumpTable, Register, usize)> {
    if jump.op0_kind() == OpKind::Memory {
        return absolute(image, search, jump, budget).map(|(table, index)| (table, index, 0));
    }
    let mut wanted = jump.op0_register().full_register();
    let mut other = None;
    for (number, PastInstructions { instruction, .. }) in search.past.iter().enumerate() {
        let written = instruction.op0_register().full_register();
        if instruction.op0_kind() != OpKind::Register || (written != wanted && Some(written) != other) {
            continue;
        }
        match (instruction.mnemonic(), instruction.op1_kind()) {
            (Mnemonic::Add, OpKind::Register) if other.is_none() => {
                other = Some(instruction.op1_register().full_register());
            }
            (Mnemonic::Mov, OpKind::Register) if other.is_none() => {
                wanted = instruction.op1_register().full_register();
            }
            (Mnemonic::Mov, OpKind::Memory) if other.is_none() => {
                let (table, index) = absolute(image, search, instruction, budget)?;
                return Some((table, index, number + 1));
            }
            (Mnemonic::Movsxd | Mnemonic::Mov, OpKind::Memory) if instruction.memory_size().size() == 4 => {
                let base = if written == wanted { other? } else { wanted };
                let table = relative(search, instruction, base, budget)?;
                return Some((table, instruction.memory_index(), number + 1));
            }
            // MSVC and Clang sign-extend apart.
            (Mnemonic::Movsxd, OpKind::Register) => {
                let source = instruction.op1_register().full_register();
                if written == wanted {
                    wanted = source;
                } else {
                    other = Some(source);
                }
            }
            // The base itself, loaded between the entry and the addition.
            (Mnemonic::Lea, _) if other.is_some() && loaded_address(instruction, written).is_some() => {}
            _ => return None,
        }
    }
    None
}

/// `[base + i*4 + displacement]`, relative to `added`.
fn relative(
    search: Search<'_, '_>,
    load: &Instruction,
    added: Register,
    budget: &mut u64,
) -> Option<JumpTable> {
    if load.memory_index() == Register::None || load.memory_index_scale() != 4 {
        return None;
    }
    let base = search.address(added, budget)?;
    let table = match load.memory_base() {
        Register::None => 0,
        register if register == added => base,
        register => search.address(register, budget)?,
    };
    let address = table.wrapping_add(load.memory_displacement64());
    Some(JumpTable {
        jump: search.position,
        address,
        entry: TableEntry::Relative(base),
        at_most: None,
    })
}

/// `[table + i*8]`, `[base + i*8]`.
fn absolute(
    image: &Image<'_>,
    search: Search<'_, '_>,
    load: &Instruction,
    budget: &mut u64,
) -> Option<(JumpTable, Register)> {
    if load.memory_index() == Register::None || load.memory_index_scale() != 8 {
        return None;
    }
    let base = match load.memory_base() {
        Register::None => 0,
        register => search.address(register, budget)?,
    };
    let address = base.wrapping_add(load.memory_displacement64());
    // Its first entry must lead into code, or it is an array of something else.
    image.u64_at(address).filter(|&target| image.is_code(target))?;
    Some((
        JumpTable {
            jump: search.position,
            address,
            entry: TableEntry::Absolute,
            at_most: None,
        },
        load.memory_index(),
    ))
}
