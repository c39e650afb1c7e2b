//! Judging a run against the history of each benchmark: the mode of `benchgate check`.
//!
//! Each benchmark passes its [`Gate`]. When more than half of the benchmarks are slower (or faster) at once, that is the
//! machine: a benchmark is then judged by what is left after the common factor, and where that is within the threshold
//! the verdict is "environment changed".

use super::gate::{Gate, GateSettings, GateState};
use super::machine_shift::common_factor;
use super::threshold::Threshold;
use super::verdict::{RunVerdict, Verdict, VerdictKind};
use crate::measurement::{Direction, SeriesKey};
use crate::stats::{benjamini_hochberg, cliffs_delta, mann_whitney, median, normalised_difference};

/// One benchmark's history and the runs of the commit to judge.
#[derive(Debug, Clone)]
pub struct Past<'a> {
    /// The benchmark and its measure.
    pub key: SeriesKey,
    /// Which way is better.
    pub direction: Direction,
    /// One value per earlier run in the same environment, oldest first; without the runs being judged.
    pub history: &'a [f64],
    /// The run to judge and then its confirmations.
    pub runs: &'a [f64],
    /// Whether the history comes from the environment of the runs, or the user asked to compare across.
    pub comparable: bool,
    /// What applies to the benchmark; `least_runs` counts runs of history.
    pub threshold: Threshold,
}

