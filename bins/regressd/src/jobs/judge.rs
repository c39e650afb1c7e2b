//! Judges the runs that no request had time for, many at a time.
//!
//! A commit costs a flush of the disk however much it holds, and runs of one stream are judged by nearly the same
//! history. So jobs are taken in bulk, the runs of a stream are judged one after the other, of several streams at once,
//! and all that follows is saved in one transaction with the end of the jobs. A job whose run cannot be judged or saved
//! fails alone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use sqlx::AnyConnection;
use tracing::Instrument as _;

use super::JobFailure;
use super::worker::{LOOK_AGAIN, lease_duration, record_job_metrics, record_job_outcome};
use crate::database::jobs::{self, Queue, QueuedJob, Taker};
use crate::database::{DatabaseError, bulk};
use crate::domain::{HistoryPlace, RunId, StreamId};
use crate::free_memory::LARGE_RUN;
use crate::job_requests::AboutRun;
use crate::judging::{Consequences, JudgingBatch, JudgingCandidate, judge_candidate};
use crate::state::AppState;

/// Jobs that are taken at once.
const BATCH: u32 = 128;
/// Bytes of results that are in hand at once.
const ROOM: usize = 16 << 20;

/// What became of a job: what is to be saved, if its run is still there, or why not.
type JudgingOutcome = Result<Option<Consequences>, JobFailure>;

