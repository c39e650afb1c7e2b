//! Two processes that answer and two that work, on one PostgreSQL, one of which is killed on the way.

use std::process::Child;
use std::time::{Duration, Instant};

use regressd::fake_github::Pull;
use regressd::simulate::{Act, Sender, play_scene, scenes_for_owner};
use tempfile::TempDir;

use crate::place::Place;
use crate::service::{SECRET, command, quick, relaxed_github, spawn};

struct Processes(Vec<Child>);

impl Drop for Processes {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

async fn ready(url: &str) -> Option<serde_json::Value> {
    reqwest::get(format!("{url}/ready")).await.ok()?.json().await.ok()
}

async fn wait_for(folder: &TempDir, url: &str, what: &str, fits: impl Fn(&serde_json::Value) -> bool) {
    let begun = Instant::now();
    loop {
        let now = ready(url).await;
        if now.as_ref().is_some_and(&fits) {
            return;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "{url} is never {what}: {now:?}\n{}",
            std::fs::read_to_string(folder.path().join("log")).unwrap()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn several_processes_share_one_database() {
    let place = Place::postgres().await;
    let url = match &place.location {
        regressd::database::Location::Postgres(url) => url.clone(),
        regressd::database::Location::Sqlite(path) => path.display().to_string(),
    };
    let github = relaxed_github().await;
    let folder = tempfile::tempdir().unwrap();
    let mut settings = quick(&github);
    settings.push(format!("database.url={url}"));
    let token = command(&folder, &settings)
        .args(["token", "create", "*"])
        .output()
        .unwrap();
    assert!(
        token.status.success(),
        "{}",
        String::from_utf8_lossy(&token.stderr)
    );
    let token = String::from_utf8(token.stdout).unwrap().trim().to_owned();
    let ports = [test_kit::free_port(), test_kit::free_port()];
    let api = |port: u16| {
        let listen = format!("127.0.0.1:{port}");
        spawn(
            &folder,
            &settings,
            &["api", "--listen", &listen, "--metrics-listen", "127.0.0.1:0"],
        )
    };
    let worker = || {
        spawn(
            &folder,
            &settings,
            &["worker", "--set", "server.metrics_listen=127.0.0.1:0"],
        )
    };
    let mut processes = Processes(vec![worker(), worker(), api(ports[0]), api(ports[1])]);
    let urls = ports.map(|port| format!("http://127.0.0.1:{port}"));
    for url in &urls {
        wait_for(&folder, url, "ready", |ready| ready["ready"] == true).await;
    }
    for (index, scene) in scenes_for_owner("octo").iter().enumerate() {
        let name = scene.repository.to_string();
        let installation = github.add_repository(&name);
        let sender = Sender::new(&urls[index % 2], SECRET.as_bytes(), &token).unwrap();
        let open = |act: Act| {
            let number = u64::from(act.pull_request_number());
            let pull = Pull {
                number,
                head: scene.head_commit(act),
                state: "open".to_owned(),
                fork: act == Act::Fork,
            };
            github.put_pull(&name, pull);
        };
        play_scene(&sender, scene, installation, &Act::ALL, open)
            .await
            .unwrap();
        if index == 1 {
            processes.0[0].kill().unwrap();
        }
    }
    wait_for(&folder, &urls[0], "idle", |ready| ready["queue"] == 0).await;
    let dead = ready(&urls[1]).await.unwrap()["dead_letters"].clone();
    let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
    assert_eq!(dead, 0, "{log}");
    for scene in scenes_for_owner("octo") {
        let name = scene.repository.to_string();
        let mut issues: Vec<u64> = github
            .comments(&name)
            .iter()
            .map(|comment| comment.issue)
            .collect();
        issues.sort_unstable();
        assert_eq!(issues, [1, 2, 3], "{name}: each pull request has one comment");
        let failed = github
            .checks(&name)
            .iter()
            .filter(|check| check.conclusion.as_deref() == Some("failure"))
            .count();
        assert_eq!(failed, 1, "{name}");
    }
}
