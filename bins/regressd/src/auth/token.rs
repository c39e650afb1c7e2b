//! Access tokens: 256 bits of chance, of which only a hash is kept.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use moka::sync::Cache;
use sha2::{Digest, Sha256};

use super::Principal;
use crate::database::tokens::{self, StoredToken};
use crate::database::{Database, DatabaseError};
use crate::domain::UnixMillis;

/// What every token begins with, so that scanners find one that leaked.
const PREFIX: &str = "rgd_";
/// For how long a token is believed before it is looked up again: so long a revoked one may still work.
const FRESH: Duration = Duration::from_secs(2);
/// Tokens remembered at most.
const MAX_CACHED_TOKENS: u64 = 10_000;

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
pub fn hash_token(token: &str) -> String {
    hex::encode(Sha256::digest(token.as_bytes()))
}

/// Tokens that were looked up a moment ago, by hash.
#[derive(Debug)]
pub struct TokenCache(Cache<String, Option<Principal>>);

impl Default for TokenCache {
    fn default() -> Self {
        let cache = Cache::builder()
            .max_capacity(MAX_CACHED_TOKENS)
            .time_to_live(FRESH);
        Self(cache.build())
    }
}

impl TokenCache {
    /// Who the token belongs to; `None` for one that is unknown, revoked or expired.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn find_principal(
        &self,
        database: &Database,
        token: &str,
    ) -> Result<Option<Principal>, DatabaseError> {
        let hash = hash_token(token);
        if let Some(principal) = self.0.get(&hash) {
            return Ok(principal);
        }
        let mut connection = database.acquire_reader().await?;
        let found = tokens::by_hash(&mut connection, &hash).await?;
        let principal = found.as_ref().and_then(valid);
        self.0.insert(hash, principal.clone());
        Ok(principal)
    }
}

fn valid(token: &StoredToken) -> Option<Principal> {
    let expired = token.expires.is_some_and(|at| at <= UnixMillis::now());
    if token.revoked.is_some() || expired {
        return None;
    }
    Some(Principal {
        name: format!("token:{}", token.id),
        role: token.role,
        grant: token.grant.clone(),
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
            hash_token("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
