//! What a workflow runs for, from what GitHub Actions says in the environment.

use serde::Deserialize;

use crate::files;

/// What is needed of an event's payload.
#[derive(Deserialize)]
struct Event {
    pull_request: Option<PullRequest>,
}

#[derive(Deserialize)]
struct PullRequest {
    number: u64,
    head: Option<Head>,
}

#[derive(Deserialize)]
struct Head {
    sha: String,
}

/// The pull request of the event; `None` outside of Actions, or if the event has none.
pub(crate) fn pull_request_of_event(environment: impl Fn(&str) -> Option<String>) -> Option<u64> {
    let of_payload = || Some(payload_pull_request(&environment)?.number);
    let of_ref = || {
        environment("GITHUB_REF")?
            .strip_prefix("refs/pull/")?
            .split('/')
            .next()?
            .parse()
            .ok()
    };
    of_payload().or_else(of_ref)
}

/// The head of the event's pull request. The commit that a workflow for one measures is another, made to merge it.
pub(crate) fn pull_request_head(environment: impl Fn(&str) -> Option<String>) -> Option<String> {
    payload_pull_request(&environment)?.head.map(|head| head.sha)
}

fn payload_pull_request(environment: &impl Fn(&str) -> Option<String>) -> Option<PullRequest> {
    let bytes = files::read_result_file(environment("GITHUB_EVENT_PATH")?.as_ref()).ok()?;
    serde_json::from_slice::<Event>(&bytes).ok()?.pull_request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payload_then_ref() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("event.json");
        files::write_file(
            &path,
            r#"{"action": "opened", "pull_request": {"number": 7, "title": "x", "head": {"sha": "abc"}}}"#,
        )
        .unwrap();
        let path = path.display().to_string();
        let with = |name: &str, value: &str| {
            let pair = (name.to_owned(), value.to_owned());
            move |asked: &str| (asked == pair.0).then(|| pair.1.clone())
        };
        assert_eq!(pull_request_of_event(with("GITHUB_EVENT_PATH", &path)), Some(7));
        assert_eq!(
            pull_request_head(with("GITHUB_EVENT_PATH", &path)).as_deref(),
            Some("abc")
        );
        assert_eq!(
            pull_request_of_event(with("GITHUB_REF", "refs/pull/9/merge")),
            Some(9)
        );
        assert_eq!(pull_request_of_event(with("GITHUB_REF", "refs/heads/main")), None);
        assert_eq!(
            pull_request_of_event(with("GITHUB_EVENT_PATH", "/nonexistent")),
            None
        );
    }
}
