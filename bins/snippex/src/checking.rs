//! A check as the command line shows it: what `check` and `validate` share.
//!
//! The session does the work; here it is told what was typed, its events are shown, and its outcome is printed.

use std::time::Duration;

use cli_kit::style::HEADING;
use cli_kit::{CancelToken, ExitStatus, Failure, Format, Progress, units};
use snippex_core::block::Block;
use snippex_exec::check::{BlockReport, CheckSummary};
use snippex_report::check::CheckSummary as SummaryView;
use snippex_report::{grouped, several};
use snippex_session::{
    Bugs, CheckOutcome, CheckTarget, EngineChoice, EnginePair, Session, SessionEvent, SessionObserver,
    SessionOptions, Wanted,
};
use snippex_store::{BlockNumber, DivergenceId, RunId, StoreHandle};

use crate::app::App;
use crate::args::{EngineArgs, RunArgs};
use crate::bug_views::bug_views;
use crate::check_views::{Asked, block_outcome, check_summary};
use crate::choosing::warn_if_nothing;
use crate::command::compare::print_divergence;
use crate::command::report::write_exports;
use crate::engines::{engine_view, subject_engine};
use crate::hints::OrUserError;

/// Starts both engines of a check, and sees whether the one that is compared can be.
pub(crate) fn start_engines(app: &App<'_>, args: &EngineArgs, run: &RunArgs) -> Result<EnginePair, Failure> {
    start_pair(app, subject_engine(app, args)?, run)
}

/// As [`start_engines`], for this subject.
pub(crate) fn start_pair(app: &App<'_>, subject: EngineChoice, run: &RunArgs) -> Result<EnginePair, Failure> {
    let reference = app
        .names()
        .choose(&app.settings.value.reference)
        .or_user_error()?;
    let engines = EnginePair::start(reference, subject).or_user_error()?;
    refuse_untrusted(app, &engines, run.untrusted)?;
    Ok(engines)
}

/// Refuses a subject that fails the engine check, or only says so.
pub(crate) fn refuse_untrusted(app: &App<'_>, engines: &EnginePair, untrusted: bool) -> Result<(), Failure> {
    let failures = engines.test_subject(&app.engines).or_user_error()?;
    let Some(first) = failures.first() else {
        return Ok(());
    };
    let name = &engines.subject().name;
    let problem = format!(
        "engine {name} fails the engine check: {}: {}",
        first.name, first.problem
    );
    if untrusted {
        app.printer.warn(problem);
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
pub(crate) fn run<'a>(
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
            .text(snippex_report::check::text(&summary, app.printer.width()))
            .and_then(|()| match args.detail {
                true => print_examples(app, store, &summary),
                false => Ok(()),
            })?,
        Format::Jsonl => app.printer.json_line(&summary)?,
        Format::Json => app
            .printer
            .json(&snippex_report::check::document(kept, &summary))?,
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
    let outcome = session.check(targets, &mut shown);
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
        arguments: crate::app::typed(),
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
            .warn(format_args!("the cache was not of full use: {trouble}"));
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
    let bugs = Bugs::read(session.store, session.table).or_user_error()?;
    let bugs = bug_views(&bugs.listed(wanted).or_user_error()?).or_user_error()?;
    // What is known is no news. A divergence without any bug is one whose instruction could not be told.
    let news = bugs.is_empty() || bugs.iter().any(|bug| bug.known.is_none());
    let asked = Asked {
        seed: session.options.seed,
        states: session.options.states,
        threads: session.options.threads,
        partition: session.options.partition,
    };
    let engines = vec![
        engine_view(session.engines.reference(), "reference"),
        engine_view(session.engines.subject(), "subject"),
    ];
    warn_of_cache(app, &outcome);
    let summary = check_summary(outcome, &asked, engines, bugs);
    let status = if session.stop.load(std::sync::atomic::Ordering::Relaxed) {
        ExitStatus::Interrupted
    } else {
        ExitStatus::found(summary.diverged > 0 && news)
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
            .line(format_args!("\n{HEADING}Divergence {id}{HEADING:#}"))?;
        print_divergence(app, store, DivergenceId(id))?;
    }
    let more = examples.count().saturating_sub(MAX_EXAMPLES);
    if more > 0 {
        app.printer.note(format_args!(
            "{} more: snippex list --divergences, snippex compare --divergence N",
            several(more as u64, "example")
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
    /// Why nothing more can be printed; the check stops then.
    failure: Option<Failure>,
}

impl SessionObserver for ShownProgress<'_> {
    fn observe(&mut self, event: SessionEvent<'_>) {
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
                let progress = printer.progress("extracting", None);
                progress.say(file.path());
                self.extracting = Some(progress);
            }
            SessionEvent::Chosen {
                file,
                found,
                selection,
            } => {
                let chosen = selection.numbers.len();
                warn_if_nothing(self.app, file, found, chosen);
                printer.note(format_args!(
                    "{}: {}, {} selected",
                    file.path(),
                    several(found as u64, "block"),
                    grouped(chosen as u64)
                ));
                if self.show_selection && self.app.format == Format::Human {
                    let report = snippex_report::selection::text(&selection.report, printer.width());
                    printer.text(format_args!("{report}\n"))?;
                }
            }
            SessionEvent::Storing(file) => {
                if let Some(progress) = &self.extracting {
                    progress.say(format_args!("{}: storing", file.path()));
                }
            }
            SessionEvent::Running { runs } => {
                self.extracting = None;
                match &self.checking {
                    Some(progress) => progress.expect(runs),
                    None => self.checking = Some(printer.progress("checking", Some(runs))),
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
                self.show_block(number, block, binary, report)?;
                self.show_progress(report.runs, summary, elapsed);
            }
            SessionEvent::Reduced => {
                if let Some(progress) = &self.checking {
                    progress.say("reducing what was found");
                }
            }
            _ => {}
        }
        Ok(())
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
            Format::Jsonl => self.app.printer.json_line(&outcome)?,
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
            let rate = summary.runs as f64 / elapsed.as_secs_f64().max(1e-9);
            let diverged = units::count(summary.diverged);
            progress.say(format_args!("{}, {diverged} diverged", units::rate(rate)));
        }
    }
}
