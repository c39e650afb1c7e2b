//! The data flow: what one instruction does to the open bits.
//!
//! The general rule is coarse and safe: when any input of an instruction is open, all of its outputs are, and
//! when none is, its outputs are defined. Instructions through which open bits commonly pass are exact to the
//! bit (`integer`), to the lane (`vector`) or to the field (`x87`, `stored`).

use iced_x86::{OpAccess, OpKind};

use super::decoded::{Decoded, Unit};
use super::faults::is_masked_store;
use super::host;
use super::known::Known;
use super::mask::{Bits, Mask, Precision};
use super::rules::RuleSet;
use super::undefined::{self, FlagEffect};
use crate::case::Case;
use crate::state::rflags;

/// Exception flags of MXCSR.
pub(super) const MXCSR_FLAGS: u64 = 0x3f;

/// The state of the analysis between two instructions.
pub(super) struct Flow<'a> {
    pub(super) case: &'a Case,
    pub(super) mask: Mask,
    pub(super) known: Known<'a>,
    /// Physical number of ST(0), if known.
    pub(super) top: Option<u8>,
    /// Unbiased exponent of each x87 register by physical number, where it is known.
    pub(super) exponents: [Option<i32>; 8],
    /// MXCSR or the x87 control word were loaded: what they mask is no longer known.
    pub(super) controls_changed: bool,
    /// Whether a conditional x87 push (FPTAN, FSINCOS) is taken to have happened.
    pub(super) pushes: bool,
    /// Whether the run ended with C2 set: an FPREM was left incomplete.
    pub(super) incomplete: bool,
    /// Whether the remainder under way surely has a quotient.
    pub(super) quotient: bool,
    /// False as long as nothing at all is open, which lets most instructions off lightly.
    pub(super) dirty: bool,
    pub(super) index: usize,
}

/// One memory access of an instruction with its address, when that is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct MemoryAccess {
    pub(super) address: Option<u64>,
    /// Bytes; 0 when unknown.
    pub(super) size: usize,
    pub(super) reads: bool,
    pub(super) writes: bool,
    /// The write may not happen or not cover all bytes.
    pub(super) partial: bool,
}

/// What goes into an instruction.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Inputs {
    /// Rules of every open input, addresses included.
    pub(super) all: RuleSet,
    /// Rules of open address registers.
    pub(super) address: RuleSet,
}

impl<'a> Flow<'a> {
    pub(super) fn new(case: &'a Case, pushes: bool, incomplete: bool) -> Self {
        Self {
            case,
            mask: Mask::default(),
            known: Known::new(case),
            top: Some(case.state.x87.top()),
            exponents: super::magnitude::start_exponents(&case.state.x87),
            controls_changed: false,
            pushes,
            incomplete,
            quotient: false,
            dirty: false,
            index: 0,
        }
    }

    /// Carries the state over one instruction that completes.
    pub(super) fn apply_instruction(&mut self, decoded: &Decoded) {
        let accesses: Vec<MemoryAccess> = decoded
            .memory
            .iter()
            .map(|memory| self.memory_access(decoded, memory))
            .collect();
        let inputs = if self.dirty {
            self.instruction_inputs(decoded, &accesses)
        } else {
            Inputs::default()
        };
        let pending = decoded.unit == Unit::X87 && self.dirty;
        let vendor = is_masked_store(decoded) || decoded.narrow_branch || decoded.long_scalar;
        let asks = host::host_rule(&decoded.instruction).is_some();
        if !inputs.all.is_empty() || vendor || pending || asks {
            self.note_fault(decoded, &accesses, inputs);
            self.note_target(decoded, inputs);
        }
        match decoded.unit {
            Unit::X87 => self.apply_x87_rule(decoded, &accesses, inputs.all),
            _ if self.stored_image(decoded, &accesses, inputs.all) => {}
            _ if asks && self.apply_host_rule(decoded, &accesses, inputs) => {}
            Unit::Mmx => {
                self.apply_coarse_rule(decoded, &accesses, inputs);
                self.apply_mmx_rule(decoded);
            }
            Unit::Vector => self.apply_vector_rule(decoded, &accesses, inputs),
            Unit::Integer => {
                if !(self.dirty && self.apply_integer_rule(decoded, &accesses, inputs)) {
                    self.apply_coarse_rule(decoded, &accesses, inputs);
                }
            }
        }
        if decoded.narrow_branch {
            self.narrow_branch(decoded, &accesses);
        }
        if decoded.long_scalar {
            self.long_scalar(decoded);
        }
        self.follow_values(decoded, &accesses);
        self.dirty = !self.mask.is_clean();
        self.index += 1;
    }

