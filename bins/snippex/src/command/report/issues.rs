//! `snippex report github`: an issue for each bug, printed or opened.

use std::time::Duration;

use cli_kit::style::{FAINT, HEADING};
use cli_kit::{ExitStatus, Failure};
use snippex_report::format_count;
use snippex_report::report::ReportBug;
use snippex_store::StoreHandle;

use super::scope_of;
use crate::app::App;
use crate::args::{GithubArgs, ReportScopeArgs};
use crate::issue_draft::{IssueDraft, LABEL};
use crate::issue_reporting::{IssueTarget, ReportedBug, report_bugs};
use crate::reporting::{ReportScope, report_model};

pub(crate) fn run(app: &App<'_>, scope: &ReportScopeArgs, args: &GithubArgs) -> Result<ExitStatus, Failure> {
    let target = args.create.then(|| issue_target(args)).transpose()?;
    let store = app.existing_store()?;
    let drafts = drafts(app, &store, scope, args)?;
    match target {
        None => print_drafts(app, &drafts)?,
        Some(target) => open(app, &store, &target, &drafts)?,
    }
    Ok(ExitStatus::NothingFound)
}

fn issue_target(args: &GithubArgs) -> Result<IssueTarget, Failure> {
    let token = args
        .token
        .clone()
        .filter(|token| !token.is_empty())
        .ok_or_else(|| {
            Failure::new("no token to open issues with")
                .hint("set GITHUB_TOKEN to one that may write issues of that repository")
        })?;
    Ok(IssueTarget {
        api: args.api.trim_end_matches('/').to_owned(),
        token,
        repository: args.repo.clone().expect("clap asks for it"),
        labels: args.labels.clone(),
        assignees: args.assignees.clone(),
        patience: Duration::from_secs(args.max_wait),
        settling: Duration::from_secs(args.settling),
        ignore_similar: args.ignore_similar,
    })
}

fn drafts(
    app: &App<'_>,
    store: &StoreHandle,
    scope: &ReportScopeArgs,
    args: &GithubArgs,
) -> Result<Vec<IssueDraft>, Failure> {
    let scope = ReportScope {
        findings: 0,
        ..scope_of(scope)
    };
    let report = report_model(app, store, &scope)?;
    if let Some(name) = args
        .bugs
        .iter()
        .find(|name| report.bugs.iter().all(|bug| bug.id != **name))
    {
        return Err(Failure::new(format!("there is no bug called {name} here"))
            .hint("snippex bugs lists them; --run and --emulator leave some out"));
    }
    let is_meant = |bug: &&ReportBug| match args.bugs.is_empty() {
        true => bug.status == "new" && bug.example.is_some(),
        false => args.bugs.contains(&bug.id),
    };
    let meant: Vec<&ReportBug> = report.bugs.iter().filter(is_meant).collect();
    if meant.len() > args.max_issues {
        app.printer.print_note(format_args!(
            "{} of {}: --max-issues takes more",
            args.max_issues,
            format_count(meant.len() as u64, "bug")
        ));
    }
    meant
        .into_iter()
        .take(args.max_issues)
        .map(|bug| IssueDraft::for_bug(app, bug))
        .collect()
}

fn print_drafts(app: &App<'_>, drafts: &[IssueDraft]) -> Result<(), Failure> {
    app.print_list(drafts, || {
        for draft in drafts {
            app.printer.print_line(format_args!(
                "{HEADING}{}{HEADING:#}\n{FAINT}label {LABEL}, about {}{FAINT:#}\n\n{}",
                draft.title, draft.bug, draft.text
            ))?;
        }
        app.printer.print_note(match drafts.len() {
            0 => "no new bug has a case".to_owned(),
            count => format!(
                "{} would be opened by --create --repo OWNER/NAME",
                format_count(count as u64, "issue")
            ),
        });
        Ok(())
    })
}

fn open(
    app: &App<'_>,
    store: &StoreHandle,
    target: &IssueTarget,
    drafts: &[IssueDraft],
) -> Result<(), Failure> {
    let mut reported: Vec<ReportedBug> = Vec::new();
    let result = report_bugs(target, store, drafts, |bug| {
        app.printer.print_note(format_args!(
            "{}: {} {}, {}",
            bug.bug, bug.action, bug.url, bug.reason
        ));
        reported.push(bug);
    });
    // What was done is told, also when the rest could not be.
    app.print_list(&reported, || {
        let opened = reported.iter().filter(|bug| bug.action == "opened").count();
        let commented = reported.iter().filter(|bug| bug.action == "commented").count();
        app.printer.print_line(format_args!(
            "{} opened, {} commented on, {} left as they are",
            format_count(opened as u64, "issue"),
            commented,
            reported.len() - opened - commented
        ))
    })?;
    result.map_err(|error| {
        Failure::with_cause("not all issues could be opened", &error)
            .hint("call it again: what was opened is found, and not opened twice")
    })
}
