//! Baseline, regression, improvement and fork, in Go, Rust, Python and mixed.

use std::time::Duration;

use regressd::simulate::{Act, Scene, play_scene, scenes_for_owner};
use serde_json::json;

use crate::service::Service;

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn play_all(service: &Service, scene: &Scene) {
    let name = scene.repository.to_string();
    let installation = service.github.add_repository(&name);
    let open = |act: Act| {
        let pull = regressd::fake_github::Pull {
            number: u64::from(act.pull_request_number()),
            head: scene.head_commit(act),
            state: "open".to_owned(),
            fork: act == Act::Fork,
        };
        service.github.put_pull(&name, pull);
    };
    play_scene(&service.sender(), scene, installation, &Act::ALL, open)
        .await
        .unwrap();
    service.settle(PATIENCE).await;
}

pub(crate) fn comment(service: &Service, scene: &Scene, act: Act) -> String {
    let all = service.github.comments(&scene.repository.to_string());
    let mut of_act: Vec<_> = all
        .into_iter()
        .filter(|comment| comment.issue == u64::from(act.pull_request_number()))
        .collect();
    assert_eq!(of_act.len(), 1, "{act:?}: {of_act:?}");
    of_act.remove(0).body
}

#[tokio::test]
async fn what_got_slower_is_said_where_people_look() {
    let service = Service::start(&["server.public_url=https://bench.example.org"]).await;
    for scene in scenes_for_owner("octo") {
        play_all(&service, &scene).await;
        let slower = comment(&service, &scene, Act::Regression);
        assert!(slower.contains("Benchmarks: regression"), "{slower}");
        let parts = scene.languages.len();
        assert_eq!(slower.matches("| regression |").count(), parts, "{slower}");
        assert!(slower.to_lowercase().contains("large"), "{slower}");
        assert!(slower.contains("https://bench.example.org/"), "{slower}");
        let faster = comment(&service, &scene, Act::Improvement);
        assert_eq!(faster.matches("| improvement |").count(), parts, "{faster}");
        let fork = comment(&service, &scene, Act::Fork);
        assert!(
            fork.contains("no change") && !fork.contains("| regression |"),
            "{fork}"
        );
        let checks = service.github.checks(&scene.repository.to_string());
        let end = |act: Act| {
            let of_head: Vec<_> = checks
                .iter()
                .filter(|check| check.head == scene.head_commit(act))
                .collect();
            assert_eq!(of_head.len(), 1, "one check run a commit");
            assert_eq!(of_head[0].name, "benchmarks");
            (
                of_head[0].conclusion.clone().unwrap(),
                of_head[0].annotations.len(),
            )
        };
        assert_eq!(end(Act::Regression), ("failure".to_owned(), parts));
        assert_eq!(end(Act::Improvement), ("success".to_owned(), parts));
        assert_eq!(end(Act::Fork), ("success".to_owned(), 0));
        let reruns = service.github.reruns(&scene.repository.to_string());
        let of_slower = reruns.iter().filter(|run| **run == 1000).count();
        assert_eq!(
            of_slower, parts,
            "a confirming run is asked for once a component: {reruns:?}"
        );
    }
}

#[tokio::test]
async fn a_check_is_awaited_judged_and_judged_again() {
    let service = Service::start(&[]).await;
    let scene = &scenes_for_owner("octo")[0];
    play_all(&service, scene).await;
    let (name, sender) = (scene.repository.to_string(), service.sender());
    let installation = service.github.add_repository(&name);
    let head = "e".repeat(40);
    let repository = json!({ "full_name": name, "default_branch": "main" });
    let opened = json!({
        "action": "synchronize",
        "number": 9,
        "pull_request": {
            "head": { "ref": "topic", "sha": head, "repo": repository },
            "base": { "ref": "main", "sha": "d".repeat(40), "repo": repository },
        },
        "repository": repository,
        "installation": { "id": installation },
    });
    sender.deliver("pull_request", "opened-9", &opened).await.unwrap();
    service.settle(PATIENCE).await;
    let check = |head: &str| {
        service
            .github
            .checks(&name)
            .into_iter()
            .find(|check| check.head == head)
            .unwrap()
    };
    assert_eq!(
        (check(&head).status.as_str(), check(&head).conclusion),
        ("in_progress", None)
    );
    // Nothing comes: when its time is over, and when the pull request is closed, the check ends, and not as a success.
    let database = service.database().await;
    database
        .run_in_transaction(move |connection| {
            Box::pin(async move {
                let due = sqlx::query("UPDATE jobs SET due = 0 WHERE kind = 'end-check'");
                due.execute(connection).await.map(drop)
            })
        })
        .await
        .unwrap();
    let ended = async |head: &str| {
        for _ in 0..100 {
            if check(head).status == "completed" {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        check(head).conclusion
    };
    assert_eq!(ended(&head).await.as_deref(), Some("neutral"));
    let mut closed = opened.clone();
    (closed["number"], closed["pull_request"]["head"]["sha"]) = (json!(11), json!("f".repeat(40)));
    sender
        .deliver("pull_request", "opened-11", &closed)
        .await
        .unwrap();
    service.settle(PATIENCE).await;
    assert_eq!(check(&"f".repeat(40)).status, "in_progress");
    closed["action"] = json!("closed");
    sender
        .deliver("pull_request", "closed-11", &closed)
        .await
        .unwrap();
    assert_eq!(ended(&"f".repeat(40)).await.as_deref(), Some("neutral"));
    // What has a verdict keeps it.
    let judged = scene.head_commit(Act::Regression);
    assert_eq!(check(&judged).conclusion.as_deref(), Some("failure"));
    let edits = check(&judged).edits;
    let again = json!({
        "action": "rerequested",
        "check_run": { "head_sha": judged, "app": { "id": 12345 }, "pull_requests": [] },
        "repository": repository,
        "installation": { "id": installation },
    });
    sender.deliver("check_run", "again", &again).await.unwrap();
    service.settle(PATIENCE).await;
    let after = check(&judged);
    assert!(after.edits > edits, "updated in place");
    assert_eq!(
        (after.conclusion.as_deref(), after.annotations.len()),
        (Some("failure"), 1)
    );
    let gone =
        json!({ "action": "deleted", "installation": { "id": installation }, "repositories": [repository] });
    sender.deliver("installation", "gone", &gone).await.unwrap();
    service.settle(PATIENCE).await;
    let edits = check(&judged).edits;
    sender.deliver("check_run", "again-2", &again).await.unwrap();
    service.settle(PATIENCE).await;
    assert!(
        check(&judged).edits > edits,
        "the installation that the payload names is used"
    );
}
