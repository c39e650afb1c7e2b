//! The nouns of the service, as plain types: what comes in is checked once, where it becomes one of these.

mod config;
mod names;
pub mod object;
mod time;

pub use config::{BenchmarkRule, CommentRule, ComponentConfig, ConfigError, Notifications, RepoConfig};
pub use names::{BranchName, Component, NameError, PullNumber, RepoName, RunKey};
pub use regress_core::measurement::CommitSha;
pub use time::Moment;
