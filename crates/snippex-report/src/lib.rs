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
pub mod disassembly;
pub mod ends;
mod engine;
mod mermaid;
pub mod regression;
pub mod report;
pub mod selection;
pub mod state;
pub mod storage;

use cli_kit::Table;
use serde::Serialize;
use snippex_core::block::Block;
use snippex_core::words::kebab_case;

pub use engine::EngineView;
pub use report_kit::{data_table, format_count, format_number, format_percent, prometheus};

/// A table without a line of column names.
#[must_use]
pub fn render_headerless_table(table: &Table) -> String {
    table.to_string().trim_start_matches('\n').to_owned()
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
