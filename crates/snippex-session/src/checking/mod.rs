//! The main job: blocks of programs on two engines, results saved as they arrive, summed up at the end.
//!
//! The work itself is `snippex_exec::check`; here its reports are received, stored, told and counted, one target after
//! another. What is said about it, and to whom, is the observer's.

mod engine_pool;
mod events;
mod recorder;
mod stored_summary;
mod tally;
mod target;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use snippex_blocks::generate::{Coverage, Form, StartRequest, form_of};
use snippex_core::block::Block;
use snippex_core::decode::refused_bytes;
use snippex_core::seed::Style;
use snippex_exec::check::{BlockReport, CheckJob, CheckOptions, CheckReport, EarlierReport, check_blocks};
use snippex_exec::engine::{EngineError, EngineIdentity, EngineTable};
use snippex_exec::engine_check::CheckFailure;
use snippex_exec::recording::Recording;
use snippex_store::{EngineId, NewRun, Partition, RunEnd, RunId, StoreHandle, UnixMillis};
use snippex_triage::cause::Attribution;

use crate::caching::{LookedUp, TargetCache};
use crate::{
    CacheUse, EngineChoice, SessionError, VerdictCache, coverage_of_forms, engine_record, this_host,
};
pub(crate) use engine_pool::DescribedEngine;
use engine_pool::EnginePool;
use recorder::RunRecorder;
use target::PreparedTarget;

pub use events::{SessionEvent, SessionObserver};
pub use recorder::{inconclusive_word, new_bug};
pub use tally::{DivergenceExample, DivergenceGroup, Tally};
pub use target::{CheckTarget, StoredSelection, TargetChoice, TargetSummary, blocks_not_run};

/// Findings of a signature that are kept when blocks are generated.
const KEPT: u32 = 2;
/// Reports that wait to be received.
const WAITING: usize = 1024;
/// Longest time that a result stays unsaved while others come.
const SAVE_EVERY: Duration = Duration::from_millis(500);

/// What is asked of a check.
#[derive(Clone, Debug)]
pub struct SessionOptions {
    /// What the run is called in the database, such as `check`.
    pub command: String,
    /// What was typed, for the database.
    pub arguments: String,
    /// Source of all start states and made-up memory.
    pub seed: u64,
    /// Start states for each block.
    pub states: u32,
    /// Threads, each with engines of its own.
    pub threads: u32,
    /// Only this part of the blocks.
    pub partition: Option<Partition>,
    /// Time that reducing new bugs of a target may take, summed over threads; `None` reduces nothing.
    pub reduce: Option<Duration>,
}

impl Default for SessionOptions {
    /// Seed 1, 64 states, one thread, all blocks, a minute for reducing.
    fn default() -> Self {
        Self {
            command: "check".to_owned(),
            arguments: String::new(),
            seed: 1,
            states: 64,
            threads: 1,
            partition: None,
            reduce: Some(Duration::from_secs(60)),
        }
    }
}

/// The engines of a run, started.
#[derive(Debug)]
pub struct EnginePair {
    reference: EnginePool,
    subject: EnginePool,
}

impl EnginePair {
    /// Starts one process of each, so that what is missing is told before anything else is done. `reference` is taken
    /// as right, `subject` is compared with it.
    ///
    /// # Errors
    /// When one of them cannot be started.
    pub fn start_engines(reference: EngineChoice, subject: EngineChoice) -> Result<Self, EngineError> {
        let (subject, reference) = (
            EnginePool::start_first_engine(subject)?,
            EnginePool::start_first_engine(reference)?,
        );
        let elsewhere = |pool: &EnginePool| pool.choice().is_elsewhere();
        Ok(match (elsewhere(&reference), elsewhere(&subject)) {
            (false, true) => Self {
                reference: reference.into_shared(),
                subject,
            },
            (true, false) => Self {
                reference,
                subject: subject.into_shared(),
            },
            _ => Self { reference, subject },
        })
    }

    /// Runs the engine check on the subject, and says what fails. Engines of other hosts and recordings are taken as they are.
    ///
    /// # Errors
    /// When the engine cannot be used.
    pub fn test_subject(&self, table: &EngineTable) -> Result<Vec<CheckFailure>, EngineError> {
        self.subject
            .test_first_engine(&table.tolerance_of(self.subject_identity()))
    }

    /// Sees whether recordings among them are of the start states that `options` ask for.
    fn fit(&self, options: &SessionOptions) -> Result<(), SessionError> {
        let recordings = [&self.reference, &self.subject]
            .into_iter()
            .filter_map(EnginePool::recording);
        for about in recordings.map(Recording::about) {
            if (about.seed, about.states) != (options.seed, options.states) {
                return Err(SessionError::OtherStarts {
                    name: about.source.name().to_owned(),
                    seed: about.seed,
                    states: about.states,
                });
            }
        }
        Ok(())
    }

