//! The axum extractor: a handler that takes a [`SignedDelivery`] is only called for bytes that GitHub signed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRef, FromRequest, Request};
use axum::http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::{Event, MAX_BYTES, Rejection, SignatureError, payload, signature};

/// GitHub gives up after ten seconds; nobody honest needs longer to send.
const MAX_TIME: Duration = Duration::from_secs(10);
/// A delivery's name is a UUID.
const MAX_ID_BYTES: usize = 100;

/// The secrets that deliveries may be signed with: one, or two while it is being replaced. They never show in logs.
#[derive(Clone)]
pub struct WebhookKeys {
    secrets: Arc<[Vec<u8>]>,
    patience: Duration,
}

impl WebhookKeys {
    /// Empty secrets are dropped: they would let everybody in.
    pub fn new(secrets: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self {
            secrets: secrets.into_iter().filter(|secret| !secret.is_empty()).collect(),
            patience: MAX_TIME,
        }
    }

    /// The same, with another time in which a body must have arrived.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.secrets.is_empty()
    }
}

impl fmt::Debug for WebhookKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookKeys({})", self.secrets.len())
    }
}

/// A delivery that GitHub signed.
#[derive(Debug, Clone)]
pub struct SignedDelivery {
    /// `X-GitHub-SignedDelivery`: the same when GitHub sends it again.
    pub id: String,
    /// What it says.
    pub event: Event,
    /// Its bytes.
    pub body: Bytes,
}

impl<S> FromRequest<S> for SignedDelivery
where
    S: Send + Sync,
    WebhookKeys: FromRef<S>,
{
    type Rejection = Rejection;

    async fn from_request(request: Request, state: &S) -> Result<Self, Rejection> {
        let keys = WebhookKeys::from_ref(state);
        if keys.is_empty() {
            return Err(Rejection::NoSecret);
        }
        let (parts, body) = request.into_parts();
        let length = text(&parts.headers, header::CONTENT_LENGTH.as_str());
        if length
            .and_then(|length| length.parse::<u64>().ok())
            .is_some_and(|length| length > MAX_BYTES as u64)
        {
            return Err(Rejection::TooLarge);
        }
        // Whoever sends no signature need not be listened to any longer.
        let given = text(&parts.headers, signature::HEADER);
        if given.is_none() {
            let old = parts.headers.contains_key(signature::OLD_HEADER);
            return Err(if old {
                SignatureError::OnlySha1
            } else {
                SignatureError::Missing
            }
            .into());
        }
        let body = tokio::time::timeout(keys.patience, Limited::new(body, MAX_BYTES).collect());
        let body = match body.await {
            Err(_) => return Err(Rejection::Slow),
            Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(Rejection::TooLarge),
            Ok(Err(_)) => return Err(Rejection::Broken),
            Ok(Ok(body)) => body.to_bytes(),
        };
        signature::verify_signature(&keys.secrets, given, &body)?;
        let is_json = text(&parts.headers, header::CONTENT_TYPE.as_str()).is_some_and(|kind| {
            kind.trim_start()
                .to_ascii_lowercase()
                .starts_with("application/json")
        });
        if !is_json {
            return Err(Rejection::NotJson);
        }
        let name = text(&parts.headers, "x-github-event").ok_or(Rejection::Header("X-GitHub-Event"))?;
        let id = text(&parts.headers, "x-github-delivery")
            .filter(|id| !id.is_empty() && id.len() <= MAX_ID_BYTES)
            .ok_or(Rejection::Header("X-GitHub-Delivery"))?;
        Ok(Self {
            id: id.to_owned(),
            event: payload::read_event(name, &body)?,
            body,
        })
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
