//! Roles, and what they are for.

use std::fmt;
use std::str::FromStr;

use crate::domain::RepoName;

/// What somebody may do. Each role includes the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Look at results.
    Read,
    /// Send results.
    Upload,
    /// Change configuration and baselines.
    Admin,
}

impl Role {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Upload => "upload",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Read, Self::Upload, Self::Admin]
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| format!("{text:?} is not a role; give read, upload or admin"))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

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
                .map_err(|error: crate::domain::NameError| format!("{error}; or OWNER/*, or *")),
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

/// What GitHub says about the workflow that asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// The ref it runs for: `refs/heads/main`, `refs/pull/7/merge`.
    pub reference: Option<String>,
    /// The event that started it.
    pub event: Option<String>,
}

impl Claims {
    /// The pull request that the workflow runs for.
    #[must_use]
    pub fn pull_request(&self) -> Option<u32> {
        let rest = self.reference.as_deref()?.strip_prefix("refs/pull/")?;
        rest.split('/').next()?.parse().ok()
    }

    /// The branch that the workflow runs for.
    #[must_use]
    pub fn branch(&self) -> Option<&str> {
        self.reference.as_deref()?.strip_prefix("refs/heads/")
    }
}

/// Somebody who proved who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// For logs and the audit log: `token:ID`, `workflow:OWNER/NAME`.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Where.
    pub grant: Grant,
    /// What GitHub says about the workflow, if it is one.
    pub claims: Option<Claims>,
}

impl Principal {
    /// Whether they may do what `role` does in `repository`.
    #[must_use]
    pub fn may(&self, role: Role, repository: &RepoName) -> bool {
        self.role >= role && self.grant.covers(repository)
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

    #[test]
    fn roles_include_each_other() {
        let principal = Principal {
            name: "token:1".to_owned(),
            role: Role::Upload,
            grant: "octo/*".parse().unwrap(),
            claims: None,
        };
        let repository = "octo/hello".parse().unwrap();
        assert!(principal.may(Role::Read, &repository) && principal.may(Role::Upload, &repository));
        assert!(!principal.may(Role::Admin, &repository));
        assert!(!principal.may(Role::Read, &"other/hello".parse().unwrap()));
    }

    #[test]
    fn a_workflow_says_what_it_runs_for() {
        let claims = |reference: &str| Claims {
            reference: Some(reference.to_owned()),
            event: None,
        };
        assert_eq!(claims("refs/pull/7/merge").pull_request(), Some(7));
        assert_eq!(claims("refs/heads/release/1").branch(), Some("release/1"));
        assert_eq!(claims("refs/tags/v1").branch(), None);
    }
}
