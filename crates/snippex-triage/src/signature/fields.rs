//! Names for differing parts of the state that depend on neither register numbers nor values.

use iced_x86::{Instruction, InstructionInfoFactory, OpKind, Register};

use snippex_core::diff::{Difference, Field, Value};
use snippex_core::observation::{Endpoint, signal_name};
use snippex_core::state::rflags;

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

/// The names of what `difference` says, for `instruction` as the one at fault.
pub(super) fn field_names(instruction: &Instruction, difference: &Difference) -> Vec<String> {
    let number = |value: &Value| match value {
        Value::Number(number) => *number,
        _ => 0,
    };
    let bits = number(&difference.differing);
    let one = |name: &str| vec![name.to_owned()];
    match difference.field {
        Field::Endpoint => vec![endpoint(difference)],
        Field::FaultAddress => one("fault address"),
        Field::Gpr { register } => vec![gpr(instruction, register, bits)],
        Field::Flag { flag } => {
            let found = rflags::NAMES.iter().find(|(_, known)| *known == flag);
            vec![format!("flags.{}", found.map_or("?", |(name, _)| name))]
        }
        Field::FsBase => one("fs.base"),
        Field::GsBase => one("gs.base"),
        Field::Vector { register, first, .. } => vec![vector(instruction, register, first)],
        Field::Opmask { register } => vec![
            operand(instruction, |used| {
                used.is_k() && used.number() == usize::from(register)
            })
            .map_or_else(|| "other opmask".to_owned(), |(index, _)| format!("op{index}")),
        ],
        Field::Mxcsr => of_bits("mxcsr", &MXCSR, MXCSR_STICKY, bits, number(&difference.expected)),
        Field::X87Control => one("fcw"),
        Field::X87Status => of_bits("fsw", &X87_STATUS, X87_STICKY, bits, number(&difference.expected)),
        Field::X87Tags => one("ftw"),
        Field::X87Register { index } => vec![x87(instruction, index, &difference.differing)],
        Field::Memory { .. } => one("memory"),
    }
}

/// A name for each bit; those that only get set say which side has it.
fn of_bits(word: &str, names: &[&str; 16], sticky: u64, bits: u64, expected: u64) -> Vec<String> {
    let mut found: Vec<String> = (0..16)
        .filter(|bit| bits & (1 << bit) != 0)
        .map(|bit| {
            let side = match (sticky & (1 << bit), expected & (1 << bit)) {
                (0, _) => "",
                (_, 0) => "extra ",
                _ => "no ",
            };
            format!("{side}{word}.{}", names[bit])
        })
        .collect();
    if bits >> 16 != 0 {
        found.push(format!("{word}.reserved"));
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

fn gpr(instruction: &Instruction, register: u8, differing: u64) -> String {
    let number = usize::from(register);
    let is = |used: Register| used.is_gpr() && used.full_register().number() == number;
    if let Some((index, used)) = operand(instruction, is) {
        let width = 8 * used.size();
        let beyond = width < 64 && differing & ((1 << width) - 1) == 0;
        return format!("op{index}{}", if beyond { ".upper" } else { "" });
    }
    let in_memory_operand =
        (0..instruction.op_count()).any(|index| instruction.op_kind(index) == OpKind::Memory);
    if in_memory_operand && is(instruction.memory_base()) && !instruction.is_stack_instruction() {
        return "base".to_owned();
    }
    if in_memory_operand && is(instruction.memory_index()) {
        return "index".to_owned();
    }
    // What no operand names is part of the instruction: RSP of PUSH, RAX of CMPXCHG.
    let mut factory = InstructionInfoFactory::new();
    let implied = factory
        .info(instruction)
        .used_registers()
        .iter()
        .any(|used| is(used.register()));
    if implied {
        snippex_core::state::GPR_NAMES[number].to_owned()
    } else {
        "other register".to_owned()
    }
}

fn vector(instruction: &Instruction, register: u8, first: u8) -> String {
    let is = |used: Register| used.is_vector_register() && used.number() == usize::from(register);
    match operand(instruction, is) {
        Some((index, used)) if usize::from(first) >= used.size() => format!("op{index}.upper"),
        Some((index, _)) => format!("op{index}"),
        None => "other vector".to_owned(),
    }
}

fn x87(instruction: &Instruction, index: u8, differing: &Value) -> String {
    // MMX instructions leave TOP at 0, so that mm3 is st(3).
    let is = |used: Register| used.is_mm() && used.number() == usize::from(index);
    let name = match operand(instruction, is) {
        Some((index, _)) => format!("op{index}"),
        None if index == 0 => "st(0)".to_owned(),
        None => "st(i)".to_owned(),
    };
    match differing {
        Value::Bytes(bytes) if bytes.len() == 10 && bytes[..8].iter().all(|byte| *byte == 0) => {
            format!("{name}.exponent")
        }
        _ => name,
    }
}

fn endpoint(difference: &Difference) -> String {
    let (Value::Endpoint(expected), Value::Endpoint(actual)) = (&difference.expected, &difference.actual)
    else {
        return "endpoint".to_owned();
    };
    let name = |number: u8| signal_name(i32::from(number));
    match (expected, actual) {
        (_, Endpoint::Hung) => "hangs".to_owned(),
        (_, Endpoint::EngineDied { signal: Some(number) }) => format!("dies of {}", signal_name(*number)),
        (_, Endpoint::EngineDied { signal: None }) => "exits".to_owned(),
        (Endpoint::Signal(a), Endpoint::Signal(b)) if a.number == b.number => {
            format!("{} elsewhere", name(a.number))
        }
        (Endpoint::Signal(a), Endpoint::Signal(b)) => format!("{}, not {}", name(b.number), name(a.number)),
        (Endpoint::Signal(signal), _) => format!("no {}", name(signal.number)),
        (_, Endpoint::Signal(signal)) => format!("extra {}", name(signal.number)),
        _ => "target".to_owned(),
    }
}
