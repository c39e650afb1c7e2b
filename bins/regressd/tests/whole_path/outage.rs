//! GitHub is away for a while: nothing is lost, the breaker opens and closes, and each comment arrives once.
//!
//! With `REGRESSD_OUTAGE_SECONDS=60` the outage lasts a minute; figures in docs/performance.md.

use std::time::{Duration, Instant};

use regressd::fake_github::{Pull, Trouble, TroubleKind};
use regressd::simulate::{
    Act, Language, SampleKind, SimulatedUpload, play_scene, samples_for_language, scenes_for_owner,
};
use serde_json::json;

use crate::service::Service;

const PULLS: u32 = 12;

#[tokio::test]
async fn an_outage_costs_time_and_nothing_else() {
    let seconds = std::env::var("REGRESSD_OUTAGE_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(3);
    let mut service = Service::start(&["jobs.attempts=3"]).await;
    let scene = &scenes_for_owner("octo")[0];
    let name = scene.repository.to_string();
    let installation = service.github.add_repository(&name);
    play_scene(&service.sender(), scene, installation, &[] as &[Act], |_| ())
        .await
        .unwrap();
    service.settle(Duration::from_secs(30)).await;
    service.github.stop();
    let begun = Instant::now();
    for number in 1..=PULLS {
        let head = format!("{number:040x}");
        service.github.put_pull(
            &name,
            Pull {
                number: number.into(),
                head: head.clone(),
                state: "open".to_owned(),
                fork: false,
            },
        );
        let repository = json!({ "full_name": name, "default_branch": "main" });
        let opened = json!({
            "action": "opened",
            "number": number,
            "pull_request": {
                "head": { "ref": "topic", "sha": head, "repo": repository },
                "base": { "ref": "main", "sha": "d".repeat(40), "repo": repository },
            },
            "repository": repository,
            "installation": { "id": installation },
        });
        let sender = service.sender();
        sender
            .deliver("pull_request", &format!("opened {number}"), &opened)
            .await
            .unwrap();
        let upload = SimulatedUpload {
            repository: &scene.repository,
            branch: "topic",
            commit: &head,
            pull_request: Some(number),
            component: "go",
            run_id: "1",
            workflow_run: None,
        };
        sender
            .upload(
                &upload,
                &samples_for_language(Language::Go, SampleKind::Faster)[0],
            )
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_secs(seconds).saturating_sub(begun.elapsed())).await;
    let during = service.ready().await.unwrap();
    assert!(during["ready"] == true, "the service itself works: {during}");
    assert!(during["github_breaker"] != "closed", "{during}");
    assert!(during["queue"].as_i64().unwrap() >= i64::from(PULLS), "{during}");
    // It comes back with a cough.
    let cough = Trouble {
        kind: TroubleKind::LostAnswers,
        milliseconds: None,
        requests: Some(6),
        only_writes: true,
    };
    service.github.set_trouble(Some(cough));
    service.github.start_again().await.unwrap();
    let back = Instant::now();
    service.settle(Duration::from_secs(60)).await;
    let after = service.ready().await.unwrap();
    let comments = service.github.comments(&name);
    let mut numbers: Vec<u64> = comments.iter().map(|comment| comment.issue).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=u64::from(PULLS)).collect::<Vec<_>>(), "each once");
    let mut heads: Vec<_> = service
        .github
        .checks(&name)
        .into_iter()
        .map(|check| check.head)
        .collect();
    heads.sort_unstable();
    let all = heads.len();
    heads.dedup();
    assert_eq!(heads.len(), all, "and one check run a commit");
    assert_eq!(
        (&after["github_breaker"], &after["dead_letters"]),
        (&json!("closed"), &json!(0)),
        "{after}"
    );
    println!(
        "GitHub away for {seconds} s: breaker opened {} times, {PULLS} of {PULLS} comments arrived once, the last {:.1} s after it was back",
        after["github_breaker_opened"],
        back.elapsed().as_secs_f64()
    );
}
