//! `snippex regression`: checks against a baseline that is kept in a repository.

mod json;

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::atomic::Ordering;

use cli_kit::{CancelToken, ExitStatus, Failure, OrFail, Progress};
use serde_json::json;
use snippex_report::format_count;
use snippex_report::regression::{
    ChangeName, ChangeView, RegressionView, render_github_annotations, render_regression,
    render_regression_junit,
};
use snippex_session::{
    Approval, Approved, Baseline, BaselineChange, BaselineComparison, BlockVerdict, ChangeKind, CheckOutcome,
    CheckTarget, ObservedVerdicts, ReadPrograms, Section, SectionKey, Session, SessionEvent, SessionObserver,
    TargetChoice, current_utc_date, read_programs,
};
use snippex_triage::cause::CauseId;

use crate::app::App;
use crate::args::{ApproveArgs, BaselineRunArgs, BaselineTestArgs, RegressionCommand};
use crate::baseline_file::{read_baseline, read_or_begin, write_baseline};
use crate::checking;
use crate::hints::OrUserError;
use crate::late_files::require_writable;

/// How the runs of `regression` are called in the database.
const RUNS: &str = "regression ";

pub(crate) fn run(app: &App<'_>, command: &RegressionCommand) -> Result<ExitStatus, Failure> {
    match command {
        RegressionCommand::Record(args) => record(app, args),
        RegressionCommand::Test(args) => test(app, args),
        RegressionCommand::Update(args) => update(app, args),
        RegressionCommand::History { limit } => history(app, *limit),
        RegressionCommand::Export(file) => {
            app.printer
                .print_json(&json::baseline_to_json(&read_baseline(&file.baseline)?))?;
            Ok(ExitStatus::NothingFound)
        }
        RegressionCommand::Import { from, file } => import(app, from, &file.baseline),
        RegressionCommand::Approve(args) => approve(app, args),
    }
}

/// Verdicts of a check that was done to its end.
struct Observed {
    key: SectionKey,
    verdicts: ObservedVerdicts,
    outcome: CheckOutcome,
}

/// Checks programs; `None` when that was stopped. `require` may refuse what is going to be observed before anything runs.
fn check(
    app: &App<'_>,
    command: &str,
    args: &BaselineRunArgs,
    require: impl FnOnce(&SectionKey) -> Result<(), Failure>,
) -> Result<Option<Observed>, Failure> {
    let choice = TargetChoice {
        filter: snippex_blocks::select::FilterOptions::default()
            .into_filter()
            .or_user_error()?,
        request: snippex_blocks::select::SelectionRequest::default(),
        keep_report: false,
    };
    let programs = read_programs(&args.binaries)
        .and_then(ReadPrograms::require_all)
        .or_user_error()?;
    let engines = checking::start_engines(app, &args.engine, &args.run)?;
    let options = checking::check_options(app, &format!("{RUNS}{command}"), &args.run);
    let key = SectionKey {
        engine: engines.subject_identity().name.clone(),
        reference: engines.reference_identity().name.clone(),
        seed: options.seed,
        states: options.states,
    };
    require(&key)?;
    let store = app.open_store()?;
    let cache = app.open_cache(args.run.cache.cache_refresh);
    let cancel = app.cancel_token()?;
    let session = Session {
        store: &store,
        engines: &engines,
        table: &app.engines,
        options: &options,
        cache: cache.as_ref(),
        stop: &cancel.flag(),
    };
    let mut shown = ShownVerdicts {
        app,
        cancel: &cancel,
        verdicts: ObservedVerdicts::default(),
        progress: None,
    };
    let targets = programs.into_iter();
    let targets = targets.map(|program| CheckTarget::Program(program, &choice));
    let outcome = session.check_targets(targets, &mut shown).or_user_error()?;
    checking::warn_of_cache(app, &outcome);
    if session.stop.load(Ordering::Relaxed) {
        return Ok(None);
    }
    Ok(Some(Observed {
        key,
        verdicts: shown.verdicts,
        outcome,
    }))
}

/// What the user sees while blocks are run.
struct ShownVerdicts<'a> {
    app: &'a App<'a>,
    cancel: &'a CancelToken,
    verdicts: ObservedVerdicts,
    progress: Option<Progress<'a>>,
}

impl SessionObserver for ShownVerdicts<'_> {
    fn on_event(&mut self, event: SessionEvent<'_>) {
        match &event {
            SessionEvent::Running { runs } => match &self.progress {
                Some(progress) => progress.expect_more(*runs),
                None => self.progress = Some(self.app.printer.start_progress("checking", Some(*runs))),
            },
            SessionEvent::Block { report, .. } => {
                if let Some(progress) = &self.progress {
                    progress.advance(report.runs);
                }
            }
            _ => {}
        }
        if self.app.printer.reader_is_gone() {
            self.cancel.cancel();
        }
        self.verdicts.on_event(event);
    }
}

