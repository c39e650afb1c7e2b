//! Rulings on x87 arithmetic, its status and control.

use iced_x86::Mnemonic as M;

use snippex_core::state::rflags;

use super::{BugPattern, DivergenceFacts};
use crate::signature::{BitSide, DifferingPart, StatusBit, StatusWord};

/// x87 status and control: invalid operation, denormal operand, division by zero.
const IE: u16 = 1;
const DE: u16 = 2;
const ZE: u16 = 4;
/// Overflow and underflow.
const OE_UE: u16 = 0x18;

/// Every pattern of this table.
pub(super) const RULES: &[BugPattern] = &[
    BugPattern {
        id: "environment-at-fault",
        title: "FLDENV that faults has loaded a part",
        what: "a fault leaves the x87 state as it was before the instruction",
        reference: "SDM vol. 3, section 6.5",
        matches: |e, _| {
            let loads = matches!(e.mnemonic(), M::Fldenv | M::Frstor | M::Fldcw);
            loads && e.reference_signal().is_some() && e.in_state()
        },
    },
    BugPattern {
        id: "x87-flags-at-fault",
        title: "Exception flags are set by an instruction that faults",
        what: "an x87 store that page-faults leaves the status word as it was",
        reference: "SDM vol. 3, section 6.5 (faults), and section 6.15, interrupt 14, Program State Change",
        matches: |e, field| e.reference_signal().is_some() && e.in_state() && field.is_x87_status(),
    },
    BugPattern {
        id: "store-environment-masks",
        title: "FNSTENV does not mask exceptions",
        what: "storing the environment masks all exceptions",
        reference: "SDM vol. 2, FSTENV/FNSTENV, Description",
        matches: |e, field| {
            let result = field == DifferingPart::X87Control || is_summary(field);
            e.mnemonic() == M::Fnstenv && result && e.in_state()
        },
    },
    BugPattern {
        id: "x87-image-rex-w",
        title: "FRSTOR with REX.W expects another layout",
        what: "with REX.W the image has the 32-bit layout of 108 bytes all the same",
        reference: "SDM vol. 2, FRSTOR and FSAVE/FNSAVE, Description; vol. 1, section 8.1.10",
        matches: |e, _| {
            let image = matches!(e.mnemonic(), M::Frstor | M::Fnsave | M::Fldenv | M::Fnstenv);
            image && e.has_rex_bits(8)
        },
    },
    BugPattern {
        id: "fcomi-flags",
        title: "FCOMI and FUCOMI leave OF, SF and AF",
        what: "FCOMI, FUCOMI and their popping forms clear OF, SF and AF",
        reference: "SDM vol. 2, FCOMI/FCOMIP/FUCOMI/FUCOMIP, Description",
        matches: |e, field| {
            let compares = matches!(e.mnemonic(), M::Fcomi | M::Fcomip | M::Fucomi | M::Fucomip);
            // Only where the reference does as the sentence says.
            let cleared = |flag: u64| e.expected.state.rflags & flag == 0;
            let is_cleared = |flag: u64| flag & (rflags::OF | rflags::SF | rflags::AF) != 0 && cleared(flag);
            compares && matches!(field, DifferingPart::Flag(flag) if is_cleared(flag))
        },
    },
    BugPattern {
        id: "x87-denormal",
        title: "X87 denormal operands are not reported",
        what: "an arithmetic x87 instruction sets DE for a denormal operand; unmasked, it does nothing else",
        reference: "SDM vol. 1, section 8.5.2",
        matches: |e, field| {
            let unmasked = e.is_x87()
                && e.in_state()
                && e.unmasked_x87() & DE != 0
                && e.has_part(missing(StatusBit::De));
            field == missing(StatusBit::De) || unmasked
        },
    },
    BugPattern {
        id: "x87-unmasked-result",
        title: "Unmasked x87 exceptions change the operands",
        what: "unmasked, an exception of the operands stores no result, and over- and underflow none to memory and one with \
               its exponent scaled in a register",
        reference: "SDM vol. 1, sections 8.5.1 to 8.5.5",
        matches: |e, field| {
            let operands = e.unmasked_x87() & (IE | DE | ZE | OE_UE) != 0;
            let result = field.is_stack_register()
                || field.is_x87_bit(StatusBit::Top)
                || matches!(field, DifferingPart::X87Tags | DifferingPart::Memory);
            let rounded = field.is_x87_bit(StatusBit::Pe) || field.is_x87_bit(StatusBit::C1);
            let scaled = e.unmasked_x87() & OE_UE != 0;
            e.is_x87() && e.in_state() && (operands && result || scaled && rounded)
        },
    },
    BugPattern {
        id: "fsin-infinity",
        title: "FSIN and its like accept infinities",
        what: "an infinity is an invalid operand",
        reference: "SDM vol. 2, FSIN, FCOS, FSINCOS and FPTAN, Floating-Point Exceptions",
        matches: |e, _| is_trigonometric(e) && e.in_state() && is_infinity(e.x87_state().st[0]),
    },
    BugPattern {
        id: "fsin-unsupported",
        title: "FSIN and its like accept unsupported encodings",
        what: "an operand in an unsupported encoding is invalid",
        reference: "SDM vol. 1, section 8.2.2",
        matches: |e, _| is_trigonometric(e) && e.in_state() && is_unsupported(e.x87_state().st[0]),
    },
    BugPattern {
        id: "fsin-nan",
        title: "FSIN and its like cut NaNs to doubles",
        what: "a NaN operand is the result, made quiet",
        reference: "SDM vol. 1, section 4.8.3.5",
        matches: |e, field| {
            let transcendental =
                matches!(e.mnemonic(), M::F2xm1 | M::Fyl2x | M::Fyl2xp1 | M::Fpatan) || is_trigonometric(e);
            let nan = is_nan(e.x87_state().st[0]) || is_nan(e.x87_state().st[1]);
            transcendental && nan && e.in_state() && !field.is_x87_bit(StatusBit::C1)
        },
    },
    BugPattern {
        id: "fscale-nan",
        title: "FSCALE takes the NaN of ST(1)",
        what: "of two NaNs of a kind an x87 instruction takes the one with the larger significand",
        reference: "SDM vol. 1, section 4.8.3.5, table 4-7",
        matches: |e, field| {
            let [first, second, ..] = e.x87_state().st;
            e.mnemonic() == M::Fscale
                && field.is_stack_register()
                && e.in_state()
                && is_nan(first)
                && is_nan(second)
        },
    },
    BugPattern {
        id: "x87-memory-nan",
        title: "Signalling NaNs in memory are made quiet before one is chosen",
        what: "of a signalling and a quiet NaN an x87 instruction takes the quiet one",
        reference: "SDM vol. 1, section 4.8.3.5, table 4-7",
        matches: |e, field| {
            let both = is_nan(e.x87_state().st[0]) && is_nan(e.expected.state.x87.st[0]);
            e.is_x87() && e.has_memory() && field.is_stack_register() && e.in_state() && both
        },
    },
    BugPattern {
        id: "x87-approximation",
        title: "X87 approximations are off by more than 1 ulp",
        what: "FSIN, FCOS, FSINCOS, FPTAN, FPATAN, F2XM1, FYL2X and FYL2XP1 are off by less than 1 ulp when rounding to \
               nearest, and by less than 1.5 ulp otherwise",
        reference: "SDM vol. 1, section 8.3.10",
        matches: |e, field| {
            // The other ones are exact before a precision control rounds them that does not apply.
            let approximates = is_trigonometric(e)
                || matches!(e.mnemonic(), M::F2xm1 | M::Fyl2x | M::Fyl2xp1 | M::Fpatan)
                    && e.x87_state().control & 0x300 == 0x300;
            approximates
                && field.is_stack_register()
                && e.in_state()
                && e.x87_results_are_near(is_trigonometric(e))
        },
    },
    BugPattern {
        id: "x87-precision-operands",
        title: "The precision control rounds what it does not apply to",
        what: "the precision control applies to results of FADD, FSUB, FMUL, FDIV and FSQRT, not to operands, loads and others",
        reference: "SDM vol. 1, section 8.1.5.2",
        matches: |e, field| {
            let reduced = e.x87_state().control & 0x300 != 0x300;
            let flags = [
                extra(StatusBit::Pe),
                missing(StatusBit::Pe),
                extra(StatusBit::Ue),
                extra(StatusBit::Oe),
            ];
            // An unmasked exception shows in the summary, too.
            let summary = is_summary(field) && flags.iter().any(|flag| e.has_part(*flag));
            let rounded = field.is_stack_register() || flags.contains(&field) || summary;
            e.is_x87() && e.in_state() && reduced && (e.has_memory() || !is_basic(e)) && rounded
        },
    },
    BugPattern {
        id: "x87-summary",
        title: "ES and B do not follow the control word",
        what: "ES says whether an unmasked exception flag is set, and B mirrors it",
        reference: "SDM vol. 1, section 8.1.3.3",
        matches: |e, field| is_summary(field) && e.in_state(),
    },
    BugPattern {
        id: "fprem-quotient",
        title: "FPREM and FPREM1 report another quotient",
        what: "when the reduction is complete, C0, C3 and C1 are the three lowest bits of the quotient",
        reference: "SDM vol. 2, FPREM and FPREM1, Description and FPU Flags Affected",
        matches: |e, field| {
            let remainder = matches!(e.mnemonic(), M::Fprem | M::Fprem1) && !e.stack_fault();
            remainder
                && e.in_state()
                && [StatusBit::C0, StatusBit::C1, StatusBit::C3]
                    .into_iter()
                    .any(|bit| field.is_x87_bit(bit))
        },
    },
    BugPattern {
        id: "x87-c1",
        title: "C1 does not tell rounding and stack faults",
        what: "C1 is set when the result was rounded up or the stack overflowed, and cleared otherwise",
        reference: "SDM vol. 1, section 8.1.3.2, and vol. 2, FPU Flags Affected of each instruction",
        matches: |e, field| e.is_x87() && e.in_state() && field.is_x87_bit(StatusBit::C1),
    },
];

