//! Asks a workflow to run again: how a suspected regression is measured a second time.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{GitHubError, Repository};

/// How long to wait for a workflow run to end.
const STILL_GOING: Duration = Duration::from_secs(30);

/// Starts all jobs of a workflow run anew. GitHub refuses while the run is still going, which passes.
///
/// # Errors
/// When GitHub refuses, asks to wait, or does not answer.
pub async fn rerun_workflow(repository: &Repository, run: u64) -> Result<(), GitHubError> {
    let route = format!("/actions/runs/{run}/rerun");
    let asked = repository.post::<Value>(&route, &json!({})).await;
    asked.map(drop).map_err(|error| match &error {
        GitHubError::Refused {
            status: 403, message, ..
        } if message.contains("already running") => GitHubError::Held {
            name: format!("workflow run {run}"),
            wait: STILL_GOING,
        },
        _ => error,
    })
}
