//! One request, one answer: addresses, time limits, sizes. Knows nothing of tokens, limits or repeating.

use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use reqwest::{Method, Url};
use serde_json::Value;

use super::GitHubError;

/// Larger than any answer to what is asked here: a hundred comments of 64 KiB of text, twice.
const MOST_BYTES: usize = 32 * 1024 * 1024;
const CONNECT: Duration = Duration::from_secs(10);

/// A connection to one API, `https://api.github.com` or an enterprise server's `https://HOST/api/v3`.
#[derive(Debug)]
pub(super) struct Transport {
    client: reqwest::Client,
    base: String,
    host: String,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    headers: reqwest::header::HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// A header that is a number.
    pub(super) fn number(&self, name: &str) -> Option<i64> {
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
    pub(super) fn new(api: &str, timeout: Duration) -> Result<Self, GitHubError> {
        let set_up = |error: &dyn std::fmt::Display| GitHubError::SetUp(error.to_string());
        let url = Url::parse(api).map_err(|error| set_up(&format!("{api}: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(set_up(&format!("{api}: not an http address")));
        }
        let host = url
            .host_str()
            .ok_or_else(|| set_up(&format!("{api}: there is no host in it")))?;
        let client = reqwest::Client::builder()
            .user_agent(concat!("regressd/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(timeout.min(CONNECT))
            .timeout(timeout)
            .build()
            .map_err(|error| set_up(&error))?;
        Ok(Self {
            client,
            base: api.trim_end_matches('/').to_owned(),
            host: host.to_owned(),
        })
    }

    /// Whom it talks to.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Sends a request with `token` and reads the answer, whatever its status.
    pub(super) async fn send(
        &self,
        method: &Method,
        route: &str,
        token: &str,
        body: Option<&Value>,
    ) -> Result<Answer, GitHubError> {
        let network = |source: reqwest::Error| GitHubError::Network {
            method: method_name(method),
            route: route.to_owned(),
            sent: !source.is_connect(),
            // Errors of reqwest carry the address, which in some routes has a name of the user's in it.
            source: source.without_url(),
        };
        let mut bearer = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| {
            GitHubError::SetUp("GitHub's token has characters that no header takes".to_owned())
        })?;
        bearer.set_sensitive(true);
        let mut request = self
            .client
            .request(method.clone(), format!("{}{route}", self.base))
            .header(AUTHORIZATION, bearer)
            .header(ACCEPT, "application/vnd.github+json")
            .header("x-github-api-version", "2022-11-28");
        if let Some(body) = body {
            request = request.json(body);
        }
        let mut response = request.send().await.map_err(network)?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(network)? {
            if bytes.len() + chunk.len() > MOST_BYTES {
                return Err(GitHubError::TooLarge {
                    route: route.to_owned(),
                    most: MOST_BYTES,
                });
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Answer {
            status,
            headers,
            body: bytes,
        })
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
