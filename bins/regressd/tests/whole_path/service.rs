//! The program as a process of its own, with a database in a temporary folder.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use regressd::database::{Database, Location};
use regressd::fake_github::{FakeGitHub, FakeSettings, SigningKey, signing_key};
use regressd::simulate::Sender;
use serde_json::Value;
use tempfile::TempDir;

pub(crate) const SECRET: &str = "hush-hush-webhook-secret";
pub(crate) static KEY: LazyLock<SigningKey> = LazyLock::new(|| signing_key("app"));

const SERVE: &[&str] = &["serve", "--metrics-listen", "127.0.0.1:0"];

/// Settings with waits that suit a test.
pub(crate) fn quick(github: &FakeGitHub) -> Vec<String> {
    [
        "server.requests_per_token_minute=0".to_owned(),
        "github.app_id=12345".to_owned(),
        format!("github.api_url={}", github.url()),
        "github.content_per_minute=100000".to_owned(),
        "github.content_per_hour=1000000".to_owned(),
        "github.request_timeout_seconds=1".to_owned(),
        "github.lease_seconds=3".to_owned(),
        "github.breaker_pause_milliseconds=200".to_owned(),
        "jobs.lease_seconds=2".to_owned(),
        "jobs.backoff_milliseconds=50".to_owned(),
    ]
    .into()
}

/// A GitHub whose limits are out of the way.
pub(crate) async fn relaxed_github() -> FakeGitHub {
    let settings = FakeSettings {
        content_a_minute: 100_000,
        requests_an_hour: 1_000_000,
        ..FakeSettings::default()
    };
    FakeGitHub::start(([127, 0, 0, 1], 0).into(), settings, &KEY)
        .await
        .unwrap()
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// A service with its GitHub.
pub(crate) struct Service {
    pub(crate) github: FakeGitHub,
    pub(crate) url: String,
    pub(crate) token: String,
    child: Child,
    folder: TempDir,
    settings: Vec<String>,
}

impl Service {
    /// Starts both; `settings` are `section.key=value`.
    pub(crate) async fn start(settings: &[&str]) -> Self {
        let github = relaxed_github().await;
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut all = quick(&github);
        all.push(format!("server.listen=127.0.0.1:{port}"));
        all.extend(settings.iter().map(|text| (*text).to_owned()));
        let token = command(&folder, &all)
            .args(["token", "create", "*", "--name", "tests"])
            .output()
            .unwrap();
        assert!(
            token.status.success(),
            "{}",
            String::from_utf8_lossy(&token.stderr)
        );
        let token = String::from_utf8(token.stdout).unwrap().trim().to_owned();
        let child = spawn(&folder, &all, SERVE);
        let service = Self {
            github,
            url: format!("http://127.0.0.1:{port}"),
            token,
            child,
            folder,
            settings: all,
        };
        service.wait_until_ready().await;
        service
    }

    pub(crate) fn sender(&self) -> Sender {
        Sender::new(&self.url, SECRET.as_bytes(), &self.token).unwrap()
    }

    /// The log so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn start_again(&mut self) {
        self.child = spawn(&self.folder, &self.settings, SERVE);
    }

    pub(crate) async fn ready(&self) -> Option<Value> {
        let response = reqwest::get(format!("{}/ready", self.url)).await.ok()?;
        response.json().await.ok()
    }

    pub(crate) async fn wait_until_ready(&self) {
        let begun = Instant::now();
        while self.ready().await.is_none_or(|ready| ready["ready"] != true) {
            assert!(begun.elapsed() < Duration::from_secs(30), "{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until no job waits or runs.
    pub(crate) async fn settle(&self, patience: Duration) {
        let begun = Instant::now();
        loop {
            let ready = self.ready().await;
            if ready.as_ref().is_some_and(|ready| ready["queue"] == 0) {
                return;
            }
            assert!(begun.elapsed() < patience, "{ready:?}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The database, to look into.
    pub(crate) async fn database(&self) -> Database {
        Database::open(&Location::Sqlite(self.folder.path().join("regressd.db")))
            .await
            .unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program in `folder` with its secrets in the environment and `settings` as flags.
pub(crate) fn command(folder: &TempDir, settings: &[String]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_regressd"));
    command
        .current_dir(folder.path())
        .env_clear()
        .env("REGRESSD_GITHUB_WEBHOOK_SECRET", SECRET)
        .env("REGRESSD_GITHUB_PRIVATE_KEY", KEY.pem());
    for setting in settings {
        command.args(["--set", setting]);
    }
    command
}

/// Starts the program; its log is appended to `log` in `folder`.
pub(crate) fn spawn(folder: &TempDir, settings: &[String], arguments: &[&str]) -> Child {
    let path: PathBuf = folder.path().join("log");
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    command(folder, settings)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
}
