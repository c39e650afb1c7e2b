//! Simpler instructions to stand in for those before the one at fault.
//!
//! What comes before the instruction at fault only prepares it, so it may be anything that prepares it as well: a
//! constant for a computation, a register for memory, a plain address for a sum, a narrow operation for a wide one. The
//! instruction at fault itself keeps its form, which is what the bug is known by.

use iced_x86::{Code, Encoder, EncodingKind, Instruction, OpCodeOperandKind, OpKind, Register};

use snippex_core::case::Case;
use snippex_core::decode::{Control, control_flow, intel_decoder};
use snippex_core::state::MachineState;

/// For each instruction before the last one, what may stand for it: its index and other bytes, the simplest first.
/// `before` is the state that the last instruction met.
pub(super) fn find_simpler_instructions(case: &Case, before: Option<&MachineState>) -> Vec<(usize, Vec<u8>)> {
    let mut decoder = intel_decoder(&case.block.bytes, case.block.address);
    let mut found = Vec::new();
    let mut index = 0;
    while decoder.can_decode() {
        let start = decoder.position();
        let instruction = decoder.decode();
        let bytes = &case.block.bytes[start..decoder.position()];
        if !decoder.can_decode() || instruction.is_invalid() {
            break;
        }
        // What is relative to RIP would have to move along.
        if control_flow(&instruction) == Control::Next && !instruction.is_ip_rel_memory_operand() {
            let mut options = constants(&instruction, before);
            options.extend(in_register(&instruction));
            options.extend(at_plain_address(&instruction));
            options.extend(narrow(&instruction, bytes));
            options.retain(|option| option != bytes);
            found.extend(options.into_iter().map(|option| (index, option)));
        }
        index += 1;
    }
    found
}

/// The destination set to a constant: zero, or what the instruction at fault found there.
fn constants(instruction: &Instruction, before: Option<&MachineState>) -> Vec<Vec<u8>> {
    if instruction.op_count() == 0 || instruction.op0_kind() != OpKind::Register {
        return Vec::new();
    }
    let destination = instruction.op0_register();
    if destination.is_gpr() {
        let register = destination.full_register();
        let is_constant = matches!(instruction.code(), Code::Mov_r32_imm32 | Code::Mov_r64_imm64);
        if is_constant || register == Register::RSP {
            return Vec::new();
        }
        let met = before.map(|state| state.gpr[register.number()]);
        let values = [Some(0), met.filter(|value| *value != 0)];
        return values
            .into_iter()
            .flatten()
            .filter_map(|value| set(register, value))
            .collect();
    }
    if destination.is_xmm() || destination.is_ymm() {
        let register = low(Register::XMM0, destination.number());
        return Instruction::with2(Code::Pxor_xmm_xmmm128, register, register)
            .ok()
            .as_ref()
            .and_then(encoded)
            .into_iter()
            .collect();
    }
    Vec::new()
}

/// `mov register, value`, as short as it can be.
fn set(register: Register, value: u64) -> Option<Vec<u8>> {
    let mov = match u32::try_from(value) {
        Ok(value) => Instruction::with2(Code::Mov_r32_imm32, low(Register::EAX, register.number()), value),
        Err(_) => Instruction::with2(Code::Mov_r64_imm64, register, value),
    };
    encoded(&mov.ok()?)
}

/// A register in place of the memory operand.
fn in_register(instruction: &Instruction) -> Option<Vec<u8>> {
    use OpCodeOperandKind as K;
    let operand = memory_operand(instruction)?;
    let first = match instruction.code().op_code().op_kind(operand) {
        // AL to BL: the others would need a prefix or be upper halves.
        K::r8_or_mem => Register::AL,
        K::r16_or_mem => Register::AX,
        K::r32_or_mem => Register::EAX,
        K::r64_or_mem => Register::RAX,
        K::mm_or_mem => Register::MM0,
        K::xmm_or_mem => Register::XMM0,
        K::ymm_or_mem => Register::YMM0,
        K::zmm_or_mem => Register::ZMM0,
        K::k_or_mem => Register::K0,
        _ => return None,
    };
    let named = |register: Register| {
        (0..instruction.op_count()).any(|other| {
            instruction.op_kind(other) == OpKind::Register
                && instruction.op_register(other).full_register() == register.full_register()
        })
    };
    let register = (0..4)
        .rev()
        .map(|number| low(first, number))
        .find(|&register| !named(register))?;
    let mut changed = *instruction;
    changed.set_op_kind(operand, OpKind::Register);
    changed.set_op_register(operand, register);
    changed.set_memory_base(Register::None);
    changed.set_memory_index(Register::None);
    changed.set_memory_displacement64(0);
    changed.set_memory_displ_size(0);
    changed.set_segment_prefix(Register::None);
    changed.set_is_broadcast(false);
    changed.set_has_lock_prefix(false);
    encoded(&changed)
}

