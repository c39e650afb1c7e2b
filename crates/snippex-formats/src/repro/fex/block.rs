//! The block as lines of NASM, with its exits led to the end of the test.

use iced_x86::{Instruction, Mnemonic, OpKind, Register};

use super::super::Reproducer;
use super::super::impossible::Impossible;
use super::super::memory::format_byte_list;
use super::super::spelling::{Spelling, depends_on_address, render_instruction};
use snippex_core::block::Terminator;
use snippex_core::case::{Case, PAGE_SIZE};
use snippex_core::decode::intel_decoder;
use snippex_core::observation::Endpoint;
use snippex_core::state::RSP;

/// Operands relative to RIP reach copies of their pages here.
const MOVED: u64 = 0x2000_0000;
const MOVED_MASK: u64 = 0x0fff_ffff;

/// The block's lines and what they need around them.
pub(super) struct BlockText {
    pub(super) code: String,
    /// Whether a conditional branch leads to `.taken`, and where this case goes.
    pub(super) taken: Option<bool>,
    /// A register that has to hold the address of `.end` at the start.
    pub(super) target_register: Option<usize>,
    /// A word of memory that has to hold the address of `.end` at the start.
    pub(super) target_word: Option<u64>,
    /// Pages that are reached relative to RIP.
    moved: Vec<u64>,
}

impl BlockText {
    /// Where a page of the case is put: where it was, and near the test when it is reached relative to RIP.
    pub(super) fn page_places(&self, page: u64) -> impl Iterator<Item = u64> {
        let copy = self.moved.contains(&page).then(|| moved(page));
        std::iter::once(page).chain(copy)
    }

    /// Where memory of the case is looked at after the block.
    pub(super) fn checked_address(&self, address: u64) -> u64 {
        let page = address & !(PAGE_SIZE as u64 - 1);
        self.page_places(page).last().unwrap_or(page) + (address - page)
    }
}

fn moved(address: u64) -> u64 {
    MOVED + (address & MOVED_MASK)
}

pub(super) fn build_block_text(reproducer: &Reproducer<'_>) -> Result<BlockText, Impossible> {
    let case = reproducer.case;
    let block = &*case.block;
    // Whether it can run at all is for lowering to say.
    let stub = snippex_core::lower::Stub {
        size: 0,
        push: |_, _| (),
    };
    snippex_core::lower::lower_block(block, case.placement, stub)?;
    let mut result = BlockText {
        code: String::new(),
        taken: None,
        target_register: None,
        target_word: None,
        moved: Vec::new(),
    };
    let mut decoder = intel_decoder(&block.bytes, block.address);
    let mut index = 0;
    while decoder.can_decode() {
        let start = decoder.position();
        let instruction = decoder.decode();
        let bytes = &block.bytes[start..decoder.position()];
        let is_last = !decoder.can_decode();
        if is_last && block.terminator != Terminator::FallThrough {
            result.terminator(reproducer, &instruction, bytes)?;
        } else if instruction.is_ip_rel_memory_operand() {
            let at = decoder.get_constant_offsets(&instruction).displacement_offset();
            result.relative(case, &instruction, bytes, at)?;
        } else {
            match reproducer.spelling.get(index) {
                Some(Spelling::Text(text)) if !depends_on_address(&instruction) => result.line(text),
                _ => result.line(&format!(
                    "db {} ; {}",
                    format_byte_list(bytes),
                    render_instruction(&instruction)
                )),
            }
        }
        index += 1;
    }
    Ok(result)
}

impl BlockText {
    fn line(&mut self, line: &str) {
        self.code += line;
        self.code.push('\n');
    }

