//! Reads the settings again while the service runs: when their file changes, and on SIGHUP.
//!
//! Settings that cannot be used are logged and leave everything as it was. What needs a restart is named in the log.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::signal::unix::{SignalKind, signal};

use crate::request_limits::RequestLimits;
use crate::settings::Settings;
use crate::state::{AppState, webhook_keys};
use crate::telemetry::LogLevel;

/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// Watches until the service is to end.
pub async fn watch_settings(state: AppState, log: LogLevel) {
    let Ok(mut hangup) = signal(SignalKind::hangup()) else {
        tracing::error!("SIGHUP cannot be received; settings are read again when their file changes");
        return;
    };
    let mut seen = stamp(&state);
    loop {
        tokio::select! {
            () = state.ending.cancelled() => return,
            _ = hangup.recv() => {}
            () = tokio::time::sleep(LOOK) => {
                let now = stamp(&state);
                if now == seen {
                    continue;
                }
                seen = now;
            }
        }
        reload(&state, &log);
    }
}

/// When the file was last written, and how long it is.
fn stamp(state: &AppState) -> Option<(PathBuf, SystemTime, u64)> {
    let path = state.layers.path()?;
    let metadata = std::fs::metadata(&path).ok()?;
    Some((path, metadata.modified().ok()?, metadata.len()))
}

fn reload(state: &AppState, log: &LogLevel) {
    let settings = match state.layers.read_settings() {
        Ok(settings) => settings,
        Err(error) => {
            tracing::error!(%error, "the settings cannot be used; the old ones stay");
            return;
        }
    };
    match webhook_keys(&state.layers, &settings) {
        Ok(keys) => state.webhook_keys.store(Arc::new(keys)),
        Err(error) => tracing::error!(%error, "the webhook secret cannot be read; the old one stays"),
    }
    let old = state.settings.load_full();
    if let Err(error) = log.set_filter(&settings.logging.level) {
        tracing::error!(%error, "the old level stays");
    }
    if old.server != settings.server {
        state.limits.store(Arc::new(RequestLimits::new(&settings.server)));
    }
    let waiting = needs_restart(&old, &settings);
    if !waiting.is_empty() {
        tracing::warn!(
            settings = waiting.join(", "),
            "these settings change when the service is started again"
        );
    }
    state.settings.store(Arc::new(settings));
    tracing::info!("the settings are read again");
}

fn needs_restart(old: &Settings, new: &Settings) -> Vec<&'static str> {
    let mut names = Vec::new();
    let mut differs = |name, differs: bool| {
        if differs {
            names.push(name);
        }
    };
    differs("server.listen", old.server.listen != new.server.listen);
    differs(
        "server.metrics_listen",
        old.server.metrics_listen != new.server.metrics_listen,
    );
    let tls = |settings: &Settings| {
        (
            settings.server.tls_certificate.clone(),
            settings.server.tls_key.clone(),
        )
    };
    differs("server.tls_certificate, server.tls_key", tls(old) != tls(new));
    differs(
        "server.judged_at_once",
        old.server.judged_at_once != new.server.judged_at_once,
    );
    let timeout = |settings: &Settings| settings.server.request_timeout_seconds;
    differs("server.request_timeout_seconds", timeout(old) != timeout(new));
    differs("database", old.database != new.database);
    let app = |settings: &Settings| crate::settings::GitHub {
        // This one is read again.
        webhook_secret_file: None,
        ..settings.github.clone()
    };
    differs("github", app(old) != app(new));
    differs("oidc", old.oidc != new.oidc);
    differs("jobs.workers", old.jobs.workers != new.jobs.workers);
    differs("analytics", old.analytics != new.analytics);
    differs("logging.format", old.logging.format != new.logging.format);
    differs(
        "logging.opentelemetry",
        old.logging.opentelemetry != new.logging.opentelemetry,
    );
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_a_restart_is_named() {
        let old = Settings::default();
        let mut new = old.clone();
        new.judging.threshold_percent = 3.0;
        new.server.requests_per_token_minute = 5;
        assert!(needs_restart(&old, &new).is_empty());
        new.database.url = "other.db".to_owned();
        new.jobs.workers = 9;
        assert_eq!(needs_restart(&old, &new), ["database", "jobs.workers"]);
    }
}
