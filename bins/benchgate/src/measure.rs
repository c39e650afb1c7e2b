//! Measuring: one process after the other, the run file saved after each.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use cli_kit::{Failure, OrFail as _, units};
use jiff::Timestamp;
use regress_core::ingest;
use regress_core::measurement::{
    BenchmarkId, Commit, Direction, Measure, Measurement, ProcessRun, RunFile, Unit,
};

use crate::app::App;
use crate::benchmark_names::refuse_unknown_directions;
use crate::files;
use crate::git::GitRepository;
use crate::outputs::Places;
use crate::process::{Job, ProcessError};

/// The benchmark under which `--cpu-time` keeps what a process cost.
const WHOLE_PROCESS: &str = "process";

/// What is measured where, and where it is kept.
#[derive(Debug)]
pub(crate) struct Subject {
    /// What to call it in messages: `run`, `base`, `head`.
    pub(crate) name: &'static str,
    pub(crate) command: Vec<String>,
    pub(crate) directory: PathBuf,
    /// Cargo's target folder, if it has to be another than the project's.
    pub(crate) target: Option<PathBuf>,
    pub(crate) file: PathBuf,
    pub(crate) run: RunFile,
}

impl Subject {
    /// The work tree as it is.
    pub(crate) fn from_work_tree(app: &App<'_>, file: PathBuf) -> Result<Self, Failure> {
        let command = benchmark_command(app)?;
        let mut run = RunFile::new(app.detect_environment()?);
        run.commit = current_commit(app)?;
        run.time = Some(current_time());
        run.command = command.clone();
        let subject = Self {
            name: "run",
            command,
            directory: app.here.clone(),
            target: None,
            file,
            run,
        };
        // Before the first process, not after it: a folder that cannot be written to should cost nobody an hour.
        subject.save_run()?;
        Ok(subject)
    }

    /// Saves what there is.
    pub(crate) fn save_run(&self) -> Result<(), Failure> {
        files::write_file(&self.file, self.run.to_json())
    }

    /// Runs one process, adds it to the run and saves that. Gives the time it took.
    pub(crate) fn measure_once(
        &mut self,
        app: &App<'_>,
        options: &ingest::IngestOptions,
    ) -> Result<Duration, Failure> {
        let (run, elapsed) = self.one(app, options)?;
        if self.run.processes.is_empty() {
            refuse_unknown_directions(app, std::iter::once(&run))?;
        }
        self.run.processes.push(run);
        self.save_run()?;
        Ok(elapsed)
    }

    /// Runs one process without keeping its results.
    pub(crate) fn warm_up(
        &self,
        app: &App<'_>,
        options: &ingest::IngestOptions,
    ) -> Result<Duration, Failure> {
        self.one(app, options).map(|(_, elapsed)| elapsed)
    }

    fn one(&self, app: &App<'_>, options: &ingest::IngestOptions) -> Result<(ProcessRun, Duration), Failure> {
        let variables = self.environment_variables();
        self.make_folders(app)?;
        let timeout = app.settings.timeout.0;
        let job = Job {
            command: &self.command,
            directory: &self.directory,
            variables: &variables,
            timeout,
        };
        app.print_detail(|| format!("{}: starts in {}", self.nth(), app.display_path(&self.directory)));
        let started = SystemTime::now();
        let printed = job
            .run_to_end(&app.cancel)
            .map_err(|error| self.stopped(app, &error))?;
        let places = Places {
            directory: &self.directory,
            target: self.target.as_deref(),
            results: &app.settings.results,
            options,
        };
        let mut run = places.collect_results(&printed.stdout, started)?;
        if app.settings.cpu_time {
            if run.measurements.is_empty() {
                // A program that is no benchmark tool prints what it likes.
                run.problems.clear();
            }
            run.measurements.push(cpu_time_measurement(printed.cpu_time));
        }
        app.print_detail(|| {
            format!(
                "{}: {} measurements in {}, {} of output",
                self.nth(),
                run.measurements.len(),
                units::format_duration(printed.elapsed),
                units::format_bytes(printed.stdout.len() as u64)
            )
        });
        if run.measurements.is_empty() {
            let why = run
                .problems
                .first()
                .map_or_else(|| "it printed nothing".to_owned(), ToString::to_string);
            return Err(Failure::new(format!("{} gave no benchmark results: {why}", self.nth())).hint(
                "check that COMMAND prints results in a known format, name files it writes with --results, or the format with --tool; a program that is no benchmark tool can be measured by --cpu-time",
            ));
        }
        Ok((run, printed.elapsed))
    }

    /// Variables by which a side of a comparison is the commit's own: where Cargo builds, and where Python looks for
    /// modules before it looks at what is installed. A package that is installed as editable is another checkout's.
    pub(crate) fn environment_variables(&self) -> Vec<(String, OsString)> {
        let Some(target) = &self.target else {
            return Vec::new();
        };
        let mut variables = vec![("CARGO_TARGET_DIR".to_owned(), target.into())];
        let is_python = |name: &str| self.directory.join(name).is_file();
        if ["pyproject.toml", "setup.py", "setup.cfg"]
            .into_iter()
            .any(is_python)
        {
            let own = [self.directory.join("src"), self.directory.clone()];
            let inherited = std::env::var_os("PYTHONPATH").unwrap_or_default();
            let all = own.into_iter().chain(std::env::split_paths(&inherited));
            if let Ok(path) = std::env::join_paths(all.filter(|path| !path.as_os_str().is_empty())) {
                variables.push(("PYTHONPATH".to_owned(), path));
            }
        }
        variables
    }

