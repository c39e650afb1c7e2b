//! The end of a run, or two of them side by side.
//!
//! A table of registers in groups, changed rows only unless all are asked for; below a row that differs what the numbers
//! mean: lanes of vectors, parts of x87 numbers, names of bits. Then memory.

mod extended;
mod hex_diff;
mod lanes;

pub use extended::{Extended, ExtendedClass};
pub use hex_diff::{HexFormat, MemoryLine, MemoryOptions, hex_diff, memory_lines};
pub use lanes::{DifferingLane, LaneType};

use cli_kit::style::{BAD, FAINT, HEADING, UNSURE};
use iced_x86::InstructionInfoFactory;
use snippex_core::case::Case;
use snippex_core::decode::intel_decoder;
use snippex_core::diff::{Comparison, Field, Value};
use snippex_core::named_bits::{
    FLAGS, MXCSR, NamedField, X87_CONTROL, X87_STATUS, differing_fields, set_fields,
};
use snippex_core::observation::Observation;
use snippex_core::state::{Components, GPR_NAMES, MachineState};
use snippex_core::words::endpoint_words;

/// Bytes of a vector in a row.
const ROW: usize = 8;

/// What belongs together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    End,
    General,
    Flags,
    SegmentBases,
    Vectors,
    Mxcsr,
    X87,
}

impl Group {
    fn title(self) -> &'static str {
        match self {
            Self::End => "end",
            Self::General => "general registers",
            Self::Flags => "flags",
            Self::SegmentBases => "segment bases",
            Self::Vectors => "vectors and masks",
            Self::Mxcsr => "MXCSR",
            Self::X87 => "x87",
        }
    }
}

/// One row: a name and its value at the start and in each end.
struct Row {
    group: Group,
    name: String,
    before: String,
    ends: Vec<String>,
    field: Option<Field>,
    /// What the values mean, in lines below them.
    detail: Vec<String>,
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
    /// Also what differs only where the manuals leave it open.
    pub masked: bool,
    /// Each flag in a line of its own, with what it means.
    pub flag_detail: bool,
    /// Which memory is shown, and how.
    pub memory: MemoryOptions,
    /// Whether colour can mark what differs; else a line below does.
    pub color: bool,
    /// Columns of the terminal.
    pub width: Option<u16>,
}

