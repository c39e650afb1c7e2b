//! Blocks of several random instructions: registers and flags flow from one to the next.
//!
//! Single instructions do not show what goes wrong between them: constants that an optimiser carries on, flags that
//! are computed late, registers that are kept elsewhere. Each form gets sequences of its own, in which it stands among
//! instructions that every processor of the x86-64-v3 level has.

use std::ops::RangeInclusive;
use std::sync::OnceLock;

use iced_x86::{Code, CpuidFeature, EncodingKind, FlowControl, Instruction, Mnemonic, RflagsBits};

use super::form::Form;
use super::operands::{Choice, Registers};
use super::request::GenerationRequest;
use super::single::{build_block, generate_instruction};
use super::stage::Stage;
use snippex_core::block::{Block, Terminator};
use snippex_core::decode::{
    Control, control_flow, loads_mxcsr, loads_x87_control, machine_part, stores_control_words,
    unrunnable_reason,
};
use snippex_core::random::Random;

/// Sub-stream of the seed that sequences come from.
const STREAM: u64 = 0x7365_7175_656e_6365;
/// Long sequences of a form.
const LONG_COUNT: u32 = 4;
/// Bytes from one long sequence to the next.
const LONG_STRIDE: u64 = 0x400;
/// Lengths of short sequences.
pub(super) const SHORT_LENGTHS: RangeInclusive<u32> = 2..=8;
/// Short sequences of a form: one of each length.
const SHORT_COUNT: u32 = *SHORT_LENGTHS.end() - *SHORT_LENGTHS.start() + 1;
/// Bytes from one short sequence to the next: more than eight instructions take.
const SHORT_STRIDE: u64 = 0x80;
/// RBX, RSI and RDI hold addresses and are not written as explicit operands.
const BASES: &[u8] = &[3, 6, 7];

/// Sequences of `length` instructions with one of `form` among them.
pub(super) fn generate_long_sequences(request: &GenerationRequest, form: Form, length: u32) -> Vec<Block> {
    let count = request.per_form.unwrap_or(LONG_COUNT);
    let start = Stage::Long.form_start(form);
    (0..count)
        .filter_map(|number| {
            let address = start + u64::from(number) * LONG_STRIDE;
            block(request.seed, form, number, address, length)
        })
        .collect()
}

/// Sequences of two to eight instructions with one of `form` among them.
pub(super) fn generate_short_sequences(request: &GenerationRequest, form: Form) -> Vec<Block> {
    let count = request
        .per_form
        .map_or(SHORT_COUNT, |count| count.min(SHORT_COUNT));
    let start = Stage::Short.form_start(form);
    (0..count)
        .filter_map(|number| {
            let address = start + u64::from(number) * SHORT_STRIDE;
            // Where there are fewer than lengths, forms have different ones.
            let length = SHORT_LENGTHS.start() + (number + form.code() as u32) % SHORT_COUNT;
            block(request.seed, form, number, address, length)
        })
        .collect()
}

fn block(seed: u64, form: Form, number: u32, address: u64, length: u32) -> Option<Block> {
    let path = [STREAM, form.code() as u64, u64::from(number), u64::from(length)];
    let mut random = Random::new(seed).derive_stream(&path);
    let last = length - 1;
    // What ends a block can only stand at its end.
    let place = if ends(form) {
        last
    } else {
        random.next_below(u64::from(length)) as u32
    };
    // Few registers make values flow, many make registers scarce.
    let few = random.next_below(2) == 0;
    let mut bytes = Vec::new();
    let mut count = 0;
    let mut terminator = Terminator::FallThrough;
    let mut previous = None;
    for position in 0..length {
        let at = address + bytes.len() as u64;
        let (instruction, encoded) = if position == place {
            attempt(form, number, at, few, &mut random)?
        } else {
            (0..8).find_map(|_| {
                let companion = companion(form, position + 1 == place, previous, &mut random);
                let variant = random.next_u64() as u32 % 64;
                attempt(companion, variant, at, few, &mut random)
                    // Some forms can be run with some of their operands only.
                    .filter(|(instruction, _)| unrunnable_reason(instruction).is_none())
            })?
        };
        if let Control::End(end) = control_flow(&instruction) {
            terminator = end;
        }
        previous = Some(Form::of_code(instruction.code()));
        bytes.extend(encoded);
        count += 1;
    }
    Some(build_block(address, bytes, count, terminator))
}

fn attempt(
    form: Form,
    variant: u32,
    address: u64,
    few: bool,
    random: &mut Random,
) -> Option<(Instruction, Vec<u8>)> {
    (0..8).find_map(|_| {
        let choice = if few {
            Choice::Few
        } else {
            [Choice::Low, Choice::High, Choice::Any, Choice::Any][random.next_below(4) as usize]
        };
        generate_instruction(
            form,
            variant,
            address,
            &Registers { choice, bases: BASES },
            random,
        )
    })
}

fn ends(form: Form) -> bool {
    !matches!(form.code().flow_control(), FlowControl::Next) || form.code() == Code::Hlt
}

