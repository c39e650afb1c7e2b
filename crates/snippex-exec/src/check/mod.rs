//! The main job on one image: make cases of blocks, run them on a reference engine and on the subject,
//! compare, repeat every divergence alone, and reduce what is not known yet.
//!
//! Work is spread over threads, each with engine processes of its own. What is found goes into a bounded channel,
//! block by block, so that the receiver can save it as it arrives. The same seed gives the same cases and verdicts
//! whatever the number of threads; only the order of the reports differs.

mod attribution;
mod confirmations;
mod earlier;
mod reduction_queue;
mod report;
mod work_list;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use snippex_blocks::binary::Image;
use snippex_core::block::Block;
use snippex_core::case::Placement;
use snippex_core::diff::{Class, Comparison, Field, Tolerance, compare_observations, compare_with};
use snippex_core::effects::BlockEffects;
use snippex_core::group::Group;
use snippex_core::observation::Endpoint;
use snippex_core::seed::Style;
use snippex_triage::cause::Attribution;
use tracing::debug;

use crate::affinity;
use crate::batch::{split_into_batches, split_large_groups};
use crate::discovery::CaseMaker;
use crate::engine::{Engine, EngineError};
use crate::memory_source::MemorySource;
use crate::reduce::{FirstDivergence, Trial, locate_first_divergence};
use crate::results::{Results, RunOutcome};
use attribution::{Ends, as_met, at_once, prove_finding};
use confirmations::Confirmations;
use reduction_queue::ReductionQueue;
use work_list::WorkList;

pub use earlier::{DifferencesDigest, EarlierFinding, EarlierReport, digest_of_differences};
pub use report::{BlockReport, CheckReport, CheckSummary, Finding, Inconclusive};

/// Makes an engine for a worker thread.
pub type EngineFactory<'f> = dyn Fn() -> Result<Box<dyn Engine>, EngineError> + Sync + 'f;

/// What to check, and how.
#[derive(Clone, Debug)]
pub struct CheckOptions {
    /// Source of all start states and made-up memory.
    pub seed: u64,
    /// Start states for each block.
    pub states: usize,
    /// Worker threads, each with its own engine processes.
    pub threads: usize,
    /// Blocks in a batch; see [`CheckOptions::default`].
    pub batch: usize,
    /// What the subject documents to do otherwise.
    pub tolerance: Tolerance,
    /// Time that reducing new bugs may take in all, summed over threads; `None` leaves every case as it was met.
    pub reduce: Option<Duration>,
    /// Bugs of the subject that have been reduced before.
    pub known: Vec<Attribution>,
    /// How many findings of each bug in a form of an instruction are repeated and kept; those after them are only
    /// counted. Without it, all are: a program shows a bug in a few blocks, every form of an instruction in all.
    pub keep: Option<u32>,
    /// What earlier checks found out about blocks that diverge, by their position: see [`EarlierReport`].
    pub earlier: Arc<BTreeMap<usize, EarlierReport>>,
}

impl Default for CheckOptions {
    /// Seed 1, 64 states, one thread, 32 blocks a batch (64 gain little more). Nothing is reduced.
    fn default() -> Self {
        Self {
            seed: 1,
            states: 64,
            threads: 1,
            batch: 32,
            tolerance: Tolerance::none(),
            reduce: None,
            known: Vec::new(),
            keep: None,
            earlier: Arc::default(),
        }
    }
}

/// One image, two engines, and how to check it.
pub struct CheckJob<'j> {
    /// Where the blocks are from; without it all memory is made up.
    pub image: Option<&'j Image<'j>>,
    /// Where its blocks lie when they run.
    pub placement: Placement,
    /// Makes the engine that is taken as right.
    pub reference: &'j EngineFactory<'j>,
    /// Makes the subject.
    pub subject: &'j EngineFactory<'j>,
    /// What kind of code the blocks are, which decides how they are started.
    pub style: Style,
    /// How to check.
    pub options: CheckOptions,
}

