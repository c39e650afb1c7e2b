//! The scenes: a repository gets a history, then pull requests that make it slower and faster.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::samples::{Language, SampleKind, samples_for_language};
use super::sender::{SendError, Sender, SimulatedUpload};
use crate::domain::RepoName;

/// What happens in a pull request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// It makes a benchmark slower.
    Regression,
    /// It makes one faster.
    Improvement,
    /// It changes nothing, and comes from a fork, whose upload does not know the pull request.
    Fork,
}

impl Act {
    /// All of them, as they are played.
    pub const ALL: [Self; 3] = [Self::Regression, Self::Improvement, Self::Fork];

    /// The number of its pull request.
    #[must_use]
    pub fn pull_request_number(self) -> u32 {
        match self {
            Self::Regression => 1,
            Self::Improvement => 2,
            Self::Fork => 3,
        }
    }

    fn kind(self) -> SampleKind {
        match self {
            Self::Regression => SampleKind::Slower,
            Self::Improvement => SampleKind::Faster,
            Self::Fork => SampleKind::Base,
        }
    }
}

/// A repository of the play.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scene {
    /// Its name.
    pub repository: RepoName,
    /// The languages of its components.
    pub languages: Vec<Language>,
}

/// A repository a language, and one with all of them.
///
/// # Panics
/// Never: the names are fixed.
#[must_use]
pub fn scenes_for_owner(owner: &str) -> Vec<Scene> {
    let scene = |name: &str, languages: &[Language]| Scene {
        repository: RepoName::new(owner, name).expect("the names of the play are plain"),
        languages: languages.to_vec(),
    };
    vec![
        scene("shop-go", &[Language::Go]),
        scene("shop-rust", &[Language::Rust]),
        scene("shop-python", &[Language::Python]),
        scene("shop-mixed", &Language::ALL),
    ]
}

impl Scene {
    /// A commit that is the same in every play.
    #[must_use]
    pub fn commit_sha(&self, what: &str) -> String {
        hex::encode(&Sha256::digest(format!("{} {what}", self.repository))[..20])
    }

    /// The commit at the head of a pull request.
    #[must_use]
    pub fn head_commit(&self, act: Act) -> String {
        self.commit_sha(&format!("pull {}", act.pull_request_number()))
    }
}

/// Installs the app, gives the main branch its history, and plays the acts. `opened` is called before each pull
/// request's webhook is sent, so that a GitHub of ours can know it.
///
/// # Errors
/// When the service refuses something.
pub async fn play_scene(
    sender: &Sender,
    scene: &Scene,
    installation: u64,
    acts: &[Act],
    mut opened: impl FnMut(Act),
) -> Result<(), SendError> {
    let repository = json!({ "full_name": scene.repository, "default_branch": "main" });
    let installed = json!({
        "action": "created",
        "installation": { "id": installation },
        "repositories": [{ "full_name": scene.repository }],
    });
    let id = |what: &str| format!("simulated-{}", &scene.commit_sha(what)[..20]);
    sender
        .deliver("installation", &id("installation"), &installed)
        .await?;
    for run in 0..samples_for_language(Language::Go, SampleKind::Base).len() {
        let commit = scene.commit_sha(&format!("main {run}"));
        let push = json!({
            "ref": "refs/heads/main",
            "after": commit,
            "repository": repository,
            "installation": { "id": installation },
        });
        sender.deliver("push", &id(&format!("push {run}")), &push).await?;
        upload(sender, scene, "main", &commit, None, (SampleKind::Base, run)).await?;
    }
    for act in acts {
        opened(*act);
        let head = scene.head_commit(*act);
        let payload = pull_request(scene, *act, &head, installation, &repository);
        sender
            .deliver(
                "pull_request",
                &id(&format!("pull {}", act.pull_request_number())),
                &payload,
            )
            .await?;
        // A workflow of a fork cannot be trusted to say which pull request it belongs to, so it does not.
        let number = Some(act.pull_request_number()).filter(|_| *act != Act::Fork);
        for run in 0..2 {
            upload(sender, scene, "change", &head, number, (act.kind(), run)).await?;
        }
    }
    Ok(())
}

fn pull_request(scene: &Scene, act: Act, head: &str, installation: u64, repository: &Value) -> Value {
    let home = match act {
        Act::Fork => json!({ "full_name": "stranger/fork" }),
        _ => repository.clone(),
    };
    json!({
        "action": "opened",
        "number": act.pull_request_number(),
        "pull_request": {
            "head": { "ref": "change", "sha": head, "repo": home },
            "base": { "ref": "main", "sha": scene.commit_sha("main 7"), "repo": repository },
        },
        "repository": repository,
        "installation": { "id": installation },
    })
}

async fn upload(
    sender: &Sender,
    scene: &Scene,
    branch: &str,
    commit: &str,
    pull_request: Option<u32>,
    (kind, run): (SampleKind, usize),
) -> Result<(), SendError> {
    for language in &scene.languages {
        let upload = SimulatedUpload {
            repository: &scene.repository,
            branch,
            commit,
            pull_request,
            component: language.as_str(),
            run_id: &format!("run {run}"),
            workflow_run: pull_request.map(|number| u64::from(number) * 1000),
        };
        sender
            .upload(&upload, &samples_for_language(*language, kind)[run])
            .await?;
    }
    Ok(())
}
