//! Rulings on SSE and AVX.

use iced_x86::{Mnemonic as M, Register, RoundingControl};
use snippex_core::observation::{SIGFPE, SIGSEGV};

use super::integer::{SI_KERNEL, SIGILL, misses_signal};
use super::{BugPattern, DivergenceFacts};
use crate::signature::{BitSide, BugKind, DifferingPart, RegisterPart, StatusBit, StatusWord};

const MXCSR_DAZ: u32 = 1 << 6;
const MXCSR_FTZ: u32 = 1 << 15;
/// Rounding control; zero is to nearest.
const MXCSR_RC: u32 = 3 << 13;
/// The first operand, which is the result.
const RESULT: DifferingPart = DifferingPart::Operand(0, RegisterPart::Named);
const EXTRA_UE: DifferingPart = DifferingPart::Status(BitSide::Extra, StatusWord::Mxcsr, StatusBit::Ue);
/// Of the x87 status word.
const MISSING_DE: DifferingPart = DifferingPart::Status(BitSide::Missing, StatusWord::X87, StatusBit::De);

/// Every pattern of this table.
pub(super) const RULES: &[BugPattern] = &[
    BugPattern {
        id: "mxcsr-reserved",
        title: "LDMXCSR accepts reserved bits",
        what: "loading reserved bits into MXCSR raises #GP(0)",
        reference: "SDM vol. 2, LDMXCSR and FXRSTOR, Protected Mode Exceptions; vol. 1, section 11.6.6",
        matches: |e, _| {
            let loads = matches!(e.mnemonic(), M::Ldmxcsr | M::Vldmxcsr | M::Fxrstor | M::Fxrstor64);
            loads && misses_signal(e, SIGSEGV)
        },
    },
    BugPattern {
        id: "sse-unmasked",
        title: "Unmasked SSE exceptions are not delivered",
        what: "an unmasked SIMD floating-point exception is delivered as #XM",
        reference: "SDM vol. 1, section 11.5.3.2",
        matches: |e, _| e.is_vector() && misses_signal(e, SIGFPE),
    },
    BugPattern {
        id: "sse-alignment",
        title: "Misaligned SSE operands do not fault",
        what: "a misaligned operand of an instruction that wants it aligned raises #GP(0)",
        reference: "SDM vol. 2, section 2.4, exceptions types 1, 2 and 4; vol. 1, section 10.4.1.1",
        matches: |e, _| {
            let kernel = |number, code| number == SIGSEGV && code == SI_KERNEL;
            let missing = e.missing_signal();
            (e.is_vector() || e.is_mmx()) && missing.is_some_and(|signal| kernel(signal.number, signal.code))
        },
    },
    BugPattern {
        id: "mxcsr-de",
        title: "MXCSR.DE is not set",
        what: "an operation on a denormal operand sets DE",
        reference: "SDM vol. 1, section 11.5.2.2",
        matches: |_, field| {
            field == DifferingPart::Status(BitSide::Missing, StatusWord::Mxcsr, StatusBit::De)
        },
    },
    BugPattern {
        id: "round-abort",
        title: "VROUNDSS and VROUNDSD with VEX.L make qemu abort",
        what: "no instruction of a program ends the emulator",
        reference: "SDM vol. 2, ROUNDSS and ROUNDSD (VEX.LIG)",
        matches: |e, _| matches!(e.mnemonic(), M::Vroundss | M::Vroundsd) && e.is_kind(BugKind::EngineDied),
    },
    BugPattern {
        id: "lost-rex",
        title: "REX counts in front of another prefix",
        what: "a REX prefix counts only right in front of the opcode",
        reference: "SDM vol. 2, section 2.2.1",
        matches: |e, field| {
            if !e.signature.form.encoding.contains("+lost-rex") || e.in_state() && e.stack_fault() {
                return false;
            }
            // An engine that refuses the instruction counts nothing.
            if field.raised_signal() == Some(SIGILL) {
                return false;
            }
            // What it is not about: what the instruction does whatever its operands are.
            let same = match field {
                _ if field.is_x87_bit(StatusBit::C1) || field == MISSING_DE => true,
                // Another operand may be behind it, in memory.
                _ if e.is_x87() => !e.has_memory() || !e.loses_rex(3),
                _ => field.is_exponent() || field.is_x87_status(),
            };
            !(e.in_state() && same)
        },
    },
    BugPattern {
        id: "string-lengths",
        title: "PCMPESTRI and PCMPESTRM ignore REX.W",
        what: "with REX.W the lengths are RAX and RDX",
        reference: "SDM vol. 2, PCMPESTRI and PCMPESTRM, Description",
        matches: |e, _| {
            let name = e.mnemonic_name();
            name.contains("pcmpestr") && name.ends_with("64") && e.in_state()
        },
    },
    BugPattern {
        id: "extrq-operand",
        title: "EXTRQ with immediates works on another register",
        what: "the register of EXTRQ with immediates is named by ModRM.rm",
        reference: "APM vol. 4, EXTRQ",
        matches: |e, _| e.mnemonic() == M::Extrq && e.in_state(),
    },
    BugPattern {
        id: "aes-halves",
        title: "VAESDEC and VAESENC mix the halves of YMM",
        what: "each half is a block of its own",
        reference: "SDM vol. 2, AESDEC and AESENC, Operation",
        matches: |e, _| {
            let halves = e.register_operands().any(Register::is_ymm);
            halves && matches!(e.mnemonic(), M::Vaesdec | M::Vaesenc) && e.in_state()
        },
    },
    BugPattern {
        id: "mxcsr-at-fault",
        title: "MXCSR flags are set by a store that faults",
        what: "a fault leaves MXCSR as it was before the instruction",
        reference: "SDM vol. 3, section 6.5",
        matches: |e, field| {
            e.reference_signal().is_some()
                && e.in_state()
                && matches!(field, DifferingPart::Status(BitSide::Extra, StatusWord::Mxcsr, _))
        },
    },
    BugPattern {
        id: "half-daz",
        title: "VCVTPH2PS heeds DAZ",
        what: "denormal halves are converted whatever DAZ is",
        reference: "SDM vol. 2, VCVTPH2PS, Description",
        matches: |e, field| {
            let daz = e.case.state.mxcsr & MXCSR_DAZ != 0;
            daz && e.mnemonic() == M::Vcvtph2ps && field == RESULT && e.in_state()
        },
    },
    BugPattern {
        id: "half-ftz",
        title: "VCVTPS2PH heeds FTZ",
        what: "denormal halves are results whatever FTZ is",
        reference: "SDM vol. 2, VCVTPS2PH, Description",
        matches: |e, field| {
            let ftz = e.case.state.mxcsr & MXCSR_FTZ != 0;
            ftz && e.mnemonic() == M::Vcvtps2ph && is_result(field) && e.in_state()
        },
    },
    BugPattern {
        id: "max-min-daz",
        title: "MAX and MIN ignore DAZ",
        what: "with DAZ, a denormal source is a zero of its sign; of two zeros MAX and MIN give the second source",
        reference: "SDM vol. 1, section 10.2.3.4; vol. 2, MAXPS and relatives, Description",
        matches: |e, field| {
            let name = e.mnemonic_name();
            let applies = name.contains("max") || name.contains("min");
            let daz = e.case.state.mxcsr & MXCSR_DAZ != 0;
            daz && applies && float_result(e, field, |_, actual, size| is_denormal(actual, size))
        },
    },
    BugPattern {
        id: "max-min-nan",
        title: "MAX and MIN of NaNs and zeros do not give the second source",
        what: "of two zeros, and where a source is a NaN, MAX and MIN give the second source as it is",
        reference: "SDM vol. 2, MAXPS and relatives, Description",
        matches: |e, field| {
            let name = e.mnemonic_name();
            let applies = name.contains("max") || name.contains("min");
            let special = |expected, actual, size| {
                is_nan(expected, size)
                    || is_nan(actual, size)
                    || is_zero(expected, size) && is_zero(actual, size)
            };
            applies && float_result(e, field, special)
        },
    },
    BugPattern {
        id: "conversion-range",
        title: "Numbers that no integer holds are converted to another value",
        what: "a conversion whose result no integer of its size holds gives the integer indefinite, 1 in the highest bit alone",
        reference: "SDM vol. 1, section 11.5.2.1 and table 11-1; vol. 2, CVTTSD2SI and relatives, Description",
        matches: |e, field| {
            let indefinite = |expected, size| expected == if size == 4 { 1 << 31 } else { 1 << 63 };
            converts_to_integer(e) && integer_result(e, field, |expected, _, size| indefinite(expected, size))
        },
    },
    BugPattern {
        id: "rounding-mode",
        title: "MXCSR.RC is not obeyed",
        what: "results are rounded as the rounding control of MXCSR says",
        reference: "SDM vol. 1, sections 4.8.4 and 10.2.3.2",
        matches: |e, field| {
            let other_mode = e.case.state.mxcsr & MXCSR_RC != 0;
            let of_mxcsr = e.instruction.rounding_control() == RoundingControl::None;
            let rounded = || match converts_to_integer(e) {
                true => integer_result(e, field, |expected, actual, _| expected.abs_diff(actual) == 1),
                false => is_rounded_otherwise(e, field),
            };
            other_mode && of_mxcsr && rounded()
        },
    },
    BugPattern {
        id: "reciprocal-denormal",
        title: "Reciprocal estimates of denormals",
        what: "RCP and RSQRT treat a denormal source as zero and flush tiny results to zero",
        reference: "SDM vol. 2, RCPPS, RSQRTPS and relatives, Description",
        matches: |e, field| is_estimate(e) && e.in_state() && is_result(field),
    },
    BugPattern {
        id: "ftz-rounding",
        title: "FTZ flushes what rounds up to a normal number",
        what: "a result is tiny when it is so after rounding with an unbounded exponent",
        reference: "SDM vol. 1, section 4.9.1.5",
        matches: |e, field| {
            let flushed =
                |expected, actual, size| is_smallest_normal(expected, size) && is_zero(actual, size);
            field == EXTRA_UE && e.in_state() || float_result(e, field, flushed)
        },
    },
    BugPattern {
        id: "nan-operand",
        title: "NaN operands are chosen by the x87 rule",
        what: "of two NaN operands SSE and AVX take the first source",
        reference: "SDM vol. 1, section 4.8.3.5, table 4-7",
        matches: |e, field| float_result(e, field, |a, b, size| is_nan(a, size) && is_nan(b, size)),
    },
];

