//! What the analytics process finds is in the comment; when it is broken or slow, the comment comes without.

use regressd::simulate::{Act, scenes_for_owner};

use crate::scenes::{comment, play_all};
use crate::service::Service;

/// Answers each request with a finding on its first series.
const PROGRAM: &str = r#"
import json, sys
for line in sys.stdin:
    request = json.loads(line)
    one = request["series"][0]
    text = "%d values before, and now <b>%.0f</b> @octocat" % (len(one["history"]), one["current"])
    finding = {"series": one["name"], "kind": "anomaly", "score": 0.9, "text": text}
    print(json.dumps({"id": request["id"], "findings": [finding]}), flush=True)
"#;

async fn said(command: &[&str]) -> (Service, String) {
    let command = format!("analytics.command={}", serde_json::json!(command));
    let service = Service::start(&[
        &command,
        "analytics.timeout_milliseconds=1500",
        "server.public_url=https://bench.example.org",
        "server.public_read=true",
    ])
    .await;
    let scene = &scenes_for_owner("octo")[0];
    play_all(&service, scene).await;
    let said = comment(&service, scene, Act::Regression);
    (service, said)
}

#[tokio::test]
async fn findings_histories_and_the_badge_are_in_the_comment() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("analyse.py");
    std::fs::write(&program, PROGRAM).unwrap();
    let (service, said) = said(&["/usr/bin/env", "python3", program.to_str().unwrap()]).await;
    assert!(
        said.contains("What the history says"),
        "{said}\n{}",
        service.log()
    );
    assert!(said.contains("8 values before, and now "), "{said}");
    assert!(!said.contains("<b>") && !said.contains("@octocat"), "{said}");
    // The trend of the benchmark that got slower: eight runs, and this one above them all.
    let trend = said.lines().find(|line| line.contains('█')).unwrap_or_default();
    assert!(
        trend.contains("Large") && trend.trim_end().ends_with("█ |"),
        "{said}"
    );
    let name = &scenes_for_owner("octo")[0].repository;
    let badge = format!(
        "[![benchmarks](https://bench.example.org/badge/{name}.svg)](https://bench.example.org/repositories/{name})"
    );
    assert!(said.contains(&badge), "{said}");
    assert_eq!(service.ready().await.unwrap()["analytics"]["state"], "ready");
}

#[tokio::test]
async fn a_verdict_never_waits_for_a_broken_program() {
    for command in [
        vec!["/bin/false"],
        vec!["/bin/sleep", "60"],
        vec!["/no/such/program"],
    ] {
        let (service, said) = said(&command).await;
        assert!(said.contains("Benchmarks: regression"), "{said}");
        assert!(!said.contains("What the history says"), "{said}");
        let ready = service.ready().await.unwrap();
        assert_eq!(
            (&ready["analytics"]["state"], &ready["ready"]),
            (&"failing".into(), &true.into())
        );
    }
}
