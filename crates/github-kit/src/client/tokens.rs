//! Tokens that are good for a while: the app's own, and one for each installation. Made when they are needed, by one
//! task at a time, and replaced before they end.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Mutex as AsyncMutex;

use super::Caller;
use crate::GitHubError;

/// Installation tokens live an hour and are replaced five minutes before.
const EARLY: Duration = Duration::from_secs(300);

/// A token that was made.
pub(super) struct NewToken {
    pub(super) text: String,
    /// How long GitHub takes it.
    pub(super) life: Duration,
}

#[derive(Clone)]
struct KeptToken {
    text: Arc<str>,
    until: Instant,
}

type Slot = Arc<AsyncMutex<Option<KeptToken>>>;

/// The tokens in use. They never show in logs.
///
/// Not a cache crate's: each token says itself how long it lasts, and forgetting one must compare it and remove it
/// while nobody makes another.
#[derive(Default)]
pub(super) struct Tokens {
    slots: Mutex<HashMap<Caller, Slot>>,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens")
    }
}

impl Tokens {
    fn slot(&self, caller: Caller) -> Slot {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry(caller).or_default())
    }

    /// The token of `caller`; made by `make` if there is none that lasts.
    pub(super) async fn token_for_caller(
        &self,
        caller: Caller,
        make: impl Future<Output = Result<NewToken, GitHubError>> + Send,
    ) -> Result<Arc<str>, GitHubError> {
        let slot = self.slot(caller);
        let mut slot = slot.lock().await;
        if let Some(token) = slot.as_ref().filter(|token| token.until > Instant::now()) {
            return Ok(Arc::clone(&token.text));
        }
        let NewToken { text, life } = make.await?;
        let text: Arc<str> = text.into();
        // A token of a few seconds (as in tests) is used for most of them.
        let until = Instant::now() + life.saturating_sub(EARLY.min(life / 4));
        *slot = Some(KeptToken {
            text: Arc::clone(&text),
            until,
        });
        Ok(text)
    }

    /// Forgets `text`, which GitHub refused. One that another task fetched meanwhile is kept.
    pub(super) async fn forget_token(&self, caller: Caller, text: &str) {
        let slot = self.slot(caller);
        let mut slot = slot.lock().await;
        if slot.as_ref().is_some_and(|token| &*token.text == text) {
            *slot = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_token_is_made_once_and_replaced_early() {
        let (tokens, made) = (Tokens::default(), AtomicU32::new(0));
        let life = Duration::from_millis(400);
        let get = || {
            tokens.token_for_caller(Caller::Installation(1), async {
                tokio::time::sleep(Duration::from_millis(1)).await;
                Ok(NewToken {
                    text: format!("t{}", made.fetch_add(1, Ordering::Relaxed)),
                    life,
                })
            })
        };
        let (a, b) = tokio::join!(get(), get());
        assert_eq!(
            (&*a.unwrap(), &*b.unwrap()),
            ("t0", "t0"),
            "two at once make one token"
        );
        tokio::time::sleep(life * 3 / 4).await;
        assert_eq!(&*get().await.unwrap(), "t1");
        tokens.forget_token(Caller::Installation(1), "t0").await;
        assert_eq!(
            &*get().await.unwrap(),
            "t1",
            "an old token's refusal does not cost the new one"
        );
        tokens.forget_token(Caller::Installation(1), "t1").await;
        assert_eq!(&*get().await.unwrap(), "t2");
    }
}
