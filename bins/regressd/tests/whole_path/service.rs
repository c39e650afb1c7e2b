//! The program as a process of its own, with a database in a temporary folder.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use regressd::database::{Database, Location};
use regressd::fake_github::{FakeGitHub, FakeSettings, SigningKey, signing_key};
use regressd::simulate::Sender;
use serde_json::Value;
use tempfile::TempDir;

use crate::place::Place;

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

/// A service with its GitHub.
pub(crate) struct Service {
    pub(crate) github: FakeGitHub,
    pub(crate) url: String,
    pub(crate) token: String,
    child: Child,
    folder: TempDir,
    settings: Vec<String>,
    client: reqwest::Client,
    /// Dropped after the process has ended.
    place: Option<Place>,
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: i32,
    pub(crate) output: String,
    pub(crate) error: String,
}

impl Service {
    /// Starts both; `settings` are `section.key=value`.
    pub(crate) async fn start(settings: &[&str]) -> Self {
        Self::start_as(settings, None, "http", reqwest::Client::new()).await
    }

    /// The same on a database of its own.
    pub(crate) async fn start_on(place: Place, settings: &[&str]) -> Self {
        Self::start_as(settings, Some(place), "http", reqwest::Client::new()).await
    }

    /// The same, asked by a client of its own.
    pub(crate) async fn start_with_client(settings: &[&str], scheme: &str, client: reqwest::Client) -> Self {
        Self::start_as(settings, None, scheme, client).await
    }

    async fn start_as(
        settings: &[&str],
        place: Option<Place>,
        scheme: &str,
        client: reqwest::Client,
    ) -> Self {
        let github = relaxed_github().await;
        let folder = tempfile::tempdir().unwrap();
        let port = test_kit::free_port();
        let mut all = quick(&github);
        all.push(format!("server.listen=127.0.0.1:{port}"));
        if let Some(Location::Postgres(url)) = place.as_ref().map(|place| &place.location) {
            all.push(format!("database.url={url}"));
        }
        all.extend(settings.iter().map(|text| (*text).to_owned()));
        // A token is made in a database that is there: a mistyped name is refused.
        let migrated = command(&folder, &all).arg("migrate").output().unwrap();
        assert!(migrated.status.success(), "{migrated:?}");
        let token = command(&folder, &all)
            .args(["token", "create", "*", "--role", "admin", "--name", "tests"])
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
            url: format!("{scheme}://127.0.0.1:{port}"),
            token,
            child,
            folder,
            settings: all,
            client,
            place,
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

    /// Starts the service again so that a limit of files makes writes fail, rather than end the process.
    pub(crate) fn start_with_ignored_limits(&mut self) {
        let plain = command(&self.folder, &self.settings);
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]);
        shell.arg(plain.get_program()).args(plain.get_args());
        shell.current_dir(self.folder.path()).env_clear();
        let variables = plain.get_envs().filter_map(|(name, value)| Some((name, value?)));
        shell.envs(variables);
        self.child = started(&self.folder, shell, SERVE);
    }

    /// Lets the files of the running service grow to so many bytes, or as they like.
    pub(crate) fn limit_files(&self, bytes: Option<u64>) {
        let pid = rustix::process::Pid::from_child(&self.child);
        let limit = rustix::process::Rlimit {
            current: bytes,
            maximum: None,
        };
        rustix::process::prlimit(Some(pid), rustix::process::Resource::Fsize, limit).unwrap();
    }

    /// Writes a file into the folder in which the service runs, all of it at once.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        let new = path.with_extension("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, path).unwrap();
    }

    /// Sends a signal to the service.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("/bin/kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Whether the service ends, as it should, within `patience`.
    #[cfg(feature = "opentelemetry")]
    pub(crate) fn ended(&mut self, patience: Duration) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < patience {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.success();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    /// Runs another command of the program on the same database.
    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        let done = command(&self.folder, &self.settings)
            .args(arguments)
            .output()
            .unwrap();
        Said {
            status: done.status.code().unwrap_or(-1),
            output: String::from_utf8(done.stdout).unwrap(),
            error: String::from_utf8(done.stderr).unwrap(),
        }
    }

    /// Starts the service again with its webhook secret in a file instead of the environment.
    pub(crate) async fn with_secret_in(mut self, name: &str, secret: &str) -> Self {
        self.kill();
        self.write(name, secret);
        self.settings.push(format!("github.webhook_secret_file={name}"));
        let mut command = command(&self.folder, &self.settings);
        command.env_remove("REGRESSD_GITHUB_WEBHOOK_SECRET");
        self.child = started(&self.folder, command, SERVE);
        self.wait_until_ready().await;
        self
    }

    pub(crate) async fn ready(&self) -> Option<Value> {
        let response = self.client.get(format!("{}/ready", self.url)).send().await.ok()?;
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
        let own = Location::Sqlite(self.folder.path().join("regressd.db"));
        let location = self.place.as_ref().map_or(&own, |place| &place.location);
        Database::open(location).await.unwrap()
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
    started(folder, command(folder, settings), arguments)
}

fn started(folder: &TempDir, mut command: Command, arguments: &[&str]) -> Child {
    let path: PathBuf = folder.path().join("log");
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
}