fn record(app: &App<'_>, args: &BaselineRunArgs) -> Result<ExitStatus, Failure> {
    let mut baseline = read_or_begin(&args.file.baseline)?;
    let Some(observed) = check(app, "record", args, |_| Ok(()))? else {
        return Ok(app.status_when_stopped());
    };
    let section = baseline.sections.entry(observed.key).or_default();
    section.verdicts = observed.verdicts.verdicts;
    let count = section.verdicts.len() as u64;
    write_baseline(&args.file.baseline, &baseline)?;
    say_written(app, &args.file.baseline, count, observed.outcome.run.0)
}

fn update(app: &App<'_>, args: &BaselineRunArgs) -> Result<ExitStatus, Failure> {
    let mut baseline = read_baseline(&args.file.baseline)?;
    let Some(observed) = check(app, "update", args, |_| Ok(()))? else {
        return Ok(app.status_when_stopped());
    };
    let section = baseline.sections.entry(observed.key).or_default();
    let differs = observed.verdicts.verdicts.iter();
    let differs = differs.filter(|(block, verdict)| section.verdicts.get(*block) != Some(*verdict));
    let count = differs.count() as u64;
    section.verdicts.extend(observed.verdicts.verdicts);
    write_baseline(&args.file.baseline, &baseline)?;
    say_written(app, &args.file.baseline, count, observed.outcome.run.0)
}

fn say_written(app: &App<'_>, path: &Path, blocks: u64, run: i64) -> Result<ExitStatus, Failure> {
    let view = json!({"baseline": path.display().to_string(), "blocks": blocks, "run": run});
    app.print_answer(&view, || {
        app.printer.print_line(format_args!(
            "wrote {} into {}",
            format_count(blocks, "block"),
            path.display()
        ))
    })?;
    Ok(ExitStatus::NothingFound)
}

fn test(app: &App<'_>, args: &BaselineTestArgs) -> Result<ExitStatus, Failure> {
    let path = &args.with.file.baseline;
    let baseline = read_baseline(path)?;
    require_writable(&args.junit)?;
    let is_there = |key: &SectionKey| section(&baseline, key, path).map(drop);
    let Some(observed) = check(app, "test", &args.with, is_there)? else {
        return Ok(app.status_when_stopped());
    };
    let section = section(&baseline, &observed.key, path)?;
    let comparison = BaselineComparison::from_observed(section, &observed.verdicts, current_utc_date());
    let passed = !comparison.has_failures(args.allow_fixed);
    let changes = comparison.changes.iter();
    let view = RegressionView {
        section: observed.key.to_string(),
        run: observed.outcome.run.0,
        passed,
        changes: changes
            .map(|change| change_view(change, &observed.verdicts))
            .collect(),
        stable: comparison.stable,
        new: comparison.new,
        gone: comparison.gone,
        idle_approvals: comparison.idle_approvals,
    };
    if let Some(path) = &args.junit {
        fs::write(path, render_regression_junit(&view, args.allow_fixed))
            .or_fail_with(|| format!("cannot write {}", path.display()))?;
    }
    app.print_answer(&view, || {
        if args.annotations {
            app.printer
                .print_text(render_github_annotations(&view) + &render_regression(&view, None))
        } else {
            app.printer
                .print_text(render_regression(&view, app.printer.width()))
        }
    })?;
    Ok(ExitStatus::from_found(!passed))
}

/// The section of what was checked.
fn section<'b>(baseline: &'b Baseline, key: &SectionKey, path: &Path) -> Result<&'b Section, Failure> {
    baseline.sections.get(key).ok_or_else(|| {
        let there: Vec<String> = baseline.sections.keys().map(ToString::to_string).collect();
        Failure::new(format!("{} has nothing about {key}", path.display())).hint(format!(
            "`snippex regression record` adds it; there is: {}",
            there.join("; ")
        ))
    })
}

fn change_view(change: &BaselineChange, observed: &ObservedVerdicts) -> ChangeView {
    let place = &observed.places[&change.block];
    ChangeView {
        change: match change.kind {
            ChangeKind::Regressed => ChangeName::Regressed,
            ChangeKind::OtherCause => ChangeName::OtherCause,
            ChangeKind::NewBug => ChangeName::NewBug,
            ChangeKind::Fixed => ChangeName::Fixed,
            ChangeKind::Accepted => ChangeName::Accepted,
        },
        key: change.block.to_string(),
        block: place.number,
        binary: place.binary.clone(),
        address: format!("{:#x}", place.address),
        before: change.before.clone(),
        now: change.now.clone(),
        expired: change.expired.clone(),
    }
}

fn approve(app: &App<'_>, args: &ApproveArgs) -> Result<ExitStatus, Failure> {
    if args.until.is_some_and(|until| until < current_utc_date()) {
        return Err(Failure::new("--until is over already").hint("name a day to come"));
    }
    let path = &args.file.baseline;
    let mut baseline = read_baseline(path)?;
    let approval = Approval {
        reason: args.reason.clone(),
        issue: args.issue.clone(),
        until: args.until,
    };
    let names = approved_names(app, &baseline, &args.names)?;
    let mut sections = 0;
    for (key, section) in &mut baseline.sections {
        if args.engine.as_ref().is_some_and(|engine| *engine != key.engine) {
            continue;
        }
        sections += 1;
        for approved in &names {
            section.approvals.insert(approved.clone(), approval.clone());
        }
    }
    if sections == 0 {
        let there: Vec<&str> = baseline.sections.keys().map(|key| key.engine.as_str()).collect();
        return Err(
            Failure::new(format!("{} has no section to accept it in", path.display()))
                .hint(format!("engines in it: {}", there.join(", "))),
        );
    }
    write_baseline(path, &baseline)?;
    let count = args.names.len() as u64 * sections;
    let view = json!({"baseline": path.display().to_string(), "approvals": count});
    app.print_answer(&view, || {
        app.printer.print_line(format_args!(
            "wrote {} into {}",
            format_count(count, "approval"),
            path.display()
        ))
    })?;
    Ok(ExitStatus::NothingFound)
}

