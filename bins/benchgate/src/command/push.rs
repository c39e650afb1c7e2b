//! `benchgate push`: a run goes to a regressd, and its verdict comes back; while the service is away the run is judged
//! here, as `benchgate check` would.

use cli_kit::{ExitStatus, Failure, paths};
use regress_core::measurement::RunFile;
use regress_report::benchmarks::Report;

use super::import::import_result_files;
use crate::app::App;
use crate::args::PushArgs;
use crate::git::GitRepository;
use crate::service::{Identity, RunContents, RunState, ServiceClient, ServiceError, StoredRun, Upload};
use crate::{files, github, judged_runs, judging, measure, show};

/// Runs the command.
pub(crate) fn run(app: &App<'_>, args: &PushArgs) -> Result<ExitStatus, Failure> {
    let run = read_pushed_run(app, args)?;
    let upload = describe_upload(app, args, &run)?;
    let client = service_client(app, args)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime of this thread needs no resource that a running program lacks");
    let answer = runtime.block_on(push_and_wait(&client, &upload, args));
    let run = run.into_candidate();
    match answer {
        Ok(stored) if args.no_wait => {
            app.printer
                .print_line(format_args!("stored: {}", client.page_of(stored.run)))?;
            Ok(ExitStatus::NothingFound)
        }
        Ok(stored) => {
            remember(app, run.run_file());
            let page = client.page_of(stored.run);
            let report = stored.into_report(run.run_file(), &upload.branch, &page, app.settings.threshold.0);
            finish(app, args, &report)
        }
        Err(error @ ServiceError::Away(_)) if args.no_wait => Err(Failure::with_cause(
            "the run is not stored: regressd does not answer",
            &error,
        )
        .hint("push the same file again later: what is stored already is not stored twice")),
        Err(error @ (ServiceError::Away(_) | ServiceError::NoVerdict { .. })) => {
            judge_locally(app, args, run.run_file(), &error)
        }
        Err(ServiceError::Interrupted) => Err(Failure::interrupted("the run may not be stored")),
        Err(error) => Err(explain(&error)),
    }
}

async fn push_and_wait(
    client: &ServiceClient,
    upload: &Upload,
    args: &PushArgs,
) -> Result<StoredRun, ServiceError> {
    let stored = client.push_run(upload, args.max_wait.0).await?;
    if stored.state == RunState::Judged || args.no_wait {
        return Ok(stored);
    }
    client.wait_for_verdict(stored.run, args.wait.0).await
}

fn finish(app: &App<'_>, args: &PushArgs, report: &Report) -> Result<ExitStatus, Failure> {
    show::save_and_print_report(app, report)?;
    Ok(show::exit_status(report, args.judge.exit_zero))
}

/// What `benchgate check` says of the run, with a warning that it is not the service's word.
fn judge_locally(
    app: &App<'_>,
    args: &PushArgs,
    run: &RunFile,
    error: &ServiceError,
) -> Result<ExitStatus, Failure> {
    let why = format!("regressd gives no verdict ({error}); this one is by the baseline or history here");
    app.printer.print_warning(&why);
    remember(app, run);
    let comparison = judging::compare_with_baseline(app, run, args.judge.across_environments);
    let mut comparison = comparison.map_err(|failure| {
        Failure::new(format!("regressd gives no verdict ({error}), and here {failure}"))
    })?;
    comparison.notes.push(why);
    let judged = comparison.judge_benchmarks(app)?;
    finish(app, args, &judged.report)
}

/// The run may not become the baseline any more.
fn remember(app: &App<'_>, run: &RunFile) {
    if let Err(failure) = judged_runs::remember_judged_run(app, run) {
        app.printer
            .print_warning(format_args!("the run cannot be remembered as judged: {failure}"));
    }
}

fn explain(error: &ServiceError) -> Failure {
    let failure = Failure::with_cause("the run cannot be pushed", error);
    match error {
        ServiceError::Refused { status: 401, .. } => failure
            .hint("the token is unknown there, or expired: regressd token create OWNER/NAME --role upload"),
        ServiceError::Refused { status: 409, .. } => {
            failure.hint("leave --run-id out, or give each upload of a commit one of its own")
        }
        ServiceError::Refused {
            status: 300..=399, ..
        }
        | ServiceError::Malformed(_) => {
            failure.hint("--service is the address under which the service's pages are, redirects aside")
        }
        _ => failure,
    }
}

