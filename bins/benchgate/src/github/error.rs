//! Why there is no comment, in the words of `benchgate comment`: it has one call and one budget of time, so neither
//! routes nor breakers are spoken of.

use std::time::Duration;

use github_kit::GitHubError;

/// What ended the attempts.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommentError {
    /// The network, after all attempts.
    #[error("GitHub does not answer")]
    Network(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// GitHub said no.
    #[error("GitHub answered {status}: {message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What GitHub said about it.
        message: String,
    },
    /// GitHub asked to wait for longer than the budget.
    #[error("GitHub's rate limit asks to wait {} s, longer than --max-wait allows", wait.as_secs())]
    RateLimit {
        /// How long it asked to wait.
        wait: Duration,
    },
    /// Anything else: the address or token is of no use, or the answer is not what the documentation promises.
    #[error(transparent)]
    Other(GitHubError),
}

impl From<GitHubError> for CommentError {
    fn from(error: GitHubError) -> Self {
        match error {
            GitHubError::Network { source, .. } => Self::Network(source),
            GitHubError::Refused { status, message, .. } => Self::Refused { status, message },
            GitHubError::RateLimit { wait } => Self::RateLimit { wait },
            other => Self::Other(other),
        }
    }
}
