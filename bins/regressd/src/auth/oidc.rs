//! Workflows that prove who they are with the token GitHub Actions gives them (OpenID Connect).
//!
//! The issuer's keys are fetched and kept for an hour; a token signed with a key that is not among them makes us look
//! again, at most once a minute, so that forged tokens cannot make us ask all the time.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use jsonwebtoken::jwk::{Jwk, JwkSet};
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
    /// Who may upload, beside repositories on which the App is installed.
    allowed: Vec<Grant>,
    /// One set, and no cache of many: when it is old, but the issuer is away, it is still used.
    keys: ArcSwapOption<Keys>,
    /// Whoever fetches keys; others do not wait for that while they know the key.
    fetching: Mutex<()>,
    /// When the issuer last gave no answer: those who waited meanwhile do not each ask it again.
    failed: std::sync::Mutex<Option<Instant>>,
}

#[derive(Debug)]
struct Keys {
    set: JwkSet,
    fetched: Instant,
}

#[derive(Deserialize)]
struct Payload {
    repository: String,
    /// A number, as text.
    repository_id: Option<String>,
    #[serde(rename = "ref")]
    reference: Option<String>,
    event_name: Option<String>,
}

impl Oidc {
    /// A checker, if the settings name an issuer.
    ///
    /// # Errors
    /// When the system has no certificates to check the issuer with.
    pub fn new(settings: &settings::OidcSettings) -> Result<Option<Self>, OidcError> {
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
            keys: ArcSwapOption::empty(),
            fetching: Mutex::new(()),
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
    pub async fn verify_workflow_token(&self, token: &str) -> Result<Principal, OidcError> {
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
        let repository_id = payload.repository_id.map(|text| text.parse()).transpose();
        let repository_id =
            repository_id.map_err(|_| OidcError::Invalid("its repository_id is no number".to_owned()))?;
        Ok(Principal {
            name: format!("workflow:{repository}"),
            role: Role::Upload,
            grant: Grant::One(repository),
            claims: Some(WorkflowClaims {
                reference: payload.reference,
                event: payload.event_name,
                repository_id,
            }),
        })
    }

    /// Whether `oidc.allow` names the repository.
    #[must_use]
    pub fn allows(&self, repository: &RepoName) -> bool {
        self.allowed.iter().any(|grant| grant.covers(repository))
    }

    async fn key(&self, id: &str) -> Result<DecodingKey, OidcError> {
        if self.should_ask(id) {
            self.ask_once(id).await?;
        }
        let found = self
            .known(id)
            .ok_or_else(|| OidcError::Invalid("it is signed with an unknown key".to_owned()))?;
        DecodingKey::from_jwk(&found).map_err(|error| OidcError::Invalid(error.to_string()))
    }

    fn known(&self, id: &str) -> Option<Jwk> {
        let keys = self.keys.load();
        keys.as_ref().and_then(|keys| keys.set.find(id).cloned())
    }

    /// Whether the keys are old, or lack this one and were not asked for just now.
    fn should_ask(&self, id: &str) -> bool {
        let age = self.keys.load().as_ref().map(|keys| keys.fetched.elapsed());
        let stale = age.is_none_or(|age| age > KEYS_LIVE);
        stale || self.known(id).is_none() && age.is_none_or(|age| age > ASK_AGAIN)
    }

    /// Asks the issuer, unless somebody else does. Old keys are better than none while it is away, or slow.
    async fn ask_once(&self, id: &str) -> Result<(), OidcError> {
        let _fetching = match self.fetching.try_lock() {
            Ok(first) => first,
            Err(_) if self.known(id).is_some() => return Ok(()),
            Err(_) => self.fetching.lock().await,
        };
        if !self.should_ask(id) {
            return Ok(());
        }
        match self.fetch_unless_away().await {
            Ok(set) => {
                let fetched = Instant::now();
                self.keys.store(Some(Arc::new(Keys { set, fetched })));
                Ok(())
            }
            Err(error) if self.known(id).is_some() => {
                tracing::warn!(%error, "old keys are used");
                Ok(())
            }
            Err(error) => Err(error),
        }
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
