//! What the generated sequences have in them.

use std::collections::BTreeMap;

use iced_x86::{InstructionInfoFactory, OpAccess, Register};
use serde::Serialize;
use snippex_core::block::Block;
use snippex_core::decode::block_decoder;

use super::stage::Stage;

/// Sequences of which blocks are run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SequenceCoverage {
    /// How many.
    pub sequences: u64,
    /// The same by the number of their instructions.
    pub lengths: BTreeMap<u32, u64>,
    /// Those in which an instruction reads a flag that one before it wrote.
    pub live_flags: u64,
    /// Those in which an instruction reads a register that one before it wrote.
    pub live_registers: u64,
}

impl SequenceCoverage {
    /// Counts those of `blocks` that are sequences.
    pub fn of_blocks<'b>(blocks: impl Iterator<Item = &'b Block>) -> Self {
        let mut coverage = Self::default();
        let is_sequence = |block: &&Block| matches!(Stage::of_block(block), Stage::Short | Stage::Long);
        for block in blocks.filter(is_sequence) {
            let (flags, registers) = flows(block);
            coverage.sequences += 1;
            *coverage.lengths.entry(block.instruction_count).or_default() += 1;
            coverage.live_flags += u64::from(flags);
            coverage.live_registers += u64::from(registers);
        }
        coverage
    }
}

/// Whether some instruction reads a flag, and whether one reads a register, that an instruction before it wrote.
fn flows(block: &Block) -> (bool, bool) {
    let mut factory = InstructionInfoFactory::new();
    let (mut flags, mut registers) = (0, Vec::<Register>::new());
    let mut found = (false, false);
    for instruction in block_decoder(block).into_iter() {
        found.0 |= instruction.rflags_read() & flags != 0;
        flags |= instruction.rflags_written();
        let used = factory.info(&instruction).used_registers();
        found.1 |= used.iter().any(|used| {
            let reads = !matches!(used.access(), OpAccess::Write | OpAccess::CondWrite);
            reads && registers.contains(&used.register().full_register())
        });
        let written = used
            .iter()
            .filter(|used| !matches!(used.access(), OpAccess::Read | OpAccess::CondRead));
        registers.extend(written.map(|used| used.register().full_register()));
    }
    found
}
