//! Judging a run of two samples per benchmark: the mode of `benchgate ab` and `compare`.
//!
//! A benchmark changed if four things hold: the ratio of medians is beyond the threshold, its bootstrap interval excludes
//! "no change", the rank test says p <= 0.05, and the p of both tests together (see [`compare_samples`]), corrected over all
//! benchmarks of the run that are beyond their threshold, says q <= 0.025. Those within it are no candidates: counting them
//! as tests would cost the others their power. A measure that is counted needs no test: see `by_count`. `ab` measures what
//! is found here once more before it says so: see [`super::second_round`].

use super::threshold::Threshold;
use super::two_sample::{MIN_RUNS, TwoSample, compare_samples};
use super::verdict::{RunVerdict, Verdict, VerdictKind};
use crate::measurement::{Direction, Measure, SeriesKey};
use crate::stats::{Interval, benjamini_hochberg, bootstrap::probability_above};

/// The share of false discoveries among the reported changes of a run.
pub const FALSE_DISCOVERY_RATE: f64 = 0.025;
/// The level of the uncorrected rank test.
pub const RANK_LEVEL: f64 = 0.05;

/// One benchmark's two samples.
#[derive(Debug, Clone)]
pub struct Pair<'a> {
    /// The benchmark and its measure.
    pub key: SeriesKey,
    /// Which way is better.
    pub direction: Direction,
    /// One value per process run of the base.
    pub before: &'a [f64],
    /// One value per process run of the head.
    pub after: &'a [f64],
    /// Whether both were measured in the same environment, or the user asked to compare across.
    pub comparable: bool,
    /// What applies to the benchmark.
    pub threshold: Threshold,
}

