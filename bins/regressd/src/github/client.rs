//! Calls as the app: with the right token, within GitHub's limits, behind a breaker, repeated where that is safe.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use reqwest::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tracing::Instrument as _;

use super::limits::{Asked, Waits, asked};
use super::tokens::{Caller, Tokens, life};
use super::transport::{Answer, Transport, method_name};
use super::{AppCredentials, Breaker, Breakers, ContentLimits, GitHubError, Pace, Repository};
use crate::domain::RepoName;

/// How to reach GitHub, and how patiently.
#[derive(Debug, Clone)]
pub struct GitHubSettings {
    /// Address of the API.
    pub api: String,
    /// For one request, from connecting to the last byte of its answer.
    pub timeout: Duration,
    /// How long one worker may take for a comment, check or issue. Longer than several requests.
    pub lease: Duration,
    /// Requests that make content.
    pub limits: ContentLimits,
}

impl Default for GitHubSettings {
    fn default() -> Self {
        Self {
            api: "https://api.github.com".to_owned(),
            timeout: Duration::from_secs(20),
            lease: Duration::from_secs(60),
            limits: ContentLimits::default(),
        }
    }
}

/// Whether a request may be made again when it is not known what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// It reads, or writes the same again.
    Safe,
    /// It would make a second one.
    Never,
}

/// GitHub, as one app sees it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct GitHub {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    transport: Transport,
    app: AppCredentials,
    tokens: Tokens,
    waits: Waits,
    limits: ContentLimits,
    pace: Arc<dyn Pace>,
    breaker: Arc<Breaker>,
    installations: Mutex<HashMap<RepoName, u64>>,
    lease: Duration,
    authenticated: Mutex<Option<bool>>,
}

#[derive(Deserialize)]
struct Installation {
    id: u64,
}

#[derive(Deserialize)]
struct AccessToken {
    token: String,
    expires_at: Timestamp,
}

impl GitHub {
    /// A client of the API that counts what it makes in `pace`; nothing is asked yet.
    ///
    /// # Errors
    /// When the address is none, or the system has no certificates.
    pub fn new(
        settings: &GitHubSettings,
        app: AppCredentials,
        breakers: &Breakers,
        pace: Arc<dyn Pace>,
    ) -> Result<Self, GitHubError> {
        let transport = Transport::new(&settings.api, settings.timeout)?;
        let breaker = breakers.of(transport.host());
        let inner = Inner {
            transport,
            app,
            tokens: Tokens::default(),
            waits: Waits::default(),
            limits: settings.limits,
            pace,
            breaker,
            installations: Mutex::default(),
            lease: settings.lease,
            authenticated: Mutex::default(),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The number of the app.
    #[must_use]
    pub fn app_id(&self) -> u64 {
        self.inner.app.app_id()
    }

    /// The breaker of its host.
    #[must_use]
    pub fn breaker(&self) -> &Breaker {
        &self.inner.breaker
    }

    /// Whether GitHub took the app's own token when it was last used; `None` before the first time.
    #[must_use]
    pub fn authenticated(&self) -> Option<bool> {
        *self
            .inner
            .authenticated
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks GitHub who the app is: whether its number and key fit.
    ///
    /// # Errors
    /// When GitHub refuses, or does not answer.
    pub async fn check_authentication(&self) -> Result<(), GitHubError> {
        self.call::<Value>(Caller::App, &Method::GET, "/app", None, Repeat::Safe)
            .await
            .map(drop)
    }

    /// How long one worker may take for a comment, check or issue.
    pub(super) fn lease(&self) -> Duration {
        self.inner.lease
    }

    /// The repository `name`, by the installation that a payload named or, without one, that GitHub names.
    ///
    /// # Errors
    /// When the app is not installed there, or GitHub does not answer.
    pub async fn repository(
        &self,
        name: &RepoName,
        installation: Option<u64>,
    ) -> Result<Repository, GitHubError> {
        let known = || self.installations().get(name).copied();
        let installation = match installation.or_else(known) {
            Some(installation) => installation,
            None => self.look_up(name).await?,
        };
        Ok(Repository::new(self, name, installation))
    }

    fn installations(&self) -> std::sync::MutexGuard<'_, HashMap<RepoName, u64>> {
        self.inner
            .installations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn look_up(&self, name: &RepoName) -> Result<u64, GitHubError> {
        let route = format!("/repos/{name}/installation");
        let found = self
            .call::<Installation>(Caller::App, &Method::GET, &route, None, Repeat::Safe)
            .await;
        let found = found.map_err(|error| match error.is_status(&[404]) {
            true => GitHubError::NotInstalled {
                repository: name.to_string(),
            },
            false => error,
        })?;
        self.installations().insert(name.clone(), found.id);
        Ok(found.id)
    }

    /// Makes a call and reads its answer.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        caller: Caller,
        method: &Method,
        route: &str,
        body: Option<&Value>,
        repeat: Repeat,
    ) -> Result<T, GitHubError> {
        let span = tracing::info_span!(
            "github",
            method = method_name(method),
            route,
            installation = caller.installation(),
            status = tracing::field::Empty,
        );
        async {
            let answer = self.repeated(caller, method, route, body, repeat).await?;
            serde_json::from_slice(&answer.body).map_err(|source| GitHubError::Answer {
                route: route.to_owned(),
                source,
            })
        }
        .instrument(span)
        .await
    }

    async fn repeated(
        &self,
        caller: Caller,
        method: &Method,
        route: &str,
        body: Option<&Value>,
        repeat: Repeat,
    ) -> Result<Answer, GitHubError> {
        let mut pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(200))
            .with_max_times(2)
            .with_jitter()
            .build();
        loop {
            let error = match self.with_fresh_token(caller, method, route, body).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let again = error.is_outage() && (repeat == Repeat::Safe || !error.may_have_happened());
            match pauses.next().filter(|_| again) {
                Some(pause) => {
                    tracing::info!(error = %describe(&error), "asking again");
                    tokio::time::sleep(pause).await;
                }
                None => {
                    tracing::warn!(error = %describe(&error), "the call failed");
                    let left = self.inner.breaker.left().filter(|_| error.is_outage());
                    return Err(match left {
                        Some(wait) => GitHubError::Outage {
                            wait,
                            source: Box::new(error),
                        },
                        None => error,
                    });
                }
            }
        }
    }

    /// One call; when GitHub refuses the token, one more with a new one. A refused request did nothing.
    async fn with_fresh_token(
        &self,
        caller: Caller,
        method: &Method,
        route: &str,
        body: Option<&Value>,
    ) -> Result<Answer, GitHubError> {
        for last in [false, true] {
            let token = self.token(caller).await?;
            match self.once(caller, method, route, &token, body).await {
                Err(error) if error.is_status(&[401]) => {
                    self.inner.tokens.forget(caller, &token).await;
                    if last {
                        self.note_authentication(caller, false);
                        return Err(error);
                    }
                }
                Ok(answer) => {
                    self.note_authentication(caller, true);
                    return Ok(answer);
                }
                Err(error) => return Err(error),
            }
        }
        unreachable!("the second round of the loop returns")
    }

    fn note_authentication(&self, caller: Caller, works: bool) {
        if caller == Caller::App {
            *self
                .inner
                .authenticated
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = Some(works);
        }
    }

    async fn token(&self, caller: Caller) -> Result<Arc<str>, GitHubError> {
        let inner = &*self.inner;
        match caller {
            Caller::App => {
                let make = async { Ok((inner.app.token(Timestamp::now())?, AppCredentials::REUSE)) };
                inner.tokens.get(caller, make).await
            }
            Caller::Installation(id) => inner.tokens.get(caller, self.make_token(id)).await,
        }
    }

    /// Boxed, because a call as an installation contains this call as the app.
    fn make_token(&self, installation: u64) -> BoxFuture<'_, Result<(String, Duration), GitHubError>> {
        Box::pin(async move {
            let route = format!("/app/installations/{installation}/access_tokens");
            let call = self.call(Caller::App, &Method::POST, &route, None, Repeat::Safe);
            let made: AccessToken = call.await?;
            Ok((made.token, life(made.expires_at, Timestamp::now())))
        })
    }

