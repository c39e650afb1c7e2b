//! The ranges of settings that are numbers. One outside of its range is taken as the nearest within.

use std::ops::RangeInclusive;

const AT_LEAST_ONE: RangeInclusive<i64> = 1..=i64::MAX;

/// Each setting that may not have every value of its type.
pub(super) const RANGES: [(&str, RangeInclusive<i64>); 11] = [
    ("analytics.processes", 1..=64),
    ("analytics.timeout_milliseconds", AT_LEAST_ONE),
    ("backup.every_hours", AT_LEAST_ONE),
    ("github.breaker_failures", AT_LEAST_ONE),
    ("github.breaker_pause_milliseconds", AT_LEAST_ONE),
    ("github.lease_seconds", AT_LEAST_ONE),
    ("github.request_timeout_seconds", AT_LEAST_ONE),
    ("github.results_within_minutes", 1..=43_200),
    ("jobs.lease_seconds", AT_LEAST_ONE),
    ("jobs.workers", AT_LEAST_ONE),
    ("server.request_timeout_seconds", AT_LEAST_ONE),
];
