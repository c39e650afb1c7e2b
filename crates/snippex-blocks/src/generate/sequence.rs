//! Blocks of several random instructions: registers and flags flow from one to the next.
//!
//! Single instructions do not show what goes wrong between them: constants that an optimiser carries on, flags that
//! are computed late, registers that are kept elsewhere. Each form gets sequences of its own, in which it stands among
//! instructions that every processor of the x86-64-v3 level has.

use std::sync::OnceLock;

use iced_x86::{Code, CpuidFeature, EncodingKind, FlowControl, Mnemonic};

use super::form::Form;
use super::operands::{Choice, Registers};
use super::request::GenerationRequest;
use super::single::{build_block, generate_instruction};
use snippex_core::block::{Block, Terminator};
use snippex_core::decode::{
    Control, control_flow, loads_mxcsr, loads_x87_control, machine_part, stores_control_words,
};
use snippex_core::random::Random;

/// Sub-stream of the seed that sequences come from.
const STREAM: u64 = 0x7365_7175_656e_6365;
/// Addresses begin where those of single instructions end.
pub(super) const START: u64 = 0x2000_0000;
pub(super) const FORM_STRIDE: u64 = 0x8000;
const STRIDE: u64 = 0x400;
/// Sequences of a form.
const DEFAULT: u32 = 4;
/// RBX, RSI and RDI hold addresses and are not written as explicit operands.
const BASES: &[u8] = &[3, 6, 7];

/// Sequences of `length` instructions with one of `form` among them.
pub(super) fn generate_sequences(request: &GenerationRequest, form: Form, length: u32) -> Vec<Block> {
    let count = request.per_form.unwrap_or(DEFAULT);
    (0..count)
        .filter_map(|number| block(request.seed, form, number, length))
        .collect()
}

fn block(seed: u64, form: Form, number: u32, length: u32) -> Option<Block> {
    let mut random = Random::new(seed).derive_stream(&[STREAM, form.code() as u64, u64::from(number)]);
    let address = START + form.code() as u64 * FORM_STRIDE + u64::from(number) * STRIDE;
    let last = length - 1;
    // What ends a block can only stand at its end.
    let place = if ends(form) {
        last
    } else {
        random.next_below(u64::from(length)) as u32
    };
    let mut bytes = Vec::new();
    let mut count = 0;
    let mut terminator = Terminator::FallThrough;
    for position in 0..length {
        let at = address + bytes.len() as u64;
        let (instruction, encoded) = if position == place {
            attempt(form, number, at, &mut random)?
        } else {
            (0..8).find_map(|_| {
                attempt(
                    companion(form, &mut random),
                    random.next_u64() as u32 % 64,
                    at,
                    &mut random,
                )
            })?
        };
        if let Control::End(end) = control_flow(&instruction) {
            terminator = end;
        }
        bytes.extend(encoded);
        count += 1;
    }
    Some(build_block(address, bytes, count, terminator))
}

fn attempt(
    form: Form,
    variant: u32,
    address: u64,
    random: &mut Random,
) -> Option<(iced_x86::Instruction, Vec<u8>)> {
    (0..8).find_map(|_| {
        let choice = [Choice::Low, Choice::High, Choice::Any, Choice::Any][random.next_below(4) as usize];
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

/// A form to stand beside `form`: half of them integer instructions, whose flags and registers carry everything, half
/// of its own kind.
fn companion(form: Form, random: &mut Random) -> Form {
    let pools = pools();
    let own = match kind(form) {
        _ if random.next_below(2) == 0 => &pools.integer,
        Kind::Integer => &pools.integer,
        Kind::Vector => &pools.vector,
        Kind::X87 => &pools.x87,
    };
    own[random.next_below(own.len() as u64) as usize]
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
}

fn pools() -> &'static Pools {
    static POOLS: OnceLock<Pools> = OnceLock::new();
    POOLS.get_or_init(|| {
        let mut pools = Pools {
            integer: Vec::new(),
            vector: Vec::new(),
            x87: Vec::new(),
        };
        for form in Form::all().filter(|&form| form.skip_reason().is_none() && is_plain(form)) {
            match kind(form) {
                Kind::Integer => pools.integer.push(form),
                Kind::Vector => pools.vector.push(form),
                Kind::X87 => pools.x87.push(form),
            }
        }
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
