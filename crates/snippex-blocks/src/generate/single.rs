//! Blocks of one instruction, with what it needs around it to show its effect.

use iced_x86::{Code, Encoder, Instruction, Mnemonic, OpKind, Register};
use snippex_core::decode::intel_decoder;

use super::encode::encode_instruction;
use super::form::Form;
use super::immediates;
use super::operands::{self, Choice, Registers};
use super::prefixes;
use super::request::{GenerationRequest, MAX_PER_FORM};
use super::stage::Stage;
use snippex_core::block::{Block, Origin, Terminator};
use snippex_core::decode::{Control, control_flow, unrunnable_reason};
use snippex_core::random::Random;

/// Sub-stream of the seed that single instructions come from.
const STREAM: u64 = 0x666f_726d_7300_0000;
/// Bytes from block to block.
const STRIDE: u64 = Stage::Single.form_stride() / MAX_PER_FORM as u64;
/// Bytes of a block with what stands before its instruction, so that it ends before the next one.
const LONGEST: usize = STRIDE as usize - 12;
/// Blocks of a form whose operands have few corners.
const FEW: u32 = 32;
/// Blocks of a form of x87: as many as meet every pair of operands, and one of ST(0) with itself.
const X87: u32 = 33;
/// Blocks of a form with a byte that selects what it does: all its values.
const ALL: u32 = 256;
/// The same where a mask, rounding and broadcast multiply the forms.
const SOME: u32 = 64;
/// Attempts at a variant: some combinations of operands have no encoding.
const ATTEMPTS: u64 = 16;

/// The blocks of `form`.
pub(super) fn generate_form_blocks(request: &GenerationRequest, form: Form) -> Vec<Block> {
    let count = request.per_form.unwrap_or_else(|| default_count(form));
    (0..count)
        .filter_map(|variant| block(request.seed, form, variant))
        .collect()
}

fn default_count(form: Form) -> u32 {
    if form.is_in("x87") {
        return X87;
    }
    match (
        immediates::immediate_selects_operation(form),
        form.code().encoding(),
    ) {
        (false, _) => FEW,
        (true, iced_x86::EncodingKind::EVEX) => SOME,
        (true, _) => ALL,
    }
}

/// Variant `variant` of `form`.
fn block(seed: u64, form: Form, variant: u32) -> Option<Block> {
    let stream = Random::new(seed).derive_stream(&[STREAM, form.code() as u64, u64::from(variant)]);
    let mut place = stream.derive_stream(&[u64::MAX]);
    let address = Stage::Single.form_start(form) + u64::from(variant) * STRIDE + 2 * place.next_below(6);
    (0..ATTEMPTS).find_map(|attempt| {
        let mut random = stream.derive_stream(&[attempt]);
        let (instruction, bytes) =
            generate_instruction(form, variant, address, &registers(variant, attempt), &mut random)?;
        Some(around(form, variant, address, &instruction, bytes))
    })
}

fn registers(variant: u32, attempt: u64) -> Registers {
    let choice = match (variant % 8, attempt) {
        (2 | 3, 0..4) => Choice::SameTurn(variant),
        (_, 0..4) => Choice::Turn(variant),
        (4 | 5, _) => Choice::High,
        _ => Choice::Any,
    };
    Registers { choice, bases: &[] }
}

/// One instruction of `form` at `address`, and its bytes.
pub(super) fn generate_instruction(
    form: Form,
    variant: u32,
    address: u64,
    registers: &Registers,
    random: &mut Random,
) -> Option<(Instruction, Vec<u8>)> {
    let mut instruction = operands::build_instruction(form, variant, address, registers, random)?;
    let info = form.code().op_code();
    let stores = instruction.op_count() > 0 && instruction.op0_kind() == OpKind::Memory;
    if info.can_use_lock_prefix() && stores && random.next_below(2) == 0 {
        instruction.set_has_lock_prefix(true);
    }
    if info.can_use_rep_prefix() && variant % 3 == 1 {
        instruction.set_has_rep_prefix(true);
    } else if info.can_use_repne_prefix() && variant % 3 == 2 {
        instruction.set_has_repne_prefix(true);
    }
    let bytes = encode_instruction(form, &instruction, variant % 4 == 3, random)?;
    let prefixed = if variant % 8 == 5 && prefixes::wants_address_size(form) {
        prefixes::add_address_size(form, &instruction, &bytes, address)
    } else {
        None
    };
    let bytes = if let Some(prefixed) = prefixed {
        prefixed
    } else if variant % 8 >= 5 {
        prefixes::add_neutral_prefixes(form, &instruction, bytes, address, random)
    } else {
        bytes
    };
    let decoded = intel_decoder(&bytes, address).decode();
    Some((decoded, bytes))
}

