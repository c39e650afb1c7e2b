//! Uploads: stored, judged, and what their verdicts do to baselines.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::place::Place;
use crate::running::{Running, run};

fn verdict<'a>(judged: &'a Value, benchmark: &str) -> &'a Value {
    let results = judged["results"].as_array().unwrap();
    results
        .iter()
        .find(|result| result["benchmark"] == format!("p.Benchmark{benchmark}"))
        .unwrap()
}

pub(crate) async fn an_upload_is_judged_by_its_branch(place: Place) {
    let service = Running::start(place).await;
    let token = service.token("octo/*", "upload").await;
    let (status, first) = service
        .upload(&token, &run("octo/hello", "main", "abcd", &[1000]))
        .await;
    assert!(status == 200 || status == 202, "{first}");
    let first = service.judged(&first["run"], &token).await;
    assert_eq!(first["results"][0]["verdict"], "not-enough-data");
    assert!(
        first["results"][0]["reason"]
            .as_str()
            .unwrap()
            .starts_with("measured for the first time")
    );
    assert_eq!(
        first["run"]["accepted"], true,
        "the first run of main is where its history begins"
    );
    service.history(&token, "octo/other").await;
    let (_, answer) = service
        .upload(&token, &run("octo/other", "feature", "ffff", &[1003, 300]))
        .await;
    let judged = service.judged(&answer["run"], &token).await;
    assert_eq!(
        (&judged["run"]["target_branch"], &judged["run"]["accepted"]),
        (&json!("main"), &json!(false))
    );
    let same = verdict(&judged, "A");
    assert_eq!(
        (&same["verdict"], &same["sample_size"], &same["is_regression"]),
        (&json!("unchanged"), &json!(10), &json!(false))
    );
    assert_eq!(
        (&same["current_value"], &same["baseline_value"]),
        (&json!(1003.0), &json!(1004.5))
    );
    assert!(same["percent_change"].as_f64().unwrap().abs() < 1.0 && same["q_value"].as_f64().is_some());
    // Another environment has another history, and another component too.
    for (field, value) in [
        ("environment", json!({ "name": "laptop" })),
        ("component", json!("parser")),
    ] {
        let mut body = run("octo/other", "feature", "ffff", &[5000]);
        body[field] = value;
        let (_, answer) = service.upload(&token, &body).await;
        let judged = service.judged(&answer["run"], &token).await;
        assert_eq!(verdict(&judged, "A")["verdict"], "not-enough-data", "{field}");
    }
    // What a pull request measures never becomes history, even from a branch that is called main.
    let mut fork = run("octo/other", "main", "eeee", &[9000]);
    fork["pull_request"] = json!(7);
    let (_, answer) = service.upload(&token, &fork).await;
    assert_eq!(
        service.judged(&answer["run"], &token).await["run"]["accepted"],
        false
    );
}

pub(crate) async fn an_upload_may_be_compressed_by_gzip(place: Place) {
    let service = Running::with(place, &[("server.upload_limit_mib", "1")]).await;
    let token = service.token("*", "upload").await;
    let body = run("octo/hello", "main", "abcd", &[1000]).to_string();
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, bytes).unwrap();
        encoder.finish().unwrap()
    };
    let send = async |encoding: &str, bytes: Vec<u8>| {
        let request = service
            .client
            .post(format!("{}/analyze", service.url))
            .bearer_auth(&token);
        let request = request.header("content-encoding", encoding).body(bytes);
        request.send().await.unwrap().status().as_u16()
    };
    assert!(send("gzip", gzip(body.as_bytes())).await < 300);
    assert_eq!(
        send("gzip", gzip(&vec![b' '; 30 << 20])).await,
        413,
        "30 KB that hold 30 MiB"
    );
    assert_eq!(send("gzip", body.clone().into_bytes()).await, 400);
    assert_eq!(send("br", body.into_bytes()).await, 415);
}

