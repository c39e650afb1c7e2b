//! Bad input: each kind gets the right status and problem+json, and the service goes on.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::place::Place;
use crate::running::{Running, run};

pub(crate) async fn each_gets_the_right_status(place: Place) {
    let limits = [
        ("server.upload_limit_mib", "1"),
        ("server.request_timeout_seconds", "5"),
    ];
    let service = Running::with(place, &limits).await;
    let token = service.token("*", "admin").await;
    let raw = |body: String| {
        let request = service
            .client
            .post(format!("{}/analyze", service.url))
            .bearer_auth(&token);
        async move {
            let response = request.body(body).send().await.unwrap();
            let status = response.status().as_u16();
            let problem: Value = response.json().await.unwrap();
            assert_eq!(problem["status"], status, "{problem}");
            status
        }
    };
    assert_eq!(raw("not json".to_owned()).await, 400);
    assert_eq!(raw(String::new()).await, 400);
    assert_eq!(raw("[".repeat(100_000)).await, 422, "a list is no upload");
    let deep = format!(
        r#"{{"repository":"octo/hello","branch":"main","commit":"abcd","results":[{{"json":{}{}}}]}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    assert_eq!(raw(deep).await, 422, "deeply nested, and no format of a tool");
    assert_eq!(raw("{}".to_owned()).await, 422);
    assert_eq!(raw("\"".repeat(3 << 19)).await, 413);
    let good = run("octo/hello", "main", "abcd", &[1]);
    let with = |field: &str, value: Value| {
        let mut body = good.clone();
        body[field] = value;
        body
    };
    for (field, value) in [
        ("repository", json!("octo")),
        ("repository", json!("octo/../x")),
        ("repository", json!("octo/hello'; DROP TABLE runs; --")),
        ("branch", json!("")),
        ("branch", json!("a\u{0}b")),
        ("commit", json!("main")),
        ("commit", json!(7)),
        ("pull_request", json!(-1)),
        ("tool", json!("stopwatch")),
        ("results", json!([])),
        ("results", json!([{ "text": "nothing" }])),
        ("results", json!([{ "text": "a", "json": {} }])),
        ("results", json!([{}])),
        ("environment", json!({ "name": "a\u{1}b" })),
        ("environment", json!({ "colour": "red" })),
        ("environment", json!({ "name": "x".repeat(5000) })),
        ("component", json!("x".repeat(101))),
        ("colour", json!("red")),
    ] {
        let (status, problem) = service.upload(&token, &with(field, value.clone())).await;
        assert_eq!(status, 422, "{field} {value} {problem}");
    }
    for path in [
        "/v1/repositories?limit=0",
        "/v1/repositories?limit=x",
        "/v1/repositories?cursor=%27",
        "/v1/runs/x",
    ] {
        assert_eq!(service.get(path, &token).await.0, 400, "{path}");
    }
    for path in [
        "/v1/runs/9223372036854775807",
        "/v1/runs/-1",
        "/config/octo/%00",
        "/config/%2e%2e/x",
        "/x",
    ] {
        assert_eq!(service.get(path, &token).await.0, 404, "{path}");
    }
    for (head, status) in [
        ("GET /health HTTP/1.1\r\n\r\n", "HTTP/1.1 400"),
        (
            "GET /health HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
            "HTTP/1.1 400",
        ),
        ("GET /health HTTP/1.1\r\nhost: a\r\n\r\n", "HTTP/1.1 200"),
        ("GET /health HTTP/1.0\r\n\r\n", "HTTP/1.0 200"),
    ] {
        let address = service.url.trim_start_matches("http://");
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = vec![0; status.len()];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&answer), status, "{head:?}");
    }
    // A client that sends a byte now and then is not waited for.
    let mut slow = tokio::net::TcpStream::connect(service.url.trim_start_matches("http://"))
        .await
        .unwrap();
    let head = format!(
        "POST /analyze HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-length: 1000\r\n\r\n"
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(60), slow.read_buf(&mut answer)).await;
    assert!(
        read.is_ok() && answer.starts_with(b"HTTP/1.1 408"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    assert!(service.upload(&token, &good).await.0 < 300, "it goes on");
}

pub(crate) async fn metacharacters_are_only_characters(place: Place) {
    let service = Running::start(place).await;
    let token = service.token("*", "admin").await;
    let branch = "x'; DROP TABLE runs; -- %00 ../../etc <script>";
    let text = "goos: linux\npkg: p\nBenchmark<img/src=x>'\"--;-8 1000 5 ns/op\n";
    let body = json!({
        "repository": "octo/hello", "branch": branch, "target_branch": branch, "commit": "abcd", "run_id": "' OR 1=1",
        "component": "<b>", "environment": { "name": "a;b=c" }, "results": [{ "text": text }],
    });
    let (status, answer) = service.upload(&token, &body).await;
    assert!(status < 300, "{answer}");
    let stored = service.judged(&answer["run"], &token).await;
    assert_eq!(stored["run"]["branch"], branch);
    assert_eq!(stored["run"]["run_id"], "' OR 1=1");
    assert_eq!(stored["results"][0]["benchmark"], "p.Benchmark<img/src=x>'\"--;");
    // A branch of which there is nothing is told, with those that are there.
    let series = service.get("/v1/repositories/octo/hello/series", &token).await.1;
    let series = &series["items"][0]["series"];
    for path in [
        "/v1/repositories/octo/hello/runs?branch=%27%20OR%201%3D1".to_owned(),
        format!("/v1/series/{series}/history?branch=%27%20OR%201%3D1"),
        format!("/v1/series/{series}/baseline?branch=%27%20OR%201%3D1"),
    ] {
        let (status, answer) = service.ask(Method::GET, &path, &token, None).await;
        assert_eq!(status, 404, "{answer}");
        let detail = answer["detail"].as_str().unwrap();
        assert!(detail.contains("no runs of the branch \"' OR 1=1\""), "{detail}");
    }
}
