//! Issues on GitHub about bugs: each bug once, whatever happens in between.
//!
//! Our issues are listed by their label and known by the fingerprint in their text; a list is up to date where a search is not.
//! What is about to be opened is written down first: who finds such a row without a number looks whether the issue is there
//! before opening it.

use std::time::Duration;

use github_kit::{
    FoundIssue, GitHub, GitHubError, NewIssue, Patience, Repository, Written, hidden_marker, list_issues,
    open_issue, put_comment, read_issue, read_marked_comment, search_issues,
};
use serde::Serialize;
use snippex_report::report::escape_markdown;
use snippex_store::{ReportedIssue, StoreError, StoreHandle, UnixMillis};

use crate::issue_draft::{IssueDraft, LABEL, case_lines_of, has_fingerprint};

/// Who calls, as GitHub's operators see it.
const USER_AGENT: &str = concat!("snippex/", env!("CARGO_PKG_VERSION"));

/// Where issues belong, and how to open them.
#[derive(Debug)]
pub(crate) struct IssueTarget {
    /// Address of the API.
    pub(crate) api: String,
    pub(crate) token: String,
    /// `owner/name`.
    pub(crate) repository: String,
    /// Labels besides our own.
    pub(crate) labels: Vec<String>,
    pub(crate) assignees: Vec<String>,
    /// How long to wait for limits and failures, everything together.
    pub(crate) patience: Duration,
    /// How long GitHub may take to list an issue that it has made.
    pub(crate) settling: Duration,
    /// Whether issues of other people that look alike do not matter.
    pub(crate) ignore_similar: bool,
}

/// What was done about a bug.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ReportedBug {
    /// Name of the bug.
    pub(crate) bug: String,
    /// `opened`, `commented` or `left`.
    pub(crate) action: &'static str,
    /// Address of the issue.
    pub(crate) url: String,
    /// Why, in words.
    pub(crate) reason: String,
}

/// Why issues could not be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReportError {
    #[error(transparent)]
    GitHub(#[from] GitHubError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What to do about a bug, by the issues that are there.
#[derive(Clone, Debug, PartialEq, Eq)]
enum IssueStep {
    /// There is none that still speaks of it; `earlier` was closed as fixed, and the bug is back.
    Open { earlier: Option<u64> },
    /// It is open and its text does not know of these versions.
    Comment { url: String, versions: Vec<String> },
    /// Nothing.
    Leave { url: String, reason: &'static str },
}

/// Opens issues about `drafts`, tells each as it is done, and stops at the first that cannot be.
pub(crate) fn report_bugs(
    target: &IssueTarget,
    store: &StoreHandle,
    drafts: &[IssueDraft],
    mut done: impl FnMut(ReportedBug),
) -> Result<(), ReportError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime of this thread needs no resource that a running program lacks");
    runtime.block_on(async {
        let github = GitHub::for_command(&target.api, &target.token, USER_AGENT)?;
        let repository = github.find_repository(&target.repository, None).await?;
        let mut reporter = Reporter {
            target,
            store,
            repository,
            patience: Patience::with_budget(target.patience),
        };
        for draft in drafts {
            done(reporter.report(draft).await?);
        }
        Ok(())
    })
}

struct Reporter<'a> {
    target: &'a IssueTarget,
    store: &'a StoreHandle,
    repository: Repository,
    patience: Patience,
}

