//! What blocks are made of, counted.

use std::collections::BTreeMap;

use capstone::prelude::*;
use cli_kit::Table;
use cli_kit::style::{FAINT, HEADING};
use iced_x86::{Instruction, MemorySize, Register};
use serde::Serialize;
use snippex_blocks::select::{Category, block_features};
use snippex_core::block::Block;
use snippex_core::decode::{accesses_memory, instruction_kind, intel_decoder};
use snippex_core::words::kebab_case;

use crate::disassembly::DecoderError;
use crate::{format_count, format_number, format_percent};

/// Disagreements of the decoders that are shown.
const EXAMPLES: usize = 10;

/// Counts over blocks.
#[derive(Debug, Default, Serialize)]
pub struct Analysis {
    /// How many there were.
    pub blocks: u64,
    runnable: u64,
    bytes: u64,
    instructions: u64,
    /// Blocks by the number of their instructions: 1, 2-3, 4-7 and so on.
    sizes: BTreeMap<u32, u64>,
    terminators: BTreeMap<String, u64>,
    origins: BTreeMap<String, u64>,
    unrunnable: BTreeMap<String, u64>,
    /// Instructions by kind.
    kinds: BTreeMap<&'static str, u64>,
    /// Instructions by mnemonic.
    mnemonics: BTreeMap<String, u64>,
    /// Blocks by category of code in which emulators have had bugs.
    categories: BTreeMap<String, u64>,
    /// Memory operands by the form of their address.
    memory_forms: BTreeMap<&'static str, u64>,
    /// Memory operands by their size in bytes.
    memory_sizes: BTreeMap<usize, u64>,
    decoders: Decoders,
}

/// How far the second decoder agrees.
#[derive(Debug, Default, Serialize)]
struct Decoders {
    /// Instructions whose length capstone sees differently.
    disagreements: u64,
    /// Of these, instructions that capstone does not know.
    unknown: u64,
    examples: Vec<Disagreement>,
}

#[derive(Debug, Serialize)]
struct Disagreement {
    address: String,
    bytes: String,
    length: usize,
    capstone: Option<usize>,
}

/// Counts block by block.
#[derive(Debug)]
pub struct Analyzer {
    analysis: Analysis,
    second: Capstone,
}

impl Analyzer {
    /// Sets one up that has counted nothing.
    ///
    /// # Errors
    /// When capstone, the second decoder, cannot be used.
    pub fn new() -> Result<Self, DecoderError> {
        let second = Capstone::new().x86().mode(arch::x86::ArchMode::Mode64).build();
        Ok(Self {
            analysis: Analysis::default(),
            second: second.map_err(|source| DecoderError {
                what: "second decoder",
                source,
            })?,
        })
    }

    /// Counts a block.
    pub fn add_block(&mut self, block: &Block) {
        let analysis = &mut self.analysis;
        analysis.blocks += 1;
        analysis.bytes += block.bytes.len() as u64;
        analysis.instructions += u64::from(block.instruction_count);
        *analysis
            .sizes
            .entry(block.instruction_count.max(1).ilog2())
            .or_default() += 1;
        *analysis
            .terminators
            .entry(kebab_case(&block.terminator))
            .or_default() += 1;
        *analysis.origins.entry(kebab_case(&block.origin)).or_default() += 1;
        match &block.unrunnable {
            None => analysis.runnable += 1,
            Some(reason) => *analysis.unrunnable.entry(kebab_case(reason)).or_default() += 1,
        }
        let features = block_features(&block.bytes, block.address);
        for category in Category::ALL
            .iter()
            .filter(|category| features.categories & category.bit() != 0)
        {
            *analysis.categories.entry(kebab_case(category)).or_default() += 1;
        }
        for instruction in &mut intel_decoder(&block.bytes, block.address) {
            self.instruction(block, &instruction);
        }
    }

    /// What was counted.
    #[must_use]
    pub fn into_analysis(self) -> Analysis {
        self.analysis
    }

    fn instruction(&mut self, block: &Block, instruction: &Instruction) {
        let analysis = &mut self.analysis;
        for kind in instruction_kind(instruction).names() {
            *analysis.kinds.entry(kind).or_default() += 1;
        }
        let mnemonic = format!("{:?}", instruction.mnemonic()).to_lowercase();
        *analysis.mnemonics.entry(mnemonic).or_default() += 1;
        if accesses_memory(instruction) {
            *analysis.memory_forms.entry(form(instruction)).or_default() += 1;
            let size = instruction.memory_size();
            if size != MemorySize::Unknown {
                *analysis.memory_sizes.entry(size.size()).or_default() += 1;
            }
        }
        let start = (instruction.ip() - block.address) as usize;
        let found = self
            .second
            .disasm_count(&block.bytes[start..], instruction.ip(), 1)
            .ok();
        let length = found.and_then(|found| found.first().map(|found| found.bytes().len()));
        if length == Some(instruction.len()) {
            return;
        }
        let decoders = &mut analysis.decoders;
        decoders.disagreements += 1;
        decoders.unknown += u64::from(length.is_none());
        if decoders.examples.len() < EXAMPLES {
            decoders.examples.push(Disagreement {
                address: format!("{:#x}", instruction.ip()),
                bytes: crate::spaced_hex(&block.bytes[start..start + instruction.len()]),
                length: instruction.len(),
                capstone: length,
            });
        }
    }
}

