//! What the service says on GitHub, and who may say it.
//!
//! ```text
//! content | sparkline      the words of a comment, a check run, an issue
//!       leased             one worker at a time writes each of them
//!     github_kit           GitHub as an app: tokens, limits, breaker, what is repeated
//! ```
//!
//! Nothing here judges benchmarks or reads the database; what must be serialised or counted across processes goes through
//! [`Leases`] and [`ContentRateLimiter`].

mod content;
mod lease;
mod leased;
mod observer;
mod pull_requests;
mod sparkline;

pub use content::{Badge, Extras, annotations_for_report, comment_text, conclusion_for_outcome};
pub(crate) use github_kit::reserve_request;
pub use github_kit::{
    Again, Annotation, AppCredentials, Breaker, BreakerSettings, BreakerState, Breakers, CheckRun,
    CheckState, Conclusion, ContentLimits, ContentRateLimiter, CredentialsError, GitHub, GitHubError,
    GitHubSettings, IssueChange, MemoryContentRate, Repository, SharedStateError, TrackingIssue, Written,
    comment_room, commits_left_behind, rerun_workflow,
};
pub use lease::{Leases, MemoryLeases};
pub use leased::{end_check_run, put_check_run, put_comment, put_tracking_issue};
pub use observer::MetricsObserver;
pub use pull_requests::pull_requests_of;
pub use sparkline::render_sparkline;

/// The hidden first line by which our comments and issues are found again.
#[must_use]
pub fn regressd_marker(kind: &str, parts: &[&str]) -> String {
    github_kit::hidden_marker("regressd", kind, parts)
}
