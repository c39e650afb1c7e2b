//! Whether an engine's CPU has what a block needs.

use iced_x86::CpuidFeature;
use snippex_core::block::Block;
use snippex_core::decode::block_instructions;

use super::GuestCpu;
use snippex_formats::conformance::header::Feature;

enum Leaf {
    One(usize),
    Seven(usize),
    SevenOne(usize),
    Extended(usize),
    ExtendedEight(usize),
    Xsave(usize),
}

const EAX: usize = 0;
const ECX: usize = 2;
const EDX: usize = 3;
const EBX: usize = 1;

/// CPUID bit of a feature (Intel SDM volume 2, CPUID; AMD APM volume 3, appendix E), `None` when every x86-64 CPU has
/// it or it is not announced in these leaves: the block is then run, and an engine without it shows that by a signal.
fn bit(feature: CpuidFeature) -> Option<(Leaf, u32)> {
    use CpuidFeature as F;
    Some(match feature {
        F::SSE3 => (Leaf::One(ECX), 0),
        F::PCLMULQDQ => (Leaf::One(ECX), 1),
        F::SSSE3 => (Leaf::One(ECX), 9),
        F::FMA => (Leaf::One(ECX), 12),
        F::CMPXCHG16B => (Leaf::One(ECX), 13),
        F::SSE4_1 => (Leaf::One(ECX), 19),
        F::SSE4_2 => (Leaf::One(ECX), 20),
        F::MOVBE => (Leaf::One(ECX), 22),
        F::POPCNT => (Leaf::One(ECX), 23),
        F::AES => (Leaf::One(ECX), 25),
        F::AVX => (Leaf::One(ECX), 28),
        F::F16C => (Leaf::One(ECX), 29),
        F::FSGSBASE => (Leaf::Seven(EBX), 0),
        F::BMI1 => (Leaf::Seven(EBX), 3),
        F::HLE | F::HLE_or_RTM => (Leaf::Seven(EBX), 4),
        F::AVX2 => (Leaf::Seven(EBX), 5),
        F::BMI2 => (Leaf::Seven(EBX), 8),
        F::RTM => (Leaf::Seven(EBX), 11),
        F::AVX512F => (Leaf::Seven(EBX), 16),
        F::AVX512DQ => (Leaf::Seven(EBX), 17),
        F::ADX => (Leaf::Seven(EBX), 19),
        F::AVX512_IFMA => (Leaf::Seven(EBX), 21),
        F::CLFLUSHOPT => (Leaf::Seven(EBX), 23),
        F::CLWB => (Leaf::Seven(EBX), 24),
        F::AVX512CD => (Leaf::Seven(EBX), 28),
        F::SHA => (Leaf::Seven(EBX), 29),
        F::AVX512BW => (Leaf::Seven(EBX), 30),
        F::AVX512VL => (Leaf::Seven(EBX), 31),
        F::AVX512_VBMI => (Leaf::Seven(ECX), 1),
        F::AVX512_VBMI2 => (Leaf::Seven(ECX), 6),
        F::GFNI => (Leaf::Seven(ECX), 8),
        F::VAES => (Leaf::Seven(ECX), 9),
        F::VPCLMULQDQ => (Leaf::Seven(ECX), 10),
        F::AVX512_VNNI => (Leaf::Seven(ECX), 11),
        F::AVX512_BITALG => (Leaf::Seven(ECX), 12),
        F::AVX512_VPOPCNTDQ => (Leaf::Seven(ECX), 14),
        F::MOVDIRI => (Leaf::Seven(ECX), 27),
        F::MOVDIR64B => (Leaf::Seven(ECX), 28),
        F::AVX512_VP2INTERSECT => (Leaf::Seven(EDX), 8),
        F::SERIALIZE => (Leaf::Seven(EDX), 14),
        F::AVX512_FP16 => (Leaf::Seven(EDX), 23),
        F::WAITPKG => (Leaf::Seven(ECX), 5),
        F::CET_SS => (Leaf::Seven(ECX), 7),
        F::RDPID => (Leaf::Seven(ECX), 22),
        F::KL | F::AESKLE | F::WIDE_KL => (Leaf::Seven(ECX), 23),
        F::CLDEMOTE => (Leaf::Seven(ECX), 25),
        F::ENQCMD => (Leaf::Seven(ECX), 29),
        F::AVX512_4VNNIW => (Leaf::Seven(EDX), 2),
        F::AVX512_4FMAPS => (Leaf::Seven(EDX), 3),
        F::UINTR => (Leaf::Seven(EDX), 5),
        F::TSXLDTRK => (Leaf::Seven(EDX), 16),
        F::AMX_BF16 => (Leaf::Seven(EDX), 22),
        F::AMX_TILE => (Leaf::Seven(EDX), 24),
        F::AMX_INT8 => (Leaf::Seven(EDX), 25),
        F::AVX512PF => (Leaf::Seven(EBX), 26),
        F::AVX512ER => (Leaf::Seven(EBX), 27),
        F::RDSEED => (Leaf::Seven(EBX), 18),
        F::MPX => (Leaf::Seven(EBX), 14),
        F::PKU => (Leaf::Seven(ECX), 4),
        F::PREFETCHWT1 => (Leaf::Seven(ECX), 0),
        F::SHA512 => (Leaf::SevenOne(EAX), 0),
        F::SM3 => (Leaf::SevenOne(EAX), 1),
        F::SM4 => (Leaf::SevenOne(EAX), 2),
        F::RAO_INT => (Leaf::SevenOne(EAX), 3),
        F::AVX_VNNI => (Leaf::SevenOne(EAX), 4),
        F::AVX512_BF16 => (Leaf::SevenOne(EAX), 5),
        F::CMPCCXADD => (Leaf::SevenOne(EAX), 7),
        F::AMX_FP16 => (Leaf::SevenOne(EAX), 21),
        F::AVX_IFMA => (Leaf::SevenOne(EAX), 23),
        F::AVX_VNNI_INT8 => (Leaf::SevenOne(EDX), 4),
        F::AVX_NE_CONVERT => (Leaf::SevenOne(EDX), 5),
        F::AMX_COMPLEX => (Leaf::SevenOne(EDX), 8),
        F::AVX_VNNI_INT16 => (Leaf::SevenOne(EDX), 10),
        F::RDRAND => (Leaf::One(ECX), 30),
        F::XSAVE => (Leaf::One(ECX), 27),
        F::XSAVEOPT => (Leaf::Xsave(EAX), 0),
        F::XSAVEC => (Leaf::Xsave(EAX), 1),
        F::CLZERO => (Leaf::ExtendedEight(EBX), 0),
        F::RDPRU => (Leaf::ExtendedEight(EBX), 4),
        F::LZCNT => (Leaf::Extended(ECX), 5),
        F::LWP => (Leaf::Extended(ECX), 15),
        F::RDTSCP => (Leaf::Extended(EDX), 27),
        F::SSE4A => (Leaf::Extended(ECX), 6),
        F::XOP => (Leaf::Extended(ECX), 11),
        F::FMA4 => (Leaf::Extended(ECX), 16),
        F::TBM => (Leaf::Extended(ECX), 21),
        F::D3NOWEXT => (Leaf::Extended(EDX), 30),
        F::D3NOW => (Leaf::Extended(EDX), 31),
        _ => return None,
    })
}

