//! What a check reports: counts and findings of a block, and their totals.

use std::collections::BTreeMap;

use snippex_core::case::{Case, PageAccess};
use snippex_core::diff::{Class, Divergence, Field, InconclusiveReason};
use snippex_core::effects::Rule;
use snippex_core::observation::Observation;
use snippex_triage::cause::Attribution;

use crate::reduce::Bug;
use crate::results::Unsupported;

/// A difference that one block showed, with the first case that showed it.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Number of the start state, 0-based.
    pub start: usize,
    /// Everything needed to run it again.
    pub case: Case,
    /// On the reference engine.
    pub expected: Observation,
    /// On the subject.
    pub actual: Observation,
    /// What differs.
    pub divergence: Divergence,
    /// Runs of the block whose divergence begins at the same instruction in the same way.
    pub runs: u64,
    /// What is behind it, each cause with what shows of it.
    pub attributions: Vec<Attribution>,
}

impl Finding {
    /// Whether both diverge at the same instruction in the same way, by the same causes.
    fn begins_like(&self, other: &Self) -> bool {
        let fields = |finding: &Self| -> Vec<Field> {
            let differences = finding.divergence.differences.iter();
            differences.map(|difference| difference.field).collect()
        };
        self.divergence.class == other.divergence.class
            && self.attributions == other.attributions
            && (!self.attributions.is_empty() || fields(self) == fields(other))
    }
}

fn add_counts<K: Ord>(to: &mut BTreeMap<K, u64>, from: BTreeMap<K, u64>) {
    for (key, count) in from {
        *to.entry(key).or_default() += count;
    }
}

/// What a check sends as it goes.
#[derive(Clone, Debug)]
pub enum CheckReport {
    /// A block is done.
    Block(Box<BlockReport>),
    /// A bug that was met before has been reduced.
    Bugs {
        /// Position of the block that showed it.
        index: usize,
        /// The bug, and others that its case shows.
        bugs: Vec<Bug>,
    },
    /// Processes of an engine did not come up, and were started again.
    FailedStarts {
        /// Name of the engine.
        engine: String,
        /// How many.
        count: u32,
    },
}

impl CheckReport {
    /// The report on a block, if it is one.
    #[must_use]
    pub fn into_block_report(self) -> Option<BlockReport> {
        match self {
            Self::Block(report) => Some(*report),
            Self::Bugs { .. } | Self::FailedStarts { .. } => None,
        }
    }
}

/// Why runs were inconclusive, as counted in reports.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Inconclusive {
    /// The reference engine did not end.
    ReferenceHung,
    /// The reference engine died.
    ReferenceDied,
    /// An undefined or implementation-defined bit decides the endpoint.
    OpenEndpoint,
    /// Undefined data was stored where the analysis cannot follow.
    OpenMemory,
    /// The engine documents that it ends otherwise.
    Deviation(String),
    /// A divergence did not show again when the case was run alone in fresh processes.
    NotRepeated,
    /// A divergence shows again and again in a process that has run the case before, and in no fresh one.
    UsedProcess,
    /// The instruction at which the engines part uses memory where the runner's own lies.
    RunnerMemory,
}

/// What was found out about one block.
#[derive(Clone, Debug)]
pub struct BlockReport {
    /// Position in the list of blocks that was given.
    pub index: usize,
    /// The pages that its cases have: run-time addresses in ascending order, and what may be done with each.
    pub pages: Vec<(u64, PageAccess)>,
    /// Cases that were made.
    pub runs: u64,
    /// Runs that reached the terminator on the reference engine, its target known.
    pub completed: u64,
    /// Runs that ended in a signal on the reference engine.
    pub faulted: u64,
    /// Runs in which all defined bits agree.
    pub matched: u64,
    /// Runs in which they do not, confirmed.
    pub diverged: u64,
    /// Runs without a verdict, by reason.
    pub inconclusive: BTreeMap<Inconclusive, u64>,
    /// Runs that an engine does not support, and why.
    pub unsupported: Option<(Unsupported, u64)>,
    /// Matches in which undefined or implementation-defined bits were passed over, by rule.
    pub excused: BTreeMap<Rule, u64>,
    /// Matches in which the engine differs as it documents, by the deviation's id.
    pub deviations: BTreeMap<String, u64>,
    /// One entry for each class.
    pub findings: Vec<Finding>,
    /// Those that show only in a process that has run the case before; their runs are inconclusive.
    pub in_used_processes: Vec<Finding>,
    /// Runs of the block in which each bug showed.
    pub sightings: BTreeMap<Attribution, u64>,
    /// Shares of bugs that were met for the first time, each with its case.
    pub bugs: Vec<Bug>,
    /// Runs that diverge like findings that were kept before (see [`super::CheckOptions::keep`]), by class.
    pub counted: Vec<(Class, u64)>,
}

impl BlockReport {
    /// A report on the block at `index` in which nothing is counted yet but its `runs`.
    #[must_use]
    pub fn new(index: usize, runs: u64) -> Self {
        Self {
            index,
            pages: Vec::new(),
            runs,
            completed: 0,
            faulted: 0,
            matched: 0,
            diverged: 0,
            inconclusive: BTreeMap::new(),
            unsupported: None,
            excused: BTreeMap::new(),
            deviations: BTreeMap::new(),
            findings: Vec::new(),
            in_used_processes: Vec::new(),
            sightings: BTreeMap::new(),
            bugs: Vec::new(),
            counted: Vec::new(),
        }
    }

