//! `benchgate comment`: the last report as the one comment of a pull request.

use cli_kit::{ExitStatus, Failure, OrFail, paths};
use regress_report::benchmarks::{Report, markdown};

use crate::app::App;
use crate::args::CommentArgs;
use crate::files;
use crate::github::{self, Target, Written};

/// Runs the command.
pub(crate) fn run(app: &App<'_>, args: &CommentArgs) -> Result<ExitStatus, Failure> {
    let path = args
        .report
        .as_ref()
        .map_or_else(|| app.state_file("report.json"), |path| app.here.join(path));
    let bytes = files::read_own(&path)
        .map_err(|failure| failure.hint("`benchgate check`, `ab` and `compare` save one"))?;
    let report =
        Report::from_json(&bytes).or_fail_with(|| format!("cannot use {}", app.display_path(&path)))?;
    let target = target(args)?;
    let written = github::write_comment(&target, |room| markdown::render_markdown(&report, room));
    let written = written.map_err(|error| {
        Failure::with_cause(format!("cannot comment in {}", target.repository), &error).hint(format!(
            "the token of {} needs `pull-requests: write`; in workflows of forks it never has that: see docs/benchgate.md",
            args.token_variable
        ))
    })?;
    match written {
        Written::Created(url) => app.printer.print_line(format_args!("created {url}"))?,
        Written::Updated(url) => app.printer.print_line(format_args!("updated {url}"))?,
        Written::NoPullRequest => app
            .printer
            .print_note("no open pull request has this commit, so there is nothing to comment"),
    }
    Ok(ExitStatus::NothingFound)
}

fn target(args: &CommentArgs) -> Result<Target, Failure> {
    let repository = args.repo.clone().ok_or_else(|| {
        Failure::new("it is not known which repository is meant").hint("give --repo owner/name")
    })?;
    let is_part = |part: &str| {
        !part.is_empty()
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    if !repository
        .split_once('/')
        .is_some_and(|(owner, name)| is_part(owner) && is_part(name))
    {
        return Err(Failure::new(format!(
            "{repository:?} is not of the form owner/name"
        )));
    }
    let commit = args.commit.clone();
    if commit
        .as_ref()
        .is_some_and(|commit| commit.is_empty() || !commit.bytes().all(|byte| byte.is_ascii_hexdigit()))
    {
        return Err(Failure::new("--commit is not a full commit hash"));
    }
    // The commit that was named goes before the event, which in a second workflow is of another one.
    let of_event = || github::pull_request_of_event(paths::environment_variable).filter(|_| commit.is_none());
    let number = args.pr.or_else(of_event);
    if number.is_none() && commit.is_none() {
        return Err(Failure::new("it is not known which pull request is meant")
            .hint("give --pr NUMBER or --commit SHA"));
    }
    let token = paths::environment_variable(&args.token_variable)
        .filter(|token| !token.is_empty())
        .ok_or_else(|| {
            Failure::new(format!(
                "{} is not set, so there is no token",
                args.token_variable
            ))
            .hint("in a workflow: env: GITHUB_TOKEN: ${{ github.token }}")
        })?;
    Ok(Target {
        api: args.api.clone(),
        token,
        repository,
        number,
        commit,
        name: args.name.clone(),
        patience: args.max_wait.0,
    })
}
