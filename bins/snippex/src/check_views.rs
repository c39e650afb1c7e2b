//! What a check found as the views show it.

use snippex_core::block::Block;
use snippex_core::codec::CaseId;
use snippex_core::words::kebab_case;
use snippex_exec::check::{BlockReport, Finding};
use snippex_report::bugs::BugView;
use snippex_report::cache::CacheUseView;
use snippex_report::check::{BlockOutcome, CheckSummary, FindingView, GroupExample, GroupView};
use snippex_report::{EngineView, format_hex};
use snippex_session::{CacheUse, CheckOutcome, DivergenceGroup, blocks_not_run, inconclusive_word};
use snippex_store::{BlockNumber, Partition};

use crate::choosing::selection_view;

/// What was asked for, as the summary repeats it.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) seed: u64,
    pub(crate) states: u32,
    pub(crate) threads: u32,
    pub(crate) partition: Option<Partition>,
}

/// A block with divergences.
pub(crate) fn block_outcome<'a>(
    number: BlockNumber,
    block: &Block,
    binary: &'a str,
    report: &'a BlockReport,
) -> BlockOutcome<'a> {
    BlockOutcome {
        block: number.0,
        binary,
        address: format!("{:#x}", block.address),
        bytes: format_hex(&block.bytes),
        origin: kebab_case(&block.origin),
        runs: report.runs,
        diverged: report.diverged,
        findings: report.findings.iter().map(finding_view).collect(),
    }
}

fn finding_view(finding: &Finding) -> FindingView<'_> {
    let class = &finding.divergence.class;
    FindingView {
        kind: kebab_case(&class.kind),
        instruction: class.culprit.as_ref().map(|culprit| culprit.form.as_str()),
        state: finding.start,
        case: CaseId::from_case(&finding.case).to_string(),
        runs: finding.runs,
        differences: &finding.divergence.differences,
        bugs: dedup_in_order(finding.attributions.iter().map(|attribution| &attribution.cause)),
        signatures: dedup_in_order(
            finding
                .attributions
                .iter()
                .map(|attribution| attribution.signature.id()),
        ),
    }
}

/// Without what came before, in the same order.
fn dedup_in_order<T: PartialEq>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut once = Vec::new();
    for item in items {
        if !once.contains(&item) {
            once.push(item);
        }
    }
    once
}

fn group_view(group: &DivergenceGroup) -> GroupView {
    let example = &group.example;
    GroupView {
        kind: group.kind.clone(),
        instruction: group.instruction.clone(),
        runs: group.runs,
        blocks: group.blocks,
        example: GroupExample {
            divergence: example.divergence.map(|id| id.0),
            block: example.block.0,
            state: example.state,
            what: example.what.clone(),
        },
    }
}

/// The summary of a check.
pub(crate) fn check_summary(
    outcome: CheckOutcome,
    asked: &Asked,
    engines: Vec<EngineView>,
    bugs: Vec<BugView>,
) -> CheckSummary {
    let tally = &outcome.tally;
    let summary = &tally.summary;
    let elapsed = outcome.elapsed.as_secs_f64();
    CheckSummary {
        run: outcome.run.0,
        complete: outcome.complete,
        runs: summary.runs,
        elapsed_s: elapsed,
        runs_per_second: summary.runs as f64 / elapsed.max(1e-9),
        completed: summary.completed,
        faulted: summary.faulted,
        matched: summary.matched,
        diverged: summary.diverged,
        inconclusive: summary.inconclusive_runs(),
        unsupported: summary.unsupported_runs(),
        engines,
        blocks: summary.blocks,
        diverging_blocks: summary.diverging_blocks,
        diverging_swept_blocks: tally.diverging_swept_blocks(),
        blocks_not_run: blocks_not_run(&outcome.targets),
        divergences: tally.sorted_groups().into_iter().map(group_view).collect(),
        kinds: tally.kinds().clone(),
        bugs,
        inconclusive_by_reason: summary
            .inconclusive
            .iter()
            .map(|(why, runs)| (inconclusive_word(why), *runs))
            .collect(),
        unsupported_by_reason: summary.unsupported.clone(),
        excused_by_rule: summary
            .excused
            .iter()
            .map(|(rule, runs)| (rule.info().id, *runs))
            .collect(),
        seed: asked.seed,
        states: asked.states,
        threads: asked.threads,
        partition: asked
            .partition
            .map(|part| format!("{}/{}", part.index, part.count)),
        binaries: outcome.targets.iter().map(|target| target.path.clone()).collect(),
        selection: outcome
            .targets
            .into_iter()
            .filter_map(|target| Some((target.path, selection_view(&target.selection?))))
            .collect(),
        coverage: outcome.coverage,
        cache: outcome.cache.as_ref().map(cache_use_view),
    }
}

fn cache_use_view(cache: &CacheUse) -> CacheUseView {
    CacheUseView {
        looked_up: cache.looked_up,
        hits: cache.hits,
        diverging: cache.diverging,
        stored: cache.stored,
        saved_s: cache.saved.as_secs_f64(),
    }
}
