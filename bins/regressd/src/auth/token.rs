//! Access tokens: 256 bits of chance, of which only a hash is kept.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::Principal;
use crate::database::tokens::{self, Token};
use crate::database::{Database, DatabaseError};
use crate::domain::Moment;

/// What every token begins with, so that scanners find one that leaked.
const PREFIX: &str = "rgd_";
/// For how long a token is believed before it is looked up again: so long a revoked one may still work.
const FRESH: Duration = Duration::from_secs(2);
/// Tokens remembered at most.
const MAX_CACHED_TOKENS: usize = 10_000;

/// A new token.
///
/// # Panics
/// When the system has no source of chance: then nothing it makes is secret.
#[must_use]
pub fn new_token() -> String {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).expect("the system has a source of chance");
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
}

/// What is stored of a token. A plain hash will do: 256 bits of chance cannot be guessed.
#[must_use]
pub fn hash(token: &str) -> String {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(token.as_bytes()) {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
    }
    text
}

/// Tokens that were looked up a moment ago, by hash.
#[derive(Debug, Default)]
pub struct TokenCache(Mutex<HashMap<String, (Option<Principal>, Instant)>>);

impl TokenCache {
    /// Who the token belongs to; `None` for one that is unknown, revoked or expired.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn principal(
        &self,
        database: &Database,
        token: &str,
    ) -> Result<Option<Principal>, DatabaseError> {
        let hash = hash(token);
        if let Some((principal, at)) = self.locked().get(&hash)
            && at.elapsed() < FRESH
        {
            return Ok(principal.clone());
        }
        let mut connection = database.read().await?;
        let found = tokens::by_hash(&mut connection, &hash).await?;
        let principal = found.as_ref().and_then(valid);
        let mut remembered = self.locked();
        if remembered.len() >= MAX_CACHED_TOKENS {
            remembered.retain(|_, (_, at)| at.elapsed() < FRESH);
        }
        remembered.insert(hash, (principal.clone(), Instant::now()));
        Ok(principal)
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, HashMap<String, (Option<Principal>, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn valid(token: &Token) -> Option<Principal> {
    let expired = token.expires.is_some_and(|at| at <= Moment::now());
    if token.revoked.is_some() || expired {
        return None;
    }
    Some(Principal {
        name: format!("token:{}", token.id),
        role: token.role.parse().ok()?,
        grant: token.repository.parse().ok()?,
        claims: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_long_and_never_alike() {
        let (one, other) = (new_token(), new_token());
        assert!(one.starts_with(PREFIX) && one.len() == 4 + 43 && one != other);
        assert_eq!(
            hash("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
