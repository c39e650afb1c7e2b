//! Workflows of GitHub Actions that upload without a token of ours.

use jsonwebtoken::{EncodingKey, Header};
use regressd::domain::UnixMillis;
use regressd::fake_github::{FakeGitHub, FakeSettings, signing_key};
use serde_json::{Value, json};

use crate::place::Place;
use crate::running::{Running, run};

async fn start(place: Place) -> (FakeGitHub, Running) {
    let key = signing_key("app");
    let start = FakeGitHub::start(([127, 0, 0, 1], 0).into(), FakeSettings::default(), &key);
    let fake = start.await.unwrap();
    let allow = r#"["octo/*"]"#;
    let service = Running::with(place, &[("oidc.issuer", fake.url()), ("oidc.allow", allow)]).await;
    (fake, service)
}

fn claims(reference: &str) -> Value {
    json!({ "aud": "regressd", "repository": "Octo/Hello", "ref": reference, "event_name": "push" })
}

pub(crate) async fn a_workflow_uploads_for_its_own_repository(place: Place) {
    let (fake, service) = start(place).await;
    let main = fake.workflow_token(claims("refs/heads/main"));
    let (status, answer) = service
        .upload(&main, &run("octo/hello", "main", "abcd", &[1]))
        .await;
    assert!(status < 300, "{answer}");
    let other = service
        .upload(&main, &run("octo/other", "main", "abcd", &[1]))
        .await;
    assert_eq!(other.0, 403, "the repository claim must match");
    // A pull request's workflow cannot write the history of main.
    let pull = fake.workflow_token(claims("refs/pull/7/merge"));
    let mut body = run("octo/hello", "main", "abce", &[1]);
    assert_eq!(service.upload(&pull, &body).await.0, 403);
    body["pull_request"] = json!(8);
    assert_eq!(service.upload(&pull, &body).await.0, 403);
    body["pull_request"] = json!(7);
    assert!(service.upload(&pull, &body).await.0 < 300);
    assert_eq!(
        service
            .upload(&main, &run("octo/hello", "release", "abcf", &[1]))
            .await
            .0,
        403
    );
    let config = service
        .ask(
            reqwest::Method::PUT,
            "/config/octo/hello",
            &main,
            Some(&json!({})),
        )
        .await;
    assert_eq!(config.0, 403, "it may upload and no more");
}

pub(crate) async fn only_workflows_that_are_known_may_upload(place: Place) {
    let key = signing_key("app");
    let start = FakeGitHub::start(([127, 0, 0, 1], 0).into(), FakeSettings::default(), &key);
    let fake = start.await.unwrap();
    let service = Running::with(place, &[("oidc.issuer", fake.url())]).await;
    let token = fake.workflow_token(claims("refs/heads/main"));
    let body = run("octo/hello", "main", "abcd", &[1]);
    let (status, problem) = service.upload(&token, &body).await;
    assert_eq!(status, 403, "the issuer knows everybody: {problem}");
    assert!(
        problem["detail"].as_str().unwrap().contains("oidc.allow"),
        "{problem}"
    );
    let installed = json!({
        "action": "created", "installation": { "id": 5 }, "repositories": [{ "full_name": "octo/hello" }],
    });
    crate::landing::deliver(&service, "installation", "installed", &installed).await;
    crate::landing::settle(&service).await;
    assert!(
        service.upload(&token, &body).await.0 < 300,
        "the App is installed there"
    );
    let tag = fake.workflow_token(claims("refs/tags/v1"));
    let mut body = run("octo/hello", "topic", "abce", &[1]);
    body["pull_request"] = json!(7);
    assert_eq!(
        service.upload(&tag, &body).await.0,
        403,
        "a tag's workflow speaks for no pull request"
    );
}

