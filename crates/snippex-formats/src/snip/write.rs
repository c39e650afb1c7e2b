//! A case as text.

use std::fmt::Write as _;

use iced_x86::{Formatter, IntelFormatter};

use super::registers::{changed_register_lines, flag_names, format_grouped_hex};
use super::words::Named;
use super::{Snip, SnipExpectation, derived};
use snippex_core::address_space::{CODE_DISTANCE, IMAGE_BASE};
use snippex_core::block::Block;
use snippex_core::case::Case;
use snippex_core::decode::{block_instructions, refused_text};
use snippex_core::effects::{BlockEffects, Rule};
use snippex_core::observation::{Endpoint, LINE_SIZE, signal_name};
use snippex_core::state::{Components, MachineState};

/// Bytes of memory in a line.
const ROW: usize = 16;
/// Column at which comments begin, where there is room.
const COMMENT: usize = 36;

/// What is written so far.
struct Text(String);

impl Text {
    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.0, "{line}").expect("writing to a string cannot fail");
    }

    /// A line with a comment behind it, if there is one.
    fn noted(&mut self, line: &str, comment: &str) {
        if comment.is_empty() {
            self.line(format_args!("{line}"));
        } else {
            self.line(format_args!("{line:<COMMENT$}  # {comment}"));
        }
    }
}

pub(super) fn render_snip(snip: &Snip) -> String {
    let mut text = Text(String::new());
    text.line(format_args!("snip 1"));
    let title = one_line(&snip.title);
    if !title.is_empty() {
        text.line(format_args!("title {title}"));
    }
    for note in &snip.notes {
        text.line(format_args!("{}", format!("note {}", one_line(note)).trim_end()));
    }
    if !snip.needs.is_empty() {
        text.line(format_args!("needs {}", snip.needs.join(" ")));
    }
    write_block(&mut text, &snip.case);
    text.line(format_args!("start"));
    write_registers(&mut text, &MachineState::default(), &snip.case.state);
    for page in snip.case.pages.iter() {
        text.line(format_args!(
            "page {} {}",
            format_grouped_hex(page.address),
            page.access.name()
        ));
        for (index, row) in page.content.chunks_exact(ROW).enumerate() {
            if let Some((first, last)) = span(row, &[0; ROW]) {
                let bytes = spaced(&row[first..=last]);
                text.line(format_args!("  {:#05x}: {bytes}", index * ROW + first));
            }
        }
    }
    if let Some(end) = &snip.end {
        write_end(&mut text, &snip.case, end);
    }
    text.0
}

fn write_block(text: &mut Text, case: &Case) {
    let block = &*case.block;
    let usual = derived::derive_block(block.address, block.bytes.clone());
    let runs_at = format!("runs at {}", format_grouped_hex(case.code_address()));
    text.noted(&format!("block {}", format_grouped_hex(block.address)), &runs_at);
    if block.origin != usual.origin {
        text.line(format_args!("  origin {}", block.origin.name()));
    }
    if block.terminator != usual.terminator {
        text.line(format_args!("  terminator {}", block.terminator.name()));
    }
    if block.instruction_count != usual.instruction_count {
        text.line(format_args!("  instructions {}", block.instruction_count));
    }
    if block.successors != derived::derive_successors(block) {
        let all: String = block
            .successors
            .iter()
            .map(|address| format!(" {}", format_grouped_hex(*address)))
            .collect();
        text.line(format_args!("  successors{all}"));
    }
    if let Some(reason) = block.unrunnable {
        text.line(format_args!("  unrunnable {}", reason.name()));
    }
    if case.placement.image_base != IMAGE_BASE {
        text.line(format_args!(
            "  image-base {}",
            format_grouped_hex(case.placement.image_base)
        ));
    }
    if case.placement.code_base != IMAGE_BASE + CODE_DISTANCE {
        text.line(format_args!(
            "  code-base {}",
            format_grouped_hex(case.placement.code_base)
        ));
    }
    for (bytes, build_instruction) in disassemble_block(block) {
        text.noted(&format!("  code {}", spaced(&bytes)), &build_instruction);
    }
}