    /// An instruction with an operand relative to RIP, whose displacement is at `at`.
    fn relative(
        &mut self,
        case: &Case,
        instruction: &Instruction,
        bytes: &[u8],
        at: usize,
    ) -> Result<(), Impossible> {
        if instruction.mnemonic() == Mnemonic::Lea {
            return Err(Impossible::Position("an address relative to RIP is a result"));
        }
        let target = instruction
            .ip_rel_memory_address()
            .wrapping_add(case.placement.image_base);
        let size = instruction.memory_size().size().max(1) as u64;
        for address in [target, target.wrapping_add(size - 1)] {
            let page = address & !(PAGE_SIZE as u64 - 1);
            if case.pages.iter().any(|known| known.address == page) && !self.moved.contains(&page) {
                self.moved.push(page);
            }
        }
        let after = bytes.len() - at - 4;
        self.line(&format!(
            "db {} ; {}, of a copy nearby",
            format_byte_list(&bytes[..at]),
            render_instruction(instruction)
        ));
        self.line(&format!(
            "dd {:#x} - 0x10000 - {} - ($ - $$)",
            moved(target),
            4 + after
        ));
        if after > 0 {
            self.line(&format!("db {}", format_byte_list(&bytes[bytes.len() - after..])));
        }
        Ok(())
    }

    fn terminator(
        &mut self,
        reproducer: &Reproducer<'_>,
        instruction: &Instruction,
        bytes: &[u8],
    ) -> Result<(), Impossible> {
        let case = reproducer.case;
        let Endpoint::Exit { target } = reproducer.expected.endpoint else {
            return Err(Impossible::NoEnd);
        };
        match case.block.terminator {
            Terminator::Jcc => {
                // The near form, so that the target is in reach whatever the original was.
                let condition = snippex_core::lower::jcc_opcode(instruction.condition_code() as u8);
                let code = condition.ok_or(snippex_core::lower::LowerError::Malformed)?;
                self.line(&format!(
                    "db 0x0f, {code:#04x} ; {}",
                    render_instruction(instruction)
                ));
                self.line("dd .taken - ($ + 4)");
                self.taken = Some(target != case.code_address() + case.block.bytes.len() as u64);
            }
            Terminator::Loop => {
                let (_, opcode) = bytes.split_last().ok_or(Impossible::NoEnd)?;
                self.line(&format!(
                    "db {} ; {}",
                    format_byte_list(opcode),
                    render_instruction(instruction)
                ));
                self.line("db .taken - ($ + 1)");
                self.taken = Some(target != case.code_address() + case.block.bytes.len() as u64);
            }
            Terminator::Jmp => self.line("jmp .end"),
            Terminator::Call => self.line("call .end"),
            Terminator::Ret => {
                let released = if instruction.op_count() == 1 {
                    u64::from(instruction.immediate16())
                } else {
                    0
                };
                let word = reproducer.expected.state.gpr[RSP].wrapping_sub(8 + released);
                if stored(case, word) != Some(target) {
                    return Err(Impossible::Position(
                        "it returns to an address that it has stored itself",
                    ));
                }
                self.target_word = Some(word);
                self.line(&format!(
                    "db {} ; {}",
                    format_byte_list(bytes),
                    render_instruction(instruction)
                ));
            }
            Terminator::IndirectJmp | Terminator::IndirectCall
                if instruction.op0_kind() == OpKind::Register =>
            {
                let register = instruction.op0_register();
                let number = (register as usize).wrapping_sub(Register::RAX as usize);
                if case.state.gpr.get(number) != Some(&target) || number == RSP {
                    return Err(Impossible::Position("it jumps to an address that it computes"));
                }
                self.target_register = Some(number);
                self.line(&format!(
                    "db {} ; {}",
                    format_byte_list(bytes),
                    render_instruction(instruction)
                ));
            }
            Terminator::IndirectJmp | Terminator::IndirectCall => {
                return Err(Impossible::Position("it jumps to an address that it loads"));
            }
            Terminator::FallThrough | Terminator::Syscall | Terminator::Trap => {
                return Err(Impossible::NoEnd);
            }
        }
        Ok(())
    }
}

/// The eight bytes at `address` as the case has them.
fn stored(case: &Case, address: u64) -> Option<u64> {
    let byte = |address: u64| {
        let page = address & !(PAGE_SIZE as u64 - 1);
        let index = case.pages.binary_search_by_key(&page, |page| page.address).ok()?;
        Some(case.pages[index].content[(address - page) as usize])
    };
    let mut bytes = [0; 8];
    for (offset, slot) in (0..).zip(&mut bytes) {
        *slot = byte(address.wrapping_add(offset))?;
    }
    Some(u64::from_le_bytes(bytes))
}
