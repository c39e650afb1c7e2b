//! What strangers send to the webhook: the right status, problem+json, a log line without secrets.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use regressd::webhook::{MAX_BYTES, sign_body};
use serde_json::{Value, json};

use crate::service::{SECRET, Service};

async fn send(service: &Service, signature: Option<(&str, &str)>, id: &str, body: Vec<u8>) -> (u16, Value) {
    let client = reqwest::Client::new();
    let mut request = client
        .post(format!("{}/webhook", service.url))
        .header("content-type", "application/json")
        .header("x-github-event", "push")
        .header("x-github-delivery", id)
        .body(body);
    if let Some((name, value)) = signature {
        request = request.header(name, value);
    }
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
    assert!(
        status < 300 || kind == "application/problem+json",
        "{status} {kind}"
    );
    (status, response.json().await.unwrap())
}

/// Sends the beginning of a delivery over a bare connection and reads what comes back.
async fn raw(service: &Service, header: &str, body: &str) -> String {
    let address = service.url.trim_start_matches("http://").to_owned();
    let sent = format!(
        "POST /webhook HTTP/1.1\r\nhost: x\r\nx-hub-signature-256: sha256=00\r\n{header}\r\n\r\n{body}"
    );
    let talk = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(sent.as_bytes()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut answer = [0; 1024];
        let read = stream.read(&mut answer).unwrap();
        String::from_utf8_lossy(&answer[..read]).into_owned()
    });
    talk.await.unwrap()
}

#[tokio::test]
async fn the_webhook_believes_nobody() {
    let service = Service::start(&["server.requests_per_address_minute=10"]).await;
    let push = json!({
        "ref": "refs/heads/main",
        "after": "a".repeat(40),
        "repository": { "full_name": "octo/app", "default_branch": "main" },
    });
    let body = push.to_string().into_bytes();
    let signed = |body: &[u8]| sign_body(SECRET.as_bytes(), body);
    let header = "x-hub-signature-256";
    let right = signed(&body);
    assert_eq!(send(&service, None, "1", body.clone()).await.0, 401);
    let forged = sign_body(b"guess", &body);
    assert_eq!(
        send(&service, Some((header, &forged)), "1", body.clone()).await.0,
        401
    );
    assert_eq!(
        send(&service, Some(("x-hub-signature", "sha1=00")), "1", body.clone())
            .await
            .0,
        401
    );
    let deep = "[".repeat(1_000_000).into_bytes();
    assert_eq!(
        send(&service, Some((header, &signed(&deep))), "1", deep).await.0,
        400
    );
    let traversal = push.to_string().replace("octo/app", "../../etc").into_bytes();
    assert_eq!(
        send(&service, Some((header, &signed(&traversal))), "1", traversal)
            .await
            .0,
        400
    );
    let odd = push
        .to_string()
        .replace("heads/main", "heads/'; DROP TABLE runs; --")
        .into_bytes();
    assert_eq!(
        send(&service, Some((header, &signed(&odd))), "odd", odd).await.0,
        200,
        "odd, and harmless"
    );
    assert_eq!(
        send(&service, Some((header, &right)), "1", body.clone()).await,
        (200, json!({ "event": "push", "accepted": true }))
    );
    assert_eq!(
        send(&service, Some((header, &right)), "1", body.clone()).await,
        (200, json!({ "event": "push", "accepted": false }))
    );
    let huge = format!("content-length: {}", MAX_BYTES + 1);
    assert!(
        raw(&service, &huge, "").await.starts_with("HTTP/1.1 413"),
        "before it is read"
    );
    service.settle(Duration::from_secs(10)).await;
    let mut refused = 0;
    for _ in 0..20 {
        refused += u32::from(send(&service, None, "1", body.clone()).await.0 == 429);
    }
    assert!(refused >= 10, "guessing is slowed down: {refused}");
    let (status, _) = send(&service, Some((header, &right)), "2", body).await;
    assert_eq!(status, 200, "GitHub itself is not");
    let log = service.log();
    assert!(log.contains("a delivery was refused"), "{log}");
    for secret in [
        SECRET,
        "ghs_",
        "PRIVATE KEY",
        service.token.as_str(),
        forged.as_str(),
    ] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

#[tokio::test]
async fn a_client_that_never_ends_its_request_is_let_go() {
    let service = Service::start(&["server.request_timeout_seconds=1"]).await;
    let answer = raw(&service, "content-length: 1000", "{").await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    service.wait_until_ready().await;
}
