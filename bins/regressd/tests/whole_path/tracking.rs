//! A regression that stays on the main branch has one issue; it is closed when the benchmark recovers.

use std::time::Duration;

use regressd::simulate::{
    Act, Language, SampleKind, SimulatedUpload, play_scene, samples_for_language, scenes_for_owner,
};

use crate::service::Service;

#[tokio::test]
async fn one_issue_from_beginning_to_end() {
    let service = Service::start(&[]).await;
    let scene = &scenes_for_owner("octo")[0];
    let name = scene.repository.to_string();
    let installation = service.github.add_repository(&name);
    let sender = service.sender();
    play_scene(&sender, scene, installation, &[] as &[Act], |_| ())
        .await
        .unwrap();
    let measure = async |commit: u32, kind: SampleKind, run: usize| {
        let commit = format!("{commit:040x}");
        let upload = SimulatedUpload {
            repository: &scene.repository,
            branch: "main",
            commit: &commit,
            pull_request: None,
            component: "go",
            run_id: "1",
            workflow_run: None,
        };
        sender
            .upload(&upload, &samples_for_language(Language::Go, kind)[run])
            .await
            .unwrap();
        service.settle(Duration::from_secs(30)).await;
    };
    for commit in 1..=6 {
        measure(commit, SampleKind::Slower, (commit % 2) as usize).await;
    }
    let issues = service.github.issues(&name);
    assert_eq!(issues.len(), 1, "{issues:?}");
    assert_eq!(issues[0].state, "open");
    assert!(issues[0].title.contains("Parse/Large"), "{}", issues[0].title);
    for commit in 7..=8 {
        measure(commit, SampleKind::Base, commit as usize % 8).await;
    }
    let issues = service.github.issues(&name);
    assert_eq!(
        (issues.len(), issues[0].state.as_str()),
        (1, "closed"),
        "{issues:?}"
    );
}
