//! Limits, failures and outages: what is waited for, what is repeated, when the breaker opens.

use std::sync::Arc;
use std::time::{Duration, Instant};

use regressd::domain::{CommitSha, PullNumber};
use regressd::fake_github::{FakeSettings, Trouble, TroubleKind};
use regressd::github::{
    Again, BreakerState, GitHub, GitHubError, GitHubSettings, MemoryContentRate, MemoryLeases, Repository,
    pull_requests_of, put_comment, regressd_marker,
};

use crate::set_up::{HEAD, NAME, client, fake, name, once, settings, start};

async fn read(repository: &Repository) -> Result<(), GitHubError> {
    let head = CommitSha::new(HEAD).unwrap();
    pull_requests_of(repository, &head).await.map(drop)
}

fn wait(error: &GitHubError) -> Duration {
    match error.when_to_retry() {
        Again::After(wait) => wait,
        other => panic!("{error}: {other:?}"),
    }
}

#[tokio::test]
async fn limits_are_waited_for_as_long_as_github_says() {
    for (kind, least, most) in [
        (TroubleKind::SecondaryLimit, 1, 1),
        (TroubleKind::PrimaryLimit, 2, 3),
        (TroubleKind::SecondaryLimitUnsaid, 60, 60),
    ] {
        let (fake, repository) = start().await;
        read(&repository).await.unwrap();
        fake.set_trouble(once(kind));
        let asked = wait(&read(&repository).await.unwrap_err());
        assert!((least..=most).contains(&asked.as_secs()), "{kind:?}: {asked:?}");
        let before = fake.calls().len();
        let left = wait(&read(&repository).await.unwrap_err());
        assert!(left <= asked, "and until then GitHub is not asked again");
        assert_eq!(fake.calls().len(), before);
        if most < 60 {
            tokio::time::sleep(left).await;
            read(&repository).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_used_up_primary_limit_is_respected() {
    let fake = fake(FakeSettings {
        requests_an_hour: 5,
        ..FakeSettings::default()
    })
    .await;
    let repository = client(&settings(&fake))
        .find_repository(&name(), None)
        .await
        .unwrap();
    let mut last = Ok(());
    for _ in 0..8 {
        last = read(&repository).await;
    }
    assert!(wait(&last.unwrap_err()) > Duration::from_secs(3000));
    assert_eq!(fake.calls().iter().filter(|call| call.status == 403).count(), 1);
}

#[tokio::test]
async fn content_is_made_no_faster_than_allowed() {
    let fake = fake(FakeSettings::default()).await;
    let mut settings = settings(&fake);
    settings.limits.a_minute = 3;
    let repository = client(&settings).find_repository(&name(), None).await.unwrap();
    let leases = MemoryLeases::default();
    for index in 0..3 {
        let marker = regressd_marker("comment", &[&index.to_string()]);
        put_comment(&repository, &leases, PullNumber(7), &marker, "x")
            .await
            .unwrap();
    }
    let error = put_comment(&repository, &leases, PullNumber(7), "m", "x")
        .await
        .unwrap_err();
    assert!(wait(&error) > Duration::from_secs(50), "{error}");
    assert_eq!(fake.comments(NAME).len(), 3);
}

#[tokio::test]
async fn what_reads_is_repeated_and_what_makes_is_not() {
    let (fake, repository) = start().await;
    fake.set_trouble(once(TroubleKind::ServerErrors));
    read(&repository).await.unwrap();
    fake.set_trouble(once(TroubleKind::Slow));
    read(&repository).await.unwrap();
    let writes = Trouble {
        kind: TroubleKind::ServerErrors,
        milliseconds: None,
        requests: None,
        only_writes: true,
    };
    fake.set_trouble(Some(writes));
    let leases = MemoryLeases::default();
    let error = put_comment(&repository, &leases, PullNumber(7), "m", "x")
        .await
        .unwrap_err();
    assert_eq!(error.when_to_retry(), Again::Later, "{error}");
    let posts = fake
        .calls()
        .iter()
        .filter(|call| call.path.ends_with("/comments") && call.method == "POST")
        .count();
    assert_eq!(posts, 1);
}

#[tokio::test]
async fn an_outage_opens_the_breaker_and_its_end_closes_it() {
    let (mut fake, repository) = start().await;
    read(&repository).await.unwrap();
    fake.stop();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let error = read(&repository).await.unwrap_err();
    assert!(matches!(error, GitHubError::Outage { .. }), "{error}");
    let breaker = || repository.github().breaker().state();
    assert_eq!(breaker(), BreakerState::Open);
    let started = Instant::now();
    for _ in 0..100 {
        wait(&read(&repository).await.unwrap_err());
    }
    assert!(
        started.elapsed() < Duration::from_millis(250),
        "nobody waits for a host that is known to be gone"
    );
    fake.start_again().await.unwrap();
    let leases = MemoryLeases::default();
    loop {
        match put_comment(&repository, &leases, PullNumber(7), "m", "x").await {
            Ok(_) => break,
            Err(error) => tokio::time::sleep(wait(&error)).await,
        }
    }
    assert_eq!((breaker(), fake.comments(NAME).len()), (BreakerState::Closed, 1));
    assert!(repository.github().breaker().times_opened() >= 1);
}

#[tokio::test]
async fn an_answer_that_is_no_answer_is_an_error_that_says_so() {
    let (fake, _) = start().await;
    let mut settings = settings(&fake);
    settings.api = "ftp://example.org".to_owned();
    let credentials =
        || regressd::github::AppCredentials::new(1, crate::set_up::KEY.pem().as_bytes()).unwrap();
    let breakers = regressd::github::Breakers::default();
    let new = |settings: &GitHubSettings| {
        let limiter = Arc::new(MemoryContentRate::default());
        GitHub::new(settings, credentials(), &breakers, limiter)
    };
    for api in ["ftp://example.org", "not an address", "http://"] {
        api.clone_into(&mut settings.api);
        let error = new(&settings).unwrap_err();
        assert!(matches!(error, GitHubError::SetUp(_)), "{error}");
    }
    // An address that answers, but not as GitHub does.
    settings.api = format!("{}/_fake/state?", fake.url());
    let github = new(&settings).unwrap();
    let error = github.find_repository(&name(), None).await.unwrap_err();
    assert!(matches!(error, GitHubError::Answer { .. }), "{error}");
}
