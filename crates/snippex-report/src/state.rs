//! The end of a run, or two of them side by side.

use std::collections::BTreeMap;

use cli_kit::style::{BAD, FAINT, HEADING, UNSURE};
use iced_x86::InstructionInfoFactory;
use snippex_core::case::Case;
use snippex_core::decode::decoder;
use snippex_core::diff::{Comparison, Difference, Field};
use snippex_core::observation::{Line, Observation};
use snippex_core::state::{Components, GPR_NAMES, MachineState, rflags};
use snippex_core::words::endpoint_words;

/// Bytes of memory and vectors in a row.
const ROW: usize = 8;

/// One row: a name and its value at the start and in each end.
struct Row {
    name: String,
    before: String,
    ends: Vec<String>,
    field: Option<Field>,
}

/// Where and how the ends of a case differ.
#[derive(Debug)]
pub struct View<'a> {
    /// What was run.
    pub case: &'a Case,
    /// Title and observation; one or two.
    pub ends: Vec<(String, &'a Observation)>,
    /// Parts of the state that all engines cover.
    pub covered: Components,
    /// Their comparison, of two.
    pub comparison: Option<&'a Comparison>,
    /// Also rows in which nothing changed.
    pub all: bool,
    /// Whether colour can mark what differs; else a line below does.
    pub color: bool,
    /// Columns of the terminal.
    pub width: Option<u16>,
}

