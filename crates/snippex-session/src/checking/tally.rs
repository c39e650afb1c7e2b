//! What was found so far, counted while reports come.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use iced_x86::Code;
use snippex_blocks::generate::Form;
use snippex_blocks::select::block_features;
use snippex_core::block::{Block, Origin};
use snippex_core::diff::Class;
use snippex_core::words::{difference_sentence, kebab_case};
use snippex_exec::check::{BlockReport, CheckSummary, Finding};
use snippex_store::{BlockNumber, DivergenceId, GroupCounts, RunId, StoreHandle};

use crate::SessionError;

/// Divergences of one kind, put down to one instruction.
#[derive(Clone, Debug)]
pub struct DivergenceGroup {
    /// What kind of divergence it is.
    pub kind: String,
    /// Mnemonic and operand kinds of the instruction at which the engines part.
    pub instruction: Option<String>,
    /// Runs that diverge so.
    pub runs: u64,
    /// Blocks with such runs.
    pub blocks: u64,
    /// One of them.
    pub example: DivergenceExample,
}

/// One divergence of a group: that of the lowest block and state.
#[derive(Clone, Debug)]
pub struct DivergenceExample {
    /// Its number in the database, once that is known.
    pub divergence: Option<DivergenceId>,
    /// The block that showed it.
    pub block: BlockNumber,
    /// Number of the start state, from 0.
    pub state: u32,
    /// Its first difference in words.
    pub what: String,
}

/// What makes divergences a group: their kind, and the instruction at which they begin.
type GroupKey = (String, Option<String>);

/// Totals of a check, and its divergences in groups.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Totals.
    pub summary: CheckSummary,
    groups: BTreeMap<GroupKey, DivergenceGroup>,
    kinds: BTreeMap<String, (u64, u64)>,
    of_binaries: BTreeMap<String, GroupCounts>,
    of_instructions: BTreeMap<&'static str, GroupCounts>,
    of_extensions: BTreeMap<Arc<str>, GroupCounts>,
    /// Extensions of the instructions that were met, each named once.
    extensions: HashMap<Code, Arc<str>>,
    diverging_swept_blocks: u64,
}

impl Tally {
    /// Counts a report for the binary that its block is of, and for the kinds of instructions in it.
    pub(super) fn add_to_groups(&mut self, binary: &str, block: &Block, report: &BlockReport) {
        let is_diverging = report.diverged > 0;
        self.diverging_swept_blocks += u64::from(is_diverging && block.origin == Origin::Sweep);
        let count = |counts: &mut GroupCounts| {
            counts.blocks += 1;
            counts.diverging_blocks += u64::from(is_diverging);
            counts.runs += report.runs;
            counts.diverged += report.diverged;
        };
        match self.of_binaries.get_mut(binary) {
            Some(counts) => count(counts),
            None => count(self.of_binaries.entry(binary.to_owned()).or_default()),
        }
        let features = block_features(&block.bytes, block.address);
        for kind in features.kinds.names() {
            count(self.of_instructions.entry(kind).or_default());
        }
        for extension in self.extensions_of(&features.opcodes) {
            count(self.of_extensions.entry(extension).or_default());
        }
    }

    /// The extensions that instructions need, each once.
    fn extensions_of(&mut self, opcodes: &[Code]) -> Vec<Arc<str>> {
        let mut found: Vec<Arc<str>> = Vec::new();
        for &code in opcodes {
            let name = self
                .extensions
                .entry(code)
                .or_insert_with(|| Form::of_code(code).extension().into());
            if !found.contains(name) {
                found.push(Arc::clone(name));
            }
        }
        found
    }

    /// Diverging blocks that linear sweep found: they may be data.
    #[must_use]
    pub fn diverging_swept_blocks(&self) -> u64 {
        self.diverging_swept_blocks
    }

    /// Counts by binary.
    pub(super) fn of_binaries(&self) -> &BTreeMap<String, GroupCounts> {
        &self.of_binaries
    }

