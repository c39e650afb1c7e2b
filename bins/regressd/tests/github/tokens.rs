//! Tokens: made once, replaced early, replaced once when they are refused.

use std::sync::Arc;
use std::time::Duration;

use regressd::domain::CommitSha;
use regressd::fake_github::{FakeGitHub, FakeSettings, TroubleKind, signing_key};
use regressd::github::{
    AppCredentials, Breakers, GitHub, GitHubError, MemoryContentRate, Repository, pull_requests_of,
};

use crate::set_up::{HEAD, client, fake, name, once, settings, start};

fn tokens_made(fake: &FakeGitHub) -> usize {
    fake.calls()
        .iter()
        .filter(|call| call.path.ends_with("/access_tokens") && call.status == 201)
        .count()
}

async fn read(repository: &Repository) -> Result<(), GitHubError> {
    let head = CommitSha::new(HEAD).unwrap();
    pull_requests_of(repository, &head).await.map(drop)
}

#[tokio::test]
async fn one_token_serves_many_calls() {
    let (fake, repository) = start().await;
    let calls = (0..10).map(|_| read(&repository));
    for outcome in futures_util::future::join_all(calls).await {
        outcome.unwrap();
    }
    assert_eq!(tokens_made(&fake), 1);
    assert_eq!(repository.github().authenticated(), Some(true));
}

#[tokio::test]
async fn a_token_is_replaced_before_it_ends() {
    let settings_of_fake = FakeSettings {
        token_life: Duration::from_millis(400),
        ..FakeSettings::default()
    };
    let fake = fake(settings_of_fake).await;
    let repository = client(&settings(&fake))
        .find_repository(&name(), None)
        .await
        .unwrap();
    let start = std::time::Instant::now();
    while start.elapsed() < Duration::from_secs(1) {
        read(&repository).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!((3..=5).contains(&tokens_made(&fake)), "{}", tokens_made(&fake));
    assert!(
        fake.calls().iter().all(|call| call.status != 401),
        "never used after its end"
    );
}

#[tokio::test]
async fn a_refused_token_is_replaced_once() {
    let (fake, repository) = start().await;
    read(&repository).await.unwrap();
    fake.revoke_tokens();
    read(&repository).await.unwrap();
    assert_eq!(tokens_made(&fake), 2);
    fake.set_trouble(once(TroubleKind::Unauthorized));
    read(&repository).await.unwrap();
    let mut always = once(TroubleKind::Unauthorized).unwrap();
    always.requests = None;
    fake.set_trouble(Some(always));
    let before = fake.calls().len();
    let error = read(&repository).await.unwrap_err();
    assert!(
        matches!(error, GitHubError::Refused { status: 401, .. }),
        "{error}"
    );
    assert!(
        fake.calls().len() - before <= 4,
        "and then it is given up: {}",
        fake.calls().len() - before
    );
}

#[tokio::test]
async fn strangers_are_turned_away() {
    let fake = fake(FakeSettings::default()).await;
    let settings = settings(&fake);
    let with = |app, pem: &str| {
        let credentials = AppCredentials::new(app, pem.as_bytes()).unwrap();
        let limiter = Arc::new(MemoryContentRate::default());
        GitHub::new(&settings, credentials, &Breakers::default(), limiter).unwrap()
    };
    let stranger = signing_key("stranger");
    let forged = with(12345, stranger.pem());
    assert!(matches!(
        forged.check_authentication().await,
        Err(GitHubError::Refused { status: 401, .. })
    ));
    assert_eq!(forged.authenticated(), Some(false));
    let other_app = with(1, crate::set_up::KEY.pem());
    assert!(other_app.check_authentication().await.is_err());
    let ours = client(&settings);
    ours.check_authentication().await.unwrap();
    let error = ours.find_repository("some/where", None).await.unwrap_err();
    assert!(matches!(error, GitHubError::NotInstalled { .. }), "{error}");
    assert!(AppCredentials::new(1, b"-----BEGIN JUNK-----").is_err());
}

#[test]
fn nothing_secret_is_shown() {
    let credentials = AppCredentials::new(1, crate::set_up::KEY.pem().as_bytes()).unwrap();
    let shown = format!("{credentials:?} {:?}", *crate::set_up::KEY);
    assert!(!shown.contains("PRIVATE") && shown.len() < 200, "{shown}");
}
