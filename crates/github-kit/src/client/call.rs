//! One call: with the right token, within GitHub's limits, behind the breaker, repeated where that is safe.

use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};
use http::Method;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tracing::Instrument as _;

use super::rate_limit::{RequestedWait, requested_wait};
use super::transport::{HttpAnswer, method_name};
use super::{Caller, GitHub};
use crate::GitHubError;

/// Whether a request may be made again when it is not known what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// It reads, or writes the same again.
    Safe,
    /// It would make a second one.
    Never,
}

/// What is asked of GitHub.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) caller: Caller,
    pub(crate) method: &'a Method,
    /// What comes after the address of the API.
    pub(crate) route: &'a str,
    pub(crate) body: Option<&'a Value>,
    pub(crate) repeat: Repeat,
}

impl<'a> Call<'a> {
    /// One that reads.
    pub(crate) fn get(caller: Caller, route: &'a str) -> Self {
        Self {
            caller,
            method: &Method::GET,
            route,
            body: None,
            repeat: Repeat::Safe,
        }
    }

    pub(super) fn method_name(&self) -> &'static str {
        method_name(self.method)
    }
}

impl GitHub {
    /// Makes a call and reads its answer.
    pub(crate) async fn execute_call<T: DeserializeOwned>(&self, call: Call<'_>) -> Result<T, GitHubError> {
        let span = tracing::info_span!(
            "github",
            method = call.method_name(),
            route = call.route,
            installation = call.caller.installation(),
            status = tracing::field::Empty,
        );
        async {
            let answer = self.call_repeatedly(&call).await?;
            serde_json::from_slice(&answer.body).map_err(|source| GitHubError::Answer {
                route: call.route.to_owned(),
                source,
            })
        }
        .instrument(span)
        .await
    }

    async fn call_repeatedly(&self, call: &Call<'_>) -> Result<HttpAnswer, GitHubError> {
        let mut pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(200))
            .with_max_times(2)
            .with_jitter()
            .build();
        loop {
            let error = match self.call_with_fresh_token(call).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let safe = call.repeat == Repeat::Safe || !error.may_have_happened();
            match pauses.next().filter(|_| error.is_outage() && safe) {
                Some(pause) => {
                    tracing::info!(error = %describe(&error), "asking again");
                    tokio::time::sleep(pause).await;
                }
                None => {
                    tracing::warn!(error = %describe(&error), "the call failed");
                    return Err(self.outage_or(error));
                }
            }
        }
    }

    /// An error that opened the breaker, or came while it was open, says so.
    fn outage_or(&self, error: GitHubError) -> GitHubError {
        match self.inner.breaker.remaining_pause().filter(|_| error.is_outage()) {
            Some(wait) => GitHubError::Outage {
                wait,
                source: Box::new(error),
            },
            None => error,
        }
    }

    /// One call; when GitHub refuses the token, one more with a new one. A refused request did nothing.
    async fn call_with_fresh_token(&self, call: &Call<'_>) -> Result<HttpAnswer, GitHubError> {
        let token = self.token(call.caller).await?;
        let refused = match self.call_once(call, &token).await {
            Err(error) if error.is_status(&[401]) => error,
            other => return self.note_authentication(call.caller, other),
        };
        if !self.forget_token(call.caller, &token).await {
            return self.note_authentication(call.caller, Err(refused));
        }
        let token = self.token(call.caller).await?;
        let answer = self.call_once(call, &token).await;
        if answer.as_ref().is_err_and(|error| error.is_status(&[401])) {
            self.forget_token(call.caller, &token).await;
        }
        self.note_authentication(call.caller, answer)
    }

    /// One request behind the breaker and the limits.
    async fn call_once(&self, call: &Call<'_>, token: &str) -> Result<HttpAnswer, GitHubError> {
        let inner = &*self.inner;
        self.keep_limits(call).await?;
        inner
            .breaker
            .admit_call()
            .map_err(|wait| GitHubError::BreakerOpen {
                host: inner.breaker.host().to_owned(),
                wait,
            })?;
        let answer = inner.transport.send(call, token).await;
        let result = answer.and_then(|answer| self.judge(call, answer));
        self.note_outcome(call, &result);
        result
    }

    /// Waits that GitHub asked for, and the pace at which content may be made.
    async fn keep_limits(&self, call: &Call<'_>) -> Result<(), GitHubError> {
        let inner = &*self.inner;
        let installation = call.caller.installation();
        if let Some(wait) = inner.waits.remaining_wait(installation, Instant::now()) {
            return Err(GitHubError::RateLimit { wait });
        }
        if let Some(installation) = installation.filter(|_| *call.method != Method::GET)
            && let Some(wait) = inner
                .limiter
                .reserve_content_request(installation, inner.settings.limits)
                .await?
        {
            return Err(GitHubError::RateLimit {
                wait: Duration::from_millis(wait),
            });
        }
        Ok(())
    }

    /// Tells the breaker and the observer.
    fn note_outcome(&self, call: &Call<'_>, result: &Result<HttpAnswer, GitHubError>) {
        let (breaker, observer) = (&self.inner.breaker, &self.inner.settings.observer);
        match result {
            Err(error) if error.is_outage() => {
                if breaker.record_failure() {
                    observer.breaker_opened(breaker.host());
                }
            }
            _ => {
                breaker.record_success();
                observer.breaker_closed(breaker.host());
            }
        }
        let outcome = match result {
            Ok(answer) => answer.status.to_string(),
            Err(GitHubError::Refused { status, .. }) => status.to_string(),
            Err(GitHubError::RateLimit { .. }) => "rate-limited".to_owned(),
            Err(_) => "no-answer".to_owned(),
        };
        observer.request_ended(call.method_name(), &outcome);
    }

    /// Whether an answer is one, and what it says about limits.
    fn judge(&self, call: &Call<'_>, answer: HttpAnswer) -> Result<HttpAnswer, GitHubError> {
        tracing::Span::current().record("status", answer.status);
        tracing::debug!("GitHub answered");
        let installation = call.caller.installation();
        let observer = &self.inner.settings.observer;
        if let (Some(remaining), Some(id)) = (answer.numeric_header("x-ratelimit-remaining"), installation) {
            observer.requests_remaining(id, remaining);
        }
        let message = match answer.status {
            400.. => answer.message(),
            _ => String::new(),
        };
        let asked = requested_wait(
            answer.status,
            |name| answer.numeric_header(name),
            &message,
            Timestamp::now().as_second(),
        );
        if asked != RequestedWait::None || answer.status < 400 {
            if let Some(wait) = self.inner.waits.record_wait(installation, asked, Instant::now()) {
                observer.rate_limited();
                return Err(GitHubError::RateLimit { wait });
            }
            return Ok(answer);
        }
        Err(GitHubError::Refused {
            status: answer.status,
            method: call.method_name(),
            route: call.route.to_owned(),
            message,
        })
    }
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
