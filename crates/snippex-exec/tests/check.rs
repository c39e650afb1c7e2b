//! The whole pipeline on real programs of this machine.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;

use snippex_blocks::binary::Image;
use snippex_blocks::extract::extract_blocks;
use snippex_core::address_space::place_image;
use snippex_core::block::Block;
use snippex_core::diff::{DivergenceKind, Tolerance};
use snippex_core::group::Group;
use snippex_core::state::rflags;
use snippex_exec::check::{
    BlockReport, CheckJob, CheckOptions, CheckReport, CheckSummary, EarlierFinding, EarlierReport,
    EngineFactory, Inconclusive, check_blocks, digest_of_differences,
};
use snippex_exec::engine::{Engine, EngineError, EngineIdentity, EngineSpec, MockEngine, RunnerEngine};
use snippex_exec::{Results, RunOutcome};

fn native() -> Result<Box<dyn Engine>, EngineError> {
    Ok(Box::new(RunnerEngine::start(EngineSpec::native())?))
}

fn qemu() -> Result<Box<dyn Engine>, EngineError> {
    let spec = EngineSpec::from_preset("qemu-x86_64").expect("install it: cargo xtask test does");
    Ok(Box::new(RunnerEngine::start(spec)?))
}

fn planted() -> Result<Box<dyn Engine>, EngineError> {
    Ok(Box::new(MockEngine::with_planted_bug()?))
}

/// Every `step`-th block of a file, on two engines; reports by block.
fn run(
    path: &str,
    step: usize,
    subject: &EngineFactory<'_>,
    options: CheckOptions,
) -> BTreeMap<usize, BlockReport> {
    let bytes = std::fs::read(path).unwrap();
    let image = Image::parse(&bytes).unwrap();
    let blocks: Vec<Arc<Block>> = extract_blocks(&image)
        .iter()
        .filter(|block| block.unrunnable.is_none())
        .step_by(step)
        .map(Arc::new)
        .collect();
    assert!(blocks.len() > 50, "{path} has blocks");
    let job = CheckJob {
        image: Some(&image),
        placement: place_image(&image.address_range(), image.position_independent()).unwrap(),
        reference: &native,
        subject,
        style: snippex_core::seed::Style::Compiled,
        options,
    };
    let (sender, receiver) = sync_channel(16);
    std::thread::scope(|scope| {
        let checker = scope.spawn(|| {
            let sender = sender;
            check_blocks(&job, &blocks, &sender, &AtomicBool::new(false))
        });
        let reports = receiver
            .into_iter()
            .filter_map(CheckReport::into_block_report)
            .map(|report| (report.index, report))
            .collect();
        checker.join().unwrap().unwrap();
        reports
    })
}

fn summary(reports: &BTreeMap<usize, BlockReport>) -> CheckSummary {
    let mut summary = CheckSummary::default();
    reports.values().for_each(|report| summary.add_report(report));
    summary
}

#[test]
fn two_native_runs_never_differ() {
    let options = CheckOptions {
        threads: 2,
        states: 32,
        ..CheckOptions::default()
    };
    for (path, step) in [("/bin/bash", 40), ("/lib/x86_64-linux-gnu/libm.so.6", 20)] {
        let summary = summary(&run(path, step, &native, options.clone()));
        assert_eq!(summary.diverged, 0, "{summary:#?}");
        assert_eq!(summary.inconclusive_runs(), 0, "{summary:#?}");
        assert!(summary.completed * 100 >= summary.runs * 93, "{summary:#?}");
    }
}

#[test]
fn almost_all_runs_of_bash_complete() {
    let options = CheckOptions {
        threads: 2,
        ..CheckOptions::default()
    };
    let summary = summary(&run("/bin/bash", 20, &native, options));
    assert!(summary.completed * 100 >= summary.runs * 97, "{summary:#?}");
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let counts = |threads| {
        let options = CheckOptions {
            threads,
            states: 16,
            tolerance: Tolerance::qemu_user(),
            ..CheckOptions::default()
        };
        let reports = run("/lib/x86_64-linux-gnu/libm.so.6", 200, &qemu, options);
        let counts = |report: &BlockReport| {
            let findings: Vec<_> = report
                .findings
                .iter()
                .map(|f| (f.start, f.runs, f.divergence.class.clone()))
                .collect();
            (report.completed, report.matched, report.diverged, findings)
        };
        reports.values().map(counts).collect::<Vec<_>>()
    };
    assert_eq!(counts(1), counts(2));
}

