//! Settings from several places, each value with its origin.
//!
//! A program describes its settings as one serde type with a default for everything:
//! `#[serde(default, deny_unknown_fields)]`. [`Layers`] then takes the places in rising order:
//! defaults, the user's file, the project's file, environment variables, flags.
//!
//! ```
//! use cli_kit::settings::{Layers, Origin};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize, Default)]
//! #[serde(default, deny_unknown_fields)]
//! struct Settings {
//!     threads: u32,
//!     database: Option<String>,
//! }
//!
//! let mut layers = Layers::<Settings>::new()?;
//! layers.add_text("snippex.toml", "threads = 4")?;
//! layers.add_variable("SNIPPEX_THREADS", "threads", |_| Some("8".to_owned()))?;
//! layers.add_flag("--database", "database", None::<&str>)?;
//! let resolved = layers.resolve_settings()?;
//! assert_eq!(resolved.value.threads, 8);
//! assert_eq!(resolved.origins["threads"].origin, Origin::Variable("SNIPPEX_THREADS".into()));
//! # Ok::<(), cli_kit::Failure>(())
//! ```
//!
//! Tables are merged key by key; any other value, lists included, is replaced as a whole. A value of
//! the wrong kind and a key that does not exist are refused with the file and line they stand in.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::ops::RangeInclusive;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};
use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use crate::{Failure, OrFail, Table as View};

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A file, as it was named, and a line in it, from 1.
    File(String, usize),
    /// An environment variable.
    Variable(String),
    /// A flag of the command line.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File(name, line) => write!(f, "{name}:{line}"),
            Origin::Variable(name) => write!(f, "environment {name}"),
            Origin::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// As its text.
impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A value as it is in force, and where it comes from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entry {
    /// The value.
    pub value: Value,
    /// Where it comes from.
    pub origin: Origin,
}

/// The settings in force.
#[derive(Debug, Clone)]
pub struct Resolved<T> {
    /// The settings.
    pub value: T,
    /// Every value by its key (`section.key`), for `config show`. A setting without value is left out.
    pub origins: BTreeMap<String, Entry>,
}

impl<T> Resolved<T> {
    /// Every value with its origin, as `config show` prints it.
    #[must_use]
    pub fn origins_view(&self) -> View {
        let mut view = View::new(["setting", "value", "origin"]);
        for (key, Entry { value, origin }) in &self.origins {
            view.add_row([key, &value.to_string(), &origin.to_string()]);
        }
        view
    }
}

/// Settings while they are put together.
#[derive(Debug)]
pub struct Layers<T> {
    merged: Table,
    origins: BTreeMap<String, Origin>,
    settings: PhantomData<fn() -> T>,
}

impl<T: Serialize + DeserializeOwned + Default> Layers<T> {
    /// Only the defaults.
    ///
    /// # Errors
    /// When `T` cannot be written as TOML, which is a mistake in the program.
    pub fn new() -> Result<Layers<T>, Failure> {
        let merged =
            Table::try_from(T::default()).or_fail("the default settings cannot be written as TOML")?;
        Ok(Layers {
            merged,
            origins: BTreeMap::new(),
            settings: PhantomData,
        })
    }

