//! The body of `POST /analyze`.

use regress_core::measurement::RunFile;
use serde::Serialize;
use serde_json::value::RawValue;

/// A run, and what it is a run of.
#[derive(Debug, Serialize)]
pub(crate) struct Upload {
    pub(crate) repository: String,
    pub(crate) branch: String,
    pub(crate) commit: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) head_commit: Option<String>,
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) commit_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pull_request: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) target_branch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) component: Option<String>,
    /// What makes the upload idempotent; without it the service takes the contents for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) run_id: Option<String>,
    /// The workflow that may be asked to measure again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) workflow_run: Option<u64>,
    pub(crate) results: [RunContents; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) base: Option<[RunContents; 1]>,
}

/// A run file within the upload. The service reads process runs and, of the judged run, the environment from it.
#[derive(Debug, Serialize)]
pub(crate) struct RunContents {
    json: Box<RawValue>,
}

impl RunContents {
    /// The run as the service reads it.
    pub(crate) fn of_run(run: &RunFile) -> Self {
        let json = RawValue::from_string(run.to_json()).expect("a run file is JSON");
        Self { json }
    }
}
