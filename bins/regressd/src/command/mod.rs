//! What each subcommand does.

mod backup;
mod completions;
mod config;
mod dead_letters;
mod man;
mod serve;
mod simulate;
mod token;

use std::fmt::Display;
use std::io::Write as _;
use std::process::ExitCode;

use crate::args::{Cli, Command, ConfigCommand};
use crate::database::{self, Database, DatabaseError};
use crate::server;
use crate::settings::{Settings, SettingsError, SettingsSources};
use crate::telemetry::TelemetryError;

/// What ends a command: a message that says what to do about it.
#[derive(Debug)]
pub(crate) struct CommandError(String);

impl CommandError {
    pub(crate) fn new(message: impl Display) -> Self {
        Self(message.to_string())
    }
}

macro_rules! command_error_from {
    ($($error:ty),*) => {
        $(impl From<$error> for CommandError {
            fn from(error: $error) -> Self {
                Self::new(error)
            }
        })*
    };
}

command_error_from!(
    DatabaseError,
    SettingsError,
    TelemetryError,
    server::ServeError,
    std::io::Error,
    sqlx::Error,
    crate::simulate::SendError,
    crate::simulate::StageError
);

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::of_process();
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(CommandError(message)) => {
            eprintln!("error: {message}");
            ExitCode::from(2)
        }
    }
}

fn run(cli: &Cli) -> Result<(), CommandError> {
    let layers = cli.settings_sources();
    let settings = match &cli.command {
        // A script or a page can be made where the settings are no good.
        Command::Completions { .. } | Command::Man { .. } => Settings::default(),
        _ => layers.read_settings()?,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match &cli.command {
            Command::Serve(_) => serve::run(layers, settings, serve::Roles::BOTH).await,
            Command::Api(_) => serve::run(layers, settings, serve::Roles::API).await,
            Command::Worker => serve::run(layers, settings, serve::Roles::WORKER).await,
            Command::Migrate => migrate(&layers, &settings).await,
            Command::Openapi => {
                let document = server::openapi_document().to_pretty_json().map_err(CommandError::new)?;
                print_line(format_args!("{document}"))
            }
            Command::Config(ConfigCommand::Show) => config::print_settings(&layers),
            Command::Completions { shell } => completions::print_completions(*shell),
            Command::Man { directory } => man::print_or_write_pages(directory.as_deref()),
            Command::Simulate(args) => simulate::run(&layers, &settings, args).await,
            Command::Token(command) => {
                // A typing mistake must not make a new database, for which the service would not know the token.
                let location = layers.database_location(&settings)?;
                if location.file().is_some_and(|file| !file.exists()) {
                    return Err(CommandError::new(format!(
                        "there is no database {location}; name the service's with --database, or make one with regressd migrate"
                    )));
                }
                token::run(&open_database(&layers, &settings).await?, command).await
            }
            Command::DeadLetters(command) => {
                dead_letters::run(&open_database(&layers, &settings).await?, command).await
            }
            Command::Backup { file } => {
                backup::make_backup(&open_database(&layers, &settings).await?, &settings, file.as_deref()).await
            }
            Command::Restore { file, verify: true } => backup::verify_backup(file).await,
            Command::Restore { file, verify: false } => {
                backup::restore_backup(&open_database(&layers, &settings).await?, file).await
            }
        }
    })
}

async fn migrate(layers: &SettingsSources, settings: &Settings) -> Result<(), CommandError> {
    let location = layers.database_location(settings)?;
    let before = database::migrate_database(&location).await?;
    let after = database::LATEST;
    if before == after {
        print_line(format_args!("{location} has schema version {after} already"))
    } else {
        print_line(format_args!("{location}: schema version {before} -> {after}"))
    }
}

/// Opens the database of the settings.
pub(crate) async fn open_database(
    layers: &SettingsSources,
    settings: &Settings,
) -> Result<Database, CommandError> {
    Ok(Database::open(&layers.database_location(settings)?).await?)
}

/// Prints a line; a reader that has gone is no error.
pub(crate) fn print_line(line: std::fmt::Arguments<'_>) -> Result<(), CommandError> {
    match writeln!(std::io::stdout(), "{line}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