fn is_estimate(e: &DivergenceFacts<'_>) -> bool {
    let name = e.mnemonic_name();
    matches!(
        name.trim_start_matches('v'),
        "rcpps" | "rcpss" | "rsqrtps" | "rsqrtss"
    )
}

fn is_result(field: DifferingPart) -> bool {
    field == RESULT || field == DifferingPart::Memory
}

/// Whether `field` is the result of a float operation of which every element that differs passes `test`: of expected
/// and actual value and the size of elements.
fn float_result(
    e: &DivergenceFacts<'_>,
    field: DifferingPart,
    test: impl Fn(u64, u64, usize) -> bool,
) -> bool {
    let size = float_size(e);
    let mut found = e.differing_elements(size).peekable();
    let some = found.peek().is_some();
    let result = e.is_vector() && e.in_state() && is_result(field);
    result && some && found.all(|(expected, actual)| test(expected, actual, size))
}

/// Bytes of each float of its result.
fn float_size(e: &DivergenceFacts<'_>) -> usize {
    if e.mnemonic_name().ends_with('d') { 8 } else { 4 }
}

/// Whether `field` is the result of a float operation and next to the right one: the numbers in it, or the signs of its zeros.
/// Other NaNs may stand beside them, which an engine may document.
fn is_rounded_otherwise(e: &DivergenceFacts<'_>, field: DifferingPart) -> bool {
    let is_next = |expected: u64, actual, size| {
        expected.abs_diff(actual) <= 2
            || is_zero(expected, size) && is_zero(actual, size)
            || is_nan(expected, size) && is_nan(actual, size)
    };
    let size = float_size(e);
    let some_number = e
        .differing_elements(size)
        .any(|(expected, _)| !is_nan(expected, size));
    some_number && float_result(e, field, is_next)
}

