//! What each register's start value is used for in a block, found by following linear combinations of start values
//! through moves, additions and LEA.

use iced_x86::{
    Decoder, DecoderOptions, Instruction, InstructionInfoFactory, MemorySize, Mnemonic, OpAccess, OpKind,
    Register, UsedMemory,
};

use super::Linear;
use crate::block::{Block, Terminator};
use crate::case::Placement;
use crate::decode::loads_segment;
use crate::state::RSP;

/// What a start value is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Data, or not used.
    Data,
    /// Points to memory: `value + displacement` (or a little beyond) is accessed.
    Base {
        /// Displacement of the first access.
        displacement: i64,
        /// An access needs alignment to 16 bytes or more.
        aligned: bool,
        /// The same address in all starts, because a code pointer lies there.
        pinned: bool,
    },
    /// Scaled and added to a base.
    Index,
    /// Count of a repeated string instruction, or of LOOP.
    RepeatCount,
    /// Offset of a bit from the start of a string of bits in memory.
    BitOffset,
    /// Shift or rotate count (CL).
    ShiftCount,
    /// Upper half of a dividend.
    DividendHigh,
    /// Divisor, or lower half of a dividend.
    Division,
    /// A segment selector.
    Selector,
    /// `value + displacement` is jumped to.
    JumpTarget {
        /// Constant added before the jump.
        displacement: i64,
    },
}

/// One memory operand of the block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryUse {
    /// Effective address within the segment, if it is a sum of start values.
    pub address: Option<Linear>,
    /// FS or GS, whose base is added.
    pub segment: Option<Register>,
    /// Bytes accessed, 0 when not known.
    pub size: usize,
    /// The block stores there.
    pub written: bool,
}

/// The roles of a block's registers and its memory operands.
#[derive(Clone, Debug)]
pub struct Roles {
    /// By register, encoding order.
    pub roles: [Role; 16],
    /// Operands in order of execution; those of a conditional or repeated instruction included.
    pub memory: Vec<MemoryUse>,
    /// Where the terminator loads its target from: the slot of RET, or the operand of an indirect jump or call.
    pub target_slot: Option<MemoryUse>,
    /// A loaded value is used as an address.
    pub follows_pointers: bool,
    /// Some instruction reads the direction flag.
    pub uses_direction: bool,
    /// Some address has a vector register as index.
    pub vector_index: bool,
}

impl Roles {
    /// Analyses a block that lies at `placement`.
    #[must_use]
    pub fn of(block: &Block, placement: Placement) -> Self {
        let mut analysis = Analysis {
            values: std::array::from_fn(|register| Some(Linear::start_of(register as u8))),
            roles: Self {
                roles: [Role::Data; 16],
                memory: Vec::new(),
                target_slot: None,
                follows_pointers: false,
                uses_direction: false,
                vector_index: false,
            },
            placement,
            factory: InstructionInfoFactory::new(),
        };
        let mut decoder = Decoder::with_ip(64, &block.bytes, block.address, DecoderOptions::NONE);
        let mut instruction = Instruction::default();
        while decoder.can_decode() {
            decoder.decode_out(&mut instruction);
            if instruction.is_invalid() {
                break;
            }
            analysis.step(&instruction);
        }
        analysis.finish(block)
    }
}

struct Analysis {
    /// Each register's present value.
    values: [Option<Linear>; 16],
    roles: Roles,
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

impl Analysis {
    fn step(&mut self, instruction: &Instruction) {
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
            return Some(Linear::constant(0));
        }
        if register == Register::RIP || register == Register::EIP {
            // iced gives the absolute target as displacement.
            return Some(Linear::constant(self.placement.image_base as i64));
        }
        self.values[number(register)?].clone()
    }

    fn address(&self, base: Register, index: Register, scale: u32, displacement: u64) -> Option<Linear> {
        let base = self.value_of(base)?.offset(displacement as i64);
        base.plus(&self.value_of(index)?, i64::from(scale))
    }

