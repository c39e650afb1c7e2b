//! Where a program's files belong on this machine, and how a project's settings are found.
//!
//! The XDG base directories, on every Unix. The environment comes as a function so that tests need
//! not change their own.

use std::path::{Path, PathBuf};

/// The environment of this process, to be handed to the other functions.
#[must_use]
pub fn environment_variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The user's settings file of `program`: `~/.config/{program}/config.toml`.
pub fn user_settings(program: &str, environment: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    Some(
        base("XDG_CONFIG_HOME", ".config", environment)?
            .join(program)
            .join("config.toml"),
    )
}

/// Where `program` keeps what it makes for the user: `~/.local/share/{program}`.
pub fn data_folder(program: &str, environment: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    Some(base("XDG_DATA_HOME", ".local/share", environment)?.join(program))
}

/// Where `program` keeps what it can make again: `~/.cache/{program}`.
pub fn cache_folder(program: &str, environment: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    Some(base("XDG_CACHE_HOME", ".cache", environment)?.join(program))
}

/// The file of that name in `from` or the nearest folder above it.
#[must_use]
pub fn find_upward(from: &Path, name: &str) -> Option<PathBuf> {
    from.ancestors()
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

/// The specification has relative paths in these variables be ignored.
fn base(variable: &str, default: &str, environment: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let absolute = |path: String| Some(PathBuf::from(path)).filter(|path| path.is_absolute());
    environment(variable)
        .and_then(absolute)
        .or_else(|| Some(environment("HOME").and_then(absolute)?.join(default)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_win_over_the_home_folder_if_they_are_absolute() {
        let home = |name: &str| (name == "HOME").then(|| "/home/u".to_owned());
        assert_eq!(
            data_folder("snippex", home),
            Some("/home/u/.local/share/snippex".into())
        );
        assert_eq!(
            user_settings("snippex", home),
            Some("/home/u/.config/snippex/config.toml".into())
        );
        let with = |value: &'static str| {
            move |name: &str| match name {
                "XDG_CACHE_HOME" => Some(value.to_owned()),
                _ => home(name),
            }
        };
        assert_eq!(cache_folder("snippex", with("/c")), Some("/c/snippex".into()));
        assert_eq!(
            cache_folder("snippex", with("c")),
            Some("/home/u/.cache/snippex".into())
        );
        assert_eq!(cache_folder("snippex", |_| None), None);
    }

    #[test]
    fn the_nearest_file_upward_is_found() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("a/b/c");
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::write(root.path().join("kit-test.toml"), "").unwrap();
        std::fs::write(root.path().join("a/b/kit-test.toml"), "").unwrap();
        assert_eq!(
            find_upward(&deep, "kit-test.toml"),
            Some(root.path().join("a/b/kit-test.toml"))
        );
        assert_eq!(find_upward(root.path(), "kit-none.toml"), None);
    }
}