/// What names mean: a block by its key, else a bug that a sentence of the manual names, the baseline or the database.
fn approved_names(app: &App<'_>, baseline: &Baseline, names: &[String]) -> Result<Vec<Approved>, Failure> {
    let recorded: BTreeSet<&String> = (baseline.sections.values())
        .flat_map(|section| section.verdicts.values())
        .flat_map(|verdict| match verdict {
            BlockVerdict::Fail(causes) => Some(causes),
            BlockVerdict::Pass | BlockVerdict::Open => None,
        })
        .flatten()
        .collect();
    let stored: Vec<CauseId> = match app.existing_store() {
        Ok(store) => store
            .call_and_wait(async |store| store.cause_names().await)
            .or_user_error()?,
        // A baseline can be worked on where nothing was ever run.
        Err(_) => Vec::new(),
    };
    let read = |name: &String| {
        if let Ok(block) = name.parse() {
            return Ok(Approved::Block(block));
        }
        let is_pattern = || {
            name.parse::<CauseId>()
                .is_ok_and(|cause| cause.pattern().is_some())
        };
        if recorded.contains(name) || stored.iter().any(|cause| cause.as_str() == name) || is_pattern() {
            return Ok(Approved::Bug(name.clone()));
        }
        Err(Failure::new(format!("{name:?} is no block and no bug"))
            .hint("take the keys that `snippex regression test` shows, or names of `snippex bugs`"))
    };
    names.iter().map(read).collect()
}

fn import(app: &App<'_>, from: &Path, path: &Path) -> Result<ExitStatus, Failure> {
    let failed = || format!("cannot read {}", from.display());
    let text = if from == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).or_fail_with(failed)?;
        text
    } else {
        fs::read_to_string(from).or_fail_with(failed)?
    };
    let taken = json::baseline_from_json(&text)?;
    let count = taken
        .sections
        .values()
        .map(|section| section.verdicts.len() as u64)
        .sum();
    let mut baseline = read_or_begin(path)?;
    baseline.merge(taken);
    write_baseline(path, &baseline)?;
    let view = json!({"baseline": path.display().to_string(), "blocks": count});
    app.print_answer(&view, || {
        app.printer.print_line(format_args!(
            "took {} into {}",
            format_count(count, "block"),
            path.display()
        ))
    })?;
    Ok(ExitStatus::NothingFound)
}

fn history(app: &App<'_>, limit: u32) -> Result<ExitStatus, Failure> {
    let store = app.existing_store()?;
    let rows = store
        .call_and_wait(async move |store| {
            let mut rows = Vec::new();
            let mut before = None;
            while rows.len() < limit as usize {
                let runs = store.list_runs(before, 200).await?;
                let Some(last) = runs.last() else { break };
                before = Some(last.id);
                for run in runs {
                    if rows.len() < limit as usize && run.run.command.starts_with(RUNS) {
                        let summary = store.find_summary(run.id).await?.unwrap_or_default();
                        rows.push((run, summary));
                    }
                }
            }
            Ok(rows)
        })
        .or_user_error()?;
    let rows: Vec<serde_json::Value> = rows
        .into_iter()
        .map(|(run, summary)| {
            json!({"run": run.id.0, "command": run.run.command.trim_start_matches(RUNS),
                "arguments": run.run.arguments, "started": run.run.started.0, "blocks": summary.blocks,
                "failing_blocks": summary.diverging_blocks, "status": run.status})
        })
        .collect();
    app.print_list(&rows, || {
        if rows.is_empty() {
            app.printer.print_line("no baseline was recorded or tested yet")
        } else {
            let mut table = cli_kit::Table::new(["run", "day", "what", "blocks", "failing", "typed"])
                .align_right(0)
                .align_right(3)
                .align_right(4)
                .fit(app.printer.width());
            for row in &rows {
                let started = row["started"].as_i64().unwrap_or_default();
                let day = jiff::Timestamp::from_millisecond(started);
                let day = day.map_or_else(
                    |_| String::new(),
                    |day| day.strftime("%Y-%m-%d %H:%M").to_string(),
                );
                let word = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
                table.add_row([
                    row["run"].to_string(),
                    day,
                    word("command"),
                    row["blocks"].to_string(),
                    row["failing_blocks"].to_string(),
                    word("arguments"),
                ]);
            }
            app.printer.print_line(table)?;
            Ok(())
        }
    })?;
    Ok(ExitStatus::NothingFound)
}