    /// Counts by kind of instruction.
    pub(super) fn of_instructions(&self) -> &BTreeMap<&'static str, GroupCounts> {
        &self.of_instructions
    }

    /// Counts by extension of the instruction set.
    pub(super) fn of_extensions(&self) -> &BTreeMap<Arc<str>, GroupCounts> {
        &self.of_extensions
    }

    /// Counts a report.
    pub(super) fn add_report(&mut self, number: BlockNumber, report: &BlockReport) {
        self.summary.add_report(report);
        self.add_counted(report);
        let mut seen = BTreeSet::new();
        let mut seen_kinds = BTreeSet::new();
        for finding in &report.findings {
            let key = key(&finding.divergence.class);
            let is_new_kind = seen_kinds.insert(key.0.clone());
            self.add_kind(&key.0, finding.runs, is_new_kind);
            let group = self.group(&key);
            group.runs += finding.runs;
            group.blocks += u64::from(seen.insert(key));
            if (number, finding.start as u32) < (group.example.block, group.example.state) {
                group.example = DivergenceExample::new(number, finding);
            }
        }
    }

    /// Counts runs that diverge like kept ones.
    fn add_counted(&mut self, report: &BlockReport) {
        let mut seen_kinds = BTreeSet::new();
        for (class, runs) in &report.counted {
            let key = key(class);
            let same_class = |finding: &Finding| finding.divergence.class == *class;
            let same_kind = |finding: &Finding| finding.divergence.class.kind == class.kind;
            let is_new_kind = seen_kinds.insert(key.0.clone()) && !report.findings.iter().any(same_kind);
            self.add_kind(&key.0, *runs, is_new_kind);
            let group = self.group(&key);
            group.runs += runs;
            group.blocks += u64::from(!report.findings.iter().any(same_class));
        }
    }

    fn add_kind(&mut self, kind: &str, more: u64, is_new: bool) {
        let (blocks, runs) = self.kinds.entry(kind.to_owned()).or_default();
        *blocks += u64::from(is_new);
        *runs += more;
    }

    fn group(&mut self, key: &GroupKey) -> &mut DivergenceGroup {
        self.groups.entry(key.clone()).or_insert_with(|| DivergenceGroup {
            kind: key.0.clone(),
            instruction: key.1.clone(),
            runs: 0,
            blocks: 0,
            example: DivergenceExample::none(),
        })
    }

    /// Asks the database for the numbers of the examples.
    pub(super) fn find_examples(&mut self, store: &StoreHandle, run: RunId) -> Result<(), SessionError> {
        for group in self.groups.values_mut() {
            let block = group.example.block;
            let stored = store.call_and_wait(async move |store| {
                store
                    .list_divergences(Some(run), Some(block), None, u32::MAX)
                    .await
            })?;
            let found = stored
                .iter()
                .find(|stored| stored.state_index == group.example.state);
            group.example.divergence = found.map(|stored| stored.id);
        }
        Ok(())
    }

    /// Blocks and runs by kind of divergence.
    #[must_use]
    pub fn kinds(&self) -> &BTreeMap<String, (u64, u64)> {
        &self.kinds
    }

    /// Groups, those with the most blocks first.
    #[must_use]
    pub fn sorted_groups(&self) -> Vec<&DivergenceGroup> {
        let mut groups: Vec<&DivergenceGroup> = self.groups.values().collect();
        groups.sort_by_key(|group| std::cmp::Reverse((group.blocks, group.runs)));
        groups
    }
}

fn key(class: &Class) -> GroupKey {
    let culprit = class.culprit.as_ref();
    (
        kebab_case(&class.kind),
        culprit.map(|culprit| culprit.form.clone()),
    )
}

impl DivergenceExample {
    fn new(block: BlockNumber, finding: &Finding) -> Self {
        let first = finding.divergence.differences.first();
        Self {
            divergence: None,
            block,
            state: finding.start as u32,
            what: first.map(difference_sentence).unwrap_or_default(),
        }
    }

    /// Above every other, for groups of which runs are only counted.
    fn none() -> Self {
        Self {
            divergence: None,
            block: BlockNumber(i64::MAX),
            state: 0,
            what: String::new(),
        }
    }
}
