//! The sections of the settings, with their defaults. Durations are in the unit that a field's name ends in.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

/// `[server]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// Where requests are answered.
    pub listen: SocketAddr,
    /// Where Prometheus reads metrics; empty for nowhere.
    #[serde(deserialize_with = "deserialize_optional_address")]
    pub metrics_listen: Option<SocketAddr>,
    /// How people reach the service, for links in comments: `https://bench.example.org`.
    pub public_url: Option<String>,
    /// Certificate chain in PEM; with `tls_key` the service speaks TLS itself.
    pub tls_certificate: Option<PathBuf>,
    /// Private key in PEM.
    pub tls_key: Option<PathBuf>,
    /// Whether `X-Forwarded-For` is believed: only behind a proxy that sets it.
    pub trust_proxy: bool,
    /// Whether pages, badges and reading need no token.
    pub public_read: bool,
    /// Largest upload in MiB.
    pub upload_limit_mib: usize,
    /// Seconds in which a request must have arrived in full and been answered.
    pub request_timeout_seconds: u64,
    /// Requests a minute that one token may make; 0 for no limit.
    pub requests_per_token_minute: u32,
    /// Requests a minute from one address without a valid token; 0 for no limit.
    pub requests_per_address_minute: u32,
    /// Uploads that are judged within their request at once; more are left to the workers.
    pub judged_at_once: usize,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8780)),
            metrics_listen: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 9780))),
            public_url: None,
            tls_certificate: None,
            tls_key: None,
            trust_proxy: false,
            public_read: false,
            upload_limit_mib: 64,
            request_timeout_seconds: 30,
            requests_per_token_minute: 6_000,
            requests_per_address_minute: 600,
            judged_at_once: 2,
        }
    }
}

/// An address, or nothing for an empty text.
fn deserialize_optional_address<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SocketAddr>, D::Error> {
    match Option::<String>::deserialize(deserializer)?.as_deref() {
        None | Some("") => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|_| {
            D::Error::custom(format!(
                "{text:?} is no address with a port, such as 127.0.0.1:9780; empty is nowhere"
            ))
        }),
    }
}

/// `[database]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DatabaseSettings {
    /// A path, or `postgres://USER@HOST/NAME`. A URL with a password is a secret: give it by `REGRESSD_DATABASE_URL`
    /// or `url_file`.
    pub url: String,
    /// A file with the URL.
    pub url_file: Option<PathBuf>,
}

impl Default for DatabaseSettings {
    fn default() -> Self {
        Self {
            url: "regressd.db".to_owned(),
            url_file: None,
        }
    }
}

/// `[github]`. The private key and the webhook secret come from `REGRESSD_GITHUB_PRIVATE_KEY` and
/// `REGRESSD_GITHUB_WEBHOOK_SECRET`, or from the files named here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GitHub {
    /// The App's id; without it nothing is sent to GitHub.
    pub app_id: Option<u64>,
    /// A file with the App's private key in PEM.
    pub private_key_file: Option<PathBuf>,
    /// A file with the webhook secret; without a secret webhooks are refused.
    pub webhook_secret_file: Option<PathBuf>,
    /// GitHub's API; an enterprise server's is `https://HOST/api/v3`.
    pub api_url: String,
    /// Seconds for one request to GitHub.
    pub request_timeout_seconds: u64,
    /// Requests that make or change something, a minute and installation. GitHub allows 80.
    pub content_per_minute: usize,
    /// The same an hour. GitHub allows 500.
    pub content_per_hour: usize,
    /// Failures in a row after which GitHub is left alone for a while.
    pub breaker_failures: u32,
    /// Milliseconds of that while; it doubles up to twelve times as long.
    pub breaker_pause_milliseconds: u64,
    /// Minutes after which a check that still waits for results, or for a confirming run, ends as neutral.
    pub results_within_minutes: u64,
    /// Seconds in which a worker must have written a comment, check or issue. After a request whose end is unknown,
    /// nobody touches the same one for so long.
    pub lease_seconds: u64,
}

