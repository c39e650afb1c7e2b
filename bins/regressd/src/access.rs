//! The extractors that find out who asks. A handler that takes [`Access`] is only called for somebody known.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, Method, StatusCode, header};
use sqlx::AnyConnection;

use crate::auth::{Oidc, OidcError, Principal};
use crate::database::DatabaseError;
use crate::database::repositories::{self, StoredRepository};
use crate::domain::{Grant, RepoName, Role};
use crate::problem::Problem;
use crate::same_origin;
use crate::state::AppState;

/// The cookie that a browser keeps a token in. It opens pages; it changes something only in forms of those pages.
pub const COOKIE: &str = "regressd_token";

/// Somebody who proved who they are; or anybody, to read, where the operator opened that.
#[derive(Clone, Debug)]
pub struct Access(pub Principal);

impl Access {
    /// Whether they may act in a repository.
    ///
    /// # Errors
    /// 403 when they may not.
    pub fn require_role(&self, role: Role, repository: &RepoName) -> Result<(), Problem> {
        if self.0.has_role_in(role, repository) {
            return Ok(());
        }
        tracing::warn!(principal = %self.0.name, %repository, %role, "refused");
        let detail = format!("this token does not give the role {role} for {repository}");
        Err(Problem::new(StatusCode::FORBIDDEN, detail))
    }

    /// Whether they may act on the service as a whole.
    ///
    /// # Errors
    /// 403 when they may not.
    pub fn require_all(&self, role: Role) -> Result<(), Problem> {
        if self.0.role >= role && self.0.grant == Grant::All {
            return Ok(());
        }
        let detail = format!("this needs a token with the role {role} for all repositories (*)");
        Err(Problem::new(StatusCode::FORBIDDEN, detail))
    }
}

impl FromRequestParts<AppState> for Access {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let settings = state.settings.load();
        let address = client_address(&parts.extensions, &parts.headers, settings.server.trust_proxy);
        let reads = matches!(parts.method, Method::GET | Method::HEAD);
        // A browser sends a cookie wherever it is told to go; so a cookie may only look.
        let token = bearer(&parts.headers).or_else(|| cookie(&parts.headers).filter(|_| reads));
        let Some(token) = token else {
            state.limits.load().check_address_limit(address)?;
            if settings.server.public_read && reads {
                return Ok(Self(anybody()));
            }
            let detail = "give a token: Authorization: Bearer TOKEN (regressd token create makes one)";
            return Err(Problem::new(StatusCode::UNAUTHORIZED, detail));
        };
        let principal = match principal(state, token).await {
            Ok(principal) => principal,
            Err(problem) => {
                state.limits.load().check_address_limit(address)?;
                return Err(problem);
            }
        };
        state.limits.load().check_principal_limit(&principal.name)?;
        Ok(Self(principal))
    }
}

/// Who sent a form from one of our pages: the cookie counts here, since the browser says where the form comes from.
///
/// # Errors
/// 403 when the form comes from elsewhere, 401 without a valid token in the cookie, 429 after too many tries.
pub(crate) async fn form_sender(state: &AppState, parts: &Parts) -> Result<Access, Problem> {
    let settings = state.settings.load();
    same_origin::require_same_origin(&parts.headers, settings.server.public_url.as_deref())?;
    let Some(token) = cookie(&parts.headers) else {
        let detail = "sign in first: this needs a token with the role admin";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, detail));
    };
    let address = client_address(&parts.extensions, &parts.headers, settings.server.trust_proxy);
    let principal = match principal(state, token).await {
        Ok(principal) => principal,
        Err(problem) => {
            state.limits.load().check_address_limit(address)?;
            return Err(problem);
        }
    };
    state.limits.load().check_principal_limit(&principal.name)?;
    Ok(Access(principal))
}

/// Whether a token that came in a form is valid. Each try counts for the address it came from.
///
/// # Errors
/// 401 when it is not, 429 after too many tries.
pub(crate) async fn check_token(state: &AppState, parts: &Parts, token: &str) -> Result<(), Problem> {
    let trust_proxy = state.settings.load().server.trust_proxy;
    let address = client_address(&parts.extensions, &parts.headers, trust_proxy);
    state.limits.load().check_address_limit(address)?;
    principal(state, token).await.map(drop)
}