impl View<'_> {
    /// The table: changed rows, and in them what differs.
    #[must_use]
    pub fn render_text(&self) -> String {
        let mut rows = self.rows();
        let all = rows.len();
        rows.retain(|row| !self.is_masked(row));
        let masked = all - rows.len();
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
        let groups = rows.windows(2).any(|pair| pair[0].group != pair[1].group);
        let mut group = None;
        for row in &rows {
            if groups && group != Some(row.group) {
                group = Some(row.group);
                text += &format!("\n {FAINT}{}{FAINT:#}", row.group.title());
            }
            text += &format!("\n{}", self.row(row, names, &widths));
            if !self.color {
                text += &carets(row, names, &widths);
            }
            for line in &row.detail {
                text += &format!("\n      {FAINT}{line}{FAINT:#}");
            }
        }
        if masked > 0 {
            let rows = crate::format_count(masked as u64, "row");
            let verb = if masked == 1 { "differs" } else { "differ" };
            text += &format!(
                "\n {FAINT}{rows} {verb} only where the manuals leave it open: compare --masked shows them{FAINT:#}"
            );
        }
        let memory = self.memory_text();
        if !memory.is_empty() {
            text += &format!("\n\n{memory}");
        }
        text
    }

    /// Whether nothing counts of what differs in a row, and that is not asked for.
    fn is_masked(&self, row: &Row) -> bool {
        let judged = matches!(
            self.comparison,
            Some(Comparison::Diverged(_) | Comparison::Match(_))
        );
        let differs = row.ends.windows(2).any(|pair| pair[0] != pair[1]);
        judged && !self.masked && !self.all && differs && !self.counts(row)
    }

    /// The lines of memory that are shown.
    #[must_use]
    pub fn memory_lines(&self) -> Vec<MemoryLine> {
        let ends: Vec<&Observation> = self.ends.iter().map(|(_, end)| *end).collect();
        memory_lines(self.case, &ends, self.comparison, &self.memory)
    }

    fn memory_text(&self) -> String {
        let titles: Vec<&str> = self.ends.iter().map(|(title, _)| title.as_str()).collect();
        hex_diff(
            &self.memory_lines(),
            &titles,
            self.memory.format,
            self.color,
            self.width,
        )
    }

    /// The states of both ends, when there are two that differ in `value`.
    fn differing<T: PartialEq>(&self, value: impl Fn(&MachineState) -> T) -> Option<(T, T)> {
        let [(_, expected), (_, actual)] = &self.ends[..] else {
            return None;
        };
        let (expected, actual) = (value(&expected.state), value(&actual.state));
        (expected != actual).then_some((expected, actual))
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
                (
                    Some(Field::Vector { register, first, .. }),
                    Field::Vector {
                        register: other,
                        first: from,
                        last,
                    },
                ) => register == other && usize::from(from) < usize::from(first) + ROW && first <= last,
                (Some(Field::Flag { flag: 0 }), Field::Flag { .. }) => true,
                (Some(Field::Endpoint), Field::Endpoint | Field::FaultAddress) => true,
                (field, other) => field == Some(other),
            })
    }

    fn rows(&self) -> Vec<Row> {
        let mut rows = vec![Row {
            group: Group::End,
            name: "ends".to_owned(),
            before: format!("at {:#x}", self.case.code_address()),
            ends: self
                .ends
                .iter()
                .map(|(_, observation)| endpoint_words(&observation.endpoint))
                .collect(),
            field: Some(Field::Endpoint),
            detail: Vec::new(),
        }];
        self.general(&mut rows);
        self.flags(&mut rows);
        for (name, field, base) in [
            (
                "fs.base",
                Field::FsBase,
                (|state| state.fs_base) as fn(&MachineState) -> u64,
            ),
            ("gs.base", Field::GsBase, |state| state.gs_base),
        ] {
            let show = |state: &MachineState| format!("{:x}", base(state));
            if self.push(&mut rows, Group::SegmentBases, false, name, Some(field), show) {
                add_detail(&mut rows, self.differing(base).map(number_distance));
            }
        }
        self.vectors(&mut rows);
        for register in 0..8_u8 {
            let mask = |state: &MachineState| state.opmask[usize::from(register)];
            let show = |state: &MachineState| format!("{:016x}", mask(state));
            let (name, field) = (format!("k{register}"), Some(Field::Opmask { register }));
            if self.push(&mut rows, Group::Vectors, false, &name, field, show) {
                add_detail(&mut rows, self.differing(mask).map(number_distance));
            }
        }
        let mxcsr = |state: &MachineState| u64::from(state.mxcsr);
        let show = |state: &MachineState| format!("{:08x}", state.mxcsr);
        if self.push(&mut rows, Group::Mxcsr, false, "mxcsr", Some(Field::Mxcsr), show) {
            add_details(&mut rows, self.named(Field::Mxcsr, &MXCSR, mxcsr));
        }
        self.x87(&mut rows);
        rows
    }

    fn general(&self, rows: &mut Vec<Row>) {
        let used = used(self.case);
        for (register, name) in GPR_NAMES.iter().enumerate() {
            let always = used & (1 << register) != 0;
            let field = Field::Gpr {
                register: register as u8,
            };
            let show = |state: &MachineState| format!("{:016x}", state.gpr[register]);
            if self.push(rows, Group::General, always, name, Some(field), show) {
                add_detail(
                    rows,
                    self.differing(|state| state.gpr[register]).map(number_distance),
                );
            }
        }
    }

    fn flags(&self, rows: &mut Vec<Row>) {
        if !self.flag_detail {
            let field = Some(Field::Flag { flag: 0 });
            let show = |state: &MachineState| set_fields(&FLAGS, state.rflags);
            if self.push(rows, Group::Flags, true, "flags", field, show) {
                add_details(
                    rows,
                    self.named(Field::Flag { flag: 0 }, &FLAGS, |state| state.rflags),
                );
            }
            return;
        }
        for flag in FLAGS {
            let field = Some(Field::Flag { flag: flag.mask() });
            let show = |state: &MachineState| flag.value_in_register(state.rflags).to_string();
            if self.push(rows, Group::Flags, true, flag.name, field, show) {
                add_detail(rows, Some(flag.meaning.to_owned()));
            }
        }
    }

    /// A sentence for each named field of the part `of` in which two ends differ.
    fn named(
        &self,
        of: Field,
        fields: &[NamedField],
        register: impl Fn(&MachineState) -> u64,
    ) -> Vec<String> {
        let Some((expected, actual)) = self.differing(register) else {
            return Vec::new();
        };
        let counted = self.counted_bits(of);
        differing_fields(fields, expected, actual)
            .filter(|(field, _)| self.masked || self.all || field.mask() & counted != 0)
            .map(|(field, sentence)| {
                let open = if field.mask() & counted == 0 {
                    " (left open)"
                } else {
                    ""
                };
                format!("{sentence}{open}: {}", field.meaning)
            })
            .collect()
    }

    /// The bits of a register that differ and count.
    fn counted_bits(&self, of: Field) -> u64 {
        let Some(Comparison::Diverged(divergence)) = self.comparison else {
            return 0;
        };
        let bits = divergence.differences.iter().map(|difference| {
            match (difference.field, &difference.differing, of) {
                (Field::Flag { flag }, _, Field::Flag { .. }) => flag,
                (field, Value::Number(bits), of) if field == of => *bits,
                _ => 0,
            }
        });
        bits.fold(0, |all, bits| all | bits)
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
                self.push(rows, Group::Vectors, false, &name, Some(field), show);
            }
            let lanes = self.lanes(usize::from(register), bytes);
            add_details(rows, lanes);
        }
    }

    /// The lanes of a vector register in which two ends differ.
    fn lanes(&self, register: usize, bytes: usize) -> Vec<String> {
        let Some((expected, actual)) = self.differing(|state| state.vectors[register]) else {
            return Vec::new();
        };
        let Some((kind, mnemonic)) = LaneType::of_register(&self.case.block, register) else {
            return Vec::new();
        };
        let lanes = kind.differing_lanes(&expected[..bytes], &actual[..bytes]);
        let shown = lanes.iter().map(|lane| {
            format!(
                "{}[{}] of {mnemonic}: {}, not {} ({})",
                kind.name(),
                lane.index,
                lane.actual,
                lane.expected,
                lane.distance
            )
        });
        shown.collect()
    }

    fn x87(&self, rows: &mut Vec<Row>) {
        let word = |value: u16| format!("{value:04x}");
        let control = |state: &MachineState| u64::from(state.x87.control);
        let show = |state: &MachineState| word(state.x87.control);
        if self.push(rows, Group::X87, false, "control", Some(Field::X87Control), show) {
            add_details(rows, self.named(Field::X87Control, &X87_CONTROL, control));
        }
        let status = |state: &MachineState| u64::from(state.x87.status);
        let show = |state: &MachineState| word(state.x87.status);
        if self.push(rows, Group::X87, false, "status", Some(Field::X87Status), show) {
            add_details(rows, self.named(Field::X87Status, &X87_STATUS, status));
        }
        let tags = |state: &MachineState| format!("{:08b}", state.x87.tags);
        if self.push(rows, Group::X87, false, "tags", Some(Field::X87Tags), tags) {
            let sentence = |(expected, actual): (u8, u8)| {
                let registers: Vec<String> = (0..8)
                    .filter(|register| (expected ^ actual) >> register & 1 != 0)
                    .map(|register| format!("R{register}"))
                    .collect();
                format!(
                    "in use or not: {} (1 is in use; R0 is the last digit)",
                    registers.join(" ")
                )
            };
            add_detail(rows, self.differing(|state| state.x87.tags).map(sentence));
        }
        for index in 0..8_u8 {
            let register = |state: &MachineState| state.x87.st[usize::from(index)];
            let show = |state: &MachineState| {
                let mut bytes = register(state);
                bytes.reverse();
                hex::encode(bytes)
            };
            let field = Some(Field::X87Register { index });
            if self.push(rows, Group::X87, false, &format!("st({index})"), field, show) {
                let lines = self.differing(register).map(extended_lines);
                add_details(rows, lines.unwrap_or_default());
            }
        }
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

    /// Adds a row if it changed, or `always`. Whether it did.
    fn push(
        &self,
        rows: &mut Vec<Row>,
        group: Group,
        always: bool,
        name: &str,
        field: Option<Field>,
        show: impl Fn(&MachineState) -> String,
    ) -> bool {
        let before = show(&self.case.state);
        let ends: Vec<String> = self
            .ends
            .iter()
            .map(|(_, observation)| show(&observation.state))
            .collect();
        let shown = self.all || always || ends.iter().any(|end| *end != before);
        if shown {
            rows.push(Row {
                group,
                name: name.to_owned(),
                before,
                ends,
                field,
                detail: Vec::new(),
            });
        }
        shown
    }
}

