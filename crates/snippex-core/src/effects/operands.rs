//! Reading and writing the open bits of registers and memory, and where memory operands lie.

use iced_x86::{MemorySize, Mnemonic, OpAccess, OpKind, Register, UsedMemory};

use super::decoded::{Decoded, Unit};
use super::flow::{Flow, Inputs, MXCSR_FLAGS, MemoryAccess, is_read_access, is_write_access, open_precision};
use super::known;
use super::mask::Bits;
use super::rules::RuleSet;
use super::vector;

impl Flow<'_> {
    pub(super) fn memory_access(&self, decoded: &Decoded, memory: &UsedMemory) -> MemoryAccess {
        let instruction = &decoded.instruction;
        let repeated = instruction.is_string_instruction()
            && (instruction.has_rep_prefix() || instruction.has_repne_prefix());
        let size = match memory.memory_size() {
            _ if repeated || memory.vsib_size() != 0 => 0,
            MemorySize::Fxsave_512Byte | MemorySize::Fxsave64_512Byte => 512,
            MemorySize::Xsave | MemorySize::Xsave64 => self.xsave_size(),
            size => size.size(),
        };
        MemoryAccess {
            address: self.bit_string_address(decoded, memory),
            size,
            reads: is_read_access(memory.access()),
            writes: is_write_access(memory.access()),
            partial: size == 0
                || matches!(memory.access(), OpAccess::CondWrite | OpAccess::ReadCondWrite)
                || instruction.has_op_mask(),
        }
    }

    /// Address of an access. BT and its like with a register index reach beyond their operand.
    fn bit_string_address(&self, decoded: &Decoded, memory: &UsedMemory) -> Option<u64> {
        let instruction = &decoded.instruction;
        let address = self.known.memory_address(instruction, memory)?;
        let indexed = matches!(
            instruction.mnemonic(),
            Mnemonic::Bt | Mnemonic::Btc | Mnemonic::Btr | Mnemonic::Bts
        ) && instruction.op1_kind() == OpKind::Register;
        if !indexed {
            return Some(address);
        }
        let size = instruction.op1_register().size();
        let index =
            known::sign_extend(self.known.register_value(instruction.op1_register())?, size).cast_signed();
        let unit = 8 * size as i64;
        Some(address.wrapping_add((index.div_euclid(unit) * size as i64).cast_unsigned()))
    }

    pub(super) fn instruction_inputs(&self, decoded: &Decoded, accesses: &[MemoryAccess]) -> Inputs {
        let mut inputs = Inputs::default();
        for memory in &decoded.memory {
            for register in [memory.base(), memory.index()] {
                inputs.address |= self.read_register(register).rules;
            }
            inputs.address |= match memory.segment() {
                Register::FS => self.mask.bases[0],
                Register::GS => self.mask.bases[1],
                _ => RuleSet::EMPTY,
            };
        }
        inputs.all |= inputs.address;
        for used in decoded
            .registers
            .iter()
            .filter(|used| is_read_access(used.access()))
        {
            inputs.all |= self.read_register(used.register()).rules;
        }
        inputs.all |= self.mask.flag_rules(decoded.flags_read);
        for access in accesses.iter().filter(|access| access.reads) {
            inputs.all |= self.read_memory(*access).rules;
        }
        if decoded.unit == Unit::Vector {
            // Rounding mode, denormals-are-zero and flush-to-zero steer arithmetic.
            inputs.all |= self.mask.mxcsr.within(!MXCSR_FLAGS).rules;
        }
        inputs
    }

    /// Open bits of a register of any kind: bits of general and opmask registers, bytes of vectors.
    pub(super) fn read_register(&self, register: Register) -> Bits {
        if let Some((index, shift, mask)) = known::general_register_bits(register) {
            let bits = self.mask.gpr[index];
            Bits::new((bits.mask >> shift) & mask, bits.rules)
        } else if let Some((index, bytes)) = vector::vector_register_bytes(register) {
            self.mask.open_vector_bytes(index, bytes)
        } else if register.is_k() {
            self.mask.opmask[register.number()]
        } else if register.is_st() {
            let rules = self.read_st(register.number());
            Bits::new(u64::MAX, rules)
        } else if register.is_mm() {
            Bits::new(u64::MAX, self.mask.st[register.number()].rules())
        } else {
            Bits::NONE
        }
    }

    /// Replaces the open bits of a register, as [`Self::read_register`] counts them.
    pub(super) fn write_register(&mut self, register: Register, mask: u64, rules: RuleSet) {
        let open = Bits::new(mask, rules);
        if let Some((index, shift, width)) = known::general_register_bits(register) {
            let old = if register.size() >= 4 {
                Bits::NONE
            } else {
                self.mask.gpr[index].within(!(width << shift))
            };
            self.mask.gpr[index] = old.union(Bits::new((open.mask & width) << shift, open.rules));
        } else if let Some((index, bytes)) = vector::vector_register_bytes(register) {
            self.mask.set_vector(index, bytes, open);
        } else if register.is_k() {
            self.mask.opmask[register.number()] = open;
        } else if register.is_mm() {
            self.mask.st[register.number()] = open_precision(open.rules);
        }
    }

    /// Open bytes of a memory access.
    pub(super) fn read_memory(&self, access: MemoryAccess) -> Bits {
        let everywhere = Bits::new(u64::MAX, self.mask.anywhere);
        match access.address {
            Some(address) if access.size > 0 => {
                everywhere.union(self.mask.memory_bytes(address, access.size))
            }
            _ => self.mask.memory.iter().fold(everywhere, |bits, byte| {
                bits.union(Bits::new(u64::MAX, byte.rules))
            }),
        }
    }

    /// Replaces the open bits of a memory access; `open` gives those of each byte.
    pub(super) fn write_memory(&mut self, access: MemoryAccess, open: impl Fn(usize) -> (u8, RuleSet)) {
        match access.address {
            Some(address) if access.size > 0 && !access.partial => {
                self.mask.set_memory(address, access.size, open);
            }
            Some(address) if access.size > 0 => {
                let old: Vec<_> = (0..access.size as u64)
                    .map(|at| self.mask.memory_at(address.wrapping_add(at)))
                    .collect();
                self.mask.set_memory(address, access.size, |at| {
                    let (mask, rules) = open(at);
                    (mask | old[at].0, rules.union(old[at].1))
                });
            }
            _ => {
                // Where it goes is not known: closed data may still leave open bytes as they were.
                for at in 0..access.size.max(1) {
                    self.mask.anywhere |= open(at).1;
                }
            }
        }
    }
}