/// Judges all benchmarks of a run together. Benchmarks whose threshold is not enabled are left out.
#[must_use]
pub fn judge_pairs(pairs: &[Pair<'_>]) -> RunVerdict {
    let enabled: Vec<&Pair<'_>> = pairs.iter().filter(|pair| pair.threshold.enabled).collect();
    let compared: Vec<Option<TwoSample>> = enabled
        .iter()
        .map(|pair| compare_samples(pair.before, pair.after, pair.direction))
        .collect();
    let tested: Vec<Option<f64>> = enabled
        .iter()
        .zip(&compared)
        .map(|(pair, compared)| {
            let beyond = |ratio: f64| ratio > pair.threshold.ratio() || ratio < 1.0 / pair.threshold.ratio();
            if pair.comparable && enough(pair) && compared.as_ref()?.cost_ratio.is_some_and(beyond) {
                compared.as_ref()?.p
            } else {
                None
            }
        })
        .collect();
    let mut q_values = benjamini_hochberg(&tested.iter().flatten().copied().collect::<Vec<_>>()).into_iter();
    let q_of: Vec<Option<f64>> = tested.iter().map(|p| p.and_then(|_| q_values.next())).collect();
    let verdicts = enabled
        .iter()
        .zip(&compared)
        .zip(q_of)
        .map(|((pair, compared), q)| judge_one(pair, compared.as_ref(), q));
    RunVerdict::from_verdicts(verdicts.collect(), Vec::new())
}

fn enough(pair: &Pair<'_>) -> bool {
    pair.before.len().min(pair.after.len()) >= pair.threshold.least_runs.max(1)
}

fn judge_one(pair: &Pair<'_>, compared: Option<&TwoSample>, q: Option<f64>) -> Verdict {
    let (kind, confidence, reason) = conclude(pair, compared, q);
    let wide = |interval: Interval| interval.high > pair.threshold.ratio();
    let noisy = kind == VerdictKind::Unchanged
        && !pair.key.measure.is_exact()
        && compared.is_some_and(|compared| {
            let beyond = compared
                .cost_ratio
                .is_some_and(|ratio| ratio > pair.threshold.ratio());
            (compared.rank_p > RANK_LEVEL || beyond) && compared.interval.is_some_and(wide)
        });
    let percent = |ratio: f64| (ratio - 1.0) * 100.0;
    Verdict {
        key: pair.key.clone(),
        kind,
        before: compared.map(|compared| compared.before),
        after: compared.map(|compared| compared.after),
        runs: (pair.before.len(), pair.after.len()),
        percent: compared.and_then(|compared| compared.cost_ratio).map(percent),
        interval: compared
            .and_then(|compared| compared.interval)
            .map(|interval| Interval {
                low: percent(interval.low),
                high: percent(interval.high),
            }),
        p: compared.and_then(|compared| compared.p),
        q,
        effect: compared.map(|compared| compared.delta),
        normalised_difference: compared
            .and_then(|compared| compared.normalised_difference)
            .filter(|difference| difference.is_finite()),
        threshold: pair.threshold.percent,
        noisy,
        confidence,
        reason,
    }
}

fn conclude(pair: &Pair<'_>, compared: Option<&TwoSample>, q: Option<f64>) -> (VerdictKind, f64, String) {
    let threshold = &pair.threshold;
    let Some(compared) = compared else {
        return (
            VerdictKind::NotEnoughData,
            0.0,
            "a side has no usable values".to_owned(),
        );
    };
    if !pair.comparable {
        return (
            VerdictKind::EnvironmentChanged,
            1.0,
            "the sides come from different environments".to_owned(),
        );
    }
    if let Some(limit) = threshold
        .limit
        .filter(|&limit| pair.direction.is_worse(limit, compared.after))
    {
        let reason = format!(
            "the median {} is beyond the absolute limit {limit}",
            compared.after
        );
        return (VerdictKind::Regression, 1.0, reason);
    }
    if pair.key.measure.is_exact()
        && let Some(exact) = by_count(pair, compared)
    {
        return exact;
    }
    if !enough(pair) {
        let (before, after, least) = (pair.before.len(), pair.after.len(), threshold.least_runs);
        let plural = if after == 1 { "run" } else { "runs" };
        let reason = format!("{before} and {after} process {plural}, {least} a side are needed");
        return (VerdictKind::NotEnoughData, 0.0, reason);
    }
    let (Some(ratio), Some(interval)) = (compared.cost_ratio, compared.interval) else {
        return without_ratio(compared);
    };
    if pair.before.len().min(pair.after.len()) < MIN_RUNS {
        return by_size_alone(ratio, threshold);
    }
    let real = compared.rank_p <= RANK_LEVEL && q.is_some_and(|q| q <= FALSE_DISCOVERY_RATE);
    let worse = real && interval.low > 1.0 && ratio > threshold.ratio();
    let better = real && interval.high < 1.0 && ratio < 1.0 / threshold.ratio();
    let size = describe_size(&pair.key.measure, ratio, interval);
    let sure = 1.0 - q.unwrap_or(1.0);
    if worse || better {
        let kind = if worse {
            VerdictKind::Regression
        } else {
            VerdictKind::Improvement
        };
        let side = if worse {
            interval_side(pair, 1.0)
        } else {
            1.0 - interval_side(pair, 1.0)
        };
        let reason = format!(
            "{size}, beyond the threshold of {} %, q = {q}",
            threshold.percent,
            q = Short(q.unwrap_or(1.0))
        );
        return (kind, (sure * side).clamp(0.0, 1.0), reason);
    }
    let beyond = interval_side(pair, threshold.ratio()) + 1.0 - interval_side(pair, 1.0 / threshold.ratio());
    let within = ratio <= threshold.ratio() && ratio >= 1.0 / threshold.ratio();
    let real = real || compared.rank_p <= RANK_LEVEL && within;
    let why = if real {
        format!(
            "{size}: real, but within the threshold of {} %",
            threshold.percent
        )
    } else if interval.high > threshold.ratio() || interval.low < 1.0 / threshold.ratio() {
        format!("{size}: not told from noise; more process runs would narrow it")
    } else {
        format!("{size}: within the threshold of {} %", threshold.percent)
    };
    (VerdictKind::Unchanged, (1.0 - beyond).clamp(0.0, 1.0), why)
}

/// A p or q value with two significant digits.
struct Short(f64);

impl std::fmt::Display for Short {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0 >= 0.01 || self.0 == 0.0 {
            write!(f, "{:.2}", self.0)
        } else {
            write!(f, "{:.1e}", self.0)
        }
    }
}

/// The probability that the ratio of costs exceeds `ratio`.
fn interval_side(pair: &Pair<'_>, ratio: f64) -> f64 {
    let (cheap, dear) = match pair.direction {
        Direction::SmallerIsBetter => (pair.before, pair.after),
        Direction::BiggerIsBetter => (pair.after, pair.before),
    };
    probability_above(cheap, dear, ratio).unwrap_or(0.5)
}

/// What more of a measure is called: only what takes time is slower.
fn word(measure: &Measure, ratio: f64) -> &'static str {
    let takes_time = [
        Measure::LATENCY,
        Measure::THROUGHPUT,
        Measure::CPU_TIME,
        Measure::USER_TIME,
        Measure::SYSTEM_TIME,
    ];
    match (takes_time.contains(measure), ratio >= 1.0) {
        (true, true) => "slower",
        (true, false) => "faster",
        (false, true) => "more",
        (false, false) => "less",
    }
}

