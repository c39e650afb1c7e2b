//! Where settings come from. Each later source wins: the file, `REGRESSD_SECTION_KEY` variables, flags. How layers are
//! laid over each other is `cli-kit`'s.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cli_kit::Failure;
use cli_kit::settings::{Layers, Resolved};
use database_kit::LocationError;

use super::ranges::RANGES;
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
    /// A setting is unknown or has a value it cannot have; the text names the file and line, the variable or the flag.
    #[error("{0}")]
    Value(Failure),
    /// The place of the database cannot be understood.
    #[error("database.url: {0}")]
    Location(#[from] LocationError),
}

/// Where settings come from. Kept, so that they can be read again while the service runs.
#[derive(Clone, Debug, Default)]
pub struct SettingsSources {
    /// The file that was asked for.
    pub file: Option<PathBuf>,
    /// The environment.
    pub environment: BTreeMap<String, String>,
    /// Flags as (`section.key`, value).
    pub flags: Vec<(String, String)>,
}

impl From<Failure> for SettingsError {
    fn from(failure: Failure) -> Self {
        Self::Value(failure)
    }
}

impl SettingsSources {
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
    pub fn read_settings(&self) -> Result<Settings, SettingsError> {
        Ok(self.resolve_settings()?.value)
    }

    /// Reads all sources, and says of each setting where it comes from.
    ///
    /// # Errors
    /// When one cannot be read, or holds a setting that there is not.
    pub fn resolve_settings(&self) -> Result<Resolved<Settings>, SettingsError> {
        let mut layers = Layers::new()?;
        if let Some(path) = self.path() {
            let text = std::fs::read_to_string(&path).map_err(|source| SettingsError::File {
                path: path.clone(),
                source,
            })?;
            layers.add_text(&path.display().to_string(), &text)?;
        }
        for variable in self.environment.keys() {
            if let Some(key) = setting_of_variable(variable) {
                layers.add_variable(variable, &key, |name| self.environment.get(name).cloned())?;
            }
        }
        for (key, value) in &self.flags {
            layers.typed_flag(&format!("--set {key}"), key, value)?;
        }
        for (key, range) in &RANGES {
            layers.clamp(key, range);
        }
        Ok(layers.resolve_settings()?)
    }

    /// The secret of a variable, or of the file that the settings name.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read_secret(&self, variable: &str, file: Option<&Path>) -> Result<Option<Secret>, SettingsError> {
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
    pub fn database_location(&self, settings: &Settings) -> Result<Location, SettingsError> {
        let from_file = self.read_secret("", settings.database.url_file.as_deref())?;
        let text = from_file
            .as_ref()
            .map_or(settings.database.url.as_str(), Secret::expose);
        Ok(text.parse()?)
    }
}

/// `REGRESSD_SECTION_KEY` is `section.key`; `None` for what is no setting.
fn setting_of_variable(variable: &str) -> Option<String> {
    let name = variable.strip_prefix(PREFIX)?;
    let (section, key) = name.split_once('_')?;
    let is_setting = !NOT_SETTINGS.contains(&variable);
    is_setting.then(|| format!("{}.{}", section.to_lowercase(), key.to_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(environment: &[(&str, &str)], flags: &[(&str, &str)]) -> SettingsSources {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        SettingsSources {
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
        let mut sources = sources(
            &[("REGRESSD_JOBS_WORKERS", "5"), ("REGRESSD_DATABASE_URL", "a.db")],
            &[("jobs.workers", "7")],
        );
        sources.file = Some(path);
        let settings = sources.read_settings().unwrap();
        assert_eq!((settings.jobs.workers, settings.jobs.attempts), (7, 3));
        assert!(settings.server.public_read);
        assert_eq!(settings.database.url, "a.db");
    }

    #[test]
    fn an_error_names_its_source() {
        let error = sources(&[("REGRESSD_JOBS_WORKERS", "many")], &[])
            .read_settings()
            .unwrap_err();
        assert!(
            error.to_string().starts_with("REGRESSD_JOBS_WORKERS=many: "),
            "{error}"
        );
        let error = sources(&[], &[("server.colour", "red")])
            .read_settings()
            .unwrap_err();
        assert!(error.to_string().contains("unknown field `colour`"), "{error}");
    }

    #[test]
    fn what_is_out_of_range_is_the_nearest_value_within() {
        let defaults = sources(&[], &[]).resolve_settings().unwrap();
        for (key, range) in &RANGES {
            assert!(defaults.origins.contains_key(*key), "{key}");
            let below = (range.start() - 1).to_string();
            let resolved = sources(&[], &[(key, &below)]).resolve_settings().unwrap();
            assert_eq!(
                resolved.origins[*key].value.as_integer(),
                Some(*range.start()),
                "{key}"
            );
        }
        let settings = sources(&[], &[("analytics.processes", "500")])
            .read_settings()
            .unwrap();
        assert_eq!(settings.analytics.processes, 64);
    }

    #[test]
    fn judgements_that_make_no_sense_are_refused() {
        for (key, value) in [
            ("judging.threshold_percent", "-3"),
            ("judging.threshold_percent", "nan"),
            ("judging.min_samples", "0"),
        ] {
            let error = sources(&[], &[(key, value)])
                .read_settings()
                .unwrap_err()
                .to_string();
            assert!(
                error.starts_with(&format!("--set {key}: ")) && error.contains("out of range"),
                "{error}"
            );
        }
    }

    #[test]
    fn metrics_can_be_served_nowhere() {
        let settings = sources(&[], &[("server.metrics_listen", "")])
            .read_settings()
            .unwrap();
        assert_eq!(settings.server.metrics_listen, None);
        let error = sources(&[], &[("server.metrics_listen", "here")])
            .read_settings()
            .unwrap_err()
            .to_string();
        assert!(error.contains("no address with a port"), "{error}");
    }

    #[test]
    fn secrets_are_not_shown() {
        let layers = sources(&[("REGRESSD_GITHUB_WEBHOOK_SECRET", "hush")], &[]);
        let secret = layers
            .read_secret("REGRESSD_GITHUB_WEBHOOK_SECRET", None)
            .unwrap()
            .unwrap();
        assert_eq!(secret.expose(), "hush");
        assert!(!format!("{secret:?}").contains("hush"));
    }
}
