//! Integer instructions through which open bits pass bit by bit.
//!
//! Compilers never read an undefined flag on purpose, but data flow meets them all the same: in SETcc before a
//! masked test, in PUSHF, in ADC chains. Everything that is not here follows the coarse rule.

use iced_x86::{Instruction, Mnemonic, OpKind, Register};

use super::decoded::Decoded;
use super::flow::{FLAG_IMAGE, Flow, Inputs, MemoryAccess};
use super::known::{self, truncate_to_size};
use super::mask::Bits;
use super::rules::RuleSet;
use super::undefined;
use crate::state::rflags;

impl Flow<'_> {
    /// Carries open bits over an instruction exactly. False when it has no exact rule here.
    pub(super) fn apply_integer_rule(
        &mut self,
        decoded: &Decoded,
        accesses: &[MemoryAccess],
        inputs: Inputs,
    ) -> bool {
        use Mnemonic as M;
        let instruction = &decoded.instruction;
        if inputs.all.is_empty() || !inputs.address.is_empty() {
            return false;
        }
        let width = undefined::operand_bits(instruction);
        let all = truncate_to_size(u64::MAX, (width / 8) as usize);
        let operand = |index| self.operand_bits(instruction, index, accesses);
        let value = |index| {
            let address = accesses.first().and_then(|access| access.address);
            self.known.operand_value(instruction, index, address)
        };
        match instruction.mnemonic() {
            M::Mov | M::Movzx => self.write_operand(instruction, accesses, operand(1)),
            M::Movsx | M::Movsxd => {
                let size = source_size(instruction);
                let bits = operand(1);
                self.write_operand(
                    instruction,
                    accesses,
                    Bits::new(known::sign_extend(bits.mask, size), bits.rules),
                );
            }
            M::Cbw | M::Cwde | M::Cdqe => self.extend_accumulator(instruction.mnemonic()),
            M::Not => self.write_operand(instruction, accesses, operand(0)),
            M::And | M::Test | M::Or | M::Xor => {
                let (a, b) = (operand(0), operand(1));
                let passes = |value: Option<u64>| match instruction.mnemonic() {
                    M::Or => !value.unwrap_or(0),
                    M::Xor => u64::MAX,
                    _ => value.unwrap_or(u64::MAX),
                };
                let bits = a
                    .within(passes(value(1)))
                    .union(b.within(passes(value(0))))
                    .within(all);
                if instruction.mnemonic() != M::Test {
                    self.write_operand(instruction, accesses, bits);
                }
                self.arithmetic_flags(decoded, bits, width);
            }
            M::Add | M::Adc | M::Sub | M::Sbb | M::Cmp | M::Neg | M::Inc | M::Dec => {
                let carry = match instruction.mnemonic() {
                    M::Adc | M::Sbb => Bits::new(1, self.mask.flag_rules(rflags::CF)),
                    _ => Bits::NONE,
                };
                let second = if instruction.op_count() > 1 {
                    operand(1)
                } else {
                    Bits::NONE
                };
                let bits = upward(operand(0).union(second).union(carry)).within(all);
                if instruction.mnemonic() != M::Cmp {
                    self.write_operand(instruction, accesses, bits);
                }
                self.arithmetic_flags(decoded, bits, width);
            }
            M::Lea => {
                let scale = instruction.memory_index_scale();
                let index = self.read_register(instruction.memory_index());
                let index = Bits::new(index.mask.wrapping_mul(u64::from(scale)), index.rules);
                let bits = upward(self.read_register(instruction.memory_base()).union(index));
                self.write_operand(instruction, accesses, bits.within(all));
            }
            M::Shl | M::Shr | M::Sar | M::Rol | M::Ror => {
                let Some(count) = value(1).map(|count| count & if width == 64 { 63 } else { 31 }) else {
                    return false;
                };
                if count == 0 || count >= width {
                    return false;
                }
                let bits = operand(0);
                let mask = shifted(instruction.mnemonic(), bits.mask, count, width);
                self.write_operand(instruction, accesses, Bits::new(mask & all, bits.rules));
                self.write_flags(decoded, bits.rules);
            }
            M::Bswap => {
                let bits = operand(0);
                let mask = if width == 64 {
                    bits.mask.swap_bytes()
                } else {
                    bits.mask.swap_bytes() >> 32
                };
                self.write_operand(instruction, accesses, Bits::new(mask, bits.rules));
                self.open_destination(decoded, accesses);
            }
            M::Push => {
                let bits = operand(0);
                self.store_bits(accesses, bits);
            }
            M::Pop if instruction.op0_kind() == OpKind::Register => {
                let Some(access) = accesses.first() else {
                    return false;
                };
                let bits = self.load_bits(*access);
                self.write_operand(instruction, &[], bits);
            }
            M::Lahf => {
                let flags = rflags::SF | rflags::ZF | rflags::AF | rflags::PF | rflags::CF;
                let open = self.mask.flag_bits() & flags;
                let rules = self.mask.flag_rules(flags);
                self.write_register(Register::AH, open, rules);
            }
            M::Sahf => {
                let bits = self.read_register(Register::AH);
                for flag in [rflags::SF, rflags::ZF, rflags::AF, rflags::PF, rflags::CF] {
                    self.mask.set_flags(flag, bits.within(flag).rules);
                }
            }
            M::Pushf | M::Pushfd | M::Pushfq => {
                let bits = Bits::new(self.mask.flag_bits(), self.mask.flag_rules(FLAG_IMAGE));
                self.store_bits(accesses, bits);
            }
            M::Popf | M::Popfd | M::Popfq => {
                let Some(access) = accesses.first() else {
                    return false;
                };
                let bits = self.load_bits(*access);
                for (_, flag) in rflags::NAMES {
                    if flag & FLAG_IMAGE != 0 {
                        self.mask.set_flags(flag, bits.within(flag).rules);
                    }
                }
            }
            mnemonic if is_set(mnemonic) => {
                let rules = self.mask.flag_rules(decoded.flags_read);
                self.write_operand(instruction, accesses, Bits::new(1, rules));
            }
            mnemonic if is_conditional_move(mnemonic) => {
                let rules = self.mask.flag_rules(decoded.flags_read);
                let either = operand(0).union(operand(1)).union(Bits::new(all, rules));
                self.write_operand(instruction, accesses, either);
            }
            _ => return false,
        }
        true
    }

    /// Open bits of an operand of up to 8 bytes.
    fn operand_bits(&self, instruction: &Instruction, operand: u32, accesses: &[MemoryAccess]) -> Bits {
        match instruction.op_kind(operand) {
            OpKind::Register => self.read_register(instruction.op_register(operand)),
            OpKind::Memory => accesses
                .iter()
                .find(|access| access.reads)
                .map_or(Bits::NONE, |access| self.load_bits(*access)),
            _ => Bits::NONE,
        }
    }

    /// Open bits of memory of up to 8 bytes.
    pub(super) fn load_bits(&self, access: MemoryAccess) -> Bits {
        match access.address {
            Some(address) if self.mask.anywhere.is_empty() && access.size > 0 => {
                self.mask.memory_bits(address, access.size)
            }
            _ => self.read_memory(access),
        }
    }

    /// Stores open bits at the one place that the instruction writes.
    pub(super) fn store_bits(&mut self, accesses: &[MemoryAccess], bits: Bits) {
        if let Some(access) = accesses.iter().find(|access| access.writes) {
            self.write_memory(*access, |at| {
                let mask = bits.mask.checked_shr(8 * at as u32).unwrap_or(0) as u8;
                (mask, if mask == 0 { RuleSet::EMPTY } else { bits.rules })
            });
        }
    }

    fn write_operand(&mut self, instruction: &Instruction, accesses: &[MemoryAccess], bits: Bits) {
        if instruction.op0_kind() == OpKind::Register {
            self.write_register(instruction.op0_register(), bits.mask, bits.rules);
        } else {
            self.store_bits(accesses, bits);
        }
    }

    fn extend_accumulator(&mut self, mnemonic: Mnemonic) {
        let (from, to) = match mnemonic {
            Mnemonic::Cbw => (Register::AL, Register::AX),
            Mnemonic::Cwde => (Register::AX, Register::EAX),
            _ => (Register::EAX, Register::RAX),
        };
        let bits = self.read_register(from);
        self.write_register(to, known::sign_extend(bits.mask, from.size()), bits.rules);
    }

    /// Flags of a result with the open bits `bits`; the flags that the manual leaves open come on top.
    fn arithmetic_flags(&mut self, decoded: &Decoded, bits: Bits, width: u64) {
        for (flag, part) in [
            (rflags::PF, 0xff),
            (rflags::ZF, u64::MAX),
            (rflags::SF, 1 << (width - 1)),
            (rflags::AF, 0x1f),
            (rflags::CF, u64::MAX),
            (rflags::OF, u64::MAX),
        ] {
            if decoded.flags_computed & flag != 0 {
                self.mask.set_flags(flag, bits.within(part).rules);
            }
        }
        self.mask.set_flags(decoded.flags_fixed, RuleSet::EMPTY);
        for (flags, rule) in self.flag_effect(decoded).open.into_iter().flatten() {
            self.mask.add_flags(flags, RuleSet::from_rule(rule));
        }
    }
}

