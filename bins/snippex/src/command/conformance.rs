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
use crate::conformance::judged::view_of_verdict;
use crate::conformance::known::KnownFailures;
use crate::engines::{engine_view, subject_engine};
use crate::hints::OrUserError;
use crate::install;
use snippex_exec::engine::EngineError;
use snippex_report::conformance::{SuiteView, TestStatus, TestView, render_suite, render_suite_junit};
use snippex_session::EngineChoice;

/// Reports that wait to be received.
const WAITING: usize = 256;

pub(crate) fn run(app: &App<'_>, args: &ConformanceArgs, format: FormatArg) -> Result<ExitStatus, Failure> {
    let files = files::find_test_files(&args.paths)?;
    let known = KnownFailures::read_lists(&args.known_failures)?;
    let assembler = assembler_for(app, args, &files)?;
    let patience = args
        .timeout
        .map(|seconds| Duration::from_secs(u64::from(seconds)));
    let choice = subject_engine(app, &args.engine)?.with_patience(patience);
    let reference = args
        .match_with
        .as_deref()
        .map(|name| app.engine_names().choose_engine(name))
        .transpose()
        .or_user_error()?;
    let identity = choice.start_engine().or_user_error()?.identity().clone();
    let cancel = app.cancel_token()?;
    let started = Instant::now();

    let tolerance = app.engines.tolerance(&identity.name);
    let make = |file: &TestFile| match &assembler {
        Some(assembler) if !file.is_case() => assembler.assemble_test(file),
        _ => case_file::read_case_file(file, &tolerance),
    };
    let mut suite = PreparedSuite::from_files(app, &make, &files, &cancel);
    let failure = suite
        .run_tests(app, &choice, reference.as_ref(), &cancel)
        .or_user_error()
        .err();
    let views = suite.into_views(&files, failure.as_ref(), &known);
    let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
    warn_of_strangers(app.printer, &known, &names);

    let mut suite = SuiteView::new(engine_view(&identity, "subject"), views, started.elapsed());
    let status = exit_status(&suite, cancel.is_cancelled());
    print_suite(app, &mut suite, format)?;
    failure.map_or(Ok(status), Err)
}

/// The assembler, if one of `files` is a source; cases need none.
fn assembler_for(
    app: &App<'_>,
    args: &ConformanceArgs,
    files: &[TestFile],
) -> Result<Option<Assembler>, Failure> {
    if files.iter().all(TestFile::is_case) {
        return Ok(None);
    }
    if args.nasm.is_none() {
        install::ensure_programs_installed(app.printer, &["nasm"], !args.no_install)?;
    }
    let nasm = args.nasm.as_deref().unwrap_or(Path::new("nasm"));
    Assembler::new(nasm, &args.includes).map(Some)
}

fn exit_status(suite: &SuiteView, is_cancelled: bool) -> ExitStatus {
    let found = [TestStatus::Failed, TestStatus::UnexpectedPass];
    if is_cancelled {
        ExitStatus::Interrupted
    } else if found.iter().any(|&status| suite.count_tests(status) > 0) {
        ExitStatus::Found
    } else if suite.count_tests(TestStatus::Broken) > 0 {
        ExitStatus::CouldNot
    } else {
        ExitStatus::NothingFound
    }
}

/// Files made into tests, and what became of each.
struct PreparedSuite {
    /// By file; `None` for those that have not had their turn.
    views: Vec<Option<TestView>>,
    tests: Vec<ConformanceTest>,
    /// For each test the index of its file.
    places: Vec<usize>,
}

impl PreparedSuite {
    fn from_files(
        app: &App<'_>,
        make: &(dyn Fn(&TestFile) -> Made + Sync),
        files: &[TestFile],
        cancel: &CancelToken,
    ) -> Self {
        let mut suite = Self {
            views: vec![None; files.len()],
            tests: Vec::new(),
            places: Vec::new(),
        };
        let threads = app.settings.value.threads as usize;
        let made = assemble_tests(app.printer, make, files, threads, cancel);
        for (index, made) in made.into_iter().enumerate() {
            let view = |status, reason| Some(TestView::new(&files[index].name, status, Some(reason)));
            match made {
                Some(Made::Test(test)) => {
                    suite.tests.push(*test);
                    suite.places.push(index);
                }
                Some(Made::Unsupported(reason)) => {
                    suite.views[index] = view(TestStatus::Unsupported, reason);
                }
                Some(Made::Broken(reason)) => suite.views[index] = view(TestStatus::Broken, reason),
                None => {}
            }
        }
        suite
    }