#[test]
fn a_planted_bug_is_found_and_nothing_else() {
    let options = CheckOptions {
        threads: 2,
        states: 16,
        ..CheckOptions::default()
    };
    let reports = run("/bin/bash", 10, &planted, options);
    let findings: Vec<_> = reports.values().flat_map(|report| &report.findings).collect();
    assert!(!findings.is_empty());
    for finding in findings {
        let class = &finding.divergence.class;
        assert_eq!(class.kind, DivergenceKind::Flag, "{class:?}");
        let form = &class.culprit.as_ref().expect("a flag has a last writer").form;
        assert!(form.starts_with("imul"), "{form}");
    }
}

/// What a check would remember of `report`.
fn earlier(report: &BlockReport) -> EarlierReport {
    let findings = report.findings.iter().map(|finding| EarlierFinding {
        start: finding.start,
        runs: finding.runs,
        differences: digest_of_differences(&finding.divergence.differences),
        class: finding.divergence.class.clone(),
        attributions: finding.attributions.clone(),
    });
    EarlierReport {
        findings: findings.collect(),
        counts: BlockReport {
            findings: Vec::new(),
            bugs: Vec::new(),
            ..report.clone()
        },
    }
}

#[test]
fn what_an_earlier_check_found_is_run_again_and_believed_only_when_it_shows() {
    type Change = fn(&mut EarlierReport);
    // A mark that only comes through where what is remembered is believed.
    const MARK: u64 = 1_000_000;
    let changes: [(bool, Change); 4] = [
        (true, |earlier| earlier.counts.matched += MARK),
        (false, |earlier| {
            earlier.counts.matched += MARK;
            earlier.findings[0].differences[0] ^= 1;
        }),
        (false, |earlier| {
            earlier.counts.matched += MARK;
            earlier.findings[0].start = 1_000;
        }),
        (false, |earlier| {
            earlier.counts.matched += MARK;
            // Another start state may show the very same, and is believed then: the digest decides.
            earlier.counts.pages.clear();
            earlier.findings[0].differences[15] ^= 1;
        }),
    ];
    let options = CheckOptions {
        states: 16,
        reduce: Some(std::time::Duration::from_secs(60)),
        ..CheckOptions::default()
    };
    let first = run("/bin/bash", 10, &planted, options.clone());
    let shown = |report: &BlockReport| {
        let findings: Vec<_> = report
            .findings
            .iter()
            .map(|found| {
                (
                    found.start,
                    found.runs,
                    found.divergence.class.clone(),
                    found.case.clone(),
                )
            })
            .collect();
        (findings, report.diverged, report.sightings.clone())
    };
    for (believed, change) in changes {
        let diverging = first.iter().filter(|(_, report)| !report.findings.is_empty());
        let mut known: BTreeMap<usize, EarlierReport> = diverging
            .map(|(&index, report)| (index, earlier(report)))
            .collect();
        assert!(!known.is_empty());
        known.values_mut().for_each(change);
        let second = run(
            "/bin/bash",
            10,
            &planted,
            CheckOptions {
                earlier: Arc::new(known.clone()),
                ..options.clone()
            },
        );
        for (index, report) in &second {
            assert_eq!(shown(report), shown(&first[index]));
            assert_eq!(
                report.matched >= MARK,
                believed && known.contains_key(index),
                "{report:?}"
            );
        }
        let bugs = |reports: &BTreeMap<usize, BlockReport>| {
            reports
                .values()
                .flat_map(|report| &report.bugs)
                .filter(|bug| bug.complete)
                .count()
        };
        assert!(
            bugs(&second) > 0,
            "a database that does not know the bug gets its example"
        );
    }
}

/// One engine for batches and another for fresh processes.
struct Split {
    used: Box<dyn Engine>,
    fresh: Box<dyn Engine>,
    fresh_runs: Arc<AtomicUsize>,
    restarts: Arc<AtomicUsize>,
}

impl Engine for Split {
    fn identity(&self) -> &EngineIdentity {
        self.used.identity()
    }

    fn run<'e>(&'e mut self, groups: &'e [Group]) -> Result<Results<'e>, EngineError> {
        self.used.run(groups)
    }

