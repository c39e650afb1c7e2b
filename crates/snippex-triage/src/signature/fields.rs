//! Names for differing parts of the state that depend on neither register numbers nor values.

use iced_x86::{Instruction, InstructionInfoFactory, OpKind, Register};

use snippex_core::diff::{Difference, Field, Value};
use snippex_core::observation::Endpoint;

use super::part::{BitSide, DifferingPart, RegisterPart, StatusBit, StatusWord};

const MXCSR: [&str; 16] = [
    "IE", "DE", "ZE", "OE", "UE", "PE", "DAZ", "IM", "DM", "ZM", "OM", "UM", "PM", "RC", "RC", "FZ",
];
/// MXCSR bits that only ever get set by arithmetic.
const MXCSR_STICKY: u64 = 0x3f;
const X87_STATUS: [&str; 16] = [
    "IE", "DE", "ZE", "OE", "UE", "PE", "SF", "ES", "C0", "C1", "C2", "TOP", "TOP", "TOP", "C3", "B",
];
/// Exception flags, stack fault, summary and busy.
const X87_STICKY: u64 = 0x80ff;

/// What `difference` says, for `instruction` as the one at fault.
pub(super) fn differing_parts(instruction: &Instruction, difference: &Difference) -> Vec<DifferingPart> {
    let number = |value: &Value| match value {
        Value::Number(number) => *number,
        _ => 0,
    };
    let bits = number(&difference.differing);
    match difference.field {
        Field::Endpoint => vec![endpoint(difference)],
        Field::FaultAddress => vec![DifferingPart::FaultAddress],
        Field::Gpr { register } => vec![gpr(instruction, register, bits)],
        Field::Flag { flag } => vec![DifferingPart::Flag(flag)],
        Field::FsBase => vec![DifferingPart::FsBase],
        Field::GsBase => vec![DifferingPart::GsBase],
        Field::Vector { register, first, .. } => vec![vector(instruction, register, first)],
        Field::Opmask { register } => vec![
            operand(instruction, |used| {
                used.is_k() && used.number() == usize::from(register)
            })
            .map_or(DifferingPart::OtherOpmask, |(index, _)| {
                DifferingPart::Operand(index, RegisterPart::Named)
            }),
        ],
        Field::Mxcsr => of_bits(
            StatusWord::Mxcsr,
            &MXCSR,
            MXCSR_STICKY,
            bits,
            number(&difference.expected),
        ),
        Field::X87Control => vec![DifferingPart::X87Control],
        Field::X87Status => of_bits(
            StatusWord::X87,
            &X87_STATUS,
            X87_STICKY,
            bits,
            number(&difference.expected),
        ),
        Field::X87Tags => vec![DifferingPart::X87Tags],
        Field::X87Register { index } => vec![x87(instruction, index, &difference.differing)],
        Field::Memory { .. } => vec![DifferingPart::Memory],
    }
}

/// A name for each bit; those that only get set say which side has it.
fn of_bits(
    word: StatusWord,
    names: &[&str; 16],
    sticky: u64,
    bits: u64,
    expected: u64,
) -> Vec<DifferingPart> {
    let mut found: Vec<DifferingPart> = (0..16)
        .filter(|bit| bits & (1 << bit) != 0)
        .map(|bit| {
            let side = match (sticky & (1 << bit), expected & (1 << bit)) {
                (0, _) => BitSide::Either,
                (_, 0) => BitSide::Extra,
                _ => BitSide::Missing,
            };
            let name = StatusBit::from_name(names[bit]).unwrap_or(StatusBit::Reserved);
            DifferingPart::Status(side, word, name)
        })
        .collect();
    if bits >> 16 != 0 {
        found.push(DifferingPart::Status(BitSide::Either, word, StatusBit::Reserved));
    }
    found
}

