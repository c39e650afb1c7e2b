//! How many values the index of a jump table can have: from the comparison and branch that guard the jump, or from
//! the width of the index.

use iced_x86::{Instruction, Mnemonic, OpKind, Register};

use super::history::PastInstructions;

/// What is known of how many values an index can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IndexBound {
    /// As many: a comparison guards the jump, or a mask was laid over the index.
    Exactly(u64),
    /// At most as many, by the width of what was loaded. The compiler may know that there are fewer.
    AtMost(u64),
}

/// The number of values `index` can have, from the comparison and branch that guard the jump.
pub(super) fn index_bound(index: Register, past: &[PastInstructions]) -> Option<IndexBound> {
    let mut index = Index {
        registers: vec![index.full_register()],
        memory: None,
        width: None,
    };
    let mut guard = None;
    let mut compared: Vec<(Register, u64)> = Vec::new();
    for PastInstructions { instruction, taken } in past {
        let destination = instruction.op0_register().full_register();
        let to_register = instruction.op0_kind() == OpKind::Register;
        match instruction.mnemonic() {
            Mnemonic::Ja if !taken => guard = Some(1),
            Mnemonic::Jae if !taken => guard = Some(0),
            Mnemonic::Jbe if *taken => guard = Some(1),
            Mnemonic::Jb if *taken => guard = Some(0),
            Mnemonic::Cmp => {
                let (Some(extra), Some(limit)) = (guard, immediate(instruction)) else {
                    continue;
                };
                if index.is(instruction) {
                    return limit.checked_add(extra).map(IndexBound::Exactly);
                }
                if to_register {
                    compared.push((destination, limit.saturating_add(extra)));
                }
                guard = None;
            }
            Mnemonic::And if to_register && index.registers.contains(&destination) => {
                return immediate(instruction)?.checked_add(1).map(IndexBound::Exactly);
            }
            Mnemonic::Mov | Mnemonic::Movzx | Mnemonic::Movsxd | Mnemonic::Movsx if to_register => {
                let source = instruction.op1_register().full_register();
                // A copy of the index was compared instead.
                if instruction.op1_kind() == OpKind::Register
                    && index.registers.contains(&source)
                    && let Some(&(_, count)) = compared.iter().find(|(register, _)| *register == destination)
                {
                    return Some(IndexBound::Exactly(count));
                }
                if index.registers.contains(&destination) {
                    index.follow(instruction, destination);
                }
            }
            Mnemonic::Test | Mnemonic::Push => {}
            _ if to_register && index.registers.contains(&destination) => {
                index.registers.retain(|&register| register != destination);
            }
            _ => {}
        }
        if index.registers.is_empty() && index.memory.is_none() {
            break;
        }
    }
    index.width.map(IndexBound::AtMost)
}

/// Where the index was before.
struct Index {
    registers: Vec<Register>,
    /// Base, index and displacement of the memory it was loaded from.
    memory: Option<(Register, Register, u64)>,
    /// Values that its narrowest form can have.
    width: Option<u64>,
}

impl Index {
    /// Whether `compare` compares it.
    fn is(&self, compare: &Instruction) -> bool {
        match compare.op0_kind() {
            OpKind::Register => self.registers.contains(&compare.op0_register().full_register()),
            OpKind::Memory => self.memory == Some(memory(compare)),
            _ => false,
        }
    }

    /// Goes from the destination of a move to its source.
    fn follow(&mut self, moved: &Instruction, destination: Register) {
        self.registers.retain(|&register| register != destination);
        let source_size = match moved.op1_kind() {
            OpKind::Register => {
                self.registers.push(moved.op1_register().full_register());
                moved.op1_register().size()
            }
            OpKind::Memory => {
                self.memory = Some(memory(moved));
                moved.memory_size().size()
            }
            _ => return,
        };
        if moved.mnemonic() == Mnemonic::Movzx && source_size == 1 {
            self.width = Some(256);
        }
    }
}

fn memory(instruction: &Instruction) -> (Register, Register, u64) {
    (
        instruction.memory_base(),
        instruction.memory_index(),
        instruction.memory_displacement64(),
    )
}

/// The unsigned immediate of the last operand.
fn immediate(instruction: &Instruction) -> Option<u64> {
    match instruction.op1_kind() {
        OpKind::Immediate8 => Some(u64::from(instruction.immediate8())),
        OpKind::Immediate8to16 => Some(u64::from(instruction.immediate8to16() as u16)),
        OpKind::Immediate8to32 => Some(u64::from(instruction.immediate8to32() as u32)),
        OpKind::Immediate8to64 => Some(instruction.immediate8to64() as u64),
        OpKind::Immediate16 => Some(u64::from(instruction.immediate16())),
        OpKind::Immediate32 => Some(u64::from(instruction.immediate32())),
        OpKind::Immediate32to64 => Some(instruction.immediate32to64() as u64),
        _ => None,
    }
}
