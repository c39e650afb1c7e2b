//! Rulings on encodings, integer instructions and control flow.

use iced_x86::{Mnemonic as M, OpKind};
use snippex_core::observation::{SIGBUS, SIGSEGV};

use super::{BugPattern, DivergenceFacts};
use crate::signature::{BugKind, DifferingPart, RegisterPart};
use snippex_core::state::{RSP, rflags};

/// An instruction is refused.
pub(super) const SIGILL: u8 = 4;

/// A fault without an address: #GP.
pub(super) const SI_KERNEL: i32 = 128;

/// Every pattern of this table.
pub(super) const RULES: &[BugPattern] = &[
    BugPattern {
        id: "alignment-check",
        title: "Alignment checking is ignored",
        what: "with RFLAGS.AC set, a misaligned access in user mode raises #AC",
        reference: "SDM vol. 3, section 6.15, interrupt 17",
        matches: |e, _| {
            let on = e.case.state.rflags & rflags::AC != 0 || e.expected.state.rflags & rflags::AC != 0;
            on && misses_signal(e, SIGBUS)
        },
    },
    BugPattern {
        id: "test-second-encoding",
        title: "F6 /1 and F7 /1 are refused",
        what: "F6 /1 and F7 /1 are TEST, as /0 is",
        reference: "SDM vol. 2, table A-6, group 3, which leaves /1 blank; AMD's and Intel's processors take it for TEST",
        matches: |e, _| {
            let encoding = &e.signature.form.encoding;
            let second = encoding.contains("_F6r1") || encoding.contains("_F7r1");
            // Where the operand faults, another signal is raised.
            second && (e.is_kind(BugKind::SpuriousFault) || raises_sigill(e))
        },
    },
    BugPattern {
        id: "reserved-nop",
        title: "0F 18 /3 with a register is refused",
        what: "0F 18 with a register operand is a reserved NOP",
        reference: "SDM vol. 2, PREFETCHh, which has operands in memory only; AMD's processors take the rest for NOP",
        matches: |e, _| e.mnemonic_name().starts_with("reservednop") && e.is_kind(BugKind::SpuriousFault),
    },
    BugPattern {
        id: "operand-size-rex-w",
        title: "An operand-size prefix beats REX.W in MOVBE and CRC32",
        what: "with REX.W an operand-size prefix is ignored",
        reference: "SDM vol. 2, section 2.2.1.2",
        matches: |e, _| matches!(e.mnemonic(), M::Movbe | M::Crc32) && e.has_extra_prefix("66"),
    },
    BugPattern {
        id: "base-operand-size",
        title: "RDFSBASE with an operand-size prefix reads 64 bits",
        what: "without REX.W the operand size of RDFSBASE and RDGSBASE is 32 bits",
        reference: "SDM vol. 2, RDFSBASE/RDGSBASE, Description",
        matches: |e, _| matches!(e.mnemonic(), M::Rdfsbase | M::Rdgsbase) && e.has_extra_prefix("66"),
    },
    BugPattern {
        id: "rip-relative-immediate",
        title: "RIP-relative operands of SHLD and SHRD forget the immediate",
        what: "an address relative to RIP counts from the end of the instruction, its immediate included",
        reference: "SDM vol. 2, section 2.2.1.6",
        matches: |e, _| matches!(e.mnemonic(), M::Shld | M::Shrd) && e.instruction.is_ip_rel_memory_operand(),
    },
    BugPattern {
        id: "locked-fault-flags",
        title: "Flags are lost when an unaligned locked access faults",
        what: "a fault leaves the flags as they were before the instruction",
        reference: "SDM vol. 3, section 6.5",
        matches: |e, field| e.is_locked() && e.faults_on_memory() && e.in_state() && field.is_flag(),
    },
    BugPattern {
        id: "rotate-fault-flags",
        title: "Flags are lost when RCL or RCR faults",
        what: "a fault leaves the flags as they were before the instruction",
        reference: "SDM vol. 3, section 6.5",
        matches: |e, field| {
            let rotates = matches!(e.mnemonic(), M::Rcl | M::Rcr);
            rotates && e.faults_on_memory() && e.in_state() && field.is_flag()
        },
    },
    BugPattern {
        id: "adx-flags",
        title: "ADCX and ADOX spoil other flags",
        what: "ADCX changes no flag but CF, ADOX none but OF",
        reference: "SDM vol. 2, ADCX and ADOX, Flags Affected",
        matches: |e, field| {
            let applies = matches!(e.mnemonic(), M::Adcx | M::Adox);
            let dies = e.is_kind(BugKind::EngineDied) || e.is_kind(BugKind::EngineHung);
            applies && (field.is_flag() || dies || e.is_kind(BugKind::SpuriousFault))
        },
    },
    BugPattern {
        id: "blsi-carry",
        title: "BLSI inverts the carry",
        what: "CF is set if the source is not zero",
        reference: "SDM vol. 2, BLSI, Flags Affected",
        matches: |e, field| {
            e.mnemonic() == M::Blsi && field == DifferingPart::Flag(rflags::CF) && e.in_state()
        },
    },
    BugPattern {
        id: "bit-scan-zero",
        title: "BSF and BSR of zero clear the upper half",
        what: "with a source of zero the destination stays what it was",
        reference: "APM vol. 3, BSF and BSR (the SDM calls the destination undefined)",
        matches: |e, field| {
            let zero = e.expected.state.rflags & rflags::ZF != 0;
            let kept = e.register_operands().next().is_some_and(|register| {
                let number = register.full_register().number();
                e.expected.state.gpr[number] == e.case.state.gpr[number]
            });
            matches!(e.mnemonic(), M::Bsf | M::Bsr)
                && zero
                && (kept || !e.is_alone())
                && field == DifferingPart::Operand(0, RegisterPart::Upper)
                && e.in_state()
        },
    },
    BugPattern {
        id: "ret-imm16",
        title: "RET imm16 is sign-extended",
        what: "the immediate of RET is an unsigned number of bytes",
        reference: "SDM vol. 2, RET",
        matches: |e, _| {
            let releases = e.mnemonic() == M::Ret && e.instruction.op0_kind() == OpKind::Immediate16;
            releases && e.in_state() && e.has_part(DifferingPart::ImpliedRegister(RSP))
        },
    },
    BugPattern {
        id: "rotate-carry-count",
        title: "RCL and RCR of 8 and 16 bits rotate by another count",
        what: "the count is masked to 5 bits and taken modulo 9 for 8-bit and modulo 17 for 16-bit operands",
        reference: "SDM vol. 2, RCL/RCR/ROL/ROR, Operation",
        matches: |e, field| {
            let rotates = matches!(e.mnemonic(), M::Rcl | M::Rcr) && e.reference_signal().is_none();
            let rotates = rotates && !e.has_extra_prefix("lost-rex");
            let result = matches!(
                field,
                DifferingPart::Operand(0, RegisterPart::Named)
                    | DifferingPart::Memory
                    | DifferingPart::Flag(rflags::CF | rflags::OF)
            );
            rotates && has_narrow_operand(e) && e.in_state() && result
        },
    },
    BugPattern {
        id: "rdtscp-operand-size",
        title: "RDTSCP and RDPID with an operand-size prefix write 16 bits",
        what: "RDTSCP clears the upper half of RCX, and RDPID writes 64 bits, whatever the operand size",
        reference: "SDM vol. 2, RDTSCP and RDPID, Description",
        matches: |e, _| {
            matches!(e.mnemonic(), M::Rdtscp | M::Rdpid) && e.has_extra_prefix("66") && e.in_state()
        },
    },
    BugPattern {
        id: "enter-probe",
        title: "ENTER does not check the new top of the stack",
        what: "ENTER faults when a write at the final stack pointer would",
        reference: "SDM vol. 2, ENTER, Operation and 64-Bit Mode Exceptions",
        matches: |e, _| e.mnemonic() == M::Enter && misses_signal(e, SIGSEGV),
    },
    BugPattern {
        id: "not-canonical-branch",
        title: "Indirect branches to addresses that are not canonical",
        what: "a near branch to an address that is not canonical raises #GP(0) at the branch",
        reference: "SDM vol. 2, JMP, CALL and RET, 64-Bit Mode Exceptions",
        matches: |e, _| {
            let branch = matches!(e.mnemonic(), M::Jmp | M::Call | M::Ret);
            let signal = e.reference_signal();
            branch && signal.is_some_and(|signal| signal.number == SIGSEGV && signal.code == SI_KERNEL)
        },
    },
    BugPattern {
        id: "flush-fault",
        title: "CLFLUSH does not touch memory",
        what: "flushing a line faults where a load of a byte would",
        reference: "SDM vol. 2, CLFLUSH, CLFLUSHOPT and CLWB, Description",
        matches: |e, _| {
            let flushes = matches!(e.mnemonic(), M::Clflush | M::Clflushopt | M::Clwb);
            flushes && e.is_kind(BugKind::MissingFault)
        },
    },
];

/// Whether the subject raises SIGILL where the reference raises another signal.
fn raises_sigill(e: &DivergenceFacts<'_>) -> bool {
    e.signature
        .parts()
        .any(|part| matches!(part, DifferingPart::OtherSignal(SIGILL, _)))
}

/// Whether the destination has 8 or 16 bits.
fn has_narrow_operand(e: &DivergenceFacts<'_>) -> bool {
    match e.instruction.op0_kind() {
        OpKind::Register => e.instruction.op0_register().size() <= 2,
        _ => e.instruction.memory_size().size() <= 2,
    }
}

/// Whether the reference raises signal `number` and the subject does not, or not so.
pub(super) fn misses_signal(e: &DivergenceFacts<'_>, number: u8) -> bool {
    e.missing_signal().is_some_and(|signal| signal.number == number)
}
