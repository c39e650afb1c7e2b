//! `kill -9` at random moments under load: what was answered with 2xx is in the database, every accepted job ends, and
//! no comment is posted twice.
//!
//! `REGRESSD_KILLS=50 cargo test -p regressd --test whole_path killed -- --nocapture` takes the figures of
//! docs/performance.md.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use regressd::database::{deliveries, jobs, runs};
use regressd::domain::{RepoName, RunId};
use regressd::fake_github::Pull;
use regressd::simulate::{
    Act, Language, SampleKind, Sender, SimulatedUpload, play_scene, samples_for_language, scenes_for_owner,
};
use serde_json::json;

use crate::place::Place;
use crate::service::Service;

const LOADERS: u32 = 4;
const PULLS: u32 = 20;

/// What the service said it has.
#[derive(Default)]
struct Promised {
    runs: Vec<(i64, String)>,
    deliveries: Vec<String>,
    failed: u32,
}

struct Loader {
    number: u32,
    sender: Sender,
    repository: RepoName,
    installation: u64,
    promised: Arc<Mutex<Promised>>,
    stop: Arc<AtomicBool>,
}

fn head(number: u32) -> String {
    format!("{number:040x}")
}

impl Loader {
    /// Sends until it is told to stop; what fails is not sent again, so that only promises count.
    async fn run(self) {
        for turn in 0_u32.. {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            let number = 1 + (turn * LOADERS + self.number) % PULLS;
            let id = format!("{}-{turn}", self.number);
            self.deliver(number, &id).await;
            self.upload(number, &id).await;
            // A service that is just being started again needs the processor more than the loaders.
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn deliver(&self, number: u32, id: &str) {
        let repository = json!({ "full_name": self.repository, "default_branch": "main" });
        let payload = json!({
            "action": "synchronize",
            "number": number,
            "pull_request": {
                "head": { "ref": "topic", "sha": head(number), "repo": repository },
                "base": { "ref": "main", "sha": "d".repeat(40), "repo": repository },
            },
            "repository": repository,
            "installation": { "id": self.installation },
        });
        let sent = self.sender.deliver("pull_request", id, &payload).await;
        let mut promised = self.promised.lock().unwrap();
        match sent {
            Ok(_) => promised.deliveries.push(id.to_owned()),
            Err(_) => promised.failed += 1,
        }
    }

    async fn upload(&self, number: u32, id: &str) {
        let upload = SimulatedUpload {
            repository: &self.repository,
            branch: "topic",
            commit: &head(number),
            pull_request: Some(number),
            component: "go",
            run_id: id,
            workflow_run: None,
        };
        let sent = self
            .sender
            .upload(
                &upload,
                &samples_for_language(Language::Go, SampleKind::Slower)[0],
            )
            .await;
        let mut promised = self.promised.lock().unwrap();
        match sent {
            Ok(answer) => promised
                .runs
                .push((answer["run"].as_i64().unwrap(), id.to_owned())),
            Err(_) => promised.failed += 1,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_again_and_again_it_keeps_its_promises() {
    kill_again_and_again(Service::start(&["jobs.attempts=50"]).await, "SQLite").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_again_and_again_it_keeps_its_promises_on_postgres() {
    let place = Place::postgres().await;
    kill_again_and_again(
        Service::start_on(place, &["jobs.attempts=50"]).await,
        "PostgreSQL",
    )
    .await;
}

async fn kill_again_and_again(mut service: Service, database: &str) {
    let kills: u32 = std::env::var("REGRESSD_KILLS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(5);
    let scene = &scenes_for_owner("octo")[0];
    let name = scene.repository.to_string();
    let installation = service.github.add_repository(&name);
    for number in 1..=PULLS {
        let pull = Pull {
            number: number.into(),
            head: head(number),
            state: "open".to_owned(),
            fork: false,
        };
        service.github.put_pull(&name, pull);
    }
    play_scene(&service.sender(), scene, installation, &[] as &[Act], |_| ())
        .await
        .unwrap();
    let promised = Arc::new(Mutex::new(Promised::default()));
    let stop = Arc::new(AtomicBool::new(false));
    let loaders: Vec<_> = (0..LOADERS)
        .map(|number| {
            let loader = Loader {
                number,
                sender: service.sender(),
                repository: scene.repository.clone(),
                installation,
                promised: Arc::clone(&promised),
                stop: Arc::clone(&stop),
            };
            tokio::spawn(loader.run())
        })
        .collect();
    let begun = Instant::now();
    for _ in 0..kills {
        let pause = 20 + u64::from(getrandom::u32().unwrap() % 600);
        tokio::time::sleep(Duration::from_millis(pause)).await;
        service.kill();
        service.start_again();
        service.wait_until_ready().await;
    }
    stop.store(true, Ordering::Relaxed);
    for loader in loaders {
        loader.await.unwrap();
    }
    let took = begun.elapsed();
    service.settle(Duration::from_secs(180)).await;
    let promised = std::mem::take(&mut *promised.lock().unwrap());
    check(&service, &name, &promised).await;
    println!(
        "{database}: {kills} times kill -9 in {:.0} s: {} uploads and {} deliveries were answered 2xx and are all there, {} requests failed; \
         {} pull requests have one comment each",
        took.as_secs_f64(),
        promised.runs.len(),
        promised.deliveries.len(),
        promised.failed,
        service.github.comments(&name).len(),
    );
}

async fn check(service: &Service, name: &str, promised: &Promised) {
    let database = service.database().await;
    let mut connection = database.acquire_reader().await.unwrap();
    for (id, key) in &promised.runs {
        let run = runs::by_id(&mut connection, RunId(*id)).await.unwrap();
        assert_eq!(
            run.map(|run| run.run.key).as_ref(),
            Some(key),
            "run {id} was promised"
        );
    }
    for id in &promised.deliveries {
        assert!(
            deliveries::find_delivery(&mut connection, id)
                .await
                .unwrap()
                .is_some(),
            "delivery {id} was promised"
        );
    }
    let left = jobs::count_by_state(&mut connection).await.unwrap();
    assert_eq!((left.waiting, left.running), (0, 0), "{left:?}");
    let dead = jobs::dead_letters(&mut connection, 0, 10).await.unwrap();
    assert!(dead.is_empty(), "{dead:?}");
    let mut comments: BTreeMap<u64, u32> = BTreeMap::new();
    for comment in service.github.comments(name) {
        *comments.entry(comment.issue).or_default() += 1;
    }
    assert!(
        comments.values().all(|count| *count == 1),
        "posted twice: {comments:?}"
    );
    assert!(!comments.is_empty());
    let checks = service.github.checks(name);
    let heads: BTreeSet<_> = checks.iter().map(|check| &check.head).collect();
    assert_eq!(heads.len(), checks.len(), "two check runs of one commit");
}