/// The memory operand at its base register alone.
fn at_plain_address(instruction: &Instruction) -> Option<Vec<u8>> {
    memory_operand(instruction)?;
    let base = instruction.memory_base();
    let is_plain = instruction.memory_index() == Register::None
        && instruction.memory_displacement64() == 0
        && instruction.segment_prefix() == Register::None;
    if !base.is_gpr64() || is_plain || instruction.is_vsib() {
        return None;
    }
    let mut changed = *instruction;
    changed.set_memory_index(Register::None);
    changed.set_memory_index_scale(1);
    changed.set_memory_displacement64(0);
    changed.set_memory_displ_size(0);
    changed.set_segment_prefix(Register::None);
    encoded(&changed)
}

/// The same operation on half of the width: without REX.W, or with a vector length of 128 bits.
fn narrow(instruction: &Instruction, bytes: &[u8]) -> Option<Vec<u8>> {
    const REX_W: u8 = 8;
    let mut changed = bytes.to_vec();
    match instruction.code().encoding() {
        EncodingKind::Legacy => {
            let at = changed.iter().position(|byte| {
                !matches!(byte, 0x26 | 0x2e | 0x36 | 0x3e | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3)
            })?;
            let rex = changed[at];
            if rex & 0xf8 != 0x40 | REX_W {
                return None;
            }
            match rex & !REX_W {
                // Nothing is left of it.
                0x40 => drop(changed.remove(at)),
                rest => changed[at] = rest,
            }
        }
        EncodingKind::VEX => {
            let at = changed.iter().position(|byte| matches!(byte, 0xc4 | 0xc5))?;
            let length = at + if changed[at] == 0xc5 { 1 } else { 2 };
            *changed.get_mut(length)? &= !4;
        }
        _ => return None,
    }
    let mut again = intel_decoder(&changed, instruction.ip());
    let other = again.decode();
    let same = other.mnemonic() == instruction.mnemonic() && other.len() == changed.len();
    (same && other.op_count() == instruction.op_count()).then_some(changed)
}

/// The operand in memory, of those that are written as one.
fn memory_operand(instruction: &Instruction) -> Option<u32> {
    (0..instruction.op_count()).find(|&operand| instruction.op_kind(operand) == OpKind::Memory)
}

fn low(first: Register, number: usize) -> Register {
    Register::try_from(first as usize + number).expect("numbers stay within their file")
}

fn encoded(instruction: &Instruction) -> Option<Vec<u8>> {
    let mut encoder = Encoder::new(64);
    encoder.encode(instruction, instruction.ip()).ok()?;
    Some(encoder.take_buffer())
}

#[cfg(test)]
mod tests {
    use snippex_core::block::{Block, Origin, Terminator};
    use snippex_core::case::Placement;

    use super::*;

    /// What may stand for an instruction, as text.
    fn of(bytes: &[u8], before: Option<&MachineState>) -> Vec<String> {
        let block = Block {
            address: 0x40_1000,
            bytes: [bytes, &[0x90]].concat(),
            instruction_count: 2,
            terminator: Terminator::FallThrough,
            successors: Vec::new(),
            origin: Origin::Sweep,
            unrunnable: None,
        };
        let case = Case {
            block: block.into(),
            placement: Placement {
                image_base: 0,
                code_base: 0x1000_0000,
            },
            state: MachineState::default(),
            pages: [].into(),
        };
        let mut texts: Vec<String> = find_simpler_instructions(&case, before)
            .iter()
            .map(|(index, bytes)| {
                assert_eq!(*index, 0);
                intel_decoder(bytes, 0).decode().to_string()
            })
            .collect();
        texts.sort();
        texts
    }

    #[test]
    fn a_computation_becomes_a_constant_a_register_a_plain_address_and_half_as_wide() {
        let mut before = MachineState::default();
        before.gpr[0] = 0x1_2345_6789;
        // add rax, fs:[rbx + rcx*8 + 0x40]
        assert_eq!(
            of(&[0x64, 0x48, 0x03, 0x44, 0xcb, 0x40], Some(&before)),
            [
                "add eax,[fs:rbx+rcx*8+40h]",
                "add rax,[rbx]",
                "add rax,rbx",
                "mov eax,0",
                "mov rax,123456789h"
            ]
        );
        // vpaddd ymm1, ymm2, [rdi]
        assert_eq!(
            of(&[0xc5, 0xed, 0xfe, 0x0f], None),
            [
                "pxor xmm1,xmm1",
                "vpaddd xmm1,xmm2,[rdi]",
                "vpaddd ymm1,ymm2,ymm3"
            ]
        );
        // add [rdi], ecx
        assert_eq!(of(&[0x01, 0x0f], None), ["add ebx,ecx"]);
    }

    #[test]
    fn what_is_simple_stays() {
        assert!(of(&[0xb8, 5, 0, 0, 0], None).is_empty(), "mov eax, 5");
        assert!(of(&[0xf8], None).is_empty(), "clc");
        assert!(of(&[0x66, 0x0f, 0xef, 0xc0], None).is_empty(), "pxor xmm0, xmm0");
        // mov [rip + 5], eax; add rsp, 8 is only made narrower.
        assert!(of(&[0x89, 0x05, 5, 0, 0, 0], None).is_empty());
        assert_eq!(of(&[0x48, 0x83, 0xc4, 8], None), ["add esp,8"]);
    }
}
