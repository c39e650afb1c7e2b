//! Following linear combinations of start values, an instruction at a time.

use iced_x86::{
    CpuidFeature, Instruction, InstructionInfoFactory, MemorySize, Mnemonic, OpAccess, OpKind, Register,
    UsedMemory,
};

use super::{MemoryUse, Role, Roles};
use crate::case::Placement;
use crate::decode::loads_segment;
use crate::seed::Linear;
use crate::state::RSP;

/// The values of registers so far, and the roles that came of them.
pub(super) struct Analysis {
    /// Each register's present value.
    values: [Option<Linear>; 16],
    pub(super) roles: Roles,
    placement: Placement,
    factory: InstructionInfoFactory,
}

/// Encoding-order number of the 64-bit register that `register` is a part of.
fn number(register: Register) -> Option<usize> {
    if !register.is_gpr() {
        return None;
    }
    Some(register.full_register() as usize - Register::RAX as usize)
}

fn is_x87(instruction: &Instruction) -> bool {
    use CpuidFeature as F;
    let mut features = instruction.cpuid_features().iter();
    features.any(|feature| matches!(feature, F::FPU | F::FPU287 | F::FPU387))
}

impl Analysis {
    pub(super) fn new(placement: Placement) -> Self {
        Self {
            values: std::array::from_fn(|register| Some(Linear::start_of(register as u8))),
            roles: Roles {
                roles: [Role::Data; 16],
                memory: Vec::new(),
                target_slot: None,
                follows_pointers: false,
                uses_direction: false,
                x87: false,
                vector_index: false,
            },
            placement,
            factory: InstructionInfoFactory::new(),
        }
    }

    /// Follows one instruction.
    pub(super) fn apply_instruction(&mut self, instruction: &Instruction) {
        let info = self.factory.info(instruction);
        let used: Vec<UsedMemory> = info.used_memory().to_vec();
        let written: Vec<usize> = info
            .used_registers()
            .iter()
            .filter(|used| {
                !matches!(
                    used.access(),
                    OpAccess::Read | OpAccess::CondRead | OpAccess::NoMemAccess | OpAccess::None
                )
            })
            .filter_map(|used| number(used.register()))
            .collect();
        if instruction.mnemonic() != Mnemonic::Lea && instruction.mnemonic() != Mnemonic::Nop {
            for memory in &used {
                self.memory(instruction, memory);
            }
        }
        self.roles.x87 |= is_x87(instruction);
        self.operands(instruction);
        let results = self.results(instruction);
        for register in written {
            self.values[register] = None;
        }
        for (register, value) in results {
            self.values[register] = value;
        }
    }

    fn value_of(&self, register: Register) -> Option<Linear> {
        if register == Register::None {
            return Some(Linear::from_constant(0));
        }
        if register == Register::RIP || register == Register::EIP {
            // iced gives the absolute target as displacement.
            return Some(Linear::from_constant(self.placement.image_base as i64));
        }
        self.values[number(register)?].clone()
    }

    fn address(&self, base: Register, index: Register, scale: u32, displacement: u64) -> Option<Linear> {
        let base = self.value_of(base)?.offset(displacement as i64);
        base.add_scaled(&self.value_of(index)?, i64::from(scale))
    }

    fn memory(&mut self, instruction: &Instruction, memory: &UsedMemory) {
        let relative = instruction.is_ip_rel_memory_operand()
            && memory.displacement() == instruction.ip_rel_memory_address();
        let address = if relative {
            // iced resolves the operand to the file address; the block accesses the loaded image.
            let target = memory.displacement().wrapping_add(self.placement.image_base);
            Some(Linear::from_constant(target as i64))
        } else {
            self.address(
                memory.base(),
                memory.index(),
                memory.scale(),
                memory.displacement(),
            )
        };
        let size = memory.memory_size();
        let access = MemoryUse {
            segment: matches!(memory.segment(), Register::FS | Register::GS).then_some(memory.segment()),
            size: size.size(),
            written: matches!(
                memory.access(),
                OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite
            ),
            address,
        };
        self.roles.vector_index |= memory.index().is_vector_register();
        if access.segment.is_none() {
            self.assign_base(&access, size, memory, instruction);
        } else if let Some(address) = &access.address {
            // What is added to a segment's base is small.
            for &(register, _) in &address.terms {
                let role = &mut self.roles.roles[register as usize];
                if *role == Role::Data {
                    *role = Role::Index;
                }
            }
        }
        if access.address.is_none() {
            self.roles.follows_pointers = true;
        }
        let is_slot = instruction.mnemonic() == Mnemonic::Ret
            || (matches!(instruction.mnemonic(), Mnemonic::Jmp | Mnemonic::Call) && !access.written);
        if is_slot {
            self.roles.target_slot = Some(access.clone());
            if let Some(address) = &access.address {
                for &(register, _) in &address.terms {
                    if let Role::Base { pinned, .. } = &mut self.roles.roles[register as usize] {
                        *pinned = true;
                    }
                }
            }
        }
        self.roles.memory.push(access);
    }

