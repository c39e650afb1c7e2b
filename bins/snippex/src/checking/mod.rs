//! The main job: blocks of programs on two engines, results saved as they arrive, summed up at the end.
//!
//! What `check` and `validate` share. The work itself is `snippex_exec::check`; here its reports are received,
//! stored, shown while they come, and counted.

mod engine_pool;
mod recorder;
mod tally;
mod target;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use cli_kit::{CancelToken, ExitStatus, Failure, Format, Progress, units};
use snippex_blocks::generate::{Coverage, Form, form_of};
use snippex_core::seed::Style;
use snippex_exec::check::{BlockReport, CheckOptions, Job, Report as Progressed, check};
use snippex_store::{BlockNumber, EngineId, NewRun, Partition, RunEnd, RunId, StoreHandle, Timestamp};

pub(crate) use engine_pool::EnginePool;
pub(crate) use recorder::{inconclusive_word, new_bug};
pub(crate) use tally::{DivergenceGroup, Tally};
pub(crate) use target::{Target, TargetSummary};

use crate::app::App;
use crate::args::{EngineArgs, RunArgs};
use crate::bug_views::bug_views;
use crate::bugs::{Bugs, Wanted};
use crate::check_views::{Asked, block_outcome, check_summary};
use crate::engines::{EngineChoice, engine_view, record, tolerance_of};
use crate::generating;
use crate::host::this_host;
use crate::tell::OrTell;
use recorder::Recorder;

/// Findings of a signature that are kept when blocks are generated.
const KEPT: u32 = 2;
/// Reports that wait to be received.
const WAITING: usize = 1024;
/// Longest time that a result stays unsaved while others come.
const SAVE_EVERY: Duration = Duration::from_millis(500);

/// The engines of a run, started.
#[derive(Debug)]
pub(crate) struct Engines {
    reference: EnginePool,
    subject: EnginePool,
}

impl Engines {
    /// Starts one process of each, so that what is missing is told before anything else is done.
    pub(crate) fn start(app: &App<'_>, args: &EngineArgs) -> Result<Self, Failure> {
        let settings = &app.settings.value;
        let subject = EngineChoice::tested(settings, args)?;
        let reference = EngineChoice::preset(&settings.reference)?;
        Ok(Self {
            subject: EnginePool::start(subject).or_tell()?,
            reference: EnginePool::start(reference).or_tell()?,
        })
    }
}

