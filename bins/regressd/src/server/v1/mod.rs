//! `/v1`: what is stored, to be read by programs. Lists come in pages: `next` of an answer is the `cursor` of the
//! request for the next page, and is missing on the last.

mod accept;
mod audit;
mod repositories;
mod runs;
mod series;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::problem::Problem;
use crate::state::AppState;

const USUAL: u32 = 50;
const MAX_PAGE: u32 = 500;

pub(super) fn v1_routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(repositories::get_repositories))
        .routes(routes!(repositories::delete_repository))
        .routes(routes!(runs::get_runs))
        .routes(routes!(runs::get_run))
        .routes(routes!(series::get_series))
        .routes(routes!(series::get_series_history))
        .routes(routes!(series::get_series_baseline))
        .routes(routes!(accept::accept_baseline))
        .routes(routes!(audit::get_audit_entries))
}

/// Which page of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Page {
    /// `next` of the answer before.
    #[param(pattern = "^[0-9]{1,18}$")]
    cursor: Option<String>,
    /// How many entries, 50 unless said.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// Which branch.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct BranchChoice {
    /// Only this branch.
    #[param(pattern = r"^[^\x00]*$")]
    branch: Option<String>,
}

/// Which page of a list of runs, and of which branch.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct BranchPage {
    /// Only this branch.
    #[param(pattern = r"^[^\x00]*$")]
    branch: Option<String>,
    /// `next` of the answer before.
    #[param(pattern = "^[0-9]{1,18}$")]
    cursor: Option<String>,
    /// How many entries, 50 unless said.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

impl BranchPage {
    fn page(&self) -> Page {
        Page {
            cursor: self.cursor.clone(),
            limit: self.limit,
        }
    }

    fn branch(&self) -> Result<Option<&str>, Problem> {
        plain(self.branch.as_deref())
    }
}

impl BranchChoice {
    fn branch(&self) -> Result<Option<&str>, Problem> {
        plain(self.branch.as_deref())
    }
}

/// PostgreSQL takes no zero byte in a text.
fn plain(branch: Option<&str>) -> Result<Option<&str>, Problem> {
    match branch {
        Some(name) if name.contains('\0') => Err(Problem::bad_request("branch holds a zero byte")),
        other => Ok(other),
    }
}

/// Branches that are named to somebody who asked for another.
const NAMED_BRANCHES: usize = 5;
/// Branches of a history among which those are looked for.
const KNOWN_BRANCHES: u32 = 200;

/// What is said where nothing is there of a branch: which branches are, those first that are spelled alike. An empty list would
/// say that nothing was measured, or nothing is slower.
fn no_such_branch(branch: &str, mut known: Vec<String>) -> Problem {
    known.sort();
    known.dedup();
    let likeness = |one: &String| strsim::normalized_damerau_levenshtein(branch, one);
    known.sort_by(|one, other| likeness(other).total_cmp(&likeness(one)));
    let more = match known.len().saturating_sub(NAMED_BRANCHES) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    known.truncate(NAMED_BRANCHES);
    let there = if known.is_empty() {
        "no branch has a history yet".to_owned()
    } else {
        format!("there is a history of {}{more}", known.join(", "))
    };
    Problem::not_found(format!("there are no runs of the branch {branch:?}; {there}"))
}

impl Page {
    fn limit(&self) -> Result<u32, Problem> {
        match self.limit.unwrap_or(USUAL) {
            limit @ 1..=MAX_PAGE => Ok(limit),
            limit => Err(Problem::bad_request(format!(
                "limit is {limit}; give 1 to {MAX_PAGE}"
            ))),
        }
    }

    /// The number that the page begins after (or before).
    fn cursor(&self, first: i64) -> Result<i64, Problem> {
        let Some(text) = &self.cursor else {
            return Ok(first);
        };
        let number = text.parse().ok().filter(|number: &i64| *number >= 0);
        number.ok_or_else(|| Problem::bad_request("cursor is not the next of an answer"))
    }
}

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ListResponse<T> {
    /// The entries.
    items: Vec<T>,
    /// The cursor of the next page; not there on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

impl<T> ListResponse<T> {
    /// A page made of rows, of which the last one tells where the next page begins.
    fn of<R>(rows: Vec<R>, limit: u32, number: impl Fn(&R) -> i64, item: impl FnMut(R) -> T) -> Self {
        let full = rows.len() >= limit as usize;
        let next = rows.last().filter(|_| full).map(|row| number(row).to_string());
        Self {
            items: rows.into_iter().map(item).collect(),
            next,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_that_are_there_are_named_the_nearest_first() {
        let known = ["develop", "main", "release/1", "main"]
            .map(str::to_owned)
            .to_vec();
        let problem = no_such_branch("mian", known);
        assert_eq!(problem.status, 404);
        assert_eq!(
            problem.detail,
            "there are no runs of the branch \"mian\"; there is a history of main, release/1, develop"
        );
        let many = (0..9).map(|number| format!("release/{number}")).collect();
        assert!(no_such_branch("x", many).detail.ends_with("and 4 more"));
        assert!(
            no_such_branch("main", Vec::new())
                .detail
                .ends_with("no branch has a history yet")
        );
    }
}
