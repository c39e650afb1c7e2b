//! Nothing can be written for a while: the service says so, and works again by itself when there is space.
//!
//! The disk is one file that may not grow (RLIMIT_FSIZE), as no test may mount a small one.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::service::Service;

#[tokio::test]
async fn a_full_disk_costs_time_and_nothing_else() {
    let mut service = Service::start(&[]).await;
    service.kill();
    service.start_with_ignored_limits();
    service.wait_until_ready().await;
    let client = reqwest::Client::new();
    let upload = async |number: u32| {
        let lines: String = (0..300)
            .map(|one| format!("BenchmarkN{one}-8 100 {} ns/op\n", 1000 + one + number % 7))
            .collect();
        let body = json!({ "repository": "f/f", "branch": "main", "commit": format!("{number:040x}"),
            "results": [{ "text": lines }] });
        let request = client
            .post(format!("{}/analyze", service.url))
            .bearer_auth(&service.token);
        request.json(&body).send().await.unwrap().status().as_u16()
    };
    assert!(upload(1).await < 300);
    assert!(service.ready().await.unwrap()["writes"] == true);

    service.limit_files(Some(64 << 10));
    let mut refused = 0;
    for number in 2..40 {
        refused += u32::from(upload(number).await == 503);
    }
    assert!(refused > 30, "{refused}\n{}", service.log());
    // Long enough for work that changes nothing, and commits: that is no sign of space.
    for _ in 0..20 {
        let ready = service.ready().await.unwrap();
        assert!(ready["ready"] == false && ready["writes"] == false, "{ready}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    service.limit_files(None);
    let begun = Instant::now();
    // Nobody uploads to a service that is not ready.
    service.wait_until_ready().await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    for number in 100..110 {
        assert!(upload(number).await < 300, "{}", service.log());
    }
}
