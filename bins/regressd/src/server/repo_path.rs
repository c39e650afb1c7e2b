//! A repository in the path of a request.

use serde::Deserialize;
use utoipa::IntoParams;

use super::problem::Problem;
use crate::domain::RepoName;

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
}
