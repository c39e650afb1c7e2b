//! Deliveries over HTTP: what GitHub sends becomes events, and what anybody else sends is refused.
#![expect(clippy::unwrap_used, reason = "tests")]

use axum::Json;
use axum::body::Body;
use axum::extract::FromRef;
use axum::http::{Request, StatusCode};
use axum::routing::post;
use http_body_util::BodyExt as _;
use regressd::webhook::{
    Event, MAX_BYTES, PullRequestAction, SignedDelivery, WebhookKeys, read_event, sign_body,
};
use serde_json::{Value, json};
use tower::ServiceExt as _;

const SECRET: &[u8] = b"It's a Secret to Everybody";

fn fixture(name: &str) -> Vec<u8> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/github-webhooks/");
    std::fs::read(format!("{path}{name}.json")).unwrap()
}

fn event(file: &str) -> Event {
    let name = file.split('.').next().unwrap();
    let event = read_event(name, &fixture(file)).unwrap();
    let stored = serde_json::to_string(&event).unwrap();
    assert_eq!(
        serde_json::from_str::<Event>(&stored).unwrap(),
        event,
        "an event survives being stored"
    );
    event
}

#[test]
fn payloads_of_pull_requests() {
    let Event::PullRequest(opened) = event("pull_request.opened") else {
        panic!()
    };
    assert_eq!(opened.action, PullRequestAction::Opened);
    assert_eq!(opened.repository.to_string(), "codertocat/hello-world");
    assert_eq!(
        (opened.number.0, opened.base.as_str(), opened.from_fork),
        (2, "master", false)
    );
    assert_eq!(opened.head.as_str(), "ec26c3e57ca3a959ca5aad62de7213c562f8c821");
    assert_eq!(opened.installation, Some(1));
    let Event::PullRequest(updated) = event("pull_request.synchronize") else {
        panic!()
    };
    assert_eq!(updated.action, PullRequestAction::Updated);
    let Event::PullRequest(closed) = event("pull_request.closed") else {
        panic!()
    };
    assert_eq!(closed.action, PullRequestAction::Closed);
    assert!(matches!(event("pull_request.labeled"), Event::Ignored { .. }));
}

#[test]
fn a_head_in_another_repository_is_a_fork_even_if_that_is_gone() {
    let mut payload: Value = serde_json::from_slice(&fixture("pull_request.opened")).unwrap();
    for repository in [json!({ "full_name": "stranger/Hello-World" }), Value::Null] {
        payload["pull_request"]["head"]["repo"] = repository;
        let Event::PullRequest(event) = read_event("pull_request", payload.to_string().as_bytes()).unwrap()
        else {
            panic!()
        };
        assert!(event.from_fork);
    }
}

#[test]
fn a_new_title_is_ignored_and_a_new_base_is_not() {
    let mut payload: Value = serde_json::from_slice(&fixture("pull_request.opened")).unwrap();
    payload["action"] = json!("edited");
    payload["changes"] = json!({ "title": { "from": "x" } });
    let read = |payload: &Value| read_event("pull_request", payload.to_string().as_bytes()).unwrap();
    assert!(matches!(read(&payload), Event::Ignored { .. }));
    payload["changes"] = json!({ "base": { "ref": { "from": "x" } } });
    assert!(matches!(read(&payload), Event::PullRequest(_)));
}

#[test]
fn payloads_of_everything_else() {
    let Event::Push(push) = event("push") else {
        panic!()
    };
    assert_eq!(push.branch.as_str(), "master");
    assert_eq!(push.default_branch, Some(push.branch));
    assert!(matches!(event("push.tag"), Event::Ignored { .. }));
    let Event::Rerequested(run) = event("check_run.rerequested") else {
        panic!()
    };
    assert_eq!((run.pull_requests.len(), run.installation), (0, Some(1)));
    let Event::Rerequested(suite) = event("check_suite.rerequested") else {
        panic!()
    };
    assert_eq!((suite.pull_requests[0].0, suite.app), (2, Some(29_310)));
    let Event::WorkflowRun(run) = event("workflow_run.completed") else {
        panic!()
    };
    assert_eq!((run.run, run.installation), (1_589_141_559, None));
    let Event::Installation(made) = event("installation.created") else {
        panic!()
    };
    assert_eq!((made.added.len(), made.gone), (1, false));
    let Event::Installation(gone) = event("installation.deleted") else {
        panic!()
    };
    assert_eq!((gone.removed.len(), gone.gone), (1, true));
    let Event::Installation(added) = event("installation_repositories.added") else {
        panic!()
    };
    assert_eq!(
        (added.added.len(), added.removed.len(), added.gone),
        (1, 0, false)
    );
    let Event::Installation(removed) = event("installation_repositories.removed") else {
        panic!()
    };
    assert_eq!((removed.removed.len(), removed.gone), (1, false));
    assert_eq!(event("ping"), Event::Ping);
    for ignored in ["issue_comment.created", "check_run.created"] {
        assert!(matches!(event(ignored), Event::Ignored { .. }), "{ignored}");
    }
}

#[derive(Clone)]
struct State(WebhookKeys);

impl FromRef<State> for WebhookKeys {
    fn from_ref(state: &State) -> Self {
        state.0.clone()
    }
}

fn request(headers: &[(&str, &str)], body: impl Into<Body>) -> Request<Body> {
    let mut request = Request::post("/webhook");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body.into()).unwrap()
}

