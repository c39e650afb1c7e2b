//! Immediates: every value of a byte that selects what an instruction does, and the edges of all others.

use iced_x86::{Code, OpCodeOperandKind};

use super::form::Form;
use snippex_core::random::Random;

/// The vector by which 32-bit programs enter the kernel.
const SYSTEM_CALL: u8 = 0x80;

/// Whether the byte selects what the instruction does, so that each of its values matters.
pub(super) fn immediate_selects_operation(form: Form) -> bool {
    let info = form.code().op_code();
    let vector = |kind: &OpCodeOperandKind| {
        use OpCodeOperandKind as K;
        matches!(
            kind,
            K::mm_reg
                | K::xmm_reg
                | K::ymm_reg
                | K::zmm_reg
                | K::k_reg
                | K::xmm_or_mem
                | K::ymm_or_mem
                | K::xmm_vvvv
                | K::ymm_vvvv
                | K::zmm_vvvv
                | K::mm_rm
                | K::xmm_rm
        )
    };
    info.op_kinds().contains(&OpCodeOperandKind::imm8) && info.op_kinds().iter().any(vector)
}

/// A byte for variant `variant` of `form`: an edge of some count or index, or any; of two bits where it is `narrow`.
pub(super) fn choose_immediate8(form: Form, variant: u32, narrow: bool, random: &mut Random) -> u8 {
    const EDGES: [u8; 20] = [
        1, 0, 7, 8, 31, 32, 63, 0xff, 15, 16, 17, 33, 64, 9, 0x80, 0x7f, 65, 2, 3, 0xf0,
    ];
    if narrow {
        return random.next_below(4) as u8;
    }
    if immediate_selects_operation(form) {
        // Each value once in 256 variants, spread over the range from the first.
        return (variant as u8).reverse_bits()
            ^ if variant >= 256 {
                random.next_u64() as u8
            } else {
                0
            };
    }
    let value = match EDGES.get(variant as usize) {
        Some(&edge) => edge,
        None => random.next_u64() as u8,
    };
    if form.code() == Code::Int_imm8 && value == SYSTEM_CALL {
        // Overflow, the other vector that user programs may use.
        return 4;
    }
    value
}

/// A signed byte at an edge, or any.
pub(super) fn choose_edge8(variant: u32, random: &mut Random) -> i8 {
    const EDGES: [i8; 8] = [1, -1, 0, 0x7f, -0x80, 8, -8, 0x10];
    match variant % 3 {
        2 => random.next_u64() as i8,
        _ => EDGES[random.next_below(8) as usize],
    }
}

/// An immediate of `width` bits at an edge of some width, or any.
pub(super) fn choose_wide_immediate(code: Code, variant: u32, width: u32, random: &mut Random) -> u64 {
    let ones = u64::MAX >> (64 - width);
    if matches!(code, Code::Enterq_imm16_imm8 | Code::Enterw_imm16_imm8) {
        // A frame that fits the stack page, mostly.
        return if variant % 8 == 7 {
            random.next_u64() & ones
        } else {
            random.next_below(0x400)
        };
    }
    let value = match variant % 8 {
        0 => 1,
        1 => ones,
        2 => ones >> 1,
        3 => (ones >> 1) + 1,
        4 => 0,
        5 => 0x80 << (8 * random.next_below(u64::from(width / 8))),
        _ => random.next_u64(),
    };
    value & ones
}