impl Reporter<'_> {
    /// Everything is done anew after a failure: an issue whose answer was lost is found, and not opened twice.
    async fn report(&mut self, draft: &IssueDraft) -> Result<ReportedBug, ReportError> {
        loop {
            match self.report_once(draft).await {
                Err(ReportError::GitHub(error)) => self.patience.wait_after(error).await?,
                other => return other,
            }
        }
    }

    async fn report_once(&self, draft: &IssueDraft) -> Result<ReportedBug, ReportError> {
        let written = self.written(draft)?;
        let mut found = self.ours(draft, written.as_ref()).await?;
        if found.is_empty()
            && let Some(left) = written.as_ref().and_then(|row| self.unsettled(row))
        {
            // There may be one of which no answer came, and which is not listed yet.
            tokio::time::sleep(left).await;
            found = self.ours(draft, written.as_ref()).await?;
        }
        let (url, versions, otherwise) = match next_step(draft, &found) {
            IssueStep::Open { earlier } => return self.open(draft, earlier).await,
            IssueStep::Comment { url, versions } => (url, versions, "it is reported"),
            IssueStep::Leave { url, reason } => (url, Vec::new(), reason),
        };
        self.settle(draft, &found)?;
        let mut news = Vec::new();
        if let Some(issue) = found.first().filter(|issue| issue.is_open) {
            if self.show_plainer_case(draft, issue).await? {
                news.push("there is a plainer case".to_owned());
            }
            for version in versions {
                if self.comment(draft, issue.number, &version).await? {
                    news.push(format!("it shows in {version}, too"));
                }
            }
        }
        Ok(if news.is_empty() {
            told(draft, "left", url, otherwise.to_owned())
        } else {
            told(draft, "commented", url, news.join("; "))
        })
    }

    fn written(&self, draft: &IssueDraft) -> Result<Option<ReportedIssue>, StoreError> {
        let (repository, fingerprint) = (self.target.repository.clone(), draft.fingerprint.clone());
        self.store
            .call_and_wait(async move |store| store.reported_issue(&repository, &fingerprint).await)
    }

    /// How long to wait for what may have been made.
    fn unsettled(&self, row: &ReportedIssue) -> Option<Duration> {
        let age = UnixMillis::now().0.saturating_sub(row.intended.0);
        // A clock that was set back makes nothing wait longer than once.
        let age = Duration::from_millis(u64::try_from(age).unwrap_or(0));
        (row.number.is_none() && age < self.target.settling).then(|| self.target.settling - age)
    }

    /// Our issues about the bug, the newest first.
    async fn ours(
        &self,
        draft: &IssueDraft,
        row: Option<&ReportedIssue>,
    ) -> Result<Vec<FoundIssue>, GitHubError> {
        let mut found = list_issues(&self.repository, LABEL).await?;
        found.retain(|issue| has_fingerprint(&issue.text, &draft.fingerprint));
        // Somebody may have taken the label off.
        if let Some(number) = row.and_then(|row| row.number)
            && found.iter().all(|issue| issue.number != number)
        {
            found.extend(read_issue(&self.repository, number).await?);
        }
        found.sort_by_key(|issue| std::cmp::Reverse(issue.number));
        Ok(found)
    }

    async fn open(&self, draft: &IssueDraft, earlier: Option<u64>) -> Result<ReportedBug, ReportError> {
        if earlier.is_none()
            && !self.target.ignore_similar
            && let Some(similar) = self.similar(draft).await?
        {
            return Ok(told(
                draft,
                "left",
                similar.url,
                format!(
                    "\"{}\" may be the same: look, then `snippex bugs known add {} --issue URL`, or --ignore-similar",
                    similar.title, draft.bug
                ),
            ));
        }
        let intended = UnixMillis::now();
        self.write_down(draft, intended, None)?;
        let mut text = draft.text.clone();
        if let Some(number) = earlier {
            text = format!("It was fixed in #{number} and is back.\n\n{text}");
        }
        let mut labels = vec![LABEL.to_owned()];
        labels.extend(self.target.labels.iter().cloned());
        let issue = NewIssue {
            title: draft.title.clone(),
            text,
            labels,
            assignees: self.target.assignees.clone(),
        };
        let opened = open_issue(&self.repository, &issue).await?;
        self.write_down(draft, intended, Some(&opened))?;
        let reason = match earlier {
            Some(number) => format!("it was fixed in #{number} and is back"),
            None => "nobody has reported it".to_owned(),
        };
        Ok(told(draft, "opened", opened.url, reason))
    }

    /// An open issue of somebody else that has the instruction in its title.
    async fn similar(&self, draft: &IssueDraft) -> Result<Option<FoundIssue>, GitHubError> {
        if draft.search_words.is_empty() {
            return Ok(None);
        }
        let found = search_issues(&self.repository, &draft.search_words).await?;
        let is_theirs = |issue: &FoundIssue| {
            !issue
                .text
                .lines()
                .any(|line| line.starts_with("Fingerprint: `snippex/"))
        };
        Ok(found.into_iter().find(|issue| issue.is_open && is_theirs(issue)))
    }

    /// Keeps the number of an issue of which no answer came.
    fn settle(&self, draft: &IssueDraft, found: &[FoundIssue]) -> Result<(), StoreError> {
        match found.first() {
            Some(issue) => self.write_down(draft, UnixMillis::now(), Some(issue)),
            None => Ok(()),
        }
    }

    fn write_down(
        &self,
        draft: &IssueDraft,
        intended: UnixMillis,
        issue: Option<&FoundIssue>,
    ) -> Result<(), StoreError> {
        let row = ReportedIssue {
            repository: self.target.repository.clone(),
            fingerprint: draft.fingerprint.clone(),
            number: issue.map(|issue| issue.number),
            url: issue.map_or_else(String::new, |issue| issue.url.clone()),
            intended,
        };
        self.store
            .call_and_wait(async move |store| store.save_reported_issue(&row).await)
    }

    /// One comment with the plainest case, where that of the issue is not so plain. Whether there was news.
    async fn show_plainer_case(&self, draft: &IssueDraft, issue: &FoundIssue) -> Result<bool, GitHubError> {
        let is_plainer = |text: &str| case_lines_of(text).is_some_and(|known| draft.case_lines < known);
        if !is_plainer(&issue.text) {
            return Ok(false);
        }
        let marker = hidden_marker("snippex", "plainer-case", &[&draft.fingerprint]);
        let before = read_marked_comment(&self.repository, issue.number, &marker).await?;
        if before.is_some_and(|text| !is_plainer(&text)) {
            return Ok(false);
        }
        let text = format!("A plainer case shows it, too.\n\n{}", draft.reproducers);
        let written = put_comment(&self.repository, issue.number, &marker, &text).await?;
        Ok(!matches!(written, Written::Unchanged(_)))
    }

    /// One comment a version, whoever asks how often. Whether there was none yet.
    async fn comment(&self, draft: &IssueDraft, number: u64, version: &str) -> Result<bool, GitHubError> {
        let marker = hidden_marker("snippex", "seen", &[&draft.fingerprint, version]);
        let text = format!("It also shows in {}.", escape_markdown(version));
        let written = put_comment(&self.repository, number, &marker, &text).await?;
        Ok(!matches!(written, Written::Unchanged(_)))
    }
}

