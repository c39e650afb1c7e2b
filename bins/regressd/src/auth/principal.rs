//! Who asks, once they have proved it.

use crate::domain::{Grant, RepoName, Role};

/// What GitHub says about the workflow that asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkflowClaims {
    /// The ref it runs for: `refs/heads/main`, `refs/pull/7/merge`.
    pub reference: Option<String>,
    /// The event that started it.
    pub event: Option<String>,
    /// The number by which GitHub knows the repository.
    pub repository_id: Option<u64>,
}

impl WorkflowClaims {
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
    pub claims: Option<WorkflowClaims>,
}

impl Principal {
    /// Whether they may do what `role` does in `repository`.
    #[must_use]
    pub fn has_role_in(&self, role: Role, repository: &RepoName) -> bool {
        self.role >= role && self.grant.covers(repository)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_include_each_other() {
        let principal = Principal {
            name: "token:1".to_owned(),
            role: Role::Upload,
            grant: "octo/*".parse().unwrap(),
            claims: None,
        };
        let repository = "octo/hello".parse().unwrap();
        assert!(
            principal.has_role_in(Role::Read, &repository)
                && principal.has_role_in(Role::Upload, &repository)
        );
        assert!(!principal.has_role_in(Role::Admin, &repository));
        assert!(!principal.has_role_in(Role::Read, &"other/hello".parse().unwrap()));
    }

    #[test]
    fn a_workflow_says_what_it_runs_for() {
        let claims = |reference: &str| WorkflowClaims {
            reference: Some(reference.to_owned()),
            ..WorkflowClaims::default()
        };
        assert_eq!(claims("refs/pull/7/merge").pull_request(), Some(7));
        assert_eq!(claims("refs/heads/release/1").branch(), Some("release/1"));
        assert_eq!(claims("refs/tags/v1").branch(), None);
    }
}
