//! One request, one answer: addresses, time limits, sizes. Knows nothing of tokens, limits or repeating.

use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use octocrab::{OctoBody, Octocrab};
use reqwest::Url;
use serde_json::Value;

use super::GitHubSettings;
use super::call::Call;
use super::service::{Unanswered, octocrab_over};
use crate::GitHubError;

/// Larger than any answer to what is asked here: a hundred comments of 64 KiB of text, twice.
const MAX_ANSWER_BYTES: usize = 32 * 1024 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection to one API, `https://api.github.com` or an enterprise server's `https://HOST/api/v3`.
#[derive(Debug)]
pub(super) struct Transport {
    octocrab: Octocrab,
    base: String,
    host: String,
}

/// What came back.
#[derive(Debug)]
pub(super) struct HttpAnswer {
    pub(super) status: u16,
    headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl HttpAnswer {
    /// A header that is a number.
    pub(super) fn numeric_header(&self, name: &str) -> Option<i64> {
        self.headers.get(name)?.to_str().ok()?.trim().parse().ok()
    }

    /// The message of an error.
    pub(super) fn message(&self) -> String {
        let value: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let message = value
            .get("message")
            .and_then(Value::as_str)
            .unwrap_or("no message");
        message.chars().take(300).collect()
    }
}

impl Transport {
    pub(super) fn new(settings: &GitHubSettings) -> Result<Self, GitHubError> {
        let host = host_of(&settings.api)?;
        let timeout = settings.timeout;
        let client = reqwest::Client::builder()
            .user_agent(&settings.user_agent)
            .connect_timeout(timeout.min(CONNECT_TIMEOUT))
            .timeout(timeout)
            .build()
            .map_err(|error| GitHubError::SetUp(error.to_string()))?;
        Ok(Self {
            octocrab: octocrab_over(client),
            base: settings.api.trim_end_matches('/').to_owned(),
            host,
        })
    }

    /// Whom it talks to.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Sends a request with `token` and reads the answer, whatever its status.
    pub(super) async fn send(&self, call: &Call<'_>, token: &str) -> Result<HttpAnswer, GitHubError> {
        let request = self.request(call, token)?;
        let answer = self.octocrab.send(request).await;
        let (parts, body) = answer
            .map_err(|error| unanswered(call, Unanswered::of_octocrab(error)))?
            .into_parts();
        let response = Response::from_parts(parts, Limited::new(body, MAX_ANSWER_BYTES));
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.into_body().collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                return GitHubError::TooLarge {
                    route: call.route.to_owned(),
                    most: MAX_ANSWER_BYTES,
                };
            }
            GitHubError::Network {
                method: call.method_name(),
                route: call.route.to_owned(),
                sent: true,
                source: error,
            }
        })?;
        Ok(HttpAnswer {
            status,
            headers,
            body: body.to_bytes().to_vec(),
        })
    }

    fn request(&self, call: &Call<'_>, token: &str) -> Result<Request<OctoBody>, GitHubError> {
        let mut bearer = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| {
            GitHubError::SetUp("GitHub's token has characters that no header takes".to_owned())
        })?;
        bearer.set_sensitive(true);
        let mut request = Request::builder()
            .method(call.method)
            .uri(format!("{}{}", self.base, call.route))
            .header(AUTHORIZATION, bearer)
            .header(ACCEPT, "application/vnd.github+json")
            .header("x-github-api-version", "2022-11-28");
        let body = match call.body {
            Some(body) => {
                request = request.header(CONTENT_TYPE, "application/json");
                OctoBody::from(body.to_string())
            }
            None => OctoBody::empty(),
        };
        request
            .body(body)
            .map_err(|error| GitHubError::SetUp(format!("{}{}: {error}", self.base, call.route)))
    }
}

/// The host of an address that can be one of the API.
fn host_of(api: &str) -> Result<String, GitHubError> {
    let url = Url::parse(api).map_err(|error| GitHubError::SetUp(format!("{api}: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(GitHubError::SetUp(format!("{api}: not an http address")));
    }
    let host = url.host_str().map(str::to_owned);
    host.ok_or_else(|| GitHubError::SetUp(format!("{api}: there is no host in it")))
}

fn unanswered(call: &Call<'_>, error: Unanswered) -> GitHubError {
    GitHubError::Network {
        method: call.method_name(),
        route: call.route.to_owned(),
        sent: error.sent,
        source: error.into(),
    }
}

/// The method as a text that lives for ever, for errors and metrics.
pub(super) fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        _ => "other",
    }
}
