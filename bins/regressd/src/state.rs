//! What every handler and worker shares.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::analytics::Analytics;
use crate::auth::{Oidc, OidcError, TokenCache};
use crate::database::Database;
use crate::directory::Directory;
use crate::github::{
    AppCredentials, BreakerSettings, Breakers, ContentLimits, CredentialsError, GitHub, GitHubError,
    GitHubSettings, MetricsObserver,
};
use crate::load_shedding::LoadShedding;
use crate::request_limits::RequestLimits;
use crate::run_cache::RunCache;
use crate::settings::{Secret, Settings, SettingsError, SettingsSources};
use crate::webhook::WebhookKeys;

/// The running service. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AppState(Arc<App>);

/// The parts of the running service.
#[derive(Debug)]
pub struct App {
    /// The settings as last read; see [`crate::settings::SettingsSources`].
    pub settings: ArcSwap<Settings>,
    /// Where they are read from.
    pub layers: SettingsSources,
    /// The database.
    pub database: Database,
    /// Repositories, streams and series by name.
    pub directory: Directory,
    /// Runs that were read a moment ago.
    pub run_cache: RunCache,
    /// Tokens that were looked up a moment ago.
    pub tokens: TokenCache,
    /// Checks workflow tokens, if the settings name an issuer.
    pub oidc: Option<Oidc>,
    /// GitHub, if the settings name an app.
    pub github: Option<GitHub>,
    /// The secrets that webhooks are signed with.
    pub webhook_keys: ArcSwap<WebhookKeys>,
    /// The program that looks at histories, if the settings name one.
    pub analytics: Analytics,
    /// How often one may ask.
    pub limits: ArcSwap<RequestLimits>,
    /// Places for uploads that are judged within their request.
    pub judging: Arc<Semaphore>,
    /// How far judging lags behind.
    pub load_shedding: LoadShedding,
    /// What is still done after its request was answered; waited for before the service ends.
    pub background: TaskTracker,
    /// Tells the workers of this process that there is work.
    pub work: Notify,
    /// Tells them that there are runs to judge.
    pub to_judge: Notify,
    /// Tells that a large run was worked on, and its memory is free.
    pub large_work: Notify,
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
    /// When a secret cannot be read or used.
    pub fn new(layers: SettingsSources, settings: Settings, database: Database) -> Result<Self, StateError> {
        let github = github(&layers, &settings, &database)?;
        let keys = webhook_keys(&layers, &settings)?;
        Ok(Self(Arc::new(App {
            github,
            webhook_keys: ArcSwap::from_pointee(keys),
            limits: ArcSwap::from_pointee(RequestLimits::new(&settings.server)),
            oidc: Oidc::new(&settings.oidc)?,
            judging: Arc::new(Semaphore::new(settings.server.judged_at_once)),
            settings: ArcSwap::from_pointee(settings),
            layers,
            database,
            directory: Directory::default(),
            run_cache: RunCache::default(),
            analytics: Analytics::default(),
            tokens: TokenCache::default(),
            load_shedding: LoadShedding::default(),
            background: TaskTracker::new(),
            work: Notify::new(),
            to_judge: Notify::new(),
            large_work: Notify::new(),
            ending: CancellationToken::new(),
        })))
    }
}

/// Why the service cannot be put together.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A secret cannot be read.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The app's private key is missing.
    #[error(
        "github.app_id is set, and there is no private key: set github.private_key_file or REGRESSD_GITHUB_PRIVATE_KEY"
    )]
    NoKey,
    /// The app's private key cannot be used.
    #[error(transparent)]
    Key(#[from] CredentialsError),
    /// GitHub cannot be reached with these settings.
    #[error(transparent)]
    GitHub(#[from] GitHubError),
    /// Workflow tokens cannot be checked.
    #[error(transparent)]
    Oidc(#[from] OidcError),
}

fn github(
    layers: &SettingsSources,
    settings: &Settings,
    database: &Database,
) -> Result<Option<GitHub>, StateError> {
    let Some(app_id) = settings.github.app_id else {
        return Ok(None);
    };
    let file = settings.github.private_key_file.as_deref();
    let key = layers
        .read_secret("REGRESSD_GITHUB_PRIVATE_KEY", file)?
        .ok_or(StateError::NoKey)?;
    let credentials = AppCredentials::new(app_id, key.expose().as_bytes())?;
    let settings = &settings.github;
    let pause = Duration::from_millis(settings.breaker_pause_milliseconds);
    let breakers = Breakers::new(BreakerSettings {
        failures: settings.breaker_failures,
        pause,
        longest_pause: pause.saturating_mul(12),
    });
    let api = GitHubSettings {
        api: settings.api_url.clone(),
        user_agent: concat!("regressd/", env!("CARGO_PKG_VERSION")).to_owned(),
        timeout: Duration::from_secs(settings.request_timeout_seconds),
        lease: Duration::from_secs(settings.lease_seconds),
        limits: ContentLimits {
            a_minute: settings.content_per_minute,
            an_hour: settings.content_per_hour,
        },
        observer: Arc::new(MetricsObserver),
    };
    let limiter = Arc::new(database.clone());
    Ok(Some(GitHub::new(&api, credentials, &breakers, limiter)?))
}

/// The secrets that webhooks may be signed with.
///
/// # Errors
/// When the file cannot be read.
pub fn webhook_keys(layers: &SettingsSources, settings: &Settings) -> Result<WebhookKeys, SettingsError> {
    let file = settings.github.webhook_secret_file.as_deref();
    let secret = layers.read_secret("REGRESSD_GITHUB_WEBHOOK_SECRET", file)?;
    // Two lines are two secrets: the old one and the new one, while they are changed.
    let lines = secret.iter().flat_map(|secret| Secret::expose(secret).lines());
    Ok(WebhookKeys::new(
        lines.map(|line| line.trim().as_bytes().to_vec()),
    ))
}
