//! Smart selection: the most promising block first, where each reason counts half as much every time it has been
//! used. A block's worth never grows while others are chosen, so that a queue of outdated worths suffices
//! (Minoux, "Accelerated greedy algorithms for maximizing submodular set functions", 1978).

use std::collections::{BTreeMap, BinaryHeap};

use iced_x86::Code;

use super::category::Category;
use super::features::Features;
use super::report::ExclusionReason;
use super::strategy::{BlockShape, SelectionRequest, Strategy, block_shape, features_by_number, shape_name};
use crate::extract::BlockIndex;
use snippex_core::random::Random;

/// Worth of a category of known problems the first time it is chosen.
const KNOWN_PROBLEM: u64 = 1 << 20;
/// Worth of one of the forms that mislead address computation and register allocation.
const FORM: u64 = 1 << 19;
/// Worth of an instruction, for each power of two that it is rarer than [`COMMON`].
const RARITY: u64 = 1 << 17;
/// An instruction is rare when fewer than one in this many are like it.
const COMMON: u64 = 256;
/// Worth of a shape, under [`Strategy::Diverse`].
const SHAPE: u64 = 1 << 19;
/// Worth of a point of complexity, under [`Strategy::Complex`].
const COMPLEXITY: u64 = 1 << 13;

/// A reason in compact form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Opcode(u16),
    Category(u8),
    Scaled,
    SeveralMemory,
    MixedWidths,
    Shape(u32),
}

/// The reasons of all candidates, one after the other.
struct FeatureTable {
    keys: Vec<Key>,
    /// For each candidate the end of its keys, and its complexity.
    ends: Vec<(usize, u32)>,
    worth: BTreeMap<Key, u64>,
    occurrences: Vec<u64>,
    shapes: Vec<BlockShape>,
}

/// The `count` most promising of the candidates, with reasons.
pub(super) fn select_greedily(
    index: &BlockIndex<'_, '_>,
    candidates: &[usize],
    request: &SelectionRequest,
    count: usize,
) -> Vec<(usize, Vec<ExclusionReason>)> {
    let mut table = table(index, candidates, request.strategy);
    let root = Random::new(request.seed);
    let mut queue: BinaryHeap<(u64, u64, usize)> = (0..candidates.len())
        .map(|at| {
            let tie = root.derive_stream(&[candidates[at] as u64]).next_u64();
            (table.worth(at, request.strategy), tie, at)
        })
        .collect();
    let mut chosen = Vec::with_capacity(count);
    while let Some((worth, tie, at)) = queue.pop() {
        let now = table.worth(at, request.strategy);
        if now < worth {
            queue.push((now, tie, at));
            continue;
        }
        chosen.push((candidates[at], table.take(at, request.strategy)));
        if chosen.len() == count {
            break;
        }
    }
    chosen
}

fn table(index: &BlockIndex<'_, '_>, candidates: &[usize], strategy: Strategy) -> FeatureTable {
    let mut occurrences = vec![0_u64; Code::values().len()];
    for &number in candidates {
        for opcode in features_by_number(index, number).opcodes {
            occurrences[opcode as usize] += 1;
        }
    }
    let total: u64 = occurrences.iter().sum();
    let mut table = FeatureTable {
        keys: Vec::new(),
        ends: Vec::with_capacity(candidates.len()),
        worth: BTreeMap::new(),
        occurrences,
        shapes: Vec::new(),
    };
    let mut shapes: BTreeMap<BlockShape, u32> = BTreeMap::new();
    for &number in candidates {
        let features = features_by_number(index, number);
        table.add(&features, total);
        if strategy == Strategy::Diverse {
            let shape = block_shape(index, number, &features);
            let next = shapes.len() as u32;
            let key = Key::Shape(*shapes.entry(shape).or_insert(next));
            if table.worth.insert(key, SHAPE).is_none() {
                table.shapes.push(shape);
            }
            table.keys.push(key);
        }
        table.ends.push((table.keys.len(), features.complexity()));
    }
    table
}

impl FeatureTable {
    fn add(&mut self, features: &Features, total: u64) {
        let forms = [
            (Key::Scaled, features.scaled_operands > 0),
            (Key::SeveralMemory, features.memory_operands > 1),
            (Key::MixedWidths, features.mixes_widths()),
        ];
        let forms = forms
            .into_iter()
            .filter(|&(_, present)| present)
            .map(|(key, _)| (key, FORM));
        let categories = features
            .category_list()
            .map(|category| (Key::Category(category as u8), KNOWN_PROBLEM));
        let rare = features.opcodes.iter().filter_map(|&opcode| {
            let rarity = total / (COMMON * self.occurrences[opcode as usize].max(1));
            (rarity > 0).then(|| (Key::Opcode(opcode as u16), RARITY * u64::from(rarity.ilog2() + 1)))
        });
        let found: Vec<_> = forms.chain(categories).chain(rare).collect();
        for (key, worth) in found {
            self.worth.entry(key).or_insert(worth);
            self.keys.push(key);
        }
    }

    fn keys(&self, at: usize) -> &[Key] {
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before].0);
        &self.keys[start..self.ends[at].0]
    }

    fn worth(&self, at: usize, strategy: Strategy) -> u64 {
        let complexity = if strategy == Strategy::Complex {
            COMPLEXITY * u64::from(self.ends[at].1)
        } else {
            0
        };
        self.keys(at).iter().map(|key| self.worth[key]).sum::<u64>() + complexity
    }

    /// Halves what the block's reasons are worth, and says what they were, weightiest first.
    fn take(&mut self, at: usize, strategy: Strategy) -> Vec<ExclusionReason> {
        let mut reasons: Vec<(u64, Key)> = self.keys(at).iter().map(|&key| (self.worth[&key], key)).collect();
        reasons.sort_by_key(|&(worth, key)| (std::cmp::Reverse(worth), key));
        for (_, key) in &reasons {
            self.worth.entry(*key).and_modify(|worth| *worth /= 2);
        }
        let mut named: Vec<ExclusionReason> = reasons
            .into_iter()
            .filter(|&(worth, _)| worth > 0)
            .map(|(_, key)| self.reason(key))
            .collect();
        if strategy == Strategy::Complex {
            named.push(ExclusionReason::Complexity(self.ends[at].1));
        }
        if named.is_empty() {
            named.push(ExclusionReason::Drawn);
        }
        named
    }

    fn reason(&self, key: Key) -> ExclusionReason {
        match key {
            Key::Opcode(opcode) => {
                let form = Code::try_from(usize::from(opcode)).map_or_else(
                    |_| String::new(),
                    |code| code.op_code().instruction_string().to_owned(),
                );
                ExclusionReason::RareInstruction {
                    form,
                    occurrences: self.occurrences[usize::from(opcode)],
                }
            }
            Key::Category(category) => ExclusionReason::KnownProblem(Category::ALL[usize::from(category)]),
            Key::Scaled => ExclusionReason::ScaledOperand,
            Key::SeveralMemory => ExclusionReason::SeveralMemoryOperands,
            Key::MixedWidths => ExclusionReason::MixedWidths,
            Key::Shape(shape) => ExclusionReason::Shape(shape_name(self.shapes[shape as usize])),
        }
    }
}
