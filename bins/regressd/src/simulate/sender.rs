//! Sends what GitHub and a workflow would send.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::samples::SimulatedSample;
use crate::domain::RepoName;
use crate::webhook::sign_body;

/// A request that did not work.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// Nobody answers.
    #[error("{url} does not answer: {source}")]
    Network {
        /// Where.
        url: String,
        /// What went wrong.
        source: reqwest::Error,
    },
    /// The service says no.
    #[error("{url} answered {status}: {detail}")]
    Refused {
        /// Where.
        url: String,
        /// The status.
        status: StatusCode,
        /// What the service said.
        detail: String,
    },
}

/// Somebody with the webhook's secret and a token for uploads.
#[derive(Clone)]
pub struct Sender {
    client: reqwest::Client,
    url: String,
    secret: Vec<u8>,
    token: String,
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// An upload, beside its sample.
#[derive(Debug, Clone)]
pub struct SimulatedUpload<'a> {
    /// The repository.
    pub repository: &'a RepoName,
    /// The branch.
    pub branch: &'a str,
    /// The commit.
    pub commit: &'a str,
    /// The pull request.
    pub pull_request: Option<u32>,
    /// The component.
    pub component: &'a str,
    /// What tells the run from others of the commit.
    pub run_id: &'a str,
    /// The workflow run on GitHub that measured.
    pub workflow_run: Option<u64>,
}

impl Sender {
    /// Sends to the service at `url`.
    ///
    /// # Errors
    /// When the system has no certificates.
    pub fn new(url: &str, secret: &[u8], token: &str) -> Result<Self, SendError> {
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(60))
            .build();
        Ok(Self {
            client: client.map_err(|source| SendError::Network {
                url: url.to_owned(),
                source,
            })?,
            url: url.trim_end_matches('/').to_owned(),
            secret: secret.to_vec(),
            token: token.to_owned(),
        })
    }

    /// Sends a signed delivery with the id `id`.
    ///
    /// # Errors
    /// When the service does not take it.
    pub async fn deliver(&self, event: &str, id: &str, payload: &Value) -> Result<Value, SendError> {
        let url = format!("{}/webhook", self.url);
        let body = payload.to_string();
        let request = self
            .client
            .post(&url)
            .header("content-type", "application/json")
            .header("x-github-event", event)
            .header("x-github-delivery", id)
            .header("x-hub-signature-256", sign_body(&self.secret, body.as_bytes()))
            .body(body);
        send(url, request).await
    }

    /// Uploads the output of a benchmark tool.
    ///
    /// # Errors
    /// When the service does not take it.
    pub async fn upload(
        &self,
        upload: &SimulatedUpload<'_>,
        sample: &SimulatedSample,
    ) -> Result<Value, SendError> {
        let url = format!("{}/analyze", self.url);
        let body = json!({
            "repository": upload.repository,
            "branch": upload.branch,
            "commit": upload.commit,
            "pull_request": upload.pull_request,
            "component": upload.component,
            "run_id": upload.run_id,
            "workflow_run": upload.workflow_run,
            "environment": { "name": "simulated" },
            "results": [{ "path": sample.path, "text": sample.text }],
        });
        let request = self.client.post(&url).bearer_auth(&self.token).json(&body);
        send(url, request).await
    }
}

async fn send(url: String, request: reqwest::RequestBuilder) -> Result<Value, SendError> {
    let network = |source| SendError::Network {
        url: url.clone(),
        source,
    };
    let response = request.send().await.map_err(network)?;
    let status = response.status();
    let text = response.text().await.map_err(network)?;
    let value: Value = serde_json::from_str(&text).unwrap_or_default();
    if status.is_success() {
        return Ok(value);
    }
    let detail = value
        .get("detail")
        .and_then(Value::as_str)
        .unwrap_or("no reason given")
        .to_owned();
    Err(SendError::Refused { url, status, detail })
}
