//! One id from the request to the call of GitHub it leads to, in every log line on the way.

use std::time::Duration;

use regressd::simulate::{Act, play_scene, scenes_for_owner};
use serde_json::Value;

use crate::service::Service;

#[tokio::test]
async fn a_request_can_be_followed_to_github() {
    let service = Service::start(&["logging.level=info,regressd=debug", "logging.format=json"]).await;
    let scene = &scenes_for_owner("octo")[0];
    let installation = service.github.add_repository(&scene.repository.to_string());
    let sender = service.sender();
    play_scene(&sender, scene, installation, &[] as &[Act], |_| ())
        .await
        .unwrap();
    let repository = serde_json::json!({ "full_name": scene.repository, "default_branch": "main" });
    let payload = serde_json::json!({
        "action": "opened",
        "number": 5,
        "pull_request": {
            "head": { "ref": "topic", "sha": "c".repeat(40), "repo": repository },
            "base": { "ref": "main", "sha": "d".repeat(40), "repo": repository },
        },
        "repository": repository,
        "installation": { "id": installation },
    });
    let body = payload.to_string();
    let sent = reqwest::Client::new()
        .post(format!("{}/webhook", service.url))
        .header("content-type", "application/json")
        .header("x-github-event", "pull_request")
        .header("x-github-delivery", "followed")
        .header("x-request-id", "follow-me-1")
        .header(
            "x-hub-signature-256",
            regressd::webhook::sign_body(crate::service::SECRET.as_bytes(), body.as_bytes()),
        )
        .body(body);
    assert_eq!(
        sent.send().await.unwrap().headers()["x-request-id"],
        "follow-me-1"
    );
    service.settle(Duration::from_secs(30)).await;
    let log = service.log();
    let lines: Vec<Value> = log
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let followed = |span: &str| {
        lines.iter().any(|line| {
            let spans = line["spans"].as_array().cloned().unwrap_or_default();
            spans.iter().any(|one| one["correlation"] == "follow-me-1")
                && spans.iter().any(|one| one["name"] == span)
        })
    };
    for span in ["request", "job", "github"] {
        assert!(followed(span), "no line of a {span} with the id:\n{log}");
    }
    assert!(!log.contains("ghs_"), "tokens are not logged");
}
