//! A check as the command line shows it: what `check` and `validate` share.
//!
//! The session does the work; here it is told what was typed, its events are shown, and its outcome is printed.

use std::time::Duration;

use cli_kit::style::HEADING;
use cli_kit::{CancelToken, ExitStatus, Failure, Format, Progress, units};
use snippex_core::block::Block;
use snippex_core::words::difference_sentence;
use snippex_exec::check::{BlockReport, CheckSummary};
use snippex_report::check::CheckSummary as SummaryView;
use snippex_report::{format_count, format_number};
use snippex_session::{
    Bugs, CheckOutcome, CheckTarget, EngineChoice, EnginePair, Session, SessionEvent, SessionObserver,
    SessionOptions, Wanted,
};
use snippex_store::{BlockNumber, DivergenceId, RunId, StoreHandle};

use crate::app::App;
use crate::args::{EngineArgs, RunArgs};
use crate::bug_views::bug_views;
use crate::check_views::{Asked, block_outcome, check_summary};
use crate::choosing::warn_of_choice;
use crate::command::compare::print_divergence;
use crate::command::report::write_exports;
use crate::engines::{engine_view, subject_engine};
use crate::hints::OrUserError;
use crate::late_files::require_writable;

/// Starts both engines of a check, and sees whether the one that is compared can be.
pub(crate) fn start_engines(app: &App<'_>, args: &EngineArgs, run: &RunArgs) -> Result<EnginePair, Failure> {
    start_pair(app, subject_engine(app, args)?, run)
}

/// As [`start_engines`], for this subject.
pub(crate) fn start_pair(app: &App<'_>, subject: EngineChoice, run: &RunArgs) -> Result<EnginePair, Failure> {
    require_writable(run.exports.files())?;
    let reference = app
        .engine_names()
        .choose_engine(&app.settings.value.reference)
        .or_user_error()?;
    let engines = EnginePair::start_engines(reference, subject).or_user_error()?;
    refuse_untrusted(app, &engines, run.untrusted)?;
    Ok(engines)
}

/// Refuses a subject that fails the engine check, or only says so.
pub(crate) fn refuse_untrusted(app: &App<'_>, engines: &EnginePair, untrusted: bool) -> Result<(), Failure> {
    let failures = engines.test_subject(&app.engines).or_user_error()?;
    let Some(first) = failures.first() else {
        return Ok(());
    };
    let name = &engines.subject_identity().name;
    let problem = format!(
        "engine {name} fails the engine check: {}: {}",
        first.name, first.problem
    );
    if untrusted {
        app.printer.print_warning(problem);
        return Ok(());
    }
    Err(Failure::new(problem).hint(format!(
        "what it does is not to be trusted: `snippex engines test {name}` shows all that fails; --untrusted compares it all \
         the same"
    )))
}

/// What a check came to, before it is printed.
pub(crate) struct Answer {
    /// All of it.
    pub(crate) summary: SummaryView,
    /// Blocks with divergences, where the answer is one document.
    kept: Vec<serde_json::Value>,
    /// Nothing found, something found, or interrupted.
    pub(crate) status: ExitStatus,
}

/// Checks `targets` and prints the answer.
pub(crate) fn check_and_print<'a>(
    app: &App<'_>,
    store: &StoreHandle,
    command: &str,
    engines: &EnginePair,
    args: &RunArgs,
    targets: impl IntoIterator<Item = CheckTarget<'a>>,
    show_selection: bool,
) -> Result<ExitStatus, Failure> {
    let Answer {
        summary,
        kept,
        status,
    } = find_answer(app, store, command, engines, args, targets, show_selection)?;
    match app.format {
        Format::Human => app
            .printer
            .print_text(snippex_report::check::render_check_summary(
                &summary,
                app.printer.width(),
            ))
            .and_then(|()| match args.detail {
                true => print_examples(app, store, &summary),
                false => Ok(()),
            })?,
        Format::Jsonl => app.printer.print_json_line(&summary)?,
        Format::Json => app
            .printer
            .print_json(&snippex_report::check::build_check_document(kept, &summary))?,
    }
    write_exports(app, store, RunId(summary.run), &args.exports)?;
    Ok(status)
}

