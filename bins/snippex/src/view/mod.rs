//! How things are shown: plain values in, text or JSON-ready values out.

pub(crate) mod analysis;
pub(crate) mod bugs;
pub(crate) mod coverage;
pub(crate) mod difference;
pub(crate) mod disassembly;
pub(crate) mod ends;
pub(crate) mod report;
pub(crate) mod selection;
pub(crate) mod state;
mod summary;

use cli_kit::Table;
use serde::Serialize;
use snippex_core::block::Block;

/// The word that an enum value is stored and shown as, such as `fall-through`.
pub(crate) fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

/// A table without a line of column names.
pub(crate) fn untitled(table: &Table) -> String {
    table.to_string().trim_start_matches('\n').to_owned()
}

/// A number with its thousands apart: `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
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
pub(crate) fn percent(part: u64, whole: u64) -> String {
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
pub(crate) fn several(count: u64, thing: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", grouped(count))
}

/// Bytes as digits: `48 89 e5`.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let words: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    words.join(" ")
}

/// A block for programs.
#[derive(Debug, Serialize)]
pub(crate) struct BlockView<'a> {
    pub(crate) number: i64,
    /// Address in the file, as `0x401000`.
    pub(crate) address: String,
    pub(crate) size: usize,
    pub(crate) instructions: u32,
    pub(crate) terminator: String,
    pub(crate) origin: String,
    /// Kinds of its instructions.
    pub(crate) kinds: Vec<&'static str>,
    pub(crate) memory_operands: u32,
    /// Addresses that control can go to.
    pub(crate) successors: Vec<String>,
    /// Why it is not run.
    pub(crate) unrunnable: Option<String>,
    /// Hexadecimal.
    pub(crate) bytes: String,
    /// Name of the binary.
    pub(crate) binary: &'a str,
}

impl<'a> BlockView<'a> {
    pub(crate) fn new(number: i64, block: &Block, binary: &'a str) -> Self {
        let features = snippex_blocks::select::features(&block.bytes, block.address);
        Self {
            number,
            address: format!("{:#x}", block.address),
            size: block.bytes.len(),
            instructions: block.instruction_count,
            terminator: word(&block.terminator),
            origin: word(&block.origin),
            kinds: features.kinds.names().collect(),
            memory_operands: features.memory_operands,
            successors: block
                .successors
                .iter()
                .map(|address| format!("{address:#x}"))
                .collect(),
            unrunnable: block.unrunnable.as_ref().map(word),
            bytes: block.bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
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
            [0, 999, 1000, 1_234_567].map(grouped),
            ["0", "999", "1,000", "1,234,567"]
        );
    }

    #[test]
    fn nearly_all_is_not_all() {
        assert_eq!(percent(1, 2), "50.0 %");
        assert_eq!(percent(99_999, 100_000), "> 99.9 %");
        assert_eq!(percent(1, 100_000), "< 0.1 %");
        assert_eq!(percent(0, 0), "0.0 %");
        assert_eq!(percent(7, 7), "100.0 %");
    }

    #[test]
    fn one_is_not_many() {
        assert_eq!(several(1, "block"), "1 block");
        assert_eq!(several(1200, "block"), "1,200 blocks");
    }
}
