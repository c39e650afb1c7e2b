//! What a check found: counted while reports come, then shown to people or programs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cli_kit::{Failure, Format};
use serde::Serialize;
use snippex_blocks::generate::Coverage;
use snippex_core::block::Block;
use snippex_core::codec::CaseId;
use snippex_core::diff::Difference;
use snippex_core::effects::Rule;
use snippex_exec::check::{BlockReport, Finding, Inconclusive, Summary};
use snippex_store::{BlockNumber, DivergenceId, RunId, StoreHandle};
use snippex_triage::cause::CauseId;
use snippex_triage::signature::SignatureId;

use super::bugs::BugView;
use super::coverage::CoverageView;
use super::difference::sentence;
use super::selection::SelectionView;
use super::{summary, word};
use crate::app::App;
use crate::args::PartitionArg;
use crate::checking::Target;
use crate::engines::EngineView;
use crate::tell::OrTell;

/// A block with divergences, for programs.
#[derive(Debug, Serialize)]
pub(crate) struct BlockOutcome<'a> {
    r#type: &'static str,
    block: BlockNumber,
    binary: String,
    /// Address in the file.
    address: String,
    /// Hexadecimal.
    bytes: String,
    runs: u64,
    diverged: u64,
    findings: Vec<FindingView<'a>>,
}

#[derive(Debug, Serialize)]
struct FindingView<'a> {
    kind: String,
    instruction: Option<&'a str>,
    /// The first start state that shows it, from 0.
    state: usize,
    case: String,
    /// Runs of the block that diverge alike.
    runs: u64,
    differences: &'a [Difference],
    /// The bugs that it comes from, and the signatures in which they show.
    bugs: Vec<&'a CauseId>,
    signatures: Vec<SignatureId>,
}

impl<'a> BlockOutcome<'a> {
    pub(crate) fn new(number: BlockNumber, block: &Block, binary: String, report: &'a BlockReport) -> Self {
        Self {
            r#type: "block",
            block: number,
            binary,
            address: format!("{:#x}", block.address),
            bytes: block.bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
            runs: report.runs,
            diverged: report.diverged,
            findings: report.findings.iter().map(FindingView::new).collect(),
        }
    }
}

impl<'a> FindingView<'a> {
    fn new(finding: &'a Finding) -> Self {
        let class = &finding.divergence.class;
        Self {
            kind: word(&class.kind),
            instruction: class.culprit.as_ref().map(|culprit| culprit.form.as_str()),
            state: finding.start,
            case: CaseId::of(&finding.case).to_string(),
            runs: finding.runs,
            differences: &finding.divergence.differences,
            bugs: each_once(finding.shares.iter().map(|share| &share.cause)),
            signatures: each_once(finding.shares.iter().map(|share| share.signature.id())),
        }
    }
}

/// Without what came before, in the same order.
fn each_once<T: PartialEq>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut once = Vec::new();
    for item in items {
        if !once.contains(&item) {
            once.push(item);
        }
    }
    once
}

/// Divergences of one kind, put down to one instruction.
#[derive(Debug, Serialize)]
pub(crate) struct Group {
    pub(crate) kind: String,
    /// Mnemonic and operand kinds of the instruction at which the engines part.
    pub(crate) instruction: Option<String>,
    pub(crate) runs: u64,
    pub(crate) blocks: u64,
    pub(crate) example: Example,
}

/// One divergence of a group: that of the lowest block and state.
#[derive(Debug, Serialize)]
pub(crate) struct Example {
    /// Its number in the database.
    pub(crate) divergence: Option<DivergenceId>,
    pub(crate) block: BlockNumber,
    pub(crate) state: u32,
    /// Its first difference in words.
    pub(crate) what: String,
}

/// What was found so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) summary: Summary,
    groups: BTreeMap<(String, Option<String>), Group>,
    /// Blocks and runs by kind of divergence.
    kinds: BTreeMap<String, (u64, u64)>,
    /// Blocks with divergences, kept for an answer in one document.
    kept: Vec<serde_json::Value>,
}