impl std::fmt::Debug for CheckJob<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Job")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Checks `blocks`; reports go to `reports` until all are done or `cancel` is set.
///
/// # Errors
/// When an engine cannot be used. Reports sent before stay valid.
pub fn check_blocks(
    job: &CheckJob<'_>,
    blocks: &[Arc<Block>],
    reports: &SyncSender<CheckReport>,
    cancel: &AtomicBool,
) -> Result<(), EngineError> {
    let options = &job.options;
    let work_list = WorkList::new(blocks.len().div_ceil(options.batch.max(1)));
    let batches = work_list.len();
    let confirmations = Confirmations::default();
    let reduction_queue = ReductionQueue::new(options.known.iter().cloned(), options.reduce);
    let program = OnceLock::new();
    let stopped = || cancel.load(Ordering::Relaxed);
    let work = || -> Result<(), EngineError> {
        let mut worker = Worker::start(job, &program, &confirmations, &reduction_queue)?;
        if worker.is_elsewhere() {
            work_list.expect_losses();
        }
        while let Some(batch) = work_list.take_batch(&stopped) {
            // Neighbours overlap once exit stubs are added, so a batch takes blocks that are far apart.
            let indices: Vec<usize> = (batch..blocks.len()).step_by(batches).collect();
            let chosen: Vec<Arc<Block>> = indices.iter().map(|&index| Arc::clone(&blocks[index])).collect();
            let done = worker.batch(&indices, &chosen);
            work_list.release_batch(batch, done.is_ok());
            for report in done? {
                // The receiver has gone: nobody wants the rest.
                if reports.send(CheckReport::Block(Box::new(report))).is_err() {
                    work_list.stop();
                    return Ok(());
                }
            }
        }
        while !stopped() && !work_list.is_stopped() {
            let late = worker.reduce_next()?;
            if late.is_none_or(|late| reports.send(late).is_err()) {
                break;
            }
        }
        for report in worker.failed_starts() {
            // Whoever has stopped listening need not hear it.
            let _ = reports.send(report);
        }
        Ok(())
    };
    let count = options.threads.max(1).min(batches.max(1));
    let places = affinity::one_each(count);
    std::thread::scope(|scope| {
        let (work, work_list) = (&work, &work_list);
        let threads: Vec<_> = (0..count)
            .map(|thread| {
                let place = places.as_ref().map(|places| places[thread]);
                scope.spawn(move || {
                    if let Some(place) = place {
                        affinity::stay_on(&place);
                    }
                    match work() {
                        // Others may still do what this one could not.
                        Err(error) if error.is_lost_host() => work_list.mark_worker_lost(error),
                        Err(error) => {
                            work_list.stop();
                            return Err(error);
                        }
                        Ok(()) => {}
                    }
                    Ok(())
                })
            })
            .collect();
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })?;
    work_list.check_completed(&stopped)
}

struct Worker<'w> {
    maker: CaseMaker<'w>,
    reference: Box<dyn Engine>,
    subject: Box<dyn Engine>,
    options: &'w CheckOptions,
    confirmations: &'w Confirmations,
    reduction_queue: &'w ReductionQueue,
}

impl<'w> Worker<'w> {
    /// Starts both engines.
    fn start(
        job: &'w CheckJob<'_>,
        program: &OnceLock<Option<Arc<[u8]>>>,
        confirmations: &'w Confirmations,
        reduction_queue: &'w ReductionQueue,
    ) -> Result<Self, EngineError> {
        let options = &job.options;
        let source = MemorySource::new(job.image, job.placement, options.seed);
        let maker = CaseMaker::new(source, job.placement, options.seed, options.states);
        let mut worker = Self {
            maker: maker.in_style(job.style),
            reference: (job.reference)()?,
            subject: (job.subject)()?,
            options,
            confirmations,
            reduction_queue,
        };
        for engine in [&mut worker.reference, &mut worker.subject] {
            if engine.makes_cases() {
                let program = program.get_or_init(|| job.image.map(|image| image.file_bytes().into()));
                engine.cases_come_from(&worker.maker.origin(program.clone()));
            }
        }
        Ok(worker)
    }

    /// What there is to say about starts of the engines' processes.
    fn failed_starts(&self) -> impl Iterator<Item = CheckReport> + use<> {
        let engines = [&self.reference, &self.subject].map(|engine| CheckReport::FailedStarts {
            engine: engine.identity().name.clone(),
            count: engine.failed_starts(),
        });
        let some =
            |report: &CheckReport| matches!(report, CheckReport::FailedStarts { count, .. } if *count > 0);
        engines.into_iter().filter(some)
    }

    /// Whether it works with another host, which may be lost.
    fn is_elsewhere(&self) -> bool {
        self.reference.makes_cases() || self.subject.makes_cases()
    }

    /// Checks blocks: those of which findings are known by running these again, all others, and those of which they do not show
    /// again, with all their start states.
    fn batch(&mut self, indices: &[usize], blocks: &[Arc<Block>]) -> Result<Vec<BlockReport>, EngineError> {
        let known = self.confirm_earlier(indices, blocks)?;
        let left = indices
            .iter()
            .zip(blocks)
            .filter(|(index, _)| !known.contains_key(index));
        let (indices, blocks): (Vec<usize>, Vec<Arc<Block>>) =
            left.map(|(&index, block)| (index, Arc::clone(block))).unzip();
        let mut reports: Vec<BlockReport> = known.into_values().collect();
        if !blocks.is_empty() {
            reports.append(&mut self.run_in_full(&indices, &blocks)?);
        }
        Ok(reports)
    }

