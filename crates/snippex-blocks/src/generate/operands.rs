//! Operands of one instruction: which registers, memory, immediates, and the EVEX decorations.

use iced_x86::{EncodingKind, Instruction, MemorySize, OpCodeOperandKind, OpKind, Register, RoundingControl};

use super::form::Form;
use super::immediates::{choose_edge8, choose_immediate8, choose_wide_immediate};
use super::memory_operand::{self, Mode};
use snippex_core::random::Random;

/// Which registers operands may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Registers {
    pub(super) choice: Choice,
    /// Registers that hold addresses in a sequence: used as bases, never as other operands. Empty: any may be both.
    pub(super) bases: &'static [u8],
}

/// How registers are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// Different low ones: the shortest encoding.
    Low,
    /// Every register in turn, by the number of a variant, and another for each operand.
    Turn(u32),
    /// Every register in turn, and the same for every operand.
    SameTurn(u32),
    /// Those that need an extension bit.
    High,
    /// Any.
    Any,
    /// One of three, so that what one instruction writes the next one reads.
    Few,
}

const RSP: u8 = 4;
/// Registers of [`Choice::Few`]: RAX, RCX and RDX, and the first three of other kinds.
const FEW: u64 = 3;

impl Registers {
    pub(super) fn allows_register(&self, register: Register) -> bool {
        self.bases.is_empty() || self.bases.contains(&(register.number() as u8))
    }

    /// A 64-bit register for an address.
    pub(super) fn choose_base(&self, random: &mut Random) -> Register {
        if !self.bases.is_empty() {
            return gpr64(self.bases[random.next_below(self.bases.len() as u64) as usize]);
        }
        gpr64(match self.choice {
            Choice::Low => [7, 6, 3][random.next_below(3) as usize],
            Choice::Turn(variant) | Choice::SameTurn(variant) => (variant / 2 % 16) as u8,
            Choice::High => 8 + random.next_below(8) as u8,
            Choice::Any | Choice::Few => random.next_below(16) as u8,
        })
    }

    /// A 64-bit register to scale: not RSP, which cannot be, and not the base, whose role differs.
    pub(super) fn index(&self, random: &mut Random, base: Register) -> Register {
        loop {
            let number = match self.choice {
                Choice::High => 8 + random.next_below(8) as u8,
                _ => random.next_below(16) as u8,
            };
            if number != RSP && gpr64(number) != base && !self.bases.contains(&number) {
                return gpr64(number);
            }
        }
    }

    /// Number of a general register for operand `operand`.
    fn general(&self, operand: u32, random: &mut Random) -> u8 {
        let number = match self.choice {
            Choice::Low => [2, 3, 6, 1, 0][operand as usize % 5],
            Choice::Turn(variant) => turn(variant, operand, 16) as u8,
            Choice::SameTurn(variant) => turn(variant, 0, 16) as u8,
            Choice::High => 8 + random.next_below(8) as u8,
            Choice::Any => random.next_below(16) as u8,
            Choice::Few => random.next_below(FEW) as u8,
        };
        if self.bases.is_empty() {
            return number;
        }
        // In a sequence addresses and the stack pointer stay what they are.
        if number == RSP || self.bases.contains(&number) {
            [0, 1, 2, 8, 9, 10][random.next_below(6) as usize]
        } else {
            number
        }
    }

    /// Number of a register of which there are `count`.
    fn other(&self, operand: u32, count: u64, random: &mut Random) -> u32 {
        (match self.choice {
            Choice::Low => u64::from(operand) + 1,
            Choice::Turn(variant) => turn(variant, operand, count),
            Choice::SameTurn(variant) => turn(variant, 0, count),
            Choice::High => count / 2 + random.next_below(count / 2),
            Choice::Any => random.next_below(count),
            Choice::Few => random.next_below(FEW),
        }) as u32
            % count as u32
    }
}

/// The number of the register of which there are `count` that operand `operand` is in variant `variant`. Variants come in
/// pairs, one with registers and one with memory, so that those with registers go through all of sixteen, whichever of them have
/// the same register for each operand (every fourth); of 32 they go through half and then the other half.
fn turn(variant: u32, operand: u32, count: u64) -> u64 {
    let pair = u64::from(variant / 2);
    let (number, step) = if count > 16 {
        (2 * pair + u64::from((variant ^ variant >> 5) & 1), 8)
    } else {
        (pair, 4)
    };
    (number + step * u64::from(operand)) % count
}

