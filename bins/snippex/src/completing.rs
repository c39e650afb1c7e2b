//! Names that a shell completes: engines of the settings, and what the database holds.
//!
//! A candidate is a courtesy: whatever fails here gives none, and says nothing, since the user is in the middle of a
//! line. The database is the one that the settings or the environment name, and is never made for this.

use clap_complete::{CompleteEnv, CompletionCandidate};
use snippex_exec::engine::EngineTable;
use snippex_store::StoreHandle;

use crate::args;
use crate::settings::{self, Flags, Settings};

/// The variable by which a shell's script asks.
pub(crate) const VARIABLE: &str = "SNIPPEX_COMPLETE";

/// Longest list of numbered blocks; a longer one helps nobody.
const MAX_BINARIES: usize = 200;

/// Answers a shell that asks for candidates, and ends the process then.
pub(crate) fn answer_shell() {
    CompleteEnv::with_factory(args::build_clap_command)
        .var(VARIABLE)
        .complete();
}

/// Every engine that can be named, with its configurations.
pub(crate) fn complete_engines() -> Vec<CompletionCandidate> {
    let table = EngineTable::new(settings().map(|settings| settings.engines).unwrap_or_default());
    let mut names = vec!["mock".to_owned()];
    for (name, entry) in table.iter() {
        names.push(name.to_owned());
        names.extend(
            entry
                .configurations
                .keys()
                .map(|configuration| format!("{name}/{configuration}")),
        );
    }
    names.into_iter().map(CompletionCandidate::new).collect()
}

/// The engines of the settings, which can be removed.
pub(crate) fn added_engines() -> Vec<CompletionCandidate> {
    let added = settings().map(|settings| settings.engines).unwrap_or_default();
    added.into_keys().map(CompletionCandidate::new).collect()
}

/// The hosts of the settings.
pub(crate) fn complete_hosts() -> Vec<CompletionCandidate> {
    let hosts = settings().map(|settings| settings.hosts).unwrap_or_default();
    hosts.into_keys().map(CompletionCandidate::new).collect()
}

/// The causes of the bugs that were found.
pub(crate) fn complete_bugs() -> Vec<CompletionCandidate> {
    let found = store().and_then(|store| {
        store
            .call_and_wait(async |store| store.list_bugs("", None).await)
            .ok()
    });
    let mut names: Vec<String> = found
        .unwrap_or_default()
        .into_iter()
        .map(|bug| bug.attribution.cause.to_string())
        .collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter().map(CompletionCandidate::new).collect()
}

/// The binaries whose blocks are stored.
pub(crate) fn complete_binaries() -> Vec<CompletionCandidate> {
    let binaries = store().and_then(|store| {
        store
            .call_and_wait(async |store| store.list_binaries().await)
            .ok()
    });
    binaries
        .unwrap_or_default()
        .into_iter()
        .take(MAX_BINARIES)
        .map(|stored| CompletionCandidate::new(stored.binary.name).help(Some(stored.binary.path.into())))
        .collect()
}

/// Selections of blocks.
pub(crate) fn complete_block_selections() -> Vec<CompletionCandidate> {
    vec![CompletionCandidate::new("all").help(Some("every block of the most recent binary".into()))]
}

fn settings() -> Option<Settings> {
    settings::resolve_settings(Flags::default())
        .ok()
        .map(|resolved| resolved.value)
}

fn store() -> Option<StoreHandle> {
    let location = settings()?.database?.parse().ok()?;
    StoreHandle::open_existing(&location).ok()
}
