//! One comment a pull request, whatever happens.

use std::sync::Arc;
use std::time::Duration;

use regressd::domain::PullNumber;
use regressd::fake_github::{FakeGitHub, TroubleKind};
use regressd::github::{
    Again, GitHubError, MemoryLeases, Repository, Written, pull_requests_of, put_comment, regressd_marker,
};

use crate::set_up::{HEAD, NAME, first_write, pull, start};

const PULL: PullNumber = PullNumber(7);

async fn put(repository: &Repository, leases: &MemoryLeases, text: &str) -> Result<Written, GitHubError> {
    put_comment(repository, leases, PULL, &regressd_marker("comment", &[]), text).await
}

/// Puts the comment as a job would: again and again, when it is told to.
async fn put_at_last(repository: &Repository, leases: &MemoryLeases, text: &str) -> Written {
    loop {
        match put(repository, leases, text).await {
            Ok(written) => return written,
            Err(error) => match error.when_to_retry() {
                Again::After(wait) => tokio::time::sleep(wait.min(Duration::from_secs(2))).await,
                Again::Later => tokio::time::sleep(Duration::from_millis(100)).await,
                Again::Never => panic!("{error}"),
            },
        }
    }
}

fn bodies(fake: &FakeGitHub) -> Vec<String> {
    fake.comments(NAME)
        .into_iter()
        .map(|comment| comment.body)
        .collect()
}

#[tokio::test]
async fn made_then_changed_then_left_alone() {
    let (fake, repository) = start().await;
    let leases = MemoryLeases::default();
    assert!(matches!(
        put(&repository, &leases, "one").await.unwrap(),
        Written::Created(_)
    ));
    assert!(matches!(
        put(&repository, &leases, "two").await.unwrap(),
        Written::Updated(_)
    ));
    assert!(matches!(
        put(&repository, &leases, "two").await.unwrap(),
        Written::Unchanged(_)
    ));
    assert_eq!(bodies(&fake), ["<!-- regressd:comment -->\ntwo"]);
    assert_eq!(fake.comments(NAME)[0].edits, 1);
}

#[tokio::test]
async fn a_copied_marker_fools_nobody_and_many_comments_hide_nothing() {
    let (fake, repository) = start().await;
    let leases = MemoryLeases::default();
    fake.add_persons_comment(NAME, 7, "<!-- regressd:comment -->\nmine!");
    for index in 0..250 {
        fake.add_persons_comment(NAME, 7, &format!("chatter {index}"));
    }
    put(&repository, &leases, "one").await.unwrap();
    for index in 0..250 {
        fake.add_persons_comment(NAME, 7, &format!("more chatter {index}"));
    }
    assert!(matches!(
        put(&repository, &leases, "two").await.unwrap(),
        Written::Updated(_)
    ));
    assert_eq!(bodies(&fake).len(), 1);
}

#[tokio::test]
async fn twenty_workers_at_once_make_one_comment() {
    let (fake, repository) = start().await;
    let leases = Arc::new(MemoryLeases::default());
    let workers: Vec<_> = (0..20)
        .map(|index| {
            let (repository, leases) = (repository.clone(), Arc::clone(&leases));
            tokio::spawn(async move { put_at_last(&repository, &leases, &format!("{}", index / 10)).await })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    assert_eq!(bodies(&fake).len(), 1);
}

#[tokio::test]
async fn a_lost_answer_does_not_make_a_second_comment() {
    let (fake, repository) = start().await;
    let leases = MemoryLeases::default();
    pull_requests_of(&repository, &HEAD.parse_commit()).await.unwrap();
    fake.set_trouble(first_write(TroubleKind::LostAnswers));
    let failed = put(&repository, &leases, "one").await.unwrap_err();
    assert!(failed.may_have_happened(), "{failed}");
    assert_eq!(bodies(&fake).len(), 1, "it was made, but nobody knows");
    let held = put(&repository, &leases, "one").await.unwrap_err();
    assert!(
        matches!(held, GitHubError::Held { .. }),
        "until the lease ends nobody tries: {held}"
    );
    assert!(matches!(
        put_at_last(&repository, &leases, "two").await,
        Written::Updated(_)
    ));
    assert_eq!(bodies(&fake), ["<!-- regressd:comment -->\ntwo"]);
}

#[tokio::test]
async fn a_worker_killed_while_posting_leaves_one_comment() {
    let (fake, repository) = start().await;
    let leases = Arc::new(MemoryLeases::default());
    put(&repository, &leases, "warm").await.unwrap();
    fake.put_pull(NAME, pull(8));
    let of_eight = |text: &'static str| {
        let (repository, leases) = (repository.clone(), Arc::clone(&leases));
        async move {
            put_comment(
                &repository,
                &*leases,
                PullNumber(8),
                &regressd_marker("comment", &[]),
                text,
            )
            .await
        }
    };
    fake.set_trouble(first_write(TroubleKind::Slow));
    // The request is on its way when the worker dies; it arrives.
    let worker = tokio::spawn(of_eight("one"));
    tokio::time::sleep(Duration::from_millis(400)).await;
    worker.abort();
    loop {
        match of_eight("two").await {
            Ok(_) => break,
            Err(error) => assert!(matches!(error.when_to_retry(), Again::After(_)), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let eight: Vec<_> = fake
        .comments(NAME)
        .into_iter()
        .filter(|comment| comment.issue == 8)
        .collect();
    assert_eq!(eight.len(), 1, "{eight:?}");
}

#[tokio::test]
async fn a_comment_somebody_deleted_is_made_again_and_a_long_one_is_cut() {
    let (fake, repository) = start().await;
    let leases = MemoryLeases::default();
    put(&repository, &leases, &"é".repeat(80_000)).await.unwrap();
    assert!(bodies(&fake)[0].len() < 65_536);
}

#[tokio::test]
async fn commits_lead_to_their_pull_requests_also_from_forks() {
    let (fake, repository) = start().await;
    let numbers = async |commit: &str| {
        let found = pull_requests_of(&repository, &commit.parse_commit())
            .await
            .unwrap();
        found.into_iter().map(|number| number.0).collect::<Vec<_>>()
    };
    assert_eq!(numbers(HEAD).await, [7]);
    let fork = "f".repeat(40);
    for number in 100..250 {
        let mut other = pull(number);
        other.head = format!("{number:040}");
        fake.put_pull(NAME, other);
    }
    let mut of_fork = pull(300);
    (of_fork.head, of_fork.fork) = (fork.clone(), true);
    fake.put_pull(NAME, of_fork);
    assert_eq!(numbers(&fork).await, [300]);
    let mut closed = pull(300);
    (closed.head, closed.fork, closed.state) = (fork.clone(), true, "closed".to_owned());
    fake.put_pull(NAME, closed);
    assert!(numbers(&fork).await.is_empty());
    assert!(numbers(&"e".repeat(40)).await.is_empty());
}

trait ParseCommit {
    fn parse_commit(&self) -> regressd::domain::CommitSha;
}

impl ParseCommit for str {
    fn parse_commit(&self) -> regressd::domain::CommitSha {
        regressd::domain::CommitSha::new(self).unwrap()
    }
}
