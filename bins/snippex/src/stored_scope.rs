//! Runs and engines that a question about the database names: an answer about what is not there would look like good news.

use cli_kit::Failure;
use snippex_session::{SessionError, is_called};
use snippex_store::{RunId, StoreHandle};

use crate::hints::OrUserError;

/// Refuses a run or an engine that the database has nothing about, and says what there is.
pub(crate) fn require_stored(
    store: &StoreHandle,
    run: Option<RunId>,
    emulator: Option<&str>,
) -> Result<(), Failure> {
    if let Some(run) = run {
        store
            .call_and_wait(async move |store| store.load_run(run).await)
            .or_user_error()?;
    }
    let Some(wanted) = emulator else {
        return Ok(());
    };
    let engines = store
        .call_and_wait(async |store| store.list_engines().await)
        .or_user_error()?;
    if engines.iter().any(|(_, engine)| is_called(&engine.name, wanted)) {
        return Ok(());
    }
    let mut names: Vec<String> = engines.into_iter().map(|(_, engine)| engine.name).collect();
    names.sort();
    names.dedup();
    Err(SessionError::UnknownEngine {
        text: wanted.to_owned(),
        engines: names,
    })
    .or_user_error()
}
