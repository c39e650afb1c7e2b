//! Issues about bugs: listed by their label, read, searched and opened. Which bug an issue is about stands in its text, and is
//! left to those who write it.

use serde::Deserialize;
use serde_json::json;

use crate::client::{Call, Caller};
use crate::comment::truncate_text;
use crate::{GitHubError, Repository};

/// GitHub takes fewer than 65,536 characters.
const MAX_BYTES: usize = 65_535;
/// Longest title that GitHub takes, in bytes that are never fewer than characters.
const MAX_TITLE: usize = 255;
/// Pages of a hundred issues that are listed.
const MAX_PAGES: u32 = 20;
/// Found issues that are looked at.
const MAX_FOUND: usize = 10;

/// An issue to be opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewIssue {
    /// Its title.
    pub title: String,
    /// Its text, in Markdown.
    pub text: String,
    /// Its labels; GitHub makes those that it lacks, for those who may.
    pub labels: Vec<String>,
    /// Who is to look after it.
    pub assignees: Vec<String>,
}

/// An issue that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundIssue {
    /// Its number.
    pub number: u64,
    /// Its address, for people.
    pub url: String,
    /// Its title.
    pub title: String,
    /// Its text.
    pub text: String,
    /// Whether it is open.
    pub is_open: bool,
    /// Whether it was closed as completed; `false` when it was closed as not planned or as a duplicate.
    pub is_fixed: bool,
}

#[derive(Deserialize)]
struct IssueAnswer {
    number: u64,
    #[serde(default)]
    html_url: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    state: String,
    #[serde(default)]
    state_reason: Option<String>,
    /// Pull requests are listed among issues.
    #[serde(default)]
    pull_request: Option<serde_json::Value>,
}

impl From<IssueAnswer> for FoundIssue {
    fn from(answer: IssueAnswer) -> Self {
        let is_open = answer.state != "closed";
        Self {
            number: answer.number,
            url: answer.html_url,
            title: answer.title,
            text: answer.body.unwrap_or_default(),
            is_open,
            // Older servers do not say why.
            is_fixed: !is_open
                && answer
                    .state_reason
                    .as_deref()
                    .is_none_or(|reason| reason == "completed"),
        }
    }
}

/// All issues with `label`, open and closed, the newest first. A list is up to date, as a search is not.
///
/// # Errors
/// When GitHub refuses, asks to wait, or does not answer.
pub async fn list_issues(repository: &Repository, label: &str) -> Result<Vec<FoundIssue>, GitHubError> {
    let label = query_part(label);
    let mut found = Vec::new();
    for page in 1..=MAX_PAGES {
        let route = format!("/issues?state=all&labels={label}&per_page=100&page={page}");
        let answers: Vec<IssueAnswer> = repository.get(&route).await?;
        let is_last = answers.len() < 100;
        let issues = answers.into_iter().filter(|issue| issue.pull_request.is_none());
        found.extend(issues.map(FoundIssue::from));
        if is_last {
            break;
        }
    }
    Ok(found)
}

/// Issue `number`; `None` when there is none.
///
/// # Errors
/// When GitHub refuses, asks to wait, or does not answer.
pub async fn read_issue(repository: &Repository, number: u64) -> Result<Option<FoundIssue>, GitHubError> {
    let answer: Result<IssueAnswer, _> = repository.get(&format!("/issues/{number}")).await;
    match answer {
        Ok(issue) => Ok(Some(issue.into())),
        Err(error) if error.is_status(&[404, 410]) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Issues of the repository with all of `words` in their titles, as GitHub's search finds them: it lags by minutes.
///
/// # Errors
/// When GitHub refuses, asks to wait, or does not answer.
pub async fn search_issues(repository: &Repository, words: &str) -> Result<Vec<FoundIssue>, GitHubError> {
    #[derive(Deserialize)]
    struct SearchAnswer {
        items: Vec<IssueAnswer>,
    }
    // What has a meaning in a query is no word.
    let words: String = words
        .chars()
        .map(|letter| if letter.is_alphanumeric() { letter } else { ' ' })
        .collect();
    let query = query_part(&format!(
        "repo:{} is:issue in:title {}",
        repository.name(),
        words.trim()
    ));
    let route = format!("/search/issues?q={query}&per_page={MAX_FOUND}");
    let call = Call::get(Caller::TokenOwner, &route);
    let answer: SearchAnswer = repository.github().execute_call(call).await?;
    Ok(answer.items.into_iter().map(FoundIssue::from).collect())
}

/// Opens an issue. Never repeated by itself: after a failure that [may have
/// happened](GitHubError::may_have_happened), look for it before calling again.
///
/// # Errors
/// When GitHub refuses, asks to wait, or does not answer.
pub async fn open_issue(repository: &Repository, issue: &NewIssue) -> Result<FoundIssue, GitHubError> {
    let body = json!({
        "title": truncate_text(&issue.title, MAX_TITLE),
        "body": truncate_text(&issue.text, MAX_BYTES),
        "labels": issue.labels,
        "assignees": issue.assignees,
    });
    let answer: IssueAnswer = repository.post("/issues", &body).await?;
    Ok(answer.into())
}

/// Text as a part of a query: what is not plain is its bytes (RFC 3986, section 2.1).
fn query_part(text: &str) -> String {
    let mut part = String::new();
    for byte in text.bytes() {
        match byte {
            b'-' | b'_' | b'.' | b'~' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                part.push(char::from(byte));
            }
            other => part.push_str(&format!("%{other:02X}")),
        }
    }
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_cannot_be_broken_out_of() {
        assert_eq!(query_part("a b&c=é"), "a%20b%26c%3D%C3%A9");
    }

    #[test]
    fn only_what_was_completed_is_fixed() {
        let issue = |state: &str, reason: Option<&str>| {
            FoundIssue::from(IssueAnswer {
                number: 1,
                html_url: String::new(),
                title: String::new(),
                body: None,
                state: state.to_owned(),
                state_reason: reason.map(str::to_owned),
                pull_request: None,
            })
        };
        assert!(!issue("open", None).is_fixed);
        assert!(issue("closed", Some("completed")).is_fixed);
        assert!(!issue("closed", Some("not_planned")).is_fixed);
        assert!(issue("closed", None).is_fixed);
    }
}
