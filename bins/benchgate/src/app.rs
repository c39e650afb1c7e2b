//! What every command is handed: where to print, what is set, where the project is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cli_kit::settings::{Origin, Resolved};
use cli_kit::{CancelToken, Failure, OrFail, Printer, paths};
use regress_core::detect::Thresholds;
use regress_core::environment::Environment;

use crate::args::{Format, GlobalArgs};
use crate::machine;
use crate::settings::{self, Flags, Settings};

/// The program while it runs a command.
#[derive(Debug)]
pub(crate) struct App<'a> {
    pub(crate) printer: &'a Printer,
    pub(crate) format: Format,
    /// Whether rows that did not change are always shown.
    pub(crate) all: bool,
    /// Whether what happens inside is said.
    pub(crate) verbose: bool,
    pub(crate) settings: Settings,
    pub(crate) cancel: CancelToken,
    /// The folder of the settings file, else of the repository, else the current one: what relative paths of the
    /// settings start from.
    pub(crate) root: PathBuf,
    /// The settings file, if there is one.
    pub(crate) project: Option<PathBuf>,
    /// The current folder.
    pub(crate) here: PathBuf,
    /// Keys of settings that were typed.
    typed: BTreeSet<String>,
}

impl<'a> App<'a> {
    /// Reads the settings.
    pub(crate) fn new(
        printer: &'a Printer,
        global: &GlobalArgs,
        flags: Flags<'_>,
        cancel: CancelToken,
    ) -> Result<Self, Failure> {
        let here = std::env::current_dir().or_fail("cannot tell the current folder")?;
        let repository = here.ancestors().find(|folder| folder.join(".git").exists());
        let project = match &global.files.config {
            Some(path) if path.is_file() => Some(here.join(path)),
            Some(path) => {
                return Err(Failure::new(format!(
                    "there is no settings file {}",
                    path.display()
                )));
            }
            // Settings above the repository are another project's.
            None => paths::find_upward(&here, "benchgate.toml")
                .filter(|found| repository.is_none_or(|folder| found.starts_with(folder))),
        };
        let folder = project.as_deref().and_then(Path::parent).or(repository);
        let root = folder.unwrap_or(&here).to_path_buf();
        let resolved = settings::resolve_settings(project.as_deref(), flags)?;
        if global.verbose > 1 {
            printer.print_note(resolved.origins_view());
        }
        let Resolved { mut value, origins } = resolved;
        for (key, path) in [
            ("baseline", &mut value.baseline),
            ("history", &mut value.history),
            ("state", &mut value.state),
        ] {
            // What was typed is meant from where it was typed.
            let typed = origins
                .get(key)
                .is_some_and(|entry| matches!(entry.origin, Origin::Flag(_)));
            *path = if typed {
                here.join(&*path)
            } else {
                root.join(&*path)
            };
        }
        let is_flag = |origin: &Origin| matches!(origin, Origin::Flag(_));
        let typed = origins.iter().filter(|(_, entry)| is_flag(&entry.origin));
        let typed = typed.map(|(key, _)| key.clone()).collect();
        let app = Self {
            printer,
            format: global.format,
            all: global.all,
            verbose: global.verbose > 0,
            settings: value,
            cancel,
            root,
            project,
            here,
            typed,
        };
        app.print_detail(|| match &app.project {
            Some(path) => format!("settings: {}", app.display_path(path)),
            None => "settings: no benchgate.toml from here upward".to_owned(),
        });
        Ok(app)
    }

    /// Says with `--verbose` what happens inside.
    pub(crate) fn print_detail(&self, text: impl FnOnce() -> String) {
        if self.verbose {
            self.printer.print_note(text());
        }
    }

    /// A file of the state folder.
    pub(crate) fn state_file(&self, name: &str) -> PathBuf {
        self.settings.state.join(name)
    }

    /// The rules, ready to match.
    pub(crate) fn thresholds(&self) -> Result<Thresholds, Failure> {
        self.settings.thresholds()
    }

    /// The globs of `--rule`.
    pub(crate) fn typed_rules(&self) -> Vec<String> {
        let rules = self.settings.rules.iter().filter(|_| self.is_typed("rules"));
        rules.map(|rule| rule.benchmark.clone()).collect()
    }

    /// The measures of `--direction`.
    pub(crate) fn typed_directions(&self) -> Vec<String> {
        let directions = self.settings.directions.keys();
        directions
            .filter(|_| self.is_typed("directions"))
            .cloned()
            .collect()
    }

    fn is_typed(&self, key: &str) -> bool {
        self.typed
            .iter()
            .any(|typed| typed == key || typed.strip_prefix(key).is_some_and(|rest| rest.starts_with('.')))
    }

    /// This machine, as the settings want it described.
    pub(crate) fn detect_environment(&self) -> Result<Environment, Failure> {
        machine::detect_environment(&self.settings.tags, &self.settings.ignore_parts, &self.cancel)
    }

    /// `path` as a person here would type it.
    pub(crate) fn display_path<'p>(&self, path: &'p Path) -> std::path::Display<'p> {
        path.strip_prefix(&self.here).unwrap_or(path).display()
    }
}
