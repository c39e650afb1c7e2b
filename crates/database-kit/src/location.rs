//! Where a database is: a SQLite file or a PostgreSQL URL.

use std::fmt;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use sqlx::ConnectOptions as _;
use sqlx::any::AnyConnectOptions;
use url::Url;

use crate::LocationError;

/// Where a database is. Read from text with [`FromStr`]: `postgres://...` and `postgresql://...` are PostgreSQL,
/// everything else is the path of a SQLite file (`sqlite:PATH` too).
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// A file on this machine.
    Sqlite(PathBuf),
    /// A server, as `postgres://user:password@host:port/database`.
    Postgres(String),
}

impl Location {
    /// What the driver needs to connect, with `query` (empty, or `?key=value`) behind its URL. Statements are not
    /// logged: what goes wrong comes back as an error, and would only drown in them.
    ///
    /// # Errors
    /// When the path is empty or not UTF-8, or the driver cannot read the URL.
    pub fn connect_options(&self, query: &str) -> Result<AnyConnectOptions, LocationError> {
        sqlx::any::install_default_drivers();
        let options: AnyConnectOptions = (self.driver_url()? + query)
            .parse()
            // The driver's words may repeat parts of the URL.
            .map_err(|_| self.refuse("the URL cannot be read; give postgres://USER@HOST/NAME"))?;
        Ok(options.disable_statement_logging())
    }

    /// The URL that the driver takes. Every byte of a path is escaped that could mean something in a URL, the slashes
    /// too, so that the path reaches SQLite as it is.
    fn driver_url(&self) -> Result<String, LocationError> {
        let path = match self {
            Self::Postgres(url) => return Ok(url.clone()),
            Self::Sqlite(path) => path,
        };
        let absolute = std::path::absolute(path).map_err(|_| self.refuse("the path is empty"))?;
        let text = absolute
            .to_str()
            .ok_or_else(|| self.refuse("the path is not UTF-8"))?;
        let mut url = String::from("sqlite:");
        for byte in text.bytes() {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') {
                url.push(char::from(byte));
            } else {
                write!(url, "%{byte:02X}").expect("writing to a string cannot fail");
            }
        }
        Ok(url)
    }

    fn refuse(&self, reason: &'static str) -> LocationError {
        LocationError {
            location: self.to_string(),
            reason,
        }
    }

    /// The file of a SQLite database.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Sqlite(path) => Some(path),
            Self::Postgres(_) => None,
        }
    }
}

impl FromStr for Location {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = |reason| LocationError {
            location: without_secrets(text),
            reason,
        };
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(text.to_owned()));
        }
        let path = match text.strip_prefix("sqlite:") {
            Some(rest) => rest.strip_prefix("//").unwrap_or(rest),
            None if text.contains("://") => {
                return Err(refuse("give a path, sqlite:PATH or postgres://USER@HOST/NAME"));
            }
            None => text,
        };
        if path.is_empty() {
            return Err(refuse("the path is empty"));
        }
        Ok(Self::Sqlite(path.into()))
    }
}

impl From<&Path> for Location {
    fn from(path: &Path) -> Self {
        Self::Sqlite(path.to_owned())
    }
}

impl fmt::Debug for Location {
    /// As it is shown: a password has no place in a log either.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Location({self})")
    }
}

impl fmt::Display for Location {
    /// The path, or the URL without its password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => path.display().fmt(f),
            Self::Postgres(url) => f.write_str(&without_secrets(url)),
        }
    }
}

/// A URL without what may be secret: its password, and its query, which may hold one too. Of a URL that cannot be read
/// only the scheme is left, since nobody can say where in it the password is.
#[must_use]
pub fn without_secrets(text: &str) -> String {
    let Some((scheme, _)) = text.split_once("://") else {
        return text.to_owned();
    };
    match Url::parse(text) {
        Ok(mut url) if url.has_host() => {
            url.set_query(None);
            url.set_fragment(None);
            // Fails only for URLs that cannot have one.
            let _ = url.set_password(None);
            url.into()
        }
        _ => format!("{scheme}://..."),
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    fn location(text: &str) -> Location {
        text.parse().unwrap()
    }

    #[test]
    fn text_names_a_file_or_a_server() {
        assert_eq!(location("a/b.db"), Location::Sqlite("a/b.db".into()));
        assert_eq!(location("sqlite:///a/b.db"), Location::Sqlite("/a/b.db".into()));
        assert_eq!(location("sqlite:a?.db"), Location::Sqlite("a?.db".into()));
        assert_eq!(
            location("postgres://h/d"),
            Location::Postgres("postgres://h/d".into())
        );
        let error = "mysql://h/d".parse::<Location>().unwrap_err();
        assert!(error.to_string().contains("postgres://"), "{error}");
        assert!("".parse::<Location>().is_err());
        assert_eq!(location("sqlite:a b.db").file(), Some(Path::new("a b.db")));
        assert_eq!(location("postgres://h/d").file(), None);
    }

    #[test]
    fn a_password_is_not_displayed() {
        for (url, shown) in [
            ("postgres://u:s3cret@h:5/d?sslmode=off", "postgres://u@h:5/d"),
            ("postgresql://u:s3cret%40@h", "postgresql://u@h"),
            ("postgres://u:s3cret@s3cret@h/d", "postgres://u@h/d"),
            ("postgres://h/d?password=s3cret", "postgres://h/d"),
            ("postgres://h?user=u&password=s3c@ret", "postgres://h"),
            ("postgres://u:s3/cret@h/d", "postgres://..."),
            ("postgres://u:s3?cret@h/d", "postgres://..."),
            ("postgres://u:s3cret", "postgres://..."),
        ] {
            assert_eq!(location(url).to_string(), shown, "{url}");
            assert_eq!(format!("{:?}", location(url)), format!("Location({shown})"));
        }
    }

    #[test]
    fn errors_do_not_show_a_password_either() {
        let refused = "mysql://me:s3cret@host/db?password=s3cret".parse::<Location>();
        let unread = location("postgres://me:s3cret@host:port/db").connect_options("");
        for error in [refused.unwrap_err(), unread.unwrap_err()] {
            let shown = format!("{error} {error:?} {error:#?}");
            assert!(!shown.contains("s3cret"), "{shown}");
            assert!(error.source().is_none(), "a cause may show what the error hides");
        }
    }
}