impl View<'_> {
    /// The table: changed rows, and in them what differs.
    #[must_use]
    pub fn text(&self) -> String {
        let rows = self.rows();
        let title = |index: usize| self.ends.get(index).map_or("", |(title, _)| title.as_str());
        let columns = 1 + self.ends.len();
        let mut widths = vec![0; columns];
        let names = rows.iter().map(|row| row.name.len()).max().unwrap_or(0).max(8);
        for row in &rows {
            for (width, cell) in widths
                .iter_mut()
                .zip(std::iter::once(&row.before).chain(&row.ends))
            {
                *width = (*width).max(cell.len());
            }
        }
        let titles = std::iter::once("start").chain((0..self.ends.len()).map(title));
        let mut text = format!("   {:names$}", "");
        for (width, title) in widths.iter_mut().zip(titles) {
            *width = (*width).max(title.len());
            let pad = " ".repeat(*width - title.len());
            text += &format!("  {HEADING}{title}{HEADING:#}{pad}");
        }
        text.truncate(text.trim_end().len());
        for row in &rows {
            text += &format!("\n{}", self.row(row, names, &widths));
            if !self.color {
                text += &carets(row, names, &widths);
            }
        }
        text
    }

    fn row(&self, row: &Row, names: usize, widths: &[usize]) -> String {
        let differs = row.ends.windows(2).any(|pair| pair[0] != pair[1]);
        let counts = differs && self.counts(row);
        let (mark, style) = match (differs, counts) {
            (true, true) => ("!", BAD),
            (true, false) => ("~", UNSURE),
            _ => (" ", FAINT),
        };
        let mut text = format!(" {style}{mark}{style:#} {:<names$}", row.name);
        text += &format!("  {FAINT}{:<width$}{FAINT:#}", row.before, width = widths[0]);
        for (index, cell) in row.ends.iter().enumerate() {
            let reference = row.ends.first().filter(|_| index > 0 && differs);
            let shown = match reference {
                Some(reference) => marked(reference, cell, style),
                None if *cell == row.before => format!("{FAINT}{cell}{FAINT:#}"),
                None => cell.clone(),
            };
            let pad = widths[index + 1].saturating_sub(cell.len());
            text += &format!("  {shown}{}", " ".repeat(pad));
        }
        text.trim_end().to_owned()
    }

    /// Whether a row that differs is one of the differences that count.
    fn counts(&self, row: &Row) -> bool {
        let Some(Comparison::Diverged(divergence)) = self.comparison else {
            return false;
        };
        divergence
            .differences
            .iter()
            .any(|difference| match (row.field, difference.field) {
                (Some(Field::Memory { address }), Field::Memory { .. }) => covers(difference, address),
                (
                    Some(Field::Vector { register, first, .. }),
                    Field::Vector {
                        register: other,
                        first: from,
                        last,
                    },
                ) => register == other && usize::from(from) < usize::from(first) + ROW && first <= last,
                (Some(Field::Flag { .. }), Field::Flag { .. }) => true,
                (Some(Field::Endpoint), Field::Endpoint | Field::FaultAddress) => true,
                (field, other) => field == Some(other),
            })
    }

    fn rows(&self) -> Vec<Row> {
        let mut rows = vec![Row {
            name: "ends".to_owned(),
            before: format!("at {:#x}", self.case.code_address()),
            ends: self
                .ends
                .iter()
                .map(|(_, observation)| endpoint_words(&observation.endpoint))
                .collect(),
            field: Some(Field::Endpoint),
        }];
        let used = used(self.case);
        for (register, name) in GPR_NAMES.iter().enumerate() {
            let always = used & (1 << register) != 0;
            let field = Field::Gpr {
                register: register as u8,
            };
            self.push(&mut rows, always, name, Some(field), |state| {
                format!("{:016x}", state.gpr[register])
            });
        }
        self.push(&mut rows, true, "flags", Some(Field::Flag { flag: 0 }), |state| {
            flags(state.rflags)
        });
        self.push(&mut rows, false, "fs.base", Some(Field::FsBase), |state| {
            format!("{:x}", state.fs_base)
        });
        self.push(&mut rows, false, "gs.base", Some(Field::GsBase), |state| {
            format!("{:x}", state.gs_base)
        });
        self.vectors(&mut rows);
        for register in 0..8_u8 {
            let show = |state: &MachineState| format!("{:016x}", state.opmask[usize::from(register)]);
            self.push(
                &mut rows,
                false,
                &format!("k{register}"),
                Some(Field::Opmask { register }),
                show,
            );
        }
        self.push(&mut rows, false, "mxcsr", Some(Field::Mxcsr), |state| {
            format!("{:08x}", state.mxcsr)
        });
        self.x87(&mut rows);
        self.memory(&mut rows);
        rows
    }

    fn vectors(&self, rows: &mut Vec<Row>) {
        let bytes = if self.covered.contains(Components::AVX512) {
            64
        } else if self.covered.contains(Components::AVX) {
            32
        } else {
            16
        };
        for register in 0..if bytes == 64 { 32 } else { 16_u8 } {
            for first in (0..bytes).step_by(ROW) {
                let last = first + ROW - 1;
                let field = Field::Vector {
                    register,
                    first: first as u8,
                    last: last as u8,
                };
                let name = format!("v{register}[{first}..{}]", last + 1);
                let show =
                    |state: &MachineState| self.digits(&state.vectors[usize::from(register)][first..=last]);
                self.push(rows, false, &name, Some(field), show);
            }
        }
    }

    fn x87(&self, rows: &mut Vec<Row>) {
        let word = |value: u16| format!("{value:04x}");
        self.push(rows, false, "x87 control", Some(Field::X87Control), |state| {
            word(state.x87.control)
        });
        self.push(rows, false, "x87 status", Some(Field::X87Status), |state| {
            word(state.x87.status)
        });
        let tags = |state: &MachineState| format!("{:08b}", state.x87.tags);
        self.push(rows, false, "x87 tags", Some(Field::X87Tags), tags);
        for index in 0..8_u8 {
            let show = |state: &MachineState| {
                let mut bytes = state.x87.st[usize::from(index)];
                bytes.reverse();
                self.digits(&bytes).replace(' ', "")
            };
            self.push(
                rows,
                false,
                &format!("st({index})"),
                Some(Field::X87Register { index }),
                show,
            );
        }
    }

    /// Rows of memory that some run changed.
    fn memory(&self, rows: &mut Vec<Row>) {
        let mut lines = BTreeMap::<u64, Vec<Option<&Line>>>::new();
        for (index, (_, observation)) in self.ends.iter().enumerate() {
            for line in &observation.memory {
                lines
                    .entry(line.address)
                    .or_insert_with(|| vec![None; self.ends.len()])[index] = Some(line);
            }
        }
        for (address, found) in lines {
            for offset in (0..64).step_by(ROW) {
                let before = self.initial(address + offset as u64);
                let ends: Vec<String> = found
                    .iter()
                    .map(|line| {
                        line.map_or_else(
                            || before.clone(),
                            |line| self.digits(&line.bytes[offset..offset + ROW]),
                        )
                    })
                    .collect();
                if self.all || ends.iter().any(|end| *end != before) {
                    let field = Some(Field::Memory {
                        address: address + offset as u64,
                    });
                    rows.push(Row {
                        name: format!("[{:x}]", address + offset as u64),
                        before,
                        ends,
                        field,
                    });
                }
            }
        }
    }

    /// What the case has in a row of memory.
    fn initial(&self, address: u64) -> String {
        self.digits(crate::ends::before(self.case, address, ROW))
    }

    /// Bytes as pairs of digits, in memory order; apart where there is room.
    fn digits(&self, bytes: &[u8]) -> String {
        const ROOM: u16 = 100;
        let text = crate::spaced_hex(bytes);
        if self.width.is_none_or(|width| width >= ROOM) {
            text
        } else {
            text.replace(' ', "")
        }
    }

    fn push(
        &self,
        rows: &mut Vec<Row>,
        always: bool,
        name: &str,
        field: Option<Field>,
        show: impl Fn(&MachineState) -> String,
    ) {
        let before = show(&self.case.state);
        let ends: Vec<String> = self
            .ends
            .iter()
            .map(|(_, observation)| show(&observation.state))
            .collect();
        if self.all || always || ends.iter().any(|end| *end != before) {
            rows.push(Row {
                name: name.to_owned(),
                before,
                ends,
                field,
            });
        }
    }
}

