//! Spreading a suite over threads, each with engines of its own.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::SyncSender;

use snippex_core::observation::Endpoint;

use super::test::judge_all;
use super::{ConformanceTest, TestFailure, TestVerdict};
use crate::engine::{Engine, EngineError};

/// Tests that go to an engine together.
const CHUNK: usize = 64;

/// Variables of an environment.
type Variables = [(String, String)];

/// Makes an engine whose environment has these variables as well.
pub type EngineIn<'f> = dyn Fn(&Variables) -> Result<Box<dyn Engine>, EngineError> + Sync + 'f;

/// Makes the engine that registers named by `Match` have to agree with.
pub type Reference<'f> = dyn Fn() -> Result<Box<dyn Engine>, EngineError> + Sync + 'f;

/// The engines of a suite.
#[derive(Clone, Copy)]
pub struct Engines<'f> {
    /// Makes the engine that is tested.
    pub subject: &'f EngineIn<'f>,
    /// Makes the one it has to agree with where tests say so; without it that is not compared.
    pub reference: Option<&'f Reference<'f>>,
}

impl std::fmt::Debug for Engines<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Engines").finish_non_exhaustive()
    }
}

/// The verdict on one test.
#[derive(Clone, Debug)]
pub struct SuiteReport {
    /// Position in the list of tests that was given.
    pub index: usize,
    /// The verdict.
    pub verdict: TestVerdict,
    /// It failed among others and passed alone: an engine that keeps something from one program to the next, or a test
    /// that does not always end alike.
    pub only_alone: bool,
}

/// Runs `tests`; reports go to `reports` until all are done or `cancel` is set.
///
/// # Errors
/// When an engine cannot be used. Reports sent before stay valid, and the other threads go on.
pub fn run_conformance_tests(
    tests: &[ConformanceTest],
    threads: usize,
    engines: Engines<'_>,
    reports: &SyncSender<SuiteReport>,
    cancel: &AtomicBool,
) -> Result<(), EngineError> {
    let mut by_environment: BTreeMap<&Variables, Vec<usize>> = BTreeMap::new();
    for (index, test) in tests.iter().enumerate() {
        by_environment.entry(&test.environment).or_default().push(index);
    }
    let chunks: Vec<&[usize]> = by_environment
        .values()
        .flat_map(|indices| indices.chunks(CHUNK))
        .collect();
    let next = AtomicUsize::new(0);
    let work = || -> Result<(), EngineError> {
        let mut worker = Worker {
            tests,
            subject: None,
            reference: engines.reference.map(|start| start()).transpose()?,
        };
        while !cancel.load(Ordering::Relaxed) {
            let Some(indices) = chunks.get(next.fetch_add(1, Ordering::Relaxed)) else {
                break;
            };
            if !worker.run_chunk(engines.subject, indices, reports, cancel)? {
                break;
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.clamp(1, chunks.len().max(1)))
            .map(|_| scope.spawn(work))
            .collect();
        workers
            .into_iter()
            .map(|worker| {
                worker
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .fold(Ok(()), Result::and)
    })
}

/// One thread's engines.
struct Worker<'t> {
    tests: &'t [ConformanceTest],
    subject: Option<(&'t Variables, Box<dyn Engine>)>,
    reference: Option<Box<dyn Engine>>,
}

impl<'t> Worker<'t> {
    /// False when nobody receives reports any more.
    fn run_chunk(
        &mut self,
        start: &EngineIn<'_>,
        indices: &[usize],
        reports: &SyncSender<SuiteReport>,
        cancel: &AtomicBool,
    ) -> Result<bool, EngineError> {
        let environment = &self.tests[indices[0]].environment[..];
        if self.subject.as_ref().is_none_or(|(has, _)| *has != environment) {
            // The former engine goes first, so that there is never more than one for a thread.
            self.subject = None;
            self.subject = Some((environment, start(environment)?));
        }
        let verdicts = self.judge(indices)?;
        for (&index, verdict) in indices.iter().zip(verdicts) {
            if cancel.load(Ordering::Relaxed) {
                return Ok(false);
            }
            let mut report = SuiteReport {
                index,
                verdict,
                only_alone: false,
            };
            // What hung has had the process to itself for as long as it may, and what died has been alone.
            if let TestVerdict::Failed(
                TestFailure::Differs(_) | TestFailure::Diverged(_) | TestFailure::Ended(Endpoint::Signal(_)),
            ) = report.verdict
            {
                let (_, subject) = self.subject.as_mut().expect("made above");
                subject.restart()?;
                report.verdict = self.judge(&[index])?.pop().expect("one test, one verdict");
                report.only_alone = report.verdict == TestVerdict::Passed;
            }
            if reports.send(report).is_err() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn judge(&mut self, indices: &[usize]) -> Result<Vec<TestVerdict>, EngineError> {
        let tests: Vec<&ConformanceTest> = indices.iter().map(|&index| &self.tests[index]).collect();
        let (_, subject) = self.subject.as_mut().expect("made before");
        judge_all(&tests, subject.as_mut(), self.reference.as_deref_mut())
    }
}