    /// Lays a file over what is there; a file that does not exist changes nothing.
    ///
    /// # Errors
    /// When the file cannot be read or is wrong, with the line.
    pub fn add_file(&mut self, path: &Path) -> Result<(), Failure> {
        match std::fs::read_to_string(path) {
            Ok(text) => self.add_text(&path.display().to_string(), &text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(Failure::with_cause(
                format!("cannot read {}", path.display()),
                &error,
            )),
        }
    }

    /// Lays the text of a file over what is there.
    ///
    /// # Errors
    /// When the text is no TOML or does not fit `T`, with the line.
    pub fn add_text(&mut self, name: &str, text: &str) -> Result<(), Failure> {
        let wrong = |error: &toml::de::Error| {
            let line = error.span().map_or(1, |span| line_of(text, span.start));
            Failure::new(format!("{name}:{line}: {}", error.message()))
                .hint(format!("mend line {line} of {name}, or remove it"))
        };
        // Parsed as the settings' own type first: that finds unknown keys and wrong kinds with their place.
        toml::from_str::<T>(text).map_err(|error| wrong(&error))?;
        let table: Table = toml::from_str(text).map_err(|error| wrong(&error))?;
        let places = DeTable::parse(text).map_err(|error| wrong(&error))?;
        record(places.get_ref(), "", &mut |key, offset| {
            self.origins
                .insert(key, Origin::File(name.to_owned(), line_of(text, offset)));
        });
        merge(&mut self.merged, table);
        Ok(())
    }

    /// Lays the environment variable `name`, if it is set, over the setting `key`.
    ///
    /// # Errors
    /// When its text does not fit the setting.
    pub fn add_variable(
        &mut self,
        name: &str,
        key: &str,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<(), Failure> {
        let Some(text) = environment(name) else {
            return Ok(());
        };
        self.typed(key, &text, &Origin::Variable(name.to_owned()))
            .map_err(|error| {
                Failure::new(format!("{name}={text}: {}", error.message()))
                    .hint(format!("correct {name} or unset it"))
            })
    }

    /// Lays a value that was typed as text, for a setting that was named with it (`--set KEY=VALUE`), over the setting
    /// `key`. `flag` is what to call it.
    ///
    /// # Errors
    /// When the text does not fit the setting.
    pub fn typed_flag(&mut self, flag: &str, key: &str, text: &str) -> Result<(), Failure> {
        self.typed(key, text, &Origin::Flag(flag.to_owned()))
            .map_err(|error| Failure::new(format!("{flag}: {}", error.message())))
    }

    /// Takes a text as what it looks like, if the setting takes that, else as the text it is.
    fn typed(&mut self, key: &str, text: &str, origin: &Origin) -> Result<(), toml::de::Error> {
        // `8`, `true` and `[1, 2]` are meant as what they look like.
        let literal = toml::from_str::<Table>(&format!("value = {text}"))
            .ok()
            .filter(|table| table.len() == 1)
            .and_then(|mut table| table.remove("value"));
        let refusal = match literal.map(|value| self.set(key, value, origin)) {
            Some(Ok(())) => return Ok(()),
            Some(Err(error)) => Some(error),
            None => None,
        };
        // What the literal was refused for says more than that a text is none.
        self.set(key, Value::String(text.to_owned()), origin)
            .map_err(|error| refusal.unwrap_or(error))
    }

    /// Lays the value of a flag, if it was given, over the setting `key`.
    ///
    /// # Errors
    /// When the value does not fit the setting.
    pub fn add_flag(&mut self, name: &str, key: &str, value: Option<impl Serialize>) -> Result<(), Failure> {
        let Some(value) = value else { return Ok(()) };
        let value = Value::try_from(value).or_fail_with(|| format!("cannot take the value of {name}"))?;
        self.set(key, value, &Origin::Flag(name.to_owned()))
            .map_err(|error| Failure::new(format!("{name}: {}", error.message())))
    }

    /// Takes the whole number at `key` as the nearest one in `range`, wherever it comes from.
    pub fn clamp(&mut self, key: &str, range: &RangeInclusive<i64>) {
        let mut parts = key.split('.');
        let first = parts.next().and_then(|part| self.merged.get_mut(part));
        let found = parts.fold(first, |value, part| value?.get_mut(part));
        if let Some(Value::Integer(number)) = found {
            *number = (*number).clamp(*range.start(), *range.end());
        }
    }

    /// The settings in force and the origin of each.
    ///
    /// # Errors
    /// When the layers do not fit together, which the checks of each layer leave little room for.
    pub fn resolve_settings(self) -> Result<Resolved<T>, Failure> {
        let mut origins = BTreeMap::new();
        flatten(&self.merged, "", &mut |key, value| {
            let origin = self.origins.get(&key).cloned().unwrap_or(Origin::Default);
            let value = value.clone();
            origins.insert(key, Entry { value, origin });
        });
        let value = self
            .merged
            .try_into()
            .or_fail("the settings do not fit together")?;
        Ok(Resolved { value, origins })
    }

    /// Puts `value` at `key` if the whole still fits `T`; else leaves everything as it was.
    fn set(&mut self, key: &str, value: Value, origin: &Origin) -> Result<(), toml::de::Error> {
        let mut parts = key.rsplit('.');
        let last = parts.next().unwrap_or(key);
        let layer = parts.fold(Table::from_iter([(last.to_owned(), value)]), |layer, section| {
            Table::from_iter([(section.to_owned(), Value::Table(layer))])
        });
        let mut changed = self.merged.clone();
        merge(&mut changed, layer.clone());
        changed.clone().try_into::<T>()?;
        self.merged = changed;
        flatten(&layer, "", &mut |key, _| {
            self.origins.insert(key, origin.clone());
        });
        Ok(())
    }
}

/// Lays `over` on `under`: tables are merged, everything else is replaced.
fn merge(under: &mut Table, over: Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Table(under)), Value::Table(over)) => merge(under, over),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

/// Calls `found` with each value that is not a table, and its key.
fn flatten(table: &Table, prefix: &str, found: &mut impl FnMut(String, &Value)) {
    for (key, value) in table {
        match value {
            Value::Table(table) => flatten(table, &format!("{prefix}{key}."), found),
            value => found(format!("{prefix}{key}"), value),
        }
    }
}

/// Calls `found` with the key of each value that is not a table, and where it starts in the text.
fn record(table: &DeTable<'_>, prefix: &str, found: &mut impl FnMut(String, usize)) {
    for (key, value) in table {
        let name = format!("{prefix}{}", key.get_ref());
        match value.get_ref() {
            DeValue::Table(table) => record(table, &format!("{name}."), found),
            _ => found(name, key.span().start),
        }
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    1 + before.iter().filter(|&&byte| byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Serialize, Deserialize, PartialEq)]
    #[serde(default, deny_unknown_fields)]
    struct Settings {
        threads: u32,
        database: Option<String>,
        cache: Cache,
        engines: Vec<String>,
    }

    #[derive(Debug, Serialize, Deserialize, PartialEq)]
    #[serde(default, deny_unknown_fields)]
    struct Cache {
        enabled: bool,
        days: f64,
    }

    impl Default for Settings {
        fn default() -> Settings {
            Settings {
                threads: 2,
                database: None,
                cache: Cache::default(),
                engines: vec!["native".into()],
            }
        }
    }

    impl Default for Cache {
        fn default() -> Cache {
            Cache {
                enabled: true,
                days: 7.0,
            }
        }
    }

    fn set(value: &'static str) -> impl Fn(&str) -> Option<String> {
        move |_| Some(value.to_owned())
    }

    #[test]
    fn later_layers_win_and_every_value_knows_its_origin() {
        let mut layers = Layers::<Settings>::new().unwrap();
        layers
            .add_text("user.toml", "threads = 3\n[cache]\nenabled = false\ndays = 1.5\n")
            .unwrap();
        layers
            .add_text("project.toml", "engines = ['a', 'b']\n\ncache.days = 2.5\n")
            .unwrap();
        layers.add_variable("APP_THREADS", "threads", set("4")).unwrap();
        layers.add_variable("APP_NOTHING", "threads", |_| None).unwrap();
        layers.add_flag("--database", "database", Some("x.db")).unwrap();
        let resolved = layers.resolve_settings().unwrap();
        assert_eq!(
            resolved.value,
            Settings {
                threads: 4,
                database: Some("x.db".into()),
                cache: Cache {
                    enabled: false,
                    days: 2.5
                },
                engines: vec!["a".into(), "b".into()],
            }
        );
        let view = anstream::adapter::strip_str(&resolved.origins_view().to_string()).to_string();
        let words: Vec<Vec<&str>> = view
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(
            words,
            [
                vec!["setting", "value", "origin"],
                vec!["cache.days", "2.5", "project.toml:3"],
                vec!["cache.enabled", "false", "user.toml:3"],
                vec!["database", "\"x.db\"", "flag", "--database"],
                vec!["engines", "[\"a\",", "\"b\"]", "project.toml:1"],
                vec!["threads", "4", "environment", "APP_THREADS"],
            ]
        );
        let json = serde_json::to_string(&resolved.origins["threads"]).unwrap();
        assert_eq!(json, r#"{"value":4,"origin":"environment APP_THREADS"}"#);
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let mut layers = Layers::<Settings>::new().unwrap();
        let failure = layers
            .add_text("project.toml", "threads = 1\n\n[cache]\ndais = 2\n")
            .unwrap_err();
        assert!(
            failure
                .to_string()
                .starts_with("project.toml:4: unknown field `dais`"),
            "{failure}"
        );
        let failure = layers.add_text("project.toml", "threads = 'many'").unwrap_err();
        assert!(
            failure.to_string().starts_with("project.toml:1: invalid type"),
            "{failure}"
        );
        let failure = layers
            .add_text("project.toml", "threads = 1\nthreads = \n")
            .unwrap_err();
        assert!(failure.to_string().starts_with("project.toml:2: "), "{failure}");
        assert_eq!(
            layers.resolve_settings().unwrap().value,
            Settings::default(),
            "a refused layer leaves no trace"
        );
    }

    #[test]
    fn a_variable_is_taken_as_what_the_setting_wants() {
        let mut layers = Layers::<Settings>::new().unwrap();
        layers
            .add_variable("APP_DATABASE", "database", set("2026"))
            .unwrap();
        layers
            .add_variable("APP_CACHE", "cache.enabled", set("false"))
            .unwrap();
        layers
            .add_variable("APP_ENGINES", "engines", set("['x', 'y']"))
            .unwrap();
        let failure = layers
            .add_variable("APP_THREADS", "threads", set("many"))
            .unwrap_err();
        assert!(
            failure.to_string().starts_with("APP_THREADS=many: invalid type"),
            "{failure}"
        );
        let value = layers.resolve_settings().unwrap().value;
        assert_eq!(value.database.as_deref(), Some("2026"));
        assert!(!value.cache.enabled);
        assert_eq!(value.engines, ["x", "y"]);
        assert_eq!(value.threads, 2);
    }

    #[test]
    fn a_variable_for_a_whole_section_owns_only_what_it_says() {
        let mut layers = Layers::<Settings>::new().unwrap();
        layers
            .add_text("f", "[cache]\nenabled = false\ndays = 1")
            .unwrap();
        layers
            .add_variable("APP_CACHE", "cache", set("{ days = 2.0 }"))
            .unwrap();
        let refused = layers
            .add_variable("APP_DAYS", "cache.days", set("3.0\nthreads = 4"))
            .unwrap_err();
        assert!(
            refused.to_string().contains("invalid type: string"),
            "one value only: {refused}"
        );
        let origins = layers.resolve_settings().unwrap().origins;
        assert_eq!(origins["cache.days"].origin, Origin::Variable("APP_CACHE".into()));
        assert_eq!(origins["cache.enabled"].origin, Origin::File("f".into(), 2));
        assert_eq!(origins["threads"].origin, Origin::Default);
    }

    #[test]
    fn a_number_out_of_range_is_the_nearest_one() {
        let mut layers = Layers::<Settings>::new().unwrap();
        layers.add_text("f", "threads = 90").unwrap();
        for key in ["threads", "cache.days", "nothing.here"] {
            layers.clamp(key, &(1..=64));
        }
        let resolved = layers.resolve_settings().unwrap();
        assert_eq!((resolved.value.threads, resolved.value.cache.days), (64, 7.0));
        assert_eq!(resolved.origins["threads"].value, Value::Integer(64));
        assert_eq!(resolved.origins["threads"].origin, Origin::File("f".into(), 1));
    }

    #[test]
    fn a_missing_file_changes_nothing_and_an_unreadable_one_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let mut layers = Layers::<Settings>::new().unwrap();
        layers.add_file(&folder.path().join("none.toml")).unwrap();
        let failure = layers.add_file(folder.path()).unwrap_err();
        assert!(failure.to_string().starts_with("cannot read "), "{failure}");
        assert_eq!(layers.resolve_settings().unwrap().value, Settings::default());
    }
}
