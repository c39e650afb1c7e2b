//! Reads the judging input of a run.

use std::collections::BTreeMap;
use std::sync::Arc;

use sqlx::AnyConnection;

use super::judging_batch::JudgingBatch;
use super::{BaseCommit, JudgingInput};
use crate::database::bulk::{self, RunOfCommit};
use crate::database::runs::{self, MeasuredRun};
use crate::database::{judgements, landed, pull_requests};
use crate::domain::{HistoryPlace, Medians, Results, RunId, StreamId};
use crate::run_cache::{PastRun, RunCache};

/// A run, and the runs of its commit that were sent before it for the same purpose: a branch may be the head of a pull
/// request too.
#[derive(Clone, Debug)]
pub struct JudgingCandidate {
    /// The run.
    pub run: MeasuredRun,
    /// Its values.
    pub results: Results,
    /// Those before it, oldest first.
    pub earlier: Vec<MeasuredRun>,
    /// Whether a forced push took its commit off the branch that it would be history of.
    pub left_branch: bool,
}

/// How a history is read.
#[derive(Clone, Copy, Debug)]
pub struct Histories<'a> {
    /// What was read before.
    pub run_cache: &'a RunCache,
    /// The runs of a history.
    pub baseline_runs: u32,
}

impl JudgingCandidate {
    /// Reads the run of this number; `None` when there is none.
    ///
    /// # Errors
    /// The driver's, or stored results that cannot be read.
    pub async fn load_by_id(connection: &mut AnyConnection, id: RunId) -> sqlx::Result<Option<Self>> {
        let found = Self::load_all(connection, &[id]).await?;
        found
            .into_iter()
            .next()
            .map(|(_, candidate)| candidate)
            .transpose()
    }

    /// Reads many; those that are gone are left out.
    ///
    /// # Errors
    /// The driver's; and for each of them, stored results that cannot be read.
    pub async fn load_all(
        connection: &mut AnyConnection,
        ids: &[RunId],
    ) -> sqlx::Result<Vec<(RunId, sqlx::Result<Self>)>> {
        let mut commits: BTreeMap<RunId, Vec<RunOfCommit>> = BTreeMap::new();
        for one in bulk::with_earlier(connection, ids).await? {
            commits.entry(one.asked).or_default().push(one);
        }
        let candidate = |(id, mut all): (RunId, Vec<RunOfCommit>)| {
            let RunOfCommit { run, left_branch, .. } = all.pop()?;
            let earlier = all.into_iter().map(|one| one.run);
            let earlier = earlier.filter(|one| one.run.target == run.run.target).collect();
            let candidate = read(&run.run.results).map(|results| Self {
                run,
                results,
                earlier,
                left_branch,
            });
            Some((id, candidate))
        };
        Ok(commits.into_iter().filter_map(candidate).collect())
    }
}

/// Reads what a run is judged by: the last runs of its target branch before it, and all runs of its commit up to it. The names of
/// its series are left to the caller.
///
/// # Errors
/// The driver's, or stored results that cannot be read.
pub(super) async fn read_judging_input(
    connection: &mut AnyConnection,
    histories: Histories<'_>,
    candidate: &JudgingCandidate,
    batch: &JudgingBatch,
) -> sqlx::Result<JudgingInput> {
    let run = &candidate.run;
    let of_history = !candidate.left_branch
        && (run.run.is_of_history()
            || landed::counts_as_history(
                connection,
                run.run.repository,
                &run.run.target,
                &run.run.commit,
                run.run.pull_request,
            )
            .await?);
    let mut input = JudgingInput {
        of_history,
        target: run.run.target.clone(),
        ..JudgingInput::default()
    };
    for one in &candidate.earlier {
        input.runs.push((one.id, read(&one.run.results)?));
    }
    input.runs.push((run.id, candidate.results.clone()));
    // A job may upload each process by itself: what was measured beside the base is taken together.
    let all = candidate.earlier.iter().chain([run]);
    for (one, (_, results)) in all.zip(&input.runs) {
        if let Some(base) = &one.run.base {
            input.base.get_or_insert_default().add_values(&read(base)?);
            input.beside.add_values(results);
        }
    }
    let past = PastRun {
        commit: run.run.commit.as_str().into(),
        medians: Arc::new(Medians::from_results(&candidate.results)),
    };
    histories.run_cache.keep_run(run.id, past);
    let whose = (run.run.stream, run.run.target.as_str());
    let until = (run.place(), run.run.commit.as_str());
    fill(connection, histories, &mut input, whose, until, batch).await?;
    if let Some(number) = run.run.pull_request.filter(|_| !input.of_history) {
        let pull = pull_requests::find_pull_request(connection, run.run.repository, number).await?;
        hold_against_base(&mut input, pull.and_then(|pull| pull.base_sha));
    }
    Ok(input)
}

/// A pull request does not hold what its target branch got after the commit it is based on: the history ends there. Where
/// that was not measured, the newest commit that was stands in for it.
fn hold_against_base(input: &mut JudgingInput, base: Option<String>) {
    let is_base = |run: &RunId| {
        let commit = input.commits.get(run);
        base.as_deref()
            .is_some_and(|base| commit.is_some_and(|commit| **commit == *base))
    };
    let at = input.history.iter().rposition(|(run, _)| is_base(run));
    if let Some(at) = at {
        input.history.truncate(at + 1);
    }
    let newest = input.history.last().and_then(|(run, _)| input.commits.get(run));
    input.base_commit = newest.map(|commit| BaseCommit {
        commit: Arc::clone(commit),
        instead_of: base.filter(|_| at.is_none()),
    });
}

