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
mod change;
mod compare;
mod links;
mod pull_request;
mod queries;
mod reader;
mod repositories;
mod repository;
mod run;
mod run_files;
mod runs;
mod shell;
mod sign_in;

use axum::Router;
use axum::routing::{get, post};

use crate::state::AppState;

pub(crate) use shell::not_found;

/// The routes of the pages.
pub(crate) fn page_routes() -> Router<AppState> {
    Router::new()
        .route("/", get(repositories::show_repositories_page))
        .route(
            "/repositories/{owner}/{repo}",
            get(repository::show_repository_page),
        )
        .route("/repositories/{owner}/{repo}/runs", get(runs::show_runs_page))
        .route(
            "/repositories/{owner}/{repo}/archive",
            post(change::archive_by_form),
        )
        .route(
            "/repositories/{owner}/{repo}/delete",
            post(change::delete_by_form),
        )
        .route(
            "/repositories/{owner}/{repo}/pulls/{number}",
            get(pull_request::show_pull_request_page),
        )
        .route("/compare", get(compare::show_comparison_page))
        .route("/series/{series}", get(benchmark::show_benchmark_page))
        .route("/series/{series}/accept", post(change::accept_shift_by_form))
        .route("/runs/{run}", get(run::show_run_page))
        .route("/runs/{run}/{file}", get(run_files::serve_run_file))
        .route(
            "/sign-in",
            get(sign_in::show_sign_in_page).post(sign_in::sign_in_with_token),
        )
        .route("/sign-out", post(sign_in::sign_out))
        .route("/style.css", get(shell::serve_style_sheet))
        .route("/icon.svg", get(shell::serve_icon))
}
