//! What every handler and worker shares.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::database::Database;
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
    #[must_use]
    pub fn new(app: App) -> Self {
        Self(Arc::new(app))
    }
}
