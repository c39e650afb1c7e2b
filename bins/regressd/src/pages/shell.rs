//! What surrounds the pages: frame, style sheet, icon, and the pages that say that something is not there.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::LazyLock;

use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use regress_report::STYLE;
use regress_report::pages::{Frame, Link, MessagePage, TokenForm, When, render_message_page};

use crate::domain::UnixMillis;
use crate::problem::Problem;

/// The style sheet's address changes with its content, so that browsers may keep it for good.
static STYLE_HREF: LazyLock<String> = LazyLock::new(|| {
    let mut hasher = DefaultHasher::new();
    STYLE.hash(&mut hasher);
    format!("/style.css?v={:x}", hasher.finish())
});

const ICON: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 32 32\"><rect width=\"32\" height=\"32\" rx=\"7\" fill=\"#2458b8\"/><path d=\"M5 21h8l3-10h11\" fill=\"none\" stroke=\"#fff\" stroke-width=\"3.2\" stroke-linejoin=\"round\" stroke-linecap=\"round\"/></svg>\n";

/// The frame of a page; `path` is what comes after the first page.
pub(super) fn page_frame(title: &str, path: Vec<Link>) -> Frame {
    let first = Link::new("regressd", "/");
    Frame {
        title: format!("{title} · regressd"),
        style: STYLE_HREF.clone(),
        path: std::iter::once(first).chain(path).collect(),
        foot: vec![
            Link::new(concat!("regressd ", env!("CARGO_PKG_VERSION")), ""),
            Link::new("Interface", "/api/"),
            Link::new("Sign in", "/sign-in"),
        ],
    }
}

/// A moment to the minute.
pub(super) fn time_text(moment: UnixMillis) -> When {
    let iso = moment.to_string();
    let text = iso.get(..16).unwrap_or(&iso).replace('T', " ");
    When { text, iso }
}

pub(super) fn html_response(text: String) -> Response {
    Html(text).into_response()
}

fn with_status(status: StatusCode, page: &MessagePage) -> Response {
    let text = render_message_page(
        &page_frame(&page.heading, vec![Link::new(page.heading.as_str(), "")]),
        page,
    );
    (status, Html(text)).into_response()
}

/// There is no such page, or it is none of the reader's business.
pub(super) fn not_found_page() -> Response {
    with_status(
        StatusCode::NOT_FOUND,
        &MessagePage {
            heading: "There is no such page".to_owned(),
            paragraphs: vec![
                "It was never here, its runs have been removed, or your token is for another repository."
                    .to_owned(),
            ],
            links: vec![
                Link::new("All repositories", "/"),
                Link::new("Sign in with another token", "/sign-in"),
            ],
            ..MessagePage::default()
        },
    )
}

/// Nobody known asks for something that not everybody may see.
pub(super) fn asks_for_token(next: &str) -> Response {
    with_status(StatusCode::UNAUTHORIZED, &sign_in_message(next, None))
}

/// The page to sign in.
pub(super) fn sign_in_message(next: &str, trouble: Option<&str>) -> MessagePage {
    let mut paragraphs: Vec<String> = trouble.map(str::to_owned).into_iter().collect();
    paragraphs.push(
        "This service shows results to those who have a token for the repository. Paste one with the role read; \
         your browser keeps it for thirty days."
            .to_owned(),
    );
    paragraphs.push("Whoever runs the service makes one on its machine:".to_owned());
    MessagePage {
        heading: "Sign in".to_owned(),
        paragraphs,
        commands: vec!["regressd token create OWNER/NAME --role read".to_owned()],
        links: Vec::new(),
        form: Some(TokenForm {
            action: "/sign-in".to_owned(),
            next: next.to_owned(),
            asks: true,
            button: "Sign in".to_owned(),
        }),
    }
}

pub(super) fn sign_in_page(status: StatusCode, page: &MessagePage) -> Response {
    with_status(status, page)
}

/// A problem, for people.
pub(super) fn trouble_page(problem: &Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = with_status(
        status,
        &MessagePage {
            heading: problem.title.clone(),
            paragraphs: vec![problem.detail.clone()],
            links: vec![Link::new("All repositories", "/")],
            ..MessagePage::default()
        },
    );
    if let Some(seconds) = problem.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// Nothing has this address: a page for browsers, a problem for programs.
pub(crate) async fn not_found(headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    if accept.is_some_and(|accept| accept.contains("text/html")) {
        not_found_page()
    } else {
        Problem::not_found("there is nothing here; see /openapi.json").into_response()
    }
}

pub(super) async fn serve_style_sheet() -> impl IntoResponse {
    file("text/css; charset=utf-8", STYLE)
}

pub(super) async fn serve_icon() -> impl IntoResponse {
    file("image/svg+xml", ICON)
}

fn file(kind: &'static str, text: &'static str) -> ([(HeaderName, &'static str); 2], &'static str) {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    (headers, text)
}
