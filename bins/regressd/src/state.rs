//! What every handler and worker shares.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::{Oidc, OidcError, TokenCache};
use crate::database::Database;
use crate::directory::Directory;
use crate::server::Limits;
use crate::settings::{Layers, Settings};

/// The running service. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AppState(Arc<App>);

/// The parts of the running service.
#[derive(Debug)]
pub struct App {
    /// The settings as last read; see [`crate::settings::Layers`].
    pub settings: ArcSwap<Settings>,
    /// Where they are read from.
    pub layers: Layers,
    /// The database.
    pub database: Database,
    /// Repositories, streams and series by name.
    pub directory: Directory,
    /// Tokens that were looked up a moment ago.
    pub tokens: TokenCache,
    /// Checks workflow tokens, if the settings name an issuer.
    pub oidc: Option<Oidc>,
    /// How often one may ask.
    pub limits: ArcSwap<Limits>,
    /// Places for uploads that are judged within their request.
    pub judging: Arc<Semaphore>,
    /// What is still done after its request was answered; waited for before the service ends.
    pub background: TaskTracker,
    /// Tells the workers of this process that there is work.
    pub work: Notify,
    /// Cancelled when the service is to end.
    pub ending: CancellationToken,
}

impl std::ops::Deref for AppState {
    type Target = App;

    fn deref(&self) -> &App {
        &self.0
    }
}

impl AppState {
    /// Puts the parts together.
    ///
    /// # Errors
    /// When workflow tokens are to be checked and the system has no certificates for it.
    pub fn new(layers: Layers, settings: Settings, database: Database) -> Result<Self, OidcError> {
        Ok(Self(Arc::new(App {
            limits: ArcSwap::from_pointee(Limits::new(&settings.server)),
            oidc: Oidc::new(&settings.oidc)?,
            judging: Arc::new(Semaphore::new(settings.server.judged_at_once)),
            settings: ArcSwap::from_pointee(settings),
            layers,
            database,
            directory: Directory::default(),
            tokens: TokenCache::default(),
            background: TaskTracker::new(),
            work: Notify::new(),
            ending: CancellationToken::new(),
        })))
    }
}