async fn principal(state: &AppState, token: &str) -> Result<Principal, Problem> {
    let refused = || {
        let detail = "the token is unknown, revoked or expired";
        Problem::new(StatusCode::UNAUTHORIZED, detail)
    };
    if Oidc::looks_like(token) {
        let Some(oidc) = &state.oidc else {
            return Err(refused());
        };
        let principal = oidc.verify_workflow_token(token).await.map_err(|error| {
            tracing::warn!(%error, "a workflow was refused");
            match error {
                OidcError::Invalid(_) => refused(),
                OidcError::Keys(_) => {
                    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the token cannot be checked now")
                        .with_retry_after(10)
                }
            }
        })?;
        return allowed_workflow(state, oidc, principal).await;
    }
    let found = state.tokens.find_principal(&state.database, token).await?;
    found.ok_or_else(|| {
        tracing::warn!("a token was refused");
        refused()
    })
}

/// The issuer knows every repository there is; here only those may upload that the operator named, or installed the App on.
async fn allowed_workflow(state: &AppState, oidc: &Oidc, principal: Principal) -> Result<Principal, Problem> {
    let Grant::One(repository) = &principal.grant else {
        return Ok(principal);
    };
    if oidc.allows(repository) {
        return Ok(principal);
    }
    let mut connection = state.database.acquire_reader().await?;
    let number = principal.claims.as_ref().and_then(|claims| claims.repository_id);
    let known = installed_repository(&mut connection, repository, number)
        .await
        .map_err(DatabaseError::from)?;
    if known {
        return Ok(principal);
    }
    tracing::warn!(%repository, "a workflow was refused: neither in oidc.allow nor an installed repository");
    let detail =
        "workflows of this repository may not upload; name it in oidc.allow, or install the App there";
    Err(Problem::new(StatusCode::FORBIDDEN, detail))
}

/// Whether the App is installed in the repository, which may be known by another name yet.
async fn installed_repository(
    connection: &mut AnyConnection,
    name: &RepoName,
    number: Option<u64>,
) -> sqlx::Result<bool> {
    if let Some(number) = number
        && let Some(known) = repositories::find_by_github_id(connection, number).await?
    {
        return Ok(known.installation.is_some());
    }
    let known = repositories::find_by_name(connection, name).await?;
    // Whoever has the name of a repository that is gone is not the one that the App was installed in.
    let is_it = |known: &StoredRepository| known.github_id.is_none() || number.is_none();
    Ok(known.is_some_and(|known| is_it(&known) && known.installation.is_some()))
}

fn anybody() -> Principal {
    Principal {
        name: "anybody".to_owned(),
        role: Role::Read,
        grant: Grant::All,
        claims: None,
    }
}

/// The token of the `Authorization` header.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// The token of the cookie.
fn cookie(headers: &HeaderMap) -> Option<&str> {
    let values = headers.get_all(header::COOKIE).iter();
    let pairs = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'));
    pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE)
        .map(|(_, value)| value)
}

/// Where a request comes from.
pub fn client_address(extensions: &Extensions, headers: &HeaderMap, trust_proxy: bool) -> IpAddr {
    let peer = extensions.get::<ConnectInfo<SocketAddr>>();
    let unknown = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    address_of(
        peer.map_or(unknown, |ConnectInfo(peer)| *peer),
        headers,
        trust_proxy,
    )
}

/// The address of a peer, or behind a proxy the last one that it added: earlier ones are anybody's word.
pub(crate) fn address_of(peer: SocketAddr, headers: &HeaderMap, trust_proxy: bool) -> IpAddr {
    let forwarded = headers.get_all("x-forwarded-for").iter().next_back();
    let forwarded = forwarded.and_then(|value| value.to_str().ok()?.rsplit(',').next()?.trim().parse().ok());
    forwarded.filter(|_| trust_proxy).unwrap_or(peer.ip())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair =
            |(name, value): &(&'static str, &'static str)| ((*name).parse().unwrap(), value.parse().unwrap());
        pairs
            .iter()
            .map(pair)
            .collect::<Vec<(header::HeaderName, HeaderValue)>>()
            .into_iter()
            .collect()
    }

    #[test]
    fn tokens_are_found_in_header_and_cookie() {
        assert_eq!(bearer(&headers(&[("authorization", "bearer  abc")])), Some("abc"));
        assert_eq!(bearer(&headers(&[("authorization", "Basic abc")])), None);
        let cookies = headers(&[("cookie", "a=b; regressd_token=xyz; c=d")]);
        assert_eq!(cookie(&cookies), Some("xyz"));
    }

    #[test]
    fn only_a_trusted_proxy_names_addresses() {
        let forwarded = headers(&[("x-forwarded-for", "6.6.6.6, 10.0.0.7")]);
        let extensions = Extensions::new();
        assert_eq!(
            client_address(&extensions, &forwarded, true).to_string(),
            "10.0.0.7"
        );
        assert_eq!(
            client_address(&extensions, &forwarded, false).to_string(),
            "0.0.0.0"
        );
    }
}
