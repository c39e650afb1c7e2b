//! The table of rulings. "SDM" is the Intel 64 and IA-32 Architectures Software Developer's Manual, "APM" the AMD64
//! Architecture Programmer's Manual. The first that decides is taken, so narrow rules stand before wide ones.

use iced_x86::{Mnemonic as M, OpKind};

use super::{Evidence, Ruling, Side};
use crate::signature::BugKind;
use crate::state::{MXCSR_INITIAL, rflags};

const SI_KERNEL: i32 = 128;
const SIGBUS: u8 = 7;
const SIGFPE: u8 = 8;
const SIGSEGV: u8 = 11;
const MXCSR_DAZ: u32 = 1 << 6;
/// x87 status: invalid operation and stack fault, and what tells over- from underflow.
const STACK_FAULT: u16 = 0x41;
const C1: u16 = 1 << 9;

/// Every ruling, in the order in which they are tried.
pub(super) const RULES: &[Ruling] = &[
    Ruling {
        id: "lost-rex",
        title: "REX counts in front of another prefix",
        what: "a REX prefix counts only right in front of the opcode",
        reference: "SDM vol. 2, section 2.2.1",
        decides: |e| {
            e.signature
                .form
                .encoding
                .contains("+lost-rex")
                .then_some(Side::Reference)
        },
    },
    Ruling {
        id: "flags-at-fault",
        title: "Flags are lost when an instruction faults",
        what: "a fault leaves the flags as they were before the instruction",
        reference: "SDM vol. 3, section 6.5 (faults), and section 6.15 (saved machine state of each fault)",
        decides: |e| {
            let flags = e.signature.fields.iter().all(|field| field.starts_with("flags."));
            (e.signal().is_some() && e.is(BugKind::Flag) && flags).then_some(Side::Reference)
        },
    },
    Ruling {
        id: "x87-flags-at-fault",
        title: "Exception flags are set by an instruction that faults",
        what: "an x87 store that page-faults leaves the status word as it was",
        reference: "SDM vol. 3, section 6.5 (faults), and section 6.15, interrupt 14, Program State Change",
        decides: |e| {
            let extra = e
                .signature
                .fields
                .iter()
                .all(|field| field.starts_with("extra fsw.") || field == "fsw.C1");
            (e.signal().is_some() && e.in_state() && e.is_x87() && extra).then_some(Side::Reference)
        },
    },
    Ruling {
        id: "rip-relative-immediate",
        title: "RIP-relative operands of SHLD and SHRD forget the immediate",
        what: "an address relative to RIP counts from the end of the instruction, its immediate included",
        reference: "SDM vol. 2, section 2.2.1.6",
        decides: |e| {
            let immediate =
                matches!(e.mnemonic(), M::Shld | M::Shrd) && e.instruction.is_ip_rel_memory_operand();
            immediate.then_some(Side::Reference)
        },
    },
    Ruling {
        id: "test-second-encoding",
        title: "F6 /1 and F7 /1 are refused",
        what: "F6 /1 and F7 /1 are TEST, as /0 is",
        reference: "APM vol. 3, appendix A, ModRM.reg extensions of the primary opcode map (group 3)",
        decides: |e| {
            let second =
                e.signature.form.encoding.contains("_F6r1") || e.signature.form.encoding.contains("_F7r1");
            (second && e.is(BugKind::SpuriousFault)).then_some(Side::Reference)
        },
    },
    Ruling {
        id: "enter-probe",
        title: "ENTER does not check the new top of the stack",
        what: "ENTER faults when a write at the final stack pointer would",
        reference: "SDM vol. 2, ENTER, Operation and 64-Bit Mode Exceptions",
        decides: |e| (e.mnemonic() == M::Enter && missing(e, SIGSEGV)).then_some(Side::Reference),
    },
    Ruling {
        id: "x87-image-rex-w",
        title: "REX.W changes the layout of FRSTOR and FNSAVE",
        what: "with REX.W the image has the 32-bit layout of 108 bytes all the same",
        reference: "SDM vol. 2, FRSTOR and FSAVE/FNSAVE, Description; vol. 1, section 8.1.10",
        decides: |e| {
            let image = matches!(e.mnemonic(), M::Frstor | M::Fnsave | M::Fldenv | M::Fnstenv);
            let memory = e.instruction.len() > 2 && image && e.in_state();
            let rex_w = e.bytes().first().is_some_and(|byte| byte & 0xf8 == 0x48);
            (memory && rex_w).then_some(Side::Reference)
        },
    },
    Ruling {
        id: "x87-store-tag",
        title: "FST and FSTP leave the destination's tag empty",
        what: "a register that is written is no longer empty",
        reference: "SDM vol. 2, FST/FSTP, Description; vol. 1, section 8.1.7",
        decides: |e| {
            let stores = matches!(e.mnemonic(), M::Fst | M::Fstp | M::Fstpnce);
            (stores && e.in_state() && e.only(&["ftw"])).then_some(Side::Reference)
        },
    },
    Ruling {
        id: "x87-precision-operands",
        title: "Operands are rounded to the precision control",
        what: "the precision control applies to results of FADD, FSUB, FMUL, FDIV and FSQRT, not to loads and operands",
        reference: "SDM vol. 1, section 8.1.5.2",
        decides: |e| {
            let reduced = e.case.state.x87.control & 0x300 != 0x300;
            let from_memory =
                (0..e.instruction.op_count()).any(|at| e.instruction.op_kind(at) == OpKind::Memory);
            let fields = ["st(0)", "extra fsw.PE", "no fsw.PE", "fsw.C1"];
            (e.is_x87() && e.in_state() && reduced && from_memory && e.only(&fields))
                .then_some(Side::Reference)
        },
    },
    Ruling {
        id: "mxcsr-reserved",
        title: "LDMXCSR accepts reserved bits",
        what: "loading reserved bits into MXCSR raises #GP(0)",
        reference: "SDM vol. 2, LDMXCSR and FXRSTOR, Protected Mode Exceptions; vol. 1, section 11.6.6",
        decides: |e| {
            let loads = matches!(e.mnemonic(), M::Ldmxcsr | M::Vldmxcsr | M::Fxrstor | M::Fxrstor64);
            (loads && missing(e, SIGSEGV)).then_some(Side::Reference)
        },
    },
    Ruling {
        id: "sse-unmasked",
        title: "Unmasked SSE exceptions are not delivered",
        what: "an unmasked SIMD floating-point exception is delivered as #XM",
        reference: "SDM vol. 1, section 11.5.3.2",
        decides: |e| (e.is_vector() && missing(e, SIGFPE)).then_some(Side::Reference),
    },
    Ruling {
        id: "x87-unmasked",
        title: "Unmasked x87 exceptions are not delivered",
        what: "a pending unmasked x87 exception is delivered as #MF before the next waiting instruction",
        reference: "SDM vol. 1, sections 8.3.12 and 8.7",
        decides: |e| (e.is_x87() && missing(e, SIGFPE)).then_some(Side::Reference),
    },
    Ruling {
        id: "x87-unmasked-result",
        title: "Unmasked x87 exceptions change the operands",
        what: "an unmasked invalid operation, stack fault or division by zero stores no result",
        reference: "SDM vol. 1, sections 8.5.1 and 8.5.3",
        decides: |e| {
            let unmasked = e.expected.state.x87.status & !e.expected.state.x87.control & 0x5;
            let result = e.only(&["st(0)", "st(i)", "ftw", "fsw.TOP", "memory"]);
            (e.is_x87() && e.in_state() && unmasked != 0 && result).then_some(Side::Reference)
        },
    },
    Ruling {
        id: "alignment-check",
        title: "Alignment checking is ignored",
        what: "with RFLAGS.AC set, a misaligned access in user mode raises #AC",
        reference: "SDM vol. 3, section 6.15, interrupt 17",
        decides: |e| {
            let on = e.case.state.rflags & rflags::AC != 0 || e.expected.state.rflags & rflags::AC != 0;
            (on && missing(e, SIGBUS)).then_some(Side::Reference)
        },
    },
    Ruling {
        id: "not-canonical-branch",
        title: "Indirect branches to addresses that are not canonical",
        what: "a near branch to an address that is not canonical raises #GP(0) at the branch",
        reference: "SDM vol. 2, JMP, CALL and RET, 64-Bit Mode Exceptions",
        decides: |e| {
            let branch = matches!(e.mnemonic(), M::Jmp | M::Call | M::Ret);
            let faults = e
                .signal()
                .is_some_and(|signal| signal.number == SIGSEGV && signal.code == SI_KERNEL);
            (branch && faults).then_some(Side::Reference)
        },
    },
    Ruling {
        id: "ret-imm16",
        title: "RET imm16 is sign-extended",
        what: "the immediate of RET is an unsigned number of bytes",
        reference: "SDM vol. 2, RET",
        decides: |e| {
            let releases = e.mnemonic() == M::Ret && e.instruction.op0_kind() == OpKind::Immediate16;
            (releases && e.in_state() && e.has("rsp")).then_some(Side::Reference)
        },
    },
    Ruling {
        id: "sse-alignment",
        title: "Misaligned SSE operands do not fault",
        what: "a misaligned operand of an instruction that wants it aligned raises #GP(0)",
        reference: "SDM vol. 2, section 2.4, exceptions types 1, 2 and 4; vol. 1, section 10.4.1.1",
        decides: |e| {
            let faults = e
                .signal()
                .is_some_and(|signal| signal.number == SIGSEGV && signal.code == SI_KERNEL);
            (e.is_vector() && faults && e.is(BugKind::MissingFault)).then_some(Side::Reference)
        },
    },
    Ruling {
        id: "mxcsr-de",
        title: "MXCSR.DE is not set",
        what: "an operation on a denormal operand sets DE",
        reference: "SDM vol. 1, section 11.5.2.2",
        decides: |e| (e.in_state() && e.only(&["no mxcsr.DE"])).then_some(Side::Reference),
    },
    Ruling {
        id: "max-min-daz",
        title: "MAX and MIN ignore DAZ",
        what: "with DAZ, a denormal source is a zero of its sign; of two zeros MAX and MIN give the second source",
        reference: "SDM vol. 1, section 10.2.3.4; vol. 2, MAXPS and relatives, Description",
        decides: |e| {
            let name = e.name();
            let daz = e.case.state.mxcsr & MXCSR_DAZ != 0;
            let applies = name.contains("max") || name.contains("min");
            (daz && applies && value_only(e)).then_some(Side::Reference)
        },
    },
    Ruling {
        id: "reciprocal-denormal",
        title: "Reciprocal estimates of denormals",
        what: "RCP and RSQRT treat a denormal source as zero and flush tiny results to zero",
        reference: "SDM vol. 2, RCPPS, RSQRTPS and relatives, Description",
        decides: |e| {
            let name = e.name();
            let name = name.trim_start_matches('v');
            let applies = matches!(name, "rcpps" | "rcpss" | "rsqrtps" | "rsqrtss");
            (applies && e.in_state() && e.has("op0")).then_some(Side::Reference)
        },
    },
    Ruling {
        id: "nan-operand",
        title: "NaN operands are chosen by the x87 rule",
        what: "of two NaN operands SSE and AVX take the first source",
        reference: "SDM vol. 1, section 4.8.3.5, table 4-7",
        decides: |e| {
            let size = if e.name().ends_with('d') { 8 } else { 4 };
            let mut found = e.elements(size).peekable();
            let any = found.peek().is_some();
            let nans = found.all(|(expected, actual)| is_nan(expected, size) && is_nan(actual, size));
            (e.is_vector() && value_only(e) && any && nans).then_some(Side::Reference)
        },
    },
    Ruling {
        id: "fcomi-flags",
        title: "FCOMI and FUCOMI leave OF, SF and AF",
        what: "FCOMI, FUCOMI and their popping forms clear OF, SF and AF",
        reference: "SDM vol. 2, FCOMI/FCOMIP/FUCOMI/FUCOMIP, Flags Affected",
        decides: |e| {
            let compares = matches!(e.mnemonic(), M::Fcomi | M::Fcomip | M::Fucomi | M::Fucomip);
            let fields = ["flags.OF", "flags.SF", "flags.AF"];
            (compares && e.only(&fields)).then_some(Side::Reference)
        },
    },
    Ruling {
        id: "x87-underflow",
        title: "X87 stack underflow is not detected",
        what: "reading an empty register sets IE and SF and clears C1; masked, the result is the indefinite NaN",
        reference: "SDM vol. 1, section 8.5.1.1",
        decides: |e| {
            stack_fault(e)
                .then_some(())
                .and_then(|()| (e.expected.state.x87.status & C1 == 0).then_some(Side::Reference))
        },
    },
    Ruling {
        id: "x87-overflow",
        title: "X87 stack overflow is not detected",
        what: "loading into a register that is not empty sets IE, SF and C1; masked, the result is the indefinite NaN",
        reference: "SDM vol. 1, section 8.5.1.1",
        decides: |e| stack_fault(e).then_some(Side::Reference),
    },
    Ruling {
        id: "x87-denormal",
        title: "X87 denormal operands are not reported",
        what: "an arithmetic x87 instruction sets DE for a denormal operand",
        reference: "SDM vol. 1, section 8.5.2",
        decides: |e| (e.is_x87() && e.only(&["no fsw.DE"])).then_some(Side::Reference),
    },
    Ruling {
        id: "x87-summary",
        title: "ES and B are not recomputed",
        what: "ES says whether an unmasked exception flag is set, and B mirrors it",
        reference: "SDM vol. 1, section 8.1.3.3",
        decides: |e| {
            let fields = ["no fsw.ES", "no fsw.B", "extra fsw.ES", "extra fsw.B"];
            (e.is_x87() && e.only(&fields)).then_some(Side::Reference)
        },
    },
    Ruling {
        id: "x87-c1",
        title: "C1 is not computed by x87 instructions",
        what: "C1 is set when the result was rounded up or the stack overflowed, and cleared otherwise",
        reference: "SDM vol. 1, section 8.1.3.2, and vol. 2, FPU Flags Affected of each instruction",
        decides: |e| (e.is_x87() && e.in_state() && e.only(&["fsw.C1"])).then_some(Side::Reference),
    },
    Ruling {
        id: "mmx-exponent",
        title: "MMX writes leave the exponent",
        what: "writing an MMX register sets bits 64 to 79 of the x87 register to ones",
        reference: "SDM vol. 3, section 12.2 (MMX state and register aliasing)",
        decides: |e| {
            let all = e
                .signature
                .fields
                .iter()
                .all(|field| field.ends_with(".exponent"));
            (e.in_state() && all && !e.signature.fields.is_empty()).then_some(Side::Reference)
        },
    },
];

fn missing(e: &Evidence<'_>, number: u8) -> bool {
    let goes_on = matches!(e.signature.kind, BugKind::MissingFault | BugKind::DifferentFault);
    goes_on && e.signal().is_some_and(|signal| signal.number == number)
}

/// Only a result differs, with the exceptions masked.
fn value_only(e: &Evidence<'_>) -> bool {
    let masked = e.case.state.mxcsr & MXCSR_INITIAL == MXCSR_INITIAL;
    e.in_state() && masked && e.only(&["op0", "memory"])
}

fn stack_fault(e: &Evidence<'_>) -> bool {
    let missing = e.has("no fsw.SF") || e.has("no fsw.IE");
    e.in_state()
        && missing
        && e.expected.state.x87.status & STACK_FAULT == STACK_FAULT
        && e.actual.state.x87.status & STACK_FAULT != STACK_FAULT
}

fn is_nan(bits: u64, size: usize) -> bool {
    match size {
        4 => f32::from_bits(bits as u32).is_nan(),
        _ => f64::from_bits(bits).is_nan(),
    }
}