impl GuestCpu {
    /// Whether the CPU has `feature` and the system has enabled it, as far as CPUID says.
    #[must_use]
    pub fn has_enabled_feature(&self, feature: CpuidFeature) -> bool {
        has(self, feature)
    }
}

/// Features of processors that do not run 64-bit Linux, or whose CPUID leaves are not read: Knights Corner, Cyrix,
/// Centaur's PadLock, and what was announced but hardly shipped.
fn never(feature: CpuidFeature) -> bool {
    use CpuidFeature as F;
    matches!(
        feature,
        F::KNC
            | F::PADLOCK_ACE
            | F::PADLOCK_PHE
            | F::PADLOCK_PMM
            | F::PADLOCK_RNG
            | F::PADLOCK_GMI
            | F::PADLOCK_UNDOC
            | F::CYRIX_FPU
            | F::CYRIX_D3NOW
            | F::CYRIX_EMMI
            | F::CYRIX_DMI
            | F::CENTAUR_AIS
            | F::PCOMMIT
            | F::MCOMMIT
            | F::UDBG
            | F::PTWRITE
    )
}

fn has(cpu: &GuestCpu, feature: CpuidFeature) -> bool {
    if never(feature) {
        return false;
    }
    let Some((leaf, bit)) = bit(feature) else {
        return true;
    };
    let register = match leaf {
        Leaf::One(register) => cpu.leaf1[register],
        Leaf::Seven(register) => cpu.leaf7[register],
        Leaf::SevenOne(register) => cpu.leaf7_1[register],
        Leaf::Extended(register) => cpu.leaf_ext1[register],
        Leaf::ExtendedEight(register) => cpu.leaf_ext8[register],
        Leaf::Xsave(register) => cpu.leaf_d1[register],
    };
    let announced = register & (1 << bit) != 0;
    // Announced by CPUID and enabled by the system are two things (Intel SDM volume 1, section 13.2).
    let enabled = || {
        let needs = if matches!(
            feature,
            CpuidFeature::AVX | CpuidFeature::AVX2 | CpuidFeature::FMA | CpuidFeature::F16C
        ) {
            6
        } else if name(feature).starts_with("avx512") {
            0xe6
        } else {
            0
        };
        cpu.xcr0 & needs == needs
    };
    announced && enabled()
}