/// A block around an instruction.
fn around(form: Form, variant: u32, address: u64, instruction: &Instruction, bytes: Vec<u8>) -> Block {
    let mut before = Vec::new();
    // A comparison that fails always would show half of the instruction.
    if variant % 3 == 1 {
        before = equal_comparand(instruction);
    }
    // Of random elements of an index nearly all lead nowhere, and zeros show nothing.
    if instruction.is_vsib() && !variant.is_multiple_of(3) {
        before = small_indices(instruction);
    }
    // Of random bytes XRSTOR would refuse nearly all.
    if matches!(instruction.mnemonic(), Mnemonic::Xrstor | Mnemonic::Xrstor64) && !variant.is_multiple_of(4) {
        before = image_header(instruction);
    }
    // A block's code may not move under an operand that is relative to it.
    if instruction.is_ip_rel_memory_operand() {
        before.clear();
    }
    let mut all = encode_all(&before, address);
    if all.len() + bytes.len() > LONGEST {
        all.clear();
    }
    let mut count = if all.is_empty() {
        1
    } else {
        before.len() as u32 + 1
    };
    all.extend(bytes);
    let terminator = match control_flow(instruction) {
        Control::Next => Terminator::FallThrough,
        Control::End(terminator) => terminator,
    };
    // An unmasked x87 exception is raised by the next instruction that waits (SDM vol. 1, section 8.7).
    let waits = form.is_in("x87") && variant % 4 == 3 && form.code() != Code::Wait;
    if waits && terminator == Terminator::FallThrough {
        all.push(0x9b);
        count += 1;
    }
    build_block(address, all, count, terminator)
}

/// A block of `bytes`, which end in `terminator`.
pub(super) fn build_block(address: u64, bytes: Vec<u8>, count: u32, terminator: Terminator) -> Block {
    let end = address + bytes.len() as u64;
    let mut last = Instruction::default();
    let mut decoder = intel_decoder(&bytes, address);
    let mut reason = None;
    while decoder.can_decode() {
        decoder.decode_out(&mut last);
        // Some forms can be run with some of their operands only.
        reason = reason.or_else(|| unrunnable_reason(&last));
    }
    let target = last.near_branch64();
    let successors = match terminator {
        Terminator::FallThrough => vec![end],
        Terminator::Jcc | Terminator::Loop => vec![target, end],
        Terminator::Jmp => vec![target],
        Terminator::Call => vec![target, end],
        _ => Vec::new(),
    };
    Block {
        address,
        instruction_count: count,
        bytes,
        terminator,
        successors,
        origin: Origin::Generated,
        unrunnable: reason,
    }
}

/// Instructions that make a compare-and-exchange find what it expects.
fn equal_comparand(instruction: &Instruction) -> Vec<Instruction> {
    let load = |code: Code, into: Register, offset: i64| {
        let mut load = Instruction::default();
        load.set_code(code);
        load.set_op0_kind(OpKind::Register);
        load.set_op0_register(into);
        load.set_op1_kind(instruction.op0_kind());
        if instruction.op0_kind() == OpKind::Register {
            load.set_op1_register(instruction.op0_register());
        } else {
            load.set_memory_base(instruction.memory_base());
            load.set_memory_index(instruction.memory_index());
            load.set_memory_index_scale(instruction.memory_index_scale());
            load.set_memory_displacement64(instruction.memory_displacement64().wrapping_add_signed(offset));
            load.set_memory_displ_size(match instruction.memory_displ_size() {
                0 | 1 if offset != 0 => 8,
                size => size,
            });
            load.set_segment_prefix(instruction.segment_prefix());
        }
        load
    };
    // The load would change the address.
    let parts = [instruction.memory_base(), instruction.memory_index()];
    let moved = |register: Register| parts.iter().any(|part| part.full_register() == register);
    if moved(Register::RAX) {
        return Vec::new();
    }
    match instruction.mnemonic() {
        Mnemonic::Cmpxchg => {
            let (code, into) = match instruction.op1_register().size() {
                1 => (Code::Mov_r8_rm8, Register::AL),
                2 => (Code::Mov_r16_rm16, Register::AX),
                4 => (Code::Mov_r32_rm32, Register::EAX),
                _ => (Code::Mov_r64_rm64, Register::RAX),
            };
            vec![load(code, into, 0)]
        }
        Mnemonic::Cmpxchg8b if !moved(Register::RDX) => vec![
            load(Code::Mov_r32_rm32, Register::EAX, 0),
            load(Code::Mov_r32_rm32, Register::EDX, 4),
        ],
        Mnemonic::Cmpxchg16b if !moved(Register::RDX) => vec![
            load(Code::Mov_r64_rm64, Register::RAX, 0),
            load(Code::Mov_r64_rm64, Register::RDX, 8),
        ],
        _ => Vec::new(),
    }
}

