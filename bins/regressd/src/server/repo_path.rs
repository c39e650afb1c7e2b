//! A repository in the path of a request.

use std::sync::Arc;

use serde::Deserialize;
use utoipa::IntoParams;

use crate::access::Access;
use crate::directory::ConfiguredRepository;
use crate::domain::{RepoName, Role};
use crate::problem::Problem;
use crate::state::AppState;

/// A repository in a path.
#[derive(Debug, Deserialize, IntoParams)]
pub(super) struct RepoPath {
    /// The owner.
    pub(super) owner: String,
    /// The name.
    pub(super) repo: String,
}

impl RepoPath {
    /// The name, if it is one.
    pub(super) fn name(&self) -> Result<RepoName, Problem> {
        RepoName::new(&self.owner, &self.repo).map_err(|error| Problem::not_found(error.to_string()))
    }

    /// The repository, if it is known and `access` may read it.
    pub(super) async fn find_readable_repository(
        &self,
        state: &AppState,
        access: &Access,
    ) -> Result<Arc<ConfiguredRepository>, Problem> {
        let name = self.name()?;
        access.require_role(Role::Read, &name)?;
        let known = state.directory.find_repository(&state.database, &name).await?;
        known.ok_or_else(|| Problem::not_found(format!("nothing is known of {name}")))
    }
}
