//! The workers: they take jobs, hold their leases, and note how the work went.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tracing::Instrument as _;

use super::{judge, notify, rewrite, webhook};
use crate::backoff::{self, Backoff};
use crate::database::DatabaseError;
use crate::database::deliveries::{self, DeliveryState};
use crate::database::jobs::{self, Queue, QueuedJob, Taker};
use crate::domain::{JobKind, StoredJobKind, UnixMillis};
use crate::job_requests::AboutDelivery;
use crate::state::AppState;

/// How long workers sleep when nothing is due and nobody wakes them: other processes enqueue too.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Why a job was not done.
#[derive(Debug, thiserror::Error)]
pub enum JobFailure {
    /// Trying again may help; not before the wait, if one is given.
    #[error("{reason}")]
    Again {
        /// What went wrong.
        reason: String,
        /// When it makes sense to try again.
        wait: Option<Duration>,
        /// Whether this was an attempt of the job's own: waiting for a limit is none.
        counts: bool,
    },
    /// Trying again cannot help.
    #[error("{0}")]
    Never(String),
}

impl JobFailure {
    /// A failure that may pass.
    #[must_use]
    pub fn retry_later(reason: impl Into<String>) -> Self {
        Self::Again {
            reason: reason.into(),
            wait: None,
            counts: true,
        }
    }
}

impl From<DatabaseError> for JobFailure {
    fn from(error: DatabaseError) -> Self {
        Self::retry_later(error.to_string())
    }
}

impl From<sqlx::Error> for JobFailure {
    fn from(error: sqlx::Error) -> Self {
        DatabaseError::from(error).into()
    }
}

impl From<serde_json::Error> for JobFailure {
    fn from(error: serde_json::Error) -> Self {
        Self::Never(format!("the payload cannot be read: {error}"))
    }
}

