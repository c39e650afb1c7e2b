//! Runs that wait are judged many at a time, as if they had been judged one by one.

use regressd::database::jobs::NewJob;
use regressd::database::runs::{self, NewRun};
use regressd::database::{jobs as job_table, streams};
use regressd::domain::{JobKind, RepositoryId, RunId, UnixMillis};
use serde_json::{Value, json};

use crate::place::Place;
use crate::running::Running;

/// Stores runs of main and their jobs all at once, so that one worker takes them all at once.
async fn store(service: &Running, runs: Vec<NewRun>) -> Vec<i64> {
    let write = service.state.database.run_in_transaction(move |connection| {
        let runs = runs.clone();
        Box::pin(async move {
            let mut ids = Vec::new();
            for run in &runs {
                let id = runs::insert_run(connection, run).await?.unwrap().0;
                let job = NewJob::due_now(JobKind::Judge, &id.to_string(), &json!({ "run": id }), "bulk");
                job_table::enqueue_job(connection, &job).await?;
                ids.push(id);
            }
            Ok(ids)
        })
    });
    let ids = write.await.unwrap();
    service.state.to_judge.notify_one();
    ids
}

fn outcome(judged: &Value) -> (&str, bool) {
    let suspected = judged["results"].as_array().unwrap().iter();
    let suspected = suspected.filter(|one| one["needs_confirmation"] == true).count() > 0;
    (judged["run"]["outcome"].as_str().unwrap(), suspected)
}

pub(crate) async fn runs_judged_together_see_each_other(place: Place) {
    let service = Running::start(place).await;
    let token = service.token("*", "admin").await;
    service.history(&token, "octo/hello").await;
    let mut connection = service.state.database.acquire_reader().await.unwrap();
    let template = runs::of_repository(&mut connection, RepositoryId(1), None, RunId(i64::MAX), 1);
    let template = template.await.unwrap().remove(0).run;
    let series = streams::series_of(&mut connection, template.stream)
        .await
        .unwrap();
    drop(connection);
    let (a, b) = (series[0].id.0, series[1].id.0);
    let new = |commit: &str, results: String| NewRun {
        commit: commit.to_owned(),
        received: UnixMillis::now(),
        results,
        ..template.clone()
    };
    let values = |of_a: u32, of_b: u32| format!("[[{a},[{of_a}]],[{b},[{of_b}]]]");
    // The second and third commit are slower: the third confirms the second. The fourth cannot be read. The last is
    // fine again.
    let ids = store(
        &service,
        vec![
            new("b1", values(1003, 503)),
            new("b2", values(1250, 503)),
            new("b3", values(1252, 504)),
            new("b4", "no results".to_owned()),
            new("b5", values(1004, 502)),
        ],
    )
    .await;
    let mut outcomes = Vec::new();
    for id in [ids[0], ids[1], ids[2], ids[4]] {
        let judged = service.judged(&json!(id), &token).await;
        let (word, suspected) = outcome(&judged);
        outcomes.push((word.to_owned(), suspected));
    }
    let word = |word: &str, suspected: bool| (word.to_owned(), suspected);
    assert_eq!(
        outcomes,
        [
            word("unchanged", false),
            word("suspected", true),
            word("regression", false),
            word("unchanged", false),
        ]
    );
    let (_, baseline) = service.get(&format!("/v1/series/{a}/baseline"), &token).await;
    assert_eq!(
        baseline["sample_size"], 12,
        "what was slower stays out: {baseline}"
    );
    // The one that cannot be read failed alone, and is tried again.
    let mut connection = service.state.database.acquire_reader().await.unwrap();
    let left = job_table::count_by_state(&mut connection).await.unwrap();
    assert_eq!(left.waiting + left.running, 1, "{left:?}");
}

/// A second run of a commit clears the first one's suspicion, although neither was saved when it was judged.
pub(crate) async fn a_suspicion_is_cleared_within_one_batch(place: Place) {
    let service = Running::start(place).await;
    let token = service.token("*", "admin").await;
    service.history(&token, "octo/hello").await;
    let mut connection = service.state.database.acquire_reader().await.unwrap();
    let all = runs::of_repository(&mut connection, RepositoryId(1), None, RunId(i64::MAX), 1);
    let template = all.await.unwrap().remove(0).run;
    let series = streams::series_of(&mut connection, template.stream)
        .await
        .unwrap();
    drop(connection);
    let (a, b) = (series[0].id.0, series[1].id.0);
    let new = |key: &str, commit: &str, of_a: u32| NewRun {
        commit: commit.to_owned(),
        key: key.to_owned(),
        received: UnixMillis::now(),
        results: format!("[[{a},[{of_a}]],[{b},[503]]]"),
        ..template.clone()
    };
    let ids = store(
        &service,
        vec![new("1", "c1", 1250), new("2", "c1", 1004), new("1", "c2", 1005)],
    )
    .await;
    let last = service.judged(&json!(ids[2]), &token).await;
    let of_a = last["results"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["series"] == a);
    assert_eq!(
        of_a.unwrap()["sample_size"],
        12,
        "the cleared value counts: {last}"
    );
    let first = service.judged(&json!(ids[0]), &token).await;
    assert_eq!(outcome(&first), ("suspected", true));
    let (_, baseline) = service.get(&format!("/v1/series/{a}/baseline"), &token).await;
    assert_eq!(baseline["sample_size"], 13, "{baseline}");
}

pub(crate) async fn a_large_run_is_judged_and_its_memory_given_back(place: Place) {
    let service = Running::start(place).await;
    let token = service.token("*", "admin").await;
    let lines = (0..6000).map(|number| format!("BenchmarkN{number}-8 1000 {} ns/op\n", 1000 + number));
    let text = format!("goos: linux\npkg: p\n{}", lines.collect::<String>());
    let body = json!({
        "repository": "octo/hello", "branch": "main", "commit": "ab".repeat(20), "run_id": "1",
        "environment": { "name": "ci" }, "results": [{ "text": text }],
    });
    let (status, answer) = service.upload(&token, &body).await;
    assert!(status == 200 || status == 202, "{status}");
    for _ in 0..1200 {
        if service.get("/ready", "").await.1["queue"] == 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let judged = service.judged(&answer["run"], &token).await;
    assert_eq!(judged["results"].as_array().unwrap().len(), 6000);
    // Whoever gives memory back has been told.
    service.state.large_work.notified().await;
}
