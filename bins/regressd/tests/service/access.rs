//! Who may do what.

use std::time::Duration;

use regressd::database::tokens;
use regressd::domain::UnixMillis;
use reqwest::Method;
use serde_json::json;

use crate::place::Place;
use crate::running::{Running, run};

pub(crate) async fn nothing_is_open(place: Place) {
    let service = Running::start(place).await;
    for path in ["/health", "/ready"] {
        assert_eq!(service.get(path, "").await.0, 200, "{path}");
    }
    for (method, path) in [
        (Method::POST, "/analyze"),
        (Method::GET, "/config/octo/hello"),
        (Method::PUT, "/config/octo/hello"),
        (Method::GET, "/v1/repositories"),
        (Method::GET, "/v1/repositories/octo/hello/runs"),
        (Method::GET, "/v1/repositories/octo/hello/series"),
        (Method::GET, "/v1/runs/1"),
        (Method::GET, "/v1/series/1/history"),
        (Method::GET, "/v1/series/1/baseline"),
        (Method::POST, "/v1/series/1/accept"),
        (Method::GET, "/v1/audit"),
    ] {
        for token in ["", "rgd_guess", "eyJ.eyJ.x"] {
            let (status, problem) = service.ask(method.clone(), path, token, Some(&json!({}))).await;
            assert_eq!(status, 401, "{method} {path} {problem}");
        }
    }
    let (status, _) = service.ask(Method::DELETE, "/analyze", "", None).await;
    assert_eq!(status, 405);
}

pub(crate) async fn a_token_works_for_its_repository_until_it_is_revoked(place: Place) {
    let service = Running::start(place).await;
    let (id, token) = service.token_with_id("octo/hello", "upload", None).await;
    let body = run("octo/hello", "main", "abcd", &[1]);
    assert!(service.upload(&token, &body).await.0 < 300);
    assert_eq!(
        service
            .upload(&token, &run("octo/other", "main", "abcd", &[1]))
            .await
            .0,
        403
    );
    let yesterday = UnixMillis::now().saturating_sub(Duration::from_secs(86_400));
    let (_, expired) = service
        .token_with_id("octo/hello", "upload", Some(yesterday))
        .await;
    assert_eq!(service.upload(&expired, &body).await.0, 401);
    let revoke = service.state.database.run_in_transaction(move |connection| {
        let id = id.clone();
        Box::pin(async move { tokens::revoke_token(connection, &id).await })
    });
    assert!(revoke.await.unwrap());
    tokio::time::sleep(Duration::from_millis(2100)).await;
    assert_eq!(service.upload(&token, &body).await.0, 401);
}

pub(crate) async fn roles_are_kept_apart(place: Place) {
    let service = Running::start(place).await;
    let (read, upload) = (
        service.token("octo/*", "read").await,
        service.token("octo/*", "upload").await,
    );
    let admin = service.token("octo/*", "admin").await;
    let other = service.token("other/*", "admin").await;
    let body = run("octo/hello", "main", "abcd", &[1]);
    assert_eq!(service.upload(&read, &body).await.0, 403);
    let (status, stored) = service.upload(&upload, &body).await;
    assert!(status < 300);
    for (token, expected) in [(&read, 403), (&upload, 403), (&admin, 200), (&other, 403)] {
        let put = service
            .ask(Method::PUT, "/config/octo/hello", token, Some(&json!({})))
            .await;
        assert_eq!(put.0, expected);
    }
    // Whether it exists is not told to those who may not read it.
    let path = format!("/v1/runs/{}", stored["run"]);
    assert_eq!(
        (
            service.get(&path, &read).await.0,
            service.get(&path, &other).await.0
        ),
        (200, 404)
    );
    assert_eq!(service.get("/v1/audit", &admin).await.0, 403);
    let everything = service.token("*", "admin").await;
    assert_eq!(service.get("/v1/audit", &everything).await.0, 200);
    let (_, listed) = service.get("/v1/repositories", &other).await;
    assert_eq!(listed["items"], json!([]));
}

pub(crate) async fn limits_are_kept(place: Place) {
    let limits = [
        ("server.requests_per_token_minute", "3"),
        ("server.requests_per_address_minute", "4"),
    ];
    let service = Running::with(place, &limits).await;
    let token = service.token("*", "read").await;
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(service.get("/v1/repositories", &token).await.0);
    }
    assert_eq!(statuses, [200, 200, 200, 429, 429]);
    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.push(service.get("/v1/repositories", "rgd_wrong").await.0);
    }
    assert_eq!(statuses, [401, 401, 401, 401, 429, 429]);
    assert_eq!(service.get("/health", "").await.0, 200);
}
