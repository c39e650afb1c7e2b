//! The first page.

use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use regress_core::detect::VerdictKind;
use regress_report::benchmarks::Outcome;
use regress_report::pages::{Link, MessagePage, RepositoriesPage, RepositoryCard, render_repositories_page};
use serde::Deserialize;
use sqlx::AnyConnection;

use super::reader::PageReader;
use super::{links, queries, shell};
use crate::access::Access;
use crate::database::repositories;
use crate::database::{judgements, streams};
use crate::directory::ConfiguredRepository;
use crate::domain::RepositoryId;
use crate::judging::RunVerdicts;
use crate::problem::Problem;
use crate::state::AppState;

/// Repositories on a page.
const MAX_REPOSITORIES: u32 = 60;
/// Streams of a repository that its state is made of.
const MAX_STREAMS: usize = 20;

#[derive(Debug, Deserialize)]
pub(super) struct After {
    after: Option<i64>,
}

pub(super) async fn show_repositories_page(
    State(state): State<AppState>,
    access: Result<Access, Problem>,
    Query(after): Query<After>,
) -> Response {
    let reader = match PageReader::from_access(access) {
        Ok(reader) => reader,
        Err(response) => return *response,
    };
    match view(&state, &reader, after.after.unwrap_or(0)).await {
        Ok(page) if page.repositories.is_empty() && !reader.is_known() => shell::asks_for_token("/"),
        Ok(page) => shell::html_response(render_repositories_page(
            &shell::page_frame("Repositories", Vec::new()),
            &page,
        ))
        .into_response(),
        Err(problem) => shell::trouble_page(&problem),
    }
}

async fn view(state: &AppState, reader: &PageReader, after: i64) -> Result<RepositoriesPage, Problem> {
    let mut connection = state.database.acquire_reader().await?;
    let mut page = RepositoriesPage {
        empty: empty(),
        ..RepositoriesPage::default()
    };
    let mut last = after;
    // A reader who may see few of many repositories gets a full page all the same, from a bounded number of rows.
    for _ in 0..20 {
        let rows =
            repositories::list_repositories(&mut connection, RepositoryId(last), MAX_REPOSITORIES).await?;
        let full = rows.len() == MAX_REPOSITORIES as usize;
        for row in rows {
            last = row.id.0;
            if let Some(known) = reader.visible_repository(row) {
                page.repositories.push(card(&mut connection, &known).await?);
            }
        }
        if !full {
            return Ok(page);
        }
        if page.repositories.len() >= MAX_REPOSITORIES as usize {
            break;
        }
    }
    page.next = Some(format!("/?after={last}"));
    Ok(page)
}

fn empty() -> MessagePage {
    MessagePage {
        heading: "No results yet".to_owned(),
        paragraphs: vec![
            "Send the output of a benchmark run, and its repository appears here. In a workflow, or by hand:"
                .to_owned(),
        ],
        commands: vec![
            "regressd token create OWNER/NAME --role upload".to_owned(),
            "curl -H \"Authorization: Bearer $TOKEN\" --json @upload.json http://HOST:8780/analyze"
                .to_owned(),
        ],
        links: vec![Link::new("What an upload looks like", "/api/")],
        form: None,
    }
}

async fn card(connection: &mut AnyConnection, known: &ConfiguredRepository) -> sqlx::Result<RepositoryCard> {
    let repository = &known.repository;
    let state = newest_state(connection, known).await?;
    let updated = queries::newest_run(connection, repository.id).await?;
    Ok(RepositoryCard {
        name: repository.name.to_string(),
        href: links::repository_url(&repository.name),
        outcome: state.outcome(),
        summary: state.words(),
        updated: updated.map(shell::time_text),
    })
}

/// The newest verdicts on a repository's target branch, all its streams together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct NewestState {
    verdicts: Vec<VerdictKind>,
}

impl NewestState {
    /// What they come to; `None` when there are none.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        let any = !self.verdicts.is_empty();
        any.then(|| Outcome::of_verdicts(self.verdicts.iter().copied()))
    }

    /// How many benchmarks have this verdict.
    pub(super) fn count_verdicts(&self, kind: VerdictKind) -> usize {
        self.verdicts.iter().filter(|verdict| **verdict == kind).count()
    }

    fn words(&self) -> String {
        let (slower, faster) = (
            self.count_verdicts(VerdictKind::Regression),
            self.count_verdicts(VerdictKind::Improvement),
        );
        match self.verdicts.len() {
            0 => "nothing was judged yet".to_owned(),
            1 => format!("1 benchmark: {slower} slower, {faster} faster"),
            all => format!("{all} benchmarks: {slower} slower, {faster} faster"),
        }
    }
}

pub(super) async fn newest_state(
    connection: &mut AnyConnection,
    known: &ConfiguredRepository,
) -> sqlx::Result<NewestState> {
    let mut state = NewestState::default();
    let streams = streams::of_repository(connection, known.repository.id).await?;
    for stream in streams.iter().rev().take(MAX_STREAMS) {
        let list_branches = judgements::list_branches(connection, stream.id, 50).await?;
        let Some(branch) = usual_branch(known, &list_branches) else {
            continue;
        };
        let runs = judgements::newest_of_branch(connection, stream.id, &branch).await?;
        let runs: Result<Vec<_>, _> = runs
            .iter()
            .map(|run| RunVerdicts::from_json(&run.verdicts))
            .collect();
        let runs = runs.map_err(|error| sqlx::Error::Decode(error.into()))?;
        let verdicts = RunVerdicts::merge_runs(runs)
            .into_iter()
            .flat_map(|all| all.verdicts);
        // What the branch has had for a while is no longer news, and still there.
        state.verdicts.extend(verdicts.map(|verdict| match verdict.since {
            Some(_) => VerdictKind::Regression,
            None => verdict.kind,
        }));
    }
    Ok(state)
}

/// The branch that is shown when none was chosen.
pub(super) fn usual_branch(known: &ConfiguredRepository, branches: &[String]) -> Option<String> {
    let default = known.repository.default_branch.as_deref();
    default
        .into_iter()
        .chain(["main", "master", "trunk"])
        .find(|name| branches.iter().any(|branch| branch == name))
        .map(str::to_owned)
        .or_else(|| branches.first().cloned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slow_benchmark_makes_a_regression_of_the_whole() {
        let mut state = NewestState::default();
        assert_eq!(state.outcome(), None);
        state.verdicts = vec![VerdictKind::NotEnoughData];
        assert_eq!(state.outcome(), Some(Outcome::NotJudged));
        state.verdicts.push(VerdictKind::Unchanged);
        assert_eq!(state.outcome(), Some(Outcome::Unchanged));
        state.verdicts.push(VerdictKind::Regression);
        assert_eq!(state.outcome(), Some(Outcome::Regression));
        assert_eq!(state.words(), "3 benchmarks: 1 slower, 0 faster");
    }
}