fn gpr64(number: u8) -> Register {
    register(Register::RAX, u32::from(number))
}

fn register(first: Register, number: u32) -> Register {
    Register::try_from((first as u32 + number) as usize).expect("numbers stay within their file")
}

/// The instruction of `form` that variant `variant` stands for, at `address`. `None` when an operand cannot be made.
pub(super) fn build_instruction(
    form: Form,
    variant: u32,
    address: u64,
    registers: &Registers,
    random: &mut Random,
) -> Option<Instruction> {
    let code = form.code();
    let info = code.op_code();
    let mut result = Instruction::default();
    result.set_code(code);
    result.set_ip(address);
    let in_memory = variant % 2 == 1;
    let mode = Mode::for_variant(code as u64, variant / 2);
    let evex = info.encoding() == EncodingKind::EVEX;
    let vectors = if evex { 32 } else { 16 };
    let mut immediates = 0;
    let mut used_memory = false;
    // Registers that an instruction wants to be different (gathers, AMX).
    let distinct = info.requires_unique_reg_nums() || info.requires_unique_dest_reg_num();
    // Low ones first, then every register in turn: an index of four looks like none to who forgets that it is a vector.
    let first_distinct = if variant < 2 { 0 } else { u64::from(variant) };
    let distinct_register = |place: u32| ((first_distinct + u64::from(place)) % vectors) as u32;
    for (operand, &kind) in (0..).zip(info.op_kinds()) {
        use OpCodeOperandKind as K;
        let memory = match kind {
            K::mem
            | K::mem_mib
            | K::sibmem
            | K::mem_vsib32x
            | K::mem_vsib64x
            | K::mem_vsib32y
            | K::mem_vsib64y
            | K::mem_vsib32z
            | K::mem_vsib64z => true,
            K::r8_or_mem
            | K::r16_or_mem
            | K::r32_or_mem
            | K::r64_or_mem
            | K::mm_or_mem
            | K::xmm_or_mem
            | K::ymm_or_mem
            | K::zmm_or_mem
            | K::k_or_mem => in_memory,
            _ => false,
        };
        if memory {
            used_memory = true;
            let size = match info.memory_size() {
                MemorySize::Xsave | MemorySize::Xsave64 => 64,
                size => size.size().next_power_of_two() as u64,
            };
            let aligned = random.next_below(8) != 0;
            let vector_index = match kind {
                K::mem_vsib32x | K::mem_vsib64x => Some(Register::XMM0),
                K::mem_vsib32y | K::mem_vsib64y => Some(Register::YMM0),
                K::mem_vsib32z | K::mem_vsib64z => Some(Register::ZMM0),
                _ => None,
            };
            let mode = if vector_index.is_some() {
                Mode::BaseDisp8
            } else {
                mode
            };
            memory_operand::set_memory_operand(
                &mut result,
                mode,
                registers,
                if aligned { size.min(64) } else { 1 },
                random,
            );
            if let Some(first) = vector_index {
                let number = if distinct {
                    distinct_register(3)
                } else {
                    registers.other(operand, vectors, random)
                };
                result.set_memory_index(register(first, number));
                result.set_memory_index_scale(1 << random.next_below(4));
            }
            result.set_op_kind(operand, OpKind::Memory);
            continue;
        }
        let general = |first: Register, random: &mut Random| {
            register(first, u32::from(registers.general(operand, random)))
        };
        let vector = |first: Register, random: &mut Random| {
            let number = if distinct {
                distinct_register(operand * 2)
            } else {
                registers.other(operand, vectors, random)
            };
            register(first, number)
        };
        let chosen = match kind {
            K::r8_or_mem | K::r8_reg | K::r8_opcode => byte_register(registers, operand, random),
            K::r16_or_mem | K::r16_reg | K::r16_reg_mem | K::r16_rm | K::r16_opcode => {
                general(Register::AX, random)
            }
            K::r32_or_mem | K::r32_reg | K::r32_reg_mem | K::r32_rm | K::r32_opcode | K::r32_vvvv => {
                general(Register::EAX, random)
            }
            K::r64_or_mem | K::r64_reg | K::r64_reg_mem | K::r64_rm | K::r64_opcode | K::r64_vvvv => {
                general(Register::RAX, random)
            }
            K::k_or_mem | K::k_reg | K::k_rm | K::k_vvvv => {
                register(Register::K0, registers.other(operand, 8, random))
            }
            K::kp1_reg => register(Register::K0, 2 * random.next_below(4) as u32),
            K::mm_or_mem | K::mm_reg | K::mm_rm => {
                register(Register::MM0, registers.other(operand, 8, random))
            }
            K::xmm_or_mem | K::xmm_reg | K::xmm_rm | K::xmm_vvvv | K::xmm_is4 | K::xmm_is5 => {
                vector(Register::XMM0, random)
            }
            K::ymm_or_mem | K::ymm_reg | K::ymm_rm | K::ymm_vvvv | K::ymm_is4 | K::ymm_is5 => {
                vector(Register::YMM0, random)
            }
            K::zmm_or_mem | K::zmm_reg | K::zmm_rm | K::zmm_vvvv => vector(Register::ZMM0, random),
            // Four registers from a multiple of four.
            K::xmmp3_vvvv => register(Register::XMM0, 4 * random.next_below(vectors / 4) as u32),
            K::zmmp3_vvvv => register(Register::ZMM0, 4 * random.next_below(vectors / 4) as u32),
            K::al => Register::AL,
            K::cl => Register::CL,
            K::ax => Register::AX,
            K::dx => Register::DX,
            K::eax => Register::EAX,
            K::rax => Register::RAX,
            K::st0 => Register::ST0,
            // ST(0) itself only once, so that the starts that are left have every pair of operands with another.
            K::sti_opcode => register(Register::ST0, if variant == 0 { 0 } else { 1 + variant % 7 }),
            K::fs => Register::FS,
            K::gs => Register::GS,
            K::seg_reg => segment(operand, variant),
            _ => Register::None,
        };
        if chosen != Register::None {
            result.set_op_kind(operand, OpKind::Register);
            result.set_op_register(operand, chosen);
            continue;
        }
        match kind {
            K::imm8 | K::imm4_m2z => {
                let value = choose_immediate8(form, variant, kind == K::imm4_m2z, random);
                if immediates == 0 && !result_has_immediate(&result, operand) {
                    result.set_op_kind(operand, OpKind::Immediate8);
                    result.set_immediate8(value);
                } else {
                    result.set_op_kind(operand, OpKind::Immediate8_2nd);
                    result.set_immediate8_2nd(random.next_u64() as u8);
                }
                immediates += 1;
            }
            K::imm8_const_1 => {
                result.set_op_kind(operand, OpKind::Immediate8);
                result.set_immediate8(1);
            }
            K::imm8sex16 => {
                result.set_op_kind(operand, OpKind::Immediate8to16);
                result.set_immediate8to16(choose_edge8(variant, random).into());
            }
            K::imm8sex32 => {
                result.set_op_kind(operand, OpKind::Immediate8to32);
                result.set_immediate8to32(choose_edge8(variant, random).into());
            }
            K::imm8sex64 => {
                result.set_op_kind(operand, OpKind::Immediate8to64);
                result.set_immediate8to64(choose_edge8(variant, random).into());
            }
            K::imm16 => {
                result.set_op_kind(operand, OpKind::Immediate16);
                result.set_immediate16(choose_wide_immediate(code, variant, 16, random) as u16);
                immediates += 1;
            }
            K::imm32 => {
                result.set_op_kind(operand, OpKind::Immediate32);
                result.set_immediate32(choose_wide_immediate(code, variant, 32, random) as u32);
            }
            K::imm32sex64 => {
                result.set_op_kind(operand, OpKind::Immediate32to64);
                result
                    .set_immediate32to64(i64::from(choose_wide_immediate(code, variant, 32, random) as i32));
            }
            K::imm64 => {
                result.set_op_kind(operand, OpKind::Immediate64);
                result.set_immediate64(choose_wide_immediate(code, variant, 64, random));
            }
            K::seg_rSI | K::es_rDI | K::seg_rDI | K::seg_rBX_al => {
                string_operand(&mut result, operand, kind, variant);
            }
            K::mem_offs => {
                result.set_op_kind(operand, OpKind::Memory);
                let narrow = variant % 4 == 3;
                let target = if narrow {
                    0x2468_1000 + random.next_below(0xf00)
                } else {
                    snippex_core::address_space::ARENA + random.next_below(0xf00)
                };
                result.set_memory_displacement64(target);
                result.set_memory_displ_size(if narrow { 4 } else { 8 });
            }
            K::br64_1 | K::br64_4 => {
                result.set_op_kind(operand, OpKind::NearBranch64);
                let distance = i64::from(random.next_u64() as i8).clamp(-96, 96);
                result.set_near_branch64(address.wrapping_add_signed(distance + 16));
            }
            _ => return None,
        }
    }
    decorate(&mut result, form, used_memory, variant, random);
    Some(result)
}

