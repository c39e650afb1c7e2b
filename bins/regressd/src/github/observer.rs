//! The metrics of the calls to GitHub.

use github_kit::Observer;

/// Counts into the metrics of the service.
#[derive(Clone, Copy, Debug)]
pub struct MetricsObserver;

impl Observer for MetricsObserver {
    fn request_ended(&self, method: &'static str, outcome: &str) {
        let status = outcome.to_owned();
        metrics::counter!("regressd_github_requests_total", "method" => method, "status" => status)
            .increment(1);
    }

    fn requests_remaining(&self, installation: u64, remaining: i64) {
        let id = installation.to_string();
        metrics::gauge!("regressd_github_rate_limit_remaining", "installation" => id).set(remaining as f64);
    }

    fn rate_limited(&self) {
        metrics::counter!("regressd_github_rate_limited_total").increment(1);
    }

    fn breaker_opened(&self, host: &str) {
        metrics::counter!("regressd_breaker_opened_total", "host" => host.to_owned()).increment(1);
        metrics::gauge!("regressd_breaker_open", "host" => host.to_owned()).set(1.0);
    }

    fn breaker_closed(&self, host: &str) {
        metrics::gauge!("regressd_breaker_open", "host" => host.to_owned()).set(0.0);
    }
}
