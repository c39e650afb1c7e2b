//! Asks a workflow to run again: how a suspected regression is measured a second time.

use serde_json::{Value, json};

use super::GitHubError;
use super::client::Repository;

/// Starts all jobs of a workflow run anew. GitHub refuses while the run is still going, which passes.
///
/// # Errors
/// When GitHub refuses, asks to wait, or does not answer.
pub async fn rerun_workflow(repository: &Repository, run: u64) -> Result<(), GitHubError> {
    let route = format!("/actions/runs/{run}/rerun");
    repository.post::<Value>(&route, &json!({})).await.map(drop)
}
