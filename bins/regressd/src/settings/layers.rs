//! Settings from their sources. Each later source wins: the file, `REGRESSD_SECTION_KEY` variables, flags.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::{Table, Value};

use super::{Secret, Settings};
use crate::database::Location;

/// The file that is read when no other is named, if it is there.
const DEFAULT_FILE: &str = "regressd.toml";
const PREFIX: &str = "REGRESSD_";

/// Variables that are not settings: secrets, and what tests and the command line use.
const NOT_SETTINGS: [&str; 5] = [
    "REGRESSD_CONFIG",
    "REGRESSD_GITHUB_PRIVATE_KEY",
    "REGRESSD_GITHUB_WEBHOOK_SECRET",
    "REGRESSD_TEST_POSTGRES",
    "REGRESSD_TOKEN",
];

/// Why settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    File {
        /// Its path.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{path} is not TOML: {source}")]
    Syntax {
        /// Its path.
        path: PathBuf,
        /// Where and what.
        source: Box<toml::de::Error>,
    },
    /// A setting is unknown or has a value it cannot have.
    #[error("{source_name}: {message}")]
    Value {
        /// The file, the variable or the flag.
        source_name: String,
        /// What is wrong.
        message: String,
    },
}

/// Where settings come from. Kept, so that they can be read again while the service runs.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    /// The file that was asked for.
    pub file: Option<PathBuf>,
    /// The environment.
    pub environment: BTreeMap<String, String>,
    /// Flags as (`section.key`, value).
    pub flags: Vec<(String, String)>,
}

impl Layers {
    /// The file that is read: the one asked for, or `regressd.toml` if there is one.
    #[must_use]
    pub fn path(&self) -> Option<PathBuf> {
        let named = self
            .file
            .clone()
            .or_else(|| self.environment.get("REGRESSD_CONFIG").map(PathBuf::from));
        named.or_else(|| {
            let default = PathBuf::from(DEFAULT_FILE);
            default.is_file().then_some(default)
        })
    }

    /// Reads all sources.
    ///
    /// # Errors
    /// When one cannot be read, or holds a setting that there is not.
    pub fn read(&self) -> Result<Settings, SettingsError> {
        let mut table = Table::new();
        if let Some(path) = self.path() {
            let text = std::fs::read_to_string(&path).map_err(|source| SettingsError::File {
                path: path.clone(),
                source,
            })?;
            table = text.parse().map_err(|source| SettingsError::Syntax {
                path: path.clone(),
                source: Box::new(source),
            })?;
            check(&table, &path.display().to_string())?;
        }
        for (variable, value) in &self.environment {
            let Some(name) = variable.strip_prefix(PREFIX).filter(|_| !is_reserved(variable)) else {
                continue;
            };
            let Some((section, key)) = name.split_once('_') else {
                continue;
            };
            set(
                &mut table,
                &section.to_lowercase(),
                &key.to_lowercase(),
                value,
                variable,
            )?;
        }
        for (path, value) in &self.flags {
            let (section, key) = path.split_once('.').unwrap_or((path, ""));
            set(&mut table, section, key, value, &format!("--set {path}"))?;
        }
        check(&table, "settings")
    }

    /// The secret of a variable, or of the file that the settings name.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn secret(&self, variable: &str, file: Option<&Path>) -> Result<Option<Secret>, SettingsError> {
        if let Some(text) = self.environment.get(variable).filter(|text| !text.is_empty()) {
            return Ok(Some(Secret::new(text.clone())));
        }
        let read = |path: &Path| {
            Secret::from_file(path).map_err(|source| SettingsError::File {
                path: path.to_owned(),
                source,
            })
        };
        file.map(read).transpose()
    }

    /// Where the database is.
    ///
    /// # Errors
    /// When the file with its URL cannot be read, or it is no location.
    pub fn location(&self, settings: &Settings) -> Result<Location, SettingsError> {
        let from_file = self.secret("", settings.database.url_file.as_deref())?;
        let text = from_file
            .as_ref()
            .map_or(settings.database.url.as_str(), Secret::expose);
        text.parse().map_err(|error| SettingsError::Value {
            source_name: "database.url".to_owned(),
            message: format!("{error}"),
        })
    }
}

fn is_reserved(variable: &str) -> bool {
    NOT_SETTINGS.contains(&variable)
}

fn check(table: &Table, source_name: &str) -> Result<Settings, SettingsError> {
    Settings::deserialize(table.clone()).map_err(|error| SettingsError::Value {
        source_name: source_name.to_owned(),
        message: error.message().to_owned(),
    })
}

/// Sets one value and looks at once whether it can be, so that an error names its source. A text that is a number, a
/// list or a truth value in TOML is tried as that, then as a text.
fn set(
    table: &mut Table,
    section: &str,
    key: &str,
    text: &str,
    source_name: &str,
) -> Result<(), SettingsError> {
    let literal = format!("value = {text}").parse::<Table>().ok();
    let literal = literal.and_then(|mut table| table.remove("value"));
    let mut outcome = Ok(());
    for value in literal.into_iter().chain([Value::String(text.to_owned())]) {
        let mut changed = table.clone();
        let place = changed
            .entry(section.to_owned())
            .or_insert_with(|| Value::Table(Table::new()));
        if let Value::Table(place) = place {
            place.insert(key.to_owned(), value);
        }
        match check(&changed, source_name) {
            Ok(_) => {
                *table = changed;
                return Ok(());
            }
            Err(error) => outcome = Err(error),
        }
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers(environment: &[(&str, &str)], flags: &[(&str, &str)]) -> Layers {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Layers {
            file: None,
            environment: environment.iter().map(own).collect(),
            flags: flags.iter().map(own).collect(),
        }
    }

    #[test]
    fn later_sources_win() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.toml");
        std::fs::write(
            &path,
            "[jobs]\nworkers = 2\nattempts = 3\n[server]\npublic_read = true\n",
        )
        .unwrap();
        let mut layers = layers(
            &[("REGRESSD_JOBS_WORKERS", "5"), ("REGRESSD_DATABASE_URL", "a.db")],
            &[("jobs.workers", "7")],
        );
        layers.file = Some(path);
        let settings = layers.read().unwrap();
        assert_eq!((settings.jobs.workers, settings.jobs.attempts), (7, 3));
        assert!(settings.server.public_read);
        assert_eq!(settings.database.url, "a.db");
    }

    #[test]
    fn an_error_names_its_source() {
        let error = layers(&[("REGRESSD_JOBS_WORKERS", "many")], &[])
            .read()
            .unwrap_err();
        assert!(
            error.to_string().starts_with("REGRESSD_JOBS_WORKERS: "),
            "{error}"
        );
        let error = layers(&[], &[("server.colour", "red")]).read().unwrap_err();
        assert!(error.to_string().contains("unknown field `colour`"), "{error}");
    }

    #[test]
    fn secrets_are_not_shown() {
        let layers = layers(&[("REGRESSD_GITHUB_WEBHOOK_SECRET", "hush")], &[]);
        let secret = layers
            .secret("REGRESSD_GITHUB_WEBHOOK_SECRET", None)
            .unwrap()
            .unwrap();
        assert_eq!(secret.expose(), "hush");
        assert!(!format!("{secret:?}").contains("hush"));
    }
}
