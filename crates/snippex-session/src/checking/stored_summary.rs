//! The summary of a check as the database keeps it.

use std::collections::BTreeMap;
use std::time::Duration;

use snippex_blocks::generate::Coverage;
use snippex_store::{FormCounts, GroupCounts, RunSummary, SummaryDetails};

use super::blocks_not_run;
use super::{Tally, TargetSummary, inconclusive_word};

/// What is kept of a check whose blocks ran for `elapsed`, but for `cached_runs`, which the cache knew.
pub(super) fn build_run_summary(
    tally: &Tally,
    elapsed: Duration,
    cached_runs: u64,
    targets: &[TargetSummary],
    coverage: Option<&Coverage>,
) -> RunSummary {
    let summary = &tally.summary;
    let inconclusive = summary.inconclusive.iter();
    let excused = summary.excused.iter();
    RunSummary {
        elapsed,
        blocks: summary.blocks,
        diverging_blocks: summary.diverging_blocks,
        runs: summary.runs,
        completed: summary.completed,
        faulted: summary.faulted,
        matched: summary.matched,
        diverged: summary.diverged,
        inconclusive: summary.inconclusive_runs(),
        unsupported: summary.unsupported_runs(),
        details: SummaryDetails {
            cached_runs,
            inconclusive: inconclusive
                .map(|(why, runs)| (inconclusive_word(why), *runs))
                .collect(),
            unsupported: summary.unsupported.clone(),
            excused: excused
                .map(|(rule, runs)| (rule.info().id.to_owned(), *runs))
                .collect(),
            deviations: summary.deviations.clone(),
            blocks_not_run: blocks_not_run(targets),
            coverage: coverage.map(form_counts).unwrap_or_default(),
            binaries: tally.of_binaries().clone(),
            kinds: tally
                .of_instructions()
                .iter()
                .map(|(&name, counts)| (name.to_owned(), *counts))
                .collect(),
            extensions: tally
                .of_extensions()
                .iter()
                .map(|(name, counts)| (name.to_string(), *counts))
                .collect(),
            divergences: tally
                .kinds()
                .iter()
                .map(|(kind, &(blocks, runs))| {
                    let counts = GroupCounts {
                        blocks,
                        diverging_blocks: blocks,
                        runs,
                        diverged: runs,
                    };
                    (kind.clone(), counts)
                })
                .collect(),
        },
    }
}

fn form_counts(coverage: &Coverage) -> BTreeMap<String, FormCounts> {
    let extensions = coverage.extensions.iter();
    let counts = extensions.map(|(name, forms)| {
        let counts = FormCounts {
            forms: forms.forms,
            run: forms.run,
            executable: forms.executable_forms(),
            blocks: forms.blocks,
        };
        (name.clone(), counts)
    });
    counts.collect()
}
