//! The command line, as types.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::domain::Role;
use crate::settings::SettingsSources;

/// Judges the benchmarks of every pull request.
///
/// `regressd serve` starts the service on a SQLite file in this folder; no configuration is needed.
#[derive(Debug, Parser)]
#[command(name = "regressd", version, max_term_width = 110)]
pub struct Cli {
    /// Settings that every command reads.
    #[command(flatten)]
    pub sources: Sources,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Where settings come from: the file, then `REGRESSD_SECTION_KEY` variables, then flags.
#[derive(Debug, Args)]
pub struct Sources {
    /// The settings file [default: regressd.toml, if it is there]
    #[arg(long, global = true, env = "REGRESSD_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// The database: a file, or postgres://USER@HOST/NAME [default: regressd.db]
    #[arg(long, global = true, value_name = "PATH|URL")]
    database: Option<String>,
    /// Any other setting
    #[arg(long, global = true, value_name = "SECTION.KEY=VALUE", value_parser = setting)]
    set: Vec<(String, String)>,
    /// How log lines look
    #[arg(long, global = true, value_name = "FORMAT", value_parser = ["pretty", "json"])]
    log_format: Option<String>,
}

/// What the program does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Answer requests and do the work, in one process
    Serve(Addresses),
    /// Answer requests only; workers run elsewhere on the same database
    Api(Addresses),
    /// Do the work only
    Worker,
    /// Bring the schema of the database up to date
    Migrate,
    /// Print the OpenAPI document
    Openapi,
    /// Look at the settings
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print a completion script for a shell
    Completions {
        /// Shell
        shell: Shell,
    },
    /// Print the manual page, or write one file a command
    Man {
        /// Folder to write regressd.1, regressd-serve.1 and so on into
        #[arg(value_name = "DIR")]
        directory: Option<PathBuf>,
    },
    /// Make, list and revoke access tokens
    #[command(subcommand)]
    Token(TokenCommand),
    /// Show a regression from upload to comment, or send signed samples to a running service
    Simulate(SimulateArgs),
    /// Look at work that was given up, try it again, or drop it
    #[command(subcommand)]
    DeadLetters(DeadLettersCommand),
    /// Write the whole database to a file, while the service goes on
    Backup {
        /// The file [default: regressd-backup-TIME.jsonl in backup.directory, else in this folder]
        file: Option<PathBuf>,
    },
    /// Restore a backup into an empty database, of either kind
    Restore {
        /// The file
        file: PathBuf,
        /// Only prove that it is whole and can be restored; the database is not touched
        #[arg(long)]
        verify: bool,
    },
}

/// `regressd simulate`. Without `--url` a service and a GitHub start by themselves, on a database that is gone afterwards.
#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// Send to the service that runs here; needs REGRESSD_TOKEN and REGRESSD_GITHUB_WEBHOOK_SECRET
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// Only this sample repository
    #[arg(long, value_name = "LANGUAGE", value_parser = ["go", "rust", "python", "mixed"])]
    pub only: Option<String>,
    /// The owner of the sample repositories
    #[arg(long, default_value = "simulated", value_name = "NAME")]
    pub owner: String,
    /// The installation that deliveries name
    #[arg(long, default_value_t = 1, value_name = "ID", requires = "url")]
    pub installation: u64,
    /// Stay up afterwards, so that the pages can be looked at
    #[arg(long, conflicts_with = "url")]
    pub stay: bool,
}

/// Where to listen.
#[derive(Debug, Args)]
pub struct Addresses {
    /// Address to answer requests on [default: 127.0.0.1:8780]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Address to answer Prometheus on [default: 127.0.0.1:9780]
    #[arg(long, value_name = "ADDRESS:PORT")]
    metrics_listen: Option<String>,
}

/// `regressd config ...`
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Show every setting that has a value, and where that comes from; secrets are hidden
    Show,
}

/// `regressd token ...`
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token; it is shown once and never again
    Create {
        /// What it is for: OWNER/NAME, OWNER/*, or * for every repository
        repository: String,
        /// What it may do
        #[arg(long, default_value = "upload", value_parser = role())]
        role: Role,
        /// What it is called in lists
        #[arg(long, default_value = "")]
        name: String,
        /// Days until it expires; without it never
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
        expires: Option<u32>,
    },
    /// List tokens
    List,
    /// Revoke a token
    Revoke {
        /// Its id, as `token list` shows it
        id: String,
    },
}

/// `regressd dead-letters ...`
#[derive(Debug, Subcommand)]
pub enum DeadLettersCommand {
    /// List work that was given up
    List,
    /// Show one piece of work in full
    Show {
        /// Its number
        id: i64,
    },
    /// Try it again
    Retry {
        /// Its number; without one, everything
        id: Option<i64>,
    },
    /// Drop it for good
    Drop {
        /// Its number
        id: i64,
    },
}

/// The arguments with every `--set` moved behind the command: clap lets those behind it replace those before it, and
/// a setting must not be lost without a word.
fn gathered(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let (mut rest, mut sets) = (Vec::new(), Vec::new());
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        if argument == "--" {
            sets.push(argument);
            sets.extend(arguments.by_ref());
        } else if argument == "--set" {
            sets.push(argument);
            sets.extend(arguments.next());
        } else if argument.to_str().is_some_and(|text| text.starts_with("--set=")) {
            sets.push(argument);
        } else {
            rest.push(argument);
        }
    }
    rest.extend(sets);
    rest
}

impl Cli {
    /// The command line of this process; ends it with a message when it cannot be understood.
    #[must_use]
    pub fn of_process() -> Self {
        Self::parse_from(gathered(std::env::args_os()))
    }

    /// The sources of settings, with this process's environment.
    #[must_use]
    pub fn settings_sources(&self) -> SettingsSources {
        let mut flags = self.sources.set.clone();
        let mut flag = |key: &str, value: Option<&String>| {
            flags.extend(value.map(|value| (key.to_owned(), value.clone())));
        };
        flag("database.url", self.sources.database.as_ref());
        flag("logging.format", self.sources.log_format.as_ref());
        if let Command::Serve(addresses) | Command::Api(addresses) = &self.command {
            flag("server.listen", addresses.listen.as_ref());
            flag("server.metrics_listen", addresses.metrics_listen.as_ref());
        }
        let environment = std::env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(key, _)| key.starts_with("REGRESSD_"));
        SettingsSources {
            file: self.sources.config.clone(),
            environment: environment.collect(),
            flags,
        }
    }
}

/// Reads the roles, and offers them.
fn role() -> impl TypedValueParser<Value = Role> {
    PossibleValuesParser::new(Role::ALL.map(Role::as_str)).try_map(|name| name.parse())
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (path, value) = text.split_once('=').ok_or("give SECTION.KEY=VALUE")?;
    if !path.contains('.') {
        return Err(format!("{path:?} is not SECTION.KEY, such as server.public_read"));
    }
    Ok((path.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn settings_on_both_sides_of_the_command_count() {
        let line = "regressd --set jobs.workers=2 worker --set=jobs.attempts=3 --database x.db";
        let cli = Cli::parse_from(gathered(line.split(' ').map(OsString::from)));
        let flags = cli.settings_sources().flags;
        let own = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let all = [
            own("jobs.workers", "2"),
            own("jobs.attempts", "3"),
            own("database.url", "x.db"),
        ];
        assert!(all.iter().all(|flag| flags.contains(flag)), "{flags:?}");
    }
}