    fn run_in_full(
        &mut self,
        indices: &[usize],
        blocks: &[Arc<Block>],
    ) -> Result<Vec<BlockReport>, EngineError> {
        let groups = self.maker.make_groups(blocks, self.reference.as_mut())?;
        let mut reports: Vec<BlockReport> = Vec::with_capacity(blocks.len());
        let (places, parts): (Vec<(usize, usize)>, Vec<Group>) = split_large_groups(groups)
            .into_iter()
            .map(|part| ((indices[part.index], part.first_start), part.group))
            .unzip();
        for range in split_into_batches(&parts) {
            let batch = &parts[range.clone()];
            let expected = self.reference.run(batch)?;
            let actual = self.subject.run_expecting(batch, &expected)?;
            for (position, &(index, first_start)) in places[range].iter().enumerate() {
                let report = judge(
                    &batch[position],
                    position,
                    index,
                    &expected,
                    &actual,
                    self.options,
                );
                match reports.last_mut().filter(|last| last.index == index) {
                    Some(whole) => whole.add_part(report, first_start),
                    None => reports.push(report),
                }
            }
        }
        self.confirm(&mut reports)?;
        Ok(reports)
    }

    /// Runs each finding alone again, in processes of its own; what does not show again is not counted.
    fn confirm(&mut self, reports: &mut [BlockReport]) -> Result<(), EngineError> {
        let mut replaced = false;
        for report in reports {
            for mut finding in std::mem::take(&mut report.findings) {
                if let Some(attributions) = self.enough(&finding) {
                    report.count_similar_finding(&finding, &attributions);
                    continue;
                }
                let (reference, subject) = (self.reference.as_mut(), self.subject.as_mut());
                if repeats(&finding, reference, subject, &self.options.tolerance)? {
                    let mut trial = Trial::new(reference, subject, &self.options.tolerance);
                    prove_finding(&mut finding, &mut trial)?;
                    let first_divergence = match &finding.attributions[..] {
                        [] => locate_first_divergence(&finding.case, &finding.divergence, &mut trial)?,
                        _ => None,
                    };
                    if first_divergence
                        .as_ref()
                        .is_some_and(|first_divergence| first_divergence.reaches_runner(&finding.case))
                    {
                        report.set_aside(&finding, Inconclusive::RunnerMemory);
                        continue;
                    }
                    let class = first_divergence
                        .as_ref()
                        .map_or_else(|| finding.divergence.class.clone(), FirstDivergence::class);
                    let attributions = self
                        .reduction_queue
                        .attribute_finding(&finding, first_divergence.as_ref());
                    let new = self.reduction_queue.add_finding(
                        report.index,
                        &finding,
                        first_divergence.as_ref(),
                        &attributions,
                        trial,
                    )?;
                    self.confirmations.add_finding(&attributions);
                    report.add_finding(finding, class, attributions, new);
                } else if repeats_in_used_process(&finding, reference, subject, &self.options.tolerance)? {
                    report.set_aside(&finding, Inconclusive::UsedProcess);
                    report.in_used_processes.push(finding);
                } else {
                    debug!(
                        block = format_args!("{:#x} {:02x?}", finding.case.block.address, finding.case.block.bytes),
                        start = finding.start,
                        runs = finding.runs,
                        differences = ?finding.divergence.differences,
                        "a divergence did not show again"
                    );
                    report.set_aside(&finding, Inconclusive::NotRepeated);
                    if !std::mem::replace(&mut replaced, true) {
                        // Something may have been done to the processes in which it showed.
                        self.reference.restart()?;
                        self.subject.restart()?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl Worker<'_> {
    /// What is behind a finding that is like enough others, which then need not be repeated.
    fn enough(&self, finding: &Finding) -> Option<Vec<Attribution>> {
        let keep = self.options.keep?;
        let attributions = match &finding.attributions[..] {
            [] => self.reduction_queue.known_attributions(&as_met(finding)?)?,
            attributions => attributions.to_vec(),
        };
        self.confirmations
            .has_enough_findings(keep, &attributions)
            .then_some(attributions)
    }

    /// Reduces a bug that waits for it, when all blocks are done.
    fn reduce_next(&mut self) -> Result<Option<CheckReport>, EngineError> {
        let trial = Trial::new(
            self.reference.as_mut(),
            self.subject.as_mut(),
            &self.options.tolerance,
        );
        let reduced = self.reduction_queue.next(trial)?;
        Ok(reduced.map(|(index, bugs)| CheckReport::Bugs { index, bugs }))
    }
}

/// Runs the case of `finding` once on both engines, alone in fresh processes; whether it diverges in the same class
/// again.
///
/// # Errors
/// When an engine cannot be used.
pub fn repeats(
    finding: &Finding,
    reference: &mut dyn Engine,
    subject: &mut dyn Engine,
    tolerance: &Tolerance,
) -> Result<bool, EngineError> {
    let groups = [Group::from_case(&finding.case)];
    let expected = reference.run_fresh(&groups)?;
    let actual = subject.run_fresh(&groups)?;
    Ok(diverges_alike(finding, &expected, &actual, tolerance))
}

/// How often a case has to diverge in a process that has run it before.
const USED_RUNS: usize = 2;

/// Whether `finding`, which does not show in fresh processes, shows each time in one of the subject's that has run its case once.
fn repeats_in_used_process(
    finding: &Finding,
    reference: &mut dyn Engine,
    subject: &mut dyn Engine,
    tolerance: &Tolerance,
) -> Result<bool, EngineError> {
    let groups = [Group::from_case(&finding.case)];
    let expected = reference.run_fresh(&groups)?.to_owned_results();
    let expected = expected.view(&groups)?;
    subject.run(&groups)?;
    for _ in 0..USED_RUNS {
        let actual = subject.run(&groups)?;
        if !diverges_alike(finding, &expected, &actual, tolerance) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a case, run once more, diverges in the class of `finding`.
fn diverges_alike(
    finding: &Finding,
    expected: &Results<'_>,
    actual: &Results<'_>,
    tolerance: &Tolerance,
) -> bool {
    let covered = expected.components().intersection(actual.components());
    let (RunOutcome::Ran(expected), RunOutcome::Ran(actual)) = (expected.outcome(0, 0), actual.outcome(0, 0))
    else {
        return false;
    };
    match compare_observations(&finding.case, &expected, &actual, covered, tolerance) {
        Comparison::Diverged(divergence) => divergence.class == finding.divergence.class,
        _ => false,
    }
}

/// Compares all runs of a group.
fn judge(
    group: &Group,
    position: usize,
    index: usize,
    expected: &Results<'_>,
    actual: &Results<'_>,
    options: &CheckOptions,
) -> BlockReport {
    let mut report = BlockReport::new(index, group.starts.len() as u64);
    report.pages = group
        .pages
        .iter()
        .map(|page| (page.address, page.access))
        .collect();
    let mut effects = None;
    let mut known: Vec<(Class, Vec<Field>, Vec<Attribution>)> = Vec::new();
    let covered = expected.components().intersection(actual.components());
    for start in 0..group.starts.len() {
        // What the subject does not support was not compared.
        if actual.endpoint(position, start).is_some() {
            match expected.endpoint(position, start) {
                Some(Endpoint::Exit { .. }) => report.completed += 1,
                Some(Endpoint::Signal(_)) => report.faulted += 1,
                _ => {}
            }
        }
        if expected.same_bits(actual, position, start) {
            report.matched += 1;
            continue;
        }
        let (a, b) = match (expected.outcome(position, start), actual.outcome(position, start)) {
            (RunOutcome::Ran(a), RunOutcome::Ran(b)) => (a, b),
            (RunOutcome::Unsupported(reason), _) | (_, RunOutcome::Unsupported(reason)) => {
                report.unsupported.get_or_insert((reason, 0)).1 += 1;
                continue;
            }
        };
        let effects = effects.get_or_insert_with(|| BlockEffects::new(&group.block));
        let case = group.case_at(start);
        match compare_with(effects, &case, &a, &b, covered, &options.tolerance) {
            Comparison::Match(noted) => {
                report.matched += 1;
                for rule in noted.rules.into_keys() {
                    *report.excused.entry(rule).or_default() += 1;
                }
                for id in noted.deviations.into_keys() {
                    *report.deviations.entry(id.into_owned()).or_default() += 1;
                }
            }
            Comparison::Inconclusive(reason) => {
                *report.inconclusive.entry(reason.into()).or_default() += 1;
            }
            Comparison::Diverged(divergence) => {
                report.diverged += 1;
                let ends = Ends {
                    expected: &a,
                    actual: &b,
                    covered,
                    tolerance: &options.tolerance,
                };
                let attributions = at_once(effects, &case, ends, &divergence).unwrap_or_default();
                // What is behind it says more than the fields, if it is known.
                let fields = match &attributions[..] {
                    [] => divergence
                        .differences
                        .iter()
                        .map(|difference| difference.field)
                        .collect(),
                    _ => Vec::new(),
                };
                let key = (divergence.class.clone(), fields, attributions.clone());
                if let Some(found) = known.iter().position(|known| *known == key) {
                    report.findings[found].runs += 1;
                } else {
                    known.push(key);
                    let finding = Finding {
                        start,
                        case,
                        expected: *a,
                        actual: *b,
                        divergence,
                        runs: 1,
                        attributions,
                    };
                    report.findings.push(finding);
                }
            }
        }
    }
    report
}