/// A form to stand beside `form`, perhaps right before it, and behind `previous`: half of them integer instructions, whose
/// flags and registers carry everything, half of its own kind. Right before what reads flags stands what writes them, and
/// behind what writes them half the time what reads them.
fn companion(form: Form, is_next: bool, previous: Option<Form>, random: &mut Random) -> Form {
    let pools = pools();
    let integer = random.next_below(2) == 0;
    let own = if is_next && reads_flags(form) {
        &pools.flag_writers
    } else if integer && previous.is_some_and(writes_flags) {
        &pools.flag_readers
    } else {
        match kind(form) {
            _ if integer => &pools.integer,
            Kind::Integer => &pools.integer,
            Kind::Vector => &pools.vector,
            Kind::X87 => &pools.x87,
        }
    };
    own[random.next_below(own.len() as u64) as usize]
}

fn reads_flags(form: Form) -> bool {
    instruction_of(form).rflags_read() & STATUS != 0
}

fn writes_flags(form: Form) -> bool {
    instruction_of(form).rflags_written() & STATUS != 0
}

/// The flags that arithmetic sets.
const STATUS: u32 =
    RflagsBits::OF | RflagsBits::SF | RflagsBits::ZF | RflagsBits::AF | RflagsBits::CF | RflagsBits::PF;

fn instruction_of(form: Form) -> Instruction {
    let mut instruction = Instruction::default();
    instruction.set_code(form.code());
    instruction
}

enum Kind {
    Integer,
    Vector,
    X87,
}

fn kind(form: Form) -> Kind {
    use CpuidFeature as F;
    let has = |wanted: &[F]| form.features().iter().any(|feature| wanted.contains(feature));
    if has(&[F::FPU, F::FPU287, F::FPU387]) {
        return Kind::X87;
    }
    let integer = [F::BMI1, F::BMI2, F::ADX, F::POPCNT, F::LZCNT, F::MOVBE, F::TBM];
    if form.extension() == "general" || has(&integer) {
        Kind::Integer
    } else {
        Kind::Vector
    }
}

struct Pools {
    integer: Vec<Form>,
    vector: Vec<Form>,
    x87: Vec<Form>,
    /// Those of the integer instructions that read flags, and those that write them.
    flag_readers: Vec<Form>,
    flag_writers: Vec<Form>,
}

fn pools() -> &'static Pools {
    static POOLS: OnceLock<Pools> = OnceLock::new();
    POOLS.get_or_init(|| {
        let mut pools = Pools {
            integer: Vec::new(),
            vector: Vec::new(),
            x87: Vec::new(),
            flag_readers: Vec::new(),
            flag_writers: Vec::new(),
        };
        for form in Form::all().filter(|&form| form.skip_reason().is_none() && is_plain(form)) {
            match kind(form) {
                Kind::Integer => pools.integer.push(form),
                Kind::Vector => pools.vector.push(form),
                Kind::X87 => pools.x87.push(form),
            }
        }
        let of_integer = |is_wanted: fn(Form) -> bool| {
            let forms = pools.integer.iter().copied();
            forms.filter(|&form| is_wanted(form)).collect()
        };
        (pools.flag_readers, pools.flag_writers) = (of_integer(reads_flags), of_integer(writes_flags));
        pools
    })
}

/// Whether a form can stand anywhere: it goes on to the next instruction, seldom faults, leaves the stack pointer and
/// the control registers alone, and every x86-64-v3 processor has it.
fn is_plain(form: Form) -> bool {
    use CpuidFeature as F;
    let level = |feature: &F| {
        super::form::extension_name(*feature) == "general"
            || matches!(
                feature,
                F::FPU
                    | F::FPU287
                    | F::FPU387
                    | F::MMX
                    | F::SSE
                    | F::SSE2
                    | F::SSE3
                    | F::SSSE3
                    | F::SSE4_1
                    | F::SSE4_2
                    | F::AVX
                    | F::AVX2
                    | F::BMI1
                    | F::BMI2
                    | F::LZCNT
                    | F::POPCNT
                    | F::MOVBE
                    | F::FMA
                    | F::F16C
            )
    };
    let info = form.code().op_code();
    let mnemonic = form.code().mnemonic();
    let traps = matches!(
        mnemonic,
        Mnemonic::Div
            | Mnemonic::Idiv
            | Mnemonic::Leave
            | Mnemonic::Enter
            | Mnemonic::Std
            | Mnemonic::Clflush
    ) || loads_mxcsr(mnemonic)
        || loads_x87_control(mnemonic)
        || stores_control_words(mnemonic)
        || machine_part(form.code()).is_some();
    matches!(info.encoding(), EncodingKind::Legacy | EncodingKind::VEX)
        && form.features().iter().all(level)
        && matches!(form.code().flow_control(), FlowControl::Next)
        && !ends(form)
        && !info.is_stack_instruction()
        && !info.is_nop()
        && !info.is_save_restore()
        && !info.can_use_rep_prefix()
        && !traps
}