/// The form of a memory operand's address.
fn form(instruction: &Instruction) -> &'static str {
    let has = |register: Register| register != Register::None;
    let (base, index) = (instruction.memory_base(), instruction.memory_index());
    let displacement = instruction.memory_displacement64() != 0;
    if has(instruction.segment_prefix()) {
        return "[segment:...]";
    }
    match (has(base), has(index)) {
        _ if instruction.is_ip_rel_memory_operand() => "[rip + displacement]",
        (true, true) if displacement => "[base + index*scale + displacement]",
        (true, true) => "[base + index*scale]",
        (true, false) if base == Register::RSP || base == Register::RBP => "[rsp or rbp + displacement]",
        (true, false) if displacement => "[base + displacement]",
        (true, false) => "[base]",
        (false, true) => "[index*scale + displacement]",
        (false, false) if displacement => "[displacement]",
        (false, false) => "string operand",
    }
}

impl Analysis {
    /// For people; long tables are cut to `top` rows.
    #[must_use]
    pub fn render_text(&self, top: usize) -> String {
        let mut parts = vec![format!(
            "{}, {} of them can be run, {} in {}",
            format_count(self.blocks, "block"),
            format_number(self.runnable),
            format_count(self.instructions, "instruction"),
            format_count(self.bytes, "byte"),
        )];
        let sizes = self.sizes.iter().map(|(&log, &count)| {
            let name = if log == 0 {
                "1".to_owned()
            } else {
                format!("{}-{}", 1 << log, (2 << log) - 1)
            };
            (name, count)
        });
        parts.push(table("blocks by instructions", sizes, self.blocks, usize::MAX));
        for (title, counts) in [
            ("blocks by end", &self.terminators),
            ("blocks by how they were found", &self.origins),
            ("blocks that are not run, by reason", &self.unrunnable),
            ("blocks by category of known problems", &self.categories),
        ] {
            parts.push(table(title, ranked(counts), self.blocks, usize::MAX));
        }
        parts.push(table(
            "instructions by kind",
            ranked(&self.kinds),
            self.instructions,
            usize::MAX,
        ));
        parts.push(table(
            "most frequent instructions",
            ranked(&self.mnemonics),
            self.instructions,
            top,
        ));
        let mut rare = ranked(&self.mnemonics);
        rare.reverse();
        parts.push(table("rarest instructions", rare, self.instructions, top));
        let operands = self.memory_forms.values().sum();
        parts.push(table(
            "memory operands by address",
            ranked(&self.memory_forms),
            operands,
            usize::MAX,
        ));
        let sizes = self
            .memory_sizes
            .iter()
            .map(|(size, count)| (format_count(*size as u64, "byte"), *count));
        parts.push(table("memory operands by size", sizes, operands, usize::MAX));
        parts.push(self.second_opinion());
        parts.retain(|part| !part.is_empty());
        parts.join("\n\n")
    }

    fn second_opinion(&self) -> String {
        let Decoders {
            disagreements,
            unknown,
            examples,
        } = &self.decoders;
        let mut text = format!(
            "{HEADING}second decoder{HEADING:#}\n capstone sees another length in {} of {} ({}), {} of which it does not know",
            format_number(*disagreements),
            format_count(self.instructions, "instruction"),
            format_percent(*disagreements, self.instructions),
            format_number(*unknown),
        );
        for example in examples {
            let other = example
                .capstone
                .map_or_else(|| "unknown".to_owned(), |length| length.to_string());
            text += &format!(
                "\n {FAINT}{}{FAINT:#}  {}  {FAINT}{} long, capstone: {other}{FAINT:#}",
                example.address, example.bytes, example.length
            );
        }
        text
    }
}

fn ranked<K: ToString>(counts: &BTreeMap<K, u64>) -> Vec<(String, u64)> {
    let mut rows: Vec<_> = counts
        .iter()
        .map(|(name, count)| (name.to_string(), *count))
        .collect();
    rows.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    rows
}

fn table(title: &str, rows: impl IntoIterator<Item = (String, u64)>, whole: u64, top: usize) -> String {
    let mut rows = rows.into_iter();
    let mut table = Table::new([title, "count", "share"])
        .align_right(1)
        .align_right(2);
    for (name, count) in rows.by_ref().take(if top == 0 { usize::MAX } else { top }) {
        table.add_row([name, format_number(count), format_percent(count, whole)]);
    }
    if table.is_empty() {
        return String::new();
    }
    let more = rows.count() as u64;
    if more == 0 {
        table.to_string()
    } else {
        format!("{table}\n {FAINT}and {more} more{FAINT:#}")
    }
}
