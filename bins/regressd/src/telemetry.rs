//! The log: one subscriber, set up once, whose filter can change while the service runs.

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

use crate::settings::{LogFormat, Logging};

/// Changes what is logged.
#[derive(Clone, Debug)]
pub struct LogLevel(reload::Handle<EnvFilter, Registry>);

/// The filter is none.
#[derive(Debug, thiserror::Error)]
#[error(
    "logging.level {level:?} cannot be used: {reason}; give a level or target=level, such as info,regressd=debug"
)]
pub struct BadLevel {
    level: String,
    reason: String,
}

impl LogLevel {
    /// Logs by this filter from now on.
    ///
    /// # Errors
    /// When it cannot be understood.
    pub fn set(&self, level: &str) -> Result<(), BadLevel> {
        let filter = filter(level)?;
        self.0.reload(filter).map_err(|error| BadLevel {
            level: level.to_owned(),
            reason: error.to_string(),
        })
    }
}

/// Starts logging to standard error.
///
/// # Errors
/// When the level cannot be understood.
pub fn start(settings: &Logging) -> Result<LogLevel, BadLevel> {
    let (filter, handle) = reload::Layer::new(filter(&settings.level)?);
    let lines = match settings.format {
        LogFormat::Pretty => fmt::layer().with_writer(std::io::stderr).boxed(),
        LogFormat::Json => fmt::layer()
            .json()
            .flatten_event(true)
            .with_writer(std::io::stderr)
            .boxed(),
    };
    // A second start, in tests, keeps the first subscriber.
    drop(tracing_subscriber::registry().with(filter).with(lines).try_init());
    Ok(LogLevel(handle))
}

fn filter(level: &str) -> Result<EnvFilter, BadLevel> {
    EnvFilter::try_new(level).map_err(|error| BadLevel {
        level: level.to_owned(),
        reason: error.to_string(),
    })
}
