//! Why a call failed, and when it is worth trying again.

use std::time::Duration;

#[cfg(feature = "app")]
use crate::CredentialsError;

/// What the processes of a program share (who writes, how much was made) cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("what the processes share about GitHub cannot be read or written")]
pub struct SharedStateError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// A call that failed.
#[derive(Debug, thiserror::Error)]
pub enum GitHubError {
    /// The client cannot be built: no certificates, an address that is none.
    #[error("the GitHub client cannot be set up: {0}")]
    SetUp(String),
    /// The app's key is of no use.
    #[cfg(feature = "app")]
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// No connection, or it broke, or no answer in time. `sent` says whether GitHub may have seen the request.
    #[error("GitHub does not answer {method} {route}")]
    Network {
        /// The method.
        method: &'static str,
        /// The path.
        route: String,
        /// Whether the request may have reached GitHub.
        sent: bool,
        /// What went wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// GitHub said no.
    #[error("GitHub answered {status} to {method} {route}: {message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The method.
        method: &'static str,
        /// The path.
        route: String,
        /// What GitHub said about it.
        message: String,
    },
    /// A limit of GitHub's, or of the content rate limiter, is reached.
    #[error("GitHub's rate limit asks to wait {} s", wait.as_secs())]
    RateLimit {
        /// How long to wait.
        wait: Duration,
    },
    /// So many calls failed that none is made for a while.
    #[error("{host} failed too often and is left alone for {} s", wait.as_secs())]
    BreakerOpen {
        /// The host.
        host: String,
        /// When the next call is allowed.
        wait: Duration,
    },
    /// A call failed and GitHub is left alone for a while: the call was one of many, and not to blame.
    #[error("{source}; GitHub is left alone for {} s", wait.as_secs())]
    Outage {
        /// When the next call is allowed.
        wait: Duration,
        /// How the call failed.
        #[source]
        source: Box<GitHubError>,
    },
    /// Another worker is writing the same comment, check or issue, or a workflow run is still going.
    #[error("{name} is in other hands")]
    Held {
        /// What.
        name: String,
        /// How long it can hold it.
        wait: Duration,
    },
    /// The app is not installed where it should act.
    #[error("the app is not installed in {repository}; install it on GitHub, or disable the repository")]
    NotInstalled {
        /// Where.
        repository: String,
    },
    /// The answer is not what the documentation promises.
    #[error("GitHub's answer to {route} cannot be read")]
    Answer {
        /// The path.
        route: String,
        /// Where the answer differs.
        #[source]
        source: serde_json::Error,
    },
    /// The answer is larger than anything that was asked for.
    #[error("GitHub's answer to {route} is larger than {most} bytes")]
    TooLarge {
        /// The path.
        route: String,
        /// The limit.
        most: usize,
    },
    /// What all processes of a program share failed.
    #[error(transparent)]
    SharedState(#[from] SharedStateError),
}

/// When a job that failed should be taken up again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// After this time, and it is nobody's fault: it does not count as a failed attempt.
    After(Duration),
    /// After the usual growing pause, as a failed attempt.
    Later,
    /// Never: somebody has to change something first.
    Never,
}

impl GitHubError {
    /// When to try again.
    #[must_use]
    pub fn when_to_retry(&self) -> Again {
        match self {
            Self::RateLimit { wait }
            | Self::BreakerOpen { wait, .. }
            | Self::Outage { wait, .. }
            | Self::Held { wait, .. } => Again::After(*wait),
            Self::Network { .. } | Self::SharedState(_) | Self::Answer { .. } | Self::TooLarge { .. } => {
                Again::Later
            }
            Self::Refused { status, .. } if *status >= 500 || matches!(status, 401 | 404 | 408 | 409) => {
                Again::Later
            }
            #[cfg(feature = "app")]
            Self::Credentials(_) => Again::Never,
            Self::Refused { .. } | Self::SetUp(_) | Self::NotInstalled { .. } => Again::Never,
        }
    }

    /// Whether GitHub may have done what was asked although the call failed.
    #[must_use]
    pub fn may_have_happened(&self) -> bool {
        match self {
            Self::Network { sent, .. } => *sent,
            Self::Refused { status, .. } => *status >= 500 || *status == 408,
            Self::Answer { .. } | Self::TooLarge { .. } => true,
            Self::Outage { source, .. } => source.may_have_happened(),
            _ => false,
        }
    }

    /// Whether the call shows that the host is in trouble, rather than that it dislikes the request.
    pub(crate) fn is_outage(&self) -> bool {
        match self {
            Self::Network { .. } => true,
            Self::Refused { status, .. } => *status >= 500,
            _ => false,
        }
    }

    /// Whether GitHub answered with this status.
    #[must_use]
    pub fn is_status(&self, statuses: &[u16]) -> bool {
        matches!(self, Self::Refused { status, .. } if statuses.contains(status))
    }
}