/// A measure that is counted: when all values of a side lie on one side of all of the other's, that is what the code does,
/// and only the threshold is asked; from zero, any change is larger than any percentage. `None` when the two overlap.
fn by_count(pair: &Pair<'_>, compared: &TwoSample) -> Option<(VerdictKind, f64, String)> {
    let all = |test: &dyn Fn(f64, f64) -> bool| {
        pair.after
            .iter()
            .all(|after| pair.before.iter().all(|before| test(*before, *after)))
    };
    let (before, after, limit) = (compared.before, compared.after, pair.threshold.ratio());
    let size = match compared.cost_ratio {
        Some(ratio) => format!(
            "{:.1} % {}",
            (ratio - 1.0).abs() * 100.0,
            word(&pair.key.measure, ratio)
        ),
        None => format!("from {before} to {after}"),
    };
    let (worse, better) = (
        all(&|before, after| pair.direction.is_worse(before, after)),
        all(&|before, after| pair.direction.is_worse(after, before)),
    );
    let beyond = compared
        .cost_ratio
        .is_none_or(|ratio| ratio > limit || ratio < 1.0 / limit);
    match (worse, better, beyond) {
        (true, _, true) => Some((
            VerdictKind::Regression,
            1.0,
            format!("{size}; the measure is exact"),
        )),
        (_, true, true) => Some((
            VerdictKind::Improvement,
            1.0,
            format!("{size}; the measure is exact"),
        )),
        (true, _, _) | (_, true, _) => {
            let reason = format!(
                "{size}: within the threshold of {} %; the measure is exact",
                pair.threshold.percent
            );
            Some((VerdictKind::Unchanged, 1.0, reason))
        }
        _ if all(&|before, after| before == after) => {
            Some((VerdictKind::Unchanged, 1.0, "all values are the same".to_owned()))
        }
        _ => None,
    }
}

fn describe_size(measure: &Measure, ratio: f64, interval: Interval) -> String {
    let percent = |ratio: f64| (ratio - 1.0) * 100.0;
    let word = word(measure, ratio);
    let (low, high) = (percent(interval.low), percent(interval.high));
    format!(
        "{:.1} % {word} (95 % interval {low:+.1} % to {high:+.1} %)",
        percent(ratio).abs()
    )
}

fn without_ratio(compared: &TwoSample) -> (VerdictKind, f64, String) {
    if compared.before == compared.after {
        return (
            VerdictKind::Unchanged,
            1.0,
            "both medians are the same".to_owned(),
        );
    }
    let reason = "a value is not above zero, so there is no percentage; set an absolute limit".to_owned();
    (VerdictKind::NotEnoughData, 0.0, reason)
}

