//! The x87 control, status and tag words as instructions store and load them.

use iced_x86::{Mnemonic, OpKind, Register};

use super::decoded::Decoded;
use super::flow::{Flow, MemoryAccess, open_precision};
use super::mask::Bits;
use super::rules::{Rule, RuleSet};
use super::vector;
use super::x87::EXCEPTIONS;

/// Reserved bits of the control word.
pub(super) const RESERVED: u64 = 0xe0c0;

impl Flow<'_> {
    /// A control word from memory: its reserved bits are the processor's business.
    pub(super) fn load_control(&mut self, loaded: Bits) {
        let reserved = Bits::new(RESERVED, RuleSet::from_rule(Rule::ReservedControl));
        self.mask.control = loaded.within(0xffff & !RESERVED).union(reserved);
    }

    /// What XRSTOR may load into the control word: its reserved bits, on top of what is open.
    pub(super) fn open_reserved_control(&mut self) {
        let reserved = Bits::new(RESERVED, RuleSet::from_rule(Rule::ReservedControl));
        self.mask.control = self.mask.control.union(reserved);
    }

    /// Instructions on control and status words and tags. Whether it was one.
    pub(super) fn x87_control(
        &mut self,
        decoded: &Decoded,
        accesses: &[MemoryAccess],
        inputs: RuleSet,
    ) -> bool {
        let status = Bits::new(
            u64::from(self.mask.status_bits()),
            self.mask.status_rules(u16::MAX),
        );
        match decoded.instruction.mnemonic() {
            Mnemonic::Fnstsw | Mnemonic::Fstsw | Mnemonic::Fnstdw | Mnemonic::Fnstsg => {
                if decoded.instruction.op0_kind() == OpKind::Register {
                    self.write_register(Register::AX, status.mask, status.rules);
                } else {
                    self.store_bits(accesses, status);
                }
            }
            Mnemonic::Fnstcw | Mnemonic::Fstcw => self.store_bits(accesses, self.mask.control),
            Mnemonic::Fldcw => {
                let loaded = accesses
                    .first()
                    .map_or(Bits::NONE, |access| self.load_bits(*access));
                self.load_control(loaded);
            }
            Mnemonic::Fnclex | Mnemonic::Fclex => self.mask.set_status(EXCEPTIONS, RuleSet::EMPTY),
            Mnemonic::Fninit | Mnemonic::Finit => {
                self.mask.set_status(u16::MAX, RuleSet::EMPTY);
                self.mask.control = Bits::NONE;
                self.mask.tags = Bits::NONE;
                self.top = Some(0);
            }
            Mnemonic::Ffree | Mnemonic::Ffreep => {
                self.shift_stack(decoded, open_precision(inputs));
            }
            Mnemonic::Fnop | Mnemonic::Wait | Mnemonic::Fneni | Mnemonic::Fndisi | Mnemonic::Fnsetpm => {}
            Mnemonic::Emms | Mnemonic::Femms => self.mask.tags = Bits::NONE,
            _ => return false,
        }
        true
    }
}

/// Open bytes of a stored word as open bits of it.
pub(super) fn stored_word_bits(bytes: Bits, at: u32) -> Bits {
    let bits = vector::bytes_to_bits(Bits::new(bytes.mask >> at, bytes.rules));
    bits.within(0xffff)
}