    fn memory(&mut self, instruction: &Instruction, memory: &UsedMemory) {
        let relative = instruction.is_ip_rel_memory_operand()
            && memory.displacement() == instruction.ip_rel_memory_address();
        let address = if relative {
            // iced resolves the operand to the file address; the block accesses the loaded image.
            let target = memory.displacement().wrapping_add(self.placement.image_base);
            Some(Linear::constant(target as i64))
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
            Mov if immediate.is_some() => immediate.map(Linear::constant),
            Mov | Movsxd | Movsx | Movzx => {
                second.and_then(|register| self.value_of(register)).map(|value| {
                    if second.is_some_and(|register| register.size() < 8) {
                        value.narrow()
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
                        .and_then(|(value, other)| value.plus(&other, sign)),
                    _ => None,
                }
            }
            Inc => current().map(|value| value.offset(1)),
            Dec => current().map(|value| value.offset(-1)),
            Shl => match immediate {
                Some(count @ 1..=6) => {
                    current().and_then(|value| Linear::constant(0).plus(&value, 1 << count))
                }
                _ => None,
            },
            Xor if second == Some(destination) => Some(Linear::constant(0)),
            Cdqe => self.values[0].clone().map(Linear::narrow),
            _ => return results,
        };
        let value = if narrow { value.map(Linear::narrow) } else { value };
        results.push((target, value));
        results
    }

    fn finish(mut self, block: &Block) -> Roles {
        if !matches!(
            block.terminator,
            Terminator::Ret | Terminator::IndirectCall | Terminator::IndirectJmp
        ) {
            self.roles.target_slot = None;
        }
        self.roles
    }
}

#[cfg(test)]
mod tests {
    use iced_x86::code_asm::*;

    use super::*;
    use crate::block::Origin;

    fn roles(terminator: Terminator, build: impl FnOnce(&mut CodeAssembler)) -> Roles {
        let mut assembler = CodeAssembler::new(64).unwrap();
        build(&mut assembler);
        let bytes = assembler.assemble(0x1000).unwrap();
        let block = Block {
            address: 0x1000,
            instruction_count: 0,
            bytes,
            terminator,
            successors: vec![],
            origin: Origin::Symbol,
            unrunnable: None,
        };
        Roles::of(
            &block,
            Placement {
                image_base: 0,
                code_base: 0,
            },
        )
    }

    #[test]
    fn a_copied_base_is_traced_to_its_start_value() {
        let roles = roles(Terminator::FallThrough, |a| {
            a.mov(rax, rdi).unwrap();
            a.add(rax, 0x10).unwrap();
            a.mov(dword_ptr(rax + rsi * 4 + 8), edx).unwrap();
        });
        assert_eq!(
            roles.roles[7],
            Role::Base {
                displacement: 0x18,
                aligned: false,
                pinned: false
            }
        );
        assert_eq!(roles.roles[6], Role::Index);
        assert_eq!(roles.roles[2], Role::Data);
        assert_eq!(roles.memory.len(), 1);
        assert!(roles.memory[0].written);
        assert!(!roles.follows_pointers);
    }

    #[test]
    fn the_slot_of_a_return_is_found_through_pops() {
        let roles = roles(Terminator::Ret, |a| {
            a.add(rsp, 0x18).unwrap();
            a.pop(rbx).unwrap();
            a.pop(rbp).unwrap();
            a.ret().unwrap();
        });
        let slot = roles.target_slot.expect("a return loads its target");
        assert_eq!(
            slot.address,
            Some(Linear {
                terms: vec![(4, 1)],
                constant: 0x28,
                narrowed: false
            })
        );
    }

    #[test]
    fn references_relative_to_rip_reach_the_loaded_image() {
        // mov rax, [rip + 0x10]
        let block = Block {
            address: 0x1000,
            bytes: vec![0x48, 0x8b, 0x05, 0x10, 0, 0, 0],
            instruction_count: 1,
            terminator: Terminator::FallThrough,
            successors: vec![],
            origin: Origin::Symbol,
            unrunnable: None,
        };
        let roles = Roles::of(
            &block,
            Placement {
                image_base: 0x2_0000_0000,
                code_base: 0,
            },
        );
        assert_eq!(
            roles.memory[0].address.as_ref().unwrap().value(&[0; 16]),
            0x2_0000_1017
        );
    }

    #[test]
    fn pointer_chasing_is_seen() {
        let roles = roles(Terminator::IndirectCall, |a| {
            a.mov(rax, qword_ptr(rdi)).unwrap();
            a.call(qword_ptr(rax + 0x18)).unwrap();
        });
        assert!(roles.follows_pointers);
        assert!(matches!(roles.roles[7], Role::Base { .. }));
    }

    #[test]
    fn counts_have_roles_of_their_own() {
        let shift = roles(Terminator::FallThrough, |a| a.shl(rax, cl).unwrap());
        assert_eq!(shift.roles[1], Role::ShiftCount);
        let string = roles(Terminator::FallThrough, |a| a.rep().movsb().unwrap());
        assert_eq!(string.roles[1], Role::RepeatCount);
        assert!(matches!(string.roles[6], Role::Base { .. }));
        assert!(matches!(string.roles[7], Role::Base { .. }));
        let division = roles(Terminator::FallThrough, |a| a.div(rcx).unwrap());
        assert_eq!(division.roles[2], Role::DividendHigh);
        assert_eq!(division.roles[1], Role::Division);
        let jump = roles(Terminator::IndirectJmp, |a| a.jmp(rax).unwrap());
        assert_eq!(jump.roles[0], Role::JumpTarget { displacement: 0 });
    }
}
