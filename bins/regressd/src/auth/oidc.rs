//! Workflows that prove who they are with the token GitHub Actions gives them (OpenID Connect).
//!
//! The issuer's keys are fetched and kept for an hour; a token signed with a key that is not among them makes us look
//! again, at most once a minute, so that forged tokens cannot make us ask all the time.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::{Principal, WorkflowClaims};
use crate::domain::{Grant, RepoName, Role};
use crate::settings;

const KEYS_LIVE: Duration = Duration::from_secs(3600);
const ASK_AGAIN: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(5);
/// How long an issuer that gave no answer is not asked.
const AWAY: Duration = Duration::from_secs(30);
const MAX_BYTES: usize = 1 << 20;
/// Clocks differ.
const LEEWAY_SECONDS: u64 = 30;

/// Why a workflow's token was not taken.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// The token is no good: the reason is for the log, the client hears that it is not valid.
    #[error("the workflow's token is not valid: {0}")]
    Invalid(String),
    /// The issuer's keys cannot be had.
    #[error("the keys of the issuer cannot be fetched: {0}")]
    Keys(String),
}

/// Checks workflow tokens.
#[derive(Debug)]
pub struct Oidc {
    issuer: String,
    audience: String,
    keys_url: String,
    client: reqwest::Client,
    /// Who may upload; anybody whom the issuer knows where it is empty.
    allowed: Vec<Grant>,
    /// One set, and no cache of many: when it is old, but the issuer is away, it is still used.
    keys: Mutex<Option<Keys>>,
    /// When the issuer last gave no answer: those who waited meanwhile do not each ask it again.
    failed: std::sync::Mutex<Option<Instant>>,
}

#[derive(Debug)]
struct Keys {
    set: Arc<JwkSet>,
    fetched: Instant,
}

#[derive(Deserialize)]
struct Payload {
    repository: String,
    #[serde(rename = "ref")]
    reference: Option<String>,
    event_name: Option<String>,
}

impl Oidc {
    /// A checker, if the settings name an issuer.
    ///
    /// # Errors
    /// When the system has no certificates to check the issuer with.
    pub fn new(settings: &settings::Oidc) -> Result<Option<Self>, OidcError> {
        let Some(issuer) = &settings.issuer else {
            return Ok(None);
        };
        let allowed: Result<Vec<Grant>, _> = settings.allow.iter().map(|text| text.parse()).collect();
        let allowed = allowed.map_err(|error| OidcError::Keys(format!("oidc.allow: {error}")))?;
        let client = reqwest::Client::builder()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| OidcError::Keys(error.to_string()))?;
        let default = || format!("{}/.well-known/jwks", issuer.trim_end_matches('/'));
        Ok(Some(Self {
            issuer: issuer.clone(),
            audience: settings.audience.clone(),
            allowed,
            keys_url: settings.keys_url.clone().unwrap_or_else(default),
            client,
            keys: Mutex::new(None),
            failed: std::sync::Mutex::new(None),
        }))
    }

    /// Whether a text has the form of such a token.
    #[must_use]
    pub fn looks_like(token: &str) -> bool {
        token.starts_with("ey") && token.bytes().filter(|byte| *byte == b'.').count() == 2
    }

    /// The workflow that the token is from. It may upload for its own repository.
    ///
    /// # Errors
    /// When the token is not valid, or that cannot be found out.
    pub async fn principal(&self, token: &str) -> Result<Principal, OidcError> {
        let invalid = |error: jsonwebtoken::errors::Error| OidcError::Invalid(error.to_string());
        let header = decode_header(token).map_err(invalid)?;
        // Never an algorithm that takes the public key for a shared secret, and never none.
        if !matches!(header.alg, Algorithm::RS256 | Algorithm::ES256) {
            return Err(OidcError::Invalid(format!("it is signed with {:?}", header.alg)));
        }
        let id = header
            .kid
            .ok_or_else(|| OidcError::Invalid("it names no key".to_owned()))?;
        let key = self.key(&id).await?;
        let mut validation = Validation::new(header.alg);
        validation.leeway = LEEWAY_SECONDS;
        validation.validate_nbf = true;
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        let payload = decode::<Payload>(token, &key, &validation)
            .map_err(invalid)?
            .claims;
        let repository: RepoName = payload
            .repository
            .parse()
            .map_err(|error| OidcError::Invalid(format!("{error}")))?;
        if !self.allowed.is_empty() && !self.allowed.iter().any(|grant| grant.covers(&repository)) {
            return Err(OidcError::Invalid(format!("{repository} is not in oidc.allow")));
        }
        Ok(Principal {
            name: format!("workflow:{repository}"),
            role: Role::Upload,
            grant: Grant::One(repository),
            claims: Some(WorkflowClaims {
                reference: payload.reference,
                event: payload.event_name,
            }),
        })
    }

    async fn key(&self, id: &str) -> Result<DecodingKey, OidcError> {
        let mut keys = self.keys.lock().await;
        let known = |keys: &Option<Keys>| keys.as_ref().and_then(|keys| keys.set.find(id).cloned());
        let age = keys.as_ref().map(|keys| keys.fetched.elapsed());
        let stale = age.is_none_or(|age| age > KEYS_LIVE);
        let missing = known(&keys).is_none() && age.is_none_or(|age| age > ASK_AGAIN);
        if stale || missing {
            match self.fetch_unless_away().await {
                Ok(set) => {
                    *keys = Some(Keys {
                        set: Arc::new(set),
                        fetched: Instant::now(),
                    });
                }
                // Old keys are better than none while the issuer is away.
                Err(error) if known(&keys).is_some() => tracing::warn!(%error, "old keys are used"),
                Err(error) => return Err(error),
            }
        }
        let found =
            known(&keys).ok_or_else(|| OidcError::Invalid("it is signed with an unknown key".to_owned()))?;
        DecodingKey::from_jwk(&found).map_err(|error| OidcError::Invalid(error.to_string()))
    }

    /// The keys; an issuer that gave no answer is left alone for a while.
    async fn fetch_unless_away(&self) -> Result<JwkSet, OidcError> {
        let failed = || self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if failed().is_some_and(|at| at.elapsed() < AWAY) {
            return Err(OidcError::Keys(format!(
                "it gave no answer less than {} s ago; try again later",
                AWAY.as_secs()
            )));
        }
        let fetched = self.fetch().await;
        *failed() = fetched.is_err().then(Instant::now);
        fetched
    }

    async fn fetch(&self) -> Result<JwkSet, OidcError> {
        let failed = |error: reqwest::Error| OidcError::Keys(error.to_string());
        let answer = self.client.get(&self.keys_url).send().await.map_err(failed)?;
        let answer = answer.error_for_status().map_err(failed)?;
        if answer
            .content_length()
            .is_some_and(|length| length > MAX_BYTES as u64)
        {
            return Err(OidcError::Keys("the answer is too large".to_owned()));
        }
        let bytes = answer.bytes().await.map_err(failed)?;
        serde_json::from_slice(&bytes).map_err(|error| OidcError::Keys(error.to_string()))
    }
}
