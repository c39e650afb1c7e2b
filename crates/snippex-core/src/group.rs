//! The cases of one block that share their memory: what is run together and stored compactly.
//!
//! Vector and x87 registers are most of a state's size (2.6 KB of 2.8 KB) and few blocks look at them, so starts
//! name an entry of a vector pool instead of carrying their own.

use std::sync::Arc;

use crate::block::Block;
use crate::case::{Case, Page, Placement};
use crate::state::{MachineState, Vector, X87State};

/// The part of a start state beyond the general registers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VectorState {
    /// The x87 unit.
    pub x87: X87State,
    /// SSE control and status.
    pub mxcsr: u32,
    /// ZMM0..31.
    pub vectors: [Vector; 32],
    /// Opmask registers k0..7.
    pub opmask: [u64; 8],
}

impl VectorState {
    /// Whether bits 128 and up of registers 0..15 are zero, as after VZEROUPPER.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.vectors[..16]
            .iter()
            .all(|vector| vector[16..].iter().all(|&byte| byte == 0))
    }
}

/// General registers at the start of a run, and which [`VectorState`] of the vector pool goes with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// General-purpose registers in encoding order.
    pub gpr: [u64; 16],
    /// RFLAGS.
    pub rflags: u64,
    /// FS base.
    pub fs_base: u64,
    /// GS base.
    pub gs_base: u64,
    /// Index into [`Group::vector_pool`].
    pub vectors: u32,
}

/// A block, its memory and the states it is started from.
#[derive(Clone, Debug)]
pub struct Group {
    /// The code.
    pub block: Arc<Block>,
    /// Where it lies.
    pub placement: Placement,
    /// Every page that is mapped, in ascending order of address.
    pub pages: Arc<[Page]>,
    /// Start states; `starts[i].vectors < vector_pool.len()`.
    pub starts: Vec<Start>,
    /// What the starts choose their vector registers from. Usually one for all groups of a session.
    pub vector_pool: Arc<[VectorState]>,
}

impl Group {
    /// A group of one.
    #[must_use]
    pub fn from_case(case: &Case) -> Self {
        let state = &case.state;
        let start = Start {
            gpr: state.gpr,
            rflags: state.rflags,
            fs_base: state.fs_base,
            gs_base: state.gs_base,
            vectors: 0,
        };
        let vectors = VectorState {
            x87: state.x87,
            mxcsr: state.mxcsr,
            vectors: state.vectors,
            opmask: state.opmask,
        };
        Self {
            block: Arc::clone(&case.block),
            placement: case.placement,
            pages: Arc::clone(&case.pages),
            starts: vec![start],
            vector_pool: [vectors].into(),
        }
    }

    /// The start state of run `index` in full.
    ///
    /// # Panics
    /// When `index` is not below `starts.len()`.
    #[must_use]
    pub fn start_state(&self, index: usize) -> MachineState {
        let start = &self.starts[index];
        let vectors = &self.vector_pool[start.vectors as usize];
        MachineState {
            gpr: start.gpr,
            rflags: start.rflags,
            fs_base: start.fs_base,
            gs_base: start.gs_base,
            x87: vectors.x87,
            mxcsr: vectors.mxcsr,
            vectors: vectors.vectors,
            opmask: vectors.opmask,
        }
    }

    /// Run `index` as a self-contained case.
    ///
    /// # Panics
    /// When `index` is not below `starts.len()`.
    #[must_use]
    pub fn case_at(&self, index: usize) -> Case {
        Case {
            block: Arc::clone(&self.block),
            placement: self.placement,
            state: self.start_state(index),
            pages: Arc::clone(&self.pages),
        }
    }
}
