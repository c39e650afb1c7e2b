//! The text of an instruction that is known to assemble to its bytes.

use iced_x86::{Formatter, Instruction, NasmFormatter};

use snippex_core::block::Block;
use snippex_core::decode::{BlockInstruction, block_instructions};

/// How an instruction can be written in an assembler file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// As this text, which NASM assembles to the instruction's bytes.
    Text(String),
    /// As bytes: no text gives them.
    Bytes,
}

impl Spelling {
    /// What to try for each instruction of `block`: its text in NASM's syntax, with the bytes it has to give. `None` for
    /// instructions whose text depends on where they lie.
    #[must_use]
    pub fn candidates_for(block: &Block) -> Vec<(Option<String>, Vec<u8>)> {
        let spell = |found: BlockInstruction<'_>| {
            let instruction = found.instruction;
            let fixed = !instruction.is_invalid() && !depends_on_address(&instruction);
            (
                fixed.then(|| render_instruction(&instruction)),
                found.bytes.to_vec(),
            )
        };
        block_instructions(block).map(spell).collect()
    }
}

/// Whether the bytes mean something else at another address.
pub(super) fn depends_on_address(instruction: &Instruction) -> bool {
    instruction.is_ip_rel_memory_operand() || instruction.near_branch_target() != 0
}

/// In NASM's syntax.
pub(super) fn render_instruction(instruction: &Instruction) -> String {
    let mut formatter = NasmFormatter::new();
    let options = formatter.options_mut();
    options.set_space_after_operand_separator(true);
    options.set_hex_prefix("0x");
    options.set_hex_suffix("");
    let mut text = String::new();
    formatter.format(instruction, &mut text);
    text
}
