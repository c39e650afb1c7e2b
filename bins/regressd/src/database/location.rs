//! Where a database is: a SQLite file or a PostgreSQL URL.

use std::fmt;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::DatabaseError;

/// Where the database is: `postgres://...`, or the path of a SQLite file (`sqlite:PATH` too).
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// A file on this machine.
    Sqlite(PathBuf),
    /// A server, as `postgres://user:password@host:port/database`.
    Postgres(String),
}

impl Location {
    /// The URL for the driver. Every byte of a path that could mean something in a URL is escaped.
    pub(super) fn driver_url(&self) -> Result<String, DatabaseError> {
        let path = match self {
            Self::Postgres(url) => return Ok(url.clone()),
            Self::Sqlite(path) => path,
        };
        let refuse = |reason| DatabaseError::Location {
            location: self.to_string(),
            reason,
        };
        let absolute = std::path::absolute(path).map_err(|_| refuse("the path is empty"))?;
        let text = absolute.to_str().ok_or_else(|| refuse("the path is not UTF-8"))?;
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
    type Err = DatabaseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = |reason| DatabaseError::Location {
            // What is not understood may hold a password all the same.
            location: text
                .split_once("://")
                .map_or(text, |(scheme, _)| scheme)
                .to_owned(),
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

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Location({self})")
    }
}

impl fmt::Display for Location {
    /// The path, or the URL without its password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = match self {
            Self::Sqlite(path) => return path.display().fmt(f),
            Self::Postgres(url) => url,
        };
        let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", url));
        let rest = rest.split('?').next().unwrap_or_default();
        match rest.rsplit_once('@') {
            Some((user, host)) => {
                let user = user.split(':').next().unwrap_or_default();
                write!(f, "{scheme}://{user}@{host}")
            }
            None => write!(f, "{scheme}://{rest}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        let location: Location = "postgres://me:s3cret@host:5432/db?password=s3cret"
            .parse()
            .unwrap();
        assert_eq!(location.to_string(), "postgres://me@host:5432/db");
        assert!(!format!("{location:?}").contains("s3cret"));
        let error = "mysql://me:s3cret@host/db".parse::<Location>().unwrap_err();
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }

    #[test]
    fn paths_are_files() {
        assert_eq!(
            "sqlite:a b.db".parse::<Location>().unwrap().file(),
            Some(Path::new("a b.db"))
        );
        assert!("".parse::<Location>().is_err());
    }
}
