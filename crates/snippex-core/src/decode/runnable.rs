//! Which instructions make a block unfit to run: it would leave the process, or change what a case neither holds nor
//! gets back.
//!
//! Decided by code and CPUID feature, so that new forms of a feature are covered by what the decoder knows.

use std::sync::OnceLock;

use iced_x86::{Code, CpuidFeature, FlowControl, Instruction, Mnemonic, OpKind, Register};

use super::amd_decoder;
use crate::block::Unrunnable;

/// Why a block with `instruction` is not run; `None` when it can be.
///
/// INT3, UD0/1/2, HLT and INT n stay runnable: the signal is the result. PUSHF and POPF are, too: the flags a user
/// program can change are part of the state. So is what describes the machine or its tables (CPUID, RDTSC, RDRAND, LAR,
/// selectors, XSAVE): `effects` says which of its bits are left open. Selectors are no part of a case; the runner puts
/// them back after a block that [`loads_segment`].
#[must_use]
pub fn unrunnable_reason(instruction: &Instruction) -> Option<Unrunnable> {
    // The vector of Linux's 32-bit system calls; all others fault or trap.
    const SYSTEM_CALL: u8 = 0x80;
    let enters = instruction.code() == Code::Int_imm8 && instruction.immediate8() == SYSTEM_CALL;
    unrunnable_form(instruction.code())
        .or_else(|| enters.then_some(Unrunnable::Syscall))
        .or_else(|| acts_by_vendor(instruction).then_some(Unrunnable::HostDependent))
}

/// Whether `instruction` may load a segment register: what it loads is no part of a case, and stays.
#[must_use]
pub fn loads_segment(instruction: &Instruction) -> bool {
    matches!(
        instruction.mnemonic(),
        Mnemonic::Lss | Mnemonic::Lfs | Mnemonic::Lgs
    ) || matches!(instruction.mnemonic(), Mnemonic::Mov | Mnemonic::Pop)
        && instruction.op0_kind() == OpKind::Register
        && instruction.op0_register().is_segment_register()
}

/// Whether processors of different makers do different things: CVTPI2PS from memory enters the MMX state on Intel (SDM
/// vol. 2, CVTPI2PS, which, unlike CVTPI2PD, makes no exception for memory), and does not on the AMD processor at hand.
fn acts_by_vendor(instruction: &Instruction) -> bool {
    instruction.code() == Code::Cvtpi2ps_xmm_mmm64 && instruction.op1_kind() == OpKind::Memory
}

/// Why no block with an instruction of the form `code` is run, whatever its operands; `None` when it can be.
#[must_use]
pub fn unrunnable_form(code: Code) -> Option<Unrunnable> {
    table()[code as usize]
}

/// Whether AMD processors decode the branch `instruction`, made of `bytes`, as another one than Intel's do: a near
/// branch with an operand-size prefix has 16-bit operands on AMD (APM vol. 3, section 1.2.2) and ignores the prefix on
/// Intel (SDM vol. 2, section 2.2.1.7 and the near branches). REX.W makes them agree.
#[must_use]
pub fn differs_by_vendor(bytes: &[u8], instruction: &Instruction) -> bool {
    const OPERAND_SIZE: u8 = 0x66;
    if !bytes.contains(&OPERAND_SIZE) {
        return false;
    }
    let amd = amd_decoder(bytes, instruction.ip()).decode();
    amd.code() != instruction.code() || amd.len() != instruction.len()
}

/// Whether `instruction`, made of `bytes`, uses an encoding that the manuals reserve or leave unpredictable although
/// processors execute it:
///
/// - a repeat prefix in front of LOOP and its relatives (SDM vol. 2, section 2.1.1): processors at hand differ;
/// - two segment prefixes (same section: at most one prefix of a group is useful; APM vol. 3, section 1.2).
#[must_use]
pub fn is_reserved(bytes: &[u8], instruction: &Instruction) -> bool {
    let prefixes = bytes
        .iter()
        .take_while(|byte| matches!(byte, 0x26 | 0x2e | 0x36 | 0x3e | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3));
    match instruction.mnemonic() {
        Mnemonic::Loop | Mnemonic::Loope | Mnemonic::Loopne | Mnemonic::Jrcxz | Mnemonic::Jecxz => {
            return prefixes.clone().any(|byte| matches!(byte, 0xf2 | 0xf3));
        }
        _ => {}
    }
    let segments = prefixes.filter(|byte| matches!(byte, 0x26 | 0x2e | 0x36 | 0x3e | 0x64 | 0x65));
    instruction.segment_prefix() != Register::None && segments.count() > 1
}

fn table() -> &'static [Option<Unrunnable>] {
    static TABLE: OnceLock<Vec<Option<Unrunnable>>> = OnceLock::new();
    TABLE.get_or_init(|| Code::values().map(classify).collect())
}

