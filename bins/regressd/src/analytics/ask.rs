//! From a report to findings in words.

use regress_core::measurement::Direction;
use regress_report::benchmarks::{Report, Row};

use super::{Analytics, Finding, MAX_SERIES, MAX_VALUES, Request, SeriesValues};
use crate::settings;

/// Values below which a history says nothing.
const MIN_VALUES: usize = 8;

impl Analytics {
    /// What the process sees in the histories of a report, the strongest first; nothing when there is no process or it
    /// fails, which is logged.
    pub async fn findings_for_report(
        &self,
        settings: &settings::AnalyticsSettings,
        report: &Report,
    ) -> Vec<String> {
        let Some(pool) = self.pool_for_settings(settings) else {
            return Vec::new();
        };
        let request = request(report);
        if request.series.is_empty() {
            return Vec::new();
        }
        match pool.request_findings(&request).await {
            Ok(findings) => findings.iter().map(in_words).collect(),
            Err(error) => {
                tracing::warn!(%error, "the verdict goes out without analytics");
                Vec::new()
            }
        }
    }
}

/// The rows with a history, as the process reads them. Rows are in order of severity, so the cut leaves what matters.
fn request(report: &Report) -> Request {
    let usable = |row: &&Row| row.history.iter().filter(|value| value.is_finite()).count() >= MIN_VALUES;
    let series = report.rows.iter().filter(usable).take(MAX_SERIES);
    Request {
        series: series.map(series_values).collect(),
    }
}

fn series_values(row: &Row) -> SeriesValues {
    let newest = &row.history[row.history.len().saturating_sub(MAX_VALUES)..];
    SeriesValues {
        name: row.name.clone(),
        unit: row.unit.symbol().to_owned(),
        direction: match row.direction {
            Direction::SmallerIsBetter => "smaller-is-better",
            Direction::BiggerIsBetter => "bigger-is-better",
        }
        .to_owned(),
        history: newest.iter().copied().filter(|value| value.is_finite()).collect(),
        current: row.after.filter(|value| value.is_finite()),
    }
}

fn in_words(finding: &Finding) -> String {
    format!("{}: {}", finding.series, finding.text)
}
