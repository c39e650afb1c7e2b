//! Spans reach an OpenTelemetry collector, the last ones when the service ends.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use serde_json::json;

use crate::scenes::PATIENCE;
use crate::service::Service;

type Seen = Arc<Mutex<Vec<Bytes>>>;

async fn take(State(seen): State<Seen>, headers: HeaderMap, body: Bytes) -> &'static str {
    assert_eq!(headers["content-type"], "application/x-protobuf");
    seen.lock().unwrap().push(body);
    ""
}

/// A collector on a free port.
async fn collector() -> (String, Seen) {
    let seen = Seen::default();
    let router = Router::new()
        .route("/v1/traces", post(take))
        .with_state(Arc::clone(&seen));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, seen)
}

/// Strings stand in protocol buffers as they are.
fn holds(seen: &Seen, text: &str) -> bool {
    let seen = seen.lock().unwrap();
    let has = |body: &Bytes| body.windows(text.len()).any(|part| part == text.as_bytes());
    seen.iter().any(has)
}

#[tokio::test(flavor = "multi_thread")]
async fn they_reach_the_collector_before_the_end() {
    let (url, seen) = collector().await;
    let mut service = Service::start(&[&format!("logging.opentelemetry={url}")]).await;
    let name = "octo/hello";
    service.github.add_repository(name);
    let body = json!({
        "repository": name, "branch": "main", "commit": "abcd",
        "results": [{ "text": "pkg: p\nBenchmarkA-8 1000 5 ns/op\n" }],
    });
    let request = reqwest::Client::new()
        .post(format!("{}/analyze", service.url))
        .bearer_auth(&service.token)
        .header("x-request-id", "the-last-request")
        .json(&body);
    assert!(request.send().await.unwrap().status().is_success());
    service.settle(PATIENCE).await;
    // Batches go every few seconds; the end does not wait for the next one, and loses nothing.
    service.signal("TERM");
    assert!(service.ended(Duration::from_secs(30)), "{}", service.log());
    for text in ["regressd", "request", "/analyze", "the-last-request"] {
        assert!(
            holds(&seen, text),
            "{text:?} is in none of {} exports",
            seen.lock().unwrap().len()
        );
    }
    assert!(!holds(&seen, &service.token), "a token has no place in spans");
    assert!(service.log().contains("regressd has ended"));
}

/// A collector that is not there costs nothing but its spans.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_collector_the_service_goes_on() {
    let nowhere = format!("logging.opentelemetry=http://127.0.0.1:{}", test_kit::free_port());
    let mut service = Service::start(&[&nowhere]).await;
    assert_eq!(service.ready().await.unwrap()["ready"], true);
    service.signal("TERM");
    assert!(service.ended(Duration::from_secs(30)), "{}", service.log());
}
