//! `/metrics` for Prometheus, on an address of its own: it is not for everybody who may reach the service.

use std::net::SocketAddr;

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use super::ServeError;
use crate::database::jobs;
use crate::domain::JobState;
use crate::state::AppState;

/// Seconds that answers and jobs are sorted by.
const SECONDS: [f64; 12] = [
    0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0,
];
/// Operations of a commit.
const BATCHES: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];

/// Starts counting; `None` when this process counts already, or the buckets are refused.
#[must_use]
pub fn start_metrics() -> Option<PrometheusHandle> {
    let handle = builder()?.install_recorder().ok()?;
    describe();
    let upkeep = handle.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(std::time::Duration::from_secs(5)).await;
            upkeep.run_upkeep();
        }
    });
    Some(handle)
}

fn builder() -> Option<PrometheusBuilder> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
        .and_then(|builder| builder.set_buckets_for_metric(Matcher::Suffix("_batch".to_owned()), &BATCHES))
        .ok()
}

/// What is counted, with words for `# HELP`.
const COUNTERS: [(&str, &str); 10] = [
    (
        "regressd_connections_refused_total",
        "Connections that were closed at once, since as many as may be were open.",
    ),
    ("regressd_runs_total", "Runs of benchmarks that were stored."),
    (
        "regressd_deliveries_total",
        "Webhook deliveries that were taken, by event.",
    ),
    (
        "regressd_dead_letters_total",
        "Jobs that were given up after all their attempts, by kind.",
    ),
    (
        "regressd_github_requests_total",
        "Requests to GitHub, by method and status.",
    ),
    (
        "regressd_github_rate_limited_total",
        "Answers of GitHub that said to slow down.",
    ),
    (
        "regressd_breaker_opened_total",
        "Times that requests to a host were stopped for a while, by host.",
    ),
    ("regressd_backups_total", "Backups, by outcome."),
    (
        "regressd_rate_limited_total",
        "Requests that were refused as too many, by what they are counted by.",
    ),
    (
        "regressd_analytics_failures_total",
        "Questions to the analytics program that were not answered.",
    ),
];
/// What goes up and down.
const GAUGES: [(&str, &str); 5] = [
    ("regressd_database_up", "1 when the database answers, else 0."),
    ("regressd_jobs", "Jobs in the database, by state."),
    (
        "regressd_github_breaker_open",
        "1 while no requests go to GitHub because too many failed, else 0.",
    ),
    (
        "regressd_github_rate_limit_remaining",
        "Requests that GitHub still allows, by installation.",
    ),
    (
        "regressd_breaker_open",
        "1 while no requests go to a host because too many failed, else 0, by host.",
    ),
];
/// What is sorted by size.
const HISTOGRAMS: [(&str, &str); 4] = [
    (
        "regressd_request_seconds",
        "Time to answer a request, in seconds, by route, method and status.",
    ),
    (
        "regressd_job_seconds",
        "Time that a job took, in seconds, by kind and outcome.",
    ),
    (
        "regressd_write_batch",
        "Operations that one commit made permanent together.",
    ),
    (
        "regressd_judged_at_once",
        "Runs of one stream that were judged together.",
    ),
];

/// Gives every metric its words, those of the process included.
fn describe() {
    for (name, words) in COUNTERS {
        metrics::describe_counter!(name, words);
    }
    for (name, words) in GAUGES {
        metrics::describe_gauge!(name, words);
    }
    for (name, words) in HISTOGRAMS {
        metrics::describe_histogram!(name, words);
    }
    metrics_process::Collector::default().describe();
}

/// Answers Prometheus until the service is to end.
///
/// # Errors
/// When the address cannot be used.
pub async fn serve_metrics(
    state: AppState,
    handle: PrometheusHandle,
    address: SocketAddr,
) -> Result<(), ServeError> {
    let option = "--metrics-listen";
    let failed = |source| ServeError::Listen {
        address,
        option,
        source,
    };
    let listener = tokio::net::TcpListener::bind(address).await.map_err(failed)?;
    let ending = state.ending.clone();
    let router = Router::new().route(
        "/metrics",
        get(move || {
            let (state, handle) = (state.clone(), handle.clone());
            async move {
                observe(&state).await;
                let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
                (kind, handle.render()).into_response()
            }
        }),
    );
    let serving = axum::serve(listener, router);
    serving
        .with_graceful_shutdown(async move { ending.cancelled().await })
        .await
        .map_err(failed)
}

/// What is looked up when it is asked for.
async fn observe(state: &AppState) {
    metrics_process::Collector::default().collect();
    let counts = match state.database.acquire_reader().await {
        Ok(mut connection) => jobs::count_by_state(&mut connection).await.map_err(Into::into),
        Err(error) => Err(error),
    };
    metrics::gauge!("regressd_database_up").set(if counts.is_ok() { 1.0 } else { 0.0 });
    let counts = counts.unwrap_or_default();
    for state in JobState::ALL {
        metrics::gauge!("regressd_jobs", "state" => state.as_str()).set(counts.in_state(state) as f64);
    }
    if let Some(github) = &state.github {
        let open = github.breaker().state() != crate::github::BreakerState::Closed;
        metrics::gauge!("regressd_github_breaker_open").set(if open { 1.0 } else { 0.0 });
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::path::Path;
    use std::process::{Command, Stdio};

    use super::*;

    /// Names behind `metrics::counter!(` and the like, anywhere in a folder.
    fn names_in(folder: &Path, names: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                names_in(&path, names);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for kind in ["counter", "gauge", "histogram"] {
                let start = format!("metrics::{kind}!(\"");
                let uses = text.split(&start).skip(1);
                names.extend(uses.map(|rest| rest.split('"').next().unwrap().to_owned()));
            }
        }
    }

    #[test]
    fn every_metric_has_words() {
        let described: Vec<&str> = [&COUNTERS[..], &GAUGES[..], &HISTOGRAMS[..]]
            .concat()
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        let mut used = Vec::new();
        names_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut used);
        assert!(used.len() > 15, "{used:?}");
        for name in &used {
            assert!(described.contains(&name.as_str()), "{name} has no words");
        }
        for name in described {
            assert!(
                used.iter().any(|used| used == name),
                "{name} is described and not used"
            );
        }
    }

    #[test]
    fn prometheus_takes_all_of_it() {
        let recorder = builder().unwrap().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            describe();
            for (name, _) in COUNTERS {
                metrics::counter!(name, "kind" => "a \"b\"").increment(1);
            }
            for (name, _) in GAUGES {
                metrics::gauge!(name).set(1.0);
            }
            for (name, _) in HISTOGRAMS {
                metrics::histogram!(name).record(0.5);
            }
            metrics_process::Collector::default().collect();
        });
        let text = recorder.handle().render();
        let types = text.lines().filter(|line| line.starts_with("# TYPE ")).count();
        let words = text.lines().filter(|line| line.starts_with("# HELP ")).count();
        assert_eq!(types, words, "{text}");
        assert!(text.contains("\nprocess_resident_memory_bytes "), "{text}");
        let promtool = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut promtool = promtool.expect("promtool is there: `cargo xtask install` brings it");
        promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let said = promtool.wait_with_output().unwrap();
        let said = (
            said.status.success(),
            String::from_utf8_lossy(&said.stdout).into_owned() + &String::from_utf8_lossy(&said.stderr),
        );
        assert_eq!(said, (true, String::new()), "{text}");
    }
}