    /// Makes one term of the address the base, the others indices.
    fn assign_base(
        &mut self,
        access: &MemoryUse,
        size: MemorySize,
        memory: &UsedMemory,
        instruction: &Instruction,
    ) {
        let Some(address) = &access.address else { return };
        let is_base = |register: u8| matches!(self.roles.roles[register as usize], Role::Base { .. });
        let by_name = number(memory.base()).map(|register| register as u8);
        let one = |&&(_, coefficient): &&(u8, i64)| coefficient == 1;
        let candidates = || address.terms.iter().filter(one).map(|&(register, _)| register);
        let base = candidates()
            .find(|&register| usize::from(register) == RSP)
            .or_else(|| candidates().find(|&register| is_base(register)))
            .or_else(|| candidates().find(|&register| Some(register) == by_name))
            .or_else(|| candidates().next());
        let image = matches!(size, MemorySize::Xsave | MemorySize::Xsave64);
        let aligned = (size.size() >= 16 || image) && instruction.mnemonic() != Mnemonic::Lddqu;
        for &(register, _) in &address.terms {
            let role = &mut self.roles.roles[register as usize];
            if Some(register) != base {
                if *role == Role::Data {
                    *role = Role::Index;
                }
                continue;
            }
            match role {
                Role::Base { aligned: known, .. } => *known |= aligned,
                Role::Index if address.terms.len() > 1 => {}
                _ => {
                    *role = Role::Base {
                        displacement: address.constant,
                        aligned,
                        pinned: false,
                    }
                }
            }
        }
    }

    /// Roles that come from what an instruction is, not from addresses.
    fn operands(&mut self, instruction: &Instruction) {
        use Mnemonic::{Div, Idiv, Loop, Loope, Loopne, Rcl, Rcr, Rol, Ror, Sal, Sar, Shl, Shld, Shr, Shrd};
        let string = instruction.is_string_instruction();
        self.roles.uses_direction |= string;
        let repeated = string && (instruction.has_rep_prefix() || instruction.has_repne_prefix());
        match instruction.mnemonic() {
            Loop | Loope | Loopne => self.assign(Register::RCX, Role::RepeatCount),
            _ if repeated => self.assign(Register::RCX, Role::RepeatCount),
            Rcl | Rcr | Rol | Ror | Sal | Sar | Shl | Shld | Shr | Shrd => {
                let last = instruction.op_count() - 1;
                if instruction.op_kind(last) == OpKind::Register
                    && instruction.op_register(last) == Register::CL
                {
                    self.assign(Register::RCX, Role::ShiftCount);
                }
            }
            Div | Idiv => {
                self.assign(Register::RDX, Role::DividendHigh);
                self.assign(Register::RAX, Role::Division);
                if instruction.op0_kind() == OpKind::Register {
                    self.assign(instruction.op0_register(), Role::Division);
                }
            }
            Mnemonic::Verr | Mnemonic::Verw if instruction.op0_kind() == OpKind::Register => {
                self.assign(instruction.op0_register(), Role::Selector);
            }
            Mnemonic::Lar | Mnemonic::Lsl if instruction.op1_kind() == OpKind::Register => {
                self.assign(instruction.op1_register(), Role::Selector);
            }
            Mnemonic::Mov if loads_segment(instruction) && instruction.op1_kind() == OpKind::Register => {
                self.assign(instruction.op1_register(), Role::Selector);
            }
            Mnemonic::Bt | Mnemonic::Btc | Mnemonic::Btr | Mnemonic::Bts
                if instruction.op0_kind() == OpKind::Memory && instruction.op1_kind() == OpKind::Register =>
            {
                self.assign(instruction.op1_register(), Role::BitOffset);
            }
            Mnemonic::Jmp | Mnemonic::Call if instruction.op0_kind() == OpKind::Register => {
                if let Some(Linear { terms, constant, .. }) = self.value_of(instruction.op0_register())
                    && let [(register, 1)] = terms[..]
                    && self.roles.roles[register as usize] == Role::Data
                {
                    self.roles.roles[register as usize] = Role::JumpTarget {
                        displacement: constant,
                    };
                }
            }
            _ => {}
        }
    }

