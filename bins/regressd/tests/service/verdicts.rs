//! What people are told about their commits: never green by accident.

use serde_json::{Value, json};

use crate::landing::{deliver, opened, settle};
use crate::place::Place;
use crate::running::{Running, run};

/// An upload of Go benchmarks, each with its time and its allocations.
fn counted(commit: &str, values: &[(u64, u64)]) -> Value {
    let mut text = String::from("goos: linux\npkg: p\n");
    for (number, (time, allocations)) in values.iter().enumerate() {
        text.push_str(&format!(
            "BenchmarkN{number}-8 1000 {time} ns/op 512 B/op {allocations} allocs/op\n"
        ));
    }
    let mut body = run("octo/hello", "main", commit, &[]);
    body["results"][0]["text"] = json!(text);
    body
}

async fn send(service: &Running, token: &str, body: &Value) -> Value {
    let (status, answer) = service.upload(token, body).await;
    assert!(status == 200 || status == 202, "{answer}");
    service.judged(&answer["run"], token).await
}

/// Twelve commits of main, each with `count` benchmarks around 1000 ns and `allocations` a call.
async fn past(service: &Running, token: &str, count: u64, allocations: u64) {
    for number in 0..12 {
        let values: Vec<(u64, u64)> = (0..count)
            .map(|place| (995 + (number * 7 + place * 3) % 11, allocations))
            .collect();
        send(
            service,
            token,
            &counted(&format!("{:040x}", 2000 + number), &values),
        )
        .await;
    }
}

fn of<'a>(judged: &'a Value, measure: &str) -> Vec<&'a str> {
    let results = judged["results"].as_array().unwrap().iter();
    let results = results.filter(|one| one["measure"] == measure);
    results.map(|one| one["verdict"].as_str().unwrap()).collect()
}

pub(crate) async fn counts_are_not_the_machine(place: Place) {
    let service = Running::start(place).await;
    let token = service.token("*", "admin").await;
    past(&service, &token, 6, 7).await;
    let judged = send(&service, &token, &counted("a1a1", &[(1001, 14); 6])).await;
    assert_eq!(judged["run"]["outcome"], "regression");
    assert_eq!(of(&judged, "allocations"), ["regression"; 6]);
    assert_eq!(of(&judged, "latency"), ["unchanged"; 6]);
    // One of six is slower, all have the allocations they had: that one, and no machine.
    let mut values = [(1001, 7); 6];
    values[2].0 = 1600;
    let judged = send(&service, &token, &counted("a2a2", &values)).await;
    assert_eq!(judged["run"]["outcome"], "regression", "{judged}");
}

pub(crate) async fn the_first_allocation_is_a_regression(place: Place) {
    let service = Running::start(place).await;
    let token = service.token("*", "admin").await;
    past(&service, &token, 1, 0).await;
    let judged = send(&service, &token, &counted("a1a1", &[(1001, 3)])).await;
    assert_eq!(of(&judged, "allocations"), ["regression"]);
}

pub(crate) async fn a_suite_twice_as_slow_is_a_regression(place: Place) {
    let service = Running::start(place).await;
    let token = service.token("*", "admin").await;
    past(&service, &token, 8, 7).await;
    let (_, answer) = service.upload(&token, &counted("a1a1", &[(2010, 7); 8])).await;
    assert_eq!(
        (&answer["outcome"], &answer["machine_factor"]),
        (&json!("regression"), &Value::Null)
    );
    let told = answer["shifts"][0].as_str().unwrap();
    assert!(
        told.contains("8 of 8 benchmarks moved") && told.contains("taken for the code"),
        "{told}"
    );
    service.judged(&answer["run"], &token).await;
    // A repository of the same owner sees the same on the same machine: now it is known whose doing it is.
    for number in 0..12_u64 {
        let mut body = counted(&format!("{:040x}", 3000 + number), &[(500 + number % 5, 7); 6]);
        body["repository"] = json!("octo/other");
        send(&service, &token, &body).await;
    }
    let mut body = counted("b1b1", &[(1004, 7); 6]);
    body["repository"] = json!("octo/other");
    let (_, answer) = service.upload(&token, &body).await;
    assert_eq!(answer["outcome"], "unchanged", "{answer}");
    let told = answer["shifts"][0].as_str().unwrap();
    assert!(
        told.contains("another repository moved by"),
        "its name is private: {told}"
    );
}

/// An open pull request that is based on a commit of main.
async fn pull_request(service: &Running, number: u32, head: &str, base: &str) {
    let repository = json!({ "full_name": "octo/hello", "default_branch": "main" });
    let payload = json!({
        "action": "opened", "number": number, "repository": repository,
        "pull_request": {
            "head": { "ref": format!("topic-{number}"), "sha": head, "repo": repository },
            "base": { "ref": "main", "sha": base, "repo": repository },
        },
    });
    deliver(service, "pull_request", &format!("opened-{number}"), &payload).await;
    settle(service).await;
}

