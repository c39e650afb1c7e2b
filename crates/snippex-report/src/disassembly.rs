//! Instructions as people read them, by capstone.

use capstone::prelude::*;
use iced_x86::{Formatter, IntelFormatter};
use serde::Serialize;
use snippex_core::block::{Block, Terminator};
use snippex_core::decode::{block_instructions, refused_text};

/// How instructions are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Syntax {
    /// `mov rax, rbx`
    #[default]
    Intel,
    /// `movq %rbx, %rax`
    Att,
}

/// Capstone cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up the {what}")]
pub struct DecoderError {
    pub(crate) what: &'static str,
    pub(crate) source: capstone::Error,
}

/// One instruction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Address in the file, as `0x401000`.
    pub address: String,
    /// Hexadecimal, without spaces.
    pub bytes: String,
    /// Mnemonic and operands.
    pub text: String,
}

/// Where control goes at the end of a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Exit {
    /// `taken`, `falls through`, `jumps`, `calls`.
    pub kind: &'static str,
    /// Address in the file; missing when only the run tells.
    pub address: Option<String>,
}

/// Writes instructions.
#[derive(Debug)]
pub struct Disassembler(Capstone);

impl Disassembler {
    /// Sets one up.
    ///
    /// # Errors
    /// When capstone was built without x86, or is out of memory.
    pub fn new(syntax: Syntax) -> Result<Self, DecoderError> {
        let syntax = match syntax {
            Syntax::Intel => arch::x86::ArchSyntax::Intel,
            Syntax::Att => arch::x86::ArchSyntax::Att,
        };
        let build = Capstone::new()
            .x86()
            .mode(arch::x86::ArchMode::Mode64)
            .syntax(syntax)
            .build();
        build.map(Self).map_err(|source| DecoderError {
            what: "disassembler",
            source,
        })
    }

    /// The instructions of a block. Where capstone does not know one, the block's own decoder writes it.
    #[must_use]
    pub fn disassemble_block(&self, block: &Block) -> Vec<Line> {
        let mut lines = Vec::new();
        for found in block_instructions(block) {
            let (instruction, bytes) = (found.instruction, found.bytes);
            let text = if instruction.is_invalid() {
                refused_text(bytes)
            } else {
                self.text(bytes, instruction.ip()).unwrap_or_else(|| {
                    let mut text = String::new();
                    IntelFormatter::new().format(&instruction, &mut text);
                    text
                })
            };
            lines.push(Line {
                address: format!("{:#x}", instruction.ip()),
                bytes: crate::format_hex(bytes),
                text,
            });
        }
        lines
    }

    /// `None` unless capstone sees exactly one instruction in all of `bytes`.
    fn text(&self, bytes: &[u8], address: u64) -> Option<String> {
        let found = self.0.disasm_count(bytes, address, 1).ok()?;
        let instruction = found.first().filter(|found| found.bytes().len() == bytes.len())?;
        let mnemonic = instruction.mnemonic()?;
        Some(match instruction.op_str().unwrap_or_default() {
            "" => mnemonic.to_owned(),
            operands => format!("{mnemonic:<7} {operands}"),
        })
    }
}

/// Where control goes at the end of `block`.
#[must_use]
pub fn block_exits(block: &Block) -> Vec<Exit> {
    let exit = |kind, address: Option<&u64>| Exit {
        kind,
        address: address.map(|address| format!("{address:#x}")),
    };
    let mut targets = block.successors.iter();
    match block.terminator {
        Terminator::Jcc | Terminator::Loop => {
            vec![exit("taken", targets.next()), exit("not taken", targets.next())]
        }
        Terminator::FallThrough => vec![exit("falls through", targets.next())],
        Terminator::Jmp => vec![exit("jumps", targets.next())],
        Terminator::Call => vec![exit("calls", targets.next())],
        Terminator::IndirectJmp => vec![exit("jumps", None)],
        Terminator::IndirectCall => vec![exit("calls", None)],
        Terminator::Ret => vec![exit("returns", None)],
        Terminator::Syscall => vec![exit("enters the kernel", None)],
        Terminator::Trap => vec![exit("raises a signal", None)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use snippex_core::block::Origin;

    fn block(bytes: &[u8], terminator: Terminator, successors: &[u64]) -> Block {
        Block {
            address: 0x1000,
            bytes: bytes.to_vec(),
            instruction_count: 0,
            terminator,
            successors: successors.to_vec(),
            origin: Origin::Entry,
            unrunnable: None,
        }
    }

    #[test]
    fn instructions_are_written_in_either_syntax() {
        let block = block(
            &[0x48, 0x89, 0xd8, 0x74, 0xfb],
            Terminator::Jcc,
            &[0x1000, 0x1005],
        );
        let text = |syntax| -> Vec<String> {
            let lines = Disassembler::new(syntax).unwrap().disassemble_block(&block);
            lines
                .into_iter()
                .map(|line| format!("{} {}", line.bytes, line.text))
                .collect()
        };
        assert_eq!(
            text(Syntax::Intel),
            ["4889d8 mov     rax, rbx", "74fb je      0x1000"]
        );
        assert_eq!(
            text(Syntax::Att),
            ["4889d8 movq    %rbx, %rax", "74fb je      0x1000"]
        );
        let exits: Vec<_> = block_exits(&block)
            .into_iter()
            .map(|exit| (exit.kind, exit.address.unwrap()))
            .collect();
        assert_eq!(
            exits,
            [("taken", "0x1000".to_owned()), ("not taken", "0x1005".to_owned())]
        );
    }

    #[test]
    fn bytes_that_do_not_decode_are_shown_as_such() {
        let lines = Disassembler::new(Syntax::Intel)
            .unwrap()
            .disassemble_block(&block(&[0x06], Terminator::Trap, &[]));
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].text, "invalid 06");
    }
}