pub(crate) async fn the_same_upload_is_stored_once(place: Place) {
    let service = Running::start(place).await;
    let token = service.token("*", "upload").await;
    let body = run("octo/hello", "main", "abcd", &[1000]);
    let answers = futures_util::future::join_all((0..8).map(|_| service.upload(&token, &body))).await;
    let runs: BTreeSet<String> = answers
        .iter()
        .map(|(_, answer)| answer["run"].to_string())
        .collect();
    assert_eq!(runs.len(), 1, "{answers:?}");
    assert_eq!(
        answers
            .iter()
            .filter(|(_, answer)| answer["already_stored"] == false)
            .count(),
        1
    );
    let (status, problem) = service
        .upload(&token, &run("octo/hello", "main", "abcd", &[1001]))
        .await;
    assert_eq!(status, 409, "{problem}");
    // Without a run id the contents are the id.
    let mut unnamed = run("octo/hello", "main", "abce", &[1000]);
    unnamed.as_object_mut().unwrap().remove("run_id");
    let (_, one) = service.upload(&token, &unnamed).await;
    let (_, again) = service.upload(&token, &unnamed).await;
    unnamed["results"][0]["text"] = json!("goos: linux\npkg: p\nBenchmarkA-8 1000 1002 ns/op\n");
    let (_, other) = service.upload(&token, &unnamed).await;
    assert!(one["run"] == again["run"] && one["run"] != other["run"]);
}

pub(crate) async fn a_suspicion_is_confirmed_by_a_second_run(place: Place) {
    let service = Running::start(place).await;
    let token = service.token("*", "upload").await;
    service.history(&token, "octo/hello").await;
    let slow = |key: &str, value: u64| {
        let mut body = run("octo/hello", "feature", "ffff", &[value, 500]);
        body["run_id"] = json!(key);
        body
    };
    let (_, answer) = service.upload(&token, &slow("1", 1400)).await;
    let judged = service.judged(&answer["run"], &token).await;
    let first = verdict(&judged, "A");
    assert_eq!(
        (&first["verdict"], &first["needs_confirmation"]),
        (&json!("suspected"), &json!(true)),
        "{first}"
    );
    let (_, answer) = service.upload(&token, &slow("2", 1390)).await;
    let judged = service.judged(&answer["run"], &token).await;
    let second = verdict(&judged, "A");
    assert_eq!(
        (&second["is_regression"], &second["judged_runs"]),
        (&json!(true), &json!(2)),
        "{second}"
    );
    assert_eq!(judged["run"]["outcome"], "regression");
    // On main a suspicion that a second run clears leaves its value in the history after all.
    let on_main = |key: &str, value: u64| {
        let mut body = run("octo/hello", "main", "eeee", &[value, 500]);
        body["run_id"] = json!(key);
        body
    };
    let mut sizes = Vec::new();
    for (key, value) in [("1", 1400), ("2", 1004)] {
        let (_, answer) = service.upload(&token, &on_main(key, value)).await;
        service.judged(&answer["run"], &token).await;
        let series = verdict(&judged, "A")["series"].clone();
        let (_, baseline) = service
            .get(&format!("/v1/series/{series}/baseline"), &token)
            .await;
        sizes.push(baseline["sample_size"].as_u64().unwrap());
    }
    assert_eq!(sizes, [10, 12]);
}

