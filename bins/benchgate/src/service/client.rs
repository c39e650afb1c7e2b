//! Requests to a regressd that are made again while the network or the service fails, within a budget of time.

use std::io::Write as _;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use cli_kit::CancelToken;
use flate2::{Compression, write::GzEncoder};
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Method, StatusCode};
use serde::Deserialize;

use super::answer::AskedRun;
use super::identity::NoToken;
use super::{Identity, RunState, StoredRun, Upload};

/// Who asks, as the service's operators see it.
const USER_AGENT: &str = concat!("benchgate/", env!("CARGO_PKG_VERSION"));
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For one request with its answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const MAX_PAUSE: Duration = Duration::from_secs(20);
/// The answer on a hundred thousand benchmarks is smaller.
const MAX_ANSWER_BYTES: usize = 256 << 20;
/// How much of an answer that is no problem document is quoted.
const MAX_QUOTED: usize = 300;
/// How often an interrupt is looked for during a wait.
const SLICE: Duration = Duration::from_millis(100);

/// Why there is no answer to go by.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServiceError {
    /// The network or the service failed until the time was over.
    #[error("{0}")]
    Away(String),
    /// The service has the run, but no verdict in time.
    #[error("there is no verdict on run {run} yet")]
    NoVerdict {
        /// Its number.
        run: i64,
    },
    /// The service will never take this.
    #[error("the service refuses it ({status}): {detail}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What it says about it.
        detail: String,
    },
    /// What answers is no regressd, or one of another version.
    #[error("the answer is not that of a regressd: {0}")]
    Malformed(String),
    /// There is no token to send.
    #[error("{0}")]
    Identity(String),
    /// The user stopped it.
    #[error("interrupted")]
    Interrupted,
}

/// The documents in which the service tells what is wrong (RFC 9457).
#[derive(Deserialize)]
struct Problem {
    detail: String,
}

/// A regressd at an address.
#[derive(Debug)]
pub(crate) struct ServiceClient {
    http: reqwest::Client,
    /// Without a slash at its end.
    address: String,
    identity: Identity,
    cancel: CancelToken,
}

/// What one attempt came to.
enum Attempt {
    Answered(Vec<u8>),
    /// Try again, not before so long.
    Again(String, Option<Duration>),
}

