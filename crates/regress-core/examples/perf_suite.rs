//! A performance-test suite of a library's own: targets, a baseline, and a run file for benchgate.
//!
//! `cargo run --release -p regress-core --example perf_suite`

use std::collections::HashMap;
use std::time::Duration;

use regress_core::baseline::{Baselines, Lookup};
use regress_core::environment::Environment;
use regress_core::measurement::RunFile;
use regress_core::suite::{PerfTestSuite, SuiteTarget, Workload};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let environment = Environment {
        os: Some(std::env::consts::OS.to_owned()),
        arch: Some(std::env::consts::ARCH.to_owned()),
        ..Environment::default()
    };

    // A real suite reads its baselines from a committed file that `benchgate record` made from several processes.
    // This one makes them within its own process, which shows the calls but is no sound baseline.
    let mut file = RunFile::new(environment.clone());
    for _ in 0..5 {
        file.processes
            .push(measure(PerfTestSuite::new("text"))?.process_run());
    }
    let mut baselines = Baselines::new();
    baselines.record_values(&file.into_recording()?);

    let mut suite = PerfTestSuite::new("text");
    if let Lookup::Same(baseline) = baselines.lookup_environment(&environment) {
        suite = suite.with_baseline(baseline.clone(), 0.05);
    }
    suite.set_target("sort/4096", SuiteTarget::MaxAtMost(Duration::from_millis(100)));
    let suite = measure(suite)?;
    print!("{suite}");
    print!("{}", suite.comparison_report());
    suite.check_results()?;
    Ok(())
}

/// Runs the tests.
fn measure(mut suite: PerfTestSuite) -> Result<PerfTestSuite, Box<dyn std::error::Error>> {
    let mut workload = Workload::new(42);
    for size in Workload::growing_sizes(256, 4096, 4) {
        let numbers = workload.shuffled(size);
        suite.run_test_with(
            &format!("sort/{size}"),
            50,
            || numbers.clone(),
            |mut numbers| {
                numbers.sort_unstable();
                numbers
            },
        )?;
    }
    let text = workload.words(5_000);
    suite.run_test("count words", 50, || {
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for word in text.split(' ') {
            *counts.entry(word).or_default() += 1;
        }
        counts.len()
    })?;
    Ok(suite)
}
