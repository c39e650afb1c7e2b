//! The log: one subscriber, set up once, whose filter can change while the service runs. With the feature
//! `opentelemetry`, spans also go to a collector.

use std::io::IsTerminal as _;

use cli_kit::ColorChoice;
use tracing_subscriber::layer::{Layered, SubscriberExt as _};
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

use crate::settings::{LogFormat, Logging};

/// What lines and spans are laid over.
type Filtered = Layered<reload::Layer<EnvFilter, Registry>, Registry>;
type BoxedLayer = Box<dyn Layer<Filtered> + Send + Sync>;

/// Changes what is logged.
#[derive(Clone, Debug)]
pub struct LogLevel(reload::Handle<EnvFilter, Registry>);

/// The log and the spans of a running service.
#[derive(Debug)]
pub struct Telemetry {
    /// Changes what is logged.
    pub level: LogLevel,
    spans: Spans,
}

impl Telemetry {
    /// Sends the spans that are left to the collector. Takes as long as that takes, at most a few seconds.
    pub fn send_remaining_spans(self) {
        self.spans.end();
    }
}

/// The log cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is none.
    #[error(
        "logging.level {level:?} cannot be used: {reason}; give a level or target=level, such as info,regressd=debug"
    )]
    Level {
        /// The filter as given.
        level: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The collector cannot be used.
    #[error("logging.opentelemetry {url:?} cannot be used: {reason}")]
    Collector {
        /// Its address.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl LogLevel {
    /// Logs by this filter from now on.
    ///
    /// # Errors
    /// When it cannot be understood.
    pub fn set_filter(&self, level: &str) -> Result<(), TelemetryError> {
        let filter = filter(level)?;
        self.0.reload(filter).map_err(|error| TelemetryError::Level {
            level: level.to_owned(),
            reason: error.to_string(),
        })
    }
}

/// Starts logging to standard error.
///
/// # Errors
/// When level or collector cannot be used.
pub fn start_telemetry(settings: &Logging) -> Result<Telemetry, TelemetryError> {
    let (filter, handle) = reload::Layer::new(filter(&settings.level)?);
    let lines: BoxedLayer = match settings.format {
        LogFormat::Pretty => fmt::layer()
            .with_ansi(
                ColorChoice::Auto
                    .wants_color(std::io::stderr().is_terminal(), |name| std::env::var(name).ok()),
            )
            .with_writer(std::io::stderr)
            .boxed(),
        LogFormat::Json => fmt::layer()
            .json()
            .flatten_event(true)
            .with_writer(std::io::stderr)
            .boxed(),
    };
    let mut layers = vec![lines];
    let mut spans: Spans = Default::default();
    if let Some(url) = &settings.opentelemetry {
        let (layer, sending) = collector(url)?;
        layers.push(layer);
        spans = sending;
    }
    // A second start, in tests, keeps the first subscriber.
    drop(
        tracing_subscriber::registry()
            .with(filter)
            .with(layers)
            .try_init(),
    );
    Ok(Telemetry {
        level: LogLevel(handle),
        spans,
    })
}

/// What is said about `regressd`, or its part for GitHub, goes for the GitHub client too, which is a crate of its own.
fn with_github_kit(level: &str) -> String {
    let level_of_github = |directive: &str| {
        let (target, level) = directive.trim().split_once('=')?;
        let is_meant = target == "regressd" || target.starts_with("regressd::github");
        is_meant.then(|| format!("github_kit={level}"))
    };
    let added = level.split(',').filter_map(level_of_github);
    // The last directive of a target counts, so that one for the client itself comes last.
    let all: Vec<String> = added.chain([level.to_owned()]).collect();
    all.join(",")
}

fn filter(level: &str) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::try_new(with_github_kit(level)).map_err(|error| TelemetryError::Level {
        level: level.to_owned(),
        reason: error.to_string(),
    })
}

/// What sends spans away.
#[cfg(feature = "opentelemetry")]
#[derive(Debug, Default)]
struct Spans(Option<opentelemetry_sdk::trace::SdkTracerProvider>);

/// Nothing: a build without the feature sends none.
#[cfg(not(feature = "opentelemetry"))]
#[derive(Debug, Default)]
struct Spans;

impl Spans {
    #[cfg(feature = "opentelemetry")]
    fn end(self) {
        if let Some(Err(error)) = self.0.map(|provider| provider.shutdown()) {
            tracing::warn!(%error, "the last spans did not reach the collector");
        }
    }

    #[cfg(not(feature = "opentelemetry"))]
    fn end(self) {}
}

/// Spans to a collector, by OTLP over HTTP, in batches and on a thread of its own.
#[cfg(feature = "opentelemetry")]
fn collector(url: &str) -> Result<(BoxedLayer, Spans), TelemetryError> {
    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
    use opentelemetry_sdk::Resource;
    use opentelemetry_sdk::trace::SdkTracerProvider;

    let exporter = SpanExporter::builder()
        .with_http()
        .with_endpoint(format!("{}/v1/traces", url.trim_end_matches('/')))
        .build()
        .map_err(|error| TelemetryError::Collector {
            url: url.to_owned(),
            reason: error.to_string(),
        })?;
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(Resource::builder().with_service_name("regressd").build())
        .build();
    let tracer = provider.tracer("regressd");
    let layer = tracing_opentelemetry::layer().with_tracer(tracer).boxed();
    Ok((layer, Spans(Some(provider))))
}

/// A build without the feature says so instead of sending nothing.
#[cfg(not(feature = "opentelemetry"))]
fn collector(url: &str) -> Result<(BoxedLayer, Spans), TelemetryError> {
    Err(TelemetryError::Collector {
        url: url.to_owned(),
        reason: "this regressd was built without it; build with --features opentelemetry".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_level_is_told() {
        let error = filter("regressd=loud").unwrap_err();
        assert!(error.to_string().contains("regressd=loud"), "{error}");
    }

    #[cfg(not(feature = "opentelemetry"))]
    #[test]
    fn a_build_without_the_feature_says_so() {
        let settings = Logging {
            opentelemetry: Some("http://localhost:4318".to_owned()),
            ..Logging::default()
        };
        assert!(start(&settings).unwrap_err().to_string().contains("--features"));
    }
}
