//! What snippex found, as people and programs read it.
//!
//! Each module holds plain data that whoever found something fills in, serialised for programs, and functions that
//! make text of it for people: [`check`] a check's summary, [`bugs`] the list of bugs, [`state`] and [`ends`] how runs
//! ended, [`conformance`] what became of conformance tests, [`disassembly`] and [`analysis`] blocks, [`cache`] what earlier checks left, [`regression`] what differs from a
//! baseline, [`data_table`] and [`prometheus`] figures, [`selection`] and [`coverage`] which blocks there are and why,
//! [`report`] all of it in a file.
//!
//! The last stage of the flow. It prints nothing, asks no database and runs no engine; text is given back, with the
//! colours of [`cli_kit::style`], which printers leave out where they are not wanted.

pub mod analysis;
pub mod bugs;
pub mod cache;
pub mod check;
pub mod conformance;
pub mod coverage;
pub mod data_table;
pub mod disassembly;
pub mod ends;
mod engine;
pub mod prometheus;
pub mod regression;
pub mod report;
pub mod selection;
pub mod state;

use cli_kit::Table;
use serde::Serialize;
use snippex_core::block::Block;
use snippex_core::words::kebab_case;

pub use engine::EngineView;

/// A table without a line of column names.
#[must_use]
pub fn render_headerless_table(table: &Table) -> String {
    table.to_string().trim_start_matches('\n').to_owned()
}

/// A number with its thousands apart: `1,234,567`.
#[must_use]
pub fn format_number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A share in percent: `12.3 %`; nothing of nothing is 0.
#[must_use]
pub fn format_percent(part: u64, whole: u64) -> String {
    let share = if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64 * 100.0
    };
    let shown = format!("{share:.1}");
    match shown.as_str() {
        // What is not all must not look like all, and what is there must not look like nothing.
        "100.0" if part < whole => "> 99.9 %".to_owned(),
        "0.0" if part > 0 => "< 0.1 %".to_owned(),
        _ => format!("{shown} %"),
    }
}

/// `1 block`, `2 blocks`.
#[must_use]
pub fn format_count(count: u64, thing: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", format_number(count))
}

/// Bytes as digits: `48 89 e5`.
#[must_use]
pub fn spaced_hex(bytes: &[u8]) -> String {
    let words: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    words.join(" ")
}

/// Bytes as digits without spaces: `4889e5`.
#[must_use]
pub fn format_hex(bytes: &[u8]) -> String {
    hex::encode(bytes)
}

/// A block for programs.
#[derive(Debug, Serialize)]
pub struct BlockView<'a> {
    /// In the database.
    number: i64,
    /// Address in the file, as `0x401000`.
    address: String,
    /// In bytes.
    size: usize,
    instructions: u32,
    terminator: String,
    origin: String,
    /// Kinds of its instructions.
    kinds: Vec<&'static str>,
    memory_operands: u32,
    /// Addresses that control can go to.
    successors: Vec<String>,
    /// Why it is not run.
    unrunnable: Option<String>,
    /// Hexadecimal.
    bytes: String,
    /// Name of the binary.
    binary: &'a str,
}

impl<'a> BlockView<'a> {
    /// Block `number` of `binary`.
    #[must_use]
    pub fn new(number: i64, block: &Block, binary: &'a str) -> Self {
        let features = snippex_blocks::select::block_features(&block.bytes, block.address);
        Self {
            number,
            address: format!("{:#x}", block.address),
            size: block.bytes.len(),
            instructions: block.instruction_count,
            terminator: kebab_case(&block.terminator),
            origin: kebab_case(&block.origin),
            kinds: features.kinds.names().collect(),
            memory_operands: features.memory_operands,
            successors: block
                .successors
                .iter()
                .map(|address| format!("{address:#x}"))
                .collect(),
            unrunnable: block.unrunnable.as_ref().map(kebab_case),
            bytes: format_hex(&block.bytes),
            binary,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_apart() {
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(format_number),
            ["0", "999", "1,000", "1,234,567"]
        );
    }

    #[test]
    fn nearly_all_is_not_all() {
        assert_eq!(format_percent(1, 2), "50.0 %");
        assert_eq!(format_percent(99_999, 100_000), "> 99.9 %");
        assert_eq!(format_percent(1, 100_000), "< 0.1 %");
        assert_eq!(format_percent(0, 0), "0.0 %");
        assert_eq!(format_percent(7, 7), "100.0 %");
    }

    #[test]
    fn one_is_not_many() {
        assert_eq!(format_count(1, "block"), "1 block");
        assert_eq!(format_count(1200, "block"), "1,200 blocks");
    }
}
