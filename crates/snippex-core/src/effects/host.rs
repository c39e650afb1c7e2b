//! Instructions that describe the machine or the tables of the system instead of computing: what they give, and
//! whether they fault, is left open as far as the machine decides it, and no further.
//!
//! Images of the extended state are in `stored`; the rules themselves are in `rules`.

use iced_x86::{Instruction, Mnemonic, OpKind, Register};

use super::decoded::Decoded;
use super::flow::{Flow, Inputs, MemoryAccess};
use super::known;
use super::mask::Bits;
use super::rules::{Rule, RuleSet};
use crate::decode::{MachinePart, machine_part};
use crate::state::rflags;

const ALL: u64 = u64::MAX;
const LOW_32: u64 = 0xffff_ffff;
/// Bits of a selector that name a descriptor; without them it is a null selector.
const INDEX: u64 = 0xfffc;

/// The rule for what an instruction takes from the machine; `None` for those that compute.
pub(super) fn host_rule(instruction: &Instruction) -> Option<Rule> {
    machine_part(instruction.code()).map(|part| match part {
        MachinePart::Identity => Rule::HostIdentity,
        MachinePart::Selectors => Rule::Selector,
        MachinePart::ShadowStack => Rule::ShadowStack,
        MachinePart::ExtendedState => Rule::XsaveLayout,
    })
}

/// Whether systems may keep user programs from an instruction (SDM vol. 3, section 2.5, CR4.UMIP), and write its result
/// themselves.
pub(super) fn is_prevented(instruction: &Instruction) -> bool {
    use Mnemonic as M;
    matches!(
        instruction.mnemonic(),
        M::Sgdt | M::Sidt | M::Sldt | M::Str | M::Smsw
    )
}

/// The segment register among the first two operands.
fn segment(instruction: &Instruction) -> Option<(u32, Register)> {
    (0..instruction.op_count().min(2))
        .filter(|&operand| instruction.op_kind(operand) == OpKind::Register)
        .map(|operand| (operand, instruction.op_register(operand)))
        .find(|(_, register)| register.is_segment_register())
}

/// The segment register that an instruction loads.
fn loaded(instruction: &Instruction) -> Option<Register> {
    match instruction.mnemonic() {
        Mnemonic::Lss => Some(Register::SS),
        Mnemonic::Lfs => Some(Register::FS),
        Mnemonic::Lgs => Some(Register::GS),
        Mnemonic::Mov | Mnemonic::Pop => segment(instruction)
            .filter(|(operand, _)| *operand == 0)
            .map(|(_, register)| register),
        _ => None,
    }
}

