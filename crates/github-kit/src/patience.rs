//! Waits for rate limits and tries again when GitHub fails, everything together within one budget of time.

use std::time::{Duration, Instant};

use crate::{Again, GitHubError};

/// What a failure that says nothing about waiting costs at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// A budget of time for a piece of work that asks GitHub several times.
#[derive(Debug)]
pub struct Patience {
    until: Instant,
    pause: Duration,
}

impl Patience {
    /// One that ends after `budget`.
    pub fn with_budget(budget: Duration) -> Self {
        Self {
            until: Instant::now() + budget,
            pause: FIRST_PAUSE,
        }
    }

    /// Waits until it is worth trying again.
    ///
    /// # Errors
    /// With `error` when that never is, or not within the budget.
    pub async fn wait_after(&mut self, error: GitHubError) -> Result<(), GitHubError> {
        let wait = match error.when_to_retry() {
            Again::After(wait) => wait,
            Again::Later if is_passing(&error) => self.growing_pause(),
            Again::Later | Again::Never => return Err(error),
        };
        if Instant::now() + wait > self.until {
            return Err(error);
        }
        tokio::time::sleep(wait).await;
        Ok(())
    }

    fn growing_pause(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(MAX_PAUSE);
        pause
    }
}

/// Whether a failure is one of the network or the server. A refused token or a pull request that is not there stay so.
fn is_passing(error: &GitHubError) -> bool {
    match error {
        GitHubError::Network { .. } => true,
        GitHubError::Refused { status, .. } => *status >= 500,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16) -> GitHubError {
        GitHubError::Refused {
            status,
            method: "GET",
            route: "/x".to_owned(),
            message: String::new(),
        }
    }

    #[tokio::test]
    async fn what_stays_as_it_is_is_not_waited_for() {
        let mut patience = Patience::with_budget(Duration::from_secs(3600));
        for status in [401, 403, 404, 422] {
            assert!(patience.wait_after(refused(status)).await.is_err(), "{status}");
        }
    }

    #[tokio::test]
    async fn a_wait_beyond_the_budget_is_the_error() {
        let mut patience = Patience::with_budget(Duration::from_millis(50));
        let wait = Duration::from_millis(1);
        assert!(patience.wait_after(GitHubError::RateLimit { wait }).await.is_ok());
        assert!(
            patience.wait_after(refused(502)).await.is_err(),
            "the first pause is a second"
        );
    }
}
