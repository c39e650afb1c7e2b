//! Why a form cannot hold a case.

use thiserror::Error;

use snippex_core::lower::LowerError;

/// Why a form cannot hold a case.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Impossible {
    /// The block does not run at all.
    #[error(transparent)]
    Block(#[from] LowerError),
    /// The case ends in no way that a program could compare.
    #[error("the case does not end: there is nothing to compare")]
    NoEnd,
    /// TF traps in the code that loads the registers.
    #[error("the trap flag is set at the start, which would trap before the block begins")]
    TrapFlag,
    /// Nothing is left to compare.
    #[error("all that differs is left open by the manuals, or is beyond what this form compares")]
    NothingToCompare,
    /// FEX's harness runs tests to their HLT.
    #[error(
        "the CPU raises signal {0}, and a test in FEX-Emu's form cannot expect a signal: it ends at its HLT"
    )]
    Signal(u8),
    /// FEX's tests are assembled to where they please.
    #[error("{0}, and a test in FEX-Emu's form does not lie where the block does")]
    Position(&'static str),
    /// A part of the state that FEX's header does not know.
    #[error("{0} cannot be given in a test in FEX-Emu's form")]
    State(&'static str),
    /// FEX has no such instructions.
    #[error("the block needs {0}, which FEX-Emu's tests do not know")]
    Feature(String),
}