    /// Threads that keep both busy, where engines of this machine have `threads`.
    fn workers(&self, threads: u32) -> Result<usize, EngineError> {
        let of = |pool: &EnginePool| pool.choice().worker_count(threads as usize);
        Ok(of(&self.reference)?.max(of(&self.subject)?))
    }

    /// What the engine that is taken as right says it is.
    #[must_use]
    pub fn reference_identity(&self) -> &EngineIdentity {
        self.reference.identity()
    }

    /// What the engine that is compared with it says it is.
    #[must_use]
    pub fn subject_identity(&self) -> &EngineIdentity {
        self.subject.identity()
    }

    /// How the reference is started, and what it says it is.
    pub(crate) fn describe_reference(&self) -> DescribedEngine<'_> {
        self.reference.describe()
    }

    /// How the subject is started, and what it says it is.
    pub(crate) fn describe_subject(&self) -> DescribedEngine<'_> {
        self.subject.describe()
    }
}

/// What a check found.
#[derive(Debug)]
pub struct CheckOutcome {
    /// Its number in the database.
    pub run: RunId,
    /// Whether every block was done.
    pub complete: bool,
    /// How long blocks were run for.
    pub elapsed: Duration,
    /// What was counted.
    pub tally: Tally,
    /// Which instruction forms were run, when blocks were generated.
    pub coverage: Option<Coverage>,
    /// What was checked.
    pub targets: Vec<TargetSummary>,
    /// What the cache did; `None` without one.
    pub cache: Option<CacheUse>,
}

/// What a check works with.
#[derive(Debug)]
pub struct Session<'s> {
    /// Where everything is stored.
    pub store: &'s StoreHandle,
    /// Both engines.
    pub engines: &'s EnginePair,
    /// What engines document to do otherwise.
    pub table: &'s EngineTable,
    /// What is asked.
    pub options: &'s SessionOptions,
    /// Verdicts of earlier checks; without them everything is run.
    pub cache: Option<&'s VerdictCache>,
    /// Once set, the check stops; what was found so far is kept.
    pub stop: &'s AtomicBool,
}

