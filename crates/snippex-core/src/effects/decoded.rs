//! The instructions of a block with everything about them that no start state changes.

use crate::decode::block_instructions;
use std::sync::LazyLock;

use iced_x86::{
    CpuidFeature, EncodingKind, FlowControl, Instruction, InstructionInfoFactory, Mnemonic, Register,
    RflagsBits, UsedMemory, UsedRegister,
};

use super::vector::VectorShape;
use crate::block::Block;
use crate::state::rflags;

/// x87 condition codes in the status word.
pub(super) const CODES: [(u32, u16); 4] = [
    (RflagsBits::C0, 1 << 8),
    (RflagsBits::C1, 1 << 9),
    (RflagsBits::C2, 1 << 10),
    (RflagsBits::C3, 1 << 14),
];

const FLAGS: [(u32, u64); 8] = [
    (RflagsBits::CF, rflags::CF),
    (RflagsBits::PF, rflags::PF),
    (RflagsBits::AF, rflags::AF),
    (RflagsBits::ZF, rflags::ZF),
    (RflagsBits::SF, rflags::SF),
    (RflagsBits::DF, rflags::DF),
    (RflagsBits::OF, rflags::OF),
    (RflagsBits::AC, rflags::AC),
];

/// RFLAGS bits for iced-x86's own numbering.
pub(super) fn to_rflags(bits: u32) -> u64 {
    FLAGS
        .iter()
        .filter(|(iced, _)| bits & iced != 0)
        .fold(0, |flags, (_, flag)| flags | flag)
}

/// Condition codes of the x87 status word for iced-x86's own numbering.
pub(super) fn to_codes(bits: u32) -> u16 {
    CODES
        .iter()
        .filter(|(iced, _)| bits & iced != 0)
        .fold(0, |codes, (_, code)| codes | code)
}

/// Which unit computes, as far as the data flow treats them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Integer,
    X87,
    Mmx,
    Vector,
}

/// One instruction.
#[derive(Clone, Debug)]
pub(super) struct Decoded {
    pub(super) instruction: Instruction,
    /// Distance of its first byte from the block's.
    pub(super) offset: usize,
    pub(super) registers: Box<[UsedRegister]>,
    pub(super) memory: Box<[UsedMemory]>,
    pub(super) unit: Unit,
    pub(super) shape: VectorShape,
    /// RFLAGS bits that it reads, that it computes or leaves open, and that it sets or clears.
    pub(super) flags_read: u64,
    pub(super) flags_computed: u64,
    pub(super) flags_fixed: u64,
    /// May set exception flags of MXCSR.
    pub(super) raises: bool,
    /// A near branch with an operand-size prefix.
    pub(super) narrow_branch: bool,
    /// A scalar VEX instruction with VEX.L = 1.
    pub(super) long_scalar: bool,
}

/// Decodes the whole block. A refused encoding at its end is an instruction that touches nothing.
pub(super) fn decode_block(block: &Block) -> Vec<Decoded> {
    let mut factory = InstructionInfoFactory::new();
    // The count is what a file says; there is at most an instruction a byte.
    let count = (block.instruction_count as usize).min(block.bytes.len());
    let mut instructions = Vec::with_capacity(count);
    for found in block_instructions(block) {
        let (instruction, offset) = (found.instruction, found.offset);
        let info = factory.info(&instruction);
        let registers: Box<[UsedRegister]> = info.used_registers().into();
        instructions.push(Decoded {
            offset,
            unit: unit(&instruction, &registers),
            shape: VectorShape::from_instruction(&instruction),
            raises: raises(&instruction, &registers),
            narrow_branch: is_narrow_branch(&instruction, &block.bytes[offset..]),
            long_scalar: is_long_scalar(&instruction, &block.bytes[offset..]),
            memory: info.used_memory().into(),
            registers,
            flags_read: to_rflags(instruction.rflags_read()),
            flags_computed: to_rflags(instruction.rflags_written() | instruction.rflags_undefined()),
            flags_fixed: to_rflags(instruction.rflags_cleared() | instruction.rflags_set()),
            instruction,
        });
    }
    instructions
}

