//! `.snip`: a case as text that people read, edit and send around, with how it ends where that is known.
//!
//! Place in the flow: beside the codec. The codec gives a case bytes for the database; this gives it a text for
//! fixtures, issues and editors. Both are exact: [`Snip::parse`] gives back to the bit what [`Snip::render_text`] wrote.
//! Nothing is run and nothing is compared here.
//!
//! ```
//! use snippex_formats::snip::Snip;
//!
//! let snip = Snip::parse("\
//! snip 1
//! title add of two registers carries
//! block 0x1000
//!   code 48 01 d8                  # add rax, rbx
//! start
//!   rax = 0xffff_ffff_ffff_ffff
//!   rbx = 2
//! end exit 0x2_1d60_1003
//!   rax = 1
//!   flags = CF AF
//! ")?;
//! assert_eq!(snip.case.state.gpr[3], 2);
//! assert_eq!(Snip::parse(&snip.render_text())?, snip);
//!
//! let error = Snip::parse("snip 1\nblock 0x1000\n  code 4g\n").unwrap_err();
//! assert!(error.to_string().starts_with("line 3: "));
//! # Ok::<(), snippex_formats::snip::SnipError>(())
//! ```
//!
//! # The form
//!
//! Lines. `#` starts a comment, except in `title` and `note`, whose text goes to the end of the line. Numbers are
//! decimal or hexadecimal (`0x`), with `_` between digits wherever it helps. Sections in this order:
//!
//! | line | what it says | when it is left out |
//! | --- | --- | --- |
//! | `snip 1` | the form and its version; first line | - |
//! | `title TEXT` | one line about the case | none |
//! | `note TEXT` | where it comes from, what is wrong; any number | none |
//! | `needs NAME...` | CPU features that the case needs beyond those its instructions tell | none |
//! | `block ADDRESS` | where the block lies in its file | - |
//! | `origin`, `terminator`, `instructions`, `successors`, `unrunnable` | as [`Block`](snippex_core::block::Block) has them | `entry`; what the code tells; none |
//! | `image-base`, `code-base` | as [`Placement`](snippex_core::case::Placement) has them | where position-independent code goes |
//! | `code BYTES` | instructions, a line each | - |
//! | `start` | `NAME = VALUE` for each register that is not as in [`MachineState::default`](snippex_core::state::MachineState): all zero, flags 0x202, FCW 0x37f, MXCSR 0x1f80 | the default |
//! | `page ADDRESS read` or `read-write` | a page of memory; `OFFSET: BYTES` for what is not zero | no memory |
//! | `end exit ADDRESS`, `end signal N at ADDRESS ...`, `end hung`, `end died` | how it ends | not known |
//! | `covers NAME...` | parts of the state that are known at the end | all |
//! | `NAME = VALUE` | each register that is not as at the start | as at the start |
//! | `memory ADDRESS: BYTES` | memory that is not as at the start | as at the start |
//!
//! Registers: `rax` to `r15`, `flags` (`CF PF AF ZF SF DF OF ...`, `none`) or `rflags` (the number), `fsbase`, `gsbase`,
//! `xmm0`, `ymm0`, `zmm0` to 31 (the narrower names leave the upper part as it was), `k0` to `k7`, `mxcsr`, `fcw`, `fsw`,
//! `ftw` (bit i: *physical* register i is in use), `st0` to `st7` (80 bits, counted from the top of the stack).

mod derived;
mod error;
mod line;
mod read;
mod registers;
#[cfg(test)]
mod tests;
mod words;
mod write;

pub(crate) use derived::initial_line_at;
pub use error::{SnipError, SnipProblem};
pub(crate) use registers::{flag_names, format_grouped_hex};
pub(crate) use write::disassemble_block;

use snippex_core::case::Case;
use snippex_core::observation::Observation;
use snippex_core::state::Components;

/// A case as a `.snip` file holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snip {
    /// One line about the case; empty for none. Written without control characters.
    pub title: String,
    /// Where it comes from and what is wrong, in lines. Written without control characters.
    pub notes: Vec<String>,
    /// CPU features that the case needs beyond those that its instructions tell, in lower case.
    pub needs: Vec<String>,
    /// What runs.
    pub case: Case,
    /// How it ends, where that is known.
    pub end: Option<SnipExpectation>,
}

/// How a case has to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnipExpectation {
    /// End of a run on an engine that is taken as right.
    pub observation: Observation,
    /// The parts of the state that this engine covered. Others are as at the start and say nothing.
    pub covered: Components,
}

impl Snip {
    /// A case without words.
    #[must_use]
    pub fn from_case(case: Case) -> Self {
        Self {
            title: String::new(),
            notes: Vec::new(),
            needs: Vec::new(),
            case,
            end: None,
        }
    }

    /// The file.
    #[must_use]
    pub fn render_text(&self) -> String {
        write::render_snip(self)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// With the line at which it cannot be read, and why.
    pub fn parse(text: &str) -> Result<Self, SnipError> {
        read::read_snip(text)
    }
}

impl SnipExpectation {
    /// What `observation` says about `case` on every CPU: bits that the manuals leave open are as at the start, since
    /// they would differ from CPU to CPU and are never compared.
    #[must_use]
    pub fn from_observation(case: &Case, observation: Observation, covered: Components) -> Self {
        Self {
            observation: derived::reset_open_bits(case, observation),
            covered,
        }
    }
}