/// Checks `targets`, and prints nothing but how it goes on.
pub(crate) fn find_answer<'a>(
    app: &App<'_>,
    store: &StoreHandle,
    command: &str,
    engines: &EnginePair,
    args: &RunArgs,
    targets: impl IntoIterator<Item = CheckTarget<'a>>,
    show_selection: bool,
) -> Result<Answer, Failure> {
    let cancel = app.cancel_token()?;
    let options = check_options(app, command, args);
    let mut shown = ShownProgress {
        app,
        cancel: &cancel,
        show_selection,
        extracting: None,
        checking: None,
        kept: Vec::new(),
        in_used_processes: 0,
        failure: None,
    };
    let cache = app.open_cache(args.cache.cache_refresh);
    let session = Session {
        store,
        engines,
        table: &app.engines,
        options: &options,
        cache: cache.as_ref(),
        stop: &cancel.flag(),
    };
    let outcome = session.check_targets(targets, &mut shown);
    let ShownProgress { kept, failure, .. } = shown;
    let outcome = outcome.or_user_error()?;
    match failure {
        Some(failure) => Err(failure),
        None => answer(&session, app, outcome, kept),
    }
}

/// What is asked of the session.
pub(crate) fn check_options(app: &App<'_>, command: &str, args: &RunArgs) -> SessionOptions {
    let settings = &app.settings.value;
    SessionOptions {
        command: command.to_owned(),
        arguments: crate::app::redacted_command_line(),
        seed: args.seed,
        states: args.states.unwrap_or(settings.states),
        threads: args.threads.unwrap_or(settings.threads),
        partition: args.partition.map(Into::into),
        reduce: (!args.no_reduce).then(|| Duration::from_secs(args.reduce_time)),
    }
}

/// Says why the cache could not help, if so.
pub(crate) fn warn_of_cache(app: &App<'_>, outcome: &CheckOutcome) {
    if let Some(trouble) = outcome.cache.as_ref().and_then(|cache| cache.trouble.as_ref()) {
        app.printer
            .print_warning(format_args!("the cache was not of full use: {trouble}"));
    }
}

/// What was found, and how the process is to end.
fn answer(
    session: &Session<'_>,
    app: &App<'_>,
    outcome: CheckOutcome,
    kept: Vec<serde_json::Value>,
) -> Result<Answer, Failure> {
    let wanted = Wanted {
        run: Some(outcome.run),
        emulator: None,
    };
    let bugs = Bugs::load_from_store(session.store, session.table).or_user_error()?;
    let bugs = bug_views(&bugs.list_bugs(wanted).or_user_error()?).or_user_error()?;
    // What is known is no news. A divergence without any bug is one whose instruction could not be told.
    let news = bugs.is_empty() || bugs.iter().any(|bug| bug.known.is_none());
    let asked = Asked {
        seed: session.options.seed,
        states: session.options.states,
        threads: session.options.threads,
        partition: session.options.partition,
    };
    let engines = vec![
        engine_view(session.engines.reference_identity(), "reference"),
        engine_view(session.engines.subject_identity(), "subject"),
    ];
    warn_of_cache(app, &outcome);
    let summary = check_summary(outcome, &asked, engines, bugs);
    let status = if session.stop.load(std::sync::atomic::Ordering::Relaxed) {
        app.status_when_stopped()
    } else {
        ExitStatus::from_found(summary.diverged > 0 && news)
    };
    Ok(Answer {
        summary,
        kept,
        status,
    })
}

/// Groups of divergences whose examples are shown.
const MAX_EXAMPLES: usize = 20;

/// Shows the example of each group of divergences on both engines.
fn print_examples(app: &App<'_>, store: &StoreHandle, summary: &SummaryView) -> Result<(), Failure> {
    let examples = summary
        .divergences
        .iter()
        .filter_map(|group| group.example.divergence);
    for id in examples.clone().take(MAX_EXAMPLES) {
        app.printer
            .print_line(format_args!("\n{HEADING}Divergence {id}{HEADING:#}"))?;
        print_divergence(app, store, DivergenceId(id))?;
    }
    let more = examples.count().saturating_sub(MAX_EXAMPLES);
    if more > 0 {
        app.printer.print_note(format_args!(
            "{} more: snippex list --divergences, snippex compare --divergence N",
            format_count(more as u64, "example")
        ));
    }
    Ok(())
}

/// What the user sees while a check is under way.
struct ShownProgress<'a> {
    app: &'a App<'a>,
    cancel: &'a CancelToken,
    show_selection: bool,
    extracting: Option<Progress<'a>>,
    checking: Option<Progress<'a>>,
    /// Blocks with divergences, kept for an answer in one document.
    kept: Vec<serde_json::Value>,
    /// Findings so far that only processes show which have run the case before.
    in_used_processes: usize,
    /// Why nothing more can be printed; the check stops then.
    failure: Option<Failure>,
}

