//! The settings as `regressd config show` prints them: each with its value and where that comes from. Secrets are named
//! and not shown.

use cli_kit::Table;
use cli_kit::settings::{Entry, Resolved};
use database_kit::without_secrets;
use toml::Value;

use super::{Settings, SettingsSources};

const HIDDEN: &str = "(hidden)";

/// A secret: what it is called here, its variable, and the setting that names its file.
const SECRETS: [(&str, &str, &str); 2] = [
    (
        "github.private_key",
        "REGRESSD_GITHUB_PRIVATE_KEY",
        "github.private_key_file",
    ),
    (
        "github.webhook_secret",
        "REGRESSD_GITHUB_WEBHOOK_SECRET",
        "github.webhook_secret_file",
    ),
];

impl SettingsSources {
    /// Each setting that has a value, with where it comes from, in the order of their names.
    #[must_use]
    pub fn origins_table(&self, resolved: &Resolved<Settings>) -> Table {
        let mut rows: Vec<[String; 3]> = resolved
            .origins
            .iter()
            .map(|(key, Entry { value, origin })| [key.clone(), shown(value).to_string(), origin.to_string()])
            .collect();
        if let Some(path) = &resolved.value.database.url_file {
            // What the file says stands in for the setting, and may hold a password.
            rows.retain(|[key, ..]| key != "database.url");
            rows.push(row_of_secret("database.url", format!("file {}", path.display())));
        }
        for (name, variable, file) in SECRETS {
            let is_given = self
                .environment
                .get(variable)
                .is_some_and(|text| !text.is_empty());
            if is_given {
                rows.push(row_of_secret(name, format!("environment {variable}")));
            } else if let Some(Value::String(path)) = resolved.origins.get(file).map(|entry| &entry.value) {
                rows.push(row_of_secret(name, format!("file {path}")));
            }
        }
        rows.sort();
        let mut table = Table::new(["setting", "value", "origin"]);
        for row in rows {
            table.add_row(row);
        }
        table
    }
}

fn row_of_secret(name: &str, origin: String) -> [String; 3] {
    [name.to_owned(), HIDDEN.to_owned(), origin]
}

/// A value without the passwords of the URLs in it.
fn shown(value: &Value) -> Value {
    match value {
        Value::String(text) => {
            let hidden = without_secrets(text);
            // Reading and writing a URL may add a slash, which nobody set.
            let same = hidden.trim_end_matches('/') == text.trim_end_matches('/');
            Value::String(if same { text.clone() } else { hidden })
        }
        Value::Array(items) => Value::Array(items.iter().map(shown).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_has_an_origin_and_no_secret_is_shown() {
        let own = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        let mut sources = SettingsSources {
            file: None,
            environment: [
                ("REGRESSD_DATABASE_URL", "postgres://me:hush@host/data"),
                ("REGRESSD_GITHUB_WEBHOOK_SECRET", "hush"),
            ]
            .map(own)
            .into(),
            flags: [
                ("jobs.workers", "3"),
                ("github.private_key_file", "/keys/app.pem"),
                ("logging.opentelemetry", "http://me:hush@collector:4318"),
            ]
            .map(own)
            .into(),
        };
        let text = |sources: &SettingsSources| {
            let table = sources
                .origins_table(&sources.resolve_settings().unwrap())
                .to_string();
            let lines = table.lines().map(|line| {
                let words: Vec<&str> = line.split_whitespace().collect();
                words.join(" ")
            });
            lines.collect::<Vec<_>>().join("\n")
        };
        let shown = text(&sources);
        for line in [
            "database.url \"postgres://me@host/data\" environment REGRESSD_DATABASE_URL",
            "github.private_key (hidden) file /keys/app.pem",
            "github.webhook_secret (hidden) environment REGRESSD_GITHUB_WEBHOOK_SECRET",
            "jobs.attempts 8 default",
            "jobs.workers 3 flag --set jobs.workers",
        ] {
            assert!(shown.lines().any(|one| one == line), "{line}: {shown}");
        }
        assert!(!shown.contains("hush"), "{shown}");
        sources
            .flags
            .push(own(("database.url_file", "/run/secrets/database")));
        let shown = text(&sources);
        assert!(
            shown.contains("database.url (hidden) file /run/secrets/database"),
            "{shown}"
        );
    }
}