/// The run of the file, or of several result files.
fn read_pushed_run(app: &App<'_>, args: &PushArgs) -> Result<RunFile, Failure> {
    let run = match args.files.as_slice() {
        [] => files::read_run(&app.state_file("run.json"))?,
        [one] if RunFile::from_json(&files::read_own(one)?).is_ok() => files::read_run(one)?,
        several => {
            let imported = import_result_files(app, several, args.tool.as_deref(), &args.tag)?;
            if let Some(first) = imported.unusable.first() {
                return Err(Failure::new(format!("not every file could be used: {first}"))
                    .hint("nothing was pushed; if you know the tool, name it with --tool"));
            }
            measure::warn_of_problems(app, &imported.run);
            imported.run
        }
    };
    if run.processes.is_empty() {
        return Err(Failure::new("the run has no finished process").hint("measure again: benchgate run"));
    }
    Ok(run)
}

fn service_client(app: &App<'_>, args: &PushArgs) -> Result<ServiceClient, Failure> {
    let address = app.settings.service.as_deref().ok_or_else(|| {
        Failure::new("it is not known where regressd is")
            .hint("give --service URL, or set `service` in benchgate.toml")
    })?;
    let identity = Identity::find(&args.token_variable, &args.audience, paths::environment_variable)
        .ok_or_else(|| {
            Failure::new(format!("{} is not set, so there is no token", args.token_variable)).hint(
                "regressd token create OWNER/NAME --role upload makes one; a workflow with permissions: id-token: write needs none",
            )
        })?;
    let client = ServiceClient::new(address, identity, app.cancel.clone());
    let client = client.map_err(|why| Failure::new(format!("cannot use --service: {why}")))?;
    if client.sends_token_openly() {
        app.printer.print_warning(format_args!(
            "{address} has no TLS: others on the way can read the token"
        ));
    }
    Ok(client)
}

/// What is sent: what was typed, else what the workflow says, else what git does.
fn describe_upload(app: &App<'_>, args: &PushArgs, run: &RunFile) -> Result<Upload, Failure> {
    let environment = paths::environment_variable;
    let origin = &args.origin;
    let repository = origin.repo.clone().ok_or_else(|| {
        Failure::new("it is not known which repository was measured").hint("give --repo OWNER/NAME")
    })?;
    let measured = run.commit.as_ref().map(|commit| commit.sha.as_str().to_owned());
    let commit = measured
        .or_else(|| environment("GITHUB_SHA"))
        .or_else(|| origin.commit.clone())
        .ok_or_else(|| {
            Failure::new("the run does not say which commit it is of").hint("give --commit SHA")
        })?;
    if run.commit.as_ref().is_some_and(|commit| commit.dirty) {
        app.printer.print_warning(
            "the work tree had changes that are in no commit; regressd takes the run for the commit's",
        );
    }
    let head = origin
        .commit
        .clone()
        .or_else(|| github::pull_request_head(environment));
    let event_number = || {
        let number = github::pull_request_of_event(environment).filter(|_| origin.commit.is_none())?;
        u32::try_from(number).ok()
    };
    let base = match &origin.base_run {
        Some(path) => Some([RunContents::of_run(&files::read_run(&app.here.join(path))?)]),
        None => None,
    };
    Ok(Upload {
        repository,
        branch: branch(app, args)?,
        commit_time: commit_time(app, args, head.as_deref().unwrap_or(&commit)),
        head_commit: head.filter(|head| *head != commit),
        commit,
        pull_request: origin.pr.or_else(event_number),
        target_branch: origin.target_branch.clone(),
        component: origin.component.clone(),
        run_id: origin.run_id.clone(),
        workflow_run: measuring_workflow(environment),
        results: [RunContents::of_run(run)],
        base,
    })
}

/// When the commit was made: its place in a history, also of runs that are pushed long after.
fn commit_time(app: &App<'_>, args: &PushArgs, commit: &str) -> Option<String> {
    let of_git = || GitRepository::find_containing(&app.here)?.commit_time(commit);
    let given = args.origin.commit_time.map(|time| time.to_string());
    given.or_else(of_git)
}

/// The workflow run that may be asked to measure again. One that follows another has measured nothing.
fn measuring_workflow(environment: impl Fn(&str) -> Option<String>) -> Option<u64> {
    let follows = environment("GITHUB_EVENT_NAME").as_deref() == Some("workflow_run");
    environment("GITHUB_RUN_ID")?.parse().ok().filter(|_| !follows)
}

fn branch(app: &App<'_>, args: &PushArgs) -> Result<String, Failure> {
    let given = |name: &str| paths::environment_variable(name).filter(|value| !value.is_empty());
    let of_reference = || Some(given("GITHUB_REF")?.strip_prefix("refs/heads/")?.to_owned());
    let of_git = || GitRepository::find_containing(&app.here)?.current_branch();
    let found = args.origin.branch.clone().or_else(|| given("GITHUB_HEAD_REF"));
    found
        .or_else(of_reference)
        .or_else(of_git)
        .ok_or_else(|| Failure::new("it is not known which branch was measured").hint("give --branch NAME"))
}