    /// One request behind the breaker and the limits.
    async fn once(
        &self,
        caller: Caller,
        method: &Method,
        route: &str,
        token: &str,
        body: Option<&Value>,
    ) -> Result<Answer, GitHubError> {
        let inner = &*self.inner;
        let installation = caller.installation();
        if let Some(wait) = inner.waits.left(installation, Instant::now()) {
            return Err(GitHubError::RateLimit { wait });
        }
        if let Some(installation) = installation.filter(|_| *method != Method::GET)
            && let Some(wait) = inner.pace.take(installation, inner.limits).await?
        {
            return Err(GitHubError::RateLimit {
                wait: Duration::from_millis(wait),
            });
        }
        let host = inner.breaker.host().to_owned();
        inner
            .breaker
            .enter()
            .map_err(|wait| GitHubError::BreakerOpen { host, wait })?;
        let answer = inner.transport.send(method, route, token, body).await;
        let result = answer.and_then(|answer| self.judge(installation, method, route, answer));
        match &result {
            Err(error) if error.is_outage() => inner.breaker.failed(),
            _ => inner.breaker.succeeded(),
        }
        count(method, &result);
        result
    }

    /// Whether an answer is one, and what it says about limits.
    fn judge(
        &self,
        installation: Option<u64>,
        method: &Method,
        route: &str,
        answer: Answer,
    ) -> Result<Answer, GitHubError> {
        tracing::Span::current().record("status", answer.status);
        tracing::debug!("GitHub answered");
        if let (Some(remaining), Some(id)) = (answer.number("x-ratelimit-remaining"), installation) {
            let id = id.to_string();
            metrics::gauge!("regressd_github_rate_limit_remaining", "installation" => id)
                .set(remaining as f64);
        }
        let message = if answer.status < 400 {
            String::new()
        } else {
            answer.message()
        };
        let said = asked(
            answer.status,
            |name| answer.number(name),
            &message,
            Timestamp::now().as_second(),
        );
        if said != Asked::Nothing || answer.status < 400 {
            if let Some(wait) = self.inner.waits.note(installation, said, Instant::now()) {
                metrics::counter!("regressd_github_rate_limited_total").increment(1);
                return Err(GitHubError::RateLimit { wait });
            }
            return Ok(answer);
        }
        Err(GitHubError::Refused {
            status: answer.status,
            method: method_name(method),
            route: route.to_owned(),
            message,
        })
    }
}

fn count(method: &Method, result: &Result<Answer, GitHubError>) {
    let status = match result {
        Ok(answer) => answer.status.to_string(),
        Err(GitHubError::Refused { status, .. }) => status.to_string(),
        Err(GitHubError::RateLimit { .. }) => "rate-limited".to_owned(),
        Err(_) => "no-answer".to_owned(),
    };
    metrics::counter!("regressd_github_requests_total", "method" => method_name(method), "status" => status)
        .increment(1);
}

/// An error with its causes on one line.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
