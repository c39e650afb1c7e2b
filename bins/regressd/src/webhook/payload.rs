//! Payloads as GitHub sends them, as far as they are needed; and how each becomes an [`Event`].

use regress_core::measurement::NameError as CommitError;
use serde::Deserialize;

use super::event::{
    Event, InstallationEvent, MergeGroupEvent, PullRequestAction, PullRequestEvent, PushEvent, RenamedEvent,
    RerequestedEvent, WorkflowRunEvent,
};
use crate::domain::{BranchName, CommitSha, NameError, PullNumber, RepoName};

/// Why a payload cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// Not JSON, nested too deeply, or without a field that GitHub documents.
    #[error("the payload of {event} cannot be read: {source}")]
    Malformed {
        /// The name of the event.
        event: String,
        /// What is wrong, with line and column.
        source: serde_json::Error,
    },
    /// A repository or branch that GitHub would not allow.
    #[error("the payload is not GitHub's: {0}")]
    Name(#[from] NameError),
    /// Something that is no commit.
    #[error("the payload is not GitHub's: {0}")]
    Commit(#[from] CommitError),
}

#[derive(Deserialize)]
struct Action {
    #[serde(default)]
    action: Option<String>,
}

#[derive(Deserialize)]
struct Repository {
    full_name: String,
    #[serde(default)]
    id: Option<u64>,
    #[serde(default)]
    default_branch: Option<String>,
}

#[derive(Deserialize)]
struct Installation {
    id: u64,
}

#[derive(Deserialize)]
struct PullRequestPayload {
    number: PullNumber,
    pull_request: PullRequest,
    repository: Repository,
    #[serde(default)]
    installation: Option<Installation>,
    #[serde(default)]
    changes: Option<Changes>,
}

#[derive(Deserialize)]
struct Changes {
    #[serde(default)]
    base: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct PullRequest {
    head: Tip,
    base: Tip,
}

#[derive(Deserialize)]
struct Tip {
    #[serde(rename = "ref")]
    branch: String,
    sha: String,
    /// Null when the fork was deleted.
    #[serde(default)]
    repo: Option<Repository>,
}

#[derive(Deserialize)]
struct PushPayload {
    #[serde(rename = "ref")]
    reference: String,
    after: String,
    #[serde(default)]
    before: Option<String>,
    #[serde(default)]
    forced: bool,
    #[serde(default)]
    deleted: bool,
    repository: Repository,
    #[serde(default)]
    installation: Option<Installation>,
}

#[derive(Deserialize)]
struct CheckRunPayload {
    check_run: Check,
    repository: Repository,
    #[serde(default)]
    installation: Option<Installation>,
}

#[derive(Deserialize)]
struct CheckSuitePayload {
    check_suite: Check,
    repository: Repository,
    #[serde(default)]
    installation: Option<Installation>,
}

#[derive(Deserialize)]
struct Check {
    head_sha: String,
    #[serde(default)]
    app: Option<Installation>,
    #[serde(default)]
    pull_requests: Vec<Numbered>,
}

#[derive(Deserialize)]
struct Numbered {
    number: PullNumber,
}

#[derive(Deserialize)]
struct WorkflowRunPayload {
    workflow_run: WorkflowRun,
    repository: Repository,
    #[serde(default)]
    installation: Option<Installation>,
}

#[derive(Deserialize)]
struct WorkflowRun {
    id: u64,
    head_sha: String,
    #[serde(default)]
    conclusion: Option<String>,
    #[serde(default)]
    pull_requests: Vec<Numbered>,
}

#[derive(Deserialize)]
struct InstallationPayload {
    installation: Installation,
    #[serde(default)]
    repositories: Vec<Repository>,
    #[serde(default)]
    repositories_added: Vec<Repository>,
    #[serde(default)]
    repositories_removed: Vec<Repository>,
}

#[derive(Deserialize)]
struct RenamedPayload {
    changes: RenamedChanges,
    repository: Repository,
    #[serde(default)]
    installation: Option<Installation>,
}

#[derive(Deserialize)]
struct RenamedChanges {
    #[serde(default)]
    repository: Option<ChangedName>,
    #[serde(default)]
    owner: Option<ChangedOwner>,
}

#[derive(Deserialize)]
struct ChangedName {
    name: FormerText,
}

#[derive(Deserialize)]
struct FormerText {
    from: String,
}

#[derive(Deserialize)]
struct ChangedOwner {
    from: FormerOwner,
}

#[derive(Deserialize)]
struct FormerOwner {
    #[serde(default)]
    user: Option<Account>,
    #[serde(default)]
    organization: Option<Account>,
}

#[derive(Deserialize)]
struct Account {
    login: String,
}

#[derive(Deserialize)]
struct MergeGroupPayload {
    merge_group: MergeGroup,
    repository: Repository,
    #[serde(default)]
    installation: Option<Installation>,
}

#[derive(Deserialize)]
struct MergeGroup {
    head_sha: String,
}

/// Reads the payload of the event `name`. An event or action that regressd does not act on is
/// [`Event::Ignored`], whatever else is in it.
///
/// # Errors
/// When the bytes are no JSON, or not what GitHub documents for the event.
pub fn read_event(name: &str, body: &[u8]) -> Result<Event, PayloadError> {
    let action = parse::<Action>(name, body)?.action;
    let ignored = || Event::Ignored {
        name: name.chars().take(100).collect(),
        action: action.clone().map(|action| action.chars().take(100).collect()),
    };
    match (name, action.as_deref()) {
        ("ping", _) => Ok(Event::Ping),
        ("push", _) => Ok(push(parse(name, body)?)?.unwrap_or_else(ignored)),
        (
            "pull_request",
            Some("opened" | "reopened" | "ready_for_review" | "synchronize" | "edited" | "closed"),
        ) => {
            let action = action.as_deref().unwrap_or_default();
            Ok(pull_request(action, parse(name, body)?)?.unwrap_or_else(ignored))
        }
        ("check_run", Some("rerequested")) => {
            let payload: CheckRunPayload = parse(name, body)?;
            rerequested(payload.check_run, &payload.repository, payload.installation)
        }
        ("check_suite", Some("rerequested")) => {
            let payload: CheckSuitePayload = parse(name, body)?;
            rerequested(payload.check_suite, &payload.repository, payload.installation)
        }
        ("workflow_run", Some("completed")) => workflow_run(parse(name, body)?),
        ("installation", Some(action @ ("created" | "unsuspend" | "new_permissions_accepted"))) => {
            installation(parse(name, body)?, action)
        }
        ("installation", Some(action @ ("deleted" | "suspend"))) => installation(parse(name, body)?, action),
        ("installation_repositories", Some(action @ ("added" | "removed"))) => {
            installation(parse(name, body)?, action)
        }
        ("repository", Some("renamed" | "transferred")) => {
            Ok(renamed(parse(name, body)?)?.unwrap_or_else(ignored))
        }
        ("merge_group", Some(action @ ("checks_requested" | "destroyed"))) => {
            merge_group(parse(name, body)?, action == "checks_requested")
        }
        _ => Ok(ignored()),
    }
}

fn parse<'a, T: Deserialize<'a>>(event: &str, body: &'a [u8]) -> Result<T, PayloadError> {
    serde_json::from_slice(body).map_err(|source| PayloadError::Malformed {
        event: event.chars().take(100).collect(),
        source,
    })
}

fn pull_request(action: &str, payload: PullRequestPayload) -> Result<Option<Event>, PayloadError> {
    let action = match action {
        "opened" | "reopened" | "ready_for_review" => PullRequestAction::Opened,
        "closed" => PullRequestAction::Closed,
        // A new title changes nothing; a new base changes what is compared with.
        "edited" if payload.changes.is_none_or(|changes| changes.base.is_none()) => return Ok(None),
        _ => PullRequestAction::Updated,
    };
    let request = payload.pull_request;
    let home = &payload.repository.full_name;
    let from_fork = request
        .head
        .repo
        .is_none_or(|repository| repository.full_name != *home);
    Ok(Some(Event::PullRequest(PullRequestEvent {
        action,
        repository_id: payload.repository.id,
        repository: home.parse()?,
        installation: payload.installation.map(|installation| installation.id),
        number: payload.number,
        head: CommitSha::new(&request.head.sha)?,
        head_branch: BranchName::new(&request.head.branch)?,
        base: BranchName::new(&request.base.branch)?,
        base_commit: CommitSha::new(&request.base.sha)?,
        from_fork,
    })))
}

fn push(payload: PushPayload) -> Result<Option<Event>, PayloadError> {
    let Some(name) = payload
        .reference
        .strip_prefix("refs/heads/")
        .filter(|_| !payload.deleted)
    else {
        return Ok(None);
    };
    let replaced = payload.before.filter(|_| payload.forced);
    Ok(Some(Event::Push(PushEvent {
        repository_id: payload.repository.id,
        replaced: replaced.as_deref().map(CommitSha::new).transpose()?,
        repository: payload.repository.full_name.parse()?,
        installation: payload.installation.map(|installation| installation.id),
        branch: BranchName::new(name)?,
        default_branch: payload
            .repository
            .default_branch
            .as_deref()
            .map(BranchName::new)
            .transpose()?,
        after: CommitSha::new(&payload.after)?,
    })))
}

fn rerequested(
    check: Check,
    repository: &Repository,
    installation: Option<Installation>,
) -> Result<Event, PayloadError> {
    Ok(Event::Rerequested(RerequestedEvent {
        repository_id: repository.id,
        repository: repository.full_name.parse()?,
        installation: installation.map(|installation| installation.id),
        head: CommitSha::new(&check.head_sha)?,
        app: check.app.map(|app| app.id),
        pull_requests: numbers(&check.pull_requests),
    }))
}

fn workflow_run(payload: WorkflowRunPayload) -> Result<Event, PayloadError> {
    let run = payload.workflow_run;
    Ok(Event::WorkflowRun(WorkflowRunEvent {
        repository_id: payload.repository.id,
        repository: payload.repository.full_name.parse()?,
        installation: payload.installation.map(|installation| installation.id),
        run: run.id,
        head: CommitSha::new(&run.head_sha)?,
        conclusion: run.conclusion,
        pull_requests: numbers(&run.pull_requests),
    }))
}

fn installation(payload: InstallationPayload, action: &str) -> Result<Event, PayloadError> {
    let gone = matches!(action, "deleted" | "suspend");
    let listed = payload.repositories_added.iter().chain(&payload.repositories);
    let added_ids: Option<Vec<u64>> = listed.map(|repository| repository.id).collect();
    let names = |repositories: Vec<Repository>| -> Result<Vec<RepoName>, NameError> {
        repositories
            .into_iter()
            .map(|repository| repository.full_name.parse())
            .collect()
    };
    let (mut added, mut removed) = (
        names(payload.repositories_added)?,
        names(payload.repositories_removed)?,
    );
    let all = names(payload.repositories)?;
    if gone {
        removed.extend(all);
    } else {
        added.extend(all);
    }
    Ok(Event::Installation(InstallationEvent {
        installation: payload.installation.id,
        added_ids: added_ids.filter(|_| !gone).unwrap_or_default(),
        added,
        removed,
        gone,
    }))
}

/// `None` when the payload does not say what it was called.
fn renamed(payload: RenamedPayload) -> Result<Option<Event>, PayloadError> {
    let repository: RepoName = payload.repository.full_name.parse()?;
    let changes = payload.changes;
    let former_name = changes.repository.map(|changed| changed.name.from);
    let former_owner = changes.owner.and_then(|changed| {
        let from = changed.from;
        from.user.or(from.organization).map(|account| account.login)
    });
    let (Some(repository_id), true) = (
        payload.repository.id,
        former_name.is_some() || former_owner.is_some(),
    ) else {
        return Ok(None);
    };
    let owner = former_owner.unwrap_or_else(|| repository.owner().to_owned());
    let name = former_name.unwrap_or_else(|| repository.name().to_owned());
    Ok(Some(Event::Renamed(RenamedEvent {
        former: RepoName::new(&owner, &name)?,
        repository,
        repository_id,
        installation: payload.installation.map(|installation| installation.id),
    })))
}

fn merge_group(payload: MergeGroupPayload, waits: bool) -> Result<Event, PayloadError> {
    Ok(Event::MergeGroup(MergeGroupEvent {
        repository: payload.repository.full_name.parse()?,
        repository_id: payload.repository.id,
        installation: payload.installation.map(|installation| installation.id),
        head: CommitSha::new(&payload.merge_group.head_sha)?,
        waits,
    }))
}

/// A commit is the head of a handful of pull requests; more are somebody's joke.
fn numbers(requests: &[Numbered]) -> Vec<PullNumber> {
    requests.iter().take(100).map(|request| request.number).collect()
}
