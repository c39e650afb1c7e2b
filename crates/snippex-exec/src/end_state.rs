//! End states, as the guest left them in the shared file.

use snippex_core::group::VectorState;
use snippex_core::state::{Components, MachineState, Vector, X87State, rflags};
use snippex_runner::layout::{EXIT_FAULT, RunOutput, STORED_CONTROL, STORED_X87, VectorFile};

use crate::results::EXIT_DIED;

/// End states of a batch, by run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EndStates<'s> {
    pub(crate) outputs: &'s [RunOutput],
    pub(crate) vectors: Vectors<'s>,
}

/// x87, MXCSR, vector and opmask registers of a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Vectors<'s> {
    /// One file a run.
    OfEachRun(&'s [VectorFile]),
    /// Only those that something was stored in, and for each run the index of its own, which is beyond the end where
    /// nothing was stored.
    Stored {
        index: &'s [u32],
        files: &'s [VectorFile],
    },
}

/// Where a run has stored nothing: never looked at.
static NOTHING_STORED: VectorFile = VectorFile {
    fx: [0; 512],
    zmm: [[0; 64]; 32],
    opmask: [0; 8],
};

impl<'s> Vectors<'s> {
    pub(crate) fn of_run(self, run: usize) -> &'s VectorFile {
        match self {
            Self::OfEachRun(files) => &files[run],
            Self::Stored { index, files } => files.get(index[run] as usize).unwrap_or(&NOTHING_STORED),
        }
    }
}

impl<'s> EndStates<'s> {
    /// The end state of `run`.
    pub(crate) fn get(self, run: usize) -> EndState<'s> {
        EndState {
            output: &self.outputs[run],
            vectors: self.vectors.of_run(run),
        }
    }
}

/// The end state of a run. What of x87, vectors and opmasks was not stored is as it was before the run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EndState<'s> {
    pub(crate) output: &'s RunOutput,
    pub(crate) vectors: &'s VectorFile,
}

impl<'s> EndState<'s> {
    /// Whether two runs from `before` left the same bits in registers and flags, as far as `covered` goes.
    pub(crate) fn same_bits(self, other: Self, before: &VectorState, covered: Components) -> bool {
        const RF: u64 = rflags::RF;
        let (a, b) = (self.output, other.output);
        if a.exit != b.exit || a.gpr != b.gpr {
            return false;
        }
        let same_flags = if a.exit == EXIT_FAULT {
            a.fault.signal == b.fault.signal
                && a.fault.rip == b.fault.rip
                && a.fault.address == b.fault.address
                && a.fault.rflags & !RF == b.fault.rflags & !RF
        } else {
            a.rflags == b.rflags
        };
        if !same_flags || a.exit >= EXIT_DIED && a.exit != EXIT_FAULT {
            return false;
        }
        if covered.contains(Components::SEGMENT_BASES) && (a.fs_base, a.gs_base) != (b.fs_base, b.gs_base) {
            return false;
        }
        let stored = a.stored | b.stored;
        if stored & STORED_X87 != 0 && !self.same_raw_x87(other, before) {
            return false;
        }
        if stored & STORED_CONTROL != 0 {
            if self.mxcsr(before) != other.mxcsr(before) {
                return false;
            }
            if covered.contains(Components::AVX512) && self.opmask(before) != other.opmask(before) {
                return false;
            }
        }
        let (registers, width) = vector_shape(covered);
        (0..registers)
            .filter(|register| stored & (1 << register) != 0)
            .all(|register| self.vector(before, register)[..width] == other.vector(before, register)[..width])
    }

    /// Whether the run left the x87 state as it was before.
    pub(crate) fn same_x87(self, before: &VectorState) -> bool {
        self.x87(before) == before.x87
    }

    /// Whether the run left MXCSR, vector and opmask registers as they were before, as far as `covered` goes.
    pub(crate) fn same_vectors(self, before: &VectorState, covered: Components) -> bool {
        let (registers, width) = vector_shape(covered);
        self.mxcsr(before) == before.mxcsr
            && (!covered.contains(Components::AVX512) || self.opmask(before) == before.opmask)
            && (0..registers)
                .all(|register| self.vector(before, register)[..width] == before.vectors[register][..width])
    }

    /// Overwrites what of the start state the engine covers and the run may have changed.
    pub(crate) fn apply_to_state(self, state: &mut MachineState, components: Components) {
        let output = self.output;
        state.gpr = output.gpr;
        // The capture routine runs after `sigreturn`, which does not give back every flag; the frame has them all.
        state.rflags = if output.exit == EXIT_FAULT {
            output.fault.rflags & !rflags::RF
        } else {
            output.rflags
        };
        if components.contains(Components::SEGMENT_BASES) {
            state.fs_base = output.fs_base;
            state.gs_base = output.gs_base;
        }
        if output.stored & STORED_X87 != 0 {
            state.x87 = self.stored_x87();
        }
        if output.stored & STORED_CONTROL != 0 {
            state.mxcsr = self.stored_mxcsr();
            if components.contains(Components::AVX512) {
                state.opmask = self.vectors.opmask;
            }
        }
        let (registers, width) = vector_shape(components);
        for (register, vector) in state.vectors[..registers].iter_mut().enumerate() {
            if output.stored & (1 << register) != 0 {
                vector[..width].copy_from_slice(&self.vectors.zmm[register][..width]);
            }
        }
    }

    fn vector(self, before: &'s VectorState, register: usize) -> &'s Vector {
        if self.output.stored & (1 << register) != 0 {
            &self.vectors.zmm[register]
        } else {
            &before.vectors[register]
        }
    }

    fn same_raw_x87(self, other: Self, before: &VectorState) -> bool {
        if self.output.stored & other.output.stored & STORED_X87 == 0 {
            return self.x87(before) == other.x87(before);
        }
        let (fx, other) = (&self.vectors.fx, &other.vectors.fx);
        // FCW, FSW, abridged FTW.
        fx[..5] == other[..5]
            && (0..8).all(|register| {
                let at = 32 + 16 * register;
                fx[at..at + 10] == other[at..at + 10]
            })
    }

    fn x87(self, before: &VectorState) -> X87State {
        if self.output.stored & STORED_X87 == 0 {
            before.x87
        } else {
            self.stored_x87()
        }
    }

    fn stored_x87(self) -> X87State {
        let fx = &self.vectors.fx;
        let word = |at: usize| u16::from_le_bytes([fx[at], fx[at + 1]]);
        X87State {
            control: word(0),
            status: word(2),
            tags: fx[4],
            st: std::array::from_fn(|register| fx[32 + 16 * register..][..10].try_into().expect("ten bytes")),
        }
    }

    fn mxcsr(self, before: &VectorState) -> u32 {
        if self.output.stored & STORED_CONTROL == 0 {
            before.mxcsr
        } else {
            self.stored_mxcsr()
        }
    }

    fn stored_mxcsr(self) -> u32 {
        u32::from_le_bytes(std::array::from_fn(|index| self.vectors.fx[24 + index]))
    }

    fn opmask(self, before: &VectorState) -> [u64; 8] {
        if self.output.stored & STORED_CONTROL == 0 {
            before.opmask
        } else {
            self.vectors.opmask
        }
    }
}

/// Number of vector registers and their bytes.
pub(crate) fn vector_shape(covered: Components) -> (usize, usize) {
    if covered.contains(Components::AVX512) {
        (32, 64)
    } else if covered.contains(Components::AVX) {
        (16, 32)
    } else {
        (16, 16)
    }
}
