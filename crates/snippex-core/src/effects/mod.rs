//! What a block leaves open: the data flow of undefined and implementation-defined bits.
//!
//! Undefined bits need data flow, not a table alone: they die when they are overwritten and spread through
//! SETcc, Jcc, ADC, PUSHF. [`BlockEffects`] is made once a block; [`BlockEffects::mask_at_endpoint`] follows the open bits
//! from a case's start state (which gives shift counts and addresses) to an endpoint and says for each bit of
//! the end state, of memory and of the endpoint itself whether it is open, and by which [`Rule`].
//!
//! The analysis is safe rather than sharp: a bit that it calls defined is defined by the manuals; a bit that
//! it calls open may be defined after all. It does not execute anything, and it does not compare: `diff` does.

mod decoded;
mod faults;
mod flow;
mod host;
mod integer;
mod known;
mod lanes;
mod learned;
mod magnitude;
mod mask;
mod operands;
mod rules;
mod stored;
mod undefined;
mod vector;
mod writers;
mod x87;
mod x87_control;

#[cfg(test)]
pub(crate) mod tests;

pub use mask::{Approximation, Bits, ErrorBound, Mask, OpenByte, OpenFault, Precision};
pub use rules::{Openness, Rule, RuleInfo, RuleSet};
pub use writers::Location;
pub(crate) use writers::instruction_form;

use crate::block::Block;
use crate::case::Case;
use crate::decode::refused_text;
use crate::observation::Endpoint;
use crate::state::MachineState;
use decoded::{Decoded, Unit};
use flow::Flow;

/// The instructions of one block, decoded, with what they read, write and leave open.
#[derive(Clone, Debug)]
pub struct BlockEffects {
    length: usize,
    instructions: Vec<Decoded>,
    /// FPTAN or FSINCOS push only when their operand is in range.
    conditional_push: bool,
    /// The refused encoding at the end, in words.
    refused: Option<String>,
}

impl BlockEffects {
    /// Decodes `block`. What it may end in and does not decode faults when it is reached.
    #[must_use]
    pub fn new(block: &Block) -> Self {
        let instructions = decoded::decode_block(block);
        let refused = instructions
            .last()
            .filter(|last| last.instruction.is_invalid())
            .map(|last| refused_text(&block.bytes[last.offset..]));
        let conditional_push = instructions
            .iter()
            .any(|decoded| decoded.instruction.fpu_stack_increment_info().conditional());
        Self {
            length: block.bytes.len(),
            instructions,
            conditional_push,
            refused,
        }
    }

    /// Number of instructions, a refused one included.
    #[must_use]
    pub fn instruction_count(&self) -> usize {
        self.instructions.len()
    }

    /// How many instructions had completed at `endpoint`: all for an exit, those before RIP for a signal.
    #[must_use]
    pub fn completed_instructions(&self, case: &Case, endpoint: &Endpoint) -> usize {
        match endpoint {
            Endpoint::Signal(signal) => {
                let distance = signal.rip.wrapping_sub(case.code_address());
                if distance > self.length as u64 {
                    return self.instructions.len();
                }
                self.instructions
                    .partition_point(|decoded| (decoded.offset as u64) < distance)
            }
            _ => self.instructions.len(),
        }
    }

    /// Whether a refused encoding was executed all the same on the way to `endpoint`: what it does is not known.
    #[must_use]
    pub fn executes_refused(&self, case: &Case, endpoint: &Endpoint) -> bool {
        self.refused.is_some() && self.completed_instructions(case, endpoint) == self.instructions.len()
    }

    /// The open bits at `endpoint`. `end` is the end state of the engine that is taken as right: the x87 stack
    /// pointer in it tells whether FPTAN and FSINCOS pushed, and C2 whether an FPREM was incomplete.
    #[must_use]
    pub fn mask_at_endpoint(&self, case: &Case, endpoint: &Endpoint, end: &MachineState) -> Mask {
        let (mask, top) = self.run(case, endpoint, end, true);
        if self.conditional_push && top.is_some_and(|top| top != end.x87.top()) {
            let (without, top) = self.run(case, endpoint, end, false);
            if top == Some(end.x87.top()) {
                return without;
            }
        }
        mask
    }

    fn run(&self, case: &Case, endpoint: &Endpoint, end: &MachineState, pushes: bool) -> (Mask, Option<u8>) {
        let incomplete = end.x87.status & (1 << 10) != 0;
        let mut flow = Flow::new(case, pushes, incomplete);
        let completed = self.completed_instructions(case, endpoint);
        for decoded in &self.instructions[..completed] {
            flow.apply_instruction(decoded);
        }
        if let (Endpoint::Signal(signal), Some(decoded)) = (endpoint, self.instructions.get(completed)) {
            // SIGTRAP comes after an instruction, not in the midst of one.
            if signal.number != 5 {
                flow.apply_fault(decoded, (signal.address != 0).then_some(signal.address));
            }
        }
        (flow.mask, flow.top)
    }

    /// The last of the first `completed` instructions that writes `location`, with its index. Where that one only
    /// copies a register, the writer of the register instead.
    #[must_use]
    pub fn last_writer(&self, completed: usize, location: &Location) -> Option<usize> {
        let completed = completed.min(self.instructions.len());
        let index = self.instructions[..completed]
            .iter()
            .rposition(|decoded| writers::may_write(decoded, location))?;
        let copied = writers::copied_register(&self.instructions[index]);
        Some(
            copied
                .and_then(|source| self.last_writer(index, &source))
                .unwrap_or(index),
        )
    }

    /// The instruction that decides where branch `index` goes: the last writer of the flags it reads, or of the
    /// register it jumps through. `None` when nothing before it does.
    #[must_use]
    pub fn deciding_instruction(&self, index: usize) -> Option<usize> {
        let location = writers::deciding_location(self.instructions.get(index)?)?;
        self.last_writer(index, &location)
    }

    /// Whether instruction `index` computes in the x87, MMX or vector unit.
    #[must_use]
    pub fn is_floating_point(&self, index: usize) -> bool {
        self.instructions
            .get(index)
            .is_some_and(|decoded| decoded.unit != Unit::Integer)
    }

    /// Whether instruction `index` computes in the x87 unit.
    #[must_use]
    pub fn is_x87(&self, index: usize) -> bool {
        self.instructions
            .get(index)
            .is_some_and(|decoded| decoded.unit == Unit::X87)
    }

    /// Whether instruction `index` computes in the SSE or AVX unit.
    #[must_use]
    pub fn is_vector(&self, index: usize) -> bool {
        self.instructions
            .get(index)
            .is_some_and(|decoded| decoded.unit == Unit::Vector)
    }

    /// Bytes of the largest memory operand of instruction `index`; `None` when it has none of a fixed size.
    #[must_use]
    pub fn operand_size(&self, index: usize) -> Option<usize> {
        let memory = &self.instructions.get(index)?.memory;
        memory
            .iter()
            .map(|memory| memory.memory_size().size())
            .max()
            .filter(|size| *size > 0)
    }

    /// Mnemonic and operand kinds of an instruction, such as `shl r32, cl`: what makes two divergences alike.
    #[must_use]
    pub fn instruction_form(&self, index: usize) -> Option<String> {
        let decoded = self.instructions.get(index)?;
        Some(match &self.refused {
            Some(refused) if decoded.instruction.is_invalid() => refused.clone(),
            _ => instruction_form(&decoded.instruction),
        })
    }
}
