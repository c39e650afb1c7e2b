//! The complete user-visible machine state of one x86-64 thread, and which parts of it an engine covers.

use serde::{Deserialize, Serialize};

/// Index of each general-purpose register in [`MachineState::gpr`]: the encoding order of the instruction set
/// (Intel SDM volume 2, table 3-1).
pub const GPR_NAMES: [&str; 16] = [
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
    "r15",
];
/// [`MachineState::gpr`] index of RSP.
pub const RSP: usize = 4;

/// The status and control flags of RFLAGS that a user program can change (Intel SDM volume 1, section 3.4.3).
pub mod rflags {
    /// Carry flag.
    pub const CF: u64 = 1 << 0;
    /// Parity flag.
    pub const PF: u64 = 1 << 2;
    /// Auxiliary carry flag.
    pub const AF: u64 = 1 << 4;
    /// Zero flag.
    pub const ZF: u64 = 1 << 6;
    /// Sign flag.
    pub const SF: u64 = 1 << 7;
    /// Trap flag.
    pub const TF: u64 = 1 << 8;
    /// Interrupt enable flag; always set in user mode.
    pub const IF: u64 = 1 << 9;
    /// Direction flag.
    pub const DF: u64 = 1 << 10;
    /// Overflow flag.
    pub const OF: u64 = 1 << 11;
    /// Nested task flag.
    pub const NT: u64 = 1 << 14;
    /// Resume flag; set by the CPU in the flags image of some faults, never compared.
    pub const RF: u64 = 1 << 16;
    /// Alignment check flag.
    pub const AC: u64 = 1 << 18;
    /// Identification flag.
    pub const ID: u64 = 1 << 21;
    /// The six arithmetic status flags.
    pub const STATUS: u64 = CF | PF | AF | ZF | SF | OF;
    /// Value of a fresh user thread: reserved bit 1 and IF.
    pub const INITIAL: u64 = 0x202;
    /// Name and bit of every flag that is shown to people, from bit 0 upward.
    pub const NAMES: [(&str, u64); 12] = [
        ("CF", CF),
        ("PF", PF),
        ("AF", AF),
        ("ZF", ZF),
        ("SF", SF),
        ("TF", TF),
        ("IF", IF),
        ("DF", DF),
        ("OF", OF),
        ("NT", NT),
        ("AC", AC),
        ("ID", ID),
    ];
}

/// MXCSR after reset: every SSE exception masked, round to nearest (Intel SDM volume 1, section 10.2.3).
pub const MXCSR_INITIAL: u32 = 0x1f80;
/// x87 control word after FNINIT: every exception masked, extended precision, round to nearest.
pub const FCW_INITIAL: u16 = 0x037f;

/// The parts of a [`MachineState`], as a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Components(pub u16);

impl Components {
    /// The 16 general-purpose registers and RFLAGS. Every engine has them.
    pub const GENERAL: Self = Self(1 << 0);
    /// FS and GS base addresses.
    pub const SEGMENT_BASES: Self = Self(1 << 1);
    /// x87 registers, tags, control and status word.
    pub const X87: Self = Self(1 << 2);
    /// MXCSR and XMM0..15.
    pub const SSE: Self = Self(1 << 3);
    /// Bits 128..255 of vector registers 0..15.
    pub const AVX: Self = Self(1 << 4);
    /// Bits 256..511 of vector registers 0..15, all of 16..31, and the opmask registers.
    pub const AVX512: Self = Self(1 << 5);
    /// Everything this crate knows.
    pub const ALL: Self = Self(0x3f);

    /// Each component with the name that is shown to people.
    pub const NAMES: [(&'static str, Self); 6] = [
        ("general", Self::GENERAL),
        ("segment-bases", Self::SEGMENT_BASES),
        ("x87", Self::X87),
        ("sse", Self::SSE),
        ("avx", Self::AVX),
        ("avx512", Self::AVX512),
    ];

    /// Whether every component of `other` is in `self`.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The components in both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The components in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The components of `self` that are not in `other`.
    #[must_use]
    pub const fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Names of the components in the set, in [`Self::NAMES`] order.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES
            .into_iter()
            .filter(move |(_, component)| self.contains(*component))
            .map(|(name, _)| name)
    }
}

/// One 512-bit vector register, least significant byte first. XMMn and YMMn are its first 16 and 32 bytes.
pub type Vector = [u8; 64];

/// The x87 unit. Instruction and data pointers and the last opcode are left out on purpose: they differ
/// between CPUs of the same vendor (Intel SDM volume 1, section 8.1.8) and are never compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct X87State {
    /// Control word (FCW).
    pub control: u16,
    /// Status word (FSW), TOP in bits 11..13.
    pub status: u16,
    /// Abridged tag word of FXSAVE: bit i is set when *physical* register i is not empty.
    pub tags: u8,
    /// 80-bit registers in *stack* order: `st[0]` is ST(0), little-endian.
    pub st: [[u8; 10]; 8],
}

impl X87State {
    /// The state after FNINIT: empty stack, all exceptions masked.
    pub const INITIAL: Self = Self {
        control: FCW_INITIAL,
        status: 0,
        tags: 0,
        st: [[0; 10]; 8],
    };

    /// Physical number of ST(0): the TOP field of the status word, 0..=7.
    #[must_use]
    pub const fn top(&self) -> u8 {
        ((self.status >> 11) & 7) as u8
    }

    /// Whether ST(`index`) is marked empty in the tag word.
    #[must_use]
    pub const fn is_empty(&self, index: u8) -> bool {
        self.tags & (1 << ((self.top() + index) & 7)) == 0
    }
}

/// The complete user-visible state of one thread, RIP apart (that is the block's address at the start and the
/// endpoint at the end).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MachineState {
    /// General-purpose registers in encoding order, see [`GPR_NAMES`].
    pub gpr: [u64; 16],
    /// RFLAGS.
    pub rflags: u64,
    /// Base address of FS.
    pub fs_base: u64,
    /// Base address of GS.
    pub gs_base: u64,
    /// The x87 unit.
    pub x87: X87State,
    /// SSE control and status.
    pub mxcsr: u32,
    /// ZMM0..31; see [`Vector`] for the narrower names.
    pub vectors: [Vector; 32],
    /// Opmask registers k0..7.
    pub opmask: [u64; 8],
}

impl Default for MachineState {
    /// A fresh thread: all registers zero, flags, x87 and MXCSR at their reset values.
    fn default() -> Self {
        Self {
            gpr: [0; 16],
            rflags: rflags::INITIAL,
            fs_base: 0,
            gs_base: 0,
            x87: X87State::INITIAL,
            mxcsr: MXCSR_INITIAL,
            vectors: [[0; 64]; 32],
            opmask: [0; 8],
        }
    }
}
