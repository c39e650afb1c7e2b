//! Who pushes: a token of the service's own, or the identity token that GitHub Actions gives a workflow.

use reqwest::header::HeaderValue;
use serde::Deserialize;

/// How requests prove who sends them.
#[derive(Clone)]
pub(crate) enum Identity {
    /// A token that `regressd token create` made.
    Token(String),
    /// A workflow with `permissions: id-token: write`. Its tokens live for minutes, so that each request has a new one.
    Workflow {
        /// `ACTIONS_ID_TOKEN_REQUEST_URL`.
        url: reqwest::Url,
        /// `ACTIONS_ID_TOKEN_REQUEST_TOKEN`.
        token: String,
    },
}

impl std::fmt::Debug for Identity {
    /// Without the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Token(_) => "Token",
            Self::Workflow { .. } => "Workflow",
        })
    }
}

/// What GitHub answers when it is asked for an identity token.
#[derive(Deserialize)]
struct Issued {
    value: String,
}

/// Why there is no token to send.
#[derive(Debug)]
pub(super) enum NoToken {
    /// GitHub gave none just now.
    Later(String),
    /// It will never give one.
    Never(String),
}

impl Identity {
    /// The token in the variable, else the workflow's identity; `None` where there is neither.
    pub(crate) fn find(
        token_variable: &str,
        audience: &str,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Option<Self> {
        let given = |name: &str| environment(name).filter(|value| !value.is_empty());
        if let Some(token) = given(token_variable) {
            return Some(Self::Token(token));
        }
        let mut url: reqwest::Url = given("ACTIONS_ID_TOKEN_REQUEST_URL")?.parse().ok()?;
        url.query_pairs_mut().append_pair("audience", audience);
        let token = given("ACTIONS_ID_TOKEN_REQUEST_TOKEN")?;
        Some(Self::Workflow { url, token })
    }

    /// The value of the `Authorization` header.
    pub(super) async fn authorization(&self, http: &reqwest::Client) -> Result<HeaderValue, NoToken> {
        let token = match self {
            Self::Token(token) => token.trim().to_owned(),
            Self::Workflow { url, token } => issued_token(http, url, token).await?,
        };
        let mut value = HeaderValue::try_from(format!("Bearer {token}"))
            .map_err(|_| NoToken::Never("the token has characters that no token has".to_owned()))?;
        value.set_sensitive(true);
        Ok(value)
    }
}

async fn issued_token(http: &reqwest::Client, url: &reqwest::Url, token: &str) -> Result<String, NoToken> {
    let failed = |error: reqwest::Error| {
        NoToken::Later(format!("GitHub gives no identity token: {}", error.without_url()))
    };
    let asked = http.get(url.clone()).bearer_auth(token);
    let answer = asked.send().await.map_err(failed)?;
    let status = answer.status();
    if status.is_client_error() && status.as_u16() != 429 {
        return Err(NoToken::Never(format!(
            "GitHub gives this workflow no identity token ({status}); it needs permissions: id-token: write"
        )));
    }
    let answer = answer.error_for_status().map_err(failed)?;
    let issued: Issued = answer.json().await.map_err(failed)?;
    Ok(issued.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_before_a_workflow() {
        let all = |name: &str| match name {
            "REGRESSD_TOKEN" => Some("abc".to_owned()),
            "ACTIONS_ID_TOKEN_REQUEST_URL" => Some("https://x.example/token?api=1".to_owned()),
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN" => Some("secret".to_owned()),
            _ => None,
        };
        let found = Identity::find("REGRESSD_TOKEN", "regressd", all);
        assert!(matches!(&found, Some(Identity::Token(token)) if token == "abc"));
        assert_eq!(format!("{found:?}"), "Some(Token)");
        let without = |name: &str| all(name).filter(|_| name != "REGRESSD_TOKEN");
        let Some(Identity::Workflow { url, .. }) = Identity::find("REGRESSD_TOKEN", "a b", without) else {
            panic!("no workflow");
        };
        assert_eq!(url.as_str(), "https://x.example/token?api=1&audience=a+b");
        assert!(Identity::find("REGRESSD_TOKEN", "a", |_| None).is_none());
    }
}
