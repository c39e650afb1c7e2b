//! What is checked: a program and blocks of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use snippex_core::block::{Block, Unrunnable};
use snippex_store::BlockNumber;

use crate::args::PartitionArg;
use crate::generating::Forms;
use crate::source::Source;
use snippex_report::selection::SelectionView;

/// A program, or what stands for one, and the blocks of it that are run.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) source: Source,
    pub(crate) blocks: Vec<(BlockNumber, Arc<Block>)>,
    /// Of generated blocks: the forms they are of, in order; else none.
    pub(crate) forms: Forms,
    /// Blocks that are not run, by reason.
    pub(crate) left_out: BTreeMap<Unrunnable, u64>,
    /// Why the blocks were chosen, when that was asked for.
    pub(crate) selection: Option<SelectionView>,
}

impl Target {
    /// Of `blocks`, each with its number and its place among those of the program, those of `part` that can run.
    pub(crate) fn new(
        source: Source,
        blocks: impl IntoIterator<Item = (BlockNumber, u64, Block)>,
        part: Option<PartitionArg>,
    ) -> Self {
        let mut target = Self {
            source,
            blocks: Vec::new(),
            forms: Forms::new(),
            left_out: BTreeMap::new(),
            selection: None,
        };
        for (number, place, block) in blocks {
            if part.is_some_and(|part| !part.has(place)) {
                continue;
            }
            match &block.unrunnable {
                Some(reason) => *target.left_out.entry(*reason).or_default() += 1,
                None => target.blocks.push((number, Arc::new(block))),
            }
        }
        target
    }

    /// Name of the program.
    pub(crate) fn name(&self) -> String {
        self.source.name()
    }
}

/// What stays of a target when its blocks are done.
#[derive(Debug)]
pub(crate) struct TargetSummary {
    /// Absolute path of the program, or the request that its blocks were made of.
    pub(crate) path: String,
    /// Blocks that are not run, by reason.
    pub(crate) left_out: BTreeMap<Unrunnable, u64>,
    /// Why the blocks were chosen, when that was asked for.
    pub(crate) selection: Option<SelectionView>,
}

impl From<Target> for TargetSummary {
    fn from(target: Target) -> Self {
        Self {
            path: target.source.path(),
            left_out: target.left_out,
            selection: target.selection,
        }
    }
}
