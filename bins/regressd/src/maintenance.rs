//! Housekeeping: old runs and deliveries go, as the settings say.

use std::time::Duration;

use crate::database::{Database, DatabaseError, deliveries, landed, retention, rewritten};
use crate::domain::UnixMillis;
use crate::settings::Settings;
use crate::state::AppState;

const OFTEN: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// Keeps house until the service is to end.
pub async fn run_maintenance(state: AppState) {
    loop {
        let settings = state.settings.load_full();
        match remove_old_data(&state.database, &settings).await {
            Ok((0, 0)) => {}
            Ok((runs, deliveries)) => tracing::info!(runs, deliveries, "what was old is removed"),
            Err(error) => tracing::error!(%error, "what is old cannot be removed"),
        }
        tokio::select! {
            () = state.ending.cancelled() => return,
            () = tokio::time::sleep(OFTEN) => {}
        }
    }
}

/// Removes what is older than the settings keep: the number of runs and of deliveries. The runs that baselines are
/// made of stay, however old they are.
///
/// # Errors
/// When the database does not answer.
pub async fn remove_old_data(database: &Database, settings: &Settings) -> Result<(u64, u64), DatabaseError> {
    let before = |days: u32| UnixMillis::now().saturating_sub(DAY * days);
    let mut old_runs = 0;
    if settings.retention.runs_days > 0 {
        let moment = before(settings.retention.runs_days);
        old_runs = retention::remove_old_runs(database, moment, settings.judging.baseline_runs).await?;
    }
    let mut old_deliveries = 0;
    if settings.retention.deliveries_days > 0 {
        let moment = before(settings.retention.deliveries_days);
        let remove = database
            .run_in_transaction(move |connection| Box::pin(deliveries::remove_older(connection, moment)));
        old_deliveries = remove.await?;
        let remove =
            database.run_in_transaction(move |connection| Box::pin(landed::remove_older(connection, moment)));
        remove.await?;
        let remove = database
            .run_in_transaction(move |connection| Box::pin(rewritten::remove_older(connection, moment)));
        remove.await?;
    }
    Ok((old_runs, old_deliveries))
}
