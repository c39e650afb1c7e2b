//! The commands beside the service: tokens and dead letters, on the database of a service that runs.

use std::time::{Duration, Instant};

use regressd::database::jobs as job_table;
use regressd::database::jobs::NewJob;
use regressd::domain::JobKind;
use serde_json::json;

use crate::service::Service;

async fn may_upload(service: &Service, token: &str, repository: &str) -> u16 {
    let body = json!({
        "repository": repository, "branch": "main", "commit": "abcd",
        "results": [{ "text": "pkg: p\nBenchmarkA-8 1000 5 ns/op\n" }],
    });
    let request = reqwest::Client::new()
        .post(format!("{}/analyze", service.url))
        .bearer_auth(token)
        .json(&body);
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn tokens_are_made_listed_and_revoked() {
    let service = Service::start(&[]).await;
    let made = service.run(&[
        "token",
        "create",
        "octo/hello",
        "--role",
        "upload",
        "--name",
        "ci of hello",
    ]);
    assert_eq!(made.status, 0, "{}", made.error);
    assert!(made.error.contains("will not be shown again"), "{}", made.error);
    let token = made.output.trim();
    assert_eq!(may_upload(&service, token, "octo/hello").await, 200);
    assert_eq!(may_upload(&service, token, "octo/other").await, 403);
    let list = service.run(&["token", "list"]).output;
    assert!(!list.contains(token), "only its hash is stored: {list}");
    let line = list.lines().find(|line| line.contains("ci of hello")).unwrap();
    for word in ["upload", "octo/hello", "valid"] {
        assert!(line.contains(word), "{line}");
    }
    let id = line.split_whitespace().next().unwrap();
    let revoked = service.run(&["token", "revoke", id]);
    assert!(revoked.output.contains("is revoked"), "{}", revoked.error);
    let begun = Instant::now();
    while may_upload(&service, token, "octo/hello").await != 401 {
        assert!(begun.elapsed() < Duration::from_secs(10), "still taken");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let list = service.run(&["token", "list"]).output;
    assert!(
        list.lines()
            .any(|line| line.contains(id) && line.contains("revoked")),
        "{list}"
    );
    for (arguments, says) in [
        (vec!["token", "revoke", id], "see regressd token list"),
        (vec!["token", "create", "octo/hello/more"], "octo/hello/more"),
        (vec!["token", "create", "octo/hello", "--role", "king"], "king"),
        (vec!["token", "create", "octo/hello", "--expires", "-1"], "-1"),
        (
            vec!["token", "create", "octo/hello", "--expires", "0"],
            "0 is not in 1..=36500",
        ),
        (
            vec!["token", "create", "octo/hello", "--expires", "36501"],
            "is not in 1..=36500",
        ),
    ] {
        let refused = service.run(&arguments);
        assert!(
            refused.status != 0 && refused.error.contains(says),
            "{arguments:?}: {}",
            refused.error
        );
    }
    let audit = reqwest::Client::new()
        .get(format!("{}/v1/audit", service.url))
        .bearer_auth(&service.token);
    let audit: serde_json::Value = audit.send().await.unwrap().json().await.unwrap();
    let actions: Vec<&str> = audit["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["action"].as_str().unwrap())
        .collect();
    assert_eq!(actions[..2], ["token.revoke", "token.create"], "{audit}");
}

#[tokio::test]
async fn settings_are_shown_without_secrets_and_shells_complete() {
    let service = Service::start(&[]).await;
    let shown = service.run(&["config", "show", "--set", "jobs.workers=0"]);
    assert_eq!(shown.status, 0, "{}", shown.error);
    let workers = shown.output.lines().find(|line| line.contains("jobs.workers"));
    let words: Vec<&str> = workers.unwrap().split_whitespace().collect();
    assert_eq!(words, ["jobs.workers", "1", "flag", "--set", "jobs.workers"]);
    let secret = shown
        .output
        .lines()
        .find(|line| line.contains("github.webhook_secret "));
    assert!(
        secret.is_none_or(|line| line.contains("(hidden)")),
        "{}",
        shown.output
    );
    for shell in ["bash", "zsh", "fish"] {
        // It is no matter that a setting is wrong.
        let script = service.run(&["completions", shell, "--set", "jobs.workers=many"]);
        assert_eq!(script.status, 0, "{}", script.error);
        assert!(script.output.contains("dead-letters"), "{}", script.output);
    }
}

#[tokio::test]
async fn dead_letters_are_listed_shown_retried_and_dropped() {
    let service = Service::start(&[]).await;
    assert_eq!(
        service.run(&["dead-letters", "list"]).output,
        "there are no dead letters\n"
    );
    // Work that can never be done: it is about a run, and does not say which.
    let database = service.database().await;
    for number in 0..3 {
        let job = NewJob::due_now(
            JobKind::Judge,
            &format!("odd {number}"),
            &json!({ "odd": number }),
            "a-request",
        );
        let write = database.run_in_transaction(move |connection| {
            let job = job.clone();
            Box::pin(async move { job_table::enqueue_job(connection, &job).await })
        });
        write.await.unwrap();
    }
    let dead = async |wanted: u64| {
        let begun = Instant::now();
        loop {
            let ready = service.ready().await.unwrap();
            if ready["dead_letters"] == wanted && ready["queue"] == 0 {
                return;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "{ready}\n{}",
                service.log()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    dead(3).await;
    let list = service.run(&["dead-letters", "list"]).output;
    assert_eq!(list.lines().count(), 3, "{list}");
    let ids: Vec<&str> = list
        .lines()
        .map(|line| line.split_whitespace().next().unwrap())
        .collect();
    let shown = service.run(&["dead-letters", "show", ids[0]]).output;
    for text in [
        "judge",
        "odd 0",
        "a-request",
        "missing field `run`",
        "{\"odd\":0}",
    ] {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    let dropped = service.run(&["dead-letters", "drop", ids[0]]);
    assert_eq!(
        (dropped.status, dropped.output),
        (0, format!("{} is dropped\n", ids[0]))
    );
    dead(2).await;
    // It is tried again by the service that runs, and fails again.
    let retried = service.run(&["dead-letters", "retry", ids[1]]);
    assert_eq!(
        (retried.status, retried.output),
        (0, format!("{} will be tried again\n", ids[1]))
    );
    dead(2).await;
    assert_eq!(
        service.run(&["dead-letters", "retry"]).output,
        "2 will be tried again\n"
    );
    dead(2).await;
    for command in ["show", "retry", "drop"] {
        let refused = service.run(&["dead-letters", command, ids[0]]);
        assert_eq!(refused.status, 2);
        assert!(
            refused.error.contains("see regressd dead-letters list"),
            "{}",
            refused.error
        );
    }
}
