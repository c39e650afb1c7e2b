//! The settings and the places they come from.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::thread::available_parallelism;

use cli_kit::settings::{Layers, Resolved};
use cli_kit::{Failure, paths};
use serde::{Deserialize, Serialize};
use snippex_exec::engine::EngineEntry;
use snippex_exec::remote::{HostEntry, SshClient};

use crate::args::{EngineArgs, ReferenceArgs, RunArgs, values};

/// What can be set in files, in the environment and by flags.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    /// Path or URL. Missing only where not even a home folder is known.
    pub(crate) database: Option<String>,
    /// Engine that is tested.
    pub(crate) emulator: String,
    /// Engine that is taken as right.
    pub(crate) reference: String,
    /// Start states for each block.
    pub(crate) states: u32,
    /// Threads of a run.
    pub(crate) threads: u32,
    /// Whether verdicts of earlier checks are used.
    pub(crate) cache: bool,
    /// File of the cache. Missing only where not even a home folder is known.
    pub(crate) cache_file: Option<String>,
    /// Oldest verdict that is believed.
    pub(crate) cache_ttl: String,
    /// Largest size of the cache.
    pub(crate) cache_max_size: String,
    /// Which program speaks SSH.
    pub(crate) ssh: SshClient,
    /// Whether connections to hosts are kept.
    pub(crate) connection_pool: bool,
    /// Connections to each host.
    pub(crate) pool_size: u32,
    /// Whether hosts may keep programs for the next time.
    pub(crate) transfer_cache: bool,
    /// Engines by name, laid over the presets.
    pub(crate) engines: BTreeMap<String, EngineEntry>,
    /// Hosts by name, whose engines are called HOST/ENGINE.
    pub(crate) hosts: BTreeMap<String, HostEntry>,
}

impl Default for Settings {
    fn default() -> Self {
        let database = paths::data_folder("snippex", paths::environment_variable)
            .map(|folder| folder.join("snippex.db"));
        let cache = paths::cache_folder("snippex", paths::environment_variable)
            .map(|folder| folder.join("verdicts.db"));
        let emulator = if cfg!(target_arch = "x86_64") {
            "qemu-x86_64"
        } else {
            "fex-emu"
        };
        Self {
            database: database.map(|path| path.display().to_string()),
            emulator: emulator.to_owned(),
            reference: "native".to_owned(),
            states: 64,
            threads: available_parallelism().map_or(1, |count| u32::try_from(count.get()).unwrap_or(1)),
            cache: true,
            cache_file: cache.map(|path| path.display().to_string()),
            cache_ttl: "30d".to_owned(),
            cache_max_size: "1GiB".to_owned(),
            ssh: SshClient::default(),
            connection_pool: true,
            pool_size: 1,
            transfer_cache: true,
            engines: BTreeMap::new(),
            hosts: BTreeMap::new(),
        }
    }
}

/// The flags of a command that are settings, too.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Flags<'a> {
    pub(crate) database: Option<&'a str>,
    pub(crate) engine: Option<&'a EngineArgs>,
    pub(crate) reference: Option<&'a ReferenceArgs>,
    pub(crate) run: Option<&'a RunArgs>,
}

/// The user's settings file, whether it is there or not.
pub(crate) fn user_file() -> Option<PathBuf> {
    paths::user_settings("snippex", paths::environment_variable)
}

/// The project's settings file, if there is one here or in a folder above.
pub(crate) fn project_file() -> Option<PathBuf> {
    let folder = std::env::current_dir().ok()?;
    paths::find_upward(&folder, "snippex.toml")
}

/// Lays everything over the defaults.
pub(crate) fn resolve_settings(flags: Flags<'_>) -> Result<Resolved<Settings>, Failure> {
    let mut layers = Layers::<Settings>::new()?;
    for path in [user_file(), project_file()].into_iter().flatten() {
        layers.add_file(&path)?;
    }
    for key in [
        "database",
        "emulator",
        "reference",
        "states",
        "threads",
        "cache",
        "cache_file",
        "cache_ttl",
        "cache_max_size",
        "ssh",
        "connection_pool",
        "pool_size",
        "transfer_cache",
    ] {
        let variable = format!("SNIPPEX_{}", key.to_uppercase());
        layers.add_variable(&variable, key, paths::environment_variable)?;
    }
    layers.add_flag("--database", "database", flags.database)?;
    layers.add_flag(
        "--emulator",
        "emulator",
        flags.engine.and_then(|engine| engine.emulator.first()),
    )?;
    if let Some(hosts) = flags.engine.map(|engine| &engine.hosts) {
        layers.add_flag(
            "--connection-pool",
            "connection_pool",
            hosts.connection_pool.as_ref(),
        )?;
        layers.add_flag("--pool-size", "pool_size", hosts.pool_size)?;
        layers.add_flag(
            "--no-transfer-cache",
            "transfer_cache",
            hosts.no_transfer_cache.then_some(false),
        )?;
    }
    layers.add_flag(
        "--reference",
        "reference",
        flags.reference.and_then(|args| args.reference.as_ref()),
    )?;
    layers.add_flag("--states", "states", flags.run.and_then(|run| run.states))?;
    layers.add_flag("--threads", "threads", flags.run.and_then(|run| run.threads))?;
    if let Some(cache) = flags.run.map(|run| &run.cache) {
        layers.add_flag("--no-cache", "cache", cache.no_cache.then_some(false))?;
        layers.add_flag("--cache-ttl", "cache_ttl", cache.cache_ttl.as_ref())?;
        layers.add_flag(
            "--cache-max-size",
            "cache_max_size",
            cache.cache_max_size.as_ref(),
        )?;
    }
    let resolved = layers.resolve_settings()?;
    for (key, wrong) in [
        ("cache_ttl", values::parse_age(&resolved.value.cache_ttl).err()),
        (
            "cache_max_size",
            values::parse_size(&resolved.value.cache_max_size).err(),
        ),
    ] {
        if let Some(wrong) = wrong {
            let origin = &resolved.origins[key].origin;
            return Err(Failure::new(format!("{key} in {origin} cannot be read")).hint(wrong));
        }
    }
    for (key, value, limit) in [
        ("states", resolved.value.states, 4096),
        ("threads", resolved.value.threads, 1024),
        ("pool_size", resolved.value.pool_size, 16),
    ] {
        if !(1..=limit).contains(&value) {
            let origin = &resolved.origins[key].origin;
            return Err(Failure::new(format!(
                "{key} = {value} in {origin} is not between 1 and {limit}"
            ))
            .hint(format!("correct {key} there, or give --{key}")));
        }
    }
    Ok(resolved)
}
