//! Judges the runs that no request had time for, many at a time.
//!
//! A commit costs a flush of the disk however much it holds, and runs of one stream are judged by nearly the same
//! history. So jobs are taken in bulk, the runs of a stream are judged one after the other, of several streams at once,
//! and all that follows is saved in one transaction with the end of the jobs. A job whose run cannot be judged or saved
//! fails alone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::AnyConnection;
use tokio::task::JoinSet;
use tracing::Instrument as _;

use super::Failure;
use super::worker::{LOOK_AGAIN, lease, note, observe};
use crate::database::DatabaseError;
use crate::database::jobs::{self, Job, Queue, Taker};
use crate::database::runs::RunId;
use crate::database::streams::StreamId;
use crate::judging::{AboutRun, Candidate, Consequences, Unsaved, judge_candidate};
use crate::state::AppState;

/// Jobs that are taken at once.
const BATCH: u32 = 128;
/// Bytes of results that are in hand at once.
const ROOM: usize = 16 << 20;

/// What became of a job: what is to be saved, if its run is still there, or why not.
type Outcome = Result<Option<Consequences>, Failure>;

/// Judges until the service is to end, and then what is in hand.
pub(super) async fn run(state: AppState, worker: String) {
    while !state.ending.is_cancelled() {
        let taken = take(&state, &worker).await;
        let idle = taken.len() < BATCH as usize;
        if !taken.is_empty() {
            metrics::histogram!("regressd_judged_at_once").record(taken.len() as f64);
            holding_leases(&state, &worker, &taken, judge_all(&state, &taken)).await;
        }
        if idle {
            tokio::select! {
                () = state.to_judge.notified() => {}
                () = state.ending.cancelled() => {}
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
        }
    }
}

async fn take(state: &AppState, worker: &str) -> Vec<Job> {
    let (dialect, lease, worker) = (state.database.dialect(), lease(state), worker.to_owned());
    let taken = state.database.write(move |connection| {
        let worker = worker.clone();
        Box::pin(async move {
            let taker = Taker {
                worker: &worker,
                lease,
            };
            jobs::take(connection, dialect, Queue::Judging, taker, BATCH).await
        })
    });
    let mut taken = taken.await.unwrap_or_else(|error| {
        tracing::error!(%error, "cannot take jobs");
        Vec::new()
    });
    // Runs were numbered in this order.
    taken.sort_unstable_by_key(|job| job.id);
    taken
}

/// Does `work`, and renews the leases of its jobs as long as it takes.
async fn holding_leases(state: &AppState, worker: &str, taken: &[Job], work: impl Future<Output = ()>) {
    let lease = lease(state);
    let ids: Arc<[i64]> = taken.iter().map(|job| job.id).collect();
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            () = &mut work => return,
            () = tokio::time::sleep(lease / 3) => {
                let (ids, worker) = (Arc::clone(&ids), worker.to_owned());
                let renewed = state.database.write(move |connection| {
                    let (ids, worker) = (Arc::clone(&ids), worker.clone());
                    Box::pin(async move { renew(connection, &ids, &worker, lease).await })
                });
                if let Err(error) = renewed.await {
                    tracing::error!(%error, "cannot renew the leases of jobs");
                }
            }
        }
    }
}

async fn renew(
    connection: &mut AnyConnection,
    ids: &[i64],
    worker: &str,
    lease: Duration,
) -> sqlx::Result<()> {
    for id in ids {
        jobs::renew(connection, *id, Taker { worker, lease }).await?;
    }
    Ok(())
}

/// Judges and saves in portions, so that large runs do not fill the memory.
async fn judge_all(state: &AppState, taken: &[Job]) {
    let mut rest = taken;
    while !rest.is_empty() {
        let begun = Instant::now();
        let mut streams: BTreeMap<StreamId, Vec<(Job, Candidate)>> = BTreeMap::new();
        let mut done: Vec<(Job, Outcome)> = Vec::new();
        let mut bytes = 0;
        while let Some((job, others)) = rest.split_first().filter(|_| bytes < ROOM) {
            rest = others;
            match load(state, job).await {
                Ok(Some(candidate)) => {
                    bytes += candidate.run.run.results.len();
                    let stream = candidate.run.run.stream;
                    streams.entry(stream).or_default().push((job.clone(), candidate));
                }
                Ok(None) => done.push((job.clone(), Ok(None))),
                Err(failure) => done.push((job.clone(), Err(failure))),
            }
        }
        let mut at_work = JoinSet::new();
        for of_stream in streams.into_values() {
            at_work.spawn(judge_stream(state.clone(), of_stream));
        }
        done.extend(at_work.join_all().await.into_iter().flatten());
        save(state, done, begun).await;
    }
}