/// Bytes and text of each instruction; every byte of the block is in one.
pub(crate) fn disassemble_block(block: &Block) -> Vec<(Vec<u8>, String)> {
    let mut formatter = IntelFormatter::new();
    formatter.options_mut().set_space_after_operand_separator(true);
    formatter.options_mut().set_hex_prefix("0x");
    formatter.options_mut().set_hex_suffix("");
    let mut all = Vec::new();
    for found in block_instructions(block) {
        let mut text = String::new();
        if found.instruction.is_invalid() {
            text = refused_text(found.bytes);
        } else {
            formatter.format(&found.instruction, &mut text);
        }
        all.push((found.bytes.to_vec(), text));
    }
    all
}

fn write_registers(text: &mut Text, before: &MachineState, state: &MachineState) {
    for line in changed_register_lines(before, state) {
        text.noted(&format!("  {} = {}", line.name, line.value), &line.comment);
    }
}

fn write_end(text: &mut Text, case: &Case, end: &SnipExpectation) {
    let observation = &end.observation;
    match observation.endpoint {
        Endpoint::Exit { target } => text.line(format_args!("end exit {}", format_grouped_hex(target))),
        Endpoint::Signal(signal) => {
            let mut line = format!(
                "end signal {} at {}",
                signal.number,
                format_grouped_hex(signal.rip)
            );
            if signal.code != 0 {
                line += &format!(" code {}", signal.code);
            }
            if signal.address != 0 {
                line += &format!(" address {}", format_grouped_hex(signal.address));
            }
            if signal.write {
                line += " write";
            }
            text.noted(&line, &signal_name(i32::from(signal.number)));
        }
        Endpoint::Hung => text.line(format_args!("end hung")),
        Endpoint::EngineDied { signal: None } => text.line(format_args!("end died")),
        Endpoint::EngineDied { signal: Some(number) } => text.line(format_args!("end died {number}")),
    }
    let open = open(case, observation);
    if !open.is_empty() {
        text.line(format_args!("  # not compared: {open}"));
    }
    if end.covered != Components::ALL {
        let names: Vec<&str> = end.covered.names().collect();
        text.line(format_args!(
            "{}",
            format!("  covers {}", names.join(" ")).trim_end()
        ));
    }
    write_registers(text, &case.state, &observation.state);
    for line in &observation.memory {
        let before = derived::initial_line_at(case, line.address);
        // A line that is listed but unchanged is written whole, so that it is read again.
        let (first, last) = span(&line.bytes, &before).unwrap_or((0, LINE_SIZE - 1));
        for start in (first..=last).step_by(ROW) {
            let bytes = spaced(&line.bytes[start..=last.min(start + ROW - 1)]);
            text.line(format_args!(
                "  memory {}: {bytes}",
                format_grouped_hex(line.address.wrapping_add(start as u64))
            ));
        }
    }
}

/// What the manuals leave open at this end, in words.
fn open(case: &Case, observation: &snippex_core::observation::Observation) -> String {
    if !matches!(observation.endpoint, Endpoint::Exit { .. } | Endpoint::Signal(_)) {
        return String::new();
    }
    let mask =
        BlockEffects::new(&case.block).mask_at_endpoint(case, &observation.endpoint, &observation.state);
    let mut words = Vec::new();
    let flags = mask.flag_bits();
    if flags != 0 {
        words.extend(flag_names(flags | snippex_core::state::rflags::INITIAL));
    }
    let mut rules = mask.flag_rules(u64::MAX);
    for bits in mask.gpr.iter().chain(&mask.vectors).chain(&mask.opmask) {
        rules |= bits.rules;
    }
    for lanes in &mask.approximations {
        rules |= snippex_core::effects::RuleSet::from_rule(lanes.rule);
    }
    for precision in mask.st {
        rules |= precision.rules();
    }
    rules |= mask.status_rules(mask.status_bits());
    words.extend(rules.iter().map(|rule: Rule| format!("({})", rule.info().id)));
    words.join(" ")
}

/// First and last byte in which the two differ.
fn span(bytes: &[u8], before: &[u8]) -> Option<(usize, usize)> {
    let differs = |index: &usize| bytes[*index] != before[*index];
    let first = (0..bytes.len()).find(differs)?;
    Some((first, (0..bytes.len()).rfind(differs)?))
}

fn spaced(bytes: &[u8]) -> String {
    let words: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    words.join(" ")
}

/// `text` on one line, without what could end it.
pub(super) fn one_line(text: &str) -> String {
    let words: Vec<&str> = text
        .split(|character: char| character.is_control() || character.is_whitespace())
        .filter(|word| !word.is_empty())
        .collect();
    words.join(" ")
}