impl SessionObserver for ShownProgress<'_> {
    fn on_event(&mut self, event: SessionEvent<'_>) {
        if let Err(failure) = self.show(&event) {
            self.failure.get_or_insert(failure);
            self.cancel.cancel();
        }
    }
}

impl ShownProgress<'_> {
    fn show(&mut self, event: &SessionEvent<'_>) -> Result<(), Failure> {
        let printer = self.app.printer;
        match *event {
            SessionEvent::Extracting(file) => {
                let progress = printer.start_progress("extracting", None);
                progress.set_message(file.path());
                self.extracting = Some(progress);
            }
            SessionEvent::Chosen {
                file,
                found,
                selection,
            } => {
                let chosen = selection.numbers.len();
                warn_of_choice(self.app, file, found, chosen);
                printer.print_note(format_args!(
                    "{}: {}, {} selected",
                    file.path(),
                    format_count(found as u64, "block"),
                    format_number(chosen as u64)
                ));
                if self.show_selection && self.app.format == Format::Human {
                    let report = snippex_report::selection::render_selection_report(
                        &selection.report,
                        printer.width(),
                    );
                    printer.print_text(format_args!("{report}\n"))?;
                }
            }
            SessionEvent::Storing(file) => {
                if let Some(progress) = &self.extracting {
                    progress.set_message(format_args!("{}: storing", file.path()));
                }
            }
            SessionEvent::Running { runs } => {
                self.extracting = None;
                match &self.checking {
                    Some(progress) => progress.expect_more(runs),
                    None => self.checking = Some(printer.start_progress("checking", Some(runs))),
                }
            }
            SessionEvent::Block {
                number,
                block,
                binary,
                report,
                summary,
                elapsed,
            } => {
                self.show_used_processes(number, block, binary, report);
                self.show_block(number, block, binary, report)?;
                self.show_progress(report.runs, summary, elapsed);
            }
            SessionEvent::Reduced => {
                if let Some(progress) = &self.checking {
                    progress.set_message("reducing what was found");
                }
            }
            SessionEvent::FailedStarts { engine, count } => {
                let starts = format_count(u64::from(count), "start");
                printer.print_note(format_args!(
                    "{starts} of {engine} failed and went well when repeated"
                ));
            }
            _ => {}
        }
        Ok(())
    }

    /// Tells what no fresh process shows: as it is no property of the block alone, it is no bug in the list.
    fn show_used_processes(
        &mut self,
        number: BlockNumber,
        block: &Block,
        binary: &str,
        report: &BlockReport,
    ) {
        for finding in &report.in_used_processes {
            self.in_used_processes += 1;
            if self.in_used_processes > MAX_EXAMPLES {
                continue;
            }
            let culprit = finding.divergence.class.culprit.as_ref();
            let what = finding.divergence.differences.first().map(difference_sentence);
            self.app.printer.print_note(format_args!(
                "only in a used process: block {} of {binary} at {:#x}, start {}, {}: {}; {} of the block, none in a fresh process",
                number.0,
                block.address,
                finding.start,
                culprit.map_or("the way it ends", |culprit| culprit.form.as_str()),
                what.unwrap_or_else(|| "it ends elsewhere".to_owned()),
                format_count(finding.runs, "run"),
            ));
        }
    }

    fn show_block(
        &mut self,
        number: BlockNumber,
        block: &Block,
        binary: &str,
        report: &BlockReport,
    ) -> Result<(), Failure> {
        if report.findings.is_empty() {
            return Ok(());
        }
        let outcome = block_outcome(number, block, binary, report);
        match self.app.format {
            Format::Jsonl => self.app.printer.print_json_line(&outcome)?,
            Format::Json => {
                let outcome = serde_json::to_value(&outcome).expect("plain data is JSON");
                self.kept.push(outcome);
            }
            Format::Human => {}
        }
        if self.app.printer.reader_is_gone() {
            self.cancel.cancel();
        }
        Ok(())
    }

    fn show_progress(&self, runs: u64, summary: &CheckSummary, elapsed: Duration) {
        if let Some(progress) = &self.checking {
            progress.advance(runs);
            progress.refresh_message(|| {
                let rate = summary.runs as f64 / elapsed.as_secs_f64().max(1e-9);
                let diverged = units::format_count(summary.diverged);
                format!("{}, {diverged} diverged", units::format_rate(rate))
            });
        }
    }
}
