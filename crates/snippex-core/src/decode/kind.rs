//! Kinds of instructions, as `--instruction-types` names them.

use std::sync::OnceLock;

use iced_x86::{Code, CpuidFeature, EncodingKind, Instruction, Mnemonic, OpKind};

use super::control::{Control, control_flow};
use crate::block::Terminator;

/// A set of instruction kinds.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct Kinds(u8);

impl Kinds {
    /// None of them.
    pub const NONE: Self = Self(0);
    /// Integer and everything that is none of the others.
    pub const GENERAL: Self = Self(1);
    /// x87.
    pub const FPU: Self = Self(2);
    /// MMX, SSE to SSE4, AES, SHA and what else is encoded without VEX on vector registers.
    pub const SSE: Self = Self(4);
    /// VEX-encoded vector instructions: AVX, AVX2, FMA, F16C.
    pub const AVX: Self = Self(8);
    /// EVEX-encoded instructions and those of mask registers.
    pub const AVX512: Self = Self(16);
    /// Jumps, conditional branches, loops, calls, returns.
    pub const BRANCH: Self = Self(32);
    /// SYSCALL, SYSENTER, INT n.
    pub const SYSCALL: Self = Self(64);

    /// Names as the command line spells them, in the order of the bits.
    pub const NAMES: [(&'static str, Self); 7] = [
        ("general", Self::GENERAL),
        ("fpu", Self::FPU),
        ("sse", Self::SSE),
        ("avx", Self::AVX),
        ("avx512", Self::AVX512),
        ("branch", Self::BRANCH),
        ("syscall", Self::SYSCALL),
    ];

    /// The kind called `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|&(_, kind)| kind)
    }

    /// What is in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether a kind is in both sets.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether the set has nothing.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Names of the kinds in the set.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES
            .into_iter()
            .filter(move |&(_, kind)| self.intersects(kind))
            .map(|(name, _)| name)
    }
}

/// The kind of one instruction: exactly one.
#[must_use]
pub fn instruction_kind(instruction: &Instruction) -> Kinds {
    match control_flow(instruction) {
        Control::End(Terminator::Syscall) => Kinds::SYSCALL,
        Control::End(Terminator::Trap | Terminator::FallThrough) | Control::Next => {
            table()[instruction.code() as usize]
        }
        Control::End(_) => Kinds::BRANCH,
    }
}

fn table() -> &'static [Kinds] {
    static TABLE: OnceLock<Vec<Kinds>> = OnceLock::new();
    TABLE.get_or_init(|| Code::values().map(classify).collect())
}

fn classify(code: Code) -> Kinds {
    use CpuidFeature as F;
    let features = code.cpuid_features();
    let has = |wanted: &[F]| features.iter().any(|feature| wanted.contains(feature));
    match code.encoding() {
        EncodingKind::EVEX | EncodingKind::MVEX => Kinds::AVX512,
        EncodingKind::VEX if has(&[F::AVX512F, F::AVX512BW, F::AVX512DQ]) => Kinds::AVX512,
        EncodingKind::VEX if has(&[F::BMI1, F::BMI2, F::CMPCCXADD, F::AMX_TILE]) => Kinds::GENERAL,
        EncodingKind::VEX => Kinds::AVX,
        EncodingKind::XOP if has(&[F::TBM, F::LWP]) => Kinds::GENERAL,
        EncodingKind::XOP => Kinds::AVX,
        EncodingKind::D3NOW => Kinds::SSE,
        EncodingKind::Legacy if has(&[F::FPU, F::FPU287, F::FPU387, F::FPU287XL_ONLY]) => Kinds::FPU,
        EncodingKind::Legacy if vector(code, features) => Kinds::SSE,
        _ => Kinds::GENERAL,
    }
}

fn vector(code: Code, features: &[CpuidFeature]) -> bool {
    use CpuidFeature as F;
    // Cache, fence and integer instructions that came with SSE, but do not touch vector registers.
    let scalar = matches!(
        code.mnemonic(),
        Mnemonic::Prefetchnta
            | Mnemonic::Prefetcht0
            | Mnemonic::Prefetcht1
            | Mnemonic::Prefetcht2
            | Mnemonic::Sfence
            | Mnemonic::Lfence
            | Mnemonic::Mfence
            | Mnemonic::Movnti
            | Mnemonic::Clflush
            | Mnemonic::Pause
            | Mnemonic::Crc32
    );
    let vector = [
        F::MMX,
        F::SSE,
        F::SSE2,
        F::SSE3,
        F::SSSE3,
        F::SSE4_1,
        F::SSE4_2,
        F::SSE4A,
        F::AES,
        F::PCLMULQDQ,
        F::SHA,
        F::GFNI,
        F::D3NOW,
    ];
    !scalar && features.iter().any(|feature| vector.contains(feature))
}

/// Whether the instruction reads or writes memory through an operand one can see: `[...]` or a string operand.
/// LEA and NOP compute an address only; the stack accesses of PUSH, CALL and RET are left out, since otherwise
/// nearly every block would count.
#[must_use]
pub fn accesses_memory(instruction: &Instruction) -> bool {
    if matches!(
        instruction.mnemonic(),
        Mnemonic::Lea | Mnemonic::Nop | Mnemonic::Endbr64
    ) {
        return false;
    }
    (0..instruction.op_count()).any(|operand| is_memory(instruction.op_kind(operand)))
}

/// Whether the instruction locks its operand in memory: by the prefix, or as XCHG by itself (SDM vol. 3, section 9.1.2).
#[must_use]
pub fn locks_memory(instruction: &Instruction) -> bool {
    accesses_memory(instruction)
        && (instruction.has_lock_prefix() || instruction.mnemonic() == Mnemonic::Xchg)
}

fn is_memory(kind: OpKind) -> bool {
    matches!(
        kind,
        OpKind::Memory
            | OpKind::MemorySegSI
            | OpKind::MemorySegESI
            | OpKind::MemorySegRSI
            | OpKind::MemorySegDI
            | OpKind::MemorySegEDI
            | OpKind::MemorySegRDI
            | OpKind::MemoryESDI
            | OpKind::MemoryESEDI
            | OpKind::MemoryESRDI
    )
}