    /// Gives the start value that `register` now holds a role, unless it has one.
    fn assign(&mut self, register: Register, role: Role) {
        if let Some(Linear { terms, .. }) = self.value_of(register)
            && let [(start, 1)] = terms[..]
            && self.roles.roles[start as usize] == Role::Data
        {
            self.roles.roles[start as usize] = role;
        }
    }

    /// Registers whose new value is a linear combination that is worth keeping.
    fn results(&self, instruction: &Instruction) -> Vec<(usize, Option<Linear>)> {
        use Mnemonic::{Add, Cdqe, Dec, Inc, Lea, Leave, Mov, Movsx, Movsxd, Movzx, Shl, Sub, Xor};
        let mut results = Vec::new();
        let increment = instruction.stack_pointer_increment();
        if increment != 0 {
            results.push((
                RSP,
                self.values[RSP]
                    .clone()
                    .map(|value| value.offset(i64::from(increment))),
            ));
        }
        if instruction.mnemonic() == Leave {
            results.push((RSP, self.values[5].clone().map(|value| value.offset(8))));
            return results;
        }
        let destination = instruction.op0_register();
        let Some(target) = (instruction.op_count() > 0 && instruction.op0_kind() == OpKind::Register)
            .then(|| number(destination))
            .flatten()
        else {
            return results;
        };
        let narrow = destination.size() < 8;
        if destination.size() < 4 {
            return results;
        }
        let immediate = (1..instruction.op_count())
            .find(|&operand| !matches!(instruction.op_kind(operand), OpKind::Register | OpKind::Memory))
            .and_then(|operand| instruction.try_immediate(operand).ok())
            .map(|immediate| immediate as i64);
        let second = (instruction.op_count() > 1 && instruction.op_kind(1) == OpKind::Register)
            .then(|| instruction.op_register(1));
        let current = || self.values[target].clone();
        let value = match instruction.mnemonic() {
            Mov if immediate.is_some() => immediate.map(Linear::from_constant),
            Mov | Movsxd | Movsx | Movzx => {
                second.and_then(|register| self.value_of(register)).map(|value| {
                    if second.is_some_and(|register| register.size() < 8) {
                        value.mark_narrowed()
                    } else {
                        value
                    }
                })
            }
            Lea => self.address(
                instruction.memory_base(),
                instruction.memory_index(),
                instruction.memory_index_scale(),
                instruction.memory_displacement64(),
            ),
            Add | Sub => {
                let sign = if instruction.mnemonic() == Add { 1 } else { -1 };
                match (immediate, second) {
                    (Some(immediate), _) => current().map(|value| value.offset(immediate.wrapping_mul(sign))),
                    (None, Some(register)) => current()
                        .zip(self.value_of(register))
                        .and_then(|(value, other)| value.add_scaled(&other, sign)),
                    _ => None,
                }
            }
            Inc => current().map(|value| value.offset(1)),
            Dec => current().map(|value| value.offset(-1)),
            Shl => match immediate {
                Some(count @ 1..=6) => {
                    current().and_then(|value| Linear::from_constant(0).add_scaled(&value, 1 << count))
                }
                _ => None,
            },
            Xor if second == Some(destination) => Some(Linear::from_constant(0)),
            Cdqe => self.values[0].clone().map(Linear::mark_narrowed),
            _ => return results,
        };
        let value = if narrow {
            value.map(Linear::mark_narrowed)
        } else {
            value
        };
        results.push((target, value));
        results
    }
}
