//! What a block's instructions have in common with other blocks, and what sets them apart.

use iced_x86::{Code, Instruction, Register};

use super::category::{self, Category};
use snippex_core::decode::{Kinds, accesses_memory, instruction_kind, intel_decoder};

/// What selection knows of a block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// Instructions.
    pub instructions: u32,
    /// Kinds of its instructions.
    pub kinds: Kinds,
    /// Instructions with a memory operand.
    pub memory_operands: u32,
    /// Memory operands of the form `[base + index*scale + displacement]`, with all three and a scale above 1.
    pub scaled_operands: u32,
    /// Different operand sizes of its integer instructions, in bytes, as bits (1, 2, 4 and 8 are the sizes
    /// themselves).
    pub integer_widths: u8,
    /// Set of [`Category`], see [`Category::bit`].
    pub categories: u16,
    /// Opcodes in ascending order, each once.
    pub opcodes: Vec<Code>,
}

impl Features {
    /// More than one size of integer operands.
    #[must_use]
    pub fn mixes_widths(&self) -> bool {
        self.integer_widths.count_ones() > 1
    }

    /// The categories as values.
    pub fn category_list(&self) -> impl Iterator<Item = Category> + '_ {
        Category::ALL
            .into_iter()
            .filter(|category| self.categories & category.bit() != 0)
    }

    /// One number for how much there is to get wrong: instructions, two for each memory operand, two more for a
    /// scaled one, three for each kind beyond the first and each category, two for mixed widths.
    #[must_use]
    pub fn complexity(&self) -> u32 {
        let kinds = self.kinds.names().count() as u32;
        self.instructions
            + 2 * self.memory_operands
            + 2 * self.scaled_operands
            + 3 * kinds.saturating_sub(1)
            + 3 * self.categories.count_ones()
            + 2 * u32::from(self.mixes_widths())
    }
}

/// Blocks at least this long count as [`Category::LongBlock`].
const LONG: u32 = 16;

/// Looks at the instructions of a block.
#[must_use]
pub fn block_features(bytes: &[u8], address: u64) -> Features {
    let mut features = Features::default();
    let mut flags_written = 0;
    for instruction in &mut intel_decoder(bytes, address) {
        features.instructions += 1;
        features.kinds = features.kinds.union(instruction_kind(&instruction));
        features.categories |= category::of_instruction(&instruction);
        if accesses_memory(&instruction) {
            features.memory_operands += 1;
            features.scaled_operands += u32::from(scaled(&instruction));
        }
        if instruction_kind(&instruction) == Kinds::GENERAL && instruction.op0_register().is_gpr() {
            features.integer_widths |= instruction.op0_register().size() as u8;
        }
        if instruction.rflags_read() & !flags_written != 0 {
            features.categories |= Category::InitialFlags.bit();
        }
        flags_written |= instruction.rflags_modified();
        features.opcodes.push(instruction.code());
    }
    if features.instructions >= LONG {
        features.categories |= Category::LongBlock.bit();
    }
    features.opcodes.sort_unstable();
    features.opcodes.dedup();
    features
}

fn scaled(instruction: &Instruction) -> bool {
    instruction.memory_base() != Register::None
        && instruction.memory_index() != Register::None
        && instruction.memory_index_scale() > 1
        && instruction.memory_displacement64() != 0
}
