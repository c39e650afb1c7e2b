//! What an engine documents to do otherwise than the hardware, as data.
//!
//! A documented deviation is never reported as a divergence. One in a few bits is passed over and noted, since
//! the rest of the state was compared and says something. One in the endpoint makes the run inconclusive: from
//! there on the two runs have nothing in common.

use crate::observation::{SIGBUS, SIGFPE, SIGSEGV};
use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// Everything that one engine documents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tolerance {
    /// In the order in which they are tried.
    pub deviations: Vec<Deviation>,
}

/// One documented deviation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deviation {
    /// Stable name.
    pub id: Cow<'static, str>,
    /// What the engine does, in a sentence.
    pub what: Cow<'static, str>,
    /// How it shows.
    pub deviates: Deviates,
}

/// See [`Tolerance::excused_bits`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExcusedBits {
    /// Of RFLAGS.
    pub flags: u64,
    /// Of MXCSR.
    pub mxcsr: u32,
    /// Of the x87 status word.
    pub x87_status: u16,
    /// Contents of x87 registers that are tagged empty.
    pub empty_x87_registers: bool,
}

/// How a deviation shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Deviates {
    /// A signal of this number that the hardware raises does not come.
    MissingSignal {
        /// Linux signal number.
        number: u8,
        /// `si_code`, when only one kind of that signal is meant.
        code: Option<i32>,
        /// Which instructions.
        unit: FaultingUnit,
    },
    /// What the hardware does not have mapped between these addresses, the engine has: it lives there.
    Occupied {
        /// First address.
        from: u64,
        /// First address behind.
        to: u64,
    },
    /// The same instruction faults with another signal number.
    SignalNumber {
        /// On the hardware.
        expected: u8,
        /// On the engine.
        actual: u8,
    },
    /// A jump to the first pages of memory, where nothing can be, ends the engine itself.
    DeathAtNull,
    /// The state at a signal is not precise: only signal and RIP are compared.
    StateAtSignal,
    /// Bits of RFLAGS.
    Flags(u64),
    /// Bits of MXCSR.
    Mxcsr(u32),
    /// Bits of the x87 status word.
    X87Status(u16),
    /// Contents of x87 registers that are tagged empty.
    EmptyX87Registers,
    /// Flags of arithmetic on RSP, and those that are left at a CALL or RET.
    FlagsAtCalls,
    /// The same signal, at another instruction of the block.
    FaultRip,
    /// Instructions that load segment registers or ask about segments raise SIGILL.
    NoSegments,
    /// The sign of a NaN that arithmetic gives.
    NanSign,
    /// What MXCSR's DAZ and FTZ make of numbers that are too small for their exponent.
    DenormalControls,
    /// The integer that stands for a number which fits none: the nearest one instead, or 0.
    IntegerIndefinite,
    /// Bits 56 to 63 of an address are ignored, as ARM processors can: where they make an address that is none (#GP, #SS), the
    /// engine goes on, or faults elsewhere.
    TopByteIgnored,
    /// x87 arithmetic keeps this many bits of the significand.
    X87Significand(u8),
    /// x87 registers hold doubles, and neither a full nor an empty stack is noticed.
    X87Doubles,
}

/// The unit of an instruction that faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultingUnit {
    /// Every instruction.
    Any,
    /// All but x87, MMX, SSE, AVX.
    Integer,
    /// Those that save or load a whole state: FXSAVE, XSAVE and their like.
    SaveArea,
    /// x87, MMX, SSE, AVX.
    FloatingPoint,
    /// SSE and AVX.
    Vector,
}

/// `si_code` of a fault that is not a page fault (SI_KERNEL of Linux).
const SI_KERNEL: i32 = 128;

