//! Instructions that ask for or change what describes the machine or its tables instead of computing. The one list of
//! them: what blocks are made of, what is masked and what a reproducer sets up all go by it.

use iced_x86::{Code, CpuidFeature, Mnemonic, OpCodeOperandKind};

/// What of the machine an instruction reads or changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MachinePart {
    /// Who the processor is, what time it is, random numbers, segment bases, protection keys.
    Identity,
    /// Selectors and the descriptors they name.
    Selectors,
    /// The shadow stack, which a process may have or not.
    ShadowStack,
    /// Images of the extended state in memory (XSAVE and its relatives), whose layout is the processor's.
    ExtendedState,
}

/// What of the machine instructions of the form `code` read or change, whatever their operands; `None` for those that
/// compute.
#[must_use]
pub fn machine_part(code: Code) -> Option<MachinePart> {
    by_mnemonic(code.mnemonic())
        .or_else(|| names_segment(code).then_some(MachinePart::Selectors))
        .or_else(|| {
            code.cpuid_features()
                .iter()
                .find_map(|&feature| by_feature(feature))
        })
}

fn by_mnemonic(mnemonic: Mnemonic) -> Option<MachinePart> {
    use Mnemonic as M;
    Some(match mnemonic {
        M::Cpuid
        | M::Rdtsc
        | M::Rdtscp
        | M::Rdpmc
        | M::Rdrand
        | M::Rdseed
        | M::Rdpid
        | M::Rdpru
        | M::Xgetbv
        | M::Sgdt
        | M::Sidt => MachinePart::Identity,
        M::Lar | M::Lsl | M::Verr | M::Verw | M::Sldt | M::Str | M::Smsw | M::Lss | M::Lfs | M::Lgs => {
            MachinePart::Selectors
        }
        M::Xsave
        | M::Xsave64
        | M::Xsavec
        | M::Xsavec64
        | M::Xsaveopt
        | M::Xsaveopt64
        | M::Xrstor
        | M::Xrstor64 => MachinePart::ExtendedState,
        _ => return None,
    })
}

/// Whether a segment register is an operand.
fn names_segment(code: Code) -> bool {
    use OpCodeOperandKind as K;
    let segment = |kind: &K| matches!(kind, K::seg_reg | K::es | K::cs | K::ss | K::ds | K::fs | K::gs);
    code.op_code().op_kinds().iter().any(segment)
}

fn by_feature(feature: CpuidFeature) -> Option<MachinePart> {
    match feature {
        CpuidFeature::FSGSBASE | CpuidFeature::PKU => Some(MachinePart::Identity),
        CpuidFeature::CET_SS => Some(MachinePart::ShadowStack),
        _ => None,
    }
}