/// Vector instructions that do floating-point arithmetic or conversions.
fn raises(instruction: &Instruction, registers: &[UsedRegister]) -> bool {
    static RAISING: LazyLock<Vec<bool>> = LazyLock::new(|| {
        Mnemonic::values()
            .map(|mnemonic| is_float_arithmetic(&format!("{mnemonic:?}").to_lowercase()))
            .collect()
    });
    RAISING
        .get(instruction.mnemonic() as usize)
        .copied()
        .unwrap_or(false)
        && registers.iter().any(|used| used.register().is_vector_register())
}

/// By name: an operation of this list on a floating-point type, or a conversion.
fn is_float_arithmetic(name: &str) -> bool {
    const OPERATIONS: [&str; 32] = [
        "add", "sub", "mul", "div", "sqrt", "min", "max", "cmp", "comi", "ucomi", "cvt", "round", "rndscale",
        "dp", "hadd", "hsub", "fmadd", "fmsub", "fnmadd", "fnmsub", "fcmadd", "fmul", "fcmul", "getexp",
        "getmant", "reduce", "range", "scalef", "fixupimm", "rcp28", "rsqrt28", "exp2",
    ];
    const TYPES: [&str; 6] = ["ps", "pd", "ss", "sd", "ph", "sh"];
    let name = name.strip_prefix('v').unwrap_or(name);
    let operation = OPERATIONS.iter().any(|operation| name.starts_with(operation));
    operation && (name.starts_with("cvt") || TYPES.iter().any(|kind| name.ends_with(kind)))
}

/// Whether an instruction that ignores the vector length has VEX.L = 1.
fn is_long_scalar(instruction: &Instruction, bytes: &[u8]) -> bool {
    const LENGTH: u8 = 1 << 2;
    let code = instruction.code();
    if code.encoding() != EncodingKind::VEX || !code.op_code().is_lig() {
        return false;
    }
    // C5 has it in its second byte, C4 in its third; before them there are segment and address-size prefixes only.
    let mut bytes = bytes.iter().skip_while(|byte| !matches!(byte, 0xc4 | 0xc5));
    let distance = if bytes.next() == Some(&0xc5) { 0 } else { 1 };
    bytes.nth(distance).is_some_and(|byte| byte & LENGTH != 0)
}

/// Whether a near branch has an operand-size prefix among its legacy prefixes.
fn is_narrow_branch(instruction: &Instruction, bytes: &[u8]) -> bool {
    const LEGACY: [u8; 11] = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3];
    let near = !matches!(
        instruction.flow_control(),
        FlowControl::Next | FlowControl::Interrupt | FlowControl::Exception | FlowControl::XbeginXabortXend
    );
    near && bytes
        .iter()
        .take_while(|byte| LEGACY.contains(byte))
        .any(|byte| *byte == 0x66)
}

fn unit(instruction: &Instruction, registers: &[UsedRegister]) -> Unit {
    let fpu = |feature: &CpuidFeature| {
        matches!(
            feature,
            CpuidFeature::FPU | CpuidFeature::FPU287 | CpuidFeature::FPU387
        )
    };
    let any = |test: fn(Register) -> bool| registers.iter().any(|used| test(used.register()));
    let empties = matches!(instruction.mnemonic(), Mnemonic::Emms | Mnemonic::Femms);
    if empties
        || instruction.cpuid_features().iter().any(fpu)
        || any(Register::is_st) && !any(Register::is_xmm)
    {
        Unit::X87
    } else if any(Register::is_mm) && !any(Register::is_st) {
        Unit::Mmx
    } else if any(|register| register.is_vector_register() || register.is_k()) {
        Unit::Vector
    } else {
        Unit::Integer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_raises_and_moves_do_not() {
        for name in [
            "addsd",
            "vsubss",
            "cvtsi2sd",
            "vfmadd213sd",
            "ucomisd",
            "vdpps",
            "cmppd",
            "vminph",
        ] {
            assert!(is_float_arithmetic(name), "{name}");
        }
        for name in [
            "movsd",
            "vmovq",
            "paddd",
            "pminub",
            "unpcklpd",
            "andps",
            "shufps",
            "vblendvpd",
            "pmulhw",
        ] {
            assert!(!is_float_arithmetic(name), "{name}");
        }
    }

    #[test]
    fn flags_and_codes_translate_bit_by_bit() {
        assert_eq!(
            to_rflags(RflagsBits::CF | RflagsBits::OF | RflagsBits::C0),
            rflags::CF | rflags::OF
        );
        assert_eq!(to_codes(RflagsBits::C0 | RflagsBits::C3 | RflagsBits::ZF), 0x4100);
    }
}