impl Tolerance {
    /// Nothing is excused: for hardware against hardware.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            deviations: Vec::new(),
        }
    }

    /// FEX-Emu: what its documentation and issues state as intended.
    #[must_use]
    pub fn for_fex() -> Self {
        Self {
            deviations: vec![
                deviation(
                    "fex-no-sigfpe",
                    "neither division by zero nor unmasked floating-point exceptions raise SIGFPE",
                    Deviates::MissingSignal {
                        number: SIGFPE,
                        code: None,
                        unit: FaultingUnit::Any,
                    },
                ),
                deviation(
                    "fex-no-sse-alignment",
                    "misaligned SSE operands do not fault",
                    Deviates::MissingSignal {
                        number: SIGSEGV,
                        code: Some(SI_KERNEL),
                        unit: FaultingUnit::Vector,
                    },
                ),
                deviation(
                    "fex-no-save-area-alignment",
                    "a misaligned area of FXSAVE, XSAVE and their like does not fault",
                    Deviates::MissingSignal {
                        number: SIGSEGV,
                        code: Some(SI_KERNEL),
                        unit: FaultingUnit::SaveArea,
                    },
                ),
                deviation(
                    "fex-top-byte",
                    "ARM processors ignore bits 56 to 63 of an address, which make it non-canonical on x86",
                    Deviates::TopByteIgnored,
                ),
                deviation(
                    "fex-no-segments",
                    "LAR, LSL, VERR, VERW, LFS, LGS, LSS and loads of segment registers raise SIGILL",
                    Deviates::NoSegments,
                ),
                deviation(
                    "fex-no-alignment-check",
                    "the AC flag has no effect",
                    Deviates::MissingSignal {
                        number: SIGBUS,
                        code: None,
                        unit: FaultingUnit::Any,
                    },
                ),
                stack_fault("fex-stack-fault"),
                deviation(
                    "fex-death-at-null",
                    "a jump to address 0 ends FEX itself",
                    Deviates::DeathAtNull,
                ),
                deviation(
                    "fex-fault-rip",
                    "RIP at a fault is that of another instruction of the block",
                    Deviates::FaultRip,
                ),
                deviation(
                    "fex-fault-state",
                    "registers and flags at a fault are stale",
                    Deviates::StateAtSignal,
                ),
                deviation(
                    "fex-mxcsr-flags",
                    "the exception flags of MXCSR are never set",
                    Deviates::Mxcsr(0x3f),
                ),
                deviation(
                    "fex-denormals",
                    "DAZ and FTZ of MXCSR need ARM's alternate floating point (AFP)",
                    Deviates::DenormalControls,
                ),
                deviation(
                    "fex-nan-sign",
                    "a NaN that arithmetic gives has ARM's sign without the alternate floating point (AFP)",
                    Deviates::NanSign,
                ),
                deviation(
                    "fex-x87-status",
                    "the x87 status word keeps IE, C0 to C3 and TOP only",
                    Deviates::X87Status(0x80fe),
                ),
                deviation(
                    "fex-x87-empty",
                    "registers that are tagged empty do not keep their contents",
                    Deviates::EmptyX87Registers,
                ),
            ],
        }
    }

    /// FEX-Emu with X87REDUCEDPRECISION: x87 arithmetic in double precision on top of [`Self::for_fex`].
    #[must_use]
    pub fn fex_reduced_precision() -> Self {
        let mut tolerance = Self::for_fex();
        tolerance.deviations.push(deviation(
            "fex-reduced-precision",
            "x87 arithmetic is done in double precision",
            // A double has 53 bits; a few operations in a row lose some more.
            Deviates::X87Significand(48),
        ));
        tolerance
    }

    /// box64: what its USAGE.md says of its settings' defaults, and what its emulation does not have at all. Which of
    /// them a setting takes away is in the configurations of the engine.
    #[must_use]
    pub fn box64() -> Self {
        let missing = |number, code, unit| Deviates::MissingSignal { number, code, unit };
        Self {
            deviations: vec![
                deviation(
                    "box64-no-div0",
                    "division by zero raises no SIGFPE unless BOX64_DYNAREC_DIV0 is 1",
                    missing(SIGFPE, None, FaultingUnit::Integer),
                ),
                deviation(
                    "box64-no-float-exceptions",
                    "unmasked floating-point exceptions raise no SIGFPE",
                    missing(SIGFPE, None, FaultingUnit::FloatingPoint),
                ),
                deviation(
                    "box64-no-sse-alignment",
                    "misaligned SSE operands do not fault",
                    missing(SIGSEGV, Some(SI_KERNEL), FaultingUnit::Vector),
                ),
                deviation(
                    "box64-no-alignment-check",
                    "the AC flag has no effect",
                    missing(SIGBUS, None, FaultingUnit::Any),
                ),
                stack_fault("box64-stack-fault"),
                deviation(
                    "box64-top-byte",
                    "ARM processors ignore bits 56 to 63 of an address, which make it non-canonical on x86",
                    Deviates::TopByteIgnored,
                ),
                deviation(
                    "box64-flags-at-calls",
                    "flags of arithmetic on RSP and at CALL and RET are left out unless BOX64_DYNAREC_SAFEFLAGS is 2",
                    Deviates::FlagsAtCalls,
                ),
                deviation(
                    "box64-fault-state",
                    "registers at a fault may be those of an earlier instruction, and flags are not worked out",
                    Deviates::StateAtSignal,
                ),
                deviation(
                    "box64-mxcsr-flags",
                    "the exception flags of MXCSR are set only with BOX64_SSE_FLUSHTO0",
                    Deviates::Mxcsr(0x3f),
                ),
                deviation(
                    "box64-x87-doubles",
                    "x87 registers hold doubles, a full or empty stack is not noticed, and precision control has no effect \
                     unless BOX64_DYNAREC_X87DOUBLE is 2",
                    Deviates::X87Doubles,
                ),
                deviation(
                    "box64-x87-status",
                    "the x87 status word keeps C0 to C3 and TOP only",
                    Deviates::X87Status(0x80ff),
                ),
                deviation(
                    "box64-denormals",
                    "DAZ and FTZ of MXCSR are kept and have no effect unless BOX64_SSE_FLUSHTO0 is 1",
                    Deviates::DenormalControls,
                ),
                deviation(
                    "box64-nan-sign",
                    "a NaN that arithmetic gives has ARM's sign unless BOX64_DYNAREC_FASTNAN is 0",
                    Deviates::NanSign,
                ),
                deviation(
                    "box64-integer-indefinite",
                    "a number that fits no integer becomes the nearest one unless BOX64_DYNAREC_FASTROUND is 0",
                    Deviates::IntegerIndefinite,
                ),
            ],
        }
    }

    /// qemu-user. Only what belongs to the environment: that it ignores AC and delivers no unmasked
    /// floating-point exceptions is not documented as intended, so both count as bugs.
    #[must_use]
    pub fn qemu_user() -> Self {
        Self {
            deviations: vec![
                stack_fault("qemu-stack-fault"),
                deviation(
                    "qemu-own-memory",
                    "qemu-user keeps its own and the program's memory from 0x4000000000 on",
                    Deviates::Occupied {
                        from: 0x40_0000_0000,
                        to: 0x41_0000_0000,
                    },
                ),
            ],
        }
    }

    /// valgrind: what its manual states under "Limitations" (section 2.13 of the core manual) about floating point,
    /// and that it shows no IF.
    #[must_use]
    pub fn for_valgrind() -> Self {
        let mut deviations = vec![
            deviation(
                "valgrind-no-interrupt-flag",
                "the interrupt flag reads as 0",
                Deviates::Flags(crate::state::rflags::IF),
            ),
            deviation(
                "valgrind-mxcsr",
                "MXCSR keeps the rounding mode only: no exception flags, no masks, no DAZ and FTZ",
                Deviates::Mxcsr(0xffff & !0x6000),
            ),
            deviation(
                "valgrind-no-sse-exceptions",
                "unmasked SSE exceptions raise no SIGFPE",
                Deviates::MissingSignal {
                    number: SIGFPE,
                    code: None,
                    unit: FaultingUnit::FloatingPoint,
                },
            ),
            deviation(
                "valgrind-no-alignment-check",
                "the AC flag has no effect",
                Deviates::MissingSignal {
                    number: SIGBUS,
                    code: None,
                    unit: FaultingUnit::Any,
                },
            ),
        ];
        deviations.push(stack_fault("valgrind-stack-fault"));
        Self { deviations }
    }

    /// The bits of registers in which an engine is excused, all deviations together.
    #[must_use]
    pub fn excused_bits(&self) -> ExcusedBits {
        let mut excused = ExcusedBits::default();
        for deviation in &self.deviations {
            match deviation.deviates {
                Deviates::Flags(bits) => excused.flags |= bits,
                Deviates::Mxcsr(bits) => excused.mxcsr |= bits,
                Deviates::X87Status(bits) => excused.x87_status |= bits,
                Deviates::EmptyX87Registers => excused.empty_x87_registers = true,
                _ => {}
            }
        }
        excused
    }

    /// Whether the state at a signal is not precise.
    #[must_use]
    pub fn is_imprecise_at_signals(&self) -> bool {
        self.skips_state_at_signal().is_some()
    }

    /// Whether the state at a signal is left alone, and by which deviation.
    pub(super) fn skips_state_at_signal(&self) -> Option<&Deviation> {
        self.deviations
            .iter()
            .find(|deviation| deviation.deviates == Deviates::StateAtSignal)
    }

    /// The deviations that excuse bits of the kind that `bits` picks out, with those bits.
    pub(super) fn excusing_deviations(
        &self,
        bits: impl Fn(Deviates) -> Option<u64>,
    ) -> impl Iterator<Item = (&Deviation, u64)> {
        self.deviations
            .iter()
            .filter_map(move |deviation| Some((deviation, bits(deviation.deviates)?)))
    }
}

fn deviation(id: &'static str, what: &'static str, deviates: Deviates) -> Deviation {
    Deviation {
        id: id.into(),
        what: what.into(),
        deviates,
    }
}

fn stack_fault(id: &'static str) -> Deviation {
    deviation(
        id,
        "a stack access at a non-canonical address raises SIGSEGV where Linux on hardware raises SIGBUS (#SS)",
        Deviates::SignalNumber {
            expected: SIGBUS,
            actual: SIGSEGV,
        },
    )
}
