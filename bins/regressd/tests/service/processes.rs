//! Several processes on one database.

use std::time::Duration;

use regressd::database::jobs::{self, NewJob, Queue, Taker};
use regressd::database::runs;
use regressd::domain::JobKind;
use reqwest::Method;
use serde_json::json;

use crate::databases::{new_run, stream};
use crate::place::Place;
use crate::running::{Running, run};

/// Uploads through one are judged by workers of the other, and a token of one works at the other.
pub(crate) async fn several_work_on_one_database(place: Place) {
    let queued = [("server.judged_at_once", "0")];
    let one = Running::with(place, &queued).await;
    let other = one.beside(&queued).await;
    let token = one.token("*", "admin").await;
    let mut runs = Vec::new();
    for number in 0..20_u64 {
        let service = if number.is_multiple_of(2) { &one } else { &other };
        let (status, answer) = service
            .upload(
                &token,
                &run("octo/hello", "main", &format!("{number:040x}"), &[1000]),
            )
            .await;
        assert_eq!(
            (status, answer["state"].as_str()),
            (202, Some("queued")),
            "{answer}"
        );
        runs.push(answer["run"].clone());
    }
    for number in &runs {
        other.judged(number, &token).await;
    }
    let config = json!({ "threshold_percent": 42.0 });
    assert_eq!(
        one.ask(Method::PUT, "/config/octo/hello", &token, Some(&config))
            .await
            .0,
        200
    );
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let (_, seen) = other.get("/config/octo/hello", &token).await;
    assert_eq!(seen["config"]["threshold_percent"], 42.0);
}

/// A run was stored and its process died before it was judged; so did the worker that had begun.
pub(crate) async fn what_a_dead_process_left_is_done_by_another(place: Place) {
    let mut dead = Running::with(place, &[]).await;
    dead.end().await;
    let database = dead.state.database.clone();
    let whose = stream(&database).await;
    let dialect = database.dialect();
    let write = database.run_in_transaction(move |connection| {
        Box::pin(async move {
            let run = new_run(whose, "abcd", regressd::domain::UnixMillis::now());
            let id = runs::insert_run(connection, &run).await?.unwrap().0;
            let job = NewJob::due_now(JobKind::Judge, &id.to_string(), &json!({ "run": id }), "x");
            jobs::enqueue_job(connection, &job).await?;
            let lease = Duration::from_millis(300);
            let taker = Taker {
                worker: "dead",
                lease,
            };
            let taken = jobs::take_due_jobs(connection, dialect, Queue::Judging, taker, 1).await?;
            assert_eq!(taken.len(), 1);
            Ok(id)
        })
    });
    let id = write.await.unwrap();
    let alive = dead.beside(&[("jobs.lease_seconds", "1")]).await;
    let token = alive.token("*", "read").await;
    alive.judged(&json!(id), &token).await;
}