/// The first explicit register operand that `test` picks, with its index.
fn operand(instruction: &Instruction, test: impl Fn(Register) -> bool) -> Option<(u32, Register)> {
    (0..instruction.op_count())
        .filter(|&index| instruction.op_kind(index) == OpKind::Register)
        .map(|index| (index, instruction.op_register(index)))
        .find(|(_, register)| test(*register))
}

fn gpr(instruction: &Instruction, register: u8, differing: u64) -> DifferingPart {
    let number = usize::from(register);
    let is = |used: Register| used.is_gpr() && used.full_register().number() == number;
    if let Some((index, used)) = operand(instruction, is) {
        let width = 8 * used.size();
        let beyond = width < 64 && differing & ((1 << width) - 1) == 0;
        let part = if beyond {
            RegisterPart::Upper
        } else {
            RegisterPart::Named
        };
        return DifferingPart::Operand(index, part);
    }
    let in_memory_operand =
        (0..instruction.op_count()).any(|index| instruction.op_kind(index) == OpKind::Memory);
    if in_memory_operand && is(instruction.memory_base()) && !instruction.is_stack_instruction() {
        return DifferingPart::Base;
    }
    if in_memory_operand && is(instruction.memory_index()) {
        return DifferingPart::Index;
    }
    // What no operand names is part of the instruction: RSP of PUSH, RAX of CMPXCHG.
    let mut factory = InstructionInfoFactory::new();
    let implied = factory
        .info(instruction)
        .used_registers()
        .iter()
        .any(|used| is(used.register()));
    if implied {
        DifferingPart::ImpliedRegister(number)
    } else {
        DifferingPart::OtherRegister
    }
}

fn vector(instruction: &Instruction, register: u8, first: u8) -> DifferingPart {
    let is = |used: Register| used.is_vector_register() && used.number() == usize::from(register);
    match operand(instruction, is) {
        Some((index, used)) if usize::from(first) >= used.size() => {
            DifferingPart::Operand(index, RegisterPart::Upper)
        }
        Some((index, _)) => DifferingPart::Operand(index, RegisterPart::Named),
        None => DifferingPart::OtherVector,
    }
}

fn x87(instruction: &Instruction, index: u8, differing: &Value) -> DifferingPart {
    // MMX instructions leave TOP at 0, so that mm3 is st(3).
    let is = |used: Register| used.is_mm() && used.number() == usize::from(index);
    let part = match differing {
        Value::Bytes(bytes) if bytes.len() == 10 && bytes[..8].iter().all(|byte| *byte == 0) => {
            RegisterPart::Exponent
        }
        _ => RegisterPart::Named,
    };
    match operand(instruction, is) {
        Some((index, _)) => DifferingPart::Operand(index, part),
        None if index == 0 => DifferingPart::StackTop(part),
        None => DifferingPart::StackRegister(part),
    }
}

fn endpoint(difference: &Difference) -> DifferingPart {
    let (Value::Endpoint(expected), Value::Endpoint(actual)) = (&difference.expected, &difference.actual)
    else {
        return DifferingPart::Endpoint;
    };
    match (expected, actual) {
        (_, Endpoint::Hung) => DifferingPart::Hangs,
        (_, Endpoint::EngineDied { signal: Some(number) }) => {
            u8::try_from(*number).map_or(DifferingPart::Exits, DifferingPart::DiesOf)
        }
        (_, Endpoint::EngineDied { signal: None }) => DifferingPart::Exits,
        (Endpoint::Signal(a), Endpoint::Signal(b)) if a.number == b.number => {
            DifferingPart::SignalElsewhere(a.number)
        }
        (Endpoint::Signal(a), Endpoint::Signal(b)) => DifferingPart::OtherSignal(b.number, a.number),
        (Endpoint::Signal(signal), _) => DifferingPart::MissingSignal(signal.number),
        (_, Endpoint::Signal(signal)) => DifferingPart::ExtraSignal(signal.number),
        _ => DifferingPart::Target,
    }
}
