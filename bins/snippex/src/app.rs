//! What every command works with: the printer, the form of the answer, the settings, the database.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use cli_kit::settings::Resolved;
use cli_kit::{CancelToken, ExitStatus, Failure, Format, Printer, before_deadly_signal, on_interrupt, paths};
use serde::Serialize;
use snippex_exec::engine::{EngineTable, remove_own_folders};
use snippex_exec::remote::{Host, HostDefaults, HostEntry};
use snippex_session::{CacheOptions, EngineNames, VerdictCache};
use snippex_store::{Location, StoreError, StoreHandle};

use crate::args::values;
use crate::hints::OrUserError;
use crate::settings::Settings;

/// The surroundings of a command.
#[derive(Debug)]
pub(crate) struct App<'p> {
    pub(crate) printer: &'p Printer,
    pub(crate) format: Format,
    pub(crate) settings: Resolved<Settings>,
    /// The engines that can be named: presets and what the settings add.
    pub(crate) engines: EngineTable,
    /// Hosts whose engines can be named; none is connected before it is used.
    pub(crate) hosts: BTreeMap<String, Arc<Host>>,
    /// Made when the first part of the work that can be stopped begins.
    pub(crate) interrupt: OnceLock<CancelToken>,
}

impl App<'_> {
    /// What can be named as an engine.
    pub(crate) fn engine_names(&self) -> EngineNames<'_> {
        EngineNames {
            table: &self.engines,
            hosts: &self.hosts,
        }
    }

    /// What holds for all hosts.
    pub(crate) fn host_defaults(&self) -> HostDefaults {
        host_defaults(&self.settings.value)
    }

    /// The database, made if it is not there.
    pub(crate) fn open_store(&self) -> Result<StoreHandle, Failure> {
        StoreHandle::open(&self.database_location()?).or_user_error()
    }

    /// The database, which has to be there.
    pub(crate) fn existing_store(&self) -> Result<StoreHandle, Failure> {
        StoreHandle::open_existing(&self.database_location()?).or_user_error()
    }

    /// Where the database is.
    pub(crate) fn database_location(&self) -> Result<Location, Failure> {
        let text = self.settings.value.database.as_deref().ok_or_else(|| {
            Failure::new("there is no home folder to keep the database in")
                .hint("name a file with --database or SNIPPEX_DATABASE")
        })?;
        text.parse::<Location>().map_err(StoreError::from).or_user_error()
    }

    /// The file of the cache.
    pub(crate) fn cache_file(&self) -> Result<PathBuf, Failure> {
        let file = self.settings.value.cache_file.as_deref();
        file.map(PathBuf::from).ok_or_else(|| {
            Failure::new("there is no home folder to keep the cache in")
                .hint("name a file with SNIPPEX_CACHE_FILE, or as cache_file in the settings")
        })
    }

    /// What the settings say about the cache.
    pub(crate) fn cache_options(&self) -> CacheOptions {
        let settings = &self.settings.value;
        CacheOptions {
            refresh: false,
            ttl: values::parse_age(&settings.cache_ttl).expect("it was read when the settings were"),
            max_size: values::parse_size(&settings.cache_max_size)
                .expect("it was read when the settings were"),
        }
    }

    /// The cache for a check; `None`, with a warning, when it cannot be used.
    pub(crate) fn open_cache(&self, refresh: bool) -> Option<VerdictCache> {
        if !self.settings.value.cache {
            return None;
        }
        let options = CacheOptions {
            refresh,
            ..self.cache_options()
        };
        let opened = self
            .cache_file()
            .and_then(|path| VerdictCache::open(&path, options).or_user_error());
        match opened {
            Ok(cache) => Some(cache),
            Err(failure) => {
                self.printer.print_warning(format_args!(
                    "the cache is not used: {failure}; `snippex cache clear` removes it, --no-cache leaves it alone"
                ));
                None
            }
        }
    }

    /// Prints an answer: by `text` for people, else `value` as one JSON document or one line of it.
    pub(crate) fn print_answer(
        &self,
        value: &impl Serialize,
        text: impl FnOnce() -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        match self.format {
            Format::Human => text(),
            Format::Json => self.printer.print_json(value),
            Format::Jsonl => self.printer.print_json_line(value),
        }
    }

    /// Prints a list: by `text` for people, else `rows` as one JSON document or a line each.
    pub(crate) fn print_list<T: Serialize>(
        &self,
        rows: &[T],
        text: impl FnOnce() -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        match self.format {
            Format::Human => text(),
            Format::Json => self.printer.print_json(&rows),
            Format::Jsonl => rows.iter().try_for_each(|row| self.printer.print_json_line(row)),
        }
    }

    /// From now on the first Ctrl-C asks to stop and the second ends the process. All parts of a command share one token.
    pub(crate) fn cancel_token(&self) -> Result<CancelToken, Failure> {
        if let Some(token) = self.interrupt.get() {
            return Ok(token.clone());
        }
        let token = on_interrupt("stopping, what was found so far is kept; once more to end at once")?;
        Ok(self.interrupt.get_or_init(|| token).clone())
    }

    /// How a command ends that was stopped: by the user, or because nobody reads its answer any more.
    pub(crate) fn status_when_stopped(&self) -> ExitStatus {
        if self.printer.reader_is_gone() {
            ExitStatus::ReaderGone
        } else {
            ExitStatus::Interrupted
        }
    }

    /// From now on Ctrl-C, `kill` and a closed terminal end the process without leaving temporary folders: for commands that
    /// start engines and keep nothing half done.
    pub(crate) fn tidy_up_when_killed(&self) -> Result<(), Failure> {
        before_deadly_signal(remove_own_folders)
    }
}

/// The command line, without what may hold a password. File names need not be UTF-8.
pub(crate) fn redacted_command_line() -> String {
    let mut words = Vec::new();
    let mut hide = false;
    for word in std::env::args_os().skip(1) {
        let word = word.to_string_lossy().into_owned();
        let hidden = std::mem::take(&mut hide);
        hide = word == "--database";
        words.push(match word.split_once('=') {
            _ if hidden => "...".to_owned(),
            Some(("--database", _)) => "--database=...".to_owned(),
            _ => word,
        });
    }
    words.join(" ")
}

/// The hosts of the settings.
pub(crate) fn hosts_from_settings(settings: &Settings) -> Result<BTreeMap<String, Arc<Host>>, Failure> {
    let defaults = host_defaults(settings);
    let host = |(name, entry): (&String, &HostEntry)| {
        let host = entry.build_host(name, &defaults).map_err(|error| {
            Failure::new(error.to_string()).hint(format!("correct [hosts.{name}] in the settings"))
        })?;
        Ok((name.clone(), host))
    };
    settings.hosts.iter().map(host).collect()
}

fn host_defaults(settings: &Settings) -> HostDefaults {
    HostDefaults {
        client: settings.ssh,
        pool_size: settings.pool_size as usize,
        connection_pool: settings.connection_pool,
        transfer_cache: settings.transfer_cache,
        sent: paths::cache_folder("snippex", paths::environment_variable).map(|folder| folder.join("sent")),
    }
}
