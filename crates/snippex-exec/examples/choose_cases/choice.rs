//! Which case of an instruction tells most.

use std::error::Error;

use iced_x86::Mnemonic;
use snippex_blocks::generate::Form;
use snippex_core::case::Case;
use snippex_core::diff::{Comparison, Divergence, Tolerance, compare_observations};
use snippex_core::group::Group;
use snippex_core::observation::{Endpoint, Observation};
use snippex_exec::RunOutcome;
use snippex_exec::engine::Engine;

const SIGBUS: u8 = 7;

/// This CPU and an emulator.
pub(crate) struct Both {
    pub(crate) native: Box<dyn Engine>,
    pub(crate) subject: Box<dyn Engine>,
    pub(crate) tolerance: Tolerance,
}

/// A case with its end.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) case: Case,
    pub(crate) end: Observation,
    /// What the emulator does otherwise.
    pub(crate) divergence: Option<Divergence>,
    /// How much it tells.
    pub(crate) score: usize,
}

/// Not: what AMD's processors decode or compute otherwise than Intel's within what the manuals say, and what has no effect
/// that a case could show.
pub(crate) fn is_portable(form: Form) -> bool {
    use Mnemonic as M;
    !matches!(
        form.code().mnemonic(),
        M::Ud0
            | M::Ud1
            | M::Ud2
            | M::Int3
            | M::Fsin
            | M::Fcos
            | M::Fsincos
            | M::Fptan
            | M::Fpatan
            | M::Fyl2x
            | M::Fyl2xp1
            | M::F2xm1
            | M::Fxsave
            | M::Fxsave64
            | M::Fxrstor
            | M::Fxrstor64
            | M::Fnsave
            | M::Fsave
            | M::Fnstenv
            | M::Fstenv
            | M::Rcpps
            | M::Rcpss
            | M::Rsqrtps
            | M::Rsqrtss
            | M::Vrcpps
            | M::Vrcpss
            | M::Vrsqrtps
            | M::Vrsqrtss
    )
}

impl Both {
    /// How `case` ends natively, and what the emulator does otherwise; `None` when it says nothing.
    pub(crate) fn compare_case(&mut self, case: Case) -> Result<Option<Candidate>, Box<dyn Error>> {
        let groups = [Group::from_case(&case)];
        let RunOutcome::Ran(end) = self.native.run(&groups)?.outcome(0, 0) else {
            return Ok(None);
        };
        let covered = self
            .native
            .identity()
            .components
            .intersection(self.subject.identity().components);
        let divergence = match self.subject.run(&groups)?.outcome(0, 0) {
            RunOutcome::Unsupported(_) => None,
            RunOutcome::Ran(actual) => {
                match compare_observations(&case, &end, &actual, covered, &self.tolerance) {
                    Comparison::Match(_) => None,
                    Comparison::Diverged(divergence) => Some(divergence),
                    Comparison::Inconclusive(_) => return Ok(None),
                }
            }
        };
        let score = score(&case, &end);
        Ok((score > 0).then_some(Candidate {
            case,
            end: *end,
            divergence,
            score,
        }))
    }
}

/// The runs of `group` that say something.
pub(crate) fn find_candidates(group: &Group, engines: &mut Both) -> Result<Vec<Candidate>, Box<dyn Error>> {
    let mut found = Vec::new();
    for start in 0..group.starts.len() {
        found.extend(engines.compare_case(group.case_at(start))?);
    }
    Ok(found)
}

/// More for more that changed; little for a fault.
fn score(case: &Case, end: &Observation) -> usize {
    match end.endpoint {
        Endpoint::Hung | Endpoint::EngineDied { .. } => return 0,
        // Of alignment checks one case is enough: it is among the known ones.
        Endpoint::Signal(signal) if signal.number == SIGBUS => return 0,
        Endpoint::Signal(_) => return 1,
        Endpoint::Exit { .. } => {}
    }
    let (before, after) = (&case.state, &end.state);
    let changed = |count: usize, differs: bool| count + usize::from(differs);
    let gprs = before
        .gpr
        .iter()
        .zip(&after.gpr)
        .map(|(a, b)| a != b)
        .fold(0, changed);
    let vectors = before
        .vectors
        .iter()
        .zip(&after.vectors)
        .map(|(a, b)| a != b)
        .fold(0, changed);
    let masks = before
        .opmask
        .iter()
        .zip(&after.opmask)
        .map(|(a, b)| a != b)
        .fold(0, changed);
    let stack = before
        .x87
        .st
        .iter()
        .zip(&after.x87.st)
        .map(|(a, b)| a != b)
        .fold(0, changed);
    let control =
        usize::from(before.mxcsr != after.mxcsr) + usize::from(before.x87.status != after.x87.status);
    let flags = (before.rflags ^ after.rflags).count_ones() as usize;
    let changes = 4 * (gprs + vectors + masks + stack + end.memory.len()) + 2 * control + flags;
    if changes == 0 { 0 } else { 1 + changes }
}
