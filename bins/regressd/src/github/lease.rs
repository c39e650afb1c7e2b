//! Who may write a comment, a check or an issue: one worker at a time, in whichever process.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{GitHubError, SharedStateError};

/// Leases that end by themselves: whoever dies holding one blocks the others only until then.
///
/// The service keeps them in its database, so that several processes share them. A holder is a name that no other
/// attempt has.
pub trait Leases: Send + Sync {
    /// Takes `name` for `life`; `None` if it was free (or its time was over), else how long it is still held.
    fn acquire_lease(
        &self,
        name: &str,
        holder: &str,
        life: Duration,
    ) -> impl Future<Output = Result<Option<Duration>, SharedStateError>> + Send;

    /// Gives `name` back, if `holder` still has it.
    fn release_lease(
        &self,
        name: &str,
        holder: &str,
    ) -> impl Future<Output = Result<(), SharedStateError>> + Send;
}

/// Leases of one process.
#[derive(Default)]
pub struct MemoryLeases(Mutex<HashMap<String, (String, Instant)>>);

impl fmt::Debug for MemoryLeases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryLeases")
    }
}

impl Leases for MemoryLeases {
    async fn acquire_lease(
        &self,
        name: &str,
        holder: &str,
        life: Duration,
    ) -> Result<Option<Duration>, SharedStateError> {
        let mut leases = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if let Some((_, until)) = leases.get(name).filter(|(_, until)| *until > now) {
            return Ok(Some(*until - now));
        }
        leases.insert(name.to_owned(), (holder.to_owned(), now + life));
        Ok(None)
    }

    async fn release_lease(&self, name: &str, holder: &str) -> Result<(), SharedStateError> {
        let mut leases = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if leases.get(name).is_some_and(|(of, _)| of == holder) {
            leases.remove(name);
        }
        Ok(())
    }
}

/// Does `work` while holding `name`, for less than `life`.
///
/// The lease is given back when it is known what became of the work. When a request may still be under way (no
/// answer came, or this process dies), it is kept to its end: whoever comes next then looks for what the request
/// made, and finds it.
pub(super) async fn run_with_lease<T, L: Leases>(
    leases: &L,
    name: &str,
    life: Duration,
    work: impl Future<Output = Result<T, GitHubError>> + Send,
) -> Result<T, GitHubError> {
    let holder = uuid::Uuid::now_v7().to_string();
    if let Some(wait) = leases.acquire_lease(name, &holder, life).await? {
        // It is usually given back long before its end.
        let wait = (wait / 4).clamp(Duration::from_millis(50), Duration::from_secs(5));
        return Err(GitHubError::Held {
            name: name.to_owned(),
            wait,
        });
    }
    // Acting on a lease that has ended would be acting without one.
    let Ok(done) = tokio::time::timeout(life * 3 / 4, work).await else {
        return Err(GitHubError::Held {
            name: name.to_owned(),
            wait: life / 4,
        });
    };
    if !done.as_ref().is_err_and(GitHubError::may_have_happened) {
        leases.release_lease(name, &holder).await?;
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_lease_is_held_by_one_and_ends_by_itself() {
        let leases = MemoryLeases::default();
        let life = Duration::from_millis(100);
        assert_eq!(leases.acquire_lease("c", "a", life).await.unwrap(), None);
        assert!(leases.acquire_lease("c", "b", life).await.unwrap().is_some());
        leases.release_lease("c", "b").await.unwrap();
        assert!(
            leases.acquire_lease("c", "b", life).await.unwrap().is_some(),
            "only the holder gives back"
        );
        tokio::time::sleep(life).await;
        assert_eq!(leases.acquire_lease("c", "b", life).await.unwrap(), None);
    }

    #[tokio::test]
    async fn work_of_unknown_end_keeps_the_lease() {
        let leases = MemoryLeases::default();
        let life = Duration::from_secs(60);
        let refused = |status| GitHubError::Refused {
            status,
            method: "POST",
            route: "/x".to_owned(),
            message: String::new(),
        };
        let _ = run_with_lease(&leases, "c", life, async { Err::<(), _>(refused(422)) }).await;
        let _ = run_with_lease(&leases, "c", life, async { Err::<(), _>(refused(502)) }).await;
        let held = run_with_lease(&leases, "c", life, async { Ok(()) }).await;
        assert!(matches!(held, Err(GitHubError::Held { .. })));
    }
}