/// A carry may reach every bit above the lowest open one.
fn upward(bits: Bits) -> Bits {
    Bits::new(bits.mask | bits.mask.wrapping_neg(), bits.rules)
}

fn source_size(instruction: &Instruction) -> usize {
    match instruction.op1_kind() {
        OpKind::Register => instruction.op1_register().size(),
        _ => instruction.memory_size().size(),
    }
}

fn shifted(mnemonic: Mnemonic, mask: u64, count: u64, width: u64) -> u64 {
    match mnemonic {
        Mnemonic::Shl => mask << count,
        Mnemonic::Shr => mask >> count,
        Mnemonic::Sar => known::sign_extend(mask, (width / 8) as usize)
            .cast_signed()
            .wrapping_shr(count as u32)
            .cast_unsigned(),
        Mnemonic::Rol => mask << count | mask >> (width - count),
        _ => mask >> count | mask << (width - count),
    }
}

/// SETcc.
fn is_set(mnemonic: Mnemonic) -> bool {
    use Mnemonic as M;
    matches!(
        mnemonic,
        M::Seta
            | M::Setae
            | M::Setb
            | M::Setbe
            | M::Sete
            | M::Setg
            | M::Setge
            | M::Setl
            | M::Setle
            | M::Setne
            | M::Setno
            | M::Setnp
            | M::Setns
            | M::Seto
            | M::Setp
            | M::Sets
    )
}

/// CMOVcc.
fn is_conditional_move(mnemonic: Mnemonic) -> bool {
    use Mnemonic as M;
    matches!(
        mnemonic,
        M::Cmova
            | M::Cmovae
            | M::Cmovb
            | M::Cmovbe
            | M::Cmove
            | M::Cmovg
            | M::Cmovge
            | M::Cmovl
            | M::Cmovle
            | M::Cmovne
            | M::Cmovno
            | M::Cmovnp
            | M::Cmovns
            | M::Cmovo
            | M::Cmovp
            | M::Cmovs
    )
}
