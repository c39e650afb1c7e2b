//! Results that own their bytes: they outlive the engine's next batch, and can be kept, sent and read back.
//!
//! They do not hold the groups that were run; whoever keeps them keeps those too, or what names them.

use snippex_core::codec::CodecError;
use snippex_core::group::Group;
use snippex_core::state::Components;
use snippex_runner::layout::{RunOutput, VectorFile, WireBlock, WireLine};
use thiserror::Error;

use super::ending::ParkedPages;
use super::{Results, ResultsKind, RunOutcome, Unsupported};
use crate::end_state::{EndStates, Vectors};
use crate::lower::{Lowered, lower_block};
#[cfg(feature = "recordings")]
use crate::plan::NO_BLOCK;

/// Results of one batch on one engine, with bytes of their own.
#[derive(Clone, Debug)]
pub struct OwnedResults {
    pub(super) lowered: Vec<Option<Lowered>>,
    pub(super) unsupported: Vec<Option<Unsupported>>,
    pub(super) components: Components,
    pub(super) kind: OwnedKind,
}

#[derive(Clone, Debug)]
pub(super) enum OwnedKind {
    /// As the guest left them.
    Raw(RawResults),
    /// Made by an engine in this process, group by group.
    Made(Vec<Vec<RunOutcome>>),
}

/// A copy of what matters in the shared file.
#[derive(Clone, Debug, Default)]
pub(crate) struct RawResults {
    pub(super) blocks: Vec<WireBlock>,
    pub(super) outputs: Vec<RunOutput>,
    /// Of each run, its place in `vectors`; beyond the end when it stored nothing there.
    pub(super) vector_index: Vec<u32>,
    pub(super) vectors: Vec<VectorFile>,
    pub(super) lines: Vec<WireLine>,
    /// Pages at which runs faulted though something was mapped there, in ascending order.
    pub(super) parked: Vec<u64>,
}

