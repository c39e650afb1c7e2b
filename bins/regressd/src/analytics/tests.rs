//! Real processes, good and bad.

use std::process::Command;
use std::time::{Duration, Instant};

use super::*;

fn settings(command: &[&str], timeout: u64) -> settings::AnalyticsSettings {
    settings::AnalyticsSettings {
        command: command.iter().map(|word| (*word).to_owned()).collect(),
        processes: 1,
        timeout_milliseconds: timeout,
    }
}

fn shell(script: &str) -> settings::AnalyticsSettings {
    settings(&["sh", "-c", script], 1500)
}

fn series(name: &str, history: Vec<f64>, current: Option<f64>) -> SeriesValues {
    SeriesValues {
        name: name.to_owned(),
        unit: "ns".to_owned(),
        direction: "smaller-is-better".to_owned(),
        history,
        current,
    }
}

/// Noise without a rhythm: the upper digits of a multiplied counter.
fn quiet(runs: u64) -> Vec<f64> {
    let noise = |i: u64| {
        (i + 1)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .rotate_left(31)
            .wrapping_mul(0xBF58_476D_1CE4_E5B9)
            >> 52
    };
    (0..runs).map(|i| 1000.0 + noise(i) as f64 / 409.6).collect()
}

fn request() -> Request {
    Request {
        series: vec![series("a", quiet(40), Some(1001.0))],
    }
}

/// A Python that has numpy; xtask installs the system's.
fn python() -> &'static str {
    let has_numpy = |python: &&str| {
        let tried = Command::new(python).args(["-c", "import numpy"]).output();
        tried.is_ok_and(|output| output.status.success())
    };
    ["/usr/bin/python3", "python3"]
        .into_iter()
        .find(has_numpy)
        .expect("no python3 here has numpy: install python3-numpy, or run cargo xtask test, which does")
}

fn reference() -> settings::AnalyticsSettings {
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/analytics/regressd_analytics.py");
    settings(&[python(), program], 60_000)
}

async fn fails(settings: settings::AnalyticsSettings) -> AnalyticsError {
    let begun = Instant::now();
    let error = Pool::new(&settings)
        .request_findings(&request())
        .await
        .unwrap_err();
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{error} after {:?}",
        begun.elapsed()
    );
    error
}

#[tokio::test]
async fn the_reference_program_tells_trend_season_anomaly_and_quiet_apart() {
    let pool = Pool::new(&reference());
    let noise = quiet(60);
    let rising: Vec<f64> = noise
        .iter()
        .zip(0..)
        .map(|(value, i)| value + 3.0 * f64::from(i))
        .collect();
    let weekly: Vec<f64> = noise
        .iter()
        .zip(0..)
        .map(|(value, i)| if i % 7 == 0 { value + 300.0 } else { *value })
        .collect();
    let request = Request {
        series: vec![
            series("quiet", noise.clone(), Some(1002.0)),
            series("rising", rising, None),
            series("weekly", weekly, None),
            series("odd", noise, Some(1400.0)),
            series("flat", vec![5.0; 40], Some(5.0)),
            series("zero", vec![0.0; 40], Some(0.0)),
        ],
    };
    let findings = pool.request_findings(&request).await.unwrap();
    let mut kinds: Vec<(&str, &str)> = findings
        .iter()
        .map(|finding| (finding.series.as_str(), finding.kind.as_str()))
        .collect();
    kinds.sort_unstable();
    assert_eq!(
        kinds,
        [("odd", "anomaly"), ("rising", "trend"), ("weekly", "season")],
        "{findings:?}"
    );
    let season = findings.iter().find(|finding| finding.kind == "season").unwrap();
    assert!(season.text.contains("every 7 runs"), "{season:?}");
    assert!(
        findings
            .iter()
            .all(|finding| (0.0..=1.0).contains(&finding.score))
    );
    // The same process answers again.
    assert!(pool.request_findings(&request).await.is_ok());
    assert_eq!(
        (pool.status().state.as_str(), pool.status().processes),
        ("ready", 1)
    );
}

#[tokio::test]
async fn a_program_that_does_not_work_costs_no_more_than_its_timeout() {
    let missing = fails(settings(&["/no/such/program"], 1000)).await;
    assert!(missing.to_string().contains("analytics.command"), "{missing}");
    assert!(matches!(fails(shell("exit 3")).await, AnalyticsError::Ended));
    assert!(matches!(
        fails(settings(&["sleep", "60"], 200)).await,
        AnalyticsError::Slow(200)
    ));
    assert!(
        matches!(fails(shell("cat")).await, AnalyticsError::Garbage(_)),
        "an echo is no answer"
    );
    assert!(matches!(
        fails(shell("yes garbage")).await,
        AnalyticsError::Garbage(_)
    ));
    let flood = fails(shell("tr '\\0' x </dev/zero")).await;
    assert!(matches!(flood, AnalyticsError::Garbage(_)), "{flood}");
    let complaints = fails(shell("while :; do echo no >&2; done")).await;
    assert!(matches!(complaints, AnalyticsError::Slow(_)), "{complaints}");
}

#[tokio::test]
async fn one_answer_and_death_is_survived() {
    let pool = Pool::new(&shell(
        r#"read line; id=${line#*\"id\":}; echo "{\"id\":${id%%,*},\"findings\":[]}""#,
    ));
    for _ in 0..3 {
        assert!(
            pool.request_findings(&request()).await.unwrap().is_empty(),
            "a fresh process answers"
        );
    }
}

#[tokio::test]
async fn after_a_failure_it_is_left_alone_for_a_while() {
    let pool = Pool::new(&settings(&["/no/such/program"], 1000));
    assert_eq!(pool.status().state, "idle");
    assert!(matches!(
        pool.request_findings(&request()).await,
        Err(AnalyticsError::Start { .. })
    ));
    assert!(matches!(
        pool.request_findings(&request()).await,
        Err(AnalyticsError::Resting { failures: 1, .. })
    ));
    assert_eq!(pool.status().state, "failing");
    assert!(pool.status().error.is_some());
}

#[tokio::test]
async fn the_process_sees_no_secrets_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let seen = folder.path().join("seen");
    // A grandchild that would outlive a process killed alone.
    let script = format!("env > {0}; sleep 300 & echo $! >> {0}; wait", seen.display());
    let pool = Pool::new(&settings(&["sh", "-c", &script], 700));
    assert!(matches!(
        pool.request_findings(&request()).await,
        Err(AnalyticsError::Slow(_))
    ));
    let text = std::fs::read_to_string(&seen).unwrap();
    assert!(!text.contains("REGRESSD") && !text.contains("CARGO"), "{text}");
    let grandchild = text.lines().last().unwrap();
    let stat = format!("/proc/{grandchild}/stat");
    let gone = || std::fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "));
    for _ in 0..50 {
        if gone() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{grandchild} is still running");
}

#[tokio::test]
async fn new_settings_make_a_new_pool_and_none_turns_it_off() {
    let analytics = Analytics::default();
    let (cat, none) = (settings(&["cat"], 100), settings(&[], 100));
    let first = analytics.pool_for_settings(&cat).unwrap();
    assert!(Arc::ptr_eq(&first, &analytics.pool_for_settings(&cat).unwrap()));
    assert!(!Arc::ptr_eq(
        &first,
        &analytics.pool_for_settings(&shell("true")).unwrap()
    ));
    assert_eq!(analytics.status(&none).state, "off");
}
