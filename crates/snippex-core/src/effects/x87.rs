//! The x87 unit: condition codes, approximations, and the register stack by physical number.

use iced_x86::{Mnemonic, OpAccess, OpKind, Register, UsedRegister};

use super::decoded::{Decoded, to_codes};
use super::flow::{Flow, MemoryAccess, is_read_access, is_write_access, open_precision};
use super::mask::{ErrorBound, Precision};
use super::rules::{Rule, RuleSet};

const C0: u16 = 1 << 8;
const C1: u16 = 1 << 9;
const C2: u16 = 1 << 10;
const C3: u16 = 1 << 14;
/// Top of stack.
const TOP: u16 = 7 << 11;
/// Underflow and precision exception flags.
const INEXACT: u16 = 1 << 4 | 1 << 5;
/// Exception flags, stack fault and both summaries.
pub(super) const EXCEPTIONS: u16 = 0x80ff;
/// Error summary and its old name, busy.
pub(super) const SUMMARY: u16 = 0x8080;

impl Flow<'_> {
    /// Why ST(`index`) is not exact.
    pub(super) fn read_st(&self, index: usize) -> RuleSet {
        match self.physical_register(index) {
            Some(physical) => self.mask.st[physical].rules(),
            None => self
                .mask
                .st
                .iter()
                .fold(RuleSet::EMPTY, |all, st| all.union(st.rules())),
        }
    }

    pub(super) fn physical_register(&self, index: usize) -> Option<usize> {
        self.top.map(|top| (usize::from(top) + index) & 7)
    }

    /// Sets ST(`index`); with TOP unknown, adds to all.
    fn write_st(&mut self, index: usize, precision: Precision) {
        match self.physical_register(index) {
            Some(physical) => self.mask.st[physical] = precision,
            None if precision == Precision::Exact => {}
            None => {
                for st in &mut self.mask.st {
                    *st = Precision::Open(st.rules().union(precision.rules()));
                }
            }
        }
    }

    /// Carries the state over one x87 instruction.
    pub(super) fn apply_x87_rule(&mut self, decoded: &Decoded, accesses: &[MemoryAccess], inputs: RuleSet) {
        if self.x87_control(decoded, accesses, inputs) || self.stored_image(decoded, accesses, inputs) {
            return self.codes(decoded, RuleSet::EMPTY);
        }
        let instruction = &decoded.instruction;
        self.quotient = self.has_quotient();
        let approximation = self.approximation(instruction.mnemonic());
        let exponent = self.moved_exponent(decoded, accesses);
        let inputs = inputs.union(self.unseen_inputs(decoded, accesses));
        let result = match approximation {
            Some(Rule::X87LargeArgument) => {
                open_precision(inputs.union(RuleSet::from_rule(Rule::X87LargeArgument)))
            }
            Some(rule) if inputs.is_empty() => Precision::Approximate(self.error_bound(rule)),
            _ => open_precision(inputs),
        };
        let moved = self.moved(decoded, result);
        for used in decoded
            .registers
            .iter()
            .filter(|used| is_write_access(used.access()))
        {
            self.write_x87(used, result, &moved);
        }
        for access in accesses.iter().filter(|access| access.writes) {
            self.write_memory(*access, |_| (if inputs.is_empty() { 0 } else { 0xff }, inputs));
        }
        self.forget_exponents(decoded);
        self.shift_stack(decoded, moved.first().map_or(result, |(_, precision)| *precision));
        if let Some(physical) = self.physical_register(0).filter(|_| exponent.is_some()) {
            self.exponents[physical] = exponent;
        }
        self.codes(decoded, inputs);
        self.raise_x87(decoded, approximation, inputs);
    }

    /// The rule of an instruction that approximates.
    fn approximation(&self, mnemonic: Mnemonic) -> Option<Rule> {
        match mnemonic {
            Mnemonic::F2xm1 | Mnemonic::Fyl2x | Mnemonic::Fyl2xp1 | Mnemonic::Fpatan => {
                Some(Rule::X87Transcendental)
            }
            Mnemonic::Fsin | Mnemonic::Fcos | Mnemonic::Fsincos | Mnemonic::Fptan => {
                Some(match self.argument_exponent() {
                    Some(_) => Rule::X87Trigonometric,
                    None => Rule::X87LargeArgument,
                })
            }
            _ => None,
        }
    }

    /// Exponent of ST(0), where it can be told.
    fn argument_exponent(&self) -> Option<i32> {
        self.exponents[self.physical_register(0)?]
    }

    /// How far two results of an approximation may lie apart. Each is within 1 ulp of the exact value when rounded to nearest, and
    /// within 1.5 otherwise (SDM vol. 1, section 8.3.10), so that those of two makers may differ by twice that.
    fn error_bound(&self, rule: Rule) -> ErrorBound {
        /// Rounding control; zero is to nearest.
        const ROUNDING: u16 = 3 << 10;
        let nearest = self.case.state.x87.control & ROUNDING == 0 && !self.controls_changed;
        let exponent = self
            .argument_exponent()
            .filter(|_| rule == Rule::X87Trigonometric);
        ErrorBound {
            rule,
            ulps: if nearest { 2 } else { 3 },
            // What is below a quarter of pi is not reduced.
            reduced: exponent
                .filter(|exponent| *exponent >= -1)
                .map(|exponent| exponent as i16),
        }
    }

    /// Inputs that a table of registers does not show.
    fn unseen_inputs(&self, decoded: &Decoded, accesses: &[MemoryAccess]) -> RuleSet {
        let steering = self.mask.control.within(!super::x87_control::RESERVED).rules;
        // Empty registers raise a stack fault, and TOP says which ones are meant.
        let stack = self.mask.tags.rules.union(self.mask.status_rules(TOP));
        let mut rules = steering.union(stack);
        match decoded.instruction.mnemonic() {
            Mnemonic::Fbld if !self.is_valid_bcd(accesses) => rules |= RuleSet::from_rule(Rule::X87Bcd),
            // Below 2^0 and 2^-2: a little less than the manual allows.
            Mnemonic::F2xm1 if !self.is_below(0) => rules |= RuleSet::from_rule(Rule::X87Range),
            Mnemonic::Fyl2xp1 if !self.is_below(-2) => rules |= RuleSet::from_rule(Rule::X87Range),
            Mnemonic::Fprem | Mnemonic::Fprem1 if self.incomplete => {
                rules |= RuleSet::from_rule(Rule::X87PartialRemainder);
            }
            _ => {}
        }
        rules
    }

    /// Whether ST(0) is known to be smaller than two to the power of `exponent`.
    fn is_below(&self, exponent: i32) -> bool {
        self.physical_register(0)
            .and_then(|physical| self.exponents[physical])
            .is_some_and(|found| found < exponent)
    }

    /// Whether a remainder of ST(0) by ST(1) surely has a quotient: two ordinary numbers.
    fn has_quotient(&self) -> bool {
        let ordinary = |index| {
            let Some(physical) = self.physical_register(index) else {
                return false;
            };
            let start = &self.case.state.x87;
            let st = start.st[(physical + 8 - usize::from(start.top())) & 7];
            // A loaded number is normal unless its exponent says otherwise; one from the start may be an unnormal.
            let normal = st[7] & 0x80 != 0;
            normal && self.exponents[physical].is_some_and(|exponent| (-16382..16384).contains(&exponent))
        };
        ordinary(0) && ordinary(1)
    }

    fn is_valid_bcd(&self, accesses: &[MemoryAccess]) -> bool {
        let Some(address) = accesses.first().and_then(|access| access.address) else {
            return false;
        };
        let digits = |byte: u64| byte & 0xf <= 9 && byte >> 4 <= 9;
        (0..9).all(|at| {
            self.known
                .memory_value(address.wrapping_add(at), 1)
                .is_some_and(digits)
        })
    }

    /// Moves take the precision of their source along: registers written, with it.
    fn moved(&self, decoded: &Decoded, result: Precision) -> Vec<(usize, Precision)> {
        let instruction = &decoded.instruction;
        let source = |index: usize| {
            self.physical_register(index)
                .map_or(result, |physical| self.mask.st[physical])
        };
        let number = |operand| match instruction.op_kind(operand) {
            OpKind::Register => instruction.op_register(operand).number(),
            _ => 0,
        };
        let registers = instruction.op_count() > 1
            && instruction.op0_kind() == OpKind::Register
            && instruction.op1_kind() == OpKind::Register;
        match instruction.mnemonic() {
            Mnemonic::Fxch if registers => {
                vec![(number(0), source(number(1))), (number(1), source(number(0)))]
            }
            Mnemonic::Fst | Mnemonic::Fstp | Mnemonic::Fstpnce if registers => {
                vec![(number(0), source(number(1)))]
            }
            Mnemonic::Fld if registers => vec![(8, source(number(1)))],
            Mnemonic::Fchs | Mnemonic::Fabs => vec![(0, source(0))],
            Mnemonic::Fincstp | Mnemonic::Fdecstp => vec![(9, Precision::Exact)],
            _ => Vec::new(),
        }
    }

    fn write_x87(&mut self, used: &UsedRegister, result: Precision, moved: &[(usize, Precision)]) {
        let register = used.register();
        if !register.is_st() {
            if register == Register::AX || register.is_gpr() {
                self.write_register(register, u64::MAX, result.rules());
            }
            return;
        }
        let index = register.number();
        let precision = moved
            .iter()
            .find(|(moved, _)| *moved == index)
            .map_or(result, |(_, precision)| *precision);
        // FCMOVcc: the destination may stay what it was.
        if used.access() == OpAccess::CondWrite {
            let rules = self.read_st(index).union(precision.rules());
            self.write_st(index, open_precision(rules));
        } else {
            self.write_st(index, precision);
        }
    }

    /// Moves TOP and sets what a push brings.
    pub(super) fn shift_stack(&mut self, decoded: &Decoded, pushed: Precision) {
        let info = decoded.instruction.fpu_stack_increment_info();
        let mnemonic = decoded.instruction.mnemonic();
        if !info.writes_top() || info.conditional() && !self.pushes {
            return;
        }
        self.top = self
            .top
            .map(|top| ((i32::from(top) + info.increment()) & 7) as u8);
        let contents = match mnemonic {
            Mnemonic::Fdecstp | Mnemonic::Fincstp => return,
            // FPTAN pushes an exact 1.
            Mnemonic::Fptan => Precision::Exact,
            _ => pushed,
        };
        if info.increment() < 0 {
            self.write_st(0, contents);
        }
    }

    /// Condition codes: computed, cleared, and undefined ones.
    fn codes(&mut self, decoded: &Decoded, inputs: RuleSet) {
        let instruction = &decoded.instruction;
        let computed = to_codes(instruction.rflags_written());
        if self.dirty || !inputs.is_empty() {
            self.mask.set_status(
                to_codes(instruction.rflags_cleared() | instruction.rflags_set()),
                RuleSet::EMPTY,
            );
            if !matches!(instruction.mnemonic(), Mnemonic::Fldenv | Mnemonic::Frstor) {
                self.mask.set_status(computed, inputs);
            }
            self.mask.set_flags(decoded.flags_computed, inputs);
            self.mask.set_flags(decoded.flags_fixed, RuleSet::EMPTY);
        }
        let mut undefined = to_codes(instruction.rflags_undefined());
        if instruction.mnemonic() == Mnemonic::Fnop {
            undefined = C0 | C1 | C2 | C3;
        }
        self.mask
            .set_status(undefined, RuleSet::from_rule(Rule::X87Codes));
        if matches!(instruction.mnemonic(), Mnemonic::Fprem | Mnemonic::Fprem1) && !self.quotient {
            self.mask
                .set_status(C0 | C1 | C3, RuleSet::from_rule(Rule::X87NoQuotient));
        }
    }

    /// Exception flags that depend on open data or on the last bits of an approximation.
    fn raise_x87(&mut self, decoded: &Decoded, approximation: Option<Rule>, inputs: RuleSet) {
        if !inputs.is_empty()
            && decoded
                .registers
                .iter()
                .any(|used| used.register().is_st() && is_read_access(used.access()))
        {
            self.mask.add_status(EXCEPTIONS, inputs);
        }
        if approximation.is_some() {
            let rules = RuleSet::from_rule(Rule::X87Rounding);
            let masked = self.case.state.x87.control & INEXACT == INEXACT && !self.controls_changed;
            self.mask
                .add_status(C1 | INEXACT | if masked { 0 } else { SUMMARY }, rules);
        }
    }
}
