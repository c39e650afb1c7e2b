//! The whole pipeline on real programs of this machine.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::sync_channel;

use snippex_core::address_space::place;
use snippex_core::binary::Image;
use snippex_core::block::Block;
use snippex_core::diff::{Kind, Tolerance};
use snippex_core::extract::extract;
use snippex_exec::check::{BlockReport, CheckOptions, EngineFactory, Job, Report, Summary, check};
use snippex_exec::engine::{Engine, EngineError, EngineSpec, MockEngine, RunnerEngine};

fn native() -> Result<Box<dyn Engine>, EngineError> {
    Ok(Box::new(RunnerEngine::start(EngineSpec::native())?))
}

fn qemu() -> Result<Box<dyn Engine>, EngineError> {
    let spec = EngineSpec::preset("qemu-x86_64").expect("install it: cargo xtask test does");
    Ok(Box::new(RunnerEngine::start(spec)?))
}

fn planted() -> Result<Box<dyn Engine>, EngineError> {
    Ok(Box::new(MockEngine::planted()?))
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
    let blocks: Vec<Arc<Block>> = extract(&image)
        .iter()
        .filter(|block| block.unrunnable.is_none())
        .step_by(step)
        .map(Arc::new)
        .collect();
    assert!(blocks.len() > 50, "{path} has blocks");
    let job = Job {
        image: Some(&image),
        placement: place(&image.address_range(), image.position_independent()).unwrap(),
        reference: &native,
        subject,
        style: snippex_core::seed::Style::Compiled,
        options,
    };
    let (sender, receiver) = sync_channel(16);
    std::thread::scope(|scope| {
        let checker = scope.spawn(|| {
            let sender = sender;
            check(&job, &blocks, &sender, &AtomicBool::new(false))
        });
        let reports = receiver
            .into_iter()
            .filter_map(Report::block)
            .map(|report| (report.index, report))
            .collect();
        checker.join().unwrap().unwrap();
        reports
    })
}

fn summary(reports: &BTreeMap<usize, BlockReport>) -> Summary {
    let mut summary = Summary::default();
    reports.values().for_each(|report| summary.add(report));
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
        assert_eq!(class.kind, Kind::Flag, "{class:?}");
        let form = &class.culprit.as_ref().expect("a flag has a last writer").form;
        assert!(form.starts_with("imul"), "{form}");
    }
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
        .filter(|f| f.divergence.class.kind == Kind::Mxcsr);
    assert!(mxcsr.count() > 0);
}
