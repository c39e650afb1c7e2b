//! `snippex conformance`: tests written for emulators, on any engine.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use cli_kit::{CancelToken, ExitStatus, Failure, Printer};
use snippex_exec::conformance_suite::{self, ConformanceTest, Engines, SuiteReport};

use crate::app::App;
use crate::args::{ConformanceArgs, FormatArg};
use crate::conformance::assemble::{Assembler, Made};
use crate::conformance::case_file;
use crate::conformance::files::{self, TestFile};
use crate::conformance::junit;
use crate::conformance::known::KnownFailures;
use crate::conformance::report::{Status, SuiteView, TestView};
use crate::engines::{engine_view, subject_engine};
use crate::hints::OrUserError;
use crate::install;
use snippex_report::EngineView;

/// Reports that wait to be received.
const WAITING: usize = 256;

pub(crate) fn run(app: &App<'_>, args: &ConformanceArgs, format: FormatArg) -> Result<ExitStatus, Failure> {
    let files = files::find(&args.paths)?;
    let known = KnownFailures::read(&args.known_failures)?;
    // Cases need no assembler.
    let assembler = files
        .iter()
        .any(|file| !file.is_case())
        .then(|| {
            if args.nasm.is_none() {
                install::ensure(app.printer, &["nasm"], !args.no_install)?;
            }
            let nasm = args.nasm.as_deref().unwrap_or(Path::new("nasm"));
            Assembler::new(nasm, &args.includes)
        })
        .transpose()?;
    let settings = &app.settings.value;
    let patience = args
        .timeout
        .map(|seconds| Duration::from_secs(u64::from(seconds)));
    let choice = subject_engine(app, &args.engine)?.with_patience(patience);
    let reference = args
        .match_with
        .as_deref()
        .map(|name| app.names().choose(name))
        .transpose()
        .or_user_error()?;
    let engine = choice.start().or_user_error()?;
    let identity = engine.identity().clone();
    drop(engine);
    let cancel = app.cancel_token()?;
    let started = Instant::now();

    let threads = settings.threads as usize;
    let tolerance = app.engines.tolerance(&identity.name);
    let make = |file: &TestFile| match &assembler {
        Some(assembler) if !file.is_case() => assembler.make(file),
        _ => case_file::make(file, &tolerance),
    };
    let mut views: Vec<Option<TestView>> = vec![None; files.len()];
    let mut tests: Vec<ConformanceTest> = Vec::new();
    let mut places = Vec::new();
    for (index, made) in assemble(app.printer, &make, &files, threads, &cancel)
        .into_iter()
        .enumerate()
    {
        let name = &files[index].name;
        match made {
            Some(Made::Test(test)) => {
                tests.push(*test);
                places.push(index);
            }
            Some(Made::Unsupported(reason)) => {
                views[index] = Some(TestView::new(name, Status::Unsupported, Some(reason)));
            }
            Some(Made::Broken(reason)) => {
                views[index] = Some(TestView::new(name, Status::Broken, Some(reason)));
            }
            None => {}
        }
    }
    let progress = app.printer.progress("running", Some(tests.len() as u64));
    let start_reference = || {
        reference
            .as_ref()
            .expect("asked for only when there is one")
            .start()
    };
    let engines = Engines {
        subject: &|environment| choice.start_in(environment),
        reference: reference
            .is_some()
            .then_some(&start_reference as &conformance_suite::Reference<'_>),
    };
    let stop = cancel.flag();
    let ran = thread::scope(|scope| {
        let (sender, receiver) = sync_channel::<SuiteReport>(WAITING);
        let (tests, stop) = (&tests, &stop);
        let work = scope.spawn(move || conformance_suite::run(tests, threads, engines, &sender, stop));
        let mut failed = 0;
        for report in receiver {
            let test = &tests[report.index];
            let mut view = TestView::judged(&test.name, &report.verdict);
            view.only_alone = report.only_alone;
            view.environment = test
                .environment
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            failed += usize::from(view.status == Status::Failed);
            views[places[report.index]] = Some(view);
            progress.advance(1);
            progress.say(format_args!("{failed} failed"));
        }
        work.join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    drop(progress);
    let failure = ran.or_user_error().err();
    let not_run = match &failure {
        Some(failure) => format!("the engine could not go on: {failure}"),
        None => "interrupted".to_owned(),
    };
    let mut views: Vec<TestView> = files
        .iter()
        .zip(views)
        .map(|(file, view)| {
            view.unwrap_or_else(|| TestView::new(&file.name, Status::NotRun, Some(not_run.clone())))
        })
        .collect();
    for view in &mut views {
        apply(&known, view);
    }
    let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
    warn_of_strangers(app.printer, &known, &names);

    let suite = SuiteView::new(engine_view(&identity, "subject"), views, started.elapsed());
    print(app, &suite, format)?;
    if let Some(failure) = failure {
        return Err(failure);
    }
    Ok(if cancel.is_cancelled() {
        ExitStatus::Interrupted
    } else if suite.count(Status::Failed) + suite.count(Status::UnexpectedPass) > 0 {
        ExitStatus::Found
    } else if suite.count(Status::Broken) > 0 {
        ExitStatus::CouldNot
    } else {
        ExitStatus::NothingFound
    })
}

/// Makes tests of all files, on all threads; `None` for those whose turn did not come.
fn assemble(
    printer: &Printer,
    make: &(dyn Fn(&TestFile) -> Made + Sync),
    files: &[TestFile],
    threads: usize,
    cancel: &CancelToken,
) -> Vec<Option<Made>> {
    let progress = printer.progress("assembling", Some(files.len() as u64));
    let next = AtomicUsize::new(0);
    let made = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !cancel.is_cancelled() {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(file) = files.get(index) else { break };
                    let result = make(file);
                    made.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .insert(index, result);
                    progress.advance(1);
                }
            });
        }
    });
    let mut made = made.into_inner().unwrap_or_else(PoisonError::into_inner);
    (0..files.len()).map(|index| made.remove(&index)).collect()
}