async fn answer(keys: WebhookKeys, request: Request<Body>) -> (StatusCode, Value) {
    let handler = |delivery: SignedDelivery| async move { Json(json!({ "event": delivery.event.name() })) };
    let router = axum::Router::new()
        .route("/webhook", post(handler))
        .with_state(State(keys));
    let response = router.oneshot(request).await.unwrap();
    let status = response.status();
    let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
    let expected = if status.is_success() {
        "application/json"
    } else {
        "application/problem+json"
    };
    assert_eq!(kind, expected);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}

fn keys() -> WebhookKeys {
    WebhookKeys::new([SECRET.to_vec()])
}

async fn refused(headers: &[(&str, &str)], body: impl Into<Body>) -> (u16, String) {
    let (status, problem) = answer(keys(), request(headers, body)).await;
    assert_eq!(problem["status"], status.as_u16());
    let detail = problem["detail"].as_str().unwrap().to_owned();
    assert!(!detail.contains("Secret to"), "the secret is never told");
    (status.as_u16(), detail)
}

const ID: (&str, &str) = ("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958");
const JSON: (&str, &str) = ("content-type", "application/json");
const PING: (&str, &str) = ("x-github-event", "ping");

#[tokio::test]
async fn a_signed_delivery_is_taken() {
    let body = fixture("ping");
    let signature = sign_body(SECRET, &body);
    let headers = [ID, JSON, PING, ("x-hub-signature-256", signature.as_str())];
    let (status, said) = answer(keys(), request(&headers, body)).await;
    assert_eq!((status, &said["event"]), (StatusCode::OK, &json!("ping")));
}

#[tokio::test]
async fn signatures_that_do_not_hold() {
    let body = fixture("ping");
    let right = sign_body(SECRET, &body);
    let wrong = sign_body(b"guess", &body);
    assert_eq!(refused(&[ID, JSON, PING], body.clone()).await.0, 401);
    let old = ("x-hub-signature", "sha1=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    let (status, detail) = refused(&[ID, JSON, PING, old], body.clone()).await;
    assert!(status == 401 && detail.contains("SHA-1"), "{detail}");
    let (status, detail) = refused(&[ID, JSON, PING, ("x-hub-signature-256", &wrong)], body.clone()).await;
    assert!(status == 401 && detail.contains("does not fit"), "{detail}");
    assert_eq!(
        refused(
            &[ID, JSON, PING, ("x-hub-signature-256", "sha256=x")],
            body.clone()
        )
        .await
        .0,
        401
    );
    let mut changed = body.clone();
    changed[1] = b' ';
    assert_eq!(
        refused(&[ID, JSON, PING, ("x-hub-signature-256", &right)], changed)
            .await
            .0,
        401
    );
    let empty = WebhookKeys::new([Vec::new()]);
    let guess = sign_body(b"", &body);
    let headers = [ID, JSON, PING, ("x-hub-signature-256", guess.as_str())];
    assert_eq!(
        answer(empty, request(&headers, body)).await.0,
        StatusCode::SERVICE_UNAVAILABLE
    );
}

#[tokio::test]
async fn bodies_that_are_not_taken() {
    let deep = "[".repeat(100_000);
    let cut = &fixture("push")[..500];
    let no_repository = br#"{"ref": "refs/heads/x", "after": "abcd"}"#;
    let path = br#"{"ref": "refs/heads/x", "after": "abcd", "repository": {"full_name": "../etc"}}"#;
    let no_commit = br#"{"ref": "refs/heads/x", "after": "'; --", "repository": {"full_name": "a/b"}}"#;
    for body in [
        b"",
        deep.as_bytes(),
        cut,
        no_repository,
        path,
        no_commit,
        b"\xff\xfe",
    ] {
        let signature = sign_body(SECRET, body);
        let headers = [
            ID,
            JSON,
            ("x-github-event", "push"),
            ("x-hub-signature-256", &signature),
        ];
        assert_eq!(
            refused(&headers, body.to_vec()).await.0,
            400,
            "{:?}",
            body.get(..50)
        );
    }
    let form = b"payload=%7B%7D";
    let signature = sign_body(SECRET, form);
    let kind = ("content-type", "application/x-www-form-urlencoded");
    let headers = [ID, kind, PING, ("x-hub-signature-256", &signature)];
    assert_eq!(refused(&headers, form.to_vec()).await.0, 415);
    let signature = sign_body(SECRET, b"{}");
    let signature = ("x-hub-signature-256", signature.as_str());
    assert_eq!(
        refused(&[JSON, PING, signature], "{}").await.0,
        400,
        "no delivery id"
    );
    assert_eq!(refused(&[JSON, ID, signature], "{}").await.0, 400, "no event");
}

#[tokio::test]
async fn bodies_over_the_limit() {
    let length = (MAX_BYTES + 1).to_string();
    let signature = ("x-hub-signature-256", "sha256=00");
    let said = [ID, JSON, PING, signature, ("content-length", length.as_str())];
    assert_eq!(refused(&said, "{}").await.0, 413, "refused before it is read");
    let body = vec![b' '; MAX_BYTES + 1];
    assert_eq!(
        refused(&[ID, JSON, PING, signature], body).await.0,
        413,
        "whatever it says about its length"
    );
}

#[tokio::test]
async fn slow_bodies_are_given_up() {
    let body = Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let headers = [ID, JSON, PING, ("x-hub-signature-256", "sha256=00")];
    let keys = keys().with_patience(std::time::Duration::from_millis(20));
    assert_eq!(
        answer(keys, request(&headers, body)).await.0,
        StatusCode::REQUEST_TIMEOUT
    );
}
