//! `serve`, `api` and `worker`: the service until it is told to end.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{CommandError, open_database};
use crate::settings::{Settings, SettingsSources};
use crate::state::AppState;
use crate::{backup, free_memory, jobs, maintenance, reload, server, telemetry};

/// What this process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Roles {
    api: bool,
    worker: bool,
}

impl Roles {
    pub(super) const BOTH: Self = Self {
        api: true,
        worker: true,
    };
    pub(super) const API: Self = Self {
        api: true,
        worker: false,
    };
    pub(super) const WORKER: Self = Self {
        api: false,
        worker: true,
    };
}

/// Runs the service.
pub(super) async fn run(
    layers: SettingsSources,
    settings: Settings,
    roles: Roles,
) -> Result<(), CommandError> {
    let telemetry = telemetry::start_telemetry(&settings.logging)?;
    let counting = server::metrics::start_metrics();
    let database = open_database(&layers, &settings).await?;
    tracing::info!(database = %database.location(), "regressd {} starts", env!("CARGO_PKG_VERSION"));
    let state = AppState::new(layers, settings, database).map_err(CommandError::new)?;
    tokio::spawn(end_on_signal(state.ending.clone()));
    tokio::spawn(reload::watch_settings(state.clone(), telemetry.level.clone()));
    let metrics_listen = state.settings.load().server.metrics_listen;
    if let Some((counting, address)) = counting.zip(metrics_listen) {
        let serving = server::metrics::serve_metrics(state.clone(), counting, address);
        tokio::spawn(async move {
            // Metrics are a help; the service goes on without.
            if let Err(error) = serving.await {
                tracing::error!(%error, "metrics are not served; see server.metrics_listen");
            }
        });
    }
    tokio::spawn(free_memory::run_memory_loop(state.clone()));
    if roles.worker {
        tokio::spawn(maintenance::run_maintenance(state.clone()));
        tokio::spawn(backup::run_schedule(state.clone()));
    }
    if let Some(github) = state.github.clone() {
        tokio::spawn(async move {
            match github.check_authentication().await {
                Ok(()) => tracing::info!(app = github.app_id(), "GitHub knows the app"),
                Err(error) => {
                    tracing::error!(%error, "GitHub does not take the app's id and key; see github.app_id");
                }
            }
        });
    }
    let workers = roles
        .worker
        .then(|| tokio::spawn(jobs::run_workers(state.clone())));
    let served = if roles.api {
        let watching = state.clone();
        tokio::spawn(async move {
            let state = &watching;
            state
                .load_shedding
                .watch_queue(&state.database, &state.ending)
                .await;
        });
        let router = server::build_router(state.clone());
        server::serve_requests(state.clone(), router, |address| {
            tracing::info!(%address, "listening");
        })
        .await
    } else {
        state.ending.cancelled().await;
        Ok(())
    };
    state.ending.cancel();
    if let Some(workers) = workers {
        workers.await.map_err(CommandError::new)?;
    }
    state.background.close();
    state.background.wait().await;
    state.database.clone().close().await;
    tracing::info!("regressd has ended");
    // It waits for the collector, on a thread that may.
    tokio::task::spawn_blocking(|| telemetry.send_remaining_spans())
        .await
        .map_err(CommandError::new)?;
    Ok(served?)
}

/// The first signal lets the work in hand be finished; the second one is the system's to handle.
async fn end_on_signal(ending: CancellationToken) {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        tracing::error!("signals cannot be received; end the process with SIGKILL");
        return;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    tracing::info!("ending; jobs in hand are finished first");
    ending.cancel();
}