/// Whether a difference in memory has bytes in the row that begins at `row`.
fn covers(difference: &Difference, row: u64) -> bool {
    let (Field::Memory { address }, snippex_core::diff::Value::Bytes(bytes)) =
        (difference.field, &difference.actual)
    else {
        return false;
    };
    address < row + ROW as u64 && row < address + bytes.len() as u64
}

/// A line below a row that points at the characters in which the last end differs from the first.
fn carets(row: &Row, names: usize, widths: &[usize]) -> String {
    let (Some(first), Some(last)) = (row.ends.first(), row.ends.last()) else {
        return String::new();
    };
    if first == last || first.len() != last.len() {
        return String::new();
    }
    let indent = 3
        + names
        + widths[..widths.len() - 1]
            .iter()
            .map(|width| width + 2)
            .sum::<usize>()
        + 2;
    let marks: String = first
        .chars()
        .zip(last.chars())
        .map(|(a, b)| if a == b { ' ' } else { '^' })
        .collect();
    format!("\n{}{}", " ".repeat(indent), marks.trim_end())
}

/// The general registers that a block names or uses, as bits.
fn used(case: &Case) -> u16 {
    let mut factory = InstructionInfoFactory::new();
    let mut used = 0;
    for instruction in &mut decoder(&case.block.bytes, case.block.address) {
        for register in factory.info(&instruction).used_registers() {
            let register = register.register().full_register();
            if register.is_gpr64() {
                used |= 1 << register.number();
            }
        }
    }
    used
}

/// Names of the set flags.
fn flags(value: u64) -> String {
    let names = rflags::NAMES
        .iter()
        .filter(|(name, bit)| *name != "IF" && value & bit != 0);
    let names: Vec<&str> = names.map(|(name, _)| *name).collect();
    if names.is_empty() {
        "-".to_owned()
    } else {
        names.join(" ")
    }
}

/// `text` with the words, or single digits of one word, that `reference` does not have in colour.
fn marked(reference: &str, text: &str, style: anstyle::Style) -> String {
    if reference.len() != text.len() {
        return format!("{style}{text}{style:#}");
    }
    let mut shown = String::new();
    let mut on = false;
    for (a, b) in reference.chars().zip(text.chars()) {
        if (a != b) != on {
            on = a != b;
            shown += &if on {
                format!("{style}")
            } else {
                format!("{style:#}")
            };
        }
        shown.push(b);
    }
    if on {
        shown += &format!("{style:#}");
    }
    shown
}
