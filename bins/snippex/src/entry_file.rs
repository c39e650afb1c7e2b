//! Entries of engines and hosts in a settings file: added at its end, removed with their lines, the rest left as it is.

use std::fs;
use std::path::{Path, PathBuf};

use cli_kit::{Failure, OrFail};
use serde::Serialize;

use crate::settings::{self, Settings};

/// What an entry is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    Engines,
    Hosts,
}

impl Section {
    /// The table's name in the file.
    fn table(self) -> &'static str {
        match self {
            Self::Engines => "engines",
            Self::Hosts => "hosts",
        }
    }

    /// One of them, in words.
    fn word(self) -> &'static str {
        match self {
            Self::Engines => "engine",
            Self::Hosts => "host",
        }
    }

    fn has(self, settings: &Settings, name: &str) -> bool {
        match self {
            Self::Engines => settings.engines.contains_key(name),
            Self::Hosts => settings.hosts.contains_key(name),
        }
    }
}

/// The file that is changed: the user's, or the project's, which is made here when there is none.
pub(crate) fn find_settings_file(user: bool) -> Result<PathBuf, Failure> {
    if user {
        return settings::user_file().ok_or_else(|| {
            Failure::new("there is no home folder to keep settings in").hint("leave --user out, or set HOME")
        });
    }
    Ok(settings::project_file().unwrap_or_else(|| PathBuf::from("snippex.toml")))
}

/// Adds `entry` at the end of the file.
pub(crate) fn add_settings_entry(
    path: &Path,
    section: Section,
    name: &str,
    entry: &impl Serialize,
) -> Result<(), Failure> {
    let before = read(path)?;
    if !section.has(&mentions(&before, path)?, name) {
        let mut table = toml::Table::new();
        let entry = toml::Value::try_from(entry).or_fail("the entry cannot be written as TOML")?;
        table.insert(
            section.table().into(),
            toml::Table::from_iter([(name.to_owned(), entry)]).into(),
        );
        let added = toml::to_string(&table).or_fail("the entry cannot be written as TOML")?;
        let gap = if before.is_empty() || before.ends_with("\n\n") {
            ""
        } else {
            "\n"
        };
        let newline = if before.is_empty() || before.ends_with('\n') {
            ""
        } else {
            "\n"
        };
        return write(path, &format!("{before}{newline}{gap}{added}"));
    }
    Err(Failure::new(format!(
        "{} has the {} {name} already",
        path.display(),
        section.word()
    ))
    .hint(format!(
        "remove it first: snippex {} remove {name}",
        section.table()
    )))
}

/// Removes the lines of the entry called `name`.
pub(crate) fn remove_settings_entry(path: &Path, section: Section, name: &str) -> Result<(), Failure> {
    let before = read(path)?;
    let (table, word) = (section.table(), section.word());
    if !section.has(&mentions(&before, path)?, name) {
        return Err(
            Failure::new(format!("{} has no {word} called {name}", path.display())).hint(format!(
                "snippex {table} list shows which there are; presets cannot be removed"
            )),
        );
    }
    let after = without(&before, table, name);
    if section.has(&mentions(&after, path)?, name) {
        return Err(Failure::new(format!(
            "{} says {word} {name} in a way that is not ours",
            path.display()
        ))
        .hint("remove it by hand"));
    }
    write(path, &after)
}

/// The text without the sections `[TABLE.NAME]` and `[TABLE.NAME.*]`.
fn without(text: &str, table: &str, name: &str) -> String {
    let table = format!("{table}.");
    let quoted = format!("\"{name}\"");
    let mut kept = String::new();
    let mut inside = false;
    for line in text.split_inclusive('\n') {
        if let Some(header) = line.trim().strip_prefix('[') {
            let section = header.split(']').next().unwrap_or_default().trim();
            let rest = section.strip_prefix(&table).unwrap_or_default();
            let rest = rest.strip_prefix(name).or_else(|| rest.strip_prefix(&quoted));
            inside = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        }
        if !inside {
            kept.push_str(line);
        }
    }
    let end = kept.trim_end().len();
    kept.truncate(end);
    if !kept.is_empty() {
        kept.push('\n');
    }
    kept
}

fn read(path: &Path) -> Result<String, Failure> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(Failure::with_cause(
            format!("cannot read {}", path.display()),
            &error,
        )),
    }
}

fn mentions(text: &str, path: &Path) -> Result<Settings, Failure> {
    toml::from_str(text).or_fail_with(|| format!("{} is not a settings file", path.display()))
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    // What is written must be read again by the next command.
    mentions(text, path)?;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).or_fail_with(|| format!("cannot make {}", folder.display()))?;
    }
    fs::write(path, text).or_fail_with(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use snippex_exec::engine::EngineEntry;

    use super::Section::Engines;
    use super::*;

    #[test]
    fn what_is_added_is_removed_and_comments_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("snippex.toml");
        let before = "# ours\nstates = 8 # few\n\n[engines.other]\ncommand = 'a {runner}'\n";
        fs::write(&path, before).unwrap();
        let entry = EngineEntry {
            command: Some("b {runner}".into()),
            environment: [("A".to_owned(), "1".to_owned())].into(),
            ..EngineEntry::default()
        };
        add_settings_entry(&path, Engines, "my.emu", &entry).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with(before), "{text}");
        let settings: Settings = toml::from_str(&text).unwrap();
        assert_eq!(settings.engines["my.emu"], entry);
        assert!(add_settings_entry(&path, Engines, "my.emu", &entry).is_err());
        remove_settings_entry(&path, Engines, "my.emu").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), before);
        assert!(remove_settings_entry(&path, Engines, "my.emu").is_err());
    }
}
