//! What a block leaves alone, by its instructions: state that need not be loaded and stored in each of its runs.
//!
//! A CPU changes nothing that an instruction does not name, so most runs of integer code can do without the 2.7 KB of
//! x87 and vector state. Nobody has to believe the decoder: the last run of a block is done in full, and when that
//! shows a change where none can be, all runs of the block are done again in full.

use iced_x86::{CpuidFeature, Instruction, InstructionInfoFactory, InstructionInfoOptions, OpAccess, OpKind};
use snippex_core::block::Block;
use snippex_core::case::Placement;
use snippex_core::decode::block_decoder;
use snippex_runner::layout::{SKIP_MEMORY, SKIP_OTHER_LINES, SKIP_VECTORS, SKIP_X87};

use crate::stores::{Store, find_stores};

/// What a block leaves alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Untouched {
    /// Set of `SKIP_*`.
    pub(crate) untouched: u32,
    /// Where it stores to, with `SKIP_OTHER_LINES`.
    pub(crate) stores: Vec<Store>,
}

/// What `block` leaves alone when it lies at `placement`.
pub(crate) fn find_untouched(block: &Block, placement: Placement) -> Untouched {
    #[cfg(test)]
    if let Some(left) = lies::planted_answer() {
        return left;
    }
    let mut left = Untouched {
        untouched: units(block),
        stores: Vec::new(),
    };
    if left.untouched & SKIP_MEMORY == 0
        && let Some(stores) = find_stores(block, placement)
    {
        left.untouched |= SKIP_OTHER_LINES;
        left.stores = stores;
    }
    left
}

/// Parts of the state that no instruction of `block` has to do with.
fn units(block: &Block) -> u32 {
    let mut left = SKIP_MEMORY | SKIP_X87 | SKIP_VECTORS;
    let mut factory = InstructionInfoFactory::new();
    let mut instruction = Instruction::default();
    let mut decoder = block_decoder(block);
    while left != 0 && decoder.can_decode() {
        decoder.decode_out(&mut instruction);
        // An engine that executes a refused encoding may do anything.
        if instruction.is_invalid() {
            return 0;
        }
        match unit(&instruction) {
            Unit::Integer => {}
            Unit::Vector => left &= !SKIP_VECTORS,
            Unit::Other => left &= !(SKIP_VECTORS | SKIP_X87),
        }
        if left & SKIP_MEMORY != 0 && may_store(&instruction, &mut factory) {
            left &= !SKIP_MEMORY;
        }
    }
    left
}

/// Whether an instruction may write to memory.
fn may_store(instruction: &Instruction, factory: &mut InstructionInfoFactory) -> bool {
    // Most instructions without an operand in memory use none; the stack is the exception.
    let plain = !instruction.is_stack_instruction()
        && (0..instruction.op_count()).all(|operand| {
            matches!(
                instruction.op_kind(operand),
                OpKind::Register | OpKind::Immediate8 | OpKind::Immediate8to32 | OpKind::Immediate8to64
            )
        });
    if plain && instruction.op_count() != 0 {
        return false;
    }
    factory
        .info_options(instruction, InstructionInfoOptions::NO_REGISTER_USAGE)
        .used_memory()
        .iter()
        .any(|memory| {
            matches!(
                memory.access(),
                OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite
            )
        })
}

/// Which part of the register file an instruction has to do with, beside general registers and flags.
enum Unit {
    Integer,
    Vector,
    Other,
}

