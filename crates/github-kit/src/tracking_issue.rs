//! One issue for a regression that stays: opened, kept up to date, closed when it is gone.

use serde::Deserialize;
use serde_json::json;

use crate::client::Repeat;
use crate::comment::{Author, User, is_ours, truncate_text};
use crate::{GitHubError, Repository};

/// The label that all of them have, by which they are listed.
const LABEL: &str = "performance-regression";
const MAX_BYTES: usize = 65_535;
/// Pages of a hundred open issues of the label that are searched.
const MAX_PAGES: u32 = 10;

/// What the issue should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackingIssue {
    /// By which it is found again; see [`hidden_marker`](crate::hidden_marker).
    pub marker: String,
    /// Its title.
    pub title: String,
    /// Its text, or the last words when it is closed.
    pub text: String,
    /// Whether the regression is still there.
    pub open: bool,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssueChange {
    /// A new one of this number.
    Opened(u64),
    /// Its text is new.
    Updated(u64),
    /// It was closed.
    Closed(u64),
    /// There was nothing to close.
    Nothing,
}

#[derive(Deserialize)]
struct Issue {
    number: u64,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    performed_via_github_app: Option<Author>,
    #[serde(default)]
    user: Option<User>,
}

/// Makes the issue known by its marker what `wanted` says.
///
/// # Errors
/// When GitHub refuses, asks to wait, or does not answer.
pub async fn put_tracking_issue(
    repository: &Repository,
    wanted: &TrackingIssue,
) -> Result<IssueChange, GitHubError> {
    let text = truncate_text(&wanted.text, MAX_BYTES - wanted.marker.len() - 1);
    let body = format!("{}\n{text}", wanted.marker);
    match (find(repository, &wanted.marker).await?, wanted.open) {
        (None, false) => Ok(IssueChange::Nothing),
        (None, true) => {
            let body = json!({ "title": truncate_text(&wanted.title, 255), "body": body, "labels": [LABEL] });
            let issue: Issue = repository.post("/issues", &body).await?;
            Ok(IssueChange::Opened(issue.number))
        }
        (Some(number), open) => {
            let mut change = json!({ "body": body });
            if !open {
                change["state"] = json!("closed");
                change["state_reason"] = json!("completed");
            }
            repository
                .patch::<Issue>(&format!("/issues/{number}"), &change, Repeat::Safe)
                .await?;
            Ok(if open {
                IssueChange::Updated(number)
            } else {
                IssueChange::Closed(number)
            })
        }
    }
}

async fn find(repository: &Repository, marker: &str) -> Result<Option<u64>, GitHubError> {
    let app = repository.github().app_id();
    let route = format!("/issues?state=open&labels={LABEL}");
    let is_mine = |issue: &Issue| {
        let marked = issue.body.as_deref().is_some_and(|body| body.starts_with(marker));
        marked && is_ours(app, issue.performed_via_github_app.as_ref(), issue.user.as_ref())
    };
    let found = repository.find_in_pages(&route, MAX_PAGES, is_mine).await?;
    Ok(found.map(|issue| issue.number))
}
