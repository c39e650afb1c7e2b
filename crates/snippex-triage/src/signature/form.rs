//! The form of an instruction: what is left of it without register numbers and values.

use snippex_core::decode::{Refusal, block_instructions, intel_decoder, refused_text};
use std::fmt;

use iced_x86::Instruction;
use serde::{Deserialize, Serialize};

use snippex_core::block::Block;
use snippex_core::effects::BlockEffects;

/// What an instruction is apart from register numbers and values.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CodeForm {
    /// Mnemonic and operand kinds with their widths: `shl r32, cl`.
    pub text: String,
    /// The encoding, named as the decoder library does (`Test_rm8_imm8_F6r1`), and the prefixes that do not belong to
    /// it (`+a32`): two encodings of one instruction may be translated by different code.
    pub encoding: String,
}

impl fmt::Display for CodeForm {
    /// The text, with what is unusual about the encoding.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        match self.encoding.split_once('+') {
            Some((_, prefixes)) => write!(f, " [{prefixes}]"),
            None => Ok(()),
        }
    }
}

/// Form of instruction `index` of `block`, and the instruction.
pub(super) fn code_form_at(block: &Block, index: usize) -> Option<(CodeForm, Instruction)> {
    let found = block_instructions(block).nth(index)?;
    let (instruction, bytes) = (found.instruction, found.bytes);
    if instruction.is_invalid() {
        return Some((refused_form(bytes), instruction));
    }
    let mut text = BlockEffects::new(block).instruction_form(index)?;
    for (is, suffix) in [
        (instruction.has_op_mask(), " {k}"),
        (instruction.zeroing_masking(), " {z}"),
        (instruction.is_broadcast(), " {broadcast}"),
        (
            instruction.rounding_control() != iced_x86::RoundingControl::None,
            " {er}",
        ),
        (instruction.suppress_all_exceptions(), " {sae}"),
    ] {
        if is {
            text.push_str(suffix);
        }
    }
    let mut encoding = format!("{:?}", instruction.code());
    for prefix in prefixes(bytes, &instruction) {
        encoding.push('+');
        encoding.push_str(prefix);
    }
    Some((CodeForm { text, encoding }, instruction))
}

/// The form of a refused encoding: what a decoder takes it for that minds no reserved bit, and why it is refused.
fn refused_form(bytes: &[u8]) -> CodeForm {
    CodeForm {
        text: refused_text(bytes),
        encoding: format!("INVALID_{}", Refusal::of_bytes(bytes).name()),
    }
}

/// Prefixes without which it would be the same instruction, each named once, in alphabetical order.
fn prefixes(bytes: &[u8], instruction: &Instruction) -> Vec<&'static str> {
    let mut names = Vec::new();
    let count = legacy_prefixes(bytes);
    for (at, byte) in bytes.iter().enumerate().take(count) {
        if is_rex(*byte) {
            // Only in front of the opcode it counts; there it is part of the encoding.
            names.push("lost-rex");
        } else if let Some(name) = name(*byte)
            && is_redundant(bytes, at, instruction)
        {
            names.push(name);
        }
    }
    names.sort_unstable();
    names.dedup();
    names
}

/// Bytes in front of the opcode, without a REX that is right in front of it.
fn legacy_prefixes(bytes: &[u8]) -> usize {
    let run = bytes
        .iter()
        .take_while(|byte| name(**byte).is_some() || is_rex(**byte))
        .count();
    match run.checked_sub(1) {
        Some(last) if is_rex(bytes[last]) => last,
        _ => run,
    }
}

fn is_rex(byte: u8) -> bool {
    byte & 0xf0 == 0x40
}

fn name(byte: u8) -> Option<&'static str> {
    Some(match byte {
        0x26 | 0x2e | 0x36 | 0x3e => "null-segment",
        0x64 | 0x65 => "segment",
        0x66 => "66",
        0x67 => "a32",
        0xf0 => "lock",
        0xf2 => "f2",
        0xf3 => "f3",
        _ => return None,
    })
}

/// Whether the instruction keeps its code when the byte `at` is left out.
fn is_redundant(bytes: &[u8], at: usize, instruction: &Instruction) -> bool {
    let mut shorter = bytes.to_vec();
    shorter.remove(at);
    let mut decoder = intel_decoder(&shorter, instruction.ip());
    let without = decoder.decode();
    without.code() == instruction.code() && without.len() == shorter.len()
}
