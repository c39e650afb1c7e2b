//! GitHub as one caller sees it: an app, or the owner of a token.

#[cfg(feature = "app")]
mod app;
mod call;
mod caller;
mod rate_limit;
mod service;
#[cfg(feature = "app")]
mod tokens;
mod transport;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub(crate) use call::{Call, Repeat};
pub(crate) use caller::Caller;
use serde::Deserialize;
use serde_json::Value;

#[cfg(feature = "app")]
use crate::AppCredentials;
use crate::observer::NoObserver;
use crate::{
    Breaker, BreakerSettings, Breakers, ContentLimits, ContentRateLimiter, GitHubError, MemoryContentRate,
    Observer, Repository,
};
use rate_limit::RequestedWaits;
use transport::Transport;

/// For one request of a command. The budget of all of them is the user's.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);

/// How to reach GitHub, and how patiently.
#[derive(Debug, Clone)]
pub struct GitHubSettings {
    /// Address of the API.
    pub api: String,
    /// Who calls, as GitHub's operators see it.
    pub user_agent: String,
    /// For one request, from connecting to the last byte of its answer.
    pub timeout: Duration,
    /// How long one worker may take for a comment, check or issue. Longer than several requests. The client keeps it
    /// for those who take turns; it does not look at it.
    pub lease: Duration,
    /// Requests that make content.
    pub limits: ContentLimits,
    /// Who is told what happens.
    pub observer: Arc<dyn Observer>,
}

impl Default for GitHubSettings {
    fn default() -> Self {
        Self {
            api: "https://api.github.com".to_owned(),
            user_agent: concat!("github-kit/", env!("CARGO_PKG_VERSION")).to_owned(),
            timeout: Duration::from_secs(20),
            lease: Duration::from_secs(60),
            limits: ContentLimits::default(),
            observer: Arc::new(NoObserver),
        }
    }
}

/// As whom to call.
#[derive(Clone)]
#[non_exhaustive]
pub enum Credentials {
    /// The owner of a personal token, or the workflow that was given one.
    Token(String),
    /// An app, and its installations.
    #[cfg(feature = "app")]
    App(AppCredentials),
}

impl fmt::Debug for Credentials {
    /// Without what is secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(_) => f.write_str("Token"),
            #[cfg(feature = "app")]
            Self::App(app) => app.fmt(f),
        }
    }
}

#[cfg(feature = "app")]
impl From<AppCredentials> for Credentials {
    fn from(app: AppCredentials) -> Self {
        Self::App(app)
    }
}

/// GitHub, as one caller sees it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct GitHub {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    transport: Transport,
    credentials: Credentials,
    settings: GitHubSettings,
    #[cfg(feature = "app")]
    tokens: tokens::Tokens,
    waits: RequestedWaits,
    limiter: Arc<dyn ContentRateLimiter>,
    breaker: Arc<Breaker>,
    /// By repository; a plain map, since there are no more than the app is installed on.
    installations: Mutex<HashMap<String, u64>>,
    authenticated: Mutex<Option<bool>>,
}

#[derive(Deserialize)]
struct Installation {
    id: u64,
}