impl Default for GitHub {
    fn default() -> Self {
        Self {
            app_id: None,
            private_key_file: None,
            webhook_secret_file: None,
            api_url: "https://api.github.com".to_owned(),
            request_timeout_seconds: 20,
            content_per_minute: 80,
            content_per_hour: 500,
            breaker_failures: 5,
            breaker_pause_milliseconds: 10_000,
            results_within_minutes: 360,
            lease_seconds: 60,
        }
    }
}

impl GitHub {
    /// How long a check waits for results.
    #[must_use]
    pub fn results_timeout(&self) -> Duration {
        Duration::from_secs(self.results_within_minutes.saturating_mul(60))
    }
}

/// `[oidc]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OidcSettings {
    /// Who may upload without a token: `https://token.actions.githubusercontent.com`. Empty for nobody.
    pub issuer: Option<String>,
    /// The audience that workflows must ask for.
    pub audience: String,
    /// Owners and repositories whose workflows may upload: `octo/*`, `octo/hello`. Beside these, those on which
    /// the App is installed may.
    pub allow: Vec<String>,
    /// Where the issuer's keys are, if not at `/.well-known/jwks` below it.
    pub keys_url: Option<String>,
}

impl Default for OidcSettings {
    fn default() -> Self {
        Self {
            issuer: None,
            audience: "regressd".to_owned(),
            allow: Vec::new(),
            keys_url: None,
        }
    }
}

/// `[jobs]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Jobs {
    /// Jobs done at once.
    pub workers: usize,
    /// Attempts before a job is a dead letter.
    pub attempts: u32,
    /// Wait after the first failure in milliseconds; it doubles with each.
    pub backoff_milliseconds: u64,
    /// Longest wait between attempts in seconds.
    pub longest_backoff_seconds: u64,
    /// After so many seconds without a sign of life a worker's job is given to another.
    pub lease_seconds: u64,
}

impl Default for Jobs {
    fn default() -> Self {
        Self {
            workers: 8,
            attempts: 8,
            backoff_milliseconds: 500,
            longest_backoff_seconds: 300,
            lease_seconds: 30,
        }
    }
}

/// `[analytics]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AnalyticsSettings {
    /// The command and its arguments; empty for none.
    pub command: Vec<String>,
    /// Processes kept running.
    pub processes: usize,
    /// Milliseconds within which it must answer.
    pub timeout_milliseconds: u64,
}

impl Default for AnalyticsSettings {
    fn default() -> Self {
        Self {
            command: Vec::new(),
            processes: 1,
            timeout_milliseconds: 5_000,
        }
    }
}

/// `[reports]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Reports {
    /// A folder of templates (Tera): each is a file that a run's page offers, made by it.
    pub templates: Option<PathBuf>,
}

/// `[backup]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Backup {
    /// Folder for scheduled backups; without it there are none.
    pub directory: Option<PathBuf>,
    /// Hours between two backups.
    pub every_hours: u64,
    /// Backups kept.
    pub keep: usize,
}

impl Default for Backup {
    fn default() -> Self {
        Self {
            directory: None,
            every_hours: 24,
            keep: 7,
        }
    }
}

/// `[retention]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Days after which runs are removed, but for those a baseline needs; 0 keeps all.
    pub runs_days: u32,
    /// Days after which deliveries that were worked off are removed; 0 keeps all.
    pub deliveries_days: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            runs_days: 0,
            deliveries_days: 30,
        }
    }
}

/// `[logging]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Logging {
    /// `pretty` or `json`.
    pub format: LogFormat,
    /// What is logged, as `tracing` writes filters: `info`, `regressd=debug`.
    pub level: String,
    /// Where an OpenTelemetry collector listens (`http://localhost:4318`); needs a build with that feature.
    pub opentelemetry: Option<String>,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Pretty,
    /// One JSON object a line.
    Json,
}

impl Default for Logging {
    fn default() -> Self {
        Self {
            format: LogFormat::Pretty,
            level: "info".to_owned(),
            opentelemetry: None,
        }
    }
}