    fn run_fresh<'e>(&'e mut self, groups: &'e [Group]) -> Result<Results<'e>, EngineError> {
        self.fresh_runs.fetch_add(1, Ordering::Relaxed);
        self.fresh.run_fresh(groups)
    }

    fn restart(&mut self) -> Result<(), EngineError> {
        self.restarts.fetch_add(1, Ordering::Relaxed);
        self.used.restart()
    }
}

/// An engine that clears ZF at every exit: many blocks show it.
fn clears_zf() -> Result<Box<dyn Engine>, EngineError> {
    Ok(Box::new(MockEngine::from_engine(
        "clears-zf",
        native()?,
        |_, outcome| {
            if let RunOutcome::Ran(observation) = outcome {
                observation.state.rflags &= !rflags::ZF;
            }
        },
    )))
}

/// The same, but in the first run of each case only.
fn clears_zf_once() -> Result<Box<dyn Engine>, EngineError> {
    let mut seen: Vec<(u64, [u64; 16], u64)> = Vec::new();
    Ok(Box::new(MockEngine::from_engine(
        "clears-zf-once",
        native()?,
        move |case, outcome| {
            let key = (case.block.address, case.state.gpr, case.state.rflags);
            if let (RunOutcome::Ran(observation), false) = (outcome, seen.contains(&key)) {
                observation.state.rflags &= !rflags::ZF;
                seen.push(key);
            }
        },
    )))
}

/// Reports about an engine that runs batches as `used` does, and in fresh processes as `fresh` does. How often it ran in
/// fresh processes, and how often it was started again.
fn split(
    used: &EngineFactory<'_>,
    fresh: &EngineFactory<'_>,
) -> (BTreeMap<usize, BlockReport>, usize, usize) {
    let (fresh_runs, restarts) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let subject = || -> Result<Box<dyn Engine>, EngineError> {
        Ok(Box::new(Split {
            used: used()?,
            fresh: fresh()?,
            fresh_runs: Arc::clone(&fresh_runs),
            restarts: Arc::clone(&restarts),
        }))
    };
    let options = CheckOptions {
        states: 16,
        ..CheckOptions::default()
    };
    let reports = run("/bin/bash", 500, &subject, options);
    let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
    (reports, count(&fresh_runs), count(&restarts))
}

#[test]
fn every_finding_is_repeated_in_a_fresh_process() {
    let (reports, fresh_runs, restarts) = split(&clears_zf, &clears_zf);
    let findings: usize = reports.values().map(|report| report.findings.len()).sum();
    assert!(findings > 8, "more than the first few: {findings}");
    assert!(fresh_runs >= findings);
    assert_eq!(restarts, 0);
}

#[test]
fn what_does_not_show_in_a_fresh_process_does_not_count() {
    let (reports, fresh_runs, restarts) = split(&clears_zf_once, &native);
    let summary = summary(&reports);
    assert_eq!(summary.diverged, 0);
    assert!(summary.inconclusive[&Inconclusive::NotRepeated] > 0);
    assert!(reports.values().all(|report| report.in_used_processes.is_empty()));
    assert!(0 < restarts && restarts <= fresh_runs);
}

#[test]
fn what_shows_in_used_processes_alone_is_told_apart() {
    let (reports, _, restarts) = split(&clears_zf, &native);
    let summary = summary(&reports);
    assert_eq!((summary.diverged, restarts), (0, 0));
    assert!(!summary.inconclusive.contains_key(&Inconclusive::NotRepeated));
    let told = reports.values().flat_map(|report| &report.in_used_processes);
    let runs: u64 = told.map(|finding| finding.runs).sum();
    assert!(runs > 0);
    assert_eq!(summary.inconclusive[&Inconclusive::UsedProcess], runs);
}

#[test]
fn qemu_is_caught_with_mxcsr() {
    let options = CheckOptions {
        threads: 2,
        states: 16,
        tolerance: Tolerance::qemu_user(),
        ..CheckOptions::default()
    };
    let reports = run("/lib/x86_64-linux-gnu/libm.so.6", 40, &qemu, options);
    // QEMU 7.2 does not set MXCSR.DE for denormal operands.
    let mxcsr = reports
        .values()
        .flat_map(|report| &report.findings)
        .filter(|f| f.divergence.class.kind == DivergenceKind::Mxcsr);
    assert!(mxcsr.count() > 0);
}