impl GitHub {
    /// A client of the API that counts what it makes in `limiter`; nothing is asked yet. Needs a Tokio runtime.
    ///
    /// # Errors
    /// When the address is none, or the system has no certificates.
    pub fn new(
        settings: &GitHubSettings,
        credentials: impl Into<Credentials>,
        breakers: &Breakers,
        limiter: Arc<dyn ContentRateLimiter>,
    ) -> Result<Self, GitHubError> {
        let transport = Transport::new(settings)?;
        let breaker = breakers.breaker_for_host(transport.host());
        let inner = Inner {
            transport,
            credentials: credentials.into(),
            settings: settings.clone(),
            #[cfg(feature = "app")]
            tokens: tokens::Tokens::default(),
            waits: RequestedWaits::default(),
            limiter,
            breaker,
            installations: Mutex::default(),
            authenticated: Mutex::default(),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// A client for a command that acts for the owner of `token`, calls itself `user_agent`, asks little and waits by itself
    /// ([`Patience`](crate::Patience)): it spares GitHub nothing by giving up early, so that no breaker stops it.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn for_command(api: &str, token: &str, user_agent: &str) -> Result<Self, GitHubError> {
        let settings = GitHubSettings {
            api: api.to_owned(),
            user_agent: user_agent.to_owned(),
            timeout: COMMAND_TIMEOUT,
            ..GitHubSettings::default()
        };
        let breakers = Breakers::new(BreakerSettings {
            failures: u32::MAX,
            ..BreakerSettings::default()
        });
        let credentials = Credentials::Token(token.to_owned());
        Self::new(
            &settings,
            credentials,
            &breakers,
            Arc::new(MemoryContentRate::default()),
        )
    }

    /// The number of the app; `None` for the owner of a token.
    #[must_use]
    pub fn app_id(&self) -> Option<u64> {
        match &self.inner.credentials {
            Credentials::Token(_) => None,
            #[cfg(feature = "app")]
            Credentials::App(app) => Some(app.app_id()),
        }
    }

    /// The breaker of its host.
    #[must_use]
    pub fn breaker(&self) -> &Breaker {
        &self.inner.breaker
    }

    /// How long one worker may take for a comment, check or issue.
    #[must_use]
    pub fn lease_duration(&self) -> Duration {
        self.inner.settings.lease
    }

    /// Whether GitHub took the app's own token when it was last used; `None` before the first time.
    #[must_use]
    pub fn authenticated(&self) -> Option<bool> {
        *locked(&self.inner.authenticated)
    }

    /// Asks GitHub who the app is: whether its number and key fit.
    ///
    /// # Errors
    /// When GitHub refuses, or does not answer.
    pub async fn check_authentication(&self) -> Result<(), GitHubError> {
        self.execute_call::<Value>(Call::get(Caller::App, "/app"))
            .await
            .map(drop)
    }

    /// The repository `name` (`owner/name`), for an app by the installation that a payload named or, without one, that
    /// GitHub names.
    ///
    /// # Errors
    /// When the app is not installed there, or GitHub does not answer.
    pub async fn find_repository(
        &self,
        name: impl fmt::Display,
        installation: Option<u64>,
    ) -> Result<Repository, GitHubError> {
        let name = name.to_string();
        if self.app_id().is_none() {
            return Ok(Repository::new(self, name, Caller::TokenOwner));
        }
        let known = || locked(&self.inner.installations).get(&name).copied();
        let installation = match installation.or_else(known) {
            Some(installation) => installation,
            None => self.find_installation(&name).await?,
        };
        Ok(Repository::new(self, name, Caller::Installation(installation)))
    }

    async fn find_installation(&self, name: &str) -> Result<u64, GitHubError> {
        let route = format!("/repos/{name}/installation");
        let found = self
            .execute_call::<Installation>(Call::get(Caller::App, &route))
            .await;
        let found = found.map_err(|error| match error.is_status(&[404]) {
            true => GitHubError::NotInstalled {
                repository: name.to_owned(),
            },
            false => error,
        })?;
        locked(&self.inner.installations).insert(name.to_owned(), found.id);
        Ok(found.id)
    }

    /// Remembers whether the app's own token works, from what became of a call with it.
    fn note_authentication<T>(
        &self,
        caller: Caller,
        result: Result<T, GitHubError>,
    ) -> Result<T, GitHubError> {
        let works = match &result {
            Ok(_) => Some(true),
            Err(error) if error.is_status(&[401]) => Some(false),
            Err(_) => None,
        };
        if caller == Caller::App && works.is_some() {
            *locked(&self.inner.authenticated) = works;
        }
        result
    }

    async fn token(&self, caller: Caller) -> Result<Arc<str>, GitHubError> {
        match &self.inner.credentials {
            Credentials::Token(token) => Ok(token.as_str().into()),
            #[cfg(feature = "app")]
            Credentials::App(app) => self.token_of_app(app, caller).await,
        }
    }

    /// Forgets a token that GitHub refused. Whether another one can be had.
    async fn forget_token(&self, caller: Caller, token: &str) -> bool {
        match &self.inner.credentials {
            Credentials::Token(_) => false,
            #[cfg(feature = "app")]
            Credentials::App(_) => {
                self.inner.tokens.forget_token(caller, token).await;
                true
            }
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
