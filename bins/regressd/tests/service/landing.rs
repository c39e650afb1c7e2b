//! What a pull request measured counts for a branch when a push makes its very commit the branch's head.

use regressd::webhook::sign_body;
use serde_json::{Value, json};

use crate::place::Place;
use crate::running::{Running, run};

const SECRET: &[u8] = b"It's a Secret to Everybody";

pub(crate) async fn deliver(service: &Running, event: &str, id: &str, payload: &Value) {
    let body = payload.to_string();
    let request = service
        .client
        .post(format!("{}/webhook", service.url))
        .header("content-type", "application/json")
        .header("x-github-event", event)
        .header("x-github-delivery", id)
        .header("x-hub-signature-256", sign_body(SECRET, body.as_bytes()))
        .body(body);
    let response = request.send().await.unwrap();
    assert_eq!(response.status().as_u16(), 200, "{event} {id}");
}

pub(crate) async fn opened(service: &Running, number: u32, head: &str, fork: bool) {
    let repository = json!({ "full_name": "octo/hello", "default_branch": "main" });
    let home = if fork {
        json!({ "full_name": "stranger/hello" })
    } else {
        repository.clone()
    };
    let payload = json!({
        "action": "opened",
        "number": number,
        "pull_request": {
            "head": { "ref": "topic", "sha": head, "repo": home },
            "base": { "ref": "main", "sha": "d".repeat(40), "repo": repository },
        },
        "repository": repository,
    });
    deliver(service, "pull_request", &format!("opened-{number}"), &payload).await;
}

pub(crate) async fn pushed(service: &Running, branch: &str, commit: &str, id: &str) {
    let payload = json!({
        "ref": format!("refs/heads/{branch}"),
        "after": commit,
        "repository": { "full_name": "octo/hello", "default_branch": "main" },
    });
    deliver(service, "push", id, &payload).await;
}

/// Waits until no job is left.
pub(crate) async fn settle(service: &Running) {
    settle_within(service, std::time::Duration::from_secs(10)).await;
}