/// Whether an operand before `operand` is an immediate.
fn result_has_immediate(instruction: &Instruction, operand: u32) -> bool {
    (0..operand).any(|index| {
        matches!(
            instruction.op_kind(index),
            OpKind::Immediate8 | OpKind::Immediate16 | OpKind::Immediate32
        )
    })
}

/// A segment register, in turn: to load one of them, CS is no choice.
fn segment(operand: u32, variant: u32) -> Register {
    use Register::{CS, DS, ES, FS, GS, SS};
    let all = [DS, FS, GS, ES, SS, CS];
    all[(variant / 2) as usize % if operand == 0 { 5 } else { 6 }]
}

/// AL to BH without a prefix, or the low byte of any register.
fn byte_register(registers: &Registers, operand: u32, random: &mut Random) -> Register {
    let high = match registers.choice {
        Choice::Low => operand == 1,
        Choice::High => false,
        Choice::Turn(_) | Choice::SameTurn(_) => random.next_below(8) == 0,
        Choice::Any | Choice::Few => random.next_below(4) == 0,
    };
    if high {
        let number = random.next_below(4);
        // In a sequence BH belongs to an address.
        let number = if registers.bases.is_empty() {
            number
        } else {
            number % 3
        };
        return register(Register::AH, number as u32);
    }
    match registers.general(operand, random) {
        number @ 0..4 => register(Register::AL, u32::from(number)),
        number => register(Register::SPL, u32::from(number - 4)),
    }
}

