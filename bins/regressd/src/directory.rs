//! Names to numbers: repositories and streams, and [series](crate::series_directory), remembered, since every upload needs
//! them and they never change. Configurations are remembered for a moment only: another process may change them.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use regress_core::environment::Environment;

use crate::database::repositories::{self, StoredRepository};
use crate::database::streams;
use crate::database::{Database, DatabaseError};
use crate::domain::{Component, RepoConfig, RepoName, RepositoryId, StreamId};
use crate::series_directory::SeriesDirectory;

/// For how long a repository's row is believed.
const FRESH: Duration = Duration::from_secs(2);
/// Repositories remembered at most.
const MAX_REPOSITORIES: u64 = 10_000;
/// Streams remembered at most.
const MAX_STREAMS: u64 = 10_000;

/// A repository with its configuration read.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfiguredRepository {
    /// The row.
    pub repository: StoredRepository,
    /// Its configuration.
    pub config: RepoConfig,
}

/// What is remembered.
#[derive(Debug)]
pub struct Directory {
    repositories: Cache<RepoName, Arc<ConfiguredRepository>>,
    names: Cache<RepositoryId, RepoName>,
    streams: Cache<StreamKey, StreamId>,
    components: Cache<StreamId, Arc<str>>,
    /// The series of all streams.
    pub series: SeriesDirectory,
}

impl Default for Directory {
    fn default() -> Self {
        let repositories = Cache::builder()
            .max_capacity(MAX_REPOSITORIES)
            .time_to_live(FRESH);
        Self {
            repositories: repositories.build(),
            names: Cache::new(MAX_REPOSITORIES),
            streams: Cache::new(MAX_STREAMS),
            components: Cache::new(MAX_STREAMS),
            series: SeriesDirectory::default(),
        }
    }
}

type StreamKey = (RepositoryId, String, Component);

impl Directory {
    /// The repository of this name, if it is known.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn find_repository(
        &self,
        database: &Database,
        name: &RepoName,
    ) -> Result<Option<Arc<ConfiguredRepository>>, DatabaseError> {
        if let Some(known) = self.repositories.get(name) {
            return Ok(Some(known));
        }
        let mut connection = database.acquire_reader().await?;
        let Some(repository) = repositories::find_repository(&mut connection, name).await? else {
            return Ok(None);
        };
        let known = Arc::new(ConfiguredRepository::from_row(repository));
        self.repositories.insert(name.clone(), Arc::clone(&known));
        Ok(Some(known))
    }

    /// The repository of this name, added if it is new.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn repository_or_new(
        &self,
        database: &Database,
        name: &RepoName,
    ) -> Result<Arc<ConfiguredRepository>, DatabaseError> {
        loop {
            if let Some(known) = self.find_repository(database, name).await? {
                return Ok(known);
            }
            let name = name.clone();
            let add = database.run_in_transaction(move |connection| {
                let name = name.clone();
                Box::pin(async move { repositories::insert_repository(connection, &name).await })
            });
            add.await?;
        }
    }

    /// The repository of this number, if there is one.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn repository_by_id(
        &self,
        database: &Database,
        id: RepositoryId,
    ) -> Result<Option<Arc<ConfiguredRepository>>, DatabaseError> {
        let name = match self.names.get(&id) {
            Some(name) => name,
            None => {
                let mut connection = database.acquire_reader().await?;
                let Some(repository) = repositories::by_id(&mut connection, id).await? else {
                    return Ok(None);
                };
                self.names.insert(id, repository.name.clone());
                repository.name
            }
        };
        self.find_repository(database, &name).await
    }

    /// Forgets everything: a repository is gone with all of its streams.
    pub fn forget_all(&self) {
        self.repositories.invalidate_all();
        self.names.invalidate_all();
        self.streams.invalidate_all();
        self.components.invalidate_all();
        self.series.forget_all();
    }

    /// Forgets a repository whose row was changed.
    pub fn forget_repository(&self, name: &RepoName) {
        self.repositories.invalidate(name);
    }

    /// The stream of a component in an environment, added if it is new.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn find_or_insert_stream(
        &self,
        database: &Database,
        repository: RepositoryId,
        environment: &Environment,
        component: &Component,
    ) -> Result<StreamId, DatabaseError> {
        let key = (repository, environment.canonical_text(), component.clone());
        if let Some(known) = self.streams.get(&key) {
            return Ok(known);
        }
        let parts = serde_json::to_string(environment).expect("an environment is plain data");
        let (canonical, component) = (key.1.clone(), component.clone());
        let id = database
            .run_in_transaction(move |connection| {
                let (canonical, parts, component) = (canonical.clone(), parts.clone(), component.clone());
                Box::pin(async move {
                    let environment = streams::insert_environment(connection, &canonical, &parts).await?;
                    streams::insert_stream(connection, repository, environment, component.as_str()).await
                })
            })
            .await?;
        self.streams.insert(key, id);
        Ok(id)
    }

    /// The component that a stream is about.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn component_of(
        &self,
        database: &Database,
        stream: StreamId,
    ) -> Result<Arc<str>, DatabaseError> {
        if let Some(known) = self.components.get(&stream) {
            return Ok(known);
        }
        let mut connection = database.acquire_reader().await?;
        let row = streams::by_id(&mut connection, stream).await?;
        let component: Arc<str> = row.map(|row| row.component).unwrap_or_default().into();
        self.components.insert(stream, Arc::clone(&component));
        Ok(component)
    }
}

impl ConfiguredRepository {
    /// A configuration that a newer version wrote may hold what this one does not know; then the defaults apply.
    #[must_use]
    pub fn from_row(repository: StoredRepository) -> Self {
        let config = serde_json::from_str(&repository.config).unwrap_or_else(|error| {
            tracing::error!(repository = %repository.name, %error, "the stored configuration cannot be read");
            RepoConfig::default()
        });
        Self { repository, config }
    }
}