fn unit(instruction: &Instruction) -> Unit {
    use CpuidFeature as F;
    let mut unit = Unit::Integer;
    for feature in instruction.cpuid_features() {
        match feature {
            F::INTEL8086
            | F::INTEL8086_ONLY
            | F::INTEL186
            | F::INTEL286
            | F::INTEL386
            | F::INTEL486
            | F::X64
            | F::CMOV
            | F::CX8
            | F::CMPXCHG16B
            | F::MULTIBYTENOP
            | F::PAUSE
            | F::CET_IBT
            | F::POPCNT
            | F::LZCNT
            | F::BMI1
            | F::BMI2
            | F::TBM
            | F::ADX
            | F::MOVBE
            | F::PREFETCHW
            | F::CLDEMOTE => {}
            F::SSE
            | F::SSE2
            | F::SSE3
            | F::SSSE3
            | F::SSE4_1
            | F::SSE4_2
            | F::SSE4A
            | F::AVX
            | F::AVX2
            | F::FMA
            | F::F16C
            | F::AES
            | F::PCLMULQDQ
            | F::SHA
            | F::AVX512F
            | F::AVX512BW
            | F::AVX512DQ
            | F::AVX512VL
                if !names_mmx(instruction) =>
            {
                unit = Unit::Vector;
            }
            _ => return Unit::Other,
        }
    }
    unit
}

fn names_mmx(instruction: &Instruction) -> bool {
    (0..instruction.op_count()).any(|operand| {
        instruction.op_kind(operand) == OpKind::Register && instruction.op_register(operand).is_mm()
    })
}

/// For tests of what becomes of a wrong answer.
#[cfg(test)]
pub(crate) mod lies {
    use std::cell::RefCell;

    use super::Untouched;

    thread_local!(static TOLD: RefCell<Option<Untouched>> = const { RefCell::new(None) });

    pub(super) fn planted_answer() -> Option<Untouched> {
        TOLD.with_borrow(Clone::clone)
    }

    /// What every block is said to leave alone from now on, in this thread.
    pub(crate) fn set_planted_answer(lie: Option<Untouched>) {
        TOLD.set(lie);
    }
}

#[cfg(test)]
mod tests {
    use snippex_core::block::{Origin, Terminator};

    use super::*;

    fn of(bytes: &[u8]) -> u32 {
        units(&Block {
            address: 0x1000,
            bytes: bytes.to_vec(),
            instruction_count: 1,
            terminator: Terminator::FallThrough,
            successors: vec![],
            origin: Origin::Symbol,
            unrunnable: None,
        })
    }

    #[test]
    fn integer_code_leaves_vectors_alone() {
        let registers = SKIP_X87 | SKIP_VECTORS;
        let cases: [(&[u8], u32); 14] = [
            (&[0x01, 0xd8], registers | SKIP_MEMORY),            // add eax, ebx
            (&[0x8b, 0x07], registers | SKIP_MEMORY),            // mov eax, [rdi]
            (&[0x89, 0x07], registers),                          // mov [rdi], eax
            (&[0x50], registers),                                // push rax
            (&[0xe8, 0, 0, 0, 0], registers),                    // call
            (&[0xc3], registers | SKIP_MEMORY),                  // ret
            (&[0xaa], registers),                                // stosb
            (&[0x66, 0x0f, 0xef, 0xc0], SKIP_X87 | SKIP_MEMORY), // pxor xmm0, xmm0
            (&[0x0f, 0x11, 0x07], SKIP_X87),                     // movups [rdi], xmm0
            (&[0xd9, 0xe8], SKIP_MEMORY),                        // fld1
            (&[0x0f, 0xef, 0xc0], SKIP_MEMORY),                  // pxor mm0, mm0
            (&[0xf3, 0x0f, 0xd6, 0xc0], SKIP_MEMORY),            // movq2dq xmm0, mm0
            (&[0x0f, 0xae, 0x07], 0),                            // fxsave [rdi]
            (&[0x66, 0x0f, 0xf7, 0xc1], SKIP_X87),               // maskmovdqu xmm0, xmm1
        ];
        for (bytes, expected) in cases {
            assert_eq!(of(bytes), expected, "{bytes:02x?}");
        }
    }

    #[test]
    fn one_instruction_decides_for_the_block() {
        assert_eq!(of(&[0x01, 0xd8, 0xd9, 0xe8]), SKIP_MEMORY);
    }
}