/// Operand masks, zeroing, broadcasts and static rounding.
fn decorate(result: &mut Instruction, form: Form, in_memory: bool, variant: u32, random: &mut Random) {
    let info = form.code().op_code();
    if info.can_use_op_mask_register() && (info.require_op_mask_register() || variant % 4 >= 2) {
        result.set_op_mask(register(Register::K1, (variant / 4 * 2 + variant % 2) % 7));
        let stores = result.op0_kind() == OpKind::Memory;
        if info.can_use_zeroing_masking() && !stores && random.next_below(2) == 0 {
            result.set_zeroing_masking(true);
        }
    }
    if in_memory {
        if info.can_broadcast() && random.next_below(2) == 0 {
            result.set_is_broadcast(true);
        }
        return;
    }
    if info.can_use_rounding_control() && variant % 8 >= 4 {
        result.set_rounding_control(match random.next_below(4) {
            0 => RoundingControl::RoundToNearest,
            1 => RoundingControl::RoundDown,
            2 => RoundingControl::RoundUp,
            _ => RoundingControl::RoundTowardZero,
        });
    } else if info.can_suppress_all_exceptions() && !info.can_use_rounding_control() && variant % 8 >= 4 {
        result.set_suppress_all_exceptions(true);
    }
}

fn string_operand(result: &mut Instruction, operand: u32, kind: OpCodeOperandKind, variant: u32) {
    use OpCodeOperandKind as K;
    // Now and then with 32-bit addresses; both operands of an instruction have the same size.
    let narrow = variant % 8 == 7;
    if kind == K::seg_rBX_al {
        result.set_op_kind(operand, OpKind::Memory);
        result.set_memory_base(if narrow { Register::EBX } else { Register::RBX });
        result.set_memory_index(Register::AL);
        result.set_memory_index_scale(1);
        return;
    }
    result.set_op_kind(
        operand,
        match (kind, narrow) {
            (K::seg_rSI, false) => OpKind::MemorySegRSI,
            (K::seg_rSI, true) => OpKind::MemorySegESI,
            (K::es_rDI, false) => OpKind::MemoryESRDI,
            (K::es_rDI, true) => OpKind::MemoryESEDI,
            (_, false) => OpKind::MemorySegRDI,
            (_, true) => OpKind::MemorySegEDI,
        },
    );
}