/// What else a summary tells.
#[derive(Debug)]
pub(crate) struct SummaryInputs<'a> {
    pub(crate) run: RunId,
    pub(crate) complete: bool,
    pub(crate) elapsed: Duration,
    pub(crate) seed: u64,
    pub(crate) states: u32,
    pub(crate) threads: u32,
    pub(crate) partition: Option<PartitionArg>,
    pub(crate) engines: Vec<EngineView>,
    pub(crate) targets: &'a [Target],
    /// Of generated blocks.
    pub(crate) coverage: Option<Coverage>,
}

/// The last object of an answer for programs.
#[derive(Debug, Serialize)]
pub(crate) struct SummaryView<'a> {
    r#type: &'static str,
    run: RunId,
    /// Whether every block was done.
    complete: bool,
    runs: u64,
    elapsed_s: f64,
    runs_per_second: f64,
    completed: u64,
    faulted: u64,
    matched: u64,
    diverged: u64,
    inconclusive: u64,
    unsupported: u64,
    engines: &'a [EngineView],
    blocks: u64,
    diverging_blocks: u64,
    blocks_not_run: BTreeMap<&'a str, u64>,
    divergences: Vec<&'a Group>,
    /// Bugs that the run has met, the most frequent first; known ones say so.
    bugs: &'a [BugView],
    inconclusive_by_reason: BTreeMap<String, u64>,
    unsupported_by_reason: &'a BTreeMap<String, u64>,
    /// Matches in which bits were passed over that the manuals leave open, by rule.
    excused_by_rule: BTreeMap<&'static str, u64>,
    seed: u64,
    states: u32,
    threads: u32,
    partition: Option<String>,
    binaries: Vec<String>,
    /// Why blocks were chosen, by the binary that they are of; empty unless that was asked for.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    selection: BTreeMap<String, &'a SelectionView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    coverage: Option<CoverageView<'a>>,
}

/// A reason for an inconclusive run as a word.
pub(crate) fn reason(reason: &Inconclusive) -> String {
    match reason {
        Inconclusive::Deviation(id) => format!("documented: {id}"),
        other => word(other),
    }
}

impl Report {
    /// Counts a report.
    pub(crate) fn add(&mut self, number: BlockNumber, report: &BlockReport) {
        self.summary.add(report);
        self.add_counted(report);
        let mut seen = BTreeSet::new();
        let mut seen_kinds = BTreeSet::new();
        for finding in &report.findings {
            let class = &finding.divergence.class;
            let key = (
                word(&class.kind),
                class.culprit.as_ref().map(|culprit| culprit.form.clone()),
            );
            let example = || Example {
                divergence: None,
                block: number,
                state: finding.start as u32,
                what: finding
                    .divergence
                    .differences
                    .first()
                    .map(sentence)
                    .unwrap_or_default(),
            };
            let group = self.groups.entry(key.clone()).or_insert_with(|| Group {
                kind: key.0.clone(),
                instruction: key.1.clone(),
                runs: 0,
                blocks: 0,
                example: example(),
            });
            group.runs += finding.runs;
            if (number, finding.start as u32) < (group.example.block, group.example.state) {
                group.example = example();
            }
            let kind = self.kinds.entry(key.0.clone()).or_default();
            kind.1 += finding.runs;
            if seen_kinds.insert(key.0.clone()) {
                kind.0 += 1;
            }
            if seen.insert(key) {
                group.blocks += 1;
            }
        }
    }

    /// Counts runs that diverge like kept ones.
    fn add_counted(&mut self, report: &BlockReport) {
        let mut seen_kinds = BTreeSet::new();
        for (class, runs) in &report.counted {
            let key = (
                word(&class.kind),
                class.culprit.as_ref().map(|culprit| culprit.form.clone()),
            );
            let found = |finding: &Finding| finding.divergence.class == *class;
            let new_block = !report.findings.iter().any(found);
            let group = self.groups.entry(key.clone()).or_insert_with(|| Group {
                kind: key.0.clone(),
                instruction: key.1.clone(),
                runs: 0,
                blocks: 0,
                example: Example {
                    divergence: None,
                    block: BlockNumber(i64::MAX),
                    state: 0,
                    what: String::new(),
                },
            });
            group.runs += runs;
            group.blocks += u64::from(new_block);
            let kind = self.kinds.entry(key.0.clone()).or_default();
            kind.1 += runs;
            let other = |finding: &Finding| word(&finding.divergence.class.kind) == key.0;
            if seen_kinds.insert(key.0.clone()) && !report.findings.iter().any(other) {
                kind.0 += 1;
            }
        }
    }