/// Works until the service is to end, and then until the jobs in hand are done.
pub async fn run_workers(state: AppState) {
    let worker = uuid::Uuid::now_v7().to_string();
    let judging = tokio::spawn(judge::run_judging_loop(state.clone(), worker.clone()));
    let places = state.settings.load().jobs.workers;
    let free = Arc::new(Semaphore::new(places));
    let mut in_hand = JoinSet::new();
    let mut last_release: Option<Instant> = None;
    while !state.ending.is_cancelled() {
        let lease = lease_duration(&state);
        if last_release.is_none_or(|at| at.elapsed() > lease / 4) {
            last_release = Some(Instant::now());
            release_abandoned(&state).await;
        }
        // One place at least, then as many jobs as there are places.
        let Ok(first) = Arc::clone(&free).acquire_owned().await else {
            break;
        };
        let mut permits = vec![first];
        while let Ok(permit) = Arc::clone(&free).try_acquire_owned() {
            permits.push(permit);
        }
        let taken = take(&state, &worker, permits.len()).await;
        let idle = taken.len() < permits.len();
        for (job, permit) in taken.into_iter().zip(permits) {
            let (state, worker) = (state.clone(), worker.clone());
            in_hand.spawn(async move {
                do_job(&state, &worker, job).await;
                drop(permit);
            });
        }
        while in_hand.try_join_next().is_some() {}
        if idle {
            tokio::select! {
                () = state.work.notified() => {}
                () = state.ending.cancelled() => {}
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
        }
    }
    while in_hand.join_next().await.is_some() {}
    if let Err(error) = judging.await {
        tracing::error!(%error, "the judging of runs broke off");
    }
}

pub(super) fn lease_duration(state: &AppState) -> Duration {
    Duration::from_secs(state.settings.load().jobs.lease_seconds)
}

async fn release_abandoned(state: &AppState) {
    let released = state
        .database
        .run_in_transaction(|connection| {
            Box::pin(async move {
                jobs::follow_clock(connection).await?;
                jobs::release_abandoned(connection).await
            })
        })
        .await;
    match released {
        Ok(0) => {}
        Ok(count) => tracing::warn!(count, "jobs of workers that died wait again"),
        Err(error) => tracing::error!(%error, "cannot look for abandoned jobs"),
    }
}

async fn take(state: &AppState, worker: &str, places: usize) -> Vec<QueuedJob> {
    let (dialect, lease, worker) = (state.database.dialect(), lease_duration(state), worker.to_owned());
    let limit = u32::try_from(places).unwrap_or(u32::MAX);
    let taken = state
        .database
        .run_in_transaction(move |connection| {
            let worker = worker.clone();
            Box::pin(async move {
                let taker = Taker {
                    worker: &worker,
                    lease,
                };
                jobs::take_due_jobs(connection, dialect, Queue::Rest, taker, limit).await
            })
        })
        .await;
    taken.unwrap_or_else(|error| {
        tracing::error!(%error, "cannot take jobs");
        Vec::new()
    })
}

async fn do_job(state: &AppState, worker: &str, job: QueuedJob) {
    let span = tracing::info_span!("job", id = job.id, kind = %job.kind, correlation = %job.correlation, attempt = job.attempts);
    async {
        let begun = Instant::now();
        let work = tokio::spawn(act(state.clone(), job.clone()).in_current_span());
        let outcome = holding_lease(state, worker, &job, work).await;
        record_job_metrics(&job, &outcome, begun.elapsed().as_secs_f64());
        if let Err(error) = record_job_outcome(state, job, outcome).await {
            // The lease runs out, and the job is done again.
            tracing::error!(%error, "cannot note how the job went");
        }
    }
    .instrument(span)
    .await;
}

/// Counts what became of a job, and how long it took.
pub(super) fn record_job_metrics(job: &QueuedJob, outcome: &Result<(), JobFailure>, seconds: f64) {
    let word = match outcome {
        Ok(()) => "done",
        Err(JobFailure::Again { .. }) => "failed",
        Err(JobFailure::Never(_)) => "given-up",
    };
    metrics::histogram!("regressd_job_seconds", "kind" => job.kind.as_str().to_owned(), "outcome" => word)
        .record(seconds);
}

/// Waits for the work, and renews the lease as long as it takes. A panic is a failure like any other.
async fn holding_lease(
    state: &AppState,
    worker: &str,
    job: &QueuedJob,
    mut work: tokio::task::JoinHandle<Result<(), JobFailure>>,
) -> Result<(), JobFailure> {
    let lease = lease_duration(state);
    loop {
        tokio::select! {
            done = &mut work => {
                return done.unwrap_or_else(|error| Err(JobFailure::retry_later(format!("the work broke off: {error}"))));
            }
            () = tokio::time::sleep(lease / 3) => {
                let (id, worker) = (job.id, worker.to_owned());
                let renewed = state.database.run_in_transaction(move |connection| {
                    let worker = worker.clone();
                    Box::pin(async move {
                        let taker = Taker {
                            worker: &worker,
                            lease,
                        };
                        jobs::renew_job_lease(connection, id, taker).await
                    })
                });
                if let Err(error) = renewed.await {
                    tracing::error!(%error, "cannot renew the lease of a job");
                }
            }
        }
    }
}

/// The one place that knows which function does which kind of work.
async fn act(state: AppState, job: QueuedJob) -> Result<(), JobFailure> {
    let kind = job.kind.known_kind();
    match kind.map_err(|error| JobFailure::Never(error.to_string()))? {
        JobKind::Webhook => webhook::handle_delivery(&state, &job).await,
        // These are taken by `judge::run_judging_loop`.
        JobKind::Judge => Err(JobFailure::retry_later("a run is judged with others")),
        JobKind::Comment => notify::write_comment(&state, &job).await,
        JobKind::Check => notify::write_check_run(&state, &job).await,
        JobKind::EndCheck => notify::end_waiting_check(&state, &job).await,
        JobKind::Confirm => notify::request_confirmation(&state, &job).await,
        JobKind::Issue => notify::update_issue(&state, &job).await,
        JobKind::Rewrite => rewrite::forget_rewritten(&state, &job).await,
    }
}

/// Notes how a job went.
pub(super) async fn record_job_outcome(
    state: &AppState,
    job: QueuedJob,
    outcome: Result<(), JobFailure>,
) -> Result<(), DatabaseError> {
    let settings = state.settings.load();
    let backoff = Backoff {
        first: Duration::from_millis(settings.jobs.backoff_milliseconds),
        longest: Duration::from_secs(settings.jobs.longest_backoff_seconds),
    };
    let attempts = u32::try_from(job.attempts).unwrap_or(u32::MAX);
    let waited = matches!(outcome, Err(JobFailure::Again { counts: false, .. }));
    let (reason, wait) = match outcome {
        Ok(()) => {
            let write = state.database.run_in_transaction(move |connection| {
                let (id, key) = (job.id, job.key.clone());
                Box::pin(async move { jobs::finish_job(connection, id, &key).await })
            });
            return write.await;
        }
        // What the job waited for says when it is over, however often the job was begun.
        Err(JobFailure::Again {
            reason,
            wait: Some(wait),
            counts: false,
        }) => (
            reason,
            Some(wait.mul_f64(1.0 + 0.25 * backoff::random_fraction())),
        ),
        Err(JobFailure::Again { reason, wait, counts }) if !counts || attempts < settings.jobs.attempts => {
            let own = backoff.wait_after_failures(attempts, backoff::random_fraction());
            (reason, Some(wait.map_or(own, |wait| wait.max(own))))
        }
        Err(JobFailure::Again { reason, .. } | JobFailure::Never(reason)) => (reason, None),
    };
    match wait {
        Some(wait) => {
            tracing::warn!(%reason, wait_seconds = wait.as_secs_f64(), "the job failed and will be tried again");
            let due = UnixMillis::now().saturating_add(wait);
            let write = state.database.run_in_transaction(move |connection| {
                let (job, reason) = (job.clone(), reason.clone());
                Box::pin(async move {
                    if waited {
                        jobs::refund_attempt(connection, job.id).await?;
                    }
                    jobs::retry_at(connection, &job, due, &reason).await
                })
            });
            write.await
        }
        None => {
            tracing::error!(%reason, "the job is a dead letter now; see regressd dead-letters list");
            metrics::counter!("regressd_dead_letters_total", "kind" => job.kind.as_str().to_owned())
                .increment(1);
            // A delivery that failed may be sent again by GitHub, and is then done anew.
            let about = serde_json::from_str::<AboutDelivery>(&job.payload);
            let delivery = about
                .ok()
                .filter(|_| job.kind == StoredJobKind::Known(JobKind::Webhook))
                .map(|about| about.delivery);
            let write = state.database.run_in_transaction(move |connection| {
                let (id, reason, delivery) = (job.id, reason.clone(), delivery.clone());
                Box::pin(async move {
                    if let Some(delivery) = delivery {
                        deliveries::set_state(connection, &delivery, DeliveryState::Failed).await?;
                    }
                    jobs::move_to_dead_letter(connection, id, &reason).await
                })
            });
            write.await
        }
    }
}