pub(crate) async fn an_accepted_shift_begins_an_epoch(place: Place) {
    let service = Running::start(place).await;
    let token = service.token("*", "admin").await;
    service.history(&token, "octo/hello").await;
    let mut first_slow = Value::Null;
    let mut last = Value::Null;
    let mut outcomes = Vec::new();
    for number in 0..4_u64 {
        let body = run(
            "octo/hello",
            "main",
            &format!("{:040x}", 0xbad0 + number),
            &[1400 + number, 500],
        );
        let (_, answer) = service.upload(&token, &body).await;
        last = service.judged(&answer["run"], &token).await;
        outcomes.push(last["run"]["outcome"].as_str().unwrap().to_owned());
        if number == 0 {
            first_slow = answer["run"].clone();
        }
    }
    let slow = verdict(&last, "A");
    assert_eq!(
        outcomes,
        ["suspected", "regression", "unchanged", "unchanged"],
        "said once"
    );
    assert!(
        slow["reason"]
            .as_str()
            .unwrap()
            .starts_with("already on main since"),
        "{slow}"
    );
    assert_eq!(slow["sample_size"], 10, "its own values never moved the baseline");
    let path = format!("/v1/series/{}", slow["series"]);
    for (body, status) in [
        (
            json!({ "branch": "main", "from_run": first_slow, "justification": "  - " }),
            422,
        ),
        (
            json!({ "branch": "other", "from_run": first_slow, "justification": "needed for Unicode" }),
            409,
        ),
        (
            json!({ "branch": "main", "from_run": 999_999, "justification": "needed for Unicode" }),
            409,
        ),
        (
            json!({ "branch": "main", "from_run": first_slow, "justification": "needed for Unicode" }),
            200,
        ),
    ] {
        let (given, answer) = service
            .ask(Method::POST, &format!("{path}/accept"), &token, Some(&body))
            .await;
        assert_eq!(given, status, "{answer}");
    }
    let (_, baseline) = service.get(&format!("{path}/baseline"), &token).await;
    assert_eq!(
        (&baseline["sample_size"], &baseline["median"]),
        (&json!(4), &json!(1401.5))
    );
    assert_eq!(baseline["epoch"]["justification"], "needed for Unicode");
    let (_, answer) = service
        .upload(&token, &run("octo/hello", "feature", "ffff", &[1402, 500]))
        .await;
    let judged = service.judged(&answer["run"], &token).await;
    assert_eq!(verdict(&judged, "A")["verdict"], "unchanged", "{judged}");
    let (_, log) = service.get("/v1/audit", &token).await;
    assert_eq!(log["items"][0]["action"], "baseline.accept");
}

pub(crate) async fn a_base_in_the_same_upload_is_compared_directly(place: Place) {
    let service = Running::start(place).await;
    let token = service.token("*", "upload").await;
    let runs = |factor: f64| {
        let times: Vec<f64> = (0..10).map(|i| factor * (1.0 + f64::from(i) * 0.002)).collect();
        json!({ "results": [{ "command": "sort", "times": times, "exit_codes": vec![0; 10],
            "mean": factor, "median": factor, "min": factor, "max": factor * 1.02, "user": 0.1, "system": 0.1 }] })
    };
    let body = json!({
        "repository": "octo/hello", "branch": "feature", "commit": "abcd", "tool": "hyperfine",
        "results": [{ "json": runs(1.2) }], "base": [{ "json": runs(1.0) }],
    });
    let (_, answer) = service.upload(&token, &body).await;
    let judged = service.judged(&answer["run"], &token).await;
    let results = judged["results"].as_array().unwrap();
    let result = results
        .iter()
        .find(|result| result["measure"] == "latency")
        .unwrap();
    assert_eq!(
        (&result["is_regression"], &result["judged_runs"]),
        (&json!(true), &json!(10)),
        "{result}"
    );
    let low = result["interval"]["low"].as_f64().unwrap();
    assert!(
        low > 15.0 && result["q_value"].as_f64().unwrap() < 0.05,
        "{result}"
    );
}

pub(crate) async fn pages_of_lists_follow_each_other(place: Place) {
    let service = Running::start(place).await;
    let token = service.token("*", "upload").await;
    service.history(&token, "octo/hello").await;
    let (_, answer) = service
        .upload(&token, &run("octo/hello", "feature", "ffff", &[1, 2]))
        .await;
    service.judged(&answer["run"], &token).await;
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/v1/repositories/octo/hello/runs?branch=main&limit=4{cursor}");
        let (status, page) = service.get(&path, &token).await;
        assert_eq!(status, 200, "{page}");
        seen.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|run| run["run"].as_i64().unwrap()),
        );
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen.len(), 10);
    assert!(seen.is_sorted_by(|a, b| a > b), "{seen:?}");
    let (_, series) = service.get("/v1/repositories/octo/hello/series", &token).await;
    assert_eq!(series["items"].as_array().unwrap().len(), 2);
    let number = &series["items"][0]["series"];
    let (_, history) = service
        .get(&format!("/v1/series/{number}/history?limit=3"), &token)
        .await;
    assert_eq!(history["items"].as_array().unwrap().len(), 3);
    assert_eq!(history["items"][0]["value"], 1009.0);
}