    /// Runs all tests on engines of `choice`; `reference` says what is right where a test does not.
    fn run_tests(
        &mut self,
        app: &App<'_>,
        choice: &EngineChoice,
        reference: Option<&EngineChoice>,
        cancel: &CancelToken,
    ) -> Result<(), EngineError> {
        let progress = app
            .printer
            .start_progress("running", Some(self.tests.len() as u64));
        let start_reference = reference.map(|reference| move || reference.start_engine());
        let engines = Engines {
            subject: &|environment| choice.start_in(environment),
            reference: start_reference
                .as_ref()
                .map(|start| start as &conformance_suite::Reference<'_>),
        };
        let (threads, stop) = (app.settings.value.threads as usize, cancel.flag());
        let Self { views, tests, places } = self;
        thread::scope(|scope| {
            let (sender, receiver) = sync_channel::<SuiteReport>(WAITING);
            let (tests, stop) = (&*tests, &stop);
            let work = scope.spawn(move || {
                conformance_suite::run_conformance_tests(tests, threads, engines, &sender, stop)
            });
            let mut failed = 0;
            for report in receiver {
                let view = view_of_report(&tests[report.index], &report);
                failed += usize::from(view.status == TestStatus::Failed);
                views[places[report.index]] = Some(view);
                progress.advance(1);
                progress.set_message(format_args!("{failed} failed"));
            }
            work.join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// What became of each of `files`, with what the lists of known failures say.
    fn into_views(
        self,
        files: &[TestFile],
        failure: Option<&Failure>,
        known: &KnownFailures,
    ) -> Vec<TestView> {
        let not_run = failure.map_or_else(
            || "interrupted".to_owned(),
            |failure| format!("the engine could not go on: {failure}"),
        );
        let views = files.iter().zip(self.views).map(|(file, view)| {
            view.unwrap_or_else(|| TestView::new(&file.name, TestStatus::NotRun, Some(not_run.clone())))
        });
        views
            .map(|mut view| {
                if let Some(reason) = known.reason_for(&view.name) {
                    view.apply_known_failure(reason);
                }
                view
            })
            .collect()
    }
}

fn view_of_report(test: &ConformanceTest, report: &SuiteReport) -> TestView {
    let variables = test.environment.iter();
    TestView {
        only_alone: report.only_alone,
        environment: variables.map(|(name, value)| format!("{name}={value}")).collect(),
        ..view_of_verdict(&test.name, &report.verdict)
    }
}

/// Makes tests of all files, on all threads; `None` for those whose turn did not come.
fn assemble_tests(
    printer: &Printer,
    make: &(dyn Fn(&TestFile) -> Made + Sync),
    files: &[TestFile],
    threads: usize,
    cancel: &CancelToken,
) -> Vec<Option<Made>> {
    let progress = printer.start_progress("assembling", Some(files.len() as u64));
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

/// A name that no test has is a mistake in the list, or a part of the suite that is not run.
fn warn_of_strangers(printer: &Printer, known: &KnownFailures, names: &[&str]) {
    let strangers = known.names_not_in(names);
    let Some((name, list)) = strangers.first() else {
        return;
    };
    let more = match strangers.len() - 1 {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    printer.print_warning(format_args!(
        "no test of this run is called {name}, as {list} has it{more}"
    ));
}

fn print_suite(app: &App<'_>, suite: &mut SuiteView, format: FormatArg) -> Result<(), Failure> {
    match format {
        FormatArg::Human | FormatArg::Csv => app.printer.print_line(render_suite(suite, app.printer.width())),
        FormatArg::Json => app.printer.print_json(suite),
        FormatArg::Jsonl => {
            for test in std::mem::take(&mut suite.tests) {
                app.printer.print_json_line(&test)?;
            }
            app.printer.print_json_line(suite)
        }
        FormatArg::Junit => app.printer.print_text(render_suite_junit(suite)),
    }
}
