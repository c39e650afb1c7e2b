//! Images of the x87, SSE and extended state that a block stores and loads: FNSTENV, FNSAVE, FXSAVE, XSAVE and
//! their counterparts.
//!
//! The stores leave open what the manual leaves open (pointers, reserved fields, XSTATE_BV). The loads bring
//! open fields back: FLDENV by field, the large ones as a whole, pointers apart.

use iced_x86::{MemorySize, Mnemonic, Register};

use super::decoded::Decoded;
use super::flow::{Flow, MemoryAccess, open_precision};
use super::mask::Bits;
use super::rules::{Rule, RuleSet};
use super::x87_control::stored_word_bits;
use crate::case::{PAGE_SIZE, PageAccess};

/// Bytes of an XSAVE area: the legacy region, header, and components up to PKRU (SDM volume 1, section 13.4, with the
/// offsets that processors report).
const XSAVE_SIZE: usize = 2696;
/// The same with the tiles of AMX.
const XSAVE_SIZE_AMX: usize = 11008;
/// Bits of the tiles in XCR0.
const AMX: u64 = 3 << 17;
/// The header of an XSAVE area, and the part of it that XSAVE writes.
const HEADER: usize = 512;
const XSTATE_BV: std::ops::Range<usize> = HEADER..HEADER + 8;
const HEADER_END: usize = 576;

/// End of the part of an FXSAVE image that the processor writes.
const FXSAVE_WRITTEN: usize = 416;
/// Upper halves of YMM registers in the standard format (SDM volume 1, section 13.5.3).
const AVX_AREA: std::ops::Range<usize> = 576..832;

/// The rule for byte `at` of a 28- or 14-byte environment (SDM volume 1, figures 8-9 to 8-12).
fn environment_rule(at: usize, long: bool) -> Option<Rule> {
    match (long, at) {
        (true, 0 | 1 | 4 | 5 | 8 | 9) | (false, 0..=5) => None,
        (true, 2 | 3 | 6 | 7 | 10 | 11 | 26 | 27) => Some(Rule::ReservedBytes),
        (true, 12..=27) | (false, 6..=13) => Some(Rule::X87Pointers),
        _ => None,
    }
}

/// The rule for byte `at` of an FXSAVE image (SDM volume 1, table 10-2).
fn fxsave_rule(at: usize) -> Option<Rule> {
    match at {
        5 => Some(Rule::ReservedBytes),
        6..=23 => Some(Rule::X87Pointers),
        28..=31 => Some(Rule::MxcsrMask),
        32..=159 if at % 16 >= 10 => Some(Rule::ReservedBytes),
        FXSAVE_WRITTEN..=511 => Some(Rule::ReservedBytes),
        _ => None,
    }
}

/// The rule for byte `at` of an XSAVE image. Compact images (not `plain`) place components as the processor likes, and
/// optimised ones may leave out any of them.
fn xsave_rule(at: usize, plain: bool) -> Option<Rule> {
    match at {
        _ if !plain || XSTATE_BV.contains(&at) => Some(Rule::XstateBv),
        0..HEADER => fxsave_rule(at),
        // The rest of the header is not written.
        HEADER..HEADER_END => None,
        _ if AVX_AREA.contains(&at) => None,
        _ => Some(Rule::XsaveLayout),
    }
}