/// Judges all benchmarks of a run. Benchmarks whose threshold is not enabled are left out. A benchmark that is suspected
/// and lacks confirmations is [`VerdictKind::Unchanged`]; [`suspects`] names those to run again.
#[must_use]
pub fn judge_history(pasts: &[Past<'_>], settings: &GateSettings) -> RunVerdict {
    let enabled: Vec<&Past<'_>> = pasts.iter().filter(|past| past.threshold.enabled).collect();
    let ratios: Vec<Option<f64>> = enabled.iter().map(|past| cost_ratio(past)).collect();
    let comparable = enabled.iter().zip(&ratios).filter(|(past, _)| past.comparable);
    let machine = common_factor(&comparable.filter_map(|(_, ratio)| *ratio).collect::<Vec<_>>());
    let p_values: Vec<Option<f64>> = enabled
        .iter()
        .map(|past| {
            if past.comparable {
                Some(mann_whitney(past.history, past.runs)?.p)
            } else {
                None
            }
        })
        .collect();
    let mut q_values =
        benjamini_hochberg(&p_values.iter().flatten().copied().collect::<Vec<_>>()).into_iter();
    let verdicts = enabled
        .iter()
        .zip(ratios)
        .zip(&p_values)
        .map(|((past, ratio), p)| {
            let (kind, confidence, reason) = conclude(past, ratio, machine, settings);
            Verdict {
                key: past.key.clone(),
                kind,
                before: median(past.history),
                after: median(past.runs),
                runs: (past.history.len(), past.runs.len()),
                percent: ratio.map(|ratio| (ratio - 1.0) * 100.0),
                interval: None,
                p: *p,
                q: p.and_then(|_| q_values.next()),
                effect: cliffs_delta(past.history, past.runs),
                normalised_difference: normalised_difference(past.history, past.runs)
                    .filter(|difference| difference.is_finite())
                    .map(|difference| {
                        if past.direction == Direction::BiggerIsBetter {
                            -difference
                        } else {
                            difference
                        }
                    }),
                threshold: past.threshold.percent,
                confidence,
                reason,
            }
        });
    RunVerdict::of(verdicts.collect(), machine)
}

/// The benchmarks whose first run is above its limit and that need this run's commit measured again.
#[must_use]
pub fn suspects(pasts: &[Past<'_>], settings: &GateSettings) -> Vec<SeriesKey> {
    let judged = pasts
        .iter()
        .filter(|past| past.threshold.enabled && past.comparable);
    let suspected =
        judged.filter(|past| matches!(walk(past, 1.0, settings), Some(GateState::Suspected { .. })));
    suspected.map(|past| past.key.clone()).collect()
}

fn cost_ratio(past: &Past<'_>) -> Option<f64> {
    let (before, after) = (median(past.history)?, median(past.runs)?);
    (before > 0.0 && after > 0.0).then(|| past.direction.cost_ratio(before, after))
}

/// Sends the runs, with the machine's factor taken out of their cost, through the gate.
fn walk(past: &Past<'_>, machine: f64, settings: &GateSettings) -> Option<GateState> {
    let threshold = &past.threshold;
    let mut gate = Gate::new(
        past.history,
        past.direction,
        threshold.percent,
        threshold.least_runs,
        settings,
    )?;
    for value in past.runs {
        gate.observe(match past.direction {
            Direction::SmallerIsBetter => value / machine,
            Direction::BiggerIsBetter => value * machine,
        });
    }
    Some(gate.state())
}

fn conclude(
    past: &Past<'_>,
    ratio: Option<f64>,
    machine: Option<f64>,
    settings: &GateSettings,
) -> (VerdictKind, f64, String) {
    let after = median(past.runs);
    if !past.comparable {
        return (
            VerdictKind::EnvironmentChanged,
            1.0,
            "the history comes from another environment".to_owned(),
        );
    }
    let beyond = |limit: &f64| after.is_some_and(|after| past.direction.is_worse(*limit, after));
    if let Some(limit) = past.threshold.limit.filter(beyond) {
        return (
            VerdictKind::Regression,
            1.0,
            format!("beyond the absolute limit {limit}"),
        );
    }
    let (Some(ratio), Some(state)) = (ratio, walk(past, machine.unwrap_or(1.0), settings)) else {
        let reason = format!(
            "{} runs of history and {} runs to judge; {} of history with values above zero are needed",
            past.history.len(),
            past.runs.len(),
            past.threshold.least_runs
        );
        return (VerdictKind::NotEnoughData, 1.0, reason);
    };
    let change = (ratio - 1.0) * 100.0;
    let own = ratio / machine.unwrap_or(1.0);
    let count = past.history.len() as f64;
    match state {
        GateState::Confirmed => {
            // The chance that exchangeable runs all come out on top of the history.
            let chance =
                (1..=past.runs.len()).fold(1.0, |product, i| product * i as f64 / (count + i as f64));
            let reason = format!("{change:+.1} % against the history's median, above its limit in every run");
            (VerdictKind::Regression, 1.0 - chance, reason)
        }
        _ if machine.is_some() && own < past.threshold.ratio() && ratio > past.threshold.ratio() => {
            let reason = format!("{change:+.1} %, but most benchmarks moved by as much: the machine");
            (VerdictKind::EnvironmentChanged, 0.5, reason)
        }
        GateState::Suspected { needed } => {
            let reason =
                format!("{change:+.1} %: suspected, {needed} more run(s) of the commit would decide");
            (VerdictKind::Unchanged, 0.5, reason)
        }
        _ => improvement_or_not(past, ratio, own, settings),
    }
}

/// The gate the other way round: a run that stays faster than the history.
fn improvement_or_not(
    past: &Past<'_>,
    ratio: f64,
    own: f64,
    settings: &GateSettings,
) -> (VerdictKind, f64, String) {
    let opposite = match past.direction {
        Direction::SmallerIsBetter => Direction::BiggerIsBetter,
        Direction::BiggerIsBetter => Direction::SmallerIsBetter,
    };
    let change = (ratio - 1.0) * 100.0;
    let mirrored = Past {
        direction: opposite,
        ..past.clone()
    };
    // A rate's machine factor is the inverse of a time's.
    let fast_enough = own < 1.0 / past.threshold.ratio();
    if fast_enough && walk(&mirrored, own / ratio, settings) == Some(GateState::Confirmed) {
        let reason = format!("{change:+.1} % against the history's median, beyond all of it in every run");
        return (VerdictKind::Improvement, 0.95, reason);
    }
    (
        VerdictKind::Unchanged,
        0.9,
        format!("{change:+.1} % against the history's median, within its range or threshold"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measurement::{BenchmarkId, Measure};

    fn past<'a>(name: &str, history: &'a [f64], runs: &'a [f64]) -> Past<'a> {
        Past {
            key: SeriesKey {
                benchmark: BenchmarkId::new(name).unwrap(),
                measure: Measure::LATENCY,
            },
            direction: Direction::SmallerIsBetter,
            history,
            runs,
            comparable: true,
            threshold: Threshold::default(),
        }
    }

    fn history() -> Vec<f64> {
        (0..30).map(|i| 100.0 + f64::from(i * 7 % 10)).collect()
    }

    #[test]
    fn a_regression_is_confirmed_and_an_outlier_is_not() {
        let (history, settings) = (history(), GateSettings::default());
        let pasts = [
            past("slow", &history, &[125.0, 126.0]),
            past("unlucky", &history, &[125.0, 104.0]),
            past("once", &history, &[125.0]),
            past("fast", &history, &[80.0, 81.0]),
            past("new", &history[..2], &[100.0]),
        ];
        let run = judge_history(&pasts, &settings);
        let kinds: Vec<VerdictKind> = run.verdicts.iter().map(|verdict| verdict.kind).collect();
        use VerdictKind::{Improvement, NotEnoughData, Regression, Unchanged};
        assert_eq!(
            kinds,
            [Regression, Unchanged, Unchanged, Improvement, NotEnoughData]
        );
        assert!(run.verdicts[0].confidence > 0.99 && run.verdicts[2].reason.contains("suspected"));
        assert_eq!(suspects(&pasts, &settings), [pasts[2].key.clone()]);
    }

    #[test]
    fn a_slow_machine_is_not_a_slow_commit() {
        let history = history();
        let names: Vec<String> = (0..10).map(|i| format!("b{i}")).collect();
        let mut pasts: Vec<Past<'_>> = names
            .iter()
            .map(|name| past(name, &history, &[130.0, 131.0]))
            .collect();
        pasts.push(past("really", &history, &[190.0, 191.0]));
        let run = judge_history(&pasts, &GateSettings::default());
        assert!(run.machine.is_some_and(|factor| factor > 1.2 && factor < 1.3));
        assert_eq!(run.count(VerdictKind::EnvironmentChanged), 10);
        assert_eq!(run.verdicts[10].kind, VerdictKind::Regression);
    }

    #[test]
    fn an_absolute_limit_and_another_environment() {
        let history = history();
        let limit = Threshold {
            limit: Some(103.0),
            ..Threshold::default()
        };
        let over = Past {
            threshold: limit,
            ..past("over", &history, &[104.0])
        };
        let elsewhere = Past {
            comparable: false,
            ..past("elsewhere", &history, &[150.0, 150.0])
        };
        let run = judge_history(&[over, elsewhere], &GateSettings::default());
        assert_eq!(run.verdicts[0].kind, VerdictKind::Regression);
        assert_eq!(run.verdicts[1].kind, VerdictKind::EnvironmentChanged);
    }
}
