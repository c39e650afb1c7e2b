//! GitHub for the programs of this workspace: patient, and never twice.
//!
//! ```text
//! comment | check_run | tracking_issue | pull_requests | rerun     what is said where
//!                             repository                           calls about one repository
//!                               client                             tokens, limits, breaker, repeating what is safe
//!                          client/transport                        one request, one answer
//!                           client/service                         whether a request was sent
//! ```
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use github_kit::{Breakers, Credentials, GitHub, GitHubSettings, MemoryContentRate, put_comment};
//!
//! # async fn run() -> Result<(), github_kit::GitHubError> {
//! let credentials = Credentials::Token("ghp_...".to_owned());
//! let limiter = Arc::new(MemoryContentRate::default());
//! let github = GitHub::new(&GitHubSettings::default(), credentials, &Breakers::default(), limiter)?;
//! let repository = github.find_repository("octo/app", None).await?;
//! put_comment(&repository, 7, "<!-- example -->", "Nothing became slower.").await?;
//! # Ok(()) }
//! ```
//!
//! Nothing here sleeps for long: when GitHub asks to wait, or does not answer, [`GitHubError::when_to_retry`] says when to try
//! again, and the program does the waiting, by [`Patience`] if it has nothing better. Nothing here judges benchmarks, reads a database or makes up what a comment
//! says; what is counted across processes goes through [`ContentRateLimiter`], and what is measured through
//! [`Observer`]. Two that write the same comment, check or issue at the same moment are kept apart by the program.

mod breaker;
mod bug_issue;
mod check_run;
mod client;
mod comment;
mod compare;
mod content_rate;
#[cfg(feature = "app")]
mod credentials;
mod error;
mod marker;
mod observer;
mod patience;
mod pull_requests;
mod repository;
mod rerun;
mod tracking_issue;

pub use breaker::{Breaker, BreakerSettings, BreakerState, Breakers};
pub use bug_issue::{FoundIssue, NewIssue, list_issues, open_issue, read_issue, search_issues};
pub use check_run::{Annotation, CheckRun, CheckState, Conclusion, end_check_run, put_check_run};
pub use client::{Credentials, GitHub, GitHubSettings};
pub use comment::{Written, comment_room, put_comment, read_marked_comment};
pub use compare::commits_left_behind;
pub use content_rate::{ContentLimits, ContentRateLimiter, MemoryContentRate, reserve_request};
#[cfg(feature = "app")]
pub use credentials::{AppCredentials, CredentialsError};
pub use error::{Again, GitHubError, SharedStateError};
pub use marker::hidden_marker;
pub use observer::Observer;
pub use patience::Patience;
pub use pull_requests::open_pull_requests_of;
pub use repository::Repository;
pub use rerun::rerun_workflow;
pub use tracking_issue::{IssueChange, TrackingIssue, put_tracking_issue};
