//! What a case needs of the CPU and of the code that loads its state.

use std::collections::BTreeSet;

use iced_x86::{CpuidFeature, InstructionInfoFactory, Mnemonic as M, Register};

use super::checks::{CheckedPlace, ReproCheck};
use snippex_core::block::Block;
use snippex_core::decode::{
    Kinds, MachinePart, instruction_kind, intel_decoder, loads_segment, machine_part,
};

/// Which parts of the state matter, beyond general registers, flags and XMM.
#[derive(Clone, Debug, Default)]
pub(super) struct Needs {
    /// Bits 128 to 255 of vector registers.
    pub(super) avx: bool,
    /// All of the 32 vector registers, and opmasks.
    pub(super) avx512: bool,
    /// The x87 unit or MMX registers.
    pub(super) x87: bool,
    /// XMM registers or MXCSR.
    pub(super) sse: bool,
    /// FS or GS base.
    pub(super) bases: bool,
    /// CPU features of the instructions.
    pub(super) features: BTreeSet<CpuidFeature>,
}

impl Needs {
    pub(super) fn from_block(block: &Block, checks: &[ReproCheck]) -> Self {
        let mut needs = Self::default();
        let mut factory = InstructionInfoFactory::new();
        for instruction in &mut intel_decoder(&block.bytes, block.address) {
            let kind = instruction_kind(&instruction);
            needs.avx |= kind.intersects(Kinds::AVX.union(Kinds::AVX512));
            needs.avx512 |= kind.intersects(Kinds::AVX512);
            needs.x87 |= kind.intersects(Kinds::FPU);
            needs.sse |= kind.intersects(Kinds::SSE.union(Kinds::AVX).union(Kinds::AVX512));
            needs.features.extend(instruction.cpuid_features());
            for used in factory.info(&instruction).used_registers() {
                needs.x87 |= used.register().is_mm() || used.register().is_st();
            }
            for used in factory.info(&instruction).used_memory() {
                needs.bases |= matches!(used.segment(), Register::FS | Register::GS);
            }
            needs.bases |=
                loads_segment(&instruction) || instruction.cpuid_features().contains(&CpuidFeature::FSGSBASE);
            let extended = machine_part(instruction.code()) == Some(MachinePart::ExtendedState);
            let image = extended
                || matches!(
                    instruction.mnemonic(),
                    M::Fxsave | M::Fxsave64 | M::Fxrstor | M::Fxrstor64 | M::Emms
                );
            // What it names in EDX:EAX may have upper halves.
            needs.avx |= extended;
            needs.x87 |= image;
            needs.sse |= image || matches!(instruction.mnemonic(), M::Ldmxcsr | M::Stmxcsr);
        }
        for check in checks {
            match check.place {
                CheckedPlace::Vector(register) => {
                    needs.sse = true;
                    needs.avx |= check.offset >= 16;
                    needs.avx512 |= check.offset >= 32 || register >= 16;
                }
                CheckedPlace::Opmask(_) => needs.avx512 = true,
                CheckedPlace::Mxcsr => needs.sse = true,
                CheckedPlace::Control
                | CheckedPlace::Status
                | CheckedPlace::Tags
                | CheckedPlace::Stack(_) => needs.x87 = true,
                CheckedPlace::Gpr(_)
                | CheckedPlace::Flags
                | CheckedPlace::Memory(_)
                | CheckedPlace::FaultAddress => {}
            }
        }
        needs.avx |= needs.avx512;
        needs
    }

    /// Names of the features beyond what every x86-64 CPU has, as compilers and kernels call them.
    pub(super) fn feature_names(&self) -> Vec<String> {
        use CpuidFeature as F;
        let basic = |feature: &F| {
            matches!(
                feature,
                F::INTEL8086
                    | F::INTEL186
                    | F::INTEL286
                    | F::INTEL386
                    | F::INTEL486
                    | F::X64
                    | F::CMOV
                    | F::CPUID
                    | F::CX8
                    | F::FPU
                    | F::FPU287
                    | F::FPU387
                    | F::MMX
                    | F::SSE
                    | F::SSE2
                    | F::FXSR
                    | F::MULTIBYTENOP
                    | F::PAUSE
                    | F::CLFSH
            )
        };
        let name = |feature: &F| format!("{feature:?}").to_lowercase();
        self.features.iter().filter(|f| !basic(f)).map(name).collect()
    }
}
