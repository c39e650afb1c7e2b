//! `regressd simulate`, as a newcomer types it.

use std::process::Output;

use crate::service::{SECRET, Service};

fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_regressd"));
    let folder = tempfile::tempdir().unwrap();
    command
        .current_dir(folder.path())
        .env_clear()
        .envs(environment.iter().copied());
    command.arg("simulate").args(arguments).output().unwrap()
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn one_command_shows_a_regression_from_upload_to_comment() {
    let output = run(&["--only", "go"], &[]);
    let (shown, errors) = texts(&output);
    assert!(output.status.success(), "{errors}");
    for part in [
        "pull request #1: makes parse/large a third slower",
        "check run: failure",
        "BenchmarkParse/Large",
        "| regression |",
        "▁▁▁▁▁▁▁▁█",
        "check run: success",
        "| improvement |",
        "no change",
    ] {
        assert!(shown.contains(part), "{part:?} is not in\n{shown}");
    }
}

#[tokio::test]
async fn samples_can_be_sent_to_a_running_service() {
    let service = Service::start(&[]).await;
    let installation = service.github.add_repository("team/shop-rust").to_string();
    let (url, token) = (service.url.clone(), service.token.clone());
    let sent = tokio::task::spawn_blocking(move || {
        let secrets = [
            ("REGRESSD_TOKEN", token.as_str()),
            ("REGRESSD_GITHUB_WEBHOOK_SECRET", SECRET),
        ];
        let arguments = [
            "--url",
            &url,
            "--only",
            "rust",
            "--owner",
            "team",
            "--installation",
            &installation,
        ];
        let refused = run(&arguments, &secrets[..1]);
        assert_eq!(refused.status.code(), Some(2));
        assert!(
            texts(&refused).1.contains("REGRESSD_GITHUB_WEBHOOK_SECRET"),
            "{:?}",
            texts(&refused)
        );
        run(&arguments, &secrets)
    });
    let sent = sent.await.unwrap();
    let (shown, errors) = texts(&sent);
    assert!(
        sent.status.success() && shown.contains("3 pull requests sent"),
        "{shown}{errors}"
    );
    service.settle(std::time::Duration::from_secs(30)).await;
    let checks = service.github.checks("team/shop-rust");
    assert!(
        checks
            .iter()
            .any(|check| check.conclusion.as_deref() == Some("failure")),
        "{checks:?}"
    );
}
