//! Where things are: our own pages, and GitHub's.

use crate::domain::{RepoName, RunId, SeriesId};

pub(super) fn repository_url(name: &RepoName) -> String {
    format!("/repositories/{name}")
}

pub(super) fn branch_url(name: &RepoName, branch: &str) -> String {
    format!("/repositories/{name}?branch={}", percent_encode(branch))
}

pub(super) fn series_url(id: SeriesId, branch: &str) -> String {
    format!("/series/{}?branch={}", id.0, percent_encode(branch))
}

/// The runs of a repository, from some run downward.
pub(super) fn runs_url(name: &RepoName, before: Option<RunId>) -> String {
    let from = before.map_or_else(String::new, |before| format!("?before={}", before.0));
    format!("/repositories/{name}/runs{from}")
}

/// Our page of a pull request.
pub(super) fn pull_url(name: &RepoName, number: u32) -> String {
    format!("/repositories/{name}/pulls/{number}")
}

pub(super) fn run_url(id: RunId) -> String {
    format!("/runs/{}", id.0)
}

/// GitHub's pages of a repository, by the address of its API.
pub(super) fn on_github(api: &str, name: &RepoName) -> String {
    let api = api.trim_end_matches('/');
    let web = match api {
        "https://api.github.com" => "https://github.com",
        other => other.trim_end_matches("/api/v3"),
    };
    format!("{web}/{name}")
}

pub(super) fn commit_url(github: &str, sha: &str) -> String {
    format!("{github}/commit/{}", percent_encode(sha))
}

pub(super) fn pull_request_url(github: &str, number: u32) -> String {
    format!("{github}/pull/{number}")
}

/// A text as part of a query or path: everything that could mean something else is escaped.
pub(super) fn percent_encode(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_cannot_leave_their_place() {
        let name: RepoName = "octo/hello".parse().unwrap();
        assert_eq!(
            branch_url(&name, "a&b=c#\"é/"),
            "/repositories/octo/hello?branch=a%26b%3Dc%23%22%C3%A9%2F"
        );
    }

    #[test]
    fn github_is_found_by_its_interface() {
        let name: RepoName = "octo/hello".parse().unwrap();
        for (api, web) in [
            ("https://api.github.com", "https://github.com/octo/hello"),
            (
                "https://git.example.org/api/v3/",
                "https://git.example.org/octo/hello",
            ),
        ] {
            assert_eq!(on_github(api, &name), web);
        }
    }
}
