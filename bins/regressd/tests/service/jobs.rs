//! The job table.

use std::collections::BTreeSet;
use std::time::Duration;

use regressd::database::jobs::{self, NewJob, Queue, QueuedJob, Taker};
use regressd::database::{Database, DatabaseError};
use regressd::domain::{JobKind, RunId, UnixMillis};
use regressd::job_requests;
use serde_json::json;

use crate::place::Place;
use crate::running::Running;

const LEASE: Duration = Duration::from_secs(30);

async fn enqueue(database: &Database, key: &str) -> bool {
    let job = NewJob::due_now(JobKind::Judge, key, &json!({ "run": 1 }), "test");
    let write = database.run_in_transaction(move |connection| {
        let job = job.clone();
        Box::pin(async move { jobs::enqueue_job(connection, &job).await })
    });
    write.await.unwrap()
}

async fn take(database: &Database, worker: &'static str, lease: Duration, limit: u32) -> Vec<QueuedJob> {
    let dialect = database.dialect();
    let write = database.run_in_transaction(move |connection| {
        let taker = Taker { worker, lease };
        Box::pin(jobs::take_due_jobs(
            connection,
            dialect,
            Queue::Judging,
            taker,
            limit,
        ))
    });
    write.await.unwrap()
}

async fn finish(database: &Database, job: QueuedJob) -> Result<(), DatabaseError> {
    let write = database.run_in_transaction(move |connection| {
        let (id, key) = (job.id, job.key.clone());
        Box::pin(async move { jobs::finish_job(connection, id, &key).await })
    });
    write.await
}

pub(crate) async fn two_workers_never_take_the_same_job(place: Place) {
    let database = Database::open(&place.location).await.unwrap();
    // Another process.
    let other = Database::open(&place.location).await.unwrap();
    for number in 0..200 {
        assert!(enqueue(&database, &number.to_string()).await);
    }
    let work = |database: Database, worker: &'static str| async move {
        let mut taken = Vec::new();
        loop {
            let jobs = take(&database, worker, LEASE, 3).await;
            if jobs.is_empty() {
                return taken;
            }
            taken.extend(jobs.into_iter().map(|job| job.id));
        }
    };
    let (one, two, three) = tokio::join!(
        work(database.clone(), "one"),
        work(other.clone(), "two"),
        work(other, "three")
    );
    let all: Vec<i64> = one.into_iter().chain(two).chain(three).collect();
    let different: BTreeSet<&i64> = all.iter().collect();
    assert_eq!((all.len(), different.len()), (200, 200));
}

pub(crate) async fn a_key_waits_once_and_runs_once(place: Place) {
    let database = Database::open(&place.location).await.unwrap();
    assert!(enqueue(&database, "7").await);
    assert!(!enqueue(&database, "7").await, "asking twice is asking once");
    let first = take(&database, "one", LEASE, 10).await;
    assert_eq!(first.len(), 1);
    assert!(
        enqueue(&database, "7").await,
        "what came after the work began is to be done again"
    );
    assert!(
        take(&database, "two", LEASE, 10).await.is_empty(),
        "not while the first is at it"
    );
    finish(&database, first[0].clone()).await.unwrap();
    assert_eq!(take(&database, "two", LEASE, 10).await.len(), 1);
}

pub(crate) async fn a_dead_workers_jobs_wait_again(place: Place) {
    let database = Database::open(&place.location).await.unwrap();
    for key in ["1", "2"] {
        enqueue(&database, key).await;
    }
    let taken = take(&database, "dead", Duration::from_millis(1), 10).await;
    assert_eq!(taken.len(), 2);
    enqueue(&database, "2").await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let release = database.run_in_transaction(|connection| Box::pin(jobs::release_abandoned(connection)));
    assert_eq!(release.await.unwrap(), 1, "the other one waits again already");
    let again = take(&database, "alive", LEASE, 10).await;
    assert_eq!(
        again
            .iter()
            .map(|job| job.key.as_str())
            .collect::<BTreeSet<_>>()
            .len(),
        2
    );
    let attempts: i64 = again.iter().map(|job| job.attempts).sum();
    assert_eq!(attempts, 3, "one of them for the second time");
}

pub(crate) async fn failures_end_as_dead_letters_that_can_be_revived(place: Place) {
    let settings = [("jobs.attempts", "3"), ("jobs.backoff_milliseconds", "5")];
    let mut service = Running::with(place, &settings).await;
    let database = service.state.database.clone();
    // A payload that nobody can read is given up at once; a delivery that is none is done.
    let broken = NewJob::due_now(JobKind::Judge, "x", &json!("nonsense"), "request-7");
    let write = database.run_in_transaction(move |connection| {
        let job = broken.clone();
        Box::pin(async move { jobs::enqueue_job(connection, &job).await })
    });
    write.await.unwrap();
    service.state.work.notify_one();
    let letter = loop {
        let mut connection = database.acquire_reader().await.unwrap();
        if let Some(letter) = jobs::dead_letters(&mut connection, 0, 10).await.unwrap().pop() {
            break letter;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!(
        (letter.key.as_str(), letter.correlation.as_str()),
        ("judge:x", "request-7")
    );
    assert!(letter.error.as_deref().unwrap().contains("payload"));
    let ready = service.get("/ready", "").await.1;
    assert_eq!((&ready["dead_letters"], &ready["queue"]), (&json!(1), &json!(0)));
    service.end().await;
    let requeue = |letter: QueuedJob| {
        database.run_in_transaction(move |connection| {
            let letter = letter.clone();
            Box::pin(async move { jobs::requeue_dead_letter(connection, &letter).await })
        })
    };
    assert!(requeue(letter.clone()).await.unwrap());
    let again = take(&database, "w", LEASE, 1).await.pop().unwrap();
    assert_eq!(again.attempts, 1, "it starts anew");
    let later = UnixMillis::now().saturating_add(Duration::from_secs(60));
    let retry = again.clone();
    let write = database.run_in_transaction(move |connection| {
        let job = retry.clone();
        Box::pin(async move { jobs::retry_at(connection, &job, later, "not now").await })
    });
    write.await.unwrap();
    assert!(take(&database, "w", LEASE, 1).await.is_empty(), "it is not due");
    let id = letter.id;
    let move_to_dead_letter = database
        .run_in_transaction(move |connection| Box::pin(jobs::move_to_dead_letter(connection, id, "enough")));
    move_to_dead_letter.await.unwrap();
    let drop_it = database.run_in_transaction(move |connection| Box::pin(jobs::drop_dead(connection, id)));
    assert!(drop_it.await.unwrap());
    assert!(!requeue(letter).await.unwrap(), "it is gone");
}

pub(crate) async fn a_clock_that_was_set_back_leaves_nothing_waiting(place: Place) {
    let service = Running::start(place).await;
    let token = service.token("*", "admin").await;
    service.history(&token, "octo/hello").await;
    let tomorrow = service.state.database.run_in_transaction(|connection| {
        Box::pin(async move {
            let job = job_requests::judge_run(RunId(1), "test");
            jobs::enqueue_job(connection, &job).await?;
            let sql =
                "UPDATE jobs SET due = due + 86400000, created = created + 86400000 WHERE state = 'waiting'";
            sqlx::query(sql).execute(connection).await
        })
    });
    assert_eq!(tomorrow.await.unwrap().rows_affected(), 1);
    // Not only at the next start, and not only a day later.
    crate::landing::settle_within(&service, Duration::from_secs(30)).await;
}