/// Arithmetic whose result the precision control applies to.
fn is_basic(e: &DivergenceFacts<'_>) -> bool {
    let name = e.mnemonic_name();
    ["fadd", "fsub", "fmul", "fdiv", "fsqrt"]
        .iter()
        .any(|basic| name.starts_with(basic))
}

fn is_summary(field: DifferingPart) -> bool {
    field.is_x87_bit(StatusBit::Es) || field.is_x87_bit(StatusBit::Busy)
}

/// A bit of the status word that the engine does not set.
const fn missing(bit: StatusBit) -> DifferingPart {
    DifferingPart::Status(BitSide::Missing, StatusWord::X87, bit)
}

/// One that it sets for no reason.
const fn extra(bit: StatusBit) -> DifferingPart {
    DifferingPart::Status(BitSide::Extra, StatusWord::X87, bit)
}

fn is_trigonometric(e: &DivergenceFacts<'_>) -> bool {
    matches!(e.mnemonic(), M::Fsin | M::Fcos | M::Fsincos | M::Fptan)
}

fn parts(register: [u8; 10]) -> (u16, u64) {
    let exponent = u16::from_le_bytes([register[8], register[9]]) & 0x7fff;
    let mut significand = [0; 8];
    significand.copy_from_slice(&register[..8]);
    (exponent, u64::from_le_bytes(significand))
}

fn is_infinity(register: [u8; 10]) -> bool {
    parts(register) == (0x7fff, 1 << 63)
}

/// Unnormals, pseudo-infinities and pseudo-NaNs: an exponent without the integer bit.
fn is_unsupported(register: [u8; 10]) -> bool {
    matches!(parts(register), (1.., significand) if significand >> 63 == 0)
}

fn is_nan(register: [u8; 10]) -> bool {
    matches!(parts(register), (0x7fff, significand) if significand > 1 << 63)
}
