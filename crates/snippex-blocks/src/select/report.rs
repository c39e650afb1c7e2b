//! Why blocks were chosen.

use std::collections::BTreeMap;

use super::category::Category;

/// A reason to choose a block.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExclusionReason {
    /// Drawn at random from those that match.
    Drawn,
    /// All that match were taken.
    All,
    /// The first, or another one, of its shape: terminator, kinds of instructions, size.
    Shape(String),
    /// Among the most complex, with this score.
    Complexity(u32),
    /// Has an instruction that is rare in this binary.
    RareInstruction {
        /// The instruction's form as the manuals write it, such as `BSF r64, r/m64`.
        form: String,
        /// Blocks that match and have it.
        occurrences: u64,
    },
    /// Has an operand `[base + index*scale + displacement]`.
    ScaledOperand,
    /// Has several memory operands.
    SeveralMemoryOperands,
    /// Mixes integer operands of several sizes.
    MixedWidths,
    /// Belongs to a category in which emulators have had bugs.
    KnownProblem(Category),
}

/// A block that was chosen.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Chosen {
    /// Number of the block in the index.
    pub number: usize,
    /// File address.
    pub address: u64,
    /// Complexity score, see [`super::Features::complexity`].
    pub complexity: u32,
    /// Why, weightiest first.
    pub reasons: Vec<ExclusionReason>,
}

/// How many blocks have a complexity from `from` on, up to the next bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ComplexityBucket {
    /// Least score of the bucket.
    pub from: u32,
    /// Blocks that match the filter.
    pub matching: usize,
    /// Of these, chosen.
    pub chosen: usize,
}

/// What was chosen and why.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct SelectionReport {
    /// Blocks in the binary.
    pub blocks: usize,
    /// Blocks that match the filter.
    pub matching: usize,
    /// The chosen, in the order of choice.
    pub chosen: Vec<Chosen>,
    /// For each category the number of matching and of chosen blocks.
    pub categories: BTreeMap<Category, (usize, usize)>,
    /// Distribution of complexity, ascending.
    pub complexity: Vec<ComplexityBucket>,
}

/// Least scores of the buckets.
const BUCKETS: [u32; 7] = [0, 5, 10, 20, 40, 80, 160];

/// Counts for a report while blocks are looked at.
#[derive(Debug)]
pub(super) struct SelectionTally {
    categories: BTreeMap<Category, (usize, usize)>,
    complexity: Vec<ComplexityBucket>,
}

impl SelectionTally {
    pub(super) fn new() -> Self {
        Self {
            categories: Category::ALL.map(|category| (category, (0, 0))).into(),
            complexity: BUCKETS
                .map(|from| ComplexityBucket {
                    from,
                    matching: 0,
                    chosen: 0,
                })
                .into(),
        }
    }

    /// Counts a block: its categories as bits, its complexity, and whether it was chosen rather than matching.
    pub(super) fn count_block(&mut self, categories: u16, complexity: u32, chosen: bool) {
        for (category, (matching, taken)) in &mut self.categories {
            if categories & category.bit() != 0 {
                *(if chosen { &mut *taken } else { &mut *matching }) += 1;
            }
        }
        let bucket = BUCKETS.partition_point(|&from| from <= complexity) - 1;
        let bucket = &mut self.complexity[bucket];
        *(if chosen {
            &mut bucket.chosen
        } else {
            &mut bucket.matching
        }) += 1;
    }

    pub(super) fn into_report(self, blocks: usize, matching: usize, chosen: Vec<Chosen>) -> SelectionReport {
        SelectionReport {
            blocks,
            matching,
            chosen,
            categories: self.categories,
            complexity: self.complexity,
        }
    }
}
