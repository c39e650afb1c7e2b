//! The tokens of an app: its own, which it signs, and those of its installations, which GitHub makes.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::Method;
use jiff::Timestamp;
use serde::Deserialize;

use super::tokens::NewToken;
use super::{Call, Caller, GitHub};
use crate::{AppCredentials, GitHubError};

#[derive(Deserialize)]
struct AccessToken {
    token: String,
    expires_at: Timestamp,
}

impl From<AccessToken> for NewToken {
    fn from(made: AccessToken) -> Self {
        let life = made.expires_at.duration_since(Timestamp::now());
        Self {
            text: made.token,
            life: Duration::try_from(life).unwrap_or_default(),
        }
    }
}

impl GitHub {
    /// The token for a call of an app.
    pub(super) async fn token_of_app(
        &self,
        app: &AppCredentials,
        caller: Caller,
    ) -> Result<Arc<str>, GitHubError> {
        let tokens = &self.inner.tokens;
        match caller {
            Caller::Installation(id) => {
                tokens
                    .token_for_caller(caller, self.make_installation_token(id))
                    .await
            }
            Caller::App | Caller::TokenOwner => {
                let sign = async {
                    Ok(NewToken {
                        text: app.sign_app_token(Timestamp::now())?,
                        life: AppCredentials::REUSE,
                    })
                };
                tokens.token_for_caller(Caller::App, sign).await
            }
        }
    }

    /// Boxed, because a call as an installation contains this call as the app.
    fn make_installation_token(&self, installation: u64) -> BoxFuture<'_, Result<NewToken, GitHubError>> {
        Box::pin(async move {
            let route = format!("/app/installations/{installation}/access_tokens");
            let call = Call {
                method: &Method::POST,
                ..Call::get(Caller::App, &route)
            };
            Ok(self.execute_call::<AccessToken>(call).await?.into())
        })
    }
}
