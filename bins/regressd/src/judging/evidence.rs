//! What else that was measured in the same environment says of the machine: other branches, and other repositories.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use regress_core::detect::{Evidence, SuiteShift};
use regress_core::measurement::Measure;
use sqlx::AnyConnection;

use super::{JudgingInput, RunVerdicts};
use crate::database::judgements::{self, OtherRun};
use crate::database::runs::MeasuredRun;
use crate::domain::{RunId, UnixMillis};

/// What happened longer ago says nothing of the machine now.
const RECENT: Duration = Duration::from_secs(24 * 3600);
/// Neighbours that are looked at.
const MAX_NEIGHBOURS: u32 = 20;
/// Two shifts are the same when one is no more than this many times the other.
const ALIKE: f64 = 1.1;

/// What was found, and the runs that have no evidence yet and for which the judged run is some.
#[derive(Debug, Default)]
pub(super) struct Outside {
    pub(super) evidence: BTreeMap<Measure, Evidence>,
    pub(super) judge_again: BTreeSet<RunId>,
}

/// For each of these measures, another branch, or else another repository of the owner, of which most benchmarks moved the
/// same way of late.
///
/// # Errors
/// The driver's.
pub(super) async fn from_outside(
    connection: &mut AnyConnection,
    run: &MeasuredRun,
    input: &JudgingInput,
    shifts: &[SuiteShift],
) -> sqlx::Result<Outside> {
    let since = UnixMillis::now().saturating_sub(RECENT);
    let mut outside = of_branches(connection, run, input, shifts, since).await?;
    let neighbours = judgements::of_neighbours(connection, run.run.stream, since, MAX_NEIGHBOURS).await?;
    for (name, verdicts) in neighbours {
        let Ok(verdicts) = RunVerdicts::from_json(&verdicts) else {
            continue;
        };
        for (shift, other) in pairs(shifts, &verdicts) {
            let evidence = Evidence::OtherRepository {
                name: name.clone(),
                factor: other.factor,
            };
            outside.evidence.entry(shift.measure.clone()).or_insert(evidence);
        }
    }
    Ok(outside)
}

/// The shifts without evidence, each with that of the same measure and direction elsewhere.
fn pairs<'a>(
    shifts: &'a [SuiteShift],
    elsewhere: &'a RunVerdicts,
) -> impl Iterator<Item = (&'a SuiteShift, &'a SuiteShift)> {
    let open = shifts.iter().filter(|shift| shift.evidence.is_none());
    open.filter_map(|shift| {
        let same = |other: &&SuiteShift| {
            other.measure == shift.measure && (other.factor > 1.0) == (shift.factor > 1.0)
        };
        Some((shift, elsewhere.shifts.iter().find(same)?))
    })
}

async fn of_branches(
    connection: &mut AnyConnection,
    run: &MeasuredRun,
    input: &JudgingInput,
    shifts: &[SuiteShift],
    since: UnixMillis,
) -> sqlx::Result<Outside> {
    let mut outside = Outside::default();
    for other in judgements::of_other_commits(connection, run, since, MAX_NEIGHBOURS).await? {
        let Ok(verdicts) = RunVerdicts::from_json(&other.verdicts) else {
            continue;
        };
        if !is_apart(run, input, &other) {
            continue;
        }
        for (shift, there) in pairs(shifts, &verdicts) {
            let ratio = there.factor / shift.factor;
            if !(1.0 / ALIKE..=ALIKE).contains(&ratio) {
                continue;
            }
            let evidence = Evidence::OtherBranch {
                name: other.branch.clone(),
                factor: there.factor,
            };
            outside.evidence.entry(shift.measure.clone()).or_insert(evidence);
            if there.evidence.is_none() {
                outside.judge_again.insert(other.run);
            }
        }
    }
    Ok(outside)
}

/// Whether neither of two runs can have the other's code, as far as webhooks told: open pull requests that are based on
/// what the target branch measured before either moved; and of that branch itself what came after their base.
fn is_apart(run: &MeasuredRun, input: &JudgingInput, other: &OtherRun) -> bool {
    let measured = |commit: &str| {
        let runs = input.commits.iter();
        runs.filter(|(_, one)| &***one == commit)
            .map(|(run, _)| *run)
            .min()
    };
    let base_of_other = other.base.as_deref().and_then(measured);
    let has_base = input
        .base_commit
        .as_ref()
        .is_some_and(|base| base.instead_of.is_none());
    match (
        run.run.pull_request.filter(|_| !input.of_history),
        other.pull_request,
    ) {
        (Some(one), Some(another)) => one != another && other.open && has_base && base_of_other.is_some(),
        // The history that the run is judged by ends at its base.
        (Some(_), None) => {
            let after_base = input
                .history
                .last()
                .is_some_and(|(newest, _)| other.run > *newest);
            has_base && after_base && other.of_history
        }
        (None, Some(_)) => input.of_history && other.open && base_of_other.is_some(),
        (None, None) => false,
    }
}