pub(crate) async fn an_old_commit_measured_again_tells_of_the_machine(place: Place) {
    let service = Running::start(place).await;
    let token = service.token("*", "admin").await;
    past(&service, &token, 8, 7).await;
    let newest = format!("{:040x}", 2011);
    let mut again = counted(&newest, &[(2004, 7); 8]);
    again["run_id"] = json!("again");
    let judged = send(&service, &token, &again).await;
    assert_eq!(
        judged["run"]["outcome"], "unchanged",
        "its code was measured before: {judged}"
    );
    let mut body = counted("a1a1", &[(2010, 7); 8]);
    body["branch"] = json!("f");
    let (_, answer) = service.upload(&token, &body).await;
    assert_eq!(answer["outcome"], "unchanged", "{answer}");
    let told = answer["shifts"][0].as_str().unwrap();
    assert!(told.contains("measured again, moved by +100"), "{told}");
    // What is slower beyond that is the code's all the same.
    let mut values = [(2010, 7); 8];
    values[3].0 = 3200;
    let mut body = counted("a2a2", &values);
    (body["branch"], body["run_id"]) = (json!("f"), json!("1"));
    send(&service, &token, &body).await;
    body["run_id"] = json!("2");
    let judged = send(&service, &token, &body).await;
    assert_eq!(judged["run"]["outcome"], "regression", "{judged}");
}

pub(crate) async fn another_pull_request_that_moved_tells_of_the_machine(place: Place) {
    let service = Running::start(place).await;
    let token = service.token("*", "admin").await;
    past(&service, &token, 8, 7).await;
    let (one, other, base) = ("a".repeat(40), "b".repeat(40), format!("{:040x}", 2011));
    pull_request(&service, 1, &one, &base).await;
    pull_request(&service, 2, &other, &base).await;
    let judged = send(&service, &token, &counted_on("topic-1", &one, &[(1500, 7); 8])).await;
    assert_eq!(
        judged["run"]["outcome"], "regression",
        "nothing says yet that it was the machine"
    );
    let first = judged["run"]["run"].clone();
    let judged = send(&service, &token, &counted_on("topic-2", &other, &[(1503, 7); 8])).await;
    assert_eq!(judged["run"]["outcome"], "unchanged", "{judged}");
    settle(&service).await;
    let judged = service.judged(&first, &token).await;
    assert_eq!(
        judged["run"]["outcome"], "unchanged",
        "it is judged again: {judged}"
    );
    // Another size is another cause.
    let third = "c".repeat(40);
    pull_request(&service, 3, &third, &base).await;
    let judged = send(&service, &token, &counted_on("topic-3", &third, &[(2600, 7); 8])).await;
    assert_eq!(judged["run"]["outcome"], "regression", "{judged}");
}

fn counted_on(branch: &str, commit: &str, values: &[(u64, u64)]) -> Value {
    let mut body = counted(commit, values);
    body["branch"] = json!(branch);
    body
}

pub(crate) async fn ten_times_as_slow_fails_at_once(place: Place) {
    let service = Running::start(place).await;
    let token = service.token("*", "admin").await;
    service.history(&token, "octo/hello").await;
    let judged = send(&service, &token, &run("octo/hello", "f", "abcd", &[10_020, 505])).await;
    assert_eq!(judged["run"]["outcome"], "regression");
    let judged = send(&service, &token, &run("octo/hello", "f", "abce", &[1150, 505])).await;
    assert_eq!(
        judged["run"]["outcome"], "suspected",
        "and less is never a success"
    );
}

pub(crate) async fn what_main_gained_must_not_be_given_back(place: Place) {
    let service = Running::start(place).await;
    let token = service.token("*", "admin").await;
    service.history(&token, "octo/hello").await;
    for (number, commit) in ["fa57", "fa58"].into_iter().enumerate() {
        send(
            &service,
            &token,
            &run("octo/hello", "main", commit, &[700 + number as u64, 505]),
        )
        .await;
    }
    let mut outcome = Value::Null;
    for id in ["1", "2"] {
        let mut body = run("octo/hello", "f", "abcd", &[1002, 505]);
        body["run_id"] = json!(id);
        outcome = send(&service, &token, &body).await["run"]["outcome"].clone();
    }
    assert_eq!(outcome, "regression");
}

pub(crate) async fn full_names_of_branches_are_the_branches(place: Place) {
    let service = Running::start(place).await;
    let token = service.token("*", "admin").await;
    let judged = send(
        &service,
        &token,
        &run("octo/hello", "refs/heads/main", "abcd", &[1000]),
    )
    .await;
    assert_eq!(
        (&judged["run"]["branch"], &judged["run"]["accepted"]),
        (&json!("main"), &json!(true))
    );
}

