//! Reads the case file of a run.

use std::collections::{BTreeSet, HashMap};

use sqlx::AnyConnection;

use super::{CaseFile, Results};
use crate::database::judgements;
use crate::database::runs::{self, Run, RunId};
use crate::database::streams::SeriesName;

/// Reads what `run` is judged by: the `baseline_runs` last runs of its target branch before it, and all runs of its
/// commit up to it.
///
/// # Errors
/// The driver's, or stored results that cannot be read.
pub async fn load_case(
    connection: &mut AnyConnection,
    run: &Run,
    names: HashMap<i64, SeriesName>,
    baseline_runs: u32,
) -> sqlx::Result<CaseFile> {
    let (stream, target) = (run.run.stream, run.run.target.as_str());
    let mut case = CaseFile {
        base: run.run.base.as_deref().map(read).transpose()?,
        of_history: run.run.is_of_history(),
        names,
        ..CaseFile::default()
    };
    for one in runs::of_commit(connection, stream, &run.run.commit).await? {
        // Only runs for the same purpose confirm each other: a branch may be the head of a pull request too.
        if one.id <= run.id && one.run.target == run.run.target {
            case.runs.push((one.id.0, read(&one.run.results)?));
        }
    }
    let newest = runs::history(connection, stream, target, run.id, baseline_runs).await?;
    let oldest = newest.last().map_or(run.id, |(id, ..)| *id);
    for epoch in judgements::epochs(connection, stream, target).await? {
        case.epochs.insert(epoch.series.0, epoch.from_run.0);
    }
    let mut rejected = judgements::rejections(connection, stream, oldest, run.id).await?;
    add(&mut case, newest, &run.run.commit)?;
    // Values that were rejected leave room for older ones: a baseline must not dry up because nobody accepts a shift.
    if !rejected.is_empty() && case.history.len() >= baseline_runs as usize {
        let first = judgements::first_rejection(connection, stream, oldest).await?;
        let before = first.unwrap_or(oldest);
        let older = runs::history(connection, stream, target, before, baseline_runs).await?;
        if let Some((id, ..)) = older.last() {
            rejected.extend(judgements::rejections(connection, stream, *id, oldest).await?);
        }
        add(&mut case, older, &run.run.commit)?;
    }
    case.rejected = rejected
        .into_iter()
        .map(|(series, run)| (series.0, run.0))
        .collect::<BTreeSet<_>>();
    case.history.sort_unstable_by_key(|(run, _)| *run);
    case.history.dedup_by_key(|(run, _)| *run);
    Ok(case)
}

fn add(case: &mut CaseFile, runs: Vec<(RunId, String, String)>, commit: &str) -> sqlx::Result<()> {
    for (id, sha, results) in runs {
        if sha != commit {
            case.history.push((id.0, read(&results)?));
        }
    }
    Ok(())
}

fn read(text: &str) -> sqlx::Result<Results> {
    Results::read(text).map_err(|error| sqlx::Error::Decode(error.into()))
}
