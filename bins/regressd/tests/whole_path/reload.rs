//! The settings are read again while the service runs: when their file changes, and on SIGHUP.

use std::time::{Duration, Instant};

use regressd::simulate::Sender;
use serde_json::json;

use crate::service::{SECRET, Service};

const FILE: &str = "regressd.toml";

/// Waits until `fits`, for longer than a changed file can stay unseen.
async fn until<F: Future<Output = bool>>(service: &Service, what: &str, fits: impl Fn() -> F) {
    let begun = Instant::now();
    while !fits().await {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "{what}\n{}",
            service.log()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn threshold(service: &Service) -> f64 {
    let url = format!("{}/config/octo/hello", service.url);
    let request = reqwest::Client::new().get(url).bearer_auth(&service.token);
    let answer: serde_json::Value = request.send().await.unwrap().json().await.unwrap();
    answer["effective_threshold_percent"].as_f64().unwrap()
}

#[tokio::test]
async fn a_changed_file_is_read_again() {
    let service = Service::start(&[]).await;
    let put = reqwest::Client::new()
        .put(format!("{}/config/octo/hello", service.url))
        .bearer_auth(&service.token)
        .json(&json!({}));
    assert!(put.send().await.unwrap().status().is_success());
    assert_eq!(threshold(&service).await, 5.0);
    // The file was not there when the service started.
    service.write(FILE, "[judging]\nthreshold_percent = 7.5\n");
    until(&service, "a new file", async || threshold(&service).await == 7.5).await;
    // What cannot be used changes nothing.
    service.write(FILE, "[judging]\nthreshold_percent = \"many\"\n");
    until(&service, "a bad file", async || {
        service
            .log()
            .contains("the settings cannot be used; the old ones stay")
    })
    .await;
    assert_eq!(threshold(&service).await, 7.5);
    // What needs a restart is named, and the rest is taken over.
    let text = "[judging]\nthreshold_percent = 9\n[jobs]\nworkers = 3\n[logging]\nlevel = \"warn\"\n";
    service.write(FILE, text);
    until(&service, "a good file", async || threshold(&service).await == 9.0).await;
    let log = service.log();
    assert!(
        log.contains("change when the service is started again") && log.contains("jobs.workers"),
        "{log}"
    );
}

#[tokio::test]
async fn sighup_reads_secrets_and_settings_again() {
    let (old, new) = ("the-old-webhook-secret", "the-new-webhook-secret");
    let service = Service::start(&[]).await.with_secret_in("secret", old).await;
    let works = async |secret: &str, id: &str| {
        let sender = Sender::new(&service.url, secret.as_bytes(), &service.token).unwrap();
        sender.deliver("ping", id, &json!({ "zen": "x" })).await.is_ok()
    };
    assert!(works(old, "1").await);
    assert!(!works(new, "2").await && !works(SECRET, "3").await);
    service.write("secret", new);
    service.signal("HUP");
    until(&service, "the new secret", async || works(new, "4").await).await;
    assert!(!works(old, "5").await);
    assert!(service.log().contains("the settings are read again"));
}
