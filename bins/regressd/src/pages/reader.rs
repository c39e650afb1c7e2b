//! Who looks at a page, and what they may see.

use axum::http::StatusCode;
use axum::response::Response;

use super::shell;
use crate::access::Access;
use crate::database::repositories::StoredRepository;
use crate::directory::ConfiguredRepository;
use crate::domain::{RepoName, Role};
use crate::problem::Problem;
use crate::state::AppState;

/// Somebody with a token, or nobody known.
#[derive(Clone, Debug)]
pub(super) struct PageReader(Option<Access>);

impl PageReader {
    /// Who asks. A token that is not valid any more makes nobody of its bearer.
    ///
    /// # Errors
    /// A page, when the request may not be answered at all.
    pub(super) fn from_access(access: Result<Access, Problem>) -> Result<Self, Box<Response>> {
        match access {
            Ok(access) => Ok(Self(Some(access))),
            Err(problem) if problem.status == StatusCode::UNAUTHORIZED.as_u16() => Ok(Self(None)),
            Err(problem) => Err(Box::new(shell::trouble_page(&problem))),
        }
    }

    /// Whether a token was shown, or reading is open to all.
    pub(super) fn is_known(&self) -> bool {
        self.0.is_some()
    }

    /// Whether they may see this repository.
    pub(super) fn may_see(&self, known: &ConfiguredRepository) -> bool {
        let token = self.0.as_ref();
        known.config.public
            || token.is_some_and(|access| access.0.has_role_in(Role::Read, &known.repository.name))
    }

    /// Whether they may change what is decided about this repository.
    pub(super) fn may_change(&self, known: &ConfiguredRepository) -> bool {
        let token = self.0.as_ref();
        token.is_some_and(|access| access.0.has_role_in(Role::Admin, &known.repository.name))
    }

    /// The repository if they may see it. Whether it is there at all is told to nobody else.
    pub(super) async fn find_visible_repository(
        &self,
        state: &AppState,
        name: &RepoName,
    ) -> Result<Option<ConfiguredRepository>, Problem> {
        let found = state.directory.find_repository(&state.database, name).await?;
        Ok(found
            .map(|known| ConfiguredRepository::clone(&known))
            .filter(|known| self.may_see(known)))
    }

    /// The same for a row that was read already.
    pub(super) fn visible_repository(&self, row: StoredRepository) -> Option<ConfiguredRepository> {
        Some(ConfiguredRepository::from_row(row)).filter(|known| self.may_see(known))
    }

    /// What those get who may not see a page, or ask for one that is not there.
    pub(super) fn refusal_response(&self, path: &str) -> Response {
        if self.is_known() {
            shell::not_found_page()
        } else {
            shell::asks_for_token(path)
        }
    }
}
