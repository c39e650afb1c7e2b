//! A token kept in a cookie, so that a browser can show it. The cookie only opens what is read: see
//! [`crate::access`].

use axum::Form;
use axum::extract::{Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use regress_report::pages::{MessagePage, TokenForm};
use serde::Deserialize;

use super::reader::PageReader;
use super::shell;
use crate::access::{self, Access, COOKIE};
use crate::problem::Problem;
use crate::same_origin;
use crate::state::AppState;

/// For how long a browser keeps the token.
const SECONDS: u32 = 30 * 24 * 3600;

#[derive(Debug, Default, Deserialize)]
pub(super) struct Next {
    #[serde(default)]
    next: String,
}

#[derive(Deserialize)]
pub(super) struct SignInForm {
    token: String,
    #[serde(default)]
    next: String,
}

/// The form; for those who are signed in, the way out.
pub(super) async fn show_sign_in_page(
    access: Result<Access, Problem>,
    headers: HeaderMap,
    Query(next): Query<Next>,
) -> Response {
    let reader = match PageReader::from_access(access) {
        Ok(reader) => reader,
        Err(response) => return *response,
    };
    let has_cookie = headers.get_all(header::COOKIE).iter().any(|value| {
        value
            .as_bytes()
            .windows(COOKIE.len())
            .any(|part| part == COOKIE.as_bytes())
    });
    if !(reader.is_known() && has_cookie) {
        let page = shell::sign_in_message(own_path(&next.next), None);
        return shell::sign_in_page(StatusCode::OK, &page);
    }
    let page = MessagePage {
        heading: "You are signed in".to_owned(),
        paragraphs: vec!["Your browser keeps a token for this service.".to_owned()],
        form: Some(TokenForm {
            action: "/sign-out".to_owned(),
            next: "/".to_owned(),
            asks: false,
            button: "Sign out".to_owned(),
        }),
        ..MessagePage::default()
    };
    shell::sign_in_page(StatusCode::OK, &page)
}

/// Takes the token if it is valid.
pub(super) async fn sign_in_with_token(
    State(state): State<AppState>,
    parts: Parts,
    Form(entry): Form<SignInForm>,
) -> Response {
    // Else any page could sign its readers in with a token of its own.
    if let Err(response) = refuse_other_sites(&state, &parts.headers) {
        return *response;
    }
    let (token, next) = (entry.token.trim(), own_path(&entry.next));
    let plain = !token.is_empty()
        && token
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b";,\"\\".contains(&byte));
    let outcome = if plain {
        access::check_token(&state, &parts, token).await
    } else {
        Err(Problem::new(StatusCode::UNAUTHORIZED, "That is no token."))
    };
    match outcome {
        Ok(()) => {
            let settings = state.settings.load();
            let public = settings.server.public_url.as_deref().unwrap_or_default();
            let secure = settings.server.tls_certificate.is_some() || public.starts_with("https://");
            see_other(next, &cookie(token, SECONDS, secure))
        }
        Err(problem) if problem.status == StatusCode::UNAUTHORIZED.as_u16() => {
            let page = shell::sign_in_message(next, Some("This token is unknown, revoked or expired."));
            shell::sign_in_page(StatusCode::UNAUTHORIZED, &page)
        }
        Err(problem) => shell::trouble_page(&problem),
    }
}

/// Forgets the token.
pub(super) async fn sign_out(State(state): State<AppState>, headers: HeaderMap) -> Response {
    if let Err(response) = refuse_other_sites(&state, &headers) {
        return *response;
    }
    see_other("/", &cookie("", 0, false))
}

fn refuse_other_sites(state: &AppState, headers: &HeaderMap) -> Result<(), Box<Response>> {
    let settings = state.settings.load();
    same_origin::refuse_other_sites(headers, settings.server.public_url.as_deref())
        .map_err(|problem| Box::new(shell::trouble_page(&problem)))
}

fn cookie(token: &str, seconds: u32, secure: bool) -> String {
    let secure = if secure { "; Secure" } else { "" };
    format!("{COOKIE}={token}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}")
}

fn see_other(place: &str, cookie: &str) -> Response {
    let headers = [(header::LOCATION, place), (header::SET_COOKIE, cookie)];
    (StatusCode::SEE_OTHER, headers).into_response()
}

/// A place on this service; anything else is the first page.
fn own_path(next: &str) -> &str {
    let plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if next.starts_with('/') && !next.starts_with("//") && plain && next.len() < 1000 {
        next
    } else {
        "/"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_elsewhere() {
        for bad in [
            "",
            "//evil.example",
            "https://evil.example",
            "/\\evil.example",
            "/a\nb",
            "evil",
        ] {
            assert_eq!(own_path(bad), "/", "{bad:?}");
        }
        assert_eq!(own_path("/runs/7?x=y"), "/runs/7?x=y");
    }
}