/// Checks `targets` and prints the answer.
pub(crate) fn run(
    app: &App<'_>,
    store: &StoreHandle,
    command: &str,
    engines: &Engines,
    args: &RunArgs,
    targets: Vec<Target>,
) -> Result<ExitStatus, Failure> {
    let cancel = app.cancel_token()?;
    let settings = &app.settings.value;
    let (reference, subject) = (engines.reference.identity(), engines.subject.identity());
    let (reference_record, subject_record) = (record(reference), record(subject));
    let (host, reference_id, subject_id) = store
        .call(async move |store| {
            let host = store.add_host(&this_host()).await?;
            let reference = store.add_engine(&reference_record).await?;
            Ok((host, reference, store.add_engine(&subject_record).await?))
        })
        .or_tell()?;
    let partition = args.partition.map(|part| Partition {
        index: part.index,
        count: part.count,
    });
    let run = store
        .start_run(NewRun {
            command: command.to_owned(),
            arguments: crate::app::typed(),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            seed: args.seed,
            states_per_block: settings.states,
            partition,
            host,
            engines: vec![reference_id, subject_id],
            started: Timestamp::now(),
        })
        .or_tell()?;
    let mut session = Session {
        app,
        cancel: &cancel,
        recorder: Recorder::new(store, run, reference_id, subject_id),
        store,
        subject: subject_id,
        tally: Tally::default(),
        kept: Vec::new(),
        ran: BTreeMap::new(),
        started: Instant::now(),
    };
    let done = session.all(engines, args, &targets);
    let elapsed = session.started.elapsed();
    let Session {
        recorder,
        mut tally,
        kept,
        ran,
        ..
    } = session;
    let saved = recorder.finish();
    let complete = done.is_ok() && saved.is_ok() && !cancel.is_cancelled();
    let end = if complete {
        RunEnd::Finished
    } else {
        RunEnd::Interrupted
    };
    let finished = store.finish_run(run, end, Timestamp::now()).or_tell();
    // The engine's failure explains more than what followed from it.
    done.and(saved).and(finished)?;
    tally.find_examples(store, run)?;
    let outcome = CheckOutcome {
        run,
        complete,
        elapsed,
        tally,
        coverage: coverage(&targets, &ran, engines),
        targets: targets.into_iter().map(TargetSummary::from).collect(),
    };
    let asked = Asked {
        seed: args.seed,
        states: settings.states,
        threads: settings.threads,
        partition,
    };
    let engines = vec![
        engine_view(reference, "reference"),
        engine_view(subject, "tested"),
    ];
    let wanted = Wanted {
        run: Some(run),
        emulator: None,
    };
    let bugs = bug_views(&Bugs::read(store)?.listed(wanted)?).or_tell()?;
    // What is known is no news. A divergence without any bug is one whose instruction could not be told.
    let news = bugs.is_empty() || bugs.iter().any(|bug| bug.known.is_none());
    let summary = check_summary(outcome, &asked, engines, bugs);
    match app.format {
        Format::Human => app
            .printer
            .text(snippex_report::check::text(&summary, app.printer.width()))?,
        Format::Jsonl => app.printer.json_line(&summary)?,
        Format::Json => app
            .printer
            .json(&snippex_report::check::document(kept, &summary))?,
    }
    Ok(if cancel.is_cancelled() {
        ExitStatus::Interrupted
    } else {
        ExitStatus::found(summary.diverged > 0 && news)
    })
}

/// What a check found.
#[derive(Debug)]
pub(crate) struct CheckOutcome {
    /// Its number in the database.
    pub(crate) run: RunId,
    /// Whether every block was done.
    pub(crate) complete: bool,
    /// How long blocks were run for.
    pub(crate) elapsed: Duration,
    /// What was counted.
    pub(crate) tally: Tally,
    /// Which instruction forms were run, when blocks were generated.
    pub(crate) coverage: Option<Coverage>,
    /// What was checked.
    pub(crate) targets: Vec<TargetSummary>,
}

/// Which instruction forms were run, when blocks were generated.
fn coverage(targets: &[Target], ran: &BTreeMap<Form, u64>, engines: &Engines) -> Option<Coverage> {
    let generated = targets.iter().find(|target| !target.forms.is_empty())?;
    let (reference, subject) = (&engines.reference.identity().cpu, &engines.subject.identity().cpu);
    Some(generating::coverage(
        &generated.forms,
        Some(ran),
        &|feature| reference.has(feature),
        Some(&|feature| subject.has(feature)),
    ))
}

/// A run under way.
struct Session<'a> {
    app: &'a App<'a>,
    cancel: &'a CancelToken,
    recorder: Recorder<'a>,
    store: &'a StoreHandle,
    /// The engine under test.
    subject: EngineId,
    tally: Tally,
    /// Blocks with divergences, kept for an answer in one document.
    kept: Vec<serde_json::Value>,
    /// Of generated blocks: how many of each form were run on both engines.
    ran: BTreeMap<Form, u64>,
    started: Instant,
}

