//! One check run a commit, updated in place.
//!
//! Annotations are sent in batches of fifty. GitHub adds each batch to what is there and takes none back, so those
//! that are already there are not sent again.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::client::Repeat;
use crate::comment::{Author, truncate_text};
use crate::{GitHubError, Repository};

/// Annotations in one request.
const ANNOTATIONS_PER_REQUEST: usize = 50;
/// More annotations than anybody reads; the rest is in the comment and on the page.
const MAX_ANNOTATIONS: usize = 500;
/// GitHub's limit for summary and text.
const MAX_TEXT_BYTES: usize = 65_535;

/// How far the check is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckState {
    /// Results are awaited.
    InProgress,
    /// It is judged.
    Completed(Conclusion),
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conclusion {
    /// Nothing became slower.
    Success,
    /// Something did.
    Failure,
    /// It could not be judged.
    Neutral,
}

/// A remark on a file. Benchmarks do not say where they stand, so all remarks are on the folder of the settings.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Annotation {
    /// The file.
    pub path: String,
    /// The first line.
    pub start_line: u32,
    /// The last line.
    pub end_line: u32,
    /// `failure`, `warning` or `notice`.
    pub annotation_level: String,
    /// What it is about.
    pub title: String,
    /// What it says.
    pub message: String,
}

/// The check run of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckRun {
    /// The full hash of the commit.
    pub head: String,
    /// Its name: one commit has one check run of a name.
    pub name: String,
    /// How far it is.
    pub state: CheckState,
    /// The heading.
    pub title: String,
    /// The text below, Markdown.
    pub summary: String,
    /// Where to read more.
    pub details_url: Option<String>,
    /// Remarks.
    pub annotations: Vec<Annotation>,
}

#[derive(Deserialize)]
struct CheckRunList {
    check_runs: Vec<Made>,
}

#[derive(Deserialize)]
struct Made {
    id: u64,
    name: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    app: Option<Author>,
    #[serde(default)]
    output: Output,
}

#[derive(Deserialize, Default)]
struct Output {
    #[serde(default)]
    annotations_count: u64,
}

/// Makes the check run of its commit say what `check` says; gives its number.
///
/// # Errors
/// When GitHub refuses, asks to wait, or does not answer.
pub async fn put_check_run(repository: &Repository, check: &CheckRun) -> Result<u64, GitHubError> {
    let known = find(repository, check).await?;
    let there = match &known {
        Some(made) if made.output.annotations_count > 0 => annotations(repository, made.id).await?,
        _ => HashSet::new(),
    };
    let wanted = check.annotations.iter().take(MAX_ANNOTATIONS);
    let new: Vec<&Annotation> = wanted.filter(|annotation| !there.contains(*annotation)).collect();
    let mut batches = new.chunks(ANNOTATIONS_PER_REQUEST);
    let first = batches.next().unwrap_or_default();
    let id = match known {
        Some(made) => {
            update(repository, made.id, &body(check, first), first.is_empty()).await?;
            made.id
        }
        None => {
            let mut body = body(check, first);
            body["head_sha"] = json!(check.head);
            repository.post::<Made>("/check-runs", &body).await?.id
        }
    };
    for batch in batches {
        update(repository, id, &body(check, batch), false).await?;
    }
    Ok(id)
}

/// Makes a check run that still waits say what `check` says; gives its number. One that is not there, or is completed,
/// is left alone.
///
/// # Errors
/// When GitHub refuses, asks to wait, or does not answer.
pub async fn end_check_run(repository: &Repository, check: &CheckRun) -> Result<Option<u64>, GitHubError> {
    let known = find(repository, check).await?;
    let Some(waiting) = known.filter(|made| made.status != "completed") else {
        return Ok(None);
    };
    update(repository, waiting.id, &body(check, &[]), true).await?;
    Ok(Some(waiting.id))
}

async fn update(repository: &Repository, id: u64, body: &Value, same: bool) -> Result<(), GitHubError> {
    // With annotations a second request would add them a second time.
    let repeat = if same { Repeat::Safe } else { Repeat::Never };
    repository
        .patch::<Made>(&format!("/check-runs/{id}"), body, repeat)
        .await
        .map(drop)
}

async fn find(repository: &Repository, check: &CheckRun) -> Result<Option<Made>, GitHubError> {
    let app = repository.github().app_id();
    // The name is compared here rather than put into the address, where it would have to be escaped.
    let mut route = format!("/commits/{}/check-runs?filter=latest&per_page=100", check.head);
    if let Some(app) = app {
        route = format!("{route}&app_id={app}");
    }
    let listed: CheckRunList = repository.get(&route).await?;
    let ours = |made: &Made| {
        made.name == check.name
            && made
                .app
                .as_ref()
                .is_none_or(|by| app.is_none_or(|app| by.id == app))
    };
    Ok(listed.check_runs.into_iter().find(ours))
}

async fn annotations(repository: &Repository, id: u64) -> Result<HashSet<Annotation>, GitHubError> {
    let mut all = HashSet::new();
    for page in 1..=(MAX_ANNOTATIONS / 100 + 1) {
        let route = format!("/check-runs/{id}/annotations?per_page=100&page={page}");
        let some: Vec<Annotation> = repository.get(&route).await?;
        let last = some.len() < 100;
        all.extend(some);
        if last {
            break;
        }
    }
    Ok(all)
}

fn body(check: &CheckRun, annotations: &[&Annotation]) -> Value {
    let mut body = json!({
        "name": check.name,
        "output": {
            "title": truncate_text(&check.title, 255),
            "summary": truncate_text(&check.summary, MAX_TEXT_BYTES),
            "annotations": annotations,
        },
    });
    match check.state {
        CheckState::InProgress => body["status"] = json!("in_progress"),
        CheckState::Completed(conclusion) => {
            body["status"] = json!("completed");
            body["conclusion"] = json!(conclusion);
        }
    }
    if let Some(url) = &check.details_url {
        body["details_url"] = json!(url);
    }
    body
}