fn classify(code: Code) -> Option<Unrunnable> {
    if code == Code::INVALID {
        return Some(Unrunnable::Invalid);
    }
    by_mnemonic(code).or_else(|| {
        code.cpuid_features()
            .iter()
            .find_map(|&feature| by_feature(feature))
    })
}

fn by_mnemonic(code: Code) -> Option<Unrunnable> {
    use Mnemonic as M;
    let far = matches!(
        code,
        Code::Jmp_m1616
            | Code::Jmp_m1632
            | Code::Jmp_m1664
            | Code::Call_m1616
            | Code::Call_m1632
            | Code::Call_m1664
    );
    Some(match code.mnemonic() {
        M::Syscall | M::Sysenter | M::Into => Unrunnable::Syscall,
        M::Retf | M::Iret | M::Iretd | M::Iretq | M::Uiret => Unrunnable::FarTransfer,
        _ if far => Unrunnable::FarTransfer,
        // A fault in user mode by design, and the way a block ends: a signal is its result.
        M::Hlt => return None,
        // Allowed to user programs where the system says so; elsewhere a fault, as for what is privileged.
        M::Rdpmc | M::Smsw => return None,
        // A trap, so that RIP should lie behind it; hypervisors are seen to report it in front (KVM on AMD).
        M::Int1 => Unrunnable::HostDependent,
        // Without access to the data around it, not even the runner can go on.
        M::Wrpkru => Unrunnable::StateNotCovered,
        // D9 D8 to DF, a store that pops without looking for a stack fault: no manual lists it, and what it stores from an
        // empty register is up to the processor.
        M::Fstpnce => Unrunnable::HostDependent,
        // Port and interrupt-flag instructions: allowed by IOPL only, which user programs do not have.
        M::In | M::Out | M::Insb | M::Insw | M::Insd | M::Outsb | M::Outsw | M::Outsd | M::Cli | M::Sti => {
            Unrunnable::Privileged
        }
        _ if code.is_privileged()
            || matches!(code.flow_control(), FlowControl::Return) && code.mnemonic() != M::Ret =>
        {
            Unrunnable::Privileged
        }
        _ => return None,
    })
}

fn by_feature(feature: CpuidFeature) -> Option<Unrunnable> {
    use CpuidFeature as F;
    Some(match feature {
        F::RTM | F::HLE_or_RTM | F::TSXLDTRK => Unrunnable::StateNotCovered,
        F::AMX_TILE | F::AMX_INT8 | F::AMX_BF16 | F::AMX_FP16 | F::AMX_COMPLEX => Unrunnable::StateNotCovered,
        F::UINTR | F::WAITPKG | F::MPX | F::KL | F::AESKLE | F::WIDE_KL => Unrunnable::StateNotCovered,
        F::MONITOR | F::MONITORX => Unrunnable::Privileged,
        F::ENQCMD | F::MOVDIR64B => return (feature == F::ENQCMD).then_some(Unrunnable::Privileged),
        F::VMX | F::SVM | F::SGX1 | F::SMX | F::SEV_ES | F::SEV_SNP | F::TDX | F::PCONFIG | F::HRESET => {
            Unrunnable::Privileged
        }
        F::LWP => Unrunnable::StateNotCovered,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differs(bytes: &[u8]) -> bool {
        differs_by_vendor(bytes, &crate::decode::intel_decoder(bytes, 0x1000).decode())
    }

    #[test]
    fn reserved_encodings_are_told_from_usual_ones() {
        let reserved =
            |bytes: &[u8]| is_reserved(bytes, &crate::decode::intel_decoder(bytes, 0x1000).decode());
        assert!(reserved(&[0xf2, 0xe1, 0x02]), "repne loope");
        assert!(!reserved(&[0xe1, 0x02]), "loope");
        assert!(reserved(&[0x65, 0x3e, 0x3b, 0x1b]), "cmp ebx, gs:ds:[rbx]");
        assert!(!reserved(&[0x65, 0x3b, 0x1b]), "cmp ebx, gs:[rbx]");
        // A branch with a bound prefix, and what assemblers pad with.
        assert!(!reserved(&[0xf2, 0xc3]) && !reserved(&[0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0]));
    }

    #[test]
    fn branches_with_an_operand_size_prefix_depend_on_the_vendor() {
        assert!(differs(&[0x66, 0xc3]), "ret");
        assert!(differs(&[0x66, 0xe8, 0, 0, 0, 0]), "call");
        assert!(!differs(&[0xc3]));
        assert!(!differs(&[0xf3, 0xc3]));
        // As compilers write calls of __tls_get_addr.
        assert!(!differs(&[0x66, 0x66, 0x48, 0xe8, 0, 0, 0, 0]));
    }
}
