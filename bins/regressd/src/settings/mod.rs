//! What the operator decides: one struct, read from a file, the environment and flags, in this order (see `sources`).
//!
//! Secrets are not part of it: they come from environment variables or from files that the settings name.

mod ranges;
mod secret;
mod sections;
mod shown;
mod sources;

pub use secret::Secret;
pub use sections::{
    AnalyticsSettings, Backup, DatabaseSettings, GitHub, Jobs, LogFormat, Logging, OidcSettings, Reports,
    Retention, Server,
};
use serde::{Deserialize, Serialize};
pub use sources::{SettingsError, SettingsSources};

use crate::domain::JudgingDefaults;

/// All settings, each section with its defaults.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Addresses, limits, TLS.
    pub server: Server,
    /// Where the data is.
    pub database: DatabaseSettings,
    /// The GitHub App.
    pub github: GitHub,
    /// Uploads by GitHub Actions without a token.
    pub oidc: OidcSettings,
    /// Workers and retries.
    pub jobs: Jobs,
    /// What applies where a repository says nothing.
    pub judging: JudgingDefaults,
    /// An optional command that looks at each run.
    pub analytics: AnalyticsSettings,
    /// Reports on runs.
    pub reports: Reports,
    /// Scheduled backups.
    pub backup: Backup,
    /// What is kept for how long.
    pub retention: Retention,
    /// The log.
    pub logging: Logging,
}