impl Session<'_> {
    fn all(&mut self, engines: &Engines, args: &RunArgs, targets: &[Target]) -> Result<(), Failure> {
        let blocks: usize = targets.iter().map(|target| target.blocks.len()).sum();
        let states = u64::from(self.app.settings.value.states);
        let progress = self
            .app
            .printer
            .progress("checking", Some(blocks as u64 * states));
        targets
            .iter()
            .try_for_each(|target| self.one(engines, args, target, &progress))
    }

    fn one(
        &mut self,
        engines: &Engines,
        args: &RunArgs,
        target: &Target,
        progress: &Progress<'_>,
    ) -> Result<(), Failure> {
        if self.cancel.is_cancelled() || target.blocks.is_empty() {
            return Ok(());
        }
        let settings = &self.app.settings.value;
        // Bugs of programs before this one count as known, too.
        self.recorder.save()?;
        let subject = self.subject;
        let known = self
            .store
            .call(async move |store| store.reduced_bugs(subject).await)
            .or_tell()?;
        let image = target.source.image()?;
        let job = Job {
            image: image.as_ref(),
            placement: target.source.placement(image.as_ref())?,
            style: target.source.style(),
            reference: &|| engines.reference.take(),
            subject: &|| engines.subject.take(),
            options: CheckOptions {
                seed: args.seed,
                states: settings.states as usize,
                threads: settings.threads as usize,
                tolerance: tolerance_of(&engines.subject.identity().name),
                reduce: (!args.no_reduce).then(|| Duration::from_secs(args.reduce_time)),
                known,
                keep: (target.source.style() == Style::Corners).then_some(KEPT),
                ..CheckOptions::default()
            },
        };
        let blocks: Vec<_> = target.blocks.iter().map(|(_, block)| Arc::clone(block)).collect();
        let stop = self.cancel.flag();
        thread::scope(|scope| {
            let (sender, receiver) = sync_channel(WAITING);
            let (job, blocks, stop) = (&job, &blocks, &stop);
            let work = scope.spawn(move || check(job, blocks, &sender, stop));
            let received = loop {
                match receiver.recv_timeout(SAVE_EVERY) {
                    Ok(report) => {
                        if let Err(failure) = self.take(target, report, progress) {
                            break Err(failure);
                        }
                    }
                    Err(RecvTimeoutError::Timeout) => {
                        if let Err(failure) = self.recorder.save() {
                            break Err(failure);
                        }
                    }
                    Err(RecvTimeoutError::Disconnected) => break Ok(()),
                }
            };
            // Without a receiver the work ends by itself.
            drop(receiver);
            let worked = match work.join() {
                Ok(result) => result.or_tell(),
                Err(panic) => std::panic::resume_unwind(panic),
            };
            received.and(worked)
        })
    }

    /// Stores, counts and shows what a check sends.
    fn take(&mut self, target: &Target, report: Progressed, progress: &Progress<'_>) -> Result<(), Failure> {
        match report {
            Progressed::Block(report) => {
                let (number, _) = target.blocks[report.index];
                self.take_block(number, target, &report, progress)
            }
            Progressed::Bugs { index, bugs } => {
                let (number, _) = target.blocks[index];
                progress.say("reducing what was found");
                self.recorder.add_bugs(number, &bugs)
            }
        }
    }

    fn take_block(
        &mut self,
        number: BlockNumber,
        target: &Target,
        report: &BlockReport,
        progress: &Progress<'_>,
    ) -> Result<(), Failure> {
        if report.unsupported.is_none() && !target.forms.is_empty() {
            let form = form_of(&target.blocks[report.index].1);
            *self
                .ran
                .entry(form.expect("a generated block is of a form"))
                .or_default() += 1;
        }
        self.recorder.add(number, report, SAVE_EVERY)?;
        self.tally.add(number, report);
        if !report.findings.is_empty() {
            let (_, block) = &target.blocks[report.index];
            let name = target.name();
            let outcome = block_outcome(number, block, &name, report);
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
        }
        progress.advance(report.runs);
        let summary = &self.tally.summary;
        let rate = summary.runs as f64 / self.started.elapsed().as_secs_f64().max(1e-9);
        let diverged = units::count(summary.diverged);
        progress.say(format_args!("{}, {diverged} diverged", units::rate(rate)));
        Ok(())
    }
}
