//! Regressions that last: those that are said in an issue, and those that are over.

use std::collections::BTreeMap;

use regress_core::detect::VerdictKind;

use super::{JudgingInput, RunVerdicts, StoredVerdict};
use crate::domain::{RunId, SeriesId};

/// The benchmarks that were slower in each of the last `least` runs of the history and in the judged one.
#[must_use]
pub fn find_persistent_regressions(
    input: &JudgingInput,
    verdicts: &RunVerdicts,
    least: usize,
) -> BTreeMap<SeriesId, RunId> {
    let slower = verdicts
        .verdicts
        .iter()
        .filter(|verdict| verdict.kind == VerdictKind::Regression || verdict.since.is_some());
    let first_of = |verdict: &StoredVerdict| {
        let in_a_row: Vec<RunId> = input.streak(verdict.series).map(|(run, _)| run).collect();
        // The judged run is one of them.
        let first = in_a_row.last().filter(|_| in_a_row.len() + 1 >= least)?;
        Some((verdict.series, *first))
    };
    slower.filter_map(first_of).collect()
}

/// The benchmarks that were slower in each of the last `least` runs of the history, and are not in the judged one: since
/// which run they were.
#[must_use]
pub fn find_recovered_regressions(
    input: &JudgingInput,
    verdicts: &RunVerdicts,
    least: usize,
) -> BTreeMap<SeriesId, RunId> {
    let fine = verdicts.verdicts.iter().filter(|verdict| {
        matches!(verdict.kind, VerdictKind::Unchanged | VerdictKind::Improvement) && verdict.since.is_none()
    });
    let first_of = |verdict: &StoredVerdict| {
        let in_a_row: Vec<RunId> = input.streak(verdict.series).map(|(run, _)| run).collect();
        let first = in_a_row.last().filter(|_| in_a_row.len() >= least.max(1))?;
        Some((verdict.series, *first))
    };
    fine.filter_map(first_of).collect()
}