    /// Makes the folders that result files are to be written into: a fresh work tree has none of them.
    fn make_folders(&self, app: &App<'_>) -> Result<(), Failure> {
        for pattern in &app.settings.results {
            let folder = Path::new(pattern).parent().unwrap_or(Path::new(""));
            let is_plain = !folder.to_string_lossy().contains(['*', '?', '[', '{']);
            if is_plain && folder.is_relative() {
                let folder = self.directory.join(folder);
                std::fs::create_dir_all(&folder)
                    .or_fail_with(|| format!("cannot make {}", app.display_path(&folder)))?;
            }
        }
        Ok(())
    }

    /// Which process this is about, and what of it is kept.
    fn nth(&self) -> String {
        format!(
            "{} {} of `{}`",
            self.name,
            self.run.processes.len() + 1,
            self.command.join(" ")
        )
    }

    fn stopped(&self, app: &App<'_>, error: &ProcessError) -> Failure {
        let kept = match self.run.processes.len() {
            0 => String::new(),
            count => format!(
                "; {count} finished before it and kept in {}",
                app.display_path(&self.file)
            ),
        };
        if matches!(error, ProcessError::Interrupted) {
            return Failure::interrupted(format!("interrupted in {}{kept}", self.nth()));
        }
        // The causes are told first, so the message has to hold them.
        let told = Failure::with_cause(String::new(), error).to_string();
        let told = told.trim_start_matches([':', ' ']);
        let failure = Failure::new(format!("{} failed: {told}{kept}", self.nth()));
        match error {
            ProcessError::TimedOut { .. } => failure.hint("raise --timeout, or find out where it hangs"),
            ProcessError::Start { .. } => {
                failure.hint("check the command after --, or `command` in benchgate.toml")
            }
            _ => failure
                .hint("run the command by itself to see all it prints; `benchgate run --resume` goes on"),
        }
    }
}

/// What the whole process cost, beside what its tool says of each benchmark.
fn cpu_time_measurement(cpu_time: Duration) -> Measurement {
    Measurement::new(
        BenchmarkId::new(WHOLE_PROCESS).expect("the name is a plain word"),
        Measure::CPU_TIME,
        Unit::Nanoseconds,
        Direction::SmallerIsBetter,
        cpu_time.as_secs_f64() * 1e9,
    )
}

/// The command to measure.
pub(crate) fn benchmark_command(app: &App<'_>) -> Result<Vec<String>, Failure> {
    let command = &app.settings.command;
    if command.is_empty() {
        return Err(Failure::new("there is no benchmark command").hint(
            "give it after --, as in `benchgate run -- cargo bench`, or as `command` in benchgate.toml; `benchgate init` writes one",
        ));
    }
    Ok(command.clone())
}

/// The commit that is checked out here; `None` outside of a repository.
pub(crate) fn current_commit(app: &App<'_>) -> Result<Option<Commit>, Failure> {
    // What benchgate itself writes does not make the tree dirty.
    let own: [&Path; 3] = [&app.settings.baseline, &app.settings.history, &app.settings.state];
    GitRepository::find_containing(&app.here).map_or(Ok(None), |repository| repository.current_commit(&own))
}

/// Adds processes until there are `runs`, with progress.
pub(crate) fn measure_runs(app: &App<'_>, subject: &mut Subject, runs: u32) -> Result<(), Failure> {
    let options = app.settings.ingest_options()?;
    let missing = u64::from(runs).saturating_sub(subject.run.processes.len() as u64);
    let progress = app.printer.start_progress("measuring", Some(missing));
    for _ in 0..missing {
        let elapsed = subject.measure_once(app, &options)?;
        progress.set_message(format_args!("{} a run", units::format_duration(elapsed)));
        progress.advance(1);
    }
    Ok(())
}

/// Measures the work tree as it is, into `file`.
pub(crate) fn measure_here(app: &App<'_>, file: PathBuf) -> Result<RunFile, Failure> {
    let mut subject = Subject::from_work_tree(app, file)?;
    measure_runs(app, &mut subject, app.settings.runs)?;
    warn_of_problems(app, &subject.run);
    Ok(subject.run)
}

/// Tells what could not be used of a run.
pub(crate) fn warn_of_problems(app: &App<'_>, run: &RunFile) {
    const SHOWN: usize = 10;
    let mut told = std::collections::BTreeSet::new();
    let all: Vec<String> = run
        .problems()
        .map(ToString::to_string)
        .filter(|text| told.insert(text.clone()))
        .collect();
    for problem in all.iter().take(SHOWN) {
        app.printer.print_warning(problem);
    }
    if all.len() > SHOWN {
        app.printer.print_warning(format_args!(
            "{} more entries could not be used",
            all.len() - SHOWN
        ));
    }
    if run.commit.as_ref().is_some_and(|commit| commit.dirty) {
        app.printer
            .print_warning("the work tree has changes that are in no commit; the run is marked as dirty");
    }
}

/// The time, to the millisecond: runs are told apart by it.
pub(crate) fn current_time() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}