/// The first feature that `block` needs and `cpu` lacks, or is said to lack, by the name iced-x86 gives it.
pub(super) fn find_missing_feature(block: &Block, cpu: &GuestCpu, lacks: &[String]) -> Option<&'static str> {
    for found in block_instructions(block) {
        if let Some(feature) = found
            .instruction
            .cpuid_features()
            .iter()
            .copied()
            .find(|&feature| {
                !has(cpu, feature)
                    || !lacks.is_empty() && lacks.iter().any(|lacking| lacking == name(feature))
            })
        {
            return Some(name(feature));
        }
    }
    None
}

/// What a conformance test may ask for, by the name it uses.
#[derive(Clone, Copy)]
enum Announced {
    /// All of these.
    By(&'static [CpuidFeature]),
    /// A bit of CPUID that iced-x86 has no name for.
    Bit(usize, u32),
    /// Every engine has it: this is Linux.
    Always,
    /// Not a feature of x86-64 at all: of FEX's ARM64 host, or of processors for which no kernel is built.
    Never,
}

fn announced(feature: Feature) -> Announced {
    use Announced::{Always, Bit, By, Never};
    use CpuidFeature as F;
    match feature.name() {
        "3DNOW" => By(&[F::D3NOW]),
        "SSE4A" => By(&[F::SSE4A]),
        // FEX's tests ask for AVX where they mean AVX2, too.
        "AVX" => By(&[F::AVX, F::AVX2]),
        "RAND" => Bit(ECX, 30),
        "SHA" => By(&[F::SHA]),
        "CLZERO" => By(&[F::CLZERO]),
        "BMI1" => By(&[F::BMI1]),
        "BMI2" => By(&[F::BMI2]),
        "CLWB" => By(&[F::CLWB]),
        "LINUX" => Always,
        "AES256" => By(&[F::VAES]),
        "SSSE3" => By(&[F::SSSE3]),
        "SSE4.1" => By(&[F::SSE4_1]),
        "SSE4.2" => By(&[F::SSE4_2]),
        "AES" => By(&[F::AES]),
        "PCLMUL" => By(&[F::PCLMULQDQ]),
        "MOVBE" => By(&[F::MOVBE]),
        "ADX" => By(&[F::ADX]),
        // OSXSAVE: announced and enabled by the system.
        "XSAVE" => Bit(ECX, 27),
        "RDPID" => By(&[F::RDPID]),
        "CLFLOPT" => By(&[F::CLFLUSHOPT]),
        "FSGSBASE" => By(&[F::FSGSBASE]),
        // AFP, EMMI.
        _ => Never,
    }
}

impl GuestCpu {
    /// Whether the processor has what a conformance test asks for; `None` when only running it can tell.
    #[must_use]
    pub fn has_feature(&self, feature: Feature) -> Option<bool> {
        match announced(feature) {
            Announced::By(features) => Some(features.iter().all(|&feature| has(self, feature))),
            Announced::Bit(register, bit) => Some(self.leaf1[register] & (1 << bit) != 0),
            Announced::Always => Some(true),
            // FEX alone has them, where its host does; it cannot be asked.
            Announced::Never if self.hypervisor.starts_with("FEX") => None,
            Announced::Never => Some(false),
        }
    }
}

impl GuestCpu {
    /// Whether the processor has the feature that iced-x86 calls so, in lower case; `None` when there is no such name.
    #[must_use]
    pub fn has_named(&self, feature: &str) -> Option<bool> {
        feature_named(feature).map(|feature| has(self, feature))
    }
}

/// The feature that iced-x86 calls so, in lower case.
#[must_use]
pub fn feature_named(feature: &str) -> Option<CpuidFeature> {
    CpuidFeature::values().find(|known| name(*known) == feature)
}

/// Among what an engine lacks: a way to load x87 and MMX registers. Blocks that use them cannot be judged there.
pub(super) const X87_STATE: &str = "x87-state";

/// The text of an [`crate::Unsupported::Feature`] that reads like `text`.
pub(crate) fn feature_text(text: &str) -> Option<&'static str> {
    if text == X87_STATE {
        return Some(X87_STATE);
    }
    feature_named(text).map(name)
}

/// `Debug` of iced's enum is the name, but not `'static`; these are few.
fn name(feature: CpuidFeature) -> &'static str {
    use std::collections::BTreeMap;
    use std::sync::{Mutex, PoisonError};
    static NAMES: Mutex<BTreeMap<CpuidFeature, &'static str>> = Mutex::new(BTreeMap::new());
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    names
        .entry(feature)
        .or_insert_with(|| format!("{feature:?}").to_lowercase().leak())
}
