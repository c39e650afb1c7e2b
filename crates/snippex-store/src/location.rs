//! Where a database is: a SQLite file or a PostgreSQL URL.

use std::fmt;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::StoreError;

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
    /// The URL that the driver takes. Every byte of a path is escaped that could mean something in a URL, the
    /// slashes too, so that the path reaches SQLite as it is.
    pub(crate) fn driver_url(&self) -> Result<String, StoreError> {
        let path = match self {
            Self::Postgres(url) => return Ok(url.clone()),
            Self::Sqlite(path) => path,
        };
        let refuse = |reason| StoreError::BadLocation {
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
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = |reason| StoreError::BadLocation {
            location: text.to_owned(),
            reason,
        };
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(text.to_owned()));
        }
        let path = match text.strip_prefix("sqlite:") {
            Some(rest) => rest.strip_prefix("//").unwrap_or(rest),
            None if text.contains("://") => {
                return Err(refuse("only a path, sqlite: and postgres:// are known"));
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
        let url = match self {
            Self::Sqlite(path) => return path.display().fmt(f),
            Self::Postgres(url) => url,
        };
        let scheme = url.find("://").map_or(0, |at| at + 3);
        let (scheme, rest) = url.split_at(scheme);
        let authority = rest.find(['/', '?']).unwrap_or(rest.len());
        let query = rest.find('?').unwrap_or(rest.len());
        match rest[..authority].rsplit_once('@') {
            Some((user, host)) => {
                let user = user.split(':').next().unwrap_or_default();
                write!(f, "{scheme}{user}@{host}{}", &rest[authority..query])
            }
            None => write!(f, "{scheme}{}", &rest[..query]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_names_a_file_or_a_server() {
        let of = |text: &str| text.parse::<Location>().unwrap();
        assert_eq!(of("a/b.db"), Location::Sqlite("a/b.db".into()));
        assert_eq!(of("sqlite:///a/b.db"), Location::Sqlite("/a/b.db".into()));
        assert_eq!(of("sqlite:a?.db"), Location::Sqlite("a?.db".into()));
        assert_eq!(of("postgres://h/d"), Location::Postgres("postgres://h/d".into()));
        assert!(
            "mysql://h/d"
                .parse::<Location>()
                .unwrap_err()
                .to_string()
                .contains("postgres://")
        );
        assert!("".parse::<Location>().is_err());
    }

    #[test]
    fn a_password_is_never_shown() {
        for (url, shown) in [
            ("postgres://u:p@h:5/d?sslmode=off", "postgres://u@h:5/d"),
            ("postgres://u:p%40@h", "postgres://u@h"),
            ("postgres://h/d?password=p", "postgres://h/d"),
            ("postgres://h?user=u&password=p", "postgres://h"),
        ] {
            let location: Location = url.parse().unwrap();
            assert_eq!(location.to_string(), shown);
            assert_eq!(format!("{location:?}"), format!("Location({shown})"));
        }
    }
}