fn by_size_alone(ratio: f64, threshold: &Threshold) -> (VerdictKind, f64, String) {
    let kind = if ratio > threshold.ratio() {
        VerdictKind::Regression
    } else if ratio < 1.0 / threshold.ratio() {
        VerdictKind::Improvement
    } else {
        VerdictKind::Unchanged
    };
    let change = (ratio - 1.0) * 100.0;
    (
        kind,
        0.5,
        format!("{change:+.1} %, judged by size alone: too few process runs for a test"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::Outcome;
    use crate::measurement::BenchmarkId;

    fn pair<'a>(name: &str, before: &'a [f64], after: &'a [f64]) -> Pair<'a> {
        Pair {
            key: SeriesKey {
                benchmark: BenchmarkId::new(name).unwrap(),
                measure: Measure::LATENCY,
            },
            direction: Direction::SmallerIsBetter,
            before,
            after,
            comparable: true,
            threshold: Threshold::default(),
        }
    }

    const BASE: [f64; 5] = [100.0, 101.0, 99.0, 100.5, 99.5];
    const SLOW: [f64; 5] = [110.0, 111.0, 109.0, 110.5, 109.5];
    const SLIGHTLY: [f64; 5] = [102.0, 103.0, 101.5, 102.5, 102.2];
    const NOISY: [f64; 5] = [90.0, 140.0, 100.0, 112.0, 95.0];

    #[test]
    fn significance_and_magnitude_make_the_verdict() {
        let run = judge_pairs(&[
            pair("slow", &BASE, &SLOW),
            pair("fast", &SLOW, &BASE),
            pair("slightly", &BASE, &SLIGHTLY),
            pair("noisy", &BASE, &NOISY),
            pair("few", &BASE[..3], &SLOW),
        ]);
        let kinds: Vec<VerdictKind> = run.verdicts.iter().map(|verdict| verdict.kind).collect();
        use VerdictKind::{Improvement, NotEnoughData, Regression, Unchanged};
        assert_eq!(
            kinds,
            [Regression, Improvement, Unchanged, Unchanged, NotEnoughData]
        );
        assert_eq!(run.kind, Outcome::Mixed);
        let slow = &run.verdicts[0];
        assert!(
            (slow.percent.unwrap() - 10.0).abs() < 0.01 && slow.confidence > 0.99,
            "{slow:?}"
        );
        assert!(
            slow.reason.contains("10.0 % slower") && slow.reason.contains("threshold of 5 %"),
            "{}",
            slow.reason
        );
        assert!(
            run.verdicts[2].reason.contains("within the threshold"),
            "{}",
            run.verdicts[2].reason
        );
        assert!(run.verdicts[3].reason.contains("noise") && run.verdicts[3].confidence < 0.9);
    }

    #[test]
    fn one_real_regression_among_many_benchmarks_is_seen() {
        let mut pairs: Vec<Pair<'_>> = (0..200).map(|i| pair(&format!("b{i}"), &BASE, &BASE)).collect();
        pairs.push(pair("slow", &BASE, &SLOW));
        let run = judge_pairs(&pairs);
        assert_eq!(
            (
                run.count_verdicts(VerdictKind::Regression),
                run.count_verdicts(VerdictKind::Unchanged)
            ),
            (1, 200)
        );
    }

    #[test]
    fn other_environments_limits_and_rules_have_their_say() {
        let elsewhere = Pair {
            comparable: false,
            ..pair("elsewhere", &BASE, &SLOW)
        };
        let limit = Threshold {
            limit: Some(100.2),
            ..Threshold::default()
        };
        let over = Pair {
            threshold: limit,
            ..pair("over", &BASE, &SLIGHTLY)
        };
        let off = Pair {
            threshold: Threshold {
                enabled: false,
                ..limit
            },
            ..pair("off", &BASE, &SLOW)
        };
        let counted = Threshold {
            least_runs: 1,
            ..Threshold::default()
        };
        let instructions = Pair {
            threshold: counted,
            ..pair("instructions", &[1000.0], &[1100.0])
        };
        let run = judge_pairs(&[elsewhere, over, off, instructions]);
        let kinds: Vec<VerdictKind> = run.verdicts.iter().map(|verdict| verdict.kind).collect();
        use VerdictKind::{EnvironmentChanged, Regression};
        assert_eq!(kinds, [EnvironmentChanged, Regression, Regression]);
        assert!(run.has_regression() && !run.could_not_judge());
        assert!(judge_pairs(&[pair("few", &BASE[..2], &SLOW)]).could_not_judge());
        assert_eq!(judge_pairs(&[]).kind, Outcome::NotJudged);
    }

    #[test]
    fn the_correction_counts_only_those_beyond_the_threshold() {
        let mut pairs: Vec<Pair<'_>> = (0..19).map(|i| pair(&format!("b{i}"), &BASE, &BASE)).collect();
        pairs.push(pair("slow", &BASE, &SLOW));
        let run = judge_pairs(&pairs);
        assert_eq!(
            run.verdicts[19].q, run.verdicts[19].p,
            "one candidate, nothing to correct for"
        );
        assert!(run.verdicts[..19].iter().all(|verdict| verdict.q.is_none()));
    }

    #[test]
    fn counts_need_no_test_and_may_start_at_zero() {
        let of = |before: &[f64], after: &[f64]| {
            let key = SeriesKey {
                measure: Measure::ALLOCATIONS,
                ..pair("a", &[], &[]).key
            };
            judge_pairs(&[Pair {
                key,
                ..pair("a", before, after)
            }])
            .verdicts
            .remove(0)
        };
        assert_eq!(of(&[0.0], &[3.0]).kind, VerdictKind::Regression);
        assert_eq!(of(&[3.0; 4], &[0.0; 4]).kind, VerdictKind::Improvement);
        let more = of(&[100.0], &[110.0]);
        assert!(
            more.kind == VerdictKind::Regression && more.reason.contains("10.0 % more"),
            "{}",
            more.reason
        );
        assert_eq!(of(&[100.0], &[103.0]).kind, VerdictKind::Unchanged);
    }

    #[test]
    fn what_varies_too_much_says_so() {
        let run = judge_pairs(&[pair("noisy", &BASE, &NOISY), pair("calm", &BASE, &BASE)]);
        assert_eq!((run.verdicts[0].noisy, run.verdicts[1].noisy), (true, false));
    }

    #[test]
    fn zeros_ask_for_an_absolute_limit() {
        let run = judge_pairs(&[
            pair("zero", &[0.0; 5], &SLOW),
            pair("still", &[0.0; 5], &[0.0; 5]),
        ]);
        assert_eq!(run.verdicts[0].kind, VerdictKind::NotEnoughData);
        assert_eq!(run.verdicts[1].kind, VerdictKind::Unchanged);
    }
}