pub(crate) async fn results_of_a_merge_commit_are_the_heads(place: Place) {
    let service = Running::start(place).await;
    let token = service.token("*", "admin").await;
    let head = "a".repeat(40);
    opened(&service, 12, &head, false).await;
    settle(&service).await;
    let judged = send(
        &service,
        &token,
        &run("octo/hello", "refs/pull/12/merge", &"b".repeat(40), &[1000]),
    )
    .await;
    assert_eq!(
        (&judged["run"]["commit"], &judged["run"]["pull_request"]),
        (&json!(head), &json!(12))
    );
    let mut body = run("octo/hello", "topic", &"c".repeat(40), &[1000]);
    body["head_commit"] = json!(head);
    body["run_id"] = json!("2");
    let judged = send(&service, &token, &body).await;
    assert_eq!(
        (&judged["run"]["commit"], &judged["run"]["pull_request"]),
        (&json!(head), &json!(12))
    );
}

pub(crate) async fn a_forks_main_is_never_history(place: Place) {
    let service = Running::start(place).await;
    let token = service.token("*", "admin").await;
    let (known, late) = ("a".repeat(40), "b".repeat(40));
    opened(&service, 9, &known, true).await;
    settle(&service).await;
    let judged = send(&service, &token, &run("octo/hello", "main", &known, &[1400])).await;
    assert_eq!(
        (&judged["run"]["accepted"], &judged["run"]["pull_request"]),
        (&json!(false), &json!(9))
    );
    // The results may come before the pull request is known.
    let judged = send(&service, &token, &run("octo/hello", "main", &late, &[1400])).await;
    let id = judged["run"]["run"].clone();
    opened(&service, 10, &late, true).await;
    settle(&service).await;
    let judged = service.judged(&id, &token).await;
    assert_eq!(
        (&judged["run"]["accepted"], &judged["run"]["pull_request"]),
        (&json!(false), &json!(10))
    );
}

pub(crate) async fn the_base_is_compared_over_all_processes(place: Place) {
    let service = Running::start(place).await;
    let token = service.token("*", "admin").await;
    let files = |from: u64| -> Vec<Value> {
        let text = |value: u64| format!("goos: linux\npkg: p\nBenchmarkA-8 1000 {value} ns/op\n");
        (0..6)
            .map(|number| json!({ "text": text(from + number) }))
            .collect()
    };
    let mut body = run("octo/hello", "f", "abcd", &[]);
    (body["results"], body["base"]) = (json!(files(1400)), json!(files(1000)));
    let judged = send(&service, &token, &body).await;
    assert_eq!(
        judged["run"]["outcome"], "regression",
        "six files are six processes: {judged}"
    );
    let mut last = Value::Null;
    for number in 0..5_usize {
        let mut body = run("octo/hello", "f", "abce", &[]);
        body["run_id"] = json!(number.to_string());
        (body["results"], body["base"]) = (json!([files(1400)[number]]), json!([files(1000)[number]]));
        last = send(&service, &token, &body).await;
    }
    assert_eq!(
        last["run"]["outcome"], "regression",
        "five uploads are five processes: {last}"
    );
}

pub(crate) async fn a_pull_request_is_held_against_its_base(place: Place) {
    let service = Running::start(place).await;
    let token = service.token("*", "admin").await;
    service.history(&token, "octo/hello").await;
    let base = "ba5e".repeat(10);
    send(&service, &token, &run("octo/hello", "main", &base, &[1003, 505])).await;
    // Main is faster since; a pull request from before that is not slower for it.
    for number in 0..3_u64 {
        let commit = format!("{:040x}", 5000 + number);
        send(
            &service,
            &token,
            &run("octo/hello", "main", &commit, &[700 + number, 505]),
        )
        .await;
    }
    let head = "e".repeat(40);
    let repository = json!({ "full_name": "octo/hello", "default_branch": "main" });
    let payload = json!({
        "action": "opened", "number": 3, "repository": repository,
        "pull_request": {
            "head": { "ref": "topic", "sha": head, "repo": repository },
            "base": { "ref": "main", "sha": base, "repo": repository },
        },
    });
    deliver(&service, "pull_request", "base-3", &payload).await;
    settle(&service).await;
    for id in ["1", "2"] {
        let mut body = run("octo/hello", "topic", &head, &[1005, 505]);
        body["run_id"] = json!(id);
        let judged = send(&service, &token, &body).await;
        assert_eq!(judged["run"]["outcome"], "unchanged", "{judged}");
    }
}

pub(crate) async fn one_upload_does_not_hide_another_of_the_commit(place: Place) {
    let service = Running::start(place).await;
    let token = service.token("*", "admin").await;
    service.history(&token, "octo/hello").await;
    let mut slow = run("octo/hello", "main", "abcd", &[3000]);
    slow["run_id"] = json!("a");
    send(&service, &token, &slow).await;
    let mut other = run("octo/hello", "main", "abcd", &[]);
    other["run_id"] = json!("b");
    other["results"][0]["text"] = json!("goos: linux\npkg: p\nBenchmarkB-8 1000 505 ns/op\n");
    send(&service, &token, &other).await;
    let badge = service
        .client
        .get(format!("{}/badge/octo/hello.svg", service.url))
        .bearer_auth(&token);
    let badge = badge.send().await.unwrap().text().await.unwrap();
    assert!(badge.contains("1 regression"), "{badge}");
}