fn told(draft: &IssueDraft, action: &'static str, url: String, reason: String) -> ReportedBug {
    ReportedBug {
        bug: draft.bug.clone(),
        action,
        url,
        reason,
    }
}

/// What to do, by our issues about the bug, the newest first.
fn next_step(draft: &IssueDraft, found: &[FoundIssue]) -> IssueStep {
    let Some(issue) = found.first() else {
        return IssueStep::Open { earlier: None };
    };
    // What its text names was known when it was written.
    let is_new = |version: &&String| !issue.text.contains(escape_markdown(version).as_str());
    let mut versions: Vec<String> = draft
        .engines
        .iter()
        .map(|(_, version)| version)
        .filter(is_new)
        .cloned()
        .collect();
    versions.dedup();
    let url = issue.url.clone();
    match (issue.is_open, versions.is_empty()) {
        (true, true) => IssueStep::Leave {
            url,
            reason: "it is reported",
        },
        (false, true) => IssueStep::Leave {
            url,
            reason: "it was reported and closed",
        },
        (true, false) => IssueStep::Comment { url, versions },
        (false, false) if issue.is_fixed => IssueStep::Open {
            earlier: Some(issue.number),
        },
        (false, false) => IssueStep::Leave {
            url,
            reason: "it was closed as not planned",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(version: &str) -> IssueDraft {
        IssueDraft {
            engines: vec![("qemu-x86_64".to_owned(), version.to_owned())],
            ..IssueDraft::default()
        }
    }

    fn issue(number: u64, is_open: bool, is_fixed: bool) -> FoundIssue {
        FoundIssue {
            number,
            url: format!("u{number}"),
            title: String::new(),
            text: "Engine: qemu-x86\\_64 7.2".to_owned(),
            is_open,
            is_fixed,
        }
    }

    #[test]
    fn a_bug_is_opened_once_and_again_only_when_it_was_fixed_and_is_back() {
        let step = |version, found: &[FoundIssue]| next_step(&draft(version), found);
        assert_eq!(step("7.2", &[]), IssueStep::Open { earlier: None });
        assert!(matches!(
            step("7.2", &[issue(1, true, false)]),
            IssueStep::Leave { .. }
        ));
        assert!(matches!(
            step("7.2", &[issue(1, false, true)]),
            IssueStep::Leave { .. }
        ));
        assert!(matches!(
            step("8.0", &[issue(1, true, false)]),
            IssueStep::Comment { .. }
        ));
        assert_eq!(
            step("8.0", &[issue(1, false, true)]),
            IssueStep::Open { earlier: Some(1) }
        );
        assert!(matches!(
            step("8.0", &[issue(1, false, false)]),
            IssueStep::Leave { .. }
        ));
        // The newest decides.
        let both = [issue(2, true, false), issue(1, false, true)];
        assert!(matches!(step("7.2", &both), IssueStep::Leave { .. }));
    }
}
