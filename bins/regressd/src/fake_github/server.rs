//! Starting and stopping the fake, and speaking to it from within the same process.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use axum::{Router, middleware};
use jsonwebtoken::DecodingKey;
use tokio_util::sync::CancellationToken;

use super::state::{Check, Comment, Issue, LoggedCall, Pull, State};
use super::trouble::Trouble;
use super::{SigningKey, access, api, control, page};

/// How the fake behaves.
#[derive(Debug, Clone)]
pub struct FakeSettings {
    /// The number of the one app that it knows.
    pub app_id: u64,
    /// The life of an installation token; an hour on GitHub.
    pub token_life: Duration,
    /// The primary limit of an installation.
    pub requests_an_hour: u32,
    /// The secondary limit.
    pub content_a_minute: usize,
}

impl Default for FakeSettings {
    fn default() -> Self {
        Self {
            app_id: 12345,
            token_life: Duration::from_secs(3600),
            requests_an_hour: 5000,
            content_a_minute: 80,
        }
    }
}

/// What all requests share.
#[derive(Clone)]
pub(super) struct Shared {
    state: Arc<Mutex<State>>,
    pub(super) settings: FakeSettings,
    pub(super) app_key: Arc<DecodingKey>,
    /// Made when the first token is asked for: it takes a while.
    workflow_key: Arc<OnceLock<SigningKey>>,
    pub(super) url: Arc<str>,
}

impl Shared {
    /// What tokens of workflows are signed with.
    pub(super) fn workflow_key(&self) -> &SigningKey {
        self.workflow_key
            .get_or_init(|| super::signing_key("fake-workflows"))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running fake. It stops when this is dropped; what it knows is kept over [`FakeGitHub::stop`] and
/// [`FakeGitHub::start_again`].
pub struct FakeGitHub {
    address: SocketAddr,
    shared: Shared,
    stop: CancellationToken,
}

impl std::fmt::Debug for FakeGitHub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FakeGitHub")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl FakeGitHub {
    /// Starts one that knows the app by `app_key`, on `address` (port 0: any free one).
    ///
    /// # Errors
    /// When it cannot listen there.
    pub async fn start(
        address: SocketAddr,
        settings: FakeSettings,
        app_key: &SigningKey,
    ) -> std::io::Result<Self> {
        let listener = tokio::net::TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let shared = Shared {
            state: Arc::new(Mutex::new(State::new())),
            settings,
            app_key: Arc::new(app_key.decoding_key()),
            workflow_key: Arc::default(),
            url: format!("http://{address}").into(),
        };
        let fake = Self {
            address,
            shared,
            stop: CancellationToken::new(),
        };
        fake.serve(listener);
        Ok(fake)
    }

    fn serve(&self, listener: tokio::net::TcpListener) {
        let guarded = middleware::from_fn_with_state(self.shared.clone(), access::guard_api_calls);
        let routes: Router = api::api_routes()
            .layer(guarded)
            .merge(control::control_routes())
            .merge(page::state_page_routes())
            .with_state(self.shared.clone());
        let stop = self.stop.clone();
        tokio::spawn(async move {
            let stopped = stop.clone();
            let serving = axum::serve(listener, routes)
                .with_graceful_shutdown(async move { stopped.cancelled().await });
            // When it is stopped it is gone at once, with all its connections: that is what an outage is.
            tokio::select! {
                () = stop.cancelled() => {}
                _ = serving => {}
            }
        });
    }

    /// Its address: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.shared.url
    }

    /// Lets it be gone: connections are refused.
    pub fn stop(&mut self) {
        self.stop.cancel();
    }

    /// Starts it again where it was, with all that it knew.
    ///
    /// # Errors
    /// When somebody else took the port.
    pub async fn start_again(&mut self) -> std::io::Result<()> {
        self.stop.cancel();
        self.stop = CancellationToken::new();
        let listener = tokio::net::TcpListener::bind(self.address).await?;
        self.serve(listener);
        Ok(())
    }

    /// Makes a repository, in which the app is installed; gives the installation.
    pub fn add_repository(&self, name: &str) -> u64 {
        self.shared.lock().repository_or_new(name).installation
    }

    /// Opens a pull request, or moves its head.
    pub fn put_pull(&self, repository: &str, pull: Pull) {
        self.shared
            .lock()
            .repository_or_new(repository)
            .pulls
            .insert(pull.number, pull);
    }

    /// Lets a forced push replace `old` by `new`, which left these commits behind, oldest first.
    pub fn put_left_behind(&self, repository: &str, new: &str, old: &str, commits: &[&str]) {
        let commits = commits.iter().map(|commit| (*commit).to_owned()).collect();
        let mut state = self.shared.lock();
        let compared = &mut state.repository_or_new(repository).compared;
        compared.insert(format!("{new}...{old}"), commits);
    }

    /// Writes a comment as a person would.
    pub fn add_persons_comment(&self, repository: &str, issue: u64, body: &str) {
        let mut state = self.shared.lock();
        let id = state.next();
        let comment = Comment {
            id,
            issue,
            app: None,
            body: body.to_owned(),
            edits: 0,
        };
        state.repository_or_new(repository).comments.insert(id, comment);
    }

    /// Begins a trouble, or ends it.
    pub fn set_trouble(&self, trouble: Option<Trouble>) {
        self.shared.lock().troubles.set_trouble(trouble);
    }

    /// Refuses all installation tokens given out so far.
    pub fn revoke_tokens(&self) {
        self.shared.lock().tokens.clear();
    }

    /// The app's comments in a repository.
    #[must_use]
    pub fn comments(&self, repository: &str) -> Vec<Comment> {
        let mut state = self.shared.lock();
        let comments = state.repository_or_new(repository).comments.values();
        comments
            .filter(|comment| comment.app.is_some())
            .cloned()
            .collect()
    }

    /// The check runs in a repository.
    #[must_use]
    pub fn checks(&self, repository: &str) -> Vec<Check> {
        self.shared
            .lock()
            .repository_or_new(repository)
            .checks
            .values()
            .cloned()
            .collect()
    }

    /// The issues in a repository.
    #[must_use]
    pub fn issues(&self, repository: &str) -> Vec<Issue> {
        self.shared
            .lock()
            .repository_or_new(repository)
            .issues
            .values()
            .cloned()
            .collect()
    }

    /// The workflow runs that were asked to run again.
    #[must_use]
    pub fn reruns(&self, repository: &str) -> Vec<u64> {
        self.shared.lock().repository_or_new(repository).reruns.clone()
    }

    /// The calls that were made.
    #[must_use]
    pub fn calls(&self) -> Vec<LoggedCall> {
        self.shared.lock().calls.iter().cloned().collect()
    }

    /// A token as a workflow gets it, with these claims beside issuer and times.
    #[must_use]
    pub fn workflow_token(&self, claims: serde_json::Value) -> String {
        control::workflow_token(&self.shared, claims)
    }
}

impl Drop for FakeGitHub {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