impl Flow<'_> {
    /// Stores and loads of state images. Whether the instruction was one.
    pub(super) fn stored_image(
        &mut self,
        decoded: &Decoded,
        accesses: &[MemoryAccess],
        inputs: RuleSet,
    ) -> bool {
        use Mnemonic as M;
        let Some(access) = accesses.first() else {
            return false;
        };
        let long = !matches!(
            decoded.instruction.memory_size(),
            MemorySize::FpuEnv14 | MemorySize::FpuState94
        );
        let mut inputs = inputs;
        match decoded.instruction.mnemonic() {
            M::Fnstenv | M::Fstenv => {
                let (status, control, tags) = self.environment();
                self.write_memory(*access, |at| environment_byte(at, long, status, control, tags));
            }
            M::Fnsave | M::Fsave => {
                let (status, control, tags) = self.environment();
                let registers = self
                    .mask
                    .st
                    .iter()
                    .fold(RuleSet::EMPTY, |all, st| all.union(st.rules()));
                let header = if long { 28 } else { 14 };
                self.write_memory(*access, |at| match at {
                    _ if at < header => environment_byte(at, long, status, control, tags),
                    _ => whole(registers),
                });
                self.reset_x87();
            }
            M::Fxsave
            | M::Fxsave64
            | M::Xsave
            | M::Xsave64
            | M::Xsaveopt
            | M::Xsaveopt64
            | M::Xsavec
            | M::Xsavec64 => {
                inputs |= self.extended_inputs();
                let rule: fn(usize) -> Option<Rule> = match decoded.instruction.mnemonic() {
                    M::Fxsave | M::Fxsave64 => fxsave_rule,
                    M::Xsave | M::Xsave64 => |at| xsave_rule(at, true),
                    _ => |at| xsave_rule(at, false),
                };
                self.write_memory(*access, |at| {
                    let rules = rule(at).map_or(RuleSet::EMPTY, RuleSet::from_rule);
                    whole(rules.union(if at < 512 || rules.is_empty() {
                        inputs
                    } else {
                        RuleSet::EMPTY
                    }))
                });
            }
            M::Ldmxcsr | M::Vldmxcsr => self.mask.mxcsr = self.load_bits(*access).within(0xffff_ffff),
            M::Stmxcsr | M::Vstmxcsr => self.store_bits(accesses, self.mask.mxcsr),
            M::Fldenv => {
                let open = self.read_memory(*access);
                let at = |long_at, short_at| if long { long_at } else { short_at };
                self.load_control(stored_word_bits(open, 0));
                self.load_status(stored_word_bits(open, at(4, 2)));
                self.mask.tags = stored_word_bits(open, at(8, 4)).within(0xff);
                self.top = self.stored_top(*access, at(4, 2));
            }
            M::Frstor | M::Fxrstor | M::Fxrstor64 | M::Xrstor | M::Xrstor64 => {
                let open = self.loaded(*access, decoded.instruction.mnemonic(), long);
                self.load_image(decoded.instruction.mnemonic(), open);
                match decoded.instruction.mnemonic() {
                    M::Xrstor | M::Xrstor64 => {}
                    M::Frstor if long => self.top = self.stored_top(*access, 4),
                    _ => self.top = self.stored_top(*access, 2),
                }
            }
            _ => return false,
        }
        true
    }

    /// Bytes of the XSAVE area of an instruction that is next.
    pub(super) fn xsave_size(&self) -> usize {
        match self.known.register_value(Register::EAX) {
            Some(requested) if requested & AMX == 0 => XSAVE_SIZE,
            _ => XSAVE_SIZE_AMX,
        }
    }

    /// Whether all of an image lies in memory that may be accessed. Where it does not, whether an instruction of the
    /// XSAVE family faults depends on which components there are, and on how far the processor looks.
    pub(super) fn is_accessible(&self, accesses: &[MemoryAccess], write: bool) -> bool {
        let Some(start) = accesses.first().and_then(|access| access.address) else {
            return false;
        };
        let page = PAGE_SIZE as u64;
        let last = start.saturating_add(self.xsave_size() as u64 - 1) / page;
        (start / page..=last).all(|number| {
            let pages = &self.case.pages;
            let found = pages.binary_search_by_key(&(number * page), |page| page.address);
            found.is_ok_and(|index| !write || pages[index].access == PageAccess::ReadWrite)
        })
    }

    /// Whether the header of the image that XRSTOR is about to load is judged alike by every processor: it is not
    /// compact, and either wrong, or has nothing but x87 and SSE (SDM volume 1, section 13.8.1).
    pub(super) fn header_is_plain(&self, accesses: &[MemoryAccess]) -> bool {
        const COMPACT: u64 = 1 << 63;
        let word = |at: u64| {
            let address = accesses.first()?.address?.wrapping_add(HEADER as u64 + at);
            self.known.memory_value(address, 8)
        };
        let (Some(components), Some(layout), Some(reserved)) = (word(0), word(8), word(16)) else {
            return false;
        };
        let wrong = layout != 0 || reserved != 0;
        layout & COMPACT == 0 && (wrong || components & !3 == 0)
    }

    /// TOP of an image whose status word lies at `at`, if it is known.
    fn stored_top(&self, access: MemoryAccess, at: u32) -> Option<u8> {
        let status = self
            .known
            .memory_value(access.address?.wrapping_add(u64::from(at)), 2)?;
        Some((status >> 11) as u8 & 7)
    }

    fn environment(&self) -> (Bits, Bits, Bits) {
        let status = Bits::new(
            u64::from(self.mask.status_bits()),
            self.mask.status_rules(u16::MAX),
        );
        // The full tag of a register says more than the abridged one: it depends on the register's value.
        let registers = self
            .mask
            .st
            .iter()
            .fold(self.mask.tags.rules, |all, st| all.union(st.rules()));
        (status, self.mask.control, Bits::new(0xffff, registers))
    }

    fn extended_inputs(&self) -> RuleSet {
        let vectors = self
            .mask
            .vectors
            .iter()
            .fold(RuleSet::EMPTY, |all, bits| all.union(bits.rules));
        let approximate = self
            .mask
            .approximations
            .iter()
            .map(|lanes| lanes.rule)
            .collect::<RuleSet>();
        let st = self
            .mask
            .st
            .iter()
            .fold(RuleSet::EMPTY, |all, st| all.union(st.rules()));
        let words = self
            .mask
            .control
            .rules
            .union(self.mask.tags.rules)
            .union(self.mask.mxcsr.rules);
        vectors
            .union(approximate)
            .union(st)
            .union(words)
            .union(self.mask.status_rules(u16::MAX))
    }

    /// Why fields of a stored image other than pointers and reserved bytes are open.
    fn loaded(&self, access: MemoryAccess, mnemonic: Mnemonic, long: bool) -> RuleSet {
        let Some(address) = access.address else {
            return self.read_memory(access).rules;
        };
        (0..access.size)
            .filter(|at| match mnemonic {
                Mnemonic::Frstor => environment_rule(*at, long).is_none(),
                _ => fxsave_rule(*at).is_none(),
            })
            .fold(self.mask.anywhere, |all, at| {
                all.union(self.mask.memory_at(address.wrapping_add(at as u64)).1)
            })
    }

    fn load_status(&mut self, bits: Bits) {
        for bit in 0..16 {
            self.mask.set_status(1 << bit, bits.within(1 << bit).rules);
        }
    }

    fn load_image(&mut self, mnemonic: Mnemonic, open: RuleSet) {
        let selective = matches!(mnemonic, Mnemonic::Xrstor | Mnemonic::Xrstor64);
        if selective && open.is_empty() {
            // Only the components that EDX:EAX selects are loaded: what was open may stay so.
            self.top = None;
            self.exponents = [None; 8];
            self.open_reserved_control();
            return;
        }
        self.mask.st = [open_precision(open); 8];
        self.exponents = [None; 8];
        self.load_status(Bits::new(0xffff, open));
        self.load_control(Bits::new(0xffff, open));
        self.mask.tags = Bits::new(0xff, open);
        self.top = None;
        if mnemonic != Mnemonic::Frstor {
            self.mask.mxcsr = Bits::new(0xffff, open);
            for register in 0..16 {
                self.mask.set_vector(register, 0xffff, Bits::new(0xffff, open));
            }
        }
        if selective {
            for register in 0..32 {
                self.mask
                    .set_vector(register, u64::MAX, Bits::new(u64::MAX, open));
            }
            self.mask.opmask = [Bits::new(u64::MAX, open); 8];
        }
    }

    fn reset_x87(&mut self) {
        self.mask.set_status(u16::MAX, RuleSet::EMPTY);
        self.mask.control = Bits::NONE;
        self.mask.tags = Bits::NONE;
        self.top = Some(0);
    }
}

fn whole(rules: RuleSet) -> (u8, RuleSet) {
    (if rules.is_empty() { 0 } else { 0xff }, rules)
}

fn environment_byte(at: usize, long: bool, status: Bits, control: Bits, tags: Bits) -> (u8, RuleSet) {
    if let Some(rule) = environment_rule(at, long) {
        return (0xff, RuleSet::from_rule(rule));
    }
    let (field, unit) = if long { (at / 4, at % 4) } else { (at / 2, at % 2) };
    let bits = [control, status, tags].get(field).copied().unwrap_or(Bits::NONE);
    let mask = (bits.mask >> (8 * unit.min(1))) as u8;
    (mask, if mask == 0 { RuleSet::EMPTY } else { bits.rules })
}
