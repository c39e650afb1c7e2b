//! Reduction: which simpler cases to try in place of a diverging one.
//!
//! The [`Reducer`] proposes, in batches, cases that are plainer than the current one: fewer instructions, fewer pages,
//! simpler ones, registers and memory at their reset values, fewer bits that are not, plainer encodings and addresses. Whoever runs
//! them says which still show the bug, and the search goes on from there by delta debugging (`delta`) until nothing
//! plainer does. Every accepted step is plainer by a measure that only falls, so the search ends.
//!
//! Place in the flow: between a divergence and its signature. This module runs nothing and knows no engine; the loop
//! over engines is in `snippex-exec`.

mod cell;
mod code;
mod delta;
mod edit;
mod memory;
mod simpler;

#[cfg(test)]
mod tests;

pub(crate) use code::replace_block_bytes;
pub use code::{block_prefix, instruction_ends, starting_at};

use delta::Delta;
use edit::Edit;
use snippex_core::case::Case;
use snippex_core::state::MachineState;

/// Runs of a reduced case, each in fresh processes of both engines, that a bug counts as confirmed after.
pub const CONFIRMATIONS: u32 = 3;

/// Passes over all stages: a later stage seldom makes an earlier one possible again more than once.
const MAX_PASSES: usize = 4;
/// Cases proposed at a time.
pub const MAX_CANDIDATES: usize = 96;

/// What is made plainer, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Instructions before the last one.
    Instructions,
    /// Simpler ones in place of those that are left.
    Simpler,
    /// Where block and pages lie.
    Places,
    /// Whole pages.
    Pages,
    /// Whole registers, lanes and flags.
    Cells,
    /// Words of memory.
    Words,
    /// Prefixes and the memory operand of the last instruction.
    Encoding,
    /// Single bits of what is left: registers, memory, immediates, displacements.
    Bits,
}

const STAGES: [Stage; 8] = [
    Stage::Instructions,
    Stage::Simpler,
    Stage::Places,
    Stage::Pages,
    Stage::Cells,
    Stage::Words,
    Stage::Encoding,
    Stage::Bits,
];

/// The search for a plainer case that still shows a bug at its last instruction.
#[derive(Debug)]
pub struct Reducer {
    case: Case,
    /// The state that the last instruction met.
    before: Option<MachineState>,
    stage: usize,
    passes: usize,
    progress: bool,
    delta: Delta<Edit>,
    /// Edits of each candidate that was proposed, as positions in the delta's list.
    proposed: Vec<Vec<usize>>,
}

impl Reducer {
    /// Starts at `case`, whose last instruction is the one at fault.
    #[must_use]
    pub fn new(case: Case) -> Self {
        let delta = Delta::new(edit::edits_for_stage(STAGES[0], &case, None));
        Self {
            case,
            before: None,
            stage: 0,
            passes: 0,
            progress: false,
            delta,
            proposed: Vec::new(),
        }
    }

    /// The same, knowing the state that the last instruction met: its values can stand for what computed them.
    #[must_use]
    pub fn with_state_before(self, before: Option<MachineState>) -> Self {
        Self { before, ..self }
    }

    /// The plainest case so far that shows the bug.
    #[must_use]
    pub fn case(&self) -> &Case {
        &self.case
    }

    /// Cases to try, at most [`MAX_CANDIDATES`]; none when the search has ended. [`Reducer::record_outcomes`] comes next.
    pub fn next_candidates(&mut self) -> Vec<Case> {
        loop {
            let mut cases = Vec::new();
            self.proposed.clear();
            let subsets = self.delta.propose_sets(MAX_CANDIDATES);
            if subsets.is_empty() {
                if !self.next_stage() {
                    return Vec::new();
                }
                continue;
            }
            for subset in subsets {
                let edits: Vec<&Edit> = subset.iter().map(|&index| self.delta.item(index)).collect();
                // What cannot be done is as good as refused.
                cases.push(edit::apply_edits(&self.case, &edits));
                self.proposed.push(subset);
            }
            if cases.iter().any(Option::is_some) {
                // Refused ones are proposed as the case itself, so that positions agree; see `learn`.
                return cases
                    .into_iter()
                    .map(|case| case.unwrap_or_else(|| self.case.clone()))
                    .collect();
            }
            let refused = vec![false; cases.len()];
            self.delta.record_outcomes(&refused);
        }
    }

    /// Takes which of the candidates, in their order, still show the bug.
    pub fn record_outcomes(&mut self, kept: &[bool]) {
        let judged: Vec<bool> = self
            .proposed
            .iter()
            .zip(kept)
            .map(|(subset, kept)| {
                let edits: Vec<&Edit> = subset.iter().map(|&index| self.delta.item(index)).collect();
                *kept && edit::apply_edits(&self.case, &edits).is_some()
            })
            .collect();
        self.delta.record_outcomes(&judged);
    }

    /// Takes what the stage came to and goes on to the next. Returns whether there is one.
    fn next_stage(&mut self) -> bool {
        let accepted = self.delta.accepted_items();
        if !accepted.is_empty() {
            let edits: Vec<&Edit> = accepted.iter().map(|&index| self.delta.item(index)).collect();
            if let Some(plainer) = edit::apply_edits(&self.case, &edits) {
                self.case = plainer;
                self.progress = true;
            }
        }
        self.stage += 1;
        if self.stage == STAGES.len() {
            self.passes += 1;
            if !self.progress || self.passes == MAX_PASSES {
                return false;
            }
            self.progress = false;
            self.stage = 0;
        }
        self.delta = Delta::new(edit::edits_for_stage(
            STAGES[self.stage],
            &self.case,
            self.before.as_ref(),
        ));
        true
    }
}
