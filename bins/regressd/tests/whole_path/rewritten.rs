//! A forced push, as GitHub tells of it and answers about it.

use std::time::Duration;

use serde_json::json;

use crate::service::Service;

#[tokio::test]
async fn github_says_which_commits_a_forced_push_left_behind() {
    let service = Service::start(&[]).await;
    let name = "octo/hello";
    let installation = service.github.add_repository(name);
    let client = reqwest::Client::new();
    let commit = |number: u32| format!("{number:040x}");
    for number in 1..=8 {
        let body = json!({ "repository": name, "branch": "main", "commit": commit(number),
            "results": [{ "text": format!("BenchmarkA-8 100 {} ns/op\n", 1000 + number) }] });
        let request = client
            .post(format!("{}/analyze", service.url))
            .bearer_auth(&service.token);
        assert!(request.json(&body).send().await.unwrap().status().is_success());
    }
    service.settle(Duration::from_secs(30)).await;
    let (old, new) = (commit(8), "f".repeat(40));
    service
        .github
        .put_left_behind(name, &new, &old, &[&commit(6), &commit(7), &old]);
    let push = json!({ "ref": "refs/heads/main", "before": old, "after": new, "forced": true,
        "repository": { "id": 5, "full_name": name, "default_branch": "main" }, "installation": { "id": installation } });
    service.sender().deliver("push", "forced", &push).await.unwrap();
    service.settle(Duration::from_secs(30)).await;
    let request = client.get(format!("{}/v1/repositories/{name}/runs", service.url));
    let runs = request.bearer_auth(&service.token).send().await.unwrap();
    let runs: serde_json::Value = runs.json().await.unwrap();
    let runs = runs["items"].as_array().unwrap();
    let kept = runs.iter().filter(|run| run["accepted"] == true);
    let kept: Vec<&str> = kept.map(|run| run["commit"].as_str().unwrap()).collect();
    assert_eq!(kept, [5, 4, 3, 2, 1].map(commit), "{runs:?}");
}