impl Session<'_> {
    /// Checks `targets` one after another and stores what is found, block by block.
    ///
    /// # Errors
    /// When an engine, a target or the database cannot be used. What was found before is kept.
    pub fn check_targets<'a>(
        &self,
        targets: impl IntoIterator<Item = CheckTarget<'a>>,
        observer: &mut dyn SessionObserver,
    ) -> Result<CheckOutcome, SessionError> {
        self.engines.fit(self.options)?;
        let (run, reference, subject) = self.start_run()?;
        let mut work = Work {
            session: self,
            observer,
            recorder: RunRecorder::new(self.store, run, reference, subject),
            subject,
            tally: Tally::default(),
            ran: BTreeMap::new(),
            generated_blocks: Vec::new(),
            elapsed: Duration::ZERO,
            targets: Vec::new(),
            cache: CacheUse::default(),
        };
        let done = targets
            .into_iter()
            .try_for_each(|target| work.check_target(target));
        let Work {
            recorder,
            mut tally,
            ran,
            generated_blocks,
            elapsed,
            targets,
            mut cache,
            ..
        } = work;
        let saved = recorder.save_and_flush();
        let complete = done.is_ok() && saved.is_ok() && !self.is_stopped();
        let end = if complete {
            RunEnd::Finished
        } else {
            RunEnd::Interrupted
        };
        let coverage = self.coverage(&targets, &ran, &generated_blocks);
        let cached_runs = (cache.hits + cache.diverging) * u64::from(self.options.states);
        let summary =
            stored_summary::build_run_summary(&tally, elapsed, cached_runs, &targets, coverage.as_ref());
        let kept = self
            .store
            .call_and_wait(async move |store| store.save_summary(run, &summary).await);
        let finished = self.store.finish_run(run, end, UnixMillis::now());
        // The engine's failure explains more than what followed from it.
        done.and(saved)?;
        kept?;
        finished?;
        tally.find_examples(self.store, run)?;
        if let Some(verdicts) = self.cache {
            verdicts.prune_entries(&mut cache);
        }
        Ok(CheckOutcome {
            run,
            complete,
            elapsed,
            tally,
            coverage,
            targets,
            cache: self.cache.map(|_| cache),
        })
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Records the run, and gives its number and those of both engines.
    fn start_run(&self) -> Result<(RunId, EngineId, EngineId), SessionError> {
        let reference = engine_record(self.engines.reference_identity());
        let subject = engine_record(self.engines.subject_identity());
        let (host, reference, subject) = self.store.call_and_wait(async move |store| {
            let host = store.add_host(&this_host()).await?;
            let reference = store.add_engine(&reference).await?;
            Ok((host, reference, store.add_engine(&subject).await?))
        })?;
        let options = self.options;
        let run = self.store.start_run(NewRun {
            command: options.command.clone(),
            arguments: options.arguments.clone(),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            seed: options.seed,
            states_per_block: options.states,
            partition: options.partition,
            host,
            engines: vec![reference, subject],
            started: UnixMillis::now(),
        })?;
        Ok((run, reference, subject))
    }

    /// How one target is checked.
    fn exec_options(
        &self,
        style: Style,
        known: Vec<Attribution>,
        threads: usize,
        earlier: BTreeMap<usize, EarlierReport>,
    ) -> CheckOptions {
        CheckOptions {
            seed: self.options.seed,
            states: self.options.states as usize,
            threads,
            tolerance: self.table.tolerance_of(self.engines.subject_identity()),
            reduce: self.options.reduce,
            known,
            keep: (style == Style::Corners).then_some(KEPT),
            earlier: Arc::new(earlier),
            ..CheckOptions::default()
        }
    }

    /// Which instruction forms were run, when blocks were generated.
    fn coverage(
        &self,
        targets: &[TargetSummary],
        ran: &BTreeMap<Form, u64>,
        generated_blocks: &[Arc<Block>],
    ) -> Option<Coverage> {
        let generated = targets.iter().find(|target| !target.forms.is_empty())?;
        let (reference, subject) = (
            &self.engines.reference_identity().cpu,
            &self.engines.subject_identity().cpu,
        );
        let mut coverage = coverage_of_forms(
            &generated.forms,
            Some(ran),
            &|feature| reference.has_enabled_feature(feature),
            Some(&|feature| subject.has_enabled_feature(feature)),
        );
        let starts = StartRequest {
            seed: self.options.seed,
            states: self.options.states,
        };
        coverage.add_blocks(generated_blocks.iter().map(Arc::as_ref), starts);
        Some(coverage)
    }
}

/// The indices of those of `count` blocks on which there is no report yet.
fn indices_left(count: usize, reports: &[BlockReport]) -> Vec<usize> {
    let mut is_known = vec![false; count];
    for report in reports {
        is_known[report.index] = true;
    }
    (0..count).filter(|&index| !is_known[index]).collect()
}

/// What is known of blocks by their place in `left`, instead of their index in the target.
fn earlier_of(left: &[usize], known: BTreeMap<usize, EarlierReport>) -> BTreeMap<usize, EarlierReport> {
    let places = known
        .into_iter()
        .filter_map(|(index, earlier)| Some((left.binary_search(&index).ok()?, earlier)));
    places.collect()
}

/// A check under way.
struct Work<'w> {
    session: &'w Session<'w>,
    observer: &'w mut dyn SessionObserver,
    recorder: RunRecorder<'w>,
    subject: EngineId,
    tally: Tally,
    /// Of generated blocks: how many of each form were run on both engines.
    ran: BTreeMap<Form, u64>,
    /// Generated blocks that were run on both engines.
    generated_blocks: Vec<Arc<Block>>,
    /// How long the targets before this one were run for.
    elapsed: Duration,
    targets: Vec<TargetSummary>,
    /// What the cache did so far.
    cache: CacheUse,
}

