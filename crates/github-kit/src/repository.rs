//! Calls about one repository, as the app that is installed there or the owner of a token.

use http::Method;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::client::{Call, Caller, Repeat};
use crate::{GitHub, GitHubError};

/// A repository, and as whom to act in it.
#[derive(Debug, Clone)]
pub struct Repository {
    github: GitHub,
    name: String,
    caller: Caller,
}

impl Repository {
    pub(crate) fn new(github: &GitHub, name: String, caller: Caller) -> Self {
        Self {
            github: github.clone(),
            name,
            caller,
        }
    }

    /// Its name, `owner/name`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// GitHub.
    #[must_use]
    pub fn github(&self) -> &GitHub {
        &self.github
    }

    /// Reads; `route` is what comes after `/repos/owner/name`.
    pub(crate) async fn get<T: DeserializeOwned>(&self, route: &str) -> Result<T, GitHubError> {
        self.call(&Method::GET, route, None, Repeat::Safe).await
    }

    /// The first of the things listed at `route` that `wanted` takes; on at most `max_pages` pages of
    /// a hundred.
    pub(crate) async fn find_in_pages<T: DeserializeOwned>(
        &self,
        route: &str,
        max_pages: u32,
        wanted: impl Fn(&T) -> bool + Send + Sync,
    ) -> Result<Option<T>, GitHubError> {
        let separator = if route.contains('?') { '&' } else { '?' };
        for page in 1..=max_pages {
            let listed: Vec<T> = self
                .get(&format!("{route}{separator}per_page=100&page={page}"))
                .await?;
            let is_last = listed.len() < 100;
            let found = listed.into_iter().find(&wanted);
            if found.is_some() || is_last {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Makes something. Never repeated by itself.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        route: &str,
        body: &Value,
    ) -> Result<T, GitHubError> {
        self.call(&Method::POST, route, Some(body), Repeat::Never).await
    }

    /// Changes something.
    pub(crate) async fn patch<T: DeserializeOwned>(
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
        let call = Call {
            caller: self.caller,
            method,
            route: &route,
            body,
            repeat,
        };
        self.github.execute_call(call).await
    }
}
