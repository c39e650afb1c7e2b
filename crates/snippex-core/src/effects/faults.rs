//! Whether an instruction faults, and where a terminator goes, may itself depend on open bits; and a fault
//! leaves open what its instruction may have done in part.

use iced_x86::{Mnemonic, Register};

use super::decoded::{Decoded, Unit};
use super::flow::{Flow, Inputs, MemoryAccess, is_write_access};
use super::host;
use super::mask::OpenFault;
use super::rules::{Rule, RuleSet};
use super::x87::SUMMARY;
use crate::decode::loads_mxcsr;

/// Exception masks of MXCSR.
const MXCSR_MASKS: u32 = 0x1f80;
/// Exception masks of the x87 control word.
const X87_MASKS: u16 = 0x3f;

impl Flow<'_> {
    /// Marks what an instruction that faults may have changed all the same.
    pub(super) fn apply_fault(&mut self, decoded: &Decoded, page_fault: Option<u64>) {
        let accesses: Vec<MemoryAccess> = decoded
            .memory
            .iter()
            .map(|memory| self.memory_access(decoded, memory))
            .collect();
        let inputs = self.instruction_inputs(decoded, &accesses);
        self.note_fault(decoded, &accesses, inputs);
        self.note_target(decoded, inputs);
        let gathers = decoded.memory.iter().any(|memory| memory.vsib_size() != 0);
        let rule = match host::host_rule(&decoded.instruction) {
            _ if gathers => Rule::PartialGather,
            Some(rule) if host::is_prevented(&decoded.instruction) => rule,
            _ => Rule::PartialStore,
        };
        let written_by_system = host::is_prevented(&decoded.instruction);
        for access in accesses
            .iter()
            .filter(|access| access.writes && (access.size > 8 || gathers || written_by_system))
        {
            match (access.address, page_fault) {
                (Some(address), _) if access.size > 0 => {
                    self.mask
                        .set_memory(address, access.size, |_| (0xff, RuleSet::from_rule(rule)));
                }
                (None, Some(fault)) if access.size > 0 && !gathers => {
                    let size = access.size.min(1 << 12);
                    let start = fault.wrapping_sub(size as u64);
                    self.mask
                        .set_memory(start, 2 * size, |_| (0xff, RuleSet::from_rule(rule)));
                }
                _ => self.mask.anywhere |= RuleSet::from_rule(rule),
            }
        }
        if gathers {
            for used in decoded
                .registers
                .iter()
                .filter(|used| is_write_access(used.access()))
            {
                self.write_register(used.register(), u64::MAX, RuleSet::from_rule(rule));
            }
        }
    }

    /// Whether the instruction faults may depend on open bits.
    pub(super) fn note_fault(&mut self, decoded: &Decoded, accesses: &[MemoryAccess], inputs: Inputs) {
        let instruction = &decoded.instruction;
        let unmasked = |all_masked: bool| !all_masked || self.controls_changed;
        let traps = match instruction.mnemonic() {
            Mnemonic::Div | Mnemonic::Idiv => true,
            mnemonic if loads_mxcsr(mnemonic) => true,
            _ if is_masked_store(decoded) => true,
            _ => match decoded.unit {
                Unit::Vector => {
                    unmasked(self.case.state.mxcsr & MXCSR_MASKS == MXCSR_MASKS)
                        || decoded.memory.iter().any(|memory| memory.vsib_size() != 0)
                }
                Unit::X87 => unmasked(self.case.state.x87.control & X87_MASKS == X87_MASKS),
                _ => instruction.is_string_instruction(),
            },
        };
        let mut rules = if traps { inputs.all } else { inputs.address };
        if is_masked_store(decoded) {
            rules |= RuleSet::from_rule(Rule::MaskedAccessFault);
        }
        rules |= self.host_fault(decoded, accesses);
        if decoded.narrow_branch {
            rules |= RuleSet::from_rule(Rule::NarrowBranch);
        }
        if decoded.long_scalar {
            rules |= RuleSet::from_rule(Rule::VectorLength);
        }
        if decoded.unit == Unit::X87 {
            // A pending exception is delivered by the next instruction that waits for it.
            rules |= self.mask.status_rules(SUMMARY);
        }
        if !rules.is_empty() {
            self.mask.faults.push(OpenFault {
                instruction: self.index,
                rules,
            });
        }
    }

    /// With an operand-size prefix the vendors differ in where a near branch goes and what it pushes or pops.
    pub(super) fn narrow_branch(&mut self, decoded: &Decoded, accesses: &[MemoryAccess]) {
        let rules = RuleSet::from_rule(Rule::NarrowBranch);
        self.mask.target |= rules;
        if decoded.instruction.is_stack_instruction() {
            self.write_register(Register::RSP, u64::MAX, rules);
            for access in accesses.iter().filter(|access| access.writes) {
                self.write_memory(*access, |_| (0xff, rules));
            }
        }
    }

    /// What a scalar instruction with VEX.L = 1 writes.
    pub(super) fn long_scalar(&mut self, decoded: &Decoded) {
        for used in decoded
            .registers
            .iter()
            .filter(|used| is_write_access(used.access()))
        {
            self.write_register(used.register(), u64::MAX, RuleSet::from_rule(Rule::VectorLength));
        }
    }

    pub(super) fn note_target(&mut self, decoded: &Decoded, inputs: Inputs) {
        use iced_x86::FlowControl as F;
        match decoded.instruction.flow_control() {
            F::Next | F::Interrupt | F::Exception => {}
            F::IndirectBranch
            | F::IndirectCall
            | F::Return
            | F::ConditionalBranch
            | F::UnconditionalBranch
            | F::Call
            | F::XbeginXabortXend => {
                let conditional = self.mask.flag_rules(decoded.flags_read);
                let rules = match decoded.instruction.flow_control() {
                    F::ConditionalBranch => conditional.union(inputs.all),
                    F::UnconditionalBranch | F::Call => RuleSet::EMPTY,
                    _ => inputs.all,
                };
                self.mask.target |= rules;
            }
        }
    }
}

/// MASKMOVQ and MASKMOVDQU.
pub(super) fn is_masked_store(decoded: &Decoded) -> bool {
    matches!(
        decoded.instruction.mnemonic(),
        Mnemonic::Maskmovq | Mnemonic::Maskmovdqu | Mnemonic::Vmaskmovdqu
    )
}
