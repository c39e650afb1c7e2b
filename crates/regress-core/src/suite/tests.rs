use super::*;
use crate::baseline::{Baselines, Lookup};
use crate::environment::Environment;
use crate::measurement::RunFile;

/// A clock that a call moves on by the next of `times`, in microseconds.
fn clock(times: &[u64]) -> impl FnMut() -> Duration + 'static {
    let mut steps: Vec<Duration> = times
        .iter()
        .rev()
        .map(|time| Duration::from_micros(*time))
        .collect();
    let (mut now, mut in_call) = (Duration::ZERO, false);
    move || {
        if in_call {
            now += steps.pop().unwrap_or(Duration::ZERO);
        }
        in_call = !in_call;
        now
    }
}

fn baseline(values: &[f64]) -> EnvironmentBaseline {
    let mut run = RunFile::new(Environment::default());
    for value in values {
        let name = BenchmarkId::new("suite/a").unwrap();
        let measurement = Measurement::new(
            name,
            Measure::LATENCY,
            Unit::Nanoseconds,
            Direction::SmallerIsBetter,
            *value,
        );
        run.processes.push(ProcessRun {
            measurements: vec![measurement],
            problems: Vec::new(),
        });
    }
    let mut baselines = Baselines::new();
    baselines.record_values(&run.into_recording().unwrap());
    match baselines.lookup_environment(&Environment::default()) {
        Lookup::Same(same) => same.clone(),
        other => panic!("{other:?}"),
    }
}

fn suite(times: &[u64]) -> PerfTestSuite {
    PerfTestSuite::new("suite").with_clock(clock(times))
}

#[test]
fn figures_follow_from_the_calls() {
    let mut suite = suite(&[3, 1, 2, 10]);
    let mut calls = 0;
    let result = suite.run_test("a", 4, || calls += 1).unwrap().clone();
    assert_eq!(calls, 5, "four and the warm-up");
    assert_eq!(result.iterations, [3000.0, 1000.0, 2000.0, 10_000.0]);
    assert_eq!(
        (result.min, result.max),
        (Duration::from_micros(1), Duration::from_micros(10))
    );
    assert_eq!(
        (result.mean, result.median),
        (Duration::from_micros(4), Duration::from_nanos(2500))
    );
    let run = suite.process_run();
    assert_eq!(
        (run.measurements[0].value, run.measurements[0].samples),
        (2500.0, Some(4))
    );
    assert_eq!(
        suite.to_string(),
        "suite/a: mean 4.000 µs, 1.000 µs to 10.00 µs, 4 calls\n"
    );
}

#[test]
fn setup_is_outside_of_the_time() {
    let mut suite = suite(&[7, 7]);
    let mut made = Vec::new();
    suite.run_test_with("a", 2, || made.push(()), |()| ()).unwrap();
    assert_eq!(suite.results()[0].max, Duration::from_micros(7));
    assert_eq!(made.len(), 3);
}

#[test]
fn missed_targets_are_named() {
    let mut suite = suite(&[10, 30]);
    suite.set_target("a", SuiteTarget::MeanAtMost(Duration::from_micros(15)));
    suite.set_target("a", SuiteTarget::MedianAtMost(Duration::from_micros(20)));
    suite.set_target("a", SuiteTarget::MaxAtMost(Duration::from_micros(29)));
    suite.set_target("a", SuiteTarget::RateAtLeast(60_000.0));
    suite.run_test("a", 2, || ()).unwrap();
    assert_eq!(
        suite.check_results().unwrap_err().0,
        [
            "suite/a: mean 20.00 µs is over the target of 15.00 µs",
            "suite/a: slowest call 30.00 µs is over the target of 29.00 µs",
            "suite/a: 50.00 kops/s is under the target of 60.00 kops/s",
        ]
    );
}