    /// The coarse rule, for everything that no finer one takes.
    pub(super) fn apply_coarse_rule(&mut self, decoded: &Decoded, accesses: &[MemoryAccess], inputs: Inputs) {
        let rules = inputs.all;
        if self.dirty || !rules.is_empty() {
            for used in decoded
                .registers
                .iter()
                .filter(|used| is_write_access(used.access()))
            {
                let register = used.register();
                let kept = match used.access() {
                    OpAccess::CondWrite | OpAccess::ReadCondWrite => self.read_register(register),
                    _ => Bits::NONE,
                };
                let open = Bits::new(u64::MAX, rules).union(kept);
                self.write_register(register, open.mask, open.rules);
            }
            for access in accesses.iter().filter(|access| access.writes) {
                let rules = rules.union(if access.address.is_none() {
                    inputs.address
                } else {
                    RuleSet::EMPTY
                });
                self.write_memory(*access, |_| (if rules.is_empty() { 0 } else { 0xff }, rules));
            }
        }
        self.write_flags(decoded, rules);
        self.open_destination(decoded, accesses);
    }

    /// Sets the flags that an instruction writes, from the rules of what they are computed from.
    pub(super) fn write_flags(&mut self, decoded: &Decoded, rules: RuleSet) {
        let effect = self.flag_effect(decoded);
        if effect.keeps {
            return;
        }
        if self.dirty || !rules.is_empty() {
            if effect.may_keep {
                self.mask.add_flags(decoded.flags_computed, rules);
            } else {
                self.mask.set_flags(decoded.flags_computed, rules);
                self.mask.set_flags(decoded.flags_fixed, RuleSet::EMPTY);
            }
        }
        for (flags, rule) in effect.open.into_iter().flatten() {
            self.mask.add_flags(flags, RuleSet::from_rule(rule));
        }
    }

    /// The flag effect with the count that is known here.
    pub(super) fn flag_effect(&self, decoded: &Decoded) -> FlagEffect {
        let instruction = &decoded.instruction;
        let count = undefined::count_operand(instruction)
            .and_then(|operand| self.known.operand_value(instruction, operand, None));
        undefined::flag_effect(instruction, count)
    }

    /// Marks an undefined destination.
    pub(super) fn open_destination(&mut self, decoded: &Decoded, accesses: &[MemoryAccess]) {
        let instruction = &decoded.instruction;
        let address = accesses.first().and_then(|access| access.address);
        let open = undefined::open_destination(instruction, |operand| {
            self.known.operand_value(instruction, operand, address)
        });
        let Some((mask, rule)) = open else { return };
        if instruction.op0_kind() == OpKind::Register {
            // The mask may reach beyond the operand: into the upper half that a 32-bit write clears.
            let register = instruction.op0_register().full_register();
            let old = self.read_register(register);
            let open = old.union(Bits::new(mask, RuleSet::from_rule(rule)));
            self.write_register(register, open.mask, open.rules);
        } else if let Some(access) = accesses.iter().find(|access| access.writes) {
            self.write_memory(*access, |_| (0xff, RuleSet::from_rule(rule)));
        }
    }
}

pub(super) fn is_read_access(access: OpAccess) -> bool {
    matches!(
        access,
        OpAccess::Read | OpAccess::CondRead | OpAccess::ReadWrite | OpAccess::ReadCondWrite
    )
}

pub(super) fn is_write_access(access: OpAccess) -> bool {
    matches!(
        access,
        OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite
    )
}

pub(super) fn open_precision(rules: RuleSet) -> Precision {
    if rules.is_empty() {
        Precision::Exact
    } else {
        Precision::Open(rules)
    }
}

/// The status flags, whose order the stored image of FLAGS shares.
pub(super) const FLAG_IMAGE: u64 = rflags::STATUS | rflags::DF | rflags::NT | rflags::AC | rflags::ID;