    /// Keeps a block for the answer in one document.
    pub(crate) fn keep(&mut self, outcome: &BlockOutcome<'_>) {
        self.kept
            .push(serde_json::to_value(outcome).expect("plain data is JSON"));
    }

    /// Asks the database for the numbers of the examples.
    pub(crate) fn find_examples(&mut self, store: &StoreHandle, run: RunId) -> Result<(), Failure> {
        for group in self.groups.values_mut() {
            let block = group.example.block;
            let stored = store
                .call(async move |store| store.divergences(Some(run), Some(block), None, u32::MAX).await)
                .or_tell()?;
            let found = stored
                .iter()
                .find(|stored| stored.state_index == group.example.state);
            group.example.divergence = found.map(|stored| stored.id);
        }
        Ok(())
    }

    /// Blocks and runs by kind of divergence.
    pub(crate) fn kinds(&self) -> &BTreeMap<String, (u64, u64)> {
        &self.kinds
    }

    /// Groups, those with the most blocks first.
    pub(crate) fn groups(&self) -> Vec<&Group> {
        let mut groups: Vec<&Group> = self.groups.values().collect();
        groups.sort_by_key(|group| std::cmp::Reverse((group.blocks, group.runs)));
        groups
    }

    /// Prints the answer.
    pub(crate) fn print(
        &mut self,
        app: &App<'_>,
        inputs: &SummaryInputs<'_>,
        bugs: &[BugView],
    ) -> Result<(), Failure> {
        let mut kept = std::mem::take(&mut self.kept);
        kept.sort_by_key(|block| block["block"].as_i64());
        let view = self.view(inputs, bugs);
        match app.format {
            Format::Human => app
                .printer
                .text(summary::text(self, inputs, bugs, app.printer.width())),
            Format::Jsonl => app.printer.json_line(&view),
            Format::Json => {
                let summary = serde_json::to_value(&view).expect("plain data is JSON");
                app.printer
                    .json(&serde_json::json!({"blocks": kept, "summary": summary}))
            }
        }
    }

    fn view<'a>(&'a self, inputs: &'a SummaryInputs<'_>, bugs: &'a [BugView]) -> SummaryView<'a> {
        let summary = &self.summary;
        let elapsed = inputs.elapsed.as_secs_f64();
        let mut blocks_not_run = BTreeMap::new();
        for (reason, count) in inputs.targets.iter().flat_map(|target| &target.left_out) {
            *blocks_not_run.entry(reason.as_str()).or_default() += count;
        }
        SummaryView {
            r#type: "summary",
            run: inputs.run,
            complete: inputs.complete,
            runs: summary.runs,
            elapsed_s: elapsed,
            runs_per_second: summary.runs as f64 / elapsed.max(1e-9),
            completed: summary.completed,
            faulted: summary.faulted,
            matched: summary.matched,
            diverged: summary.diverged,
            inconclusive: summary.inconclusive_runs(),
            unsupported: summary.unsupported_runs(),
            engines: &inputs.engines,
            blocks: summary.blocks,
            diverging_blocks: summary.diverging_blocks,
            blocks_not_run,
            divergences: self.groups(),
            bugs,
            inconclusive_by_reason: summary
                .inconclusive
                .iter()
                .map(|(why, runs)| (reason(why), *runs))
                .collect(),
            unsupported_by_reason: &summary.unsupported,
            excused_by_rule: summary
                .excused
                .iter()
                .map(|(rule, runs)| (rule_id(*rule), *runs))
                .collect(),
            seed: inputs.seed,
            states: inputs.states,
            threads: inputs.threads,
            partition: inputs
                .partition
                .map(|part| format!("{}/{}", part.index, part.count)),
            binaries: inputs.targets.iter().map(|target| target.source.path()).collect(),
            selection: inputs
                .targets
                .iter()
                .filter_map(|target| Some((target.source.path(), target.selection.as_ref()?)))
                .collect(),
            coverage: inputs.coverage.as_ref().map(CoverageView::new),
        }
    }
}

fn rule_id(rule: Rule) -> &'static str {
    rule.info().id
}