/// Why results cannot be read.
#[derive(Debug, Error)]
pub enum ResultsError {
    /// The bytes are not those of results.
    #[error("failed to read the results of a batch; run the batch again")]
    Codec(#[from] CodecError),
    /// They are of another batch.
    #[error("the results are of another batch: {0}; give the groups that were run")]
    OtherBatch(&'static str),
}

impl OwnedResults {
    pub(super) fn from_results(results: &Results<'_>) -> Self {
        let kind = match &results.kind {
            ResultsKind::Made(outcomes) => OwnedKind::Made(outcomes.to_vec()),
            ResultsKind::Raw {
                blocks,
                ends,
                lines,
                parked,
            } => OwnedKind::Raw(RawResults::of(blocks, *ends, lines, *parked)),
        };
        Self {
            lowered: results.lowered.to_vec(),
            unsupported: results.unsupported.to_vec(),
            components: results.components,
            kind,
        }
    }

    /// Results of an engine that computes or looks up outcomes: `outcomes[g][s]` is that of start `s` of group `g`. A group
    /// whose block cannot run on any engine needs none.
    ///
    /// # Errors
    /// [`ResultsError::OtherBatch`] when an outcome is missing or one too many.
    pub fn of_outcomes(
        groups: &[Group],
        components: Components,
        outcomes: Vec<Vec<RunOutcome>>,
    ) -> Result<Self, ResultsError> {
        let lowered = groups
            .iter()
            .map(|group| lower_block(&group.block, group.placement));
        let (lowered, unsupported) = lowered
            .map(|lowered| match lowered {
                Ok(lowered) => (Some(lowered), None),
                Err(error) => (None, Some(Unsupported::Block(error))),
            })
            .unzip();
        let results = Self {
            lowered,
            unsupported,
            components,
            kind: OwnedKind::Made(outcomes),
        };
        results.view(groups)?;
        Ok(results)
    }

    /// Results that an engine has kept as a guest would have left them.
    #[cfg(feature = "recordings")]
    pub(crate) fn of_raw(
        lowered: Vec<Option<Lowered>>,
        unsupported: Vec<Option<Unsupported>>,
        components: Components,
        raw: RawResults,
    ) -> Self {
        Self {
            lowered,
            unsupported,
            components,
            kind: OwnedKind::Raw(raw),
        }
    }

    /// The results, to be asked and compared as an engine's own; `groups` are those that were run. They are not compared
    /// with what was run beyond their number and that of their starts.
    ///
    /// # Errors
    /// [`ResultsError::OtherBatch`] when these numbers differ.
    pub fn view<'e>(&'e self, groups: &'e [Group]) -> Result<Results<'e>, ResultsError> {
        self.check(groups)?;
        let kind = match &self.kind {
            OwnedKind::Made(outcomes) => ResultsKind::Made(outcomes),
            OwnedKind::Raw(raw) => raw.view(),
        };
        Ok(Results {
            groups,
            lowered: &self.lowered,
            unsupported: &self.unsupported,
            components: self.components,
            kind,
        })
    }

    fn check(&self, groups: &[Group]) -> Result<(), ResultsError> {
        let counts: Vec<usize> = match &self.kind {
            OwnedKind::Made(outcomes) => outcomes.iter().map(Vec::len).collect(),
            OwnedKind::Raw(raw) => raw.blocks.iter().map(|block| block.run_count as usize).collect(),
        };
        if groups.len() != counts.len() || groups.len() != self.unsupported.len() {
            return Err(ResultsError::OtherBatch("it has more or fewer groups"));
        }
        let mut all = groups.iter().zip(&counts).zip(&self.unsupported);
        match all.all(|((group, &count), reason)| reason.is_some() || group.starts.len() == count) {
            true => Ok(()),
            false => Err(ResultsError::OtherBatch("a group has more or fewer starts")),
        }
    }
}

impl RawResults {
    fn of(blocks: &[WireBlock], ends: EndStates<'_>, lines: &[WireLine], parked: ParkedPages<'_>) -> Self {
        let mut raw = Self {
            blocks: blocks.to_vec(),
            outputs: ends.outputs.to_vec(),
            vector_index: Vec::with_capacity(ends.outputs.len()),
            vectors: Vec::new(),
            lines: lines.to_vec(),
            parked: parked.asked_for(ends.outputs),
        };
        for (run, output) in ends.outputs.iter().enumerate() {
            let file = (output.stored != 0).then(|| ends.vectors.of_run(run));
            raw.push_vectors(file);
        }
        raw
    }

    /// Adds the next group, how each of its runs ended.
    #[cfg(feature = "recordings")]
    pub(crate) fn push_group<'r>(
        &mut self,
        runs: impl ExactSizeIterator<Item = (RunOutput, Option<&'r VectorFile>, &'r [WireLine])>,
    ) {
        let number = |length: usize| u32::try_from(length).expect("a batch has few runs");
        self.blocks.push(WireBlock {
            first_run: number(self.outputs.len()),
            run_count: number(runs.len()),
            ..NO_BLOCK
        });
        for (output, file, lines) in runs {
            self.outputs.push(RunOutput {
                first_line: number(self.lines.len()),
                line_count: number(lines.len()),
                ..output
            });
            self.push_vectors(file);
            self.lines.extend_from_slice(lines);
        }
    }

    /// Adds what the next run has stored of x87 and vectors.
    pub(super) fn push_vectors(&mut self, file: Option<&VectorFile>) {
        let index = file.map_or(u32::MAX, |_| {
            u32::try_from(self.vectors.len()).expect("a batch has few runs")
        });
        self.vector_index.push(index);
        self.vectors.extend(file);
    }

    fn view(&self) -> ResultsKind<'_> {
        ResultsKind::Raw {
            blocks: &self.blocks,
            ends: self.end_states(),
            lines: &self.lines,
            parked: ParkedPages::Listed(&self.parked),
        }
    }

    pub(super) fn end_states(&self) -> EndStates<'_> {
        EndStates {
            outputs: &self.outputs,
            vectors: Vectors::Stored {
                index: &self.vector_index,
                files: &self.vectors,
            },
        }
    }
}
