//! Calls about one repository, as the app that is installed there.

use reqwest::Method;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::client::Repeat;
use super::tokens::Caller;
use super::{GitHub, GitHubError};
use crate::domain::RepoName;

/// A repository in which the app is installed.
#[derive(Debug, Clone)]
pub struct Repository {
    github: GitHub,
    name: RepoName,
    installation: u64,
}

impl Repository {
    pub(super) fn new(github: &GitHub, name: &RepoName, installation: u64) -> Self {
        Self {
            github: github.clone(),
            name: name.clone(),
            installation,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &RepoName {
        &self.name
    }

    /// GitHub.
    #[must_use]
    pub fn github(&self) -> &GitHub {
        &self.github
    }

    /// Reads; `route` is what comes after `/repos/owner/name`.
    pub(super) async fn get<T: DeserializeOwned>(&self, route: &str) -> Result<T, GitHubError> {
        self.call(&Method::GET, route, None, Repeat::Safe).await
    }

    /// Makes something. Never repeated by itself.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        route: &str,
        body: &Value,
    ) -> Result<T, GitHubError> {
        self.call(&Method::POST, route, Some(body), Repeat::Never).await
    }

    /// Changes something.
    pub(super) async fn patch<T: DeserializeOwned>(
        &self,
        route: &str,
        body: &Value,
        repeat: Repeat,
    ) -> Result<T, GitHubError> {
        self.call(&Method::PATCH, route, Some(body), repeat).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: &Method,
        route: &str,
        body: Option<&Value>,
        repeat: Repeat,
    ) -> Result<T, GitHubError> {
        let route = format!("/repos/{}{route}", self.name);
        let caller = Caller::Installation(self.installation);
        self.github.call(caller, method, &route, body, repeat).await
    }
}
