//! A service and a GitHub of its own, in this process, on a database that is gone afterwards.

use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::play::{Act, Scene};
use super::sender::{SendError, Sender};
use crate::auth::issue_token;
use crate::database::{Database, DatabaseError, Location};
use crate::domain::{Grant, Role};
use crate::fake_github::{Comment, FakeGitHub, FakeSettings, Pull, signing_key};
use crate::settings::{Settings, SettingsError, SettingsSources};
use crate::state::{AppState, StateError};
use crate::{jobs, server};

const SECRET: &str = "simulated";

/// Why the stage cannot be set.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// No folder or no port.
    #[error("{0}")]
    System(#[from] std::io::Error),
    /// The database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The settings.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The service.
    #[error(transparent)]
    State(#[from] StateError),
    /// The first request.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The service ended before it listened.
    #[error("the service did not start")]
    NotStarted,
}

/// The running service and its GitHub.
#[derive(Debug)]
pub struct Stage {
    /// The GitHub.
    pub github: FakeGitHub,
    /// Whoever sends to the service.
    pub sender: Sender,
    /// Where the service is.
    pub url: String,
    state: AppState,
    tasks: Vec<JoinHandle<()>>,
    // Removed when the stage is.
    _folder: TempDir,
}

impl Stage {
    /// Starts both on free ports.
    ///
    /// # Errors
    /// When one of them cannot start.
    pub async fn start_services() -> Result<Self, StageError> {
        let folder = tempfile::tempdir()?;
        let key = signing_key("app");
        // The play is faster than GitHub's limits allow.
        let relaxed = FakeSettings {
            content_a_minute: 10_000,
            ..FakeSettings::default()
        };
        let app = relaxed.app_id;
        let github = FakeGitHub::start(([127, 0, 0, 1], 0).into(), relaxed, &key).await?;
        let layers = SettingsSources {
            file: None,
            environment: [
                ("REGRESSD_GITHUB_PRIVATE_KEY".to_owned(), key.pem().to_owned()),
                ("REGRESSD_GITHUB_WEBHOOK_SECRET".to_owned(), SECRET.to_owned()),
            ]
            .into(),
            flags: Vec::new(),
        };
        let mut settings = Settings::default();
        settings.server.listen = ([127, 0, 0, 1], 0).into();
        settings.server.metrics_listen = None;
        settings.server.public_read = true;
        settings.github.app_id = Some(app);
        settings.github.api_url = github.url().to_owned();
        settings.github.content_per_minute = 10_000;
        settings.github.content_per_hour = 10_000;
        let database = Database::open(&Location::Sqlite(folder.path().join("regressd.db"))).await?;
        let token = issue_token(&database, Grant::All, Role::Upload, "simulate", None, "simulate").await?;
        let state = AppState::new(layers, settings, database)?;
        let (address, listening) = tokio::sync::oneshot::channel();
        let serving = tokio::spawn({
            let (state, router) = (state.clone(), server::build_router(state.clone()));
            async move {
                let served = server::serve_requests(state, router, |bound| {
                    let _ = address.send(bound);
                })
                .await;
                if let Err(error) = served {
                    tracing::error!(%error, "the service ended");
                }
            }
        });
        let working = tokio::spawn(jobs::run_workers(state.clone()));
        let address = listening.await.map_err(|_| StageError::NotStarted)?;
        let url = format!("http://{address}");
        let sender = Sender::new(&url, SECRET.as_bytes(), &token)?;
        Ok(Self {
            github,
            sender,
            url,
            state,
            tasks: vec![serving, working],
            _folder: folder,
        })
    }

    /// Lets the fake know the repository of a scene; gives the installation.
    #[must_use]
    pub fn add_repository(&self, scene: &Scene) -> u64 {
        self.github.add_repository(&scene.repository.to_string())
    }

    /// Lets the fake know a pull request.
    pub fn add_pull_request(&self, scene: &Scene, act: Act) {
        let pull = Pull {
            number: u64::from(act.pull_request_number()),
            head: scene.head_commit(act),
            state: "open".to_owned(),
            fork: act == Act::Fork,
        };
        self.github.put_pull(&scene.repository.to_string(), pull);
    }

    /// Waits until nothing is left to do, at most `patience`. Whether that came.
    pub async fn wait_until_idle(&self, patience: Duration) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < patience {
            if self.open_jobs().await == Some(0) {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        false
    }

    async fn open_jobs(&self) -> Option<i64> {
        let mut connection = self.state.database.acquire_reader().await.ok()?;
        let counts = crate::database::jobs::count_by_state(&mut connection)
            .await
            .ok()?;
        Some(counts.waiting + counts.running)
    }

    /// The comment of a pull request.
    #[must_use]
    pub fn find_comment(&self, scene: &Scene, act: Act) -> Option<Comment> {
        let comments = self.github.comments(&scene.repository.to_string());
        comments
            .into_iter()
            .find(|comment| comment.issue == u64::from(act.pull_request_number()))
    }

    /// Ends the service; jobs in hand are finished.
    pub async fn stop_service(self) {
        self.state.ending.cancel();
        for task in self.tasks {
            drop(task.await);
        }
    }
}
