//! Categories of code in which emulators have had real bugs.

use iced_x86::{Instruction, Mnemonic, OpKind, Register};

use snippex_core::decode::{Kinds, accesses_memory, instruction_kind, locks_memory};

/// A shape of code in which emulators have had bugs: the table of bug shapes gathered from their issue threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Category {
    /// Depends on flags set before the block.
    InitialFlags,
    /// Flags of x87 compares.
    X87Compare,
    /// Flags of rare integer instructions: bit tests and scans, BMI, compare-and-exchange.
    RareFlags,
    /// Zero extension of 32-bit results that instructions write as a side effect.
    ZeroExtension,
    /// Shifts and rotates, whose flags depend on the count.
    Shift,
    /// Floating-point results that depend on NaNs and signed zeros.
    NanAndZero,
    /// Upper vector lanes: conversions, inserts, whole-register shifts, VZEROUPPER.
    UpperLanes,
    /// An immediate that selects the operation of a vector instruction.
    VectorImmediate,
    /// x87 arithmetic, loads and stores.
    X87,
    /// Prefixes: address size, segment, REP on string instructions.
    Prefixes,
    /// Many instructions with live flags, which exercise an emulator's optimiser.
    LongBlock,
    /// Atomics and masked or partial stores, which matter at the edges of lines and pages.
    MemoryEdge,
}

impl Category {
    /// All, in the order of the bits of [`super::Features::categories`].
    pub const ALL: [Self; 12] = [
        Self::InitialFlags,
        Self::X87Compare,
        Self::RareFlags,
        Self::ZeroExtension,
        Self::Shift,
        Self::NanAndZero,
        Self::UpperLanes,
        Self::VectorImmediate,
        Self::X87,
        Self::Prefixes,
        Self::LongBlock,
        Self::MemoryEdge,
    ];

    /// Its bit in a set of categories.
    #[must_use]
    pub const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// The categories that one instruction shows by itself, as bits.
pub(super) fn of_instruction(instruction: &Instruction) -> u16 {
    let mnemonic = instruction.mnemonic();
    let mut bits = by_mnemonic(mnemonic, instruction);
    let kind = instruction_kind(instruction);
    if kind == Kinds::FPU {
        bits |= Category::X87.bit();
    }
    if kind.intersects(Kinds::SSE.union(Kinds::AVX).union(Kinds::AVX512)) {
        let last = instruction.op_count().saturating_sub(1);
        if instruction.op_count() > 1 && instruction.op_kind(last) == OpKind::Immediate8 {
            bits |= Category::VectorImmediate.bit();
        }
    }
    if prefixed(instruction) {
        bits |= Category::Prefixes.bit();
    }
    if locks_memory(instruction) {
        bits |= Category::MemoryEdge.bit();
    }
    bits
}

fn by_mnemonic(mnemonic: Mnemonic, instruction: &Instruction) -> u16 {
    use Mnemonic as M;
    let category = match mnemonic {
        M::Fcom
        | M::Fcomp
        | M::Fcompp
        | M::Fcomi
        | M::Fcomip
        | M::Fucom
        | M::Fucomp
        | M::Fucompp
        | M::Fucomi
        | M::Fucomip
        | M::Ftst
        | M::Fxam
        | M::Ficom
        | M::Ficomp => Category::X87Compare,
        M::Blsi
        | M::Blsr
        | M::Blsmsk
        | M::Bzhi
        | M::Bextr
        | M::Bt
        | M::Bts
        | M::Btr
        | M::Btc
        | M::Bsf
        | M::Bsr
        | M::Tzcnt
        | M::Lzcnt
        | M::Popcnt
        | M::Andn
        | M::Pdep
        | M::Pext => Category::RareFlags,
        M::Cmpxchg8b | M::Cmpxchg16b => {
            return Category::RareFlags.bit() | Category::MemoryEdge.bit();
        }
        M::Cmpxchg
        | M::Xadd
        | M::Div
        | M::Idiv
        | M::Mul
        | M::Pcmpestri
        | M::Pcmpistri
        | M::Vpcmpestri
        | M::Vpcmpistri => Category::ZeroExtension,
        M::Imul if instruction.op_count() == 1 => Category::ZeroExtension,
        M::Shl
        | M::Sal
        | M::Shr
        | M::Sar
        | M::Rol
        | M::Ror
        | M::Rcl
        | M::Rcr
        | M::Shld
        | M::Shrd
        | M::Shlx
        | M::Shrx
        | M::Sarx
        | M::Rorx => Category::Shift,
        M::Maxps
        | M::Maxpd
        | M::Maxss
        | M::Maxsd
        | M::Minps
        | M::Minpd
        | M::Minss
        | M::Minsd
        | M::Vmaxps
        | M::Vmaxpd
        | M::Vmaxss
        | M::Vmaxsd
        | M::Vminps
        | M::Vminpd
        | M::Vminss
        | M::Vminsd
        | M::Ucomiss
        | M::Ucomisd
        | M::Comiss
        | M::Comisd
        | M::Vucomiss
        | M::Vucomisd
        | M::Vcomiss
        | M::Vcomisd
        | M::Sqrtss
        | M::Sqrtsd
        | M::Sqrtps
        | M::Sqrtpd
        | M::Divss
        | M::Divsd
        | M::Divps
        | M::Divpd
        | M::Cvttsd2si
        | M::Cvttss2si
        | M::Cvtsd2si
        | M::Cvtss2si => Category::NanAndZero,
        M::Vcvtps2ph
        | M::Vcvtph2ps
        | M::Vpsrldq
        | M::Vpslldq
        | M::Psrldq
        | M::Pslldq
        | M::Vinsertf128
        | M::Vextractf128
        | M::Vinserti128
        | M::Vextracti128
        | M::Vperm2f128
        | M::Vperm2i128
        | M::Vzeroupper
        | M::Vzeroall => Category::UpperLanes,
        M::Maskmovdqu | M::Vmaskmovdqu | M::Vmaskmovps | M::Vmaskmovpd | M::Vpmaskmovd | M::Vpmaskmovq => {
            Category::MemoryEdge
        }
        _ => return 0,
    };
    category.bit()
}

/// Address-size or segment prefix on a memory operand, or REP.
fn prefixed(instruction: &Instruction) -> bool {
    let narrow = |register: Register| register != Register::None && register.size() == 4;
    instruction.is_string_instruction() && (instruction.has_rep_prefix() || instruction.has_repne_prefix())
        || accesses_memory(instruction)
            && (matches!(instruction.segment_prefix(), Register::FS | Register::GS)
                || narrow(instruction.memory_base())
                || narrow(instruction.memory_index()))
}