#[test]
fn one_run_is_slower_only_far_beyond_all_runs_of_the_baseline() {
    let verdict = |micros: u64, values: &[f64]| {
        let mut suite = suite(&[micros]).with_baseline(baseline(values), 0.05);
        let comparison = suite.run_test("a", 1, || ()).unwrap().comparison.unwrap();
        (comparison.verdict, suite.check_results().is_ok())
    };
    let runs = [10_000.0, 10_100.0, 9_900.0, 10_050.0, 11_500.0];
    assert_eq!(verdict(14, &runs), (BaselineVerdict::Slower, false));
    assert_eq!(
        verdict(12, &runs),
        (BaselineVerdict::Unchanged, true),
        "the runs of the baseline differ by more than that among themselves"
    );
    assert_eq!(verdict(8, &runs), (BaselineVerdict::Faster, true));
    assert_eq!(verdict(20, &runs[..4]), (BaselineVerdict::NotEnoughData, true));
    assert_eq!(verdict(20, &[0.0; 5]), (BaselineVerdict::NotEnoughData, true));
}

#[test]
fn misuse_is_an_error() {
    let mut suite = suite(&[1; 8]);
    assert_eq!(
        suite.run_test("a", 0, || ()).unwrap_err(),
        SuiteError::NoIterations("suite/a".into())
    );
    suite.run_test("a", 1, || ()).unwrap();
    assert_eq!(
        suite.run_test("a", 1, || ()).unwrap_err(),
        SuiteError::Twice("suite/a".into())
    );
    let long = "x".repeat(5000);
    assert!(matches!(
        suite.run_test(&long, 1, || ()),
        Err(SuiteError::Name(_))
    ));
}

#[test]
fn workloads_repeat_and_have_their_shape() {
    let make = || {
        let mut workload = Workload::new(7);
        (
            workload.bytes(64),
            workload.integers(9, 10),
            workload.shuffled(50),
            workload.words(12),
        )
    };
    let (bytes, integers, shuffled, words) = make();
    assert_eq!(
        make(),
        (bytes.clone(), integers.clone(), shuffled.clone(), words.clone())
    );
    assert!(bytes.iter().any(|byte| *byte != bytes[0]) && integers.iter().all(|number| *number < 10));
    let mut sorted = shuffled.clone();
    sorted.sort_unstable();
    assert_ne!(sorted, shuffled);
    assert_eq!(sorted, (0..50).collect::<Vec<u64>>());
    assert_eq!(words.split(' ').count(), 12);
    let mut workload = Workload::new(7);
    let moved = workload
        .nearly_sorted(100, 5)
        .iter()
        .enumerate()
        .filter(|(at, n)| *at as u64 != **n)
        .count();
    assert!((1..=10).contains(&moved), "{moved}");
    assert_eq!(
        (workload.nearly_sorted(1, 9), workload.integers(2, 0)),
        (vec![0], vec![0, 0])
    );
    assert_eq!(Workload::growing_sizes(16, 300, 4), [16, 64, 256]);
    assert_eq!(
        (Workload::growing_sizes(0, 9, 2), Workload::growing_sizes(5, 9, 1)),
        (vec![], vec![5])
    );
}

#[test]
fn the_real_clock_measures() {
    let mut suite = PerfTestSuite::new("suite");
    let result = suite
        .run_test("sleep", 2, || std::thread::sleep(Duration::from_millis(2)))
        .unwrap();
    assert!(result.min >= Duration::from_millis(2), "{result:?}");
}