/// What the next run of a stream on a branch would be judged by.
///
/// # Errors
/// The driver's, or stored results that cannot be read.
pub async fn load_baseline_input(
    connection: &mut AnyConnection,
    histories: Histories<'_>,
    stream: StreamId,
    branch: &str,
) -> sqlx::Result<JudgingInput> {
    let mut input = JudgingInput::default();
    let until = (HistoryPlace::LAST, "");
    let batch = JudgingBatch::default();
    fill(connection, histories, &mut input, (stream, branch), until, &batch).await?;
    Ok(input)
}

/// Adds the history of a branch before a run, without runs of its commit.
async fn fill(
    connection: &mut AnyConnection,
    histories: Histories<'_>,
    input: &mut JudgingInput,
    (stream, branch): (StreamId, &str),
    (before, commit): (HistoryPlace, &str),
    batch: &JudgingBatch,
) -> sqlx::Result<()> {
    let most = histories.baseline_runs as usize;
    input.most = Some(most);
    let newest = match batch.newest_runs(branch, before, most) {
        Some(newest) => newest,
        None => {
            let limit = histories.baseline_runs;
            let stored = runs::list_history_places(connection, stream, branch, before, limit).await?;
            batch.with_unsaved(stored, branch, before, most)
        }
    };
    let oldest = newest.last().copied().unwrap_or(before);
    input
        .places
        .extend(newest.iter().map(|place| (place.run, *place)));
    let marks = match batch.epochs_and_rejections(branch, oldest, before) {
        Some(marks) => marks,
        None => judgements::list_epochs_and_rejections(connection, stream, branch, oldest, before).await?,
    };
    input.epochs = marks.epochs;
    input.rejected = marks.rejected;
    add(connection, histories, input, (stream, branch), &newest, commit).await?;
    // Values that were rejected leave room for older ones: a baseline must not dry up because nobody accepts a shift.
    if !input.rejected.is_empty() && input.history.len() >= most {
        let first = judgements::first_rejection(connection, stream, oldest).await?;
        let end = first.unwrap_or(oldest);
        let older =
            runs::list_history_places(connection, stream, branch, end, histories.baseline_runs).await?;
        input.places.extend(older.iter().map(|place| (place.run, *place)));
        if let Some(first) = older.last() {
            let marks =
                judgements::list_epochs_and_rejections(connection, stream, branch, *first, oldest).await?;
            input.rejected.extend(marks.rejected);
        }
        add(connection, histories, input, (stream, branch), &older, commit).await?;
    }
    batch.apply_unsaved_rejections(&mut input.rejected);
    let JudgingInput { history, places, .. } = input;
    history.sort_by_key(|(run, _)| places.get(run).copied().unwrap_or(HistoryPlace::FIRST));
    history.dedup_by_key(|(run, _)| *run);
    Ok(())
}

/// Adds these runs, newest first, from memory if all of them are there, else from the database.
async fn add(
    connection: &mut AnyConnection,
    histories: Histories<'_>,
    input: &mut JudgingInput,
    (stream, branch): (StreamId, &str),
    places: &[HistoryPlace],
    commit: &str,
) -> sqlx::Result<()> {
    let ids: Vec<RunId> = places.iter().map(|place| place.run).collect();
    let known = match histories.run_cache.find_all(&ids) {
        Some(known) => known,
        None => look_up(connection, histories, (stream, branch), places).await?,
    };
    let others = ids.into_iter().zip(known);
    for (run, past) in others.filter(|(_, past)| *past.commit != *commit) {
        input.commits.insert(run, past.commit);
        input.history.push((run, past.medians));
    }
    Ok(())
}

async fn look_up(
    connection: &mut AnyConnection,
    histories: Histories<'_>,
    (stream, branch): (StreamId, &str),
    places: &[HistoryPlace],
) -> sqlx::Result<Vec<PastRun>> {
    let Some(newest) = places.first() else {
        return Ok(Vec::new());
    };
    let before = HistoryPlace {
        run: RunId(newest.run.0.saturating_add(1)),
        ..*newest
    };
    let limit = u32::try_from(places.len()).unwrap_or(u32::MAX);
    let rows = runs::list_history_runs(connection, stream, branch, before, limit).await?;
    let mut found = Vec::with_capacity(places.len());
    for HistoryPlace { run: id, .. } in places {
        if let Some(past) = histories.run_cache.find_run(*id) {
            found.push(past);
            continue;
        }
        let row = rows.iter().find(|(row, ..)| row == id);
        let row = match row {
            Some((_, commit, results)) => Some((commit.clone(), results.clone())),
            // It was judged a moment ago and that is not saved yet; or it was removed since.
            None => runs::by_id(connection, *id)
                .await?
                .map(|run| (run.run.commit, run.run.results)),
        };
        let Some((commit, results)) = row else {
            found.push(PastRun::default());
            continue;
        };
        let past = PastRun {
            commit: commit.into(),
            medians: Arc::new(Medians::from_results(&read(&results)?)),
        };
        histories.run_cache.keep_run(*id, past.clone());
        found.push(past);
    }
    Ok(found)
}

fn read(text: &str) -> sqlx::Result<Results> {
    Results::from_json(text).map_err(|error| sqlx::Error::Decode(error.into()))
}
