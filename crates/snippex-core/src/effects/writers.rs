//! Which instruction writes a part of the state, and what it is called.
//!
//! Serves guesses about the culprit of a divergence; no mask depends on it.

use iced_x86::{FlowControl, Instruction, Mnemonic, OpKind, Register};

use super::decoded::{Decoded, Unit, to_codes};
use super::flow::is_write_access as is_write;
use super::vector::VectorShape;

/// A part of the state that a divergence may show in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Location {
    /// General register, by encoding number.
    Gpr(usize),
    /// RFLAGS bits.
    Flags(u64),
    /// Vector register.
    Vector(usize),
    /// Opmask register.
    Opmask(usize),
    /// Any of the x87 registers or tags: which one an instruction writes depends on TOP.
    X87Registers,
    /// x87 status word bits.
    X87Status(u16),
    /// x87 control word.
    X87Control,
    /// MXCSR.
    Mxcsr,
    /// FS or GS base.
    SegmentBase,
    /// Memory.
    Memory,
}

/// Whether `decoded` may write `location`.
pub(super) fn may_write(decoded: &Decoded, location: &Location) -> bool {
    let instruction = &decoded.instruction;
    let register = |test: &dyn Fn(Register) -> bool| {
        decoded
            .registers
            .iter()
            .any(|used| is_write(used.access()) && test(used.register()))
    };
    let codes = || to_codes(instruction.rflags_modified());
    match *location {
        Location::Gpr(index) => {
            register(&|used| super::known::general_register_bits(used).is_some_and(|(at, ..)| at == index))
        }
        Location::Flags(flags) => (decoded.flags_computed | decoded.flags_fixed) & flags != 0,
        Location::Vector(index) => register(&|used| used.is_vector_register() && used.number() == index),
        Location::Opmask(index) => register(&|used| used.is_k() && used.number() == index),
        Location::X87Registers => {
            decoded.unit == Unit::Mmx
                || register(&|used| used.is_st() || used.is_mm())
                || instruction.fpu_stack_increment_info().writes_top()
        }
        Location::X87Status(bits) => {
            let top = instruction.fpu_stack_increment_info().writes_top() && bits & 7 << 11 != 0;
            let raises = decoded.unit == Unit::X87 && bits & 0x80ff != 0;
            codes() & bits != 0 || top || raises
        }
        Location::X87Control => {
            decoded.unit == Unit::X87 && instruction.op_count() < 2 && !register(&Register::is_st)
        }
        Location::Mxcsr => {
            decoded.raises || matches!(instruction.mnemonic(), Mnemonic::Ldmxcsr | Mnemonic::Vldmxcsr)
        }
        Location::SegmentBase => {
            matches!(instruction.mnemonic(), Mnemonic::Wrfsbase | Mnemonic::Wrgsbase)
        }
        Location::Memory => decoded.memory.iter().any(|memory| is_write(memory.access())),
    }
}

/// What a branch reads to decide where it goes.
pub(super) fn deciding_location(decoded: &Decoded) -> Option<Location> {
    let instruction = &decoded.instruction;
    match instruction.flow_control() {
        FlowControl::ConditionalBranch if decoded.flags_read != 0 => {
            Some(Location::Flags(decoded.flags_read))
        }
        FlowControl::ConditionalBranch => Some(Location::Gpr(1)),
        FlowControl::IndirectBranch | FlowControl::IndirectCall
            if instruction.op0_kind() == OpKind::Register =>
        {
            super::known::general_register_bits(instruction.op0_register())
                .map(|(index, ..)| Location::Gpr(index))
        }
        _ => None,
    }
}

/// The register whose value an instruction only moves elsewhere.
pub(super) fn copied_register(decoded: &Decoded) -> Option<Location> {
    let instruction = &decoded.instruction;
    let operand = match instruction.mnemonic() {
        Mnemonic::Push => 0,
        Mnemonic::Mov
        | Mnemonic::Movd
        | Mnemonic::Movq
        | Mnemonic::Movss
        | Mnemonic::Movsd
        | Mnemonic::Vmovd
        | Mnemonic::Vmovq => 1,
        _ if decoded.shape == VectorShape::Copy => 1,
        _ => return None,
    };
    if instruction.op_count() <= operand || instruction.op_kind(operand) != OpKind::Register {
        return None;
    }
    let register = instruction.op_register(operand);
    match super::known::general_register_bits(register) {
        Some((index, ..)) => Some(Location::Gpr(index)),
        None if register.is_vector_register() => Some(Location::Vector(register.number())),
        None => None,
    }
}

/// Mnemonic and operand kinds.
pub(crate) fn instruction_form(instruction: &Instruction) -> String {
    let mut form = format!("{:?}", instruction.mnemonic()).to_lowercase();
    for prefix in [
        (instruction.has_lock_prefix(), "lock "),
        (
            instruction.is_string_instruction() && instruction.has_rep_prefix(),
            "rep ",
        ),
        (
            instruction.is_string_instruction() && instruction.has_repne_prefix(),
            "repne ",
        ),
    ] {
        if prefix.0 {
            form.insert_str(0, prefix.1);
        }
    }
    for operand in 0..instruction.op_count() {
        form.push_str(if operand == 0 { " " } else { ", " });
        form.push_str(&kind(instruction, operand));
    }
    form
}

fn kind(instruction: &Instruction, operand: u32) -> String {
    match instruction.op_kind(operand) {
        OpKind::Register => {
            let register = instruction.op_register(operand);
            if register == Register::CL {
                "cl".into()
            } else if register.is_gpr() {
                format!("r{}", 8 * register.size())
            } else if register.is_xmm() {
                "xmm".into()
            } else if register.is_ymm() {
                "ymm".into()
            } else if register.is_zmm() {
                "zmm".into()
            } else if register.is_st() {
                "st".into()
            } else if register.is_mm() {
                "mm".into()
            } else if register.is_k() {
                "k".into()
            } else {
                format!("{register:?}").to_lowercase()
            }
        }
        OpKind::Memory => format!("m{}", 8 * instruction.memory_size().size()),
        OpKind::NearBranch16 | OpKind::NearBranch32 | OpKind::NearBranch64 => "rel".into(),
        OpKind::FarBranch16 | OpKind::FarBranch32 => "far".into(),
        OpKind::Immediate8 | OpKind::Immediate8_2nd => "imm8".into(),
        OpKind::Immediate16 => "imm16".into(),
        OpKind::Immediate32
        | OpKind::Immediate8to32
        | OpKind::Immediate32to64
        | OpKind::Immediate64
        | OpKind::Immediate8to16
        | OpKind::Immediate8to64 => "imm".into(),
        _ => format!("m{}", 8 * instruction.memory_size().size()),
    }
}