impl Flow<'_> {
    /// Carries open bits over an instruction that asks the machine. Whether it was one.
    pub(super) fn apply_host_rule(
        &mut self,
        decoded: &Decoded,
        accesses: &[MemoryAccess],
        inputs: Inputs,
    ) -> bool {
        use Mnemonic as M;
        let instruction = &decoded.instruction;
        let Some(rule) = host_rule(instruction) else {
            return false;
        };
        // Before anything of it is overwritten.
        let null = self
            .selector(instruction, accesses)
            .is_some_and(|selector| selector & INDEX == 0);
        let bases = self.mask.bases;
        self.apply_coarse_rule(decoded, accesses, inputs);
        let open = RuleSet::from_rule(rule);
        match instruction.mnemonic() {
            M::Cpuid => self.open_halves(
                &[Register::RAX, Register::RBX, Register::RCX, Register::RDX],
                open,
            ),
            M::Rdtsc | M::Rdpmc | M::Rdpru | M::Xgetbv => {
                self.open_halves(&[Register::RAX, Register::RDX], open);
            }
            M::Rdtscp => self.open_halves(&[Register::RAX, Register::RCX, Register::RDX], open),
            M::Rdpkru => self.open_halves(&[Register::RAX], open),
            // A processor number, and 32 bits of zeros.
            M::Rdpid => self.open_register(instruction.op0_register(), LOW_32, open),
            M::Rdrand | M::Rdseed => {
                self.open_result(instruction, accesses, open);
                self.mask.add_flags(rflags::CF, open);
            }
            // In place of an instruction that it prevents, Linux writes as many bytes as the operand has, and leaves
            // the upper half of a register as it was.
            M::Sgdt | M::Sidt | M::Sldt | M::Str | M::Smsw => match instruction.op0_kind() {
                OpKind::Register if instruction.op0_register().size() == 4 => {
                    self.open_register(instruction.op0_register(), ALL, open);
                }
                _ => self.open_result(instruction, accesses, open),
            },
            // With a null selector, ZF is cleared and nothing else happens.
            M::Lar | M::Lsl | M::Verr | M::Verw if null => {}
            M::Lar | M::Lsl => {
                self.mask.add_flags(rflags::ZF, open);
                // Whether it is written at all is open: so is the upper half, which a write would clear.
                let written = if instruction.op0_register().size() == 2 {
                    0xffff
                } else {
                    ALL
                };
                self.open_register(instruction.op0_register(), written, open);
            }
            M::Verr | M::Verw => self.mask.add_flags(rflags::ZF, open),
            // Without a shadow stack it does nothing.
            M::Rdsspd | M::Rdsspq => self.open_register(instruction.op0_register(), ALL, open),
            M::Rdfsbase => self.open_result(instruction, accesses, bases[0]),
            M::Rdgsbase => self.open_result(instruction, accesses, bases[1]),
            M::Wrfsbase => self.mask.bases[0] = inputs.all,
            M::Wrgsbase => self.mask.bases[1] = inputs.all,
            _ if loaded(instruction).is_some() => self.loads_segment(instruction, null),
            // A selector is stored: 16 bits, the others of the destination are zeros or stay.
            M::Mov | M::Push => match instruction.op0_kind() {
                OpKind::Register if instruction.mnemonic() == M::Mov => {
                    self.open_register(instruction.op0_register(), 0xffff, open);
                }
                _ => self.open_memory(accesses, 2, open),
            },
            _ => {}
        }
        true
    }

    /// Why the machine decides whether an instruction faults.
    pub(super) fn host_fault(&self, decoded: &Decoded, accesses: &[MemoryAccess]) -> RuleSet {
        use Mnemonic as M;
        let instruction = &decoded.instruction;
        let Some(rule) = host_rule(instruction) else {
            return RuleSet::EMPTY;
        };
        let selects = self.known.register_value(Register::ECX);
        let decides = match instruction.mnemonic() {
            // XCR0 is there wherever the instruction is; XCR1 is not; there are no others.
            M::Xgetbv => selects.is_none_or(|selects| selects == 1),
            M::Rdpmc | M::Rdpru | M::Rdpkru => true,
            // Prevention, and what the system gives in their place.
            _ if is_prevented(instruction) => true,
            M::Incsspd | M::Incsspq | M::Saveprevssp | M::Rstorssp | M::Wrssd | M::Wrssq => true,
            // Which addresses are canonical depends on the levels of paging.
            M::Wrfsbase | M::Wrgsbase => {
                let value = self.known.operand_value(instruction, 0, None);
                value.is_none_or(|value| is_canonical(value, 57) && !is_canonical(value, 48))
            }
            M::Xrstor | M::Xrstor64 => {
                !self.is_accessible(accesses, false) || !self.header_is_plain(accesses)
            }
            _ if rule == Rule::XsaveLayout => !self.is_accessible(accesses, true),
            _ => match loaded(instruction) {
                // A null selector faults in SS alone, and there always.
                Some(_) => self
                    .selector(instruction, accesses)
                    .is_none_or(|selector| selector & INDEX != 0),
                None => false,
            },
        };
        if decides {
            RuleSet::from_rule(rule)
        } else {
            RuleSet::EMPTY
        }
    }

    /// The selector that an instruction loads or asks about, if it is known.
    fn selector(&self, instruction: &Instruction, accesses: &[MemoryAccess]) -> Option<u64> {
        use Mnemonic as M;
        let read = accesses.iter().find(|access| access.reads).copied();
        let address = read.and_then(|access| access.address);
        let value = match instruction.mnemonic() {
            M::Lar | M::Lsl | M::Mov => self.known.operand_value(instruction, 1, address),
            M::Verr | M::Verw => self.known.operand_value(instruction, 0, address),
            M::Pop => self.known.memory_value(address?, 2),
            // Behind the offset, which is as wide as the register.
            M::Lss | M::Lfs | M::Lgs => {
                let offset = instruction.op0_register().size() as u64;
                self.known.memory_value(address?.wrapping_add(offset), 2)
            }
            _ => None,
        };
        value.map(|value| value & 0xffff)
    }

    fn loads_segment(&mut self, instruction: &Instruction, null: bool) {
        let rule = if null {
            Rule::NullSelectorBase
        } else {
            Rule::Selector
        };
        match loaded(instruction) {
            Some(Register::FS) => self.mask.bases[0] = RuleSet::from_rule(rule),
            Some(Register::GS) => self.mask.bases[1] = RuleSet::from_rule(rule),
            _ => {}
        }
    }

    fn open_halves(&mut self, registers: &[Register], open: RuleSet) {
        for &register in registers {
            self.open_register(register, LOW_32, open);
        }
    }

    /// Opens `mask` of the 64-bit register that `register` is a part of, on top of what is open.
    fn open_register(&mut self, register: Register, mask: u64, rules: RuleSet) {
        let register = register.full_register();
        let open = self.read_register(register).union(Bits::new(mask, rules));
        self.write_register(register, open.mask, open.rules);
    }

    /// Opens the first operand.
    fn open_result(&mut self, instruction: &Instruction, accesses: &[MemoryAccess], open: RuleSet) {
        if instruction.op0_kind() == OpKind::Register {
            let register = instruction.op0_register();
            self.open_register(register, known::truncate_to_size(ALL, register.size()), open);
        } else {
            self.open_memory(accesses, usize::MAX, open);
        }
    }

    /// Opens the first `count` bytes of what is stored.
    fn open_memory(&mut self, accesses: &[MemoryAccess], count: usize, open: RuleSet) {
        if let Some(access) = accesses.iter().find(|access| access.writes) {
            self.write_memory(*access, |at| {
                if at < count {
                    (0xff, open)
                } else {
                    (0, RuleSet::EMPTY)
                }
            });
        }
    }
}

/// Whether the bits of `address` from `width - 1` up are the same.
fn is_canonical(address: u64, width: u32) -> bool {
    let shift = 64 - width;
    ((address << shift).cast_signed() >> shift).cast_unsigned() == address
}
