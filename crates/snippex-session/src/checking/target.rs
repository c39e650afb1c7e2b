//! What is checked: a target before its turn, its blocks while they are run, a summary afterwards.

use std::collections::BTreeMap;
use std::sync::Arc;

use snippex_blocks::extract::extract_blocks;
use snippex_blocks::select::{Filter, Selection, SelectionReport, SelectionRequest, select_blocks};
use snippex_core::block::{Block, Unrunnable};
use snippex_core::words::kebab_case;
use snippex_exec::recording::Recording;
use snippex_store::{Added, BlockNumber, Partition, StoreHandle};

use super::{SessionEvent, SessionObserver};
use crate::recording::source_of_recording;
use crate::{
    BinaryFile, BlockSource, Forms, Generated, ProgramFile, SessionError, StoredTarget, store_blocks,
};

/// Which blocks of a program are run.
#[derive(Clone, Debug)]
pub struct TargetChoice {
    /// Blocks that count.
    pub filter: Filter,
    /// Which of them are taken.
    pub request: SelectionRequest,
    /// Whether the reasons are kept, which takes memory for each block.
    pub keep_report: bool,
}

/// What is to be checked, before its blocks are held.
#[derive(Debug)]
pub enum CheckTarget<'s> {
    /// A program, whose blocks are extracted, chosen and stored when it is its turn.
    Program(ProgramFile, &'s TargetChoice),
    /// Blocks made from the instruction set, stored when it is their turn.
    Generated(Generated),
    /// Blocks of one binary that the database has, read when it is their turn.
    Stored(StoredTarget),
    /// The blocks of a recording, stored when it is their turn.
    Recorded(Arc<Recording>),
}

/// Why blocks were chosen, with their numbers.
#[derive(Debug)]
pub struct StoredSelection {
    /// The reasons.
    pub report: SelectionReport,
    /// The number in the database of each chosen block, by its number among all of the program.
    pub numbers: BTreeMap<usize, BlockNumber>,
}

impl StoredSelection {
    /// The reasons of `selection`, whose blocks were stored as `added` says.
    #[must_use]
    pub fn new(selection: Selection, added: Option<&Added>) -> Self {
        let numbers = added.iter().flat_map(|added| added.numbers.iter().copied());
        Self {
            numbers: selection.numbers.iter().copied().zip(numbers).collect(),
            report: selection.report,
        }
    }
}

/// What stays of a target when its blocks are done.
#[derive(Debug)]
pub struct TargetSummary {
    /// Absolute path of the program, or the request that its blocks were made of.
    pub path: String,
    /// Blocks that are not run, by reason.
    pub left_out: BTreeMap<Unrunnable, u64>,
    /// Of generated blocks: the forms they are of, in order; else none.
    pub forms: Forms,
    /// Why the blocks were chosen, when that was asked for.
    pub selection: Option<StoredSelection>,
}

/// Blocks of `targets` that are not run, by reason.
#[must_use]
pub fn blocks_not_run(targets: &[TargetSummary]) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for (reason, count) in targets.iter().flat_map(|target| &target.left_out) {
        *sums.entry(kebab_case(reason)).or_default() += count;
    }
    sums
}

impl TargetSummary {
    fn new(path: String) -> Self {
        Self {
            path,
            left_out: BTreeMap::new(),
            forms: Forms::new(),
            selection: None,
        }
    }
}

/// A target with the blocks of it that are run.
#[derive(Debug)]
pub(super) struct PreparedTarget {
    pub(super) source: BlockSource,
    pub(super) blocks: Vec<(BlockNumber, Arc<Block>)>,
    pub(super) summary: TargetSummary,
}

impl PreparedTarget {
    /// Of `blocks`, each with its number and its place among those of the source, those of `part` that can run.
    fn new(
        source: BlockSource,
        blocks: impl IntoIterator<Item = (BlockNumber, u64, Block)>,
        part: Option<Partition>,
    ) -> Self {
        let mut target = Self {
            blocks: Vec::new(),
            summary: TargetSummary::new(source.path()),
            source,
        };
        for (number, place, block) in blocks {
            if part.is_some_and(|part| !is_of_part(part, place)) {
                continue;
            }
            match block.unrunnable {
                Some(reason) => *target.summary.left_out.entry(reason).or_default() += 1,
                None => target.blocks.push((number, Arc::new(block))),
            }
        }
        target
    }
}

/// Whether the item at `place` (from 0) belongs to a part.
fn is_of_part(part: Partition, place: u64) -> bool {
    place % u64::from(part.count) == u64::from(part.index - 1)
}

