//! The pages: what people look at in a browser, and the badge.
//!
//! ```text
//! request --reader--> load (only what the page shows) --view--> regress_report::pages --> HTML
//! ```
//!
//! Each file reads one page's view from the database. Nothing is judged here but change points for the drawing, and
//! nothing is drawn here. A repository's pages are for those who may read it; with `public` in its configuration, or
//! `server.public_read`, for everybody.

pub(crate) mod badge;
mod benchmark;
mod links;
mod queries;
mod reader;
mod repositories;
mod repository;
mod run;
mod shell;
mod sign_in;

use axum::Router;
use axum::routing::{get, post};

use crate::state::AppState;

pub(crate) use shell::not_found;

/// The routes of the pages.
pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route("/", get(repositories::show))
        .route("/repositories/{owner}/{repo}", get(repository::show))
        .route("/series/{series}", get(benchmark::show))
        .route("/runs/{run}", get(run::show))
        .route("/sign-in", get(sign_in::show).post(sign_in::enter))
        .route("/sign-out", post(sign_in::leave))
        .route("/style.css", get(shell::style))
        .route("/icon.svg", get(shell::icon))
}