impl Work<'_> {
    /// Gets hold of the blocks of a target, runs them, and lets go of them.
    fn check_target(&mut self, target: CheckTarget<'_>) -> Result<(), SessionError> {
        let session = self.session;
        if session.is_stopped() {
            self.targets.push(target.into_skipped_summary());
            return Ok(());
        }
        let target = target.prepare_blocks(session.store, session.options.partition, self.observer)?;
        let started = Instant::now();
        let done = self.run_blocks(&target, started);
        self.elapsed += started.elapsed();
        self.targets.push(target.summary);
        done
    }

    fn run_blocks(&mut self, target: &PreparedTarget, started: Instant) -> Result<(), SessionError> {
        let session = self.session;
        if target.blocks.is_empty() {
            return Ok(());
        }
        self.observer.on_event(SessionEvent::Running {
            runs: target.blocks.len() as u64 * u64::from(session.options.states),
        });
        // Bugs of programs before this one count as known, too.
        self.recorder.save_batch()?;
        let subject = self.subject;
        let known = session
            .store
            .call_and_wait(async move |store| store.reduced_bugs(subject).await)?;
        let image = target.source.parse_image()?;
        let placement = target.source.placement(image.as_ref())?;
        let mut cache = session.cache.and_then(|cache| {
            let (source, image) = (&target.source, image.as_ref());
            TargetCache::open_for_source(cache, session, source, image, placement, &mut self.cache)
        });
        let looked_up = match &mut cache {
            Some(cache) => cache.look_up(&target.blocks, &mut self.cache),
            None => LookedUp::default(),
        };
        let left = indices_left(target.blocks.len(), &looked_up.settled);
        if left.is_empty() {
            return self.take_cached(target, &looked_up.settled, started);
        }
        let job = CheckJob {
            image: image.as_ref(),
            placement,
            style: target.source.style(),
            reference: &|| session.engines.reference.take_engine(),
            subject: &|| session.engines.subject.take_engine(),
            options: session.exec_options(
                target.source.style(),
                known,
                session.engines.workers(session.options.threads)?,
                earlier_of(&left, looked_up.diverging),
            ),
        };
        let blocks: Vec<Arc<Block>> = left
            .iter()
            .map(|&index| Arc::clone(&target.blocks[index].1))
            .collect();
        let done = thread::scope(|scope| {
            let (sender, receiver) = sync_channel(WAITING);
            let (job, blocks) = (&job, &blocks);
            let work = scope.spawn(move || check_blocks(job, blocks, &sender, session.stop));
            // While engines start.
            let taken = self.take_cached(target, &looked_up.settled, started);
            let received =
                taken.and_then(|()| self.receive(&receiver, target, &left, cache.as_mut(), started));
            // Without a receiver the work ends by itself.
            drop(receiver);
            let worked = match work.join() {
                Ok(result) => result.map_err(SessionError::from),
                Err(panic) => std::panic::resume_unwind(panic),
            };
            received.and(worked)
        });
        if let Some(cache) = &mut cache {
            cache.save_new_entries(&mut self.cache);
        }
        done
    }

    /// Takes what the cache knows of blocks of a target.
    fn take_cached(
        &mut self,
        target: &PreparedTarget,
        reports: &[BlockReport],
        started: Instant,
    ) -> Result<(), SessionError> {
        let name = target.source.name();
        let mut reports = reports.iter();
        reports.try_for_each(|report| self.take_block(target, &name, report, started))
    }

    /// Takes reports until there are no more; `left` says which blocks of the target they are on.
    fn receive(
        &mut self,
        reports: &Receiver<CheckReport>,
        target: &PreparedTarget,
        left: &[usize],
        mut cache: Option<&mut TargetCache<'_>>,
        started: Instant,
    ) -> Result<(), SessionError> {
        let name = target.source.name();
        loop {
            match reports.recv_timeout(SAVE_EVERY) {
                Ok(CheckReport::Block(mut report)) => {
                    report.index = left[report.index];
                    if let Some(cache) = cache.as_deref_mut() {
                        cache.add_report(&target.blocks[report.index].1, &report, &mut self.cache);
                    }
                    self.take_block(target, &name, &report, started)?;
                }
                Ok(CheckReport::Bugs { index, bugs }) => {
                    self.observer.on_event(SessionEvent::Reduced);
                    self.recorder.add_bugs(target.blocks[left[index]].0, &bugs)?;
                }
                Ok(CheckReport::FailedStarts { engine, count }) => {
                    let engine = engine.as_str();
                    self.observer
                        .on_event(SessionEvent::FailedStarts { engine, count });
                }
                Err(RecvTimeoutError::Timeout) => self.recorder.save_batch()?,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    /// Stores, counts and tells what was found out about a block.
    fn take_block(
        &mut self,
        target: &PreparedTarget,
        binary: &str,
        report: &BlockReport,
        started: Instant,
    ) -> Result<(), SessionError> {
        let (number, block) = &target.blocks[report.index];
        if report.unsupported.is_none() && !target.summary.forms.is_empty() {
            self.generated_blocks.push(Arc::clone(block));
            if refused_bytes(block).is_none() {
                let form = form_of(block).expect("a generated block is of a form");
                *self.ran.entry(form).or_default() += 1;
            }
        }
        self.recorder.add_report(*number, report, SAVE_EVERY)?;
        self.tally.add_report(*number, report);
        self.tally.add_to_groups(binary, block, report);
        self.observer.on_event(SessionEvent::Block {
            number: *number,
            block,
            binary,
            report,
            summary: &self.tally.summary,
            elapsed: self.elapsed + started.elapsed(),
        });
        Ok(())
    }
}