pub(crate) async fn a_hanging_issuer_holds_nobody_up(place: Place) {
    // It takes connections and never answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}", silent.local_addr().unwrap());
    let service = Running::with(place, &[("oidc.issuer", &issuer)]).await;
    let ours = service.token("*", "admin").await;
    let key = signing_key("fake-workflows");
    let token = key.sign_claims(&json!({ "aud": "regressd", "iss": issuer, "repository": "octo/hello" }));
    let begun = std::time::Instant::now();
    let body = run("octo/hello", "main", "abcd", &[1]);
    let many = (0..20).map(|_| service.upload(&token, &body));
    let (answers, own) = tokio::join!(futures_util::future::join_all(many), service.upload(&ours, &body));
    assert!(own.0 < 300, "{own:?}");
    assert!(answers.iter().all(|(status, _)| *status == 503), "{answers:?}");
    assert!(
        begun.elapsed().as_secs() < 9,
        "together they wait once: {:?}",
        begun.elapsed()
    );
}

pub(crate) async fn a_name_does_not_bring_anothers_history(place: Place) {
    let (fake, service) = start(place).await;
    let ours = service.token("*", "admin").await;
    let as_repository = |name: &str, id: &str| {
        let mut claims = claims("refs/heads/main");
        claims["repository"] = json!(name);
        claims["repository_id"] = json!(id);
        fake.workflow_token(claims)
    };
    let first = as_repository("octo/hello", "77");
    let upload = async |token: &str, name: &str, commit: &str| {
        service.upload(token, &run(name, "main", commit, &[1])).await
    };
    assert!(upload(&first, "octo/hello", "abcd").await.0 < 300);
    let (status, problem) = upload(&as_repository("octo/hello", "78"), "octo/hello", "abce").await;
    assert_eq!(status, 403, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("another repository"));
    assert_eq!(
        upload(&as_repository("octo/hello", "x"), "octo/hello", "abce")
            .await
            .0,
        401
    );
    // It was renamed, and its workflow is the first to tell.
    assert!(
        upload(&as_repository("octo/world", "77"), "octo/world", "abcf")
            .await
            .0
            < 300
    );
    let (_, runs) = service.get("/v1/repositories/octo/world/runs", &ours).await;
    assert_eq!(runs["items"].as_array().unwrap().len(), 2, "{runs}");
}

pub(crate) async fn forged_workflow_tokens_are_refused(place: Place) {
    let (fake, service) = start(place).await;
    let good = claims("refs/heads/main");
    let with = |field: &str, value: Value| {
        let mut claims = good.clone();
        claims[field] = value;
        claims
    };
    let now = UnixMillis::now().0 / 1000;
    let mut tokens = vec![
        fake.workflow_token(with("iss", json!("https://evil.example"))),
        fake.workflow_token(with("aud", json!("another service"))),
        fake.workflow_token(with("exp", json!(now - 100))),
        fake.workflow_token(with("nbf", json!(now + 1000))),
        fake.workflow_token(with("repository", json!("not a repository"))),
        fake.workflow_token(json!({ "aud": "regressd" })),
        // Signed by somebody else, under the right name of the key.
        signing_key("fake-workflows").sign_claims(&with("iss", json!(fake.url()))),
        signing_key("unknown").sign_claims(&with("iss", json!(fake.url()))),
    ];
    let right = fake.workflow_token(good.clone());
    let parts: Vec<&str> = right.split('.').collect();
    // No signature, and the algorithm "none" in two spellings: eyJhbGciOiJub25lIn0 is {"alg":"none"}.
    tokens.push(format!("eyJhbGciOiJub25lIn0.{}.", parts[1]));
    tokens.push(format!("{}.{}.", parts[0], parts[1]));
    // The public key as a shared secret.
    let mut header = Header::new(jsonwebtoken::Algorithm::HS256);
    header.kid = Some("fake-workflows".to_owned());
    let claims = with("iss", json!(fake.url()));
    tokens.push(jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(b"public")).unwrap());
    let body = run("octo/hello", "main", "abcd", &[1]);
    for token in &tokens {
        let (status, problem) = service.upload(token, &body).await;
        assert_eq!(status, 401, "{token} {problem}");
        assert!(!problem.to_string().contains(token.as_str()));
    }
    assert!(
        service.upload(&right, &body).await.0 < 300,
        "the right one is taken"
    );
}
