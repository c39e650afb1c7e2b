//! The repositories that a token is for.

use std::fmt;
use std::str::FromStr;

use super::{NameError, RepoName};

/// The repositories that a role is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grant {
    /// Every repository of this service.
    All,
    /// Those of one owner.
    Owner(String),
    /// One.
    One(RepoName),
}

impl Grant {
    /// Whether it covers a repository.
    #[must_use]
    pub fn covers(&self, repository: &RepoName) -> bool {
        match self {
            Self::All => true,
            Self::Owner(owner) => owner == repository.owner(),
            Self::One(one) => one == repository,
        }
    }
}

impl FromStr for Grant {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::All);
        }
        match text.strip_suffix("/*") {
            Some(owner) => RepoName::new(owner, "x")
                .map(|name| Self::Owner(name.owner().to_owned()))
                .map_err(|error| error.to_string()),
            None => text
                .parse()
                .map(Self::One)
                .map_err(|error: NameError| format!("{error}; or OWNER/*, or *")),
        }
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Owner(owner) => write!(f, "{owner}/*"),
            Self::One(name) => name.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_covers_what_it_says() {
        let repository: RepoName = "octo/hello".parse().unwrap();
        for (grant, covers) in [
            ("*", true),
            ("Octo/*", true),
            ("octo/hello", true),
            ("octo/other", false),
            ("oct/*", false),
        ] {
            let grant: Grant = grant.parse().unwrap();
            assert_eq!(grant.covers(&repository), covers, "{grant}");
        }
        assert!("octo".parse::<Grant>().is_err() && "*/*".parse::<Grant>().is_err());
    }
}