/// Whether it makes integers of floating-point numbers, in a register of either kind.
fn converts_to_integer(e: &DivergenceFacts<'_>) -> bool {
    let name = e.mnemonic_name();
    let to_integer = ["2si", "2usi", "2dq", "2udq", "2qq", "2uqq", "2pi"];
    name.contains("cvt") && to_integer.iter().any(|suffix| name.ends_with(suffix))
}

/// Whether `field` is the result of a conversion to integers of which every one that differs passes `test`: of expected and
/// actual value and the size of integers.
fn integer_result(
    e: &DivergenceFacts<'_>,
    field: DifferingPart,
    test: impl Fn(u64, u64, usize) -> bool,
) -> bool {
    let name = e.mnemonic_name();
    let wide = e.register_operands().next().is_some_and(Register::is_gpr64);
    let size = if wide || name.ends_with("qq") { 8 } else { 4 };
    let mut found = e
        .differing_elements(size)
        .chain(e.differing_registers())
        .peekable();
    let some = found.peek().is_some();
    let result = e.is_vector() && e.in_state() && is_result(field);
    result && some && found.all(|(expected, actual)| test(expected, actual, size))
}

/// Exponent and significand without the sign, and the bits of the significand.
fn parts(bits: u64, size: usize) -> (u64, u64) {
    match size {
        4 => ((bits >> 23) & 0xff, bits & 0x7f_ffff),
        _ => ((bits >> 52) & 0x7ff, bits & 0xf_ffff_ffff_ffff),
    }
}

fn is_nan(bits: u64, size: usize) -> bool {
    let (exponent, significand) = parts(bits, size);
    exponent == if size == 4 { 0xff } else { 0x7ff } && significand != 0
}

fn is_denormal(bits: u64, size: usize) -> bool {
    matches!(parts(bits, size), (0, 1..))
}

fn is_zero(bits: u64, size: usize) -> bool {
    parts(bits, size) == (0, 0)
}

fn is_smallest_normal(bits: u64, size: usize) -> bool {
    parts(bits, size) == (1, 0)
}