/// An instruction that leaves seven bits of each element of the vector that `instruction` takes as an index: addresses near the
/// base, a different one for each element.
fn small_indices(instruction: &Instruction) -> Vec<Instruction> {
    let index = instruction.memory_index();
    let evex = instruction.memory_index().is_zmm() || index.number() >= 16;
    let wide = instruction.is_vsib64();
    let code = match (index.is_xmm(), index.is_ymm(), evex, wide) {
        (true, _, false, true) => Code::VEX_Vpsrlq_xmm_xmm_imm8,
        (true, _, false, false) => Code::VEX_Vpsrld_xmm_xmm_imm8,
        (_, true, false, true) => Code::VEX_Vpsrlq_ymm_ymm_imm8,
        (_, true, false, false) => Code::VEX_Vpsrld_ymm_ymm_imm8,
        (true, _, true, true) => Code::EVEX_Vpsrlq_xmm_k1z_xmmm128b64_imm8,
        (true, _, true, false) => Code::EVEX_Vpsrld_xmm_k1z_xmmm128b32_imm8,
        (_, true, true, true) => Code::EVEX_Vpsrlq_ymm_k1z_ymmm256b64_imm8,
        (_, true, true, false) => Code::EVEX_Vpsrld_ymm_k1z_ymmm256b32_imm8,
        (_, _, _, true) => Code::EVEX_Vpsrlq_zmm_k1z_zmmm512b64_imm8,
        (_, _, _, false) => Code::EVEX_Vpsrld_zmm_k1z_zmmm512b32_imm8,
    };
    let bits = if wide { 57 } else { 25 };
    Instruction::with3(code, index, index, bits).into_iter().collect()
}

/// Instructions that make an image at the memory operand of `instruction` one that XRSTOR takes: a header that names
/// components up to AVX, and an MXCSR without reserved bits (SDM volume 1, section 13.8.1).
fn image_header(instruction: &Instruction) -> Vec<Instruction> {
    const MXCSR: i64 = 24;
    const HEADER: i64 = 512;
    let narrow = instruction.memory_base().is_gpr32() || instruction.memory_index().is_gpr32();
    let keep = |code: Code, kind: OpKind, offset: i64, bits: i16| {
        let mut and = Instruction::default();
        and.set_code(code);
        and.set_op0_kind(OpKind::Memory);
        and.set_memory_base(instruction.memory_base());
        and.set_memory_index(instruction.memory_index());
        and.set_memory_index_scale(instruction.memory_index_scale());
        and.set_memory_displacement64(instruction.memory_displacement64().wrapping_add_signed(offset));
        and.set_memory_displ_size(if narrow { 4 } else { 8 });
        and.set_segment_prefix(instruction.segment_prefix());
        and.set_op1_kind(kind);
        and.set_immediate8to16(bits);
        and
    };
    let word = |offset, bits| keep(Code::And_rm64_imm8, OpKind::Immediate8to64, offset, bits);
    vec![
        keep(Code::And_rm16_imm8, OpKind::Immediate8to16, MXCSR + 2, 0),
        word(HEADER, 7),
        word(HEADER + 8, 0),
        word(HEADER + 16, 0),
    ]
}

fn encode_all(instructions: &[Instruction], address: u64) -> Vec<u8> {
    let mut encoder = Encoder::new(64);
    let encoded = instructions
        .iter()
        .all(|instruction| encoder.encode(instruction, address).is_ok());
    if encoded {
        encoder.take_buffer()
    } else {
        Vec::new()
    }
}