impl CheckTarget<'_> {
    /// Gets hold of the blocks.
    pub(super) fn prepare_blocks(
        self,
        store: &StoreHandle,
        part: Option<Partition>,
        observer: &mut dyn SessionObserver,
    ) -> Result<PreparedTarget, SessionError> {
        match self {
            Self::Program(program, choice) => of_program(program.read_file()?, choice, store, part, observer),
            Self::Generated(generated) => of_generated(generated, store, part),
            Self::Recorded(recording) => of_recording(&recording, store, part),
            Self::Stored(stored) => {
                let (source, blocks) = stored.load_source_and_blocks(store)?;
                let blocks = blocks.into_iter().map(|stored| {
                    let place = stored.number.0.unsigned_abs();
                    (stored.number, place, stored.block)
                });
                Ok(PreparedTarget::new(source, blocks, part))
            }
        }
    }

    /// What is said of a target whose turn never came.
    pub(super) fn into_skipped_summary(self) -> TargetSummary {
        TargetSummary::new(match self {
            Self::Program(program, _) => program.path(),
            Self::Generated(generated) => generated.request.source_name(),
            Self::Stored(stored) => stored.path,
            Self::Recorded(recording) => recording.about().source.name().to_owned(),
        })
    }
}

/// Extracts, selects and stores the blocks of one program.
fn of_program(
    file: BinaryFile,
    choice: &TargetChoice,
    store: &StoreHandle,
    part: Option<Partition>,
    observer: &mut dyn SessionObserver,
) -> Result<PreparedTarget, SessionError> {
    let image = file.parse_image()?;
    observer.on_event(SessionEvent::Extracting(&file));
    let index = extract_blocks(&image);
    let selection = select_blocks(&index, &choice.filter, &choice.request);
    observer.on_event(SessionEvent::Chosen {
        file: &file,
        found: index.len(),
        selection: &selection,
    });
    let blocks: Vec<Block> = selection
        .numbers
        .iter()
        .filter_map(|&number| index.get(number))
        .collect();
    let described = file.to_new_binary(&image);
    drop(index);
    observer.on_event(SessionEvent::Storing(&file));
    let (added, blocks) = if blocks.is_empty() {
        (None, blocks)
    } else {
        let (added, blocks) = store_blocks(store, &described, blocks)?;
        (Some(added), blocks)
    };
    // The place in the program's own list does not depend on the selection.
    let places = selection.numbers.iter().map(|&place| place as u64);
    let numbers = added.iter().flat_map(|added| added.numbers.iter().copied());
    let numbered = numbers.zip(places).zip(blocks);
    let numbered: Vec<_> = numbered
        .map(|((number, place), block)| (number, place, block))
        .collect();
    drop(image);
    let mut target = PreparedTarget::new(BlockSource::File(file), numbered, part);
    target.summary.selection = choice
        .keep_report
        .then(|| StoredSelection::new(selection, added.as_ref()));
    Ok(target)
}

/// Stores generated blocks and makes them ready to be run.
fn of_generated(
    mut generated: Generated,
    store: &StoreHandle,
    part: Option<Partition>,
) -> Result<PreparedTarget, SessionError> {
    let added = generated.store_blocks(store)?;
    let numbers = added.map(|added| added.numbers).unwrap_or_default();
    let blocks = numbers
        .into_iter()
        .zip(generated.blocks)
        .enumerate()
        .map(|(place, (number, block))| (number, place as u64, block));
    let source = BlockSource::generated_as(generated.request.source_name());
    let mut target = PreparedTarget::new(source, blocks, part);
    target.summary.forms = generated.forms;
    Ok(target)
}

/// Stores the blocks of a recording and makes them ready to be run.
fn of_recording(
    recording: &Recording,
    store: &StoreHandle,
    part: Option<Partition>,
) -> Result<PreparedTarget, SessionError> {
    let source = source_of_recording(recording)?;
    let described = match &source {
        BlockSource::File(file) => file.to_new_binary(&file.parse_image()?),
        BlockSource::Generated(request) => {
            BlockSource::describe_generated(request, recording.id().to_string(), recording.len() as u64)
        }
    };
    let (added, blocks) = store_blocks(store, &described, recording.blocks())?;
    let blocks = (added.numbers.into_iter().zip(blocks).enumerate())
        .map(|(place, (number, block))| (number, place as u64, block));
    Ok(PreparedTarget::new(source, blocks, part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_everything_once() {
        for place in 0..12 {
            let parts = (1..=5).filter(|&index| is_of_part(Partition { index, count: 5 }, place));
            assert_eq!(parts.count(), 1);
        }
    }
}