impl ServiceClient {
    /// A client of the service at `address`, which asks as `identity` until `cancel`.
    ///
    /// # Errors
    /// When the address is not one of HTTP, or the system has no certificates.
    pub(crate) fn new(address: &str, identity: Identity, cancel: CancelToken) -> Result<Self, String> {
        let url: reqwest::Url = address
            .parse()
            .map_err(|error| format!("{address:?} is no address: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(format!("{address:?} is no address of HTTP"));
        }
        let http = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            // A token is not taken elsewhere.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self {
            http,
            address: address.trim_end_matches('/').to_owned(),
            identity,
            cancel,
        })
    }

    /// Whether the token crosses a network that others can listen to.
    pub(crate) fn sends_token_openly(&self) -> bool {
        let host = |url: reqwest::Url| url.host_str().map(str::to_owned);
        let host = self.address.parse().ok().and_then(host).unwrap_or_default();
        let here = ["localhost", "[::1]"].contains(&host.as_str()) || host.starts_with("127.");
        self.address.starts_with("http:") && !here
    }

    /// The page of a run.
    pub(crate) fn page_of(&self, run: i64) -> String {
        format!("{}/runs/{run}", self.address)
    }

    /// Uploads a run. An attempt whose answer was lost does no harm: the service knows the run by its id.
    ///
    /// # Errors
    /// When the service refuses it, or does not answer within `budget`.
    pub(crate) async fn push_run(
        &self,
        upload: &Upload,
        budget: Duration,
    ) -> Result<StoredRun, ServiceError> {
        let text = serde_json::to_vec(upload).expect("an upload holds strings, numbers and JSON");
        let body = gzip(&text);
        let answer = self
            .request_patiently(Method::POST, "/analyze", Some(&body), Instant::now() + budget)
            .await?;
        serde_json::from_slice(&answer).map_err(|error| ServiceError::Malformed(error.to_string()))
    }

    /// Waits until a run is judged.
    ///
    /// # Errors
    /// When it is not within `budget`.
    pub(crate) async fn wait_for_verdict(
        &self,
        run: i64,
        budget: Duration,
    ) -> Result<StoredRun, ServiceError> {
        let until = Instant::now() + budget;
        let mut pauses = pauses();
        loop {
            let path = format!("/v1/runs/{run}");
            let answer = match self.request_patiently(Method::GET, &path, None, until).await {
                Err(ServiceError::Away(_)) => return Err(ServiceError::NoVerdict { run }),
                answer => answer?,
            };
            let asked: AskedRun = serde_json::from_slice(&answer)
                .map_err(|error| ServiceError::Malformed(error.to_string()))?;
            let stored = StoredRun::from(asked);
            if stored.state == RunState::Judged {
                return Ok(stored);
            }
            let pause = pauses.next().unwrap_or(MAX_PAUSE);
            if Instant::now() + pause > until {
                return Err(ServiceError::NoVerdict { run });
            }
            self.pause(pause).await?;
        }
    }

    async fn request_patiently(
        &self,
        method: Method,
        path: &str,
        body: Option<&[u8]>,
        until: Instant,
    ) -> Result<Vec<u8>, ServiceError> {
        let mut pauses = pauses();
        loop {
            let (why, asked) = match self.request(method.clone(), path, body).await? {
                Attempt::Answered(bytes) => return Ok(bytes),
                Attempt::Again(why, asked) => (why, asked),
            };
            let own = pauses.next().unwrap_or(MAX_PAUSE);
            let pause = asked.map_or(own, |asked| asked.max(own));
            if Instant::now() + pause > until {
                return Err(ServiceError::Away(why));
            }
            self.pause(pause).await?;
        }
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<&[u8]>,
    ) -> Result<Attempt, ServiceError> {
        if self.cancel.is_cancelled() {
            return Err(ServiceError::Interrupted);
        }
        let authorization = match self.identity.authorization(&self.http).await {
            Ok(value) => value,
            Err(NoToken::Later(why)) => return Ok(Attempt::Again(why, None)),
            Err(NoToken::Never(why)) => return Err(ServiceError::Identity(why)),
        };
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.address))
            .header(AUTHORIZATION, authorization);
        if let Some(body) = body {
            request = request
                .header(CONTENT_TYPE, "application/json")
                .header(CONTENT_ENCODING, "gzip")
                .body(body.to_vec());
        }
        match request.send().await {
            Ok(answer) => read_answer(answer).await,
            Err(error) => Ok(Attempt::Again(describe_error(&error), None)),
        }
    }

    async fn pause(&self, pause: Duration) -> Result<(), ServiceError> {
        let until = Instant::now() + pause;
        while let Some(left) = until
            .checked_duration_since(Instant::now())
            .filter(|left| !left.is_zero())
        {
            if self.cancel.is_cancelled() {
                return Err(ServiceError::Interrupted);
            }
            tokio::time::sleep(left.min(SLICE)).await;
        }
        Ok(())
    }
}

/// The pauses between attempts: longer each time, and not the same for all who wait.
fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(MAX_PAUSE)
        .with_jitter()
        .without_max_times()
        .build()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).expect("memory takes every write");
    encoder.finish().expect("memory takes every write")
}

/// Sorts an answer: good, passing trouble, or refused for good.
async fn read_answer(mut answer: reqwest::Response) -> Result<Attempt, ServiceError> {
    let status = answer.status();
    let after = retry_after(&answer);
    let mut bytes = Vec::new();
    loop {
        match answer.chunk().await {
            Ok(Some(chunk)) if bytes.len() + chunk.len() <= MAX_ANSWER_BYTES => {
                bytes.extend_from_slice(&chunk);
            }
            Ok(Some(_)) => return Err(ServiceError::Malformed("it is too large".to_owned())),
            Ok(None) => break,
            Err(error) => return Ok(Attempt::Again(describe_error(&error), after)),
        }
    }
    if status.is_success() {
        return Ok(Attempt::Answered(bytes));
    }
    let detail = problem_detail(&bytes);
    let passing = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS].contains(&status);
    if status.is_server_error() || passing {
        return Ok(Attempt::Again(format!("it answers {status}: {detail}"), after));
    }
    Err(ServiceError::Refused {
        status: status.as_u16(),
        detail,
    })
}

/// Seconds, as regressd and proxies in front of it give them.
fn retry_after(answer: &reqwest::Response) -> Option<Duration> {
    let value = answer.headers().get(RETRY_AFTER)?.to_str().ok()?;
    value.trim().parse().ok().map(Duration::from_secs)
}

fn problem_detail(bytes: &[u8]) -> String {
    if let Ok(problem) = serde_json::from_slice::<Problem>(bytes) {
        return problem.detail;
    }
    let text = String::from_utf8_lossy(bytes);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    text.chars().take(MAX_QUOTED).collect()
}

/// An error of the network with its causes, the last of which says what happened.
fn describe_error(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
