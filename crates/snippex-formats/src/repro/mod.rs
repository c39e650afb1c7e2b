//! Reproducers: a case as a program or test that somebody without snippex can run.
//!
//! Place in the flow: after a case diverged (and was reduced). A [`Reproducer`] is the case, how it has to end and what
//! was found to differ; [`Reproducer::render_text`] makes it the text of a test for FEX-Emu, a C file, an assembler file or a
//! [`.snip`](crate::snip). Nothing is assembled or run here.
//!
//! The C and the assembler program lay out code and memory where the case has them and set and compare registers
//! themselves, so they can say everything that a case can. The test for FEX-Emu has the form of that project's own tests,
//! which cannot say everything: then the answer is [`Impossible`], with the reason.

mod c;
mod checks;
mod fex;
mod impossible;
mod memory;
mod nasm;
mod needs;
mod program;
mod registers;
mod short;
mod spelling;

pub use impossible::Impossible;
pub use spelling::Spelling;

use crate::snip::{Snip, SnipExpectation};
use snippex_core::case::Case;
use snippex_core::diff::Field;
use snippex_core::observation::Observation;
use snippex_core::state::Components;

/// The form of a reproducer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReproForm {
    /// A test as FEX-Emu's own: NASM source with a JSON header.
    FexAsm,
    /// One C file for x86-64.
    C,
    /// One NASM file, for a static program.
    Nasm,
    /// A `.snip`.
    Case,
}

/// A case, how it has to end, and what is wrong on some engine.
#[derive(Clone, Debug)]
pub struct Reproducer<'a> {
    /// One line: the instruction and what is wrong.
    pub title: String,
    /// Where it comes from, which engines differ, in lines.
    pub notes: Vec<String>,
    /// CPU features that the case needs beyond those its instructions tell.
    pub needs: Vec<String>,
    /// What runs.
    pub case: &'a Case,
    /// How it has to end.
    pub expected: &'a Observation,
    /// The parts of the state that `expected` knows.
    pub covered: Components,
    /// What is compared; everything that the block can change when it is empty.
    pub fields: Vec<Field>,
    /// How the instructions are spelled, where assemblers give the same bytes for that. May be shorter than the block.
    pub spelling: Vec<Spelling>,
}

impl Reproducer<'_> {
    /// The text of the reproducer.
    ///
    /// # Errors
    /// When this form cannot say what the case says.
    pub fn render_text(&self, form: ReproForm) -> Result<String, Impossible> {
        match form {
            ReproForm::FexAsm => fex::render_fex_test(self),
            ReproForm::C => c::render_c_program(self),
            ReproForm::Nasm => nasm::render_nasm_program(self),
            ReproForm::Case => Ok(self.snip().render_text()),
        }
    }

    fn snip(&self) -> Snip {
        Snip {
            title: self.title.clone(),
            notes: self.notes.clone(),
            needs: self.needs.clone(),
            case: self.case.clone(),
            end: Some(SnipExpectation::from_observation(
                self.case,
                self.expected.clone(),
                self.covered,
            )),
        }
    }

    /// Title and notes, each line behind `mark`.
    fn heading(&self, mark: &str) -> String {
        let lines = std::iter::once(self.title.as_str()).chain(self.notes.iter().map(String::as_str));
        let line = |line: &str| {
            // Nothing in a note may end the comment it stands in.
            let line: String = line.chars().filter(|c| !c.is_control()).collect();
            format!("{}\n", format!("{mark} {line}").trim_end())
        };
        lines.map(line).collect()
    }
}
