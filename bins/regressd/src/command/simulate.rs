//! `simulate`: shows what the service does, or sends samples to one that runs.

use std::time::Duration;

use super::{CommandError, print_line};
use crate::args::SimulateArgs;
use crate::settings::{Secret, Settings, SettingsSources};
use crate::simulate::{Act, Scene, Sender, Stage, play_scene, scenes_for_owner};

/// How long the service may take for all that was sent.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) async fn run(
    layers: &SettingsSources,
    settings: &Settings,
    args: &SimulateArgs,
) -> Result<(), CommandError> {
    let scenes: Vec<Scene> = scenes_for_owner(&args.owner)
        .into_iter()
        .filter(|scene| {
            args.only
                .as_ref()
                .is_none_or(|only| scene.repository.name().ends_with(only.as_str()))
        })
        .collect();
    match &args.url {
        Some(url) => send(layers, settings, args, url, &scenes).await,
        None => show(args, &scenes).await,
    }
}

/// Sends everything to a service that runs, which has a GitHub of its own.
async fn send(
    layers: &SettingsSources,
    settings: &Settings,
    args: &SimulateArgs,
    url: &str,
    scenes: &[Scene],
) -> Result<(), CommandError> {
    let file = settings.github.webhook_secret_file.as_deref();
    let secret = layers
        .read_secret("REGRESSD_GITHUB_WEBHOOK_SECRET", file)?
        .ok_or_else(|| {
            CommandError::new(
                "the webhook's secret is needed to sign deliveries; set REGRESSD_GITHUB_WEBHOOK_SECRET",
            )
        })?;
    let token = layers
        .environment
        .get("REGRESSD_TOKEN")
        .map(|token| Secret::new(token.clone()));
    let token = token.ok_or_else(|| {
        CommandError::new(
            "a token is needed to upload; set REGRESSD_TOKEN to one of `regressd token create '*'`",
        )
    })?;
    let sender = Sender::new(url, secret.expose().as_bytes(), token.expose())?;
    for scene in scenes {
        play_scene(&sender, scene, args.installation, &Act::ALL, |_| ()).await?;
        print_line(format_args!(
            "{}: history and {} pull requests sent",
            scene.repository,
            Act::ALL.len()
        ))?;
    }
    print_line(format_args!(
        "The verdicts are at {url}; comments are where that service posts them."
    ))
}

/// Plays everything on a stage of its own and shows what was posted.
async fn show(args: &SimulateArgs, scenes: &[Scene]) -> Result<(), CommandError> {
    let stage = Stage::start_services().await?;
    print_line(format_args!(
        "service {}  GitHub {}",
        stage.url,
        stage.github.url()
    ))?;
    for scene in scenes {
        let installation = stage.add_repository(scene);
        play_scene(&stage.sender, scene, installation, &Act::ALL, |act| {
            stage.add_pull_request(scene, act);
        })
        .await?;
        if !stage.wait_until_idle(PATIENCE).await {
            return Err(CommandError::new(
                "the service did not finish in time; look at its log with --set logging.level=debug",
            ));
        }
        for act in Act::ALL {
            tell(&stage, scene, act)?;
        }
    }
    if args.stay {
        print_line(format_args!(
            "\nThe comments as people see them: {}\nThe service's pages: {}\nEnd with Ctrl-C.",
            stage.github.url(),
            stage.url
        ))?;
        tokio::signal::ctrl_c().await?;
    }
    stage.stop_service().await;
    Ok(())
}

fn tell(stage: &Stage, scene: &Scene, act: Act) -> Result<(), CommandError> {
    let what = match act {
        Act::Regression => "makes parse/large a third slower",
        Act::Improvement => "makes render a quarter faster",
        Act::Fork => "comes from a fork and changes nothing",
    };
    let head = scene.head_commit(act);
    let checks = stage.github.checks(&scene.repository.to_string());
    let check = checks.iter().find(|check| check.head == head);
    let end = check
        .and_then(|check| check.conclusion.as_deref())
        .unwrap_or("none");
    print_line(format_args!(
        "\n=== {} pull request #{}: {what} ===",
        scene.repository,
        act.pull_request_number()
    ))?;
    print_line(format_args!("check run: {end}"))?;
    match stage.find_comment(scene, act) {
        Some(comment) => print_line(format_args!("comment:\n{}", comment.body)),
        None => print_line(format_args!("no comment")),
    }
}
