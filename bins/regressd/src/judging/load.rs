//! Reads the case file of a run.

use std::collections::HashMap;

use sqlx::AnyConnection;

use super::{CaseFile, Results};
use crate::database::judgements;
use crate::database::runs::{self, Run, RunId};
use crate::database::streams::{SeriesName, StreamId};

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
    fill(
        connection,
        &mut case,
        (stream, target),
        (run.id, &run.run.commit),
        baseline_runs,
    )
    .await?;
    Ok(case)
}

/// What the next run of a stream on a branch would be judged by.
///
/// # Errors
/// The driver's, or stored results that cannot be read.
pub async fn baseline_case(
    connection: &mut AnyConnection,
    stream: StreamId,
    branch: &str,
    baseline_runs: u32,
) -> sqlx::Result<CaseFile> {
    let mut case = CaseFile::default();
    fill(
        connection,
        &mut case,
        (stream, branch),
        (RunId(i64::MAX), ""),
        baseline_runs,
    )
    .await?;
    Ok(case)
}

/// Adds the history of a branch before a run, without runs of its commit.
async fn fill(
    connection: &mut AnyConnection,
    case: &mut CaseFile,
    (stream, branch): (StreamId, &str),
    (before, commit): (RunId, &str),
    baseline_runs: u32,
) -> sqlx::Result<()> {
    let newest = runs::history(connection, stream, branch, before, baseline_runs).await?;
    let oldest = newest.last().map_or(before, |(id, ..)| *id);
    for epoch in judgements::epochs(connection, stream, branch).await? {
        case.epochs.insert(epoch.series.0, epoch.from_run.0);
    }
    let mut rejected = judgements::rejections(connection, stream, oldest, before).await?;
    add(case, newest, commit)?;
    // Values that were rejected leave room for older ones: a baseline must not dry up because nobody accepts a shift.
    if !rejected.is_empty() && case.history.len() >= baseline_runs as usize {
        let first = judgements::first_rejection(connection, stream, oldest).await?;
        let end = first.unwrap_or(oldest);
        let older = runs::history(connection, stream, branch, end, baseline_runs).await?;
        if let Some((id, ..)) = older.last() {
            rejected.extend(judgements::rejections(connection, stream, *id, oldest).await?);
        }
        add(case, older, commit)?;
    }
    case.rejected = rejected
        .into_iter()
        .map(|(series, run)| (series.0, run.0))
        .collect();
    case.history.sort_unstable_by_key(|(run, _)| *run);
    case.history.dedup_by_key(|(run, _)| *run);
    Ok(())
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
