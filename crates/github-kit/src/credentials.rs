//! The app's identity: its number and private key, and the short-lived token made of them.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;

/// How far back a token is dated: GitHub refuses tokens of the future, and clocks differ.
const BACKDATED: i64 = 60;
/// GitHub takes tokens of at most ten minutes; counted from the backdated start this is nine and a half.
const LIFE: i64 = 510;

/// A private key that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// Not PEM, or not an RSA key.
    #[error("the private key is not an RSA key in PEM form; download it from the app's settings on GitHub")]
    Key(#[source] jsonwebtoken::errors::Error),
    /// The signature could not be made.
    #[error("the token of the app cannot be signed")]
    Sign(#[source] jsonwebtoken::errors::Error),
}

/// The number and the private key of a GitHub app.
#[derive(Clone)]
pub struct AppCredentials {
    app_id: u64,
    key: EncodingKey,
}

impl fmt::Debug for AppCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppCredentials")
            .field("app_id", &self.app_id)
            .finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct Claims {
    iat: i64,
    exp: i64,
    iss: String,
}

impl AppCredentials {
    /// The app `app_id` with the private key that GitHub gave out for it.
    ///
    /// # Errors
    /// When `pem` is not an RSA key.
    pub fn new(app_id: u64, pem: &[u8]) -> Result<Self, CredentialsError> {
        let key = EncodingKey::from_rsa_pem(pem).map_err(CredentialsError::Key)?;
        Ok(Self { app_id, key })
    }

    /// The number of the app.
    #[must_use]
    pub fn app_id(&self) -> u64 {
        self.app_id
    }

    /// A token that says "I am the app", good for a few minutes from `now`.
    ///
    /// # Errors
    /// When the key cannot sign.
    pub fn sign_app_token(&self, now: Timestamp) -> Result<String, CredentialsError> {
        let now = now.as_second();
        let claims = Claims {
            iat: now - BACKDATED,
            exp: now + LIFE,
            iss: self.app_id.to_string(),
        };
        jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &self.key)
            .map_err(CredentialsError::Sign)
    }

    /// How long a token can be used again before a new one is made.
    pub(crate) const REUSE: Duration = Duration::from_secs(240);
}