/// Judges until the service is to end, and then what is in hand.
pub(super) async fn run_judging_loop(state: AppState, worker: String) {
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

async fn take(state: &AppState, worker: &str) -> Vec<QueuedJob> {
    let (dialect, lease, worker) = (state.database.dialect(), lease_duration(state), worker.to_owned());
    let taken = state.database.run_in_transaction(move |connection| {
        let worker = worker.clone();
        Box::pin(async move {
            let taker = Taker {
                worker: &worker,
                lease,
            };
            jobs::take_due_jobs(connection, dialect, Queue::Judging, taker, BATCH).await
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
async fn holding_leases(state: &AppState, worker: &str, taken: &[QueuedJob], work: impl Future<Output = ()>) {
    let lease = lease_duration(state);
    let ids: Arc<[i64]> = taken.iter().map(|job| job.id).collect();
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            () = &mut work => return,
            () = tokio::time::sleep(lease / 3) => {
                let (ids, worker) = (Arc::clone(&ids), worker.to_owned());
                let renewed = state.database.run_in_transaction(move |connection| {
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
        jobs::renew_job_lease(connection, *id, Taker { worker, lease }).await?;
    }
    Ok(())
}

/// Judges and saves in portions, so that large runs do not fill the memory.
async fn judge_all(state: &AppState, taken: &[QueuedJob]) {
    let mut done: Vec<(QueuedJob, JudgingOutcome)> = Vec::new();
    let mut jobs: BTreeMap<RunId, QueuedJob> = BTreeMap::new();
    for job in taken {
        match serde_json::from_str::<AboutRun>(&job.payload) {
            Ok(about) => drop(jobs.insert(about.run, job.clone())),
            Err(error) => done.push((job.clone(), Err(error.into()))),
        }
    }
    let ids: Vec<RunId> = jobs.keys().copied().collect();
    match sizes(state, &ids).await {
        Ok(sizes) => {
            for portion in portions(&sizes) {
                judge_portion(state, &portion, &mut jobs).await;
            }
            // A run that is gone was removed for its age: there is nothing left to do.
            done.extend(jobs.into_values().map(|job| (job, Ok(None))));
        }
        Err(error) => {
            let failed = |job| (job, Err(JobFailure::retry_later(error.to_string())));
            done.extend(jobs.into_values().map(failed));
        }
    }
    if !done.is_empty() {
        save(state, done, Instant::now()).await;
    }
}

async fn sizes(state: &AppState, ids: &[RunId]) -> Result<Vec<(RunId, usize)>, DatabaseError> {
    let mut connection = state.database.acquire_reader().await?;
    Ok(bulk::list_result_sizes(&mut connection, ids).await?)
}

/// Runs that are in hand at once: as many as have room, and one at least.
fn portions(sizes: &[(RunId, usize)]) -> Vec<Vec<RunId>> {
    let mut portions: Vec<Vec<RunId>> = Vec::new();
    let mut bytes = 0_usize;
    for (id, size) in sizes {
        bytes = bytes.saturating_add(*size);
        match portions.last_mut().filter(|_| bytes <= ROOM) {
            Some(portion) => portion.push(*id),
            None => {
                portions.push(vec![*id]);
                bytes = *size;
            }
        }
    }
    portions
}

/// Judges some runs and saves what follows; their jobs are taken out of `jobs`.
async fn judge_portion(state: &AppState, portion: &[RunId], jobs: &mut BTreeMap<RunId, QueuedJob>) {
    let begun = Instant::now();
    let mut done: Vec<(QueuedJob, JudgingOutcome)> = Vec::new();
    let mut streams: BTreeMap<StreamId, Vec<(QueuedJob, JudgingCandidate)>> = BTreeMap::new();
    let mut is_large = false;
    for (id, candidate) in load(state, portion).await {
        let Some(job) = jobs.remove(&id) else {
            continue;
        };
        match candidate {
            Ok(candidate) => {
                is_large |= candidate.results.0.len() >= LARGE_RUN;
                let of_stream = streams.entry(candidate.run.run.stream).or_default();
                of_stream.push((job, candidate));
            }
            Err(failure) => done.push((job, Err(failure))),
        }
    }
    let judging = futures_util::stream::iter(streams).map(|(stream, of_stream)| {
        let judging = judge_stream(state.clone(), stream, of_stream);
        tokio::spawn(judging)
    });
    // Requests come first: half of the processors are left to them.
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let mut judging = judging.buffer_unordered((processors / 2).max(1));
    while let Some(judged) = judging.next().await {
        match judged {
            Ok(judged) => done.extend(judged),
            // Their leases run out, and they are judged again.
            Err(error) => tracing::error!(%error, "the judging of a stream broke off"),
        }
    }
    save(state, done, begun).await;
    if is_large {
        state.large_work.notify_one();
    }
}

/// Reads runs, all at once; when that fails, one by one, so that one that cannot be read fails alone.
async fn load(state: &AppState, portion: &[RunId]) -> Vec<(RunId, Result<JudgingCandidate, JobFailure>)> {
    let read = async |ids: &[RunId]| {
        let mut connection = state.database.acquire_reader().await?;
        let found = JudgingCandidate::load_all(&mut connection, ids).await?;
        let found = found.into_iter();
        Ok::<Vec<_>, JobFailure>(
            found
                .map(|(id, one)| (id, one.map_err(JobFailure::from)))
                .collect(),
        )
    };
    if let Ok(found) = read(portion).await {
        return found;
    }
    let mut found = Vec::new();
    for id in portion {
        match read(&[*id]).await {
            Ok(one) => found.extend(one),
            Err(failure) => found.push((*id, Err(failure))),
        }
    }
    found
}

/// Judges runs of one stream in their order: each sees what was found of those before it.
async fn judge_stream(
    state: AppState,
    stream: StreamId,
    of_stream: Vec<(QueuedJob, JudgingCandidate)>,
) -> Vec<(QueuedJob, JudgingOutcome)> {
    let mut batch = JudgingBatch::default();
    if let Err(error) = prepare(&state, &mut batch, stream, &of_stream).await {
        // Then each run reads its history by itself.
        tracing::warn!(%error, "the history of several runs cannot be read at once");
    }
    let mut batch = Arc::new(batch);
    let mut done = Vec::with_capacity(of_stream.len());
    let mut of_stream = of_stream;
    of_stream.sort_by_key(|(_, candidate)| candidate.run.place());
    for (job, candidate) in of_stream {
        let span = tracing::info_span!("job", id = job.id, kind = %job.kind, correlation = %job.correlation, attempt = job.attempts);
        // On a task of its own: a panic is a failure of this job alone.
        let judging = tokio::spawn({
            let (state, batch, correlation) = (state.clone(), Arc::clone(&batch), job.correlation.clone());
            async move { judge_candidate(&state, &candidate, &batch, &correlation).await }.instrument(span)
        });
        let outcome: JudgingOutcome = match judging.await {
            Ok(Ok(judged)) => Ok(judged.map(|judged| judged.consequences)),
            Ok(Err(error)) => Err(error.into()),
            Err(error) => Err(JobFailure::retry_later(format!("the work broke off: {error}"))),
        };
        if let Ok(Some(consequences)) = &outcome {
            consequences.add_to_batch(Arc::make_mut(&mut batch));
        }
        done.push((job, outcome));
    }
    done
}

/// Reads the histories by which more than one of these runs is judged.
async fn prepare(
    state: &AppState,
    batch: &mut JudgingBatch,
    stream: StreamId,
    of_stream: &[(QueuedJob, JudgingCandidate)],
) -> Result<(), DatabaseError> {
    let mut targets: BTreeMap<&str, (HistoryPlace, u32)> = BTreeMap::new();
    for (_, candidate) in of_stream {
        let (last, count) = targets
            .entry(&candidate.run.run.target)
            .or_insert((candidate.run.place(), 0));
        *last = candidate.run.place().max(*last);
        *count += 1;
    }
    let most = state.settings.load().judging.baseline_runs;
    for (target, (last, count)) in targets {
        if count > 1 {
            let mut connection = state.database.acquire_reader().await?;
            // Some of the runs between them are judged by others.
            let limit = most.saturating_add(2 * count);
            batch
                .load_history(&mut connection, (stream, target), last, limit)
                .await?;
        }
    }
    Ok(())
}

/// Saves all that can be saved in one transaction; when that fails, one by one.
async fn save(state: &AppState, done: Vec<(QueuedJob, JudgingOutcome)>, begun: Instant) {
    let (mut judged, mut failed) = (Vec::new(), Vec::new());
    for (job, outcome) in done {
        match outcome {
            Ok(consequences) => judged.push((job, consequences)),
            Err(failure) => failed.push((job, failure)),
        }
    }
    let wakes = |(_, consequences): &(QueuedJob, Option<Consequences>)| {
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
        record_job_metrics(job, &Ok(()), seconds);
    }
    for (job, failure) in failed {
        let outcome = Err(failure);
        record_job_metrics(&job, &outcome, seconds);
        if let Err(error) = record_job_outcome(state, job, outcome).await {
            tracing::error!(%error, "cannot note how the job went");
        }
    }
    if wake {
        state.work.notify_one();
    }
}

async fn store(
    state: &AppState,
    judged: Arc<[(QueuedJob, Option<Consequences>)]>,
) -> Result<(), DatabaseError> {
    let write = state.database.run_in_transaction(move |connection| {
        let judged = Arc::clone(&judged);
        Box::pin(async move { Consequences::store_all(connection, &judged).await })
    });
    write.await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portions_have_room_for_their_runs() {
        let of = |sizes: &[usize]| {
            let sizes: Vec<_> = (1..).map(RunId).zip(sizes.iter().copied()).collect();
            let portions = portions(&sizes).into_iter();
            portions.map(|portion| portion.len()).collect::<Vec<_>>()
        };
        assert_eq!(of(&[]), [0; 0]);
        assert_eq!(of(&[1; 128]), [128]);
        assert_eq!(of(&[ROOM / 2, ROOM / 2, 1]), [2, 1]);
        assert_eq!(of(&[2 * ROOM, 1, usize::MAX, usize::MAX]), [1, 1, 1, 1]);
    }
}