/// What a list of known failures makes of a verdict.
fn apply(known: &KnownFailures, view: &mut TestView) {
    let Some(reason) = known.reason(&view.name) else {
        return;
    };
    match view.status {
        Status::Passed => {
            view.status = Status::UnexpectedPass;
            view.reason = Some(match reason {
                "" => "on a list of known failures".to_owned(),
                reason => format!("listed as: {reason}"),
            });
        }
        Status::Failed => {
            view.status = Status::KnownFailure;
            if !reason.is_empty() {
                let found = view.reason.take().unwrap_or_default();
                view.reason = Some(format!("{reason} ({found})"));
            }
        }
        Status::Unsupported if !reason.is_empty() => {
            let found = view.reason.take().unwrap_or_default();
            view.reason = Some(format!("{found}; known: {reason}"));
        }
        _ => {}
    }
}

/// A name that no test has is a mistake in the list, or a part of the suite that is not run.
fn warn_of_strangers(printer: &Printer, known: &KnownFailures, names: &[&str]) {
    let strangers = known.strangers(names);
    let Some((name, list)) = strangers.first() else {
        return;
    };
    let more = match strangers.len() - 1 {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    printer.warn(format_args!(
        "no test of this run is called {name}, as {list} has it{more}"
    ));
}

fn print(app: &App<'_>, suite: &SuiteView, format: FormatArg) -> Result<(), Failure> {
    match format {
        FormatArg::Human | FormatArg::Csv => app.printer.line(suite.text(app.printer.width())),
        FormatArg::Json => app.printer.json(suite),
        FormatArg::Jsonl => {
            for test in &suite.tests {
                app.printer.json_line(test)?;
            }
            app.printer.json_line(&SuiteSummary::of(suite))
        }
        FormatArg::Junit => app.printer.text(junit::document(suite)),
    }
}

/// The last line of an answer of one object a line.
#[derive(serde::Serialize)]
struct SuiteSummary<'s> {
    #[serde(rename = "type")]
    kind: &'static str,
    engine: &'s EngineView,
    total: usize,
    counts: &'s BTreeMap<Status, usize>,
    elapsed_s: f64,
    complete: bool,
}

impl<'s> SuiteSummary<'s> {
    fn of(suite: &'s SuiteView) -> Self {
        Self {
            kind: "summary",
            engine: &suite.engine,
            total: suite.total,
            counts: &suite.counts,
            elapsed_s: suite.elapsed_s,
            complete: suite.complete,
        }
    }
}