async fn load(state: &AppState, job: &Job) -> Result<Option<Candidate>, Failure> {
    let about: AboutRun = serde_json::from_str(&job.payload)?;
    let mut connection = state.database.read().await?;
    // A run that is gone was removed for its age: there is nothing left to do.
    Ok(Candidate::load(&mut connection, RunId(about.run)).await?)
}

/// Judges runs of one stream in their order: each sees what was found of those before it.
async fn judge_stream(state: AppState, of_stream: Vec<(Job, Candidate)>) -> Vec<(Job, Outcome)> {
    let mut unsaved = Unsaved::default();
    let mut done = Vec::with_capacity(of_stream.len());
    for (job, candidate) in of_stream {
        let span = tracing::info_span!("job", id = job.id, kind = %job.kind, correlation = %job.correlation, attempt = job.attempts);
        // On a task of its own: a panic is a failure of this job alone.
        let judging = tokio::spawn({
            let (state, unsaved, correlation) = (state.clone(), unsaved.clone(), job.correlation.clone());
            async move { judge_candidate(&state, &candidate, &unsaved, &correlation).await }.instrument(span)
        });
        let outcome: Outcome = match judging.await {
            Ok(Ok(judged)) => Ok(judged.map(|judged| judged.consequences)),
            Ok(Err(error)) => Err(error.into()),
            Err(error) => Err(Failure::again(format!("the work broke off: {error}"))),
        };
        if let Ok(Some(consequences)) = &outcome {
            consequences.note(&mut unsaved);
        }
        done.push((job, outcome));
    }
    done
}

/// Saves all that can be saved in one transaction; when that fails, one by one.
async fn save(state: &AppState, done: Vec<(Job, Outcome)>, begun: Instant) {
    let (mut judged, mut failed) = (Vec::new(), Vec::new());
    for (job, outcome) in done {
        match outcome {
            Ok(consequences) => judged.push((job, consequences)),
            Err(failure) => failed.push((job, failure)),
        }
    }
    let wakes = |(_, consequences): &(Job, Option<Consequences>)| {
        consequences.as_ref().is_some_and(Consequences::has_jobs)
    };
    let wake = judged.iter().any(wakes);
    let judged: Arc<[_]> = judged.into();
    if let Err(error) = store(state, Arc::clone(&judged)).await {
        tracing::warn!(%error, "judgements are saved one by one, as they could not be together");
        for one in judged.iter() {
            if let Err(error) = store(state, Arc::from([one.clone()])).await {
                failed.push((one.0.clone(), error.into()));
            }
        }
    }
    let seconds = begun.elapsed().as_secs_f64() / (judged.len() + failed.len()).max(1) as f64;
    for (job, _) in judged.iter() {
        observe(job, &Ok(()), seconds);
    }
    for (job, failure) in failed {
        let outcome = Err(failure);
        observe(&job, &outcome, seconds);
        if let Err(error) = note(state, job, outcome).await {
            tracing::error!(%error, "cannot note how the job went");
        }
    }
    if wake {
        state.work.notify_one();
    }
}

async fn store(
    state: &AppState,
    judged: Arc<[(Job, Option<Consequences>)]>,
) -> Result<(), DatabaseError> {
    let write = state.database.write(move |connection| {
        let judged = Arc::clone(&judged);
        Box::pin(async move {
            for (job, consequences) in judged.iter() {
                if let Some(consequences) = consequences {
                    consequences.store(connection).await?;
                }
                jobs::finish(connection, job.id, &job.key).await?;
            }
            Ok(())
        })
    });
    write.await
}
