//! A fake GitHub with one repository, and a client of it.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use regressd::domain::RepoName;
use regressd::fake_github::{FakeGitHub, FakeSettings, Pull, SigningKey, Trouble, TroubleKind, signing_key};
use regressd::github::{
    AppCredentials, BreakerSettings, Breakers, GitHub, GitHubSettings, MemoryContentRate, Repository,
};

pub(crate) const NAME: &str = "octo/app";
pub(crate) const HEAD: &str = "0123456789012345678901234567890123456789";

/// Making a key takes a while.
pub(crate) static KEY: LazyLock<SigningKey> = LazyLock::new(|| signing_key("app"));

pub(crate) fn name() -> RepoName {
    NAME.parse().unwrap()
}

pub(crate) fn pull(number: u64) -> Pull {
    Pull {
        number,
        head: HEAD.to_owned(),
        state: "open".to_owned(),
        fork: false,
    }
}

pub(crate) async fn fake(settings: FakeSettings) -> FakeGitHub {
    let fake = FakeGitHub::start(([127, 0, 0, 1], 0).into(), settings, &KEY)
        .await
        .unwrap();
    fake.add_repository(NAME);
    fake.put_pull(NAME, pull(7));
    fake
}

pub(crate) fn settings(fake: &FakeGitHub) -> GitHubSettings {
    GitHubSettings {
        api: fake.url().to_owned(),
        timeout: Duration::from_secs(1),
        lease: Duration::from_secs(2),
        ..GitHubSettings::default()
    }
}

pub(crate) fn client(settings: &GitHubSettings) -> GitHub {
    let credentials = AppCredentials::new(12345, KEY.pem().as_bytes()).unwrap();
    let breakers = Breakers::new(BreakerSettings {
        failures: 3,
        pause: Duration::from_millis(300),
        longest_pause: Duration::from_millis(600),
    });
    GitHub::new(
        settings,
        credentials,
        &breakers,
        Arc::new(MemoryContentRate::default()),
    )
    .unwrap()
}

pub(crate) async fn start() -> (FakeGitHub, Repository) {
    let fake = fake(FakeSettings::default()).await;
    let repository = client(&settings(&fake))
        .find_repository(&name(), None)
        .await
        .unwrap();
    (fake, repository)
}

pub(crate) fn once(kind: TroubleKind) -> Option<Trouble> {
    Some(Trouble {
        kind,
        milliseconds: None,
        requests: Some(1),
        only_writes: false,
    })
}

pub(crate) fn first_write(kind: TroubleKind) -> Option<Trouble> {
    Some(Trouble {
        kind,
        milliseconds: None,
        requests: Some(1),
        only_writes: true,
    })
}