pub(crate) async fn settle_within(service: &Running, patience: std::time::Duration) {
    let begun = std::time::Instant::now();
    while begun.elapsed() < patience {
        let (_, ready) = service.get("/ready", "").await;
        if ready["queue"] == 0 {
            assert_eq!(ready["dead_letters"], 0);
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("work is left");
}

/// Uploads what pull request `number` measured of `commit`, and gives the judged run's number.
async fn measured(
    service: &Running,
    token: &str,
    number: u32,
    commit: &str,
    values: &[u64],
    id: &str,
) -> Value {
    let mut body = run("octo/hello", "topic", commit, values);
    body["pull_request"] = json!(number);
    body["run_id"] = json!(id);
    let (status, answer) = service.upload(token, &body).await;
    assert!(status < 300, "{answer}");
    service.judged(&answer["run"], token).await;
    answer["run"].clone()
}

async fn is_accepted(service: &Running, token: &str, run: &Value) -> bool {
    let (_, stored) = service.get(&format!("/v1/runs/{run}"), token).await;
    stored["run"]["accepted"] == true
}

/// The runs of the baselines of A and B on main.
async fn samples(service: &Running, token: &str) -> [u64; 2] {
    let (_, series) = service.get("/v1/repositories/octo/hello/series", token).await;
    let mut sizes = [0; 2];
    for (size, name) in sizes.iter_mut().zip(["A", "B"]) {
        let items = series["items"].as_array().unwrap();
        let wanted = |item: &&Value| item["benchmark"].as_str().unwrap().ends_with(name);
        let number = &items.iter().find(wanted).unwrap()["series"];
        let path = format!("/v1/series/{number}/baseline?branch=main");
        let (_, baseline) = service.get(&path, token).await;
        *size = baseline["sample_size"].as_u64().unwrap();
    }
    sizes
}

pub(crate) async fn a_fast_forward_brings_its_runs_into_the_history(place: Place) {
    let service = Running::start(place).await;
    let token = service.token("*", "admin").await;
    service.history(&token, "octo/hello").await;
    assert_eq!(samples(&service, &token).await, [10, 10]);
    let head = "a".repeat(40);
    opened(&service, 7, &head, false).await;
    settle(&service).await;
    // A is slower, twice, so that it is sure; B is as it was.
    let first = measured(&service, &token, 7, &head, &[1500, 505], "1").await;
    let second = measured(&service, &token, 7, &head, &[1502, 506], "2").await;
    let (_, judged) = service.get(&format!("/v1/runs/{second}"), &token).await;
    assert_eq!(judged["run"]["outcome"], "regression", "{judged}");
    pushed(&service, "topic", &head, "push-topic").await;
    settle(&service).await;
    assert!(
        !is_accepted(&service, &token, &first).await,
        "its own branch has no history"
    );
    for delivery in ["push-1", "push-1", "push-2"] {
        pushed(&service, "main", &head, delivery).await;
        settle(&service).await;
        for run in [&first, &second] {
            assert!(is_accepted(&service, &token, run).await, "{delivery}");
        }
        assert_eq!(
            samples(&service, &token).await,
            [10, 12],
            "what was slower stays out of the baseline, however often the push is told"
        );
    }
    let (_, judged) = service.get(&format!("/v1/runs/{second}"), &token).await;
    assert_eq!(
        judged["run"]["outcome"], "regression",
        "still judged by what was before it"
    );
    // A run of it that comes late is of the history at once.
    let late = measured(&service, &token, 7, &head, &[1501, 504], "3").await;
    assert!(is_accepted(&service, &token, &late).await);
    // The slower level can be accepted from the run on that brought it.
    let (_, series) = service.get("/v1/repositories/octo/hello/series", &token).await;
    let number = &series["items"][0]["series"];
    let accept = json!({ "branch": "main", "from_run": first, "justification": "it does more" });
    let path = format!("/v1/series/{number}/accept");
    let (status, answer) = service
        .ask(reqwest::Method::POST, &path, &token, Some(&accept))
        .await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(samples(&service, &token).await[0], 3);
}

pub(crate) async fn what_a_fork_measured_never_counts(place: Place) {
    let service = Running::start(place).await;
    let token = service.token("*", "admin").await;
    service.history(&token, "octo/hello").await;
    let (own, fork, unknown) = ("a".repeat(40), "b".repeat(40), "c".repeat(40));
    opened(&service, 8, &fork, true).await;
    settle(&service).await;
    let of_fork = measured(&service, &token, 8, &fork, &[1001, 501], "1").await;
    let of_unknown = measured(&service, &token, 9, &unknown, &[1001, 501], "1").await;
    let of_own = measured(&service, &token, 7, &own, &[1001, 501], "1").await;
    for commit in [&fork, &unknown, &own] {
        pushed(&service, "main", commit, &format!("push-{commit}")).await;
    }
    settle(&service).await;
    assert!(!is_accepted(&service, &token, &of_fork).await);
    assert!(
        !is_accepted(&service, &token, &of_unknown).await,
        "nothing is known of that pull request"
    );
    assert_eq!(samples(&service, &token).await, [10, 10]);
    // The webhook of the pull request may come after that of the push.
    opened(&service, 7, &own, false).await;
    settle(&service).await;
    assert!(is_accepted(&service, &token, &of_own).await);
    assert_eq!(samples(&service, &token).await, [11, 11]);
}

/// What the service knows a repository by, and what it has.
async fn runs_of(service: &Running, token: &str, name: &str) -> usize {
    let path = format!("/v1/repositories/{name}/runs?limit=100");
    let (status, runs) = service.get(&path, token).await;
    if status == 404 {
        return 0;
    }
    runs["items"].as_array().unwrap().len()
}

pub(crate) async fn a_renamed_repository_keeps_its_history(place: Place) {
    let service = Running::start(place).await;
    let token = service.token("*", "admin").await;
    service.history(&token, "octo/hello").await;
    let head = "a".repeat(40);
    let push = |name: &str, id: u64| json!({ "ref": "refs/heads/main", "after": head, "repository": { "id": id, "full_name": name, "default_branch": "main" } });
    deliver(&service, "push", "1", &push("octo/hello", 77)).await;
    settle(&service).await;
    // Results come under the new name before anybody has told of it, in a component of their own.
    let mut early = run("octo/world", "main", &"b".repeat(40), &[1001, 501]);
    early["component"] = json!("late");
    let (_, answer) = service.upload(&token, &early).await;
    service.judged(&answer["run"], &token).await;
    let renamed = json!({
        "action": "renamed",
        "changes": { "repository": { "name": { "from": "hello" } } },
        "repository": { "id": 77, "full_name": "octo/world" },
    });
    deliver(&service, "repository", "2", &renamed).await;
    settle(&service).await;
    assert_eq!(runs_of(&service, &token, "octo/world").await, 11);
    // Who still uses the old name means the same.
    assert_eq!(runs_of(&service, &token, "octo/hello").await, 11);
    let slow = run("octo/hello", "main", &"c".repeat(40), &[1004, 5010]);
    let (_, answer) = service.upload(&token, &slow).await;
    let judged = service.judged(&answer["run"], &token).await;
    assert_eq!(
        judged["run"]["outcome"], "regression",
        "judged by the history: {judged}"
    );
    // Another owner; and nothing but a push tells of it.
    deliver(&service, "push", "3", &push("cats/world", 77)).await;
    settle(&service).await;
    assert_eq!(runs_of(&service, &token, "cats/world").await, 12);
    // A new repository takes the name that is free, and gets none of it.
    deliver(&service, "push", "4", &push("octo/hello", 78)).await;
    settle(&service).await;
    assert_eq!(runs_of(&service, &token, "octo/hello").await, 0);
    assert_eq!(runs_of(&service, &token, "cats/world").await, 12);
    // And one that takes a name in use, as after the old one was deleted.
    deliver(&service, "push", "5", &push("cats/world", 79)).await;
    settle(&service).await;
    assert_eq!(runs_of(&service, &token, "cats/world").await, 0);
    let transferred = json!({
        "action": "transferred",
        "changes": { "owner": { "from": { "organization": { "login": "cats" } } } },
        "repository": { "id": 77, "full_name": "dogs/world" },
    });
    deliver(&service, "repository", "6", &transferred).await;
    settle(&service).await;
    assert_eq!(runs_of(&service, &token, "dogs/world").await, 12);
}

pub(crate) async fn what_a_forced_push_replaced_leaves_the_history(place: Place) {
    let service = Running::start(place).await;
    let token = service.token("*", "admin").await;
    service.history(&token, "octo/hello").await;
    let (old, new) = ("a".repeat(40), "b".repeat(40));
    let (_, answer) = service
        .upload(&token, &run("octo/hello", "main", &old, &[1003, 503]))
        .await;
    service.judged(&answer["run"], &token).await;
    assert_eq!(samples(&service, &token).await, [11, 11]);
    let forced = |before: &str, after: &str| {
        json!({ "ref": "refs/heads/main", "before": before, "after": after, "forced": true,
            "repository": { "full_name": "octo/hello", "default_branch": "main" } })
    };
    deliver(&service, "push", "1", &forced(&old, &new)).await;
    settle(&service).await;
    assert!(!is_accepted(&service, &token, &answer["run"]).await);
    assert_eq!(samples(&service, &token).await, [10, 10]);
    // What is measured of it later stays out as well.
    let mut late = run("octo/hello", "main", &old, &[1002, 502]);
    late["run_id"] = json!("2");
    let (_, second) = service.upload(&token, &late).await;
    service.judged(&second["run"], &token).await;
    assert_eq!(samples(&service, &token).await, [10, 10]);
    // Somebody pushes it back.
    deliver(&service, "push", "2", &forced(&new, &old)).await;
    settle(&service).await;
    assert!(is_accepted(&service, &token, &answer["run"]).await);
    assert_eq!(samples(&service, &token).await, [12, 12]);
}

pub(crate) async fn a_merge_queue_is_judged_by_the_branch_it_is_for(place: Place) {
    let service = Running::start(place).await;
    let token = service.token("*", "admin").await;
    service.history(&token, "octo/hello").await;
    let head = "a".repeat(40);
    let group = |action: &str| {
        json!({ "action": action, "merge_group": { "head_sha": head, "head_ref": "refs/heads/gh-readonly-queue/main/pr-7-abc",
            "base_ref": "refs/heads/main" }, "repository": { "id": 77, "full_name": "octo/hello" } })
    };
    deliver(&service, "merge_group", "1", &group("checks_requested")).await;
    let branch = format!("refs/heads/gh-readonly-queue/main/pr-7-{}", "d".repeat(40));
    let (_, answer) = service
        .upload(&token, &run("octo/hello", &branch, &head, &[1001, 5010]))
        .await;
    let judged = service.judged(&answer["run"], &token).await;
    assert_eq!(judged["run"]["target_branch"], "main");
    assert_eq!(judged["run"]["outcome"], "regression", "{judged}");
    assert!(!is_accepted(&service, &token, &answer["run"]).await);
    // It is merged all the same: the very commit becomes the head of main.
    pushed(&service, "main", &head, "2").await;
    deliver(&service, "merge_group", "3", &group("destroyed")).await;
    for _ in 0..200 {
        if is_accepted(&service, &token, &answer["run"]).await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("what landed does not count");
}
