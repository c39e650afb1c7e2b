//! The nouns of the service, as plain types: what comes in is checked once, where it becomes one of these.

mod config;
mod grant;
mod ids;
mod job_kind;
mod job_state;
mod judging_defaults;
mod names;
pub mod object;
mod results;
mod role;

pub use config::{BenchmarkRule, CommentRule, ComponentConfig, ConfigError, Notifications, RepoConfig};
pub use database_kit::UnixMillis;
pub use grant::Grant;
pub use ids::{HistoryPlace, RepositoryId, RunId, SeriesId, StreamId};
pub use job_kind::{JobKind, StoredJobKind, UnknownJobKind};
pub use job_state::{JobState, UnknownJobState};
pub use judging_defaults::JudgingDefaults;
pub use names::{BranchName, Component, NameError, PullNumber, RepoName, RunKey};
pub use regress_core::measurement::CommitSha;
pub use results::{Medians, Results};
pub use role::{Role, UnknownRole};
