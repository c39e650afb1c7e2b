//! Configuration of repositories.

use reqwest::Method;
use serde_json::json;

use crate::place::Place;
use crate::running::{Running, run};

pub(crate) async fn a_configuration_is_kept_and_applied(place: Place) {
    let service = Running::start(place).await;
    let token = service.token("octo/*", "admin").await;
    assert_eq!(service.get("/config/octo/hello", &token).await.0, 404);
    let config = json!({
        "threshold_percent": 50.0, "min_samples": 3,
        "components": { "strict": { "custom_threshold": 2.0 }, "off": { "enabled": false } },
        "rules": [{ "pattern": "p.BenchmarkB", "enabled": false }],
        "notifications": { "comment": "on-change", "check_run": false },
    });
    let (status, answer) = service
        .ask(Method::PUT, "/config/Octo/Hello", &token, Some(&config))
        .await;
    assert_eq!(status, 200, "{answer}");
    let (_, kept) = service.get("/config/octo/hello", &token).await;
    assert_eq!(kept["config"]["components"]["strict"]["custom_threshold"], 2.0);
    assert_eq!(
        kept["config"]["notifications"]["tracking_issue"], true,
        "the rest has its defaults"
    );
    assert_eq!(kept["effective_threshold_percent"], 50.0);
    service.history(&token, "octo/hello").await;
    let slow = |component: &str, commit: &str| {
        let mut body = run("octo/hello", "feature", commit, &[1300, 900]);
        body["component"] = json!(component);
        body
    };
    let (_, answer) = service.upload(&token, &slow("default", "aaaa")).await;
    let judged = service.judged(&answer["run"], &token).await;
    assert_eq!(
        judged["results"].as_array().unwrap().len(),
        1,
        "B is switched off: {judged}"
    );
    assert_eq!(judged["results"][0]["threshold_percent"], 50.0);
    assert_eq!(
        judged["results"][0]["needs_confirmation"], false,
        "30 % is below the threshold"
    );
    let (_, answer) = service.upload(&token, &slow("off", "aaaa")).await;
    let judged = service.judged(&answer["run"], &token).await;
    assert_eq!(judged["results"], json!([]));
    let (status, problem) = service
        .ask(
            Method::PUT,
            "/config/octo/hello",
            &token,
            Some(&json!({ "threshold_percent": -1.0 })),
        )
        .await;
    assert!(status == 422 && problem["detail"].as_str().unwrap().contains("threshold_percent"));
}

pub(crate) async fn changes_are_in_the_audit_log(place: Place) {
    let service = Running::start(place).await;
    let (id, token) = service.token_with_id("*", "admin", None).await;
    for percent in [3.0, 4.0] {
        let config = json!({ "threshold_percent": percent });
        let put = service
            .ask(Method::PUT, "/config/octo/hello", &token, Some(&config))
            .await;
        assert_eq!(put.0, 200);
    }
    let (_, log) = service.get("/v1/audit?limit=1", &token).await;
    let entry = &log["items"][0];
    assert_eq!(
        (entry["action"].as_str(), entry["actor"].as_str()),
        (Some("config.put"), Some(&*format!("token:{id}")))
    );
    assert!(entry["detail"].as_str().unwrap().contains("4.0"));
    let next = log["next"].as_str().unwrap();
    let (_, older) = service
        .get(&format!("/v1/audit?limit=1&cursor={next}"), &token)
        .await;
    assert!(older["items"][0]["detail"].as_str().unwrap().contains("3.0"));
    assert!(!log.to_string().contains(&token));
}