#[test]
fn workloads_are_spread_as_they_say() {
    let mut workload = Workload::new(11);
    assert_eq!(Workload::reversed(3), [3, 2, 1]);
    let few: std::collections::BTreeSet<u64> = workload.with_duplicates(1000, 7).into_iter().collect();
    assert_eq!(few.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(workload.with_duplicates(2, 0), [0, 0]);
    let keys = workload.zipf_keys(20_000, 100, 1.0);
    let count = |key: usize| keys.iter().filter(|one| **one == key).count() as f64;
    let ratio = count(0) / count(9);
    assert!(
        (7.0..14.0).contains(&ratio),
        "the first is asked for ten times as often as the tenth: {ratio}"
    );
    assert!(keys.iter().all(|key| *key < 100));
    assert_eq!(workload.zipf_keys(2, 0, 1.0), [0, 0]);
    let sizes = workload.log_normal_sizes(9999, 1000, 1.0);
    let sizes: Vec<f64> = sizes.into_iter().map(|size| size as f64).collect();
    let (median, mean) = (stats::median(&sizes).unwrap(), stats::mean(&sizes).unwrap());
    assert!(
        (900.0..1100.0).contains(&median) && mean > 1.4 * median,
        "{median} {mean}"
    );
    let normals = workload.normals(9999);
    assert!((stats::std_dev(&normals).unwrap() - 1.0).abs() < 0.05);
    let blanks = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b' ').count();
    let bytes = workload.compressible_bytes(100_001, 0.75);
    assert_eq!(bytes.len(), 100_001);
    assert!((65_000..85_000).contains(&blanks(&bytes)), "{}", blanks(&bytes));
    let document = workload.json_document(4);
    let read: serde_json::Value = serde_json::from_str(&document).unwrap();
    assert_eq!(read.as_object().unwrap().len(), 4, "{document}");
    let graph = workload.graph(100, 50);
    assert_eq!(graph.iter().map(Vec::len).sum::<usize>(), 2 * (99 + 50));
    let (mut seen, mut open) = (vec![false; 100], vec![0]);
    while let Some(node) = open.pop() {
        if !std::mem::replace(&mut seen[node], true) {
            open.extend(&graph[node]);
        }
    }
    assert!(seen.iter().all(|seen| *seen), "connected");
    assert_eq!(
        (workload.graph(1, 5), workload.graph(0, 5)),
        (vec![vec![]], vec![])
    );
}

#[test]
fn a_report_has_what_became_slower_and_what_became_faster() {
    let mut run = RunFile::new(Environment::default());
    for value in [10_000.0, 10_100.0, 9_900.0, 10_050.0, 9_950.0] {
        let measurement = |name: &str| {
            Measurement::new(
                BenchmarkId::new(name).unwrap(),
                Measure::LATENCY,
                Unit::Nanoseconds,
                Direction::SmallerIsBetter,
                value,
            )
        };
        run.processes.push(ProcessRun {
            measurements: ["suite/slow", "suite/fast", "suite/same|x"]
                .map(measurement)
                .to_vec(),
            problems: Vec::new(),
        });
    }
    let mut baselines = Baselines::new();
    baselines.record_values(&run.into_recording().unwrap());
    let Lookup::Same(baseline) = baselines.lookup_environment(&Environment::default()) else {
        panic!("it was recorded");
    };
    let mut suite = suite(&[15, 5, 10, 10])
        .with_baseline(baseline.clone(), 0.05)
        .with_warm_up(0);
    suite.set_target("slow", SuiteTarget::MaxAtMost(Duration::from_micros(12)));
    for name in ["slow", "fast", "same|x", "new"] {
        suite.run_test(name, 1, || ()).unwrap();
    }
    let report = suite.comparison_report();
    let names =
        |tests: Vec<&ComparedTest>| tests.iter().map(|test| test.name.to_string()).collect::<Vec<_>>();
    assert_eq!(names(report.regressions()), ["suite/slow"]);
    assert_eq!(names(report.improvements()), ["suite/fast"]);
    assert_eq!(names(report.undecided()), ["suite/new"]);
    assert_eq!(
        report.summary(),
        "1 slower, 1 faster, 1 unchanged, 1 without enough of a baseline"
    );
    assert_eq!(
        report.to_markdown(),
        "### suite\n\n1 slower, 1 faster, 1 unchanged, 1 without enough of a baseline\n\n\
         | test | baseline | now | change | |\n| --- | ---: | ---: | ---: | --- |\n\
         | suite/slow | 10.00 µs | 15.00 µs | +50.0 % | slower; slowest call 15.00 µs is over the target of 12.00 µs |\n\
         | suite/fast | 10.00 µs | 5.000 µs | -50.0 % | faster |\n\
         | suite/same\\|x | 10.00 µs | 10.00 µs | +0.0 % | unchanged |\n\
         | suite/new | – | 10.00 µs | – | not in the baseline |\n"
    );
    assert!(report.to_string().starts_with("suite: 1 slower"), "{report}");
}
