//! GitHub, as an app: authenticated, patient, and never twice.
//!
//! ```text
//! comment | check_run | tracking_issue | pull_requests      what is said where
//!                       client                              tokens, limits, breaker, repeating what is safe
//!                     transport                             one request, one answer
//! ```
//!
//! Nothing here sleeps for long: when GitHub asks to wait, or does not answer, [`GitHubError::again`] says when the
//! job should be taken up again, and the job table does the waiting. Nothing here judges benchmarks or reads the
//! database; what must be serialised or counted across processes goes through [`Leases`] and [`Pace`].

mod breaker;
mod check_run;
mod client;
mod comment;
mod content;
mod credentials;
mod error;
mod lease;
mod limits;
mod marker;
mod pace;
mod pull_requests;
mod repository;
mod rerun;
mod sparkline;
mod tokens;
mod tracking_issue;
mod transport;

pub use breaker::{Breaker, BreakerSettings, BreakerState, Breakers};
pub use check_run::{Annotation, CheckRun, CheckState, Conclusion, put_check_run};
pub use client::{GitHub, GitHubSettings};
pub use comment::{Written, comment_room, put_comment};
pub use content::{Badge, Extras, annotations, comment_text, conclusion};
pub use credentials::{AppCredentials, CredentialsError};
pub use error::{Again, GitHubError};
pub use lease::{LeaseError, Leases, MemoryLeases};
pub use marker::marker;
pub(crate) use pace::place;
pub use pace::{ContentLimits, MemoryPace, Pace};
pub use pull_requests::pull_requests_of;
pub use repository::Repository;
pub use rerun::rerun_workflow;
pub use sparkline::sparkline;
pub use tracking_issue::{IssueChange, TrackingIssue, put_tracking_issue};
