//! Names that come from outside: repositories, branches, components, run ids. Each says what it allows.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a text is not a name of its kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {kind}: {rule}")]
pub struct NameError {
    kind: &'static str,
    /// The text, cut to what can be shown.
    text: String,
    rule: &'static str,
}

impl NameError {
    fn new(kind: &'static str, text: &str, rule: &'static str) -> Self {
        let text = text.chars().take(80).collect();
        Self { kind, text, rule }
    }
}

/// A repository on GitHub, in lower case since GitHub does not tell cases apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RepoName {
    owner: String,
    name: String,
}

impl RepoName {
    const RULE: &'static str = "give OWNER/NAME of letters, digits, - _ and .";

    /// Takes owner and name apart.
    ///
    /// # Errors
    /// When one of them has characters that GitHub does not allow.
    pub fn new(owner: &str, name: &str) -> Result<Self, NameError> {
        let allowed = |text: &str| {
            let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
            (1..=100).contains(&text.len()) && text.bytes().all(plain) && !text.bytes().all(|b| b == b'.')
        };
        if allowed(owner) && allowed(name) {
            Ok(Self {
                owner: owner.to_ascii_lowercase(),
                name: name.to_ascii_lowercase(),
            })
        } else {
            Err(NameError::new(
                "a repository",
                &format!("{owner}/{name}"),
                Self::RULE,
            ))
        }
    }

    /// The owner: a person or an organisation.
    #[must_use]
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// The name without the owner.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl FromStr for RepoName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match text.split_once('/') {
            Some((owner, name)) => Self::new(owner, name),
            None => Err(NameError::new("a repository", text, Self::RULE)),
        }
    }
}

impl TryFrom<String> for RepoName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<RepoName> for String {
    fn from(name: RepoName) -> Self {
        name.to_string()
    }
}

impl fmt::Display for RepoName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

/// A pull request's number within its repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PullNumber(pub u32);

impl fmt::Display for PullNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! text_name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $most:literal, $rule:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Takes the text if it is one printable line of allowed length.
            ///
            /// # Errors
            /// When it is not.
            pub fn new(text: &str) -> Result<Self, NameError> {
                if (1..=$most).contains(&text.len()) && !text.chars().any(char::is_control) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(NameError::new($kind, text, $rule))
                }
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(&text)
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

impl BranchName {
    /// Takes a branch as it is called, or as git writes it in full: `refs/heads/main` is `main`, and
    /// `refs/pull/12/merge` is `12/merge`.
    ///
    /// # Errors
    /// When it is not one printable line of allowed length.
    pub fn of_reference(text: &str) -> Result<Self, NameError> {
        let short = text
            .strip_prefix("refs/heads/")
            .or_else(|| text.strip_prefix("refs/pull/"));
        Self::new(short.unwrap_or(text))
    }

    /// The branch that a merge queue tries it for: `main` of `gh-readonly-queue/main/pr-12-0a1b2c`.
    #[must_use]
    pub fn merge_queue_target(&self) -> Option<&str> {
        let rest = self.as_str().strip_prefix("gh-readonly-queue/")?;
        let (target, tried) = rest.rsplit_once('/')?;
        (tried.starts_with("pr-") && !target.is_empty()).then_some(target)
    }

    /// The pull request whose merge it is: 12 of `12/merge`.
    #[must_use]
    pub fn merged_pull_request(&self) -> Option<u32> {
        self.as_str().strip_suffix("/merge")?.parse().ok()
    }
}

text_name!(
    /// A branch, without `refs/heads/`.
    BranchName,
    "a branch",
    255,
    "give 1 to 255 bytes on one line"
);
text_name!(
    /// A part of a repository that is judged by itself.
    Component,
    "a component",
    100,
    "give 1 to 100 bytes on one line"
);
text_name!(
    /// What tells two uploads of one commit apart: the same upload sent twice has the same.
    RunKey,
    "a run id",
    200,
    "give 1 to 200 bytes on one line"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_two_plain_words() {
        assert_eq!(
            "Octo/Hello.World".parse::<RepoName>().unwrap().to_string(),
            "octo/hello.world"
        );
        for bad in [
            "octo", "octo/", "/x", "a/b/c", "../x", "a/..", "a/b'--", "a/b\n", "a b/c", "ä/b",
        ] {
            assert!(bad.parse::<RepoName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn other_names_are_one_line() {
        assert!(
            BranchName::new("feature/ä'; DROP TABLE runs").is_ok(),
            "odd, and harmless"
        );
        let named = |text| BranchName::of_reference(text).unwrap();
        assert_eq!(named("refs/heads/release/1").as_str(), "release/1");
        assert_eq!(
            (named("main").as_str(), named("main").merged_pull_request()),
            ("main", None)
        );
        assert_eq!(named("refs/pull/12/merge").merged_pull_request(), Some(12));
        let queued = named("refs/heads/gh-readonly-queue/release/1/pr-12-0a1b");
        assert_eq!(queued.merge_queue_target(), Some("release/1"));
        assert_eq!(named("gh-readonly-queue/main").merge_queue_target(), None);
        assert!(BranchName::new("").is_err() && BranchName::new("a\nb").is_err());
        assert!(Component::new(&"x".repeat(101)).is_err());
    }
}
