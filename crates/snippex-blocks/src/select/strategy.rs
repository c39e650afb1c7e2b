//! Which of the blocks that match are taken.

use std::collections::BTreeMap;

use super::features::{Features, block_features};
use super::filter::Filter;
use super::greedy::select_greedily;
use super::report::{Chosen, ExclusionReason, SelectionReport, SelectionTally};
use crate::extract::BlockIndex;
use snippex_core::block::Terminator;
use snippex_core::decode::Kinds;
use snippex_core::random::Random;

/// How blocks are chosen among those that match.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// Every block has the same chance.
    #[default]
    Random,
    /// As many shapes (terminator, kinds of instructions, size) as possible.
    Diverse,
    /// The most complex first.
    Complex,
}

/// What to choose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SelectionRequest {
    /// The order of preference.
    pub strategy: Strategy,
    /// Prefer what is likely to show a bug: rare instructions, scaled operands, several memory operands, mixed
    /// widths, categories of known problems; each counts less the more often it has been chosen.
    pub smart: bool,
    /// How many at most; all that match when absent.
    pub count: Option<usize>,
    /// Decides what the rest leaves open.
    pub seed: u64,
}

/// Chosen blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// Numbers of the chosen blocks in the index, ascending.
    pub numbers: Vec<usize>,
    /// Why, and what they cover.
    pub report: SelectionReport,
}

/// Numbers of the blocks that match, ascending. Its length is what `--dry-run` shows.
#[must_use]
pub fn matching(index: &BlockIndex<'_, '_>, filter: &Filter) -> Vec<usize> {
    (0..index.len())
        .filter(|&number| filter.matches_at(index, number))
        .collect()
}

/// Chooses blocks. Empty when nothing matches; whether that deserves a warning is the caller's to say.
#[must_use]
pub fn select_blocks(index: &BlockIndex<'_, '_>, filter: &Filter, request: &SelectionRequest) -> Selection {
    let candidates = matching(index, filter);
    let count = request.count.unwrap_or(candidates.len()).min(candidates.len());
    let mut tally = SelectionTally::new();
    let mut order: Vec<(usize, Vec<ExclusionReason>)> = if count == candidates.len() {
        candidates
            .iter()
            .map(|&number| (number, vec![ExclusionReason::All]))
            .collect()
    } else if request.smart {
        select_greedily(index, &candidates, request, count)
    } else {
        match request.strategy {
            Strategy::Random => random(&candidates, request.seed, count),
            Strategy::Diverse => diverse(index, &candidates, request.seed, count),
            Strategy::Complex => complex(index, &candidates, request.seed, count),
        }
    };
    order.truncate(count);
    // Decoded once each: there may be millions, and all may be chosen.
    let scores: Vec<(u16, u32)> = candidates
        .iter()
        .map(|&number| {
            let features = features_by_number(index, number);
            (features.categories, features.complexity())
        })
        .collect();
    for &(categories, complexity) in &scores {
        tally.count_block(categories, complexity, false);
    }
    let chosen = order.into_iter().map(|(number, reasons)| {
        let at = candidates
            .binary_search(&number)
            .expect("what is chosen is one of the candidates, which ascend");
        let (categories, complexity) = scores[at];
        tally.count_block(categories, complexity, true);
        let address = index.entry_at(number).map_or(0, |entry| entry.address);
        Chosen {
            number,
            address,
            complexity,
            reasons,
        }
    });
    let chosen: Vec<Chosen> = chosen.collect();
    let mut numbers: Vec<usize> = chosen.iter().map(|chosen| chosen.number).collect();
    numbers.sort_unstable();
    Selection {
        numbers,
        report: tally.into_report(index.len(), candidates.len(), chosen),
    }
}

/// The features of block number `number`.
pub(super) fn features_by_number(index: &BlockIndex<'_, '_>, number: usize) -> Features {
    let address = index.entry_at(number).map_or(0, |entry| entry.address);
    block_features(index.block_bytes(number).unwrap_or_default(), address)
}

/// Moves `count` random items to the front.
fn shuffle(items: &mut [usize], random: &mut Random, count: usize) {
    for front in 0..count.min(items.len()) {
        let other = front + random.next_below((items.len() - front) as u64) as usize;
        items.swap(front, other);
    }
}

fn random(candidates: &[usize], seed: u64, count: usize) -> Vec<(usize, Vec<ExclusionReason>)> {
    let mut numbers = candidates.to_vec();
    shuffle(&mut numbers, &mut Random::new(seed), count);
    numbers.truncate(count);
    numbers
        .into_iter()
        .map(|number| (number, vec![ExclusionReason::Drawn]))
        .collect()
}

/// What blocks of one shape have in common.
pub(super) type BlockShape = (Terminator, Kinds, bool, u32);

/// The shape of a block: terminator, kinds of instructions, memory operands or none, power of two of its size.
pub(super) fn block_shape(index: &BlockIndex<'_, '_>, number: usize, features: &Features) -> BlockShape {
    let terminator = index
        .entry_at(number)
        .map_or(Terminator::FallThrough, |entry| entry.terminator);
    (
        terminator,
        features.kinds,
        features.memory_operands > 0,
        features.instructions.max(1).ilog2(),
    )
}

pub(super) fn shape_name((terminator, kinds, memory, size): BlockShape) -> String {
    let kinds: Vec<_> = kinds.names().collect();
    let memory = if memory { "with memory" } else { "no memory" };
    format!(
        "{terminator:?}, {}, {memory}, {}-{} instructions",
        kinds.join("+"),
        1 << size,
        (2 << size) - 1
    )
}

/// One of each shape, then a second of each, and so on; rare shapes first.
fn diverse(
    index: &BlockIndex<'_, '_>,
    candidates: &[usize],
    seed: u64,
    count: usize,
) -> Vec<(usize, Vec<ExclusionReason>)> {
    let mut shapes: BTreeMap<BlockShape, Vec<usize>> = BTreeMap::new();
    for &number in candidates {
        shapes
            .entry(block_shape(index, number, &features_by_number(index, number)))
            .or_default()
            .push(number);
    }
    let root = Random::new(seed);
    let mut groups: Vec<(BlockShape, Vec<usize>)> = shapes.into_iter().collect();
    for (number, (_, members)) in groups.iter_mut().enumerate() {
        shuffle(members, &mut root.derive_stream(&[number as u64]), count);
    }
    groups.sort_by_key(|(shape, members)| (members.len(), *shape));
    let rounds = groups.iter().map(|(_, members)| members.len()).max().unwrap_or(0);
    (0..rounds)
        .flat_map(|round| {
            groups.iter().filter_map(move |(shape, members)| {
                Some((
                    *members.get(round)?,
                    vec![ExclusionReason::Shape(shape_name(*shape))],
                ))
            })
        })
        .take(count)
        .collect()
}

fn complex(
    index: &BlockIndex<'_, '_>,
    candidates: &[usize],
    seed: u64,
    count: usize,
) -> Vec<(usize, Vec<ExclusionReason>)> {
    let root = Random::new(seed);
    let mut scored: Vec<_> = candidates
        .iter()
        .map(|&number| {
            let tie = root.derive_stream(&[number as u64]).next_u64();
            (
                std::cmp::Reverse(features_by_number(index, number).complexity()),
                tie,
                number,
            )
        })
        .collect();
    scored.sort_unstable();
    let best = scored.into_iter().take(count);
    best.map(|(score, _, number)| (number, vec![ExclusionReason::Complexity(score.0)]))
        .collect()
}
