//! Requests that wait for rate limits and try again when the server fails.
//!
//! GitHub says how long to wait: `retry-after`, else the time in `x-ratelimit-reset`, else a minute. Failures of the
//! server and the network are tried again after growing pauses. Everything together within one budget of time.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use octocrab::Octocrab;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A request to make; a body where the method has one.
#[derive(Debug, Clone, Copy)]
pub(super) enum Request<'a, B> {
    Get(&'a str),
    Post(&'a str, &'a B),
    Patch(&'a str, &'a B),
}

/// Why a request failed for good.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GitHubError {
    /// The address or the token is of no use.
    #[error("the GitHub client cannot be set up")]
    SetUp(#[source] octocrab::Error),
    /// The network or the server, after all attempts.
    #[error("GitHub does not answer")]
    Network(#[source] octocrab::Error),
    /// GitHub said no.
    #[error("GitHub answered {status}{}", said(message))]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What GitHub said about it.
        message: String,
    },
    /// GitHub asked to wait for longer than the budget.
    #[error("GitHub's rate limit asks to wait {} s, longer than --max-wait allows", wait.as_secs())]
    RateLimit {
        /// How long it asked to wait.
        wait: Duration,
    },
    /// The answer is not what the documentation promises.
    #[error("GitHub's answer cannot be read")]
    Answer(#[source] serde_json::Error),
}

fn said(message: &str) -> String {
    if message.is_empty() {
        String::new()
    } else {
        format!(": {message}")
    }
}

/// A client with patience.
#[derive(Debug)]
pub(super) struct Client {
    octocrab: Octocrab,
    until: Instant,
}

impl Client {
    /// A client for the API at `api` that gives up after `patience`.
    pub(super) fn new(api: &str, token: &str, patience: Duration) -> Result<Self, GitHubError> {
        let octocrab = Octocrab::builder()
            .base_uri(api.trim_end_matches('/'))
            .map_err(GitHubError::SetUp)?
            .personal_token(token.to_owned())
            .set_connect_timeout(Some(Duration::from_secs(20)))
            .set_read_timeout(Some(Duration::from_secs(30)))
            .build()
            .map_err(GitHubError::SetUp)?;
        Ok(Self {
            octocrab,
            until: Instant::now() + patience,
        })
    }

    /// Makes the request and reads its answer.
    pub(super) async fn call<B: Serialize, T: DeserializeOwned>(
        &self,
        request: Request<'_, B>,
    ) -> Result<T, GitHubError> {
        let mut pause = Duration::from_secs(1);
        loop {
            let response = match request {
                Request::Get(route) => self.octocrab._get(route).await,
                Request::Post(route, body) => self.octocrab._post(route, Some(body)).await,
                Request::Patch(route, body) => self.octocrab._patch(route, Some(body)).await,
            };
            let (wait, error) = match response {
                // A request that creates may have arrived although no answer came: it is looked for before it is
                // made again, which is the caller's business.
                Err(error) if matches!(request, Request::Post(..)) => {
                    return Err(GitHubError::Network(error));
                }
                Err(error) => (pause, GitHubError::Network(error)),
                Ok(response) => {
                    let status = response.status().as_u16();
                    let asked = asked_to_wait(status, |name| {
                        response
                            .headers()
                            .get(name)
                            .and_then(|value| value.to_str().ok())
                            .map(str::to_owned)
                    });
                    let text = self.octocrab.body_to_string(response).await.unwrap_or_default();
                    if (200..300).contains(&status) {
                        return serde_json::from_str(&text).map_err(GitHubError::Answer);
                    }
                    let refused = GitHubError::Refused {
                        status,
                        message: message(&text),
                    };
                    match asked.or_else(|| secondary_limit(status, &text)) {
                        Some(wait) if Instant::now() + wait > self.until => {
                            return Err(GitHubError::RateLimit { wait });
                        }
                        Some(wait) => (wait, refused),
                        None if status >= 500 => (pause, refused),
                        None => return Err(refused),
                    }
                }
            };
            if Instant::now() + wait > self.until {
                return Err(error);
            }
            tokio::time::sleep(wait).await;
            pause = (pause * 2).min(Duration::from_secs(60));
        }
    }
}

/// How long an answer asks to wait.
fn asked_to_wait(status: u16, header: impl Fn(&str) -> Option<String>) -> Option<Duration> {
    if status != 403 && status != 429 {
        return None;
    }
    let number = |name: &str| header(name)?.trim().parse::<i64>().ok();
    let seconds = number("retry-after").or_else(|| {
        let used_up = number("x-ratelimit-remaining") == Some(0);
        let reset = number("x-ratelimit-reset").filter(|_| used_up)?;
        Some(reset - Timestamp::now().as_second() + 1)
    });
    match seconds {
        Some(seconds) => Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0))),
        None if status == 429 => Some(Duration::from_secs(60)),
        None => None,
    }
}

/// The limits on how fast content is made come as 403 with words only.
fn secondary_limit(status: u16, text: &str) -> Option<Duration> {
    (status == 403 && text.to_lowercase().contains("rate limit")).then(|| Duration::from_secs(60))
}

fn message(text: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    value
        .get("message")
        .and_then(|message| message.as_str())
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_those_that_github_asks_for() {
        let with = |pairs: &'static [(&str, &str)]| {
            move |name: &str| {
                pairs
                    .iter()
                    .find(|(key, _)| *key == name)
                    .map(|(_, value)| (*value).to_owned())
            }
        };
        let seconds = |wait: Option<Duration>| wait.map(|wait| wait.as_secs());
        assert_eq!(
            seconds(asked_to_wait(403, with(&[("retry-after", "7")]))),
            Some(7)
        );
        assert_eq!(seconds(asked_to_wait(429, with(&[]))), Some(60));
        assert_eq!(
            seconds(asked_to_wait(403, with(&[]))),
            None,
            "no limit, but no permission"
        );
        let past = with(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1")]);
        assert_eq!(seconds(asked_to_wait(403, past)), Some(0));
        assert_eq!(seconds(asked_to_wait(500, with(&[("retry-after", "7")]))), None);
        assert!(secondary_limit(403, r#"{"message": "You have exceeded a secondary rate limit"}"#).is_some());
    }
}