    /// Adds what was found out about other starts of the same block, the first of which is number `first_start`.
    pub(super) fn add_part(&mut self, part: Self, first_start: usize) {
        self.runs += part.runs;
        self.completed += part.completed;
        self.faulted += part.faulted;
        self.matched += part.matched;
        self.diverged += part.diverged;
        add_counts(&mut self.inconclusive, part.inconclusive);
        add_counts(&mut self.excused, part.excused);
        add_counts(&mut self.deviations, part.deviations);
        if let Some((reason, runs)) = part.unsupported {
            self.unsupported.get_or_insert((reason, 0)).1 += runs;
        }
        for mut finding in part.findings {
            finding.start += first_start;
            match self.findings.iter_mut().find(|known| known.begins_like(&finding)) {
                Some(known) => known.runs += finding.runs,
                None => self.findings.push(finding),
            }
        }
    }

    /// Counts the runs of a finding as inconclusive.
    pub(super) fn set_aside(&mut self, finding: &Finding, reason: Inconclusive) {
        self.diverged -= finding.runs;
        *self.inconclusive.entry(reason).or_default() += finding.runs;
    }

    /// Counts a finding that is like others, by what is behind it.
    pub(super) fn count_similar_finding(&mut self, finding: &Finding, attributions: &[Attribution]) {
        self.sight(finding, attributions);
        let class = &finding.divergence.class;
        match self.counted.iter_mut().find(|(known, _)| known == class) {
            Some((_, runs)) => *runs += finding.runs,
            None => self.counted.push((class.clone(), finding.runs)),
        }
    }

    /// Adds a confirmed finding whose divergence begins as `class` says. Findings that begin alike are one: what
    /// differs at the end of the block depends on the start state.
    pub(super) fn add_finding(
        &mut self,
        mut finding: Finding,
        class: Class,
        attributions: Vec<Attribution>,
        new: Vec<Bug>,
    ) {
        finding.divergence.class = class;
        self.sight(&finding, &attributions);
        self.bugs.extend(new);
        match self
            .findings
            .iter_mut()
            .find(|known| known.divergence.class == finding.divergence.class)
        {
            Some(known) => {
                known.runs += finding.runs;
                known.attributions.extend(attributions);
                known.attributions.sort_unstable();
                known.attributions.dedup();
            }
            None => {
                finding.attributions = attributions;
                self.findings.push(finding);
            }
        }
    }

    fn sight(&mut self, finding: &Finding, attributions: &[Attribution]) {
        for attribution in attributions {
            *self.sightings.entry(attribution.clone()).or_default() += finding.runs;
        }
    }
}

impl From<InconclusiveReason> for Inconclusive {
    fn from(reason: InconclusiveReason) -> Self {
        match reason {
            InconclusiveReason::ExpectedHung => Self::ReferenceHung,
            InconclusiveReason::ExpectedDied => Self::ReferenceDied,
            InconclusiveReason::OpenEndpoint { .. } => Self::OpenEndpoint,
            InconclusiveReason::OpenMemory { .. } => Self::OpenMemory,
            InconclusiveReason::Deviation { id, .. } => Self::Deviation(id.into_owned()),
        }
    }
}

/// Totals over all reports of a check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckSummary {
    /// Blocks reported.
    pub blocks: u64,
    /// Runs in all.
    pub runs: u64,
    /// Runs that reached the terminator on the reference engine.
    pub completed: u64,
    /// Runs that ended in a signal there.
    pub faulted: u64,
    /// Runs that match.
    pub matched: u64,
    /// Runs that diverge.
    pub diverged: u64,
    /// Blocks with at least one divergence.
    pub diverging_blocks: u64,
    /// Runs without a verdict, by reason.
    pub inconclusive: BTreeMap<Inconclusive, u64>,
    /// Runs that were not done, by reason (in words).
    pub unsupported: BTreeMap<String, u64>,
    /// Matches that passed over undefined bits, by rule.
    pub excused: BTreeMap<Rule, u64>,
    /// Matches in which the engine differs as it documents, by the deviation's id.
    pub deviations: BTreeMap<String, u64>,
}

impl CheckSummary {
    /// Adds a block's counts.
    pub fn add_report(&mut self, report: &BlockReport) {
        self.blocks += 1;
        self.runs += report.runs;
        self.completed += report.completed;
        self.faulted += report.faulted;
        self.matched += report.matched;
        self.diverged += report.diverged;
        self.diverging_blocks += u64::from(!report.findings.is_empty() || !report.counted.is_empty());
        for (reason, count) in &report.inconclusive {
            *self.inconclusive.entry(reason.clone()).or_default() += count;
        }
        if let Some((reason, count)) = &report.unsupported {
            *self.unsupported.entry(reason.to_string()).or_default() += count;
        }
        for (rule, count) in &report.excused {
            *self.excused.entry(*rule).or_default() += count;
        }
        for (id, count) in &report.deviations {
            *self.deviations.entry(id.clone()).or_default() += count;
        }
    }

    /// Runs without a verdict.
    #[must_use]
    pub fn inconclusive_runs(&self) -> u64 {
        self.inconclusive.values().sum()
    }

    /// Runs that were not done.
    #[must_use]
    pub fn unsupported_runs(&self) -> u64 {
        self.unsupported.values().sum()
    }
}