/// Adds a line to the last row.
fn add_detail(rows: &mut [Row], line: Option<String>) {
    add_details(rows, line.into_iter().collect());
}

/// Adds lines to the last row.
fn add_details(rows: &mut [Row], lines: Vec<String>) {
    if let Some(row) = rows.last_mut() {
        row.detail.extend(lines);
    }
}

/// How two numbers differ: `+1, xor 0x3`.
fn number_distance((expected, actual): (u64, u64)) -> String {
    let delta = i128::from(actual) - i128::from(expected);
    // The shorter way round: a register has no sign.
    let delta = match delta {
        delta if delta > i128::from(i64::MAX) => delta - (1 << 64),
        delta if delta < i128::from(i64::MIN) => delta + (1 << 64),
        delta => delta,
    };
    format!("{delta:+}, xor {:#x}", expected ^ actual)
}

/// Two x87 numbers in their parts, and how far they are apart.
fn extended_lines((expected, actual): ([u8; 10], [u8; 10])) -> Vec<String> {
    let (expected, actual) = (Extended::new(expected), Extended::new(actual));
    let mut lines = vec![format!("is  {actual}"), format!("not {expected}")];
    // Numbers of different size are not near each other in any useful sense.
    const NEAR: u128 = 1 << 64;
    if let Some(distance) = expected.distance_to(actual).filter(|distance| *distance < NEAR) {
        let unit = if distance == 1 { "ulp" } else { "ulps" };
        lines.push(format!("{distance} {unit} apart"));
    }
    lines
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
    for instruction in &mut intel_decoder(&case.block.bytes, case.block.address) {
        for register in factory.info(&instruction).used_registers() {
            let register = register.register().full_register();
            if register.is_gpr64() {
                used |= 1 << register.number();
            }
        }
    }
    used
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

#[cfg(test)]
mod tests;
