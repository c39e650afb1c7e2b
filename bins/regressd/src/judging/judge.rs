//! From a judging input to verdicts. Pure: every judgement is `regress-core`'s, this only lines up the values.

use std::collections::HashMap;

use regress_core::detect::judge_history::PastRuns;
use regress_core::detect::{
    GateSettings, Pair, RunPlaces, SuiteSurvey, Threshold, Thresholds, Verdict, VerdictKind, judge_history,
    judge_pairs, suite_survey,
};
use regress_core::measurement::{BenchmarkId, Direction, Measure, SeriesKey, Unit};
use regress_core::stats::median;

use super::{JudgingInput, RunVerdicts, StoredVerdict};
use crate::database::streams::SeriesName;
use crate::domain::{Results, RunId, SeriesId};

/// One benchmark, aligned up for judgement.
struct AlignedSeries {
    series: SeriesId,
    key: SeriesKey,
    unit: Unit,
    direction: Direction,
    before: Vec<f64>,
    after: Vec<f64>,
    /// The value of the judged run.
    newest: Option<f64>,
    /// Which runs the values are of.
    places: RunPlaces,
}

impl AlignedSeries {
    fn threshold(&self, thresholds: &Thresholds) -> Threshold {
        thresholds.for_benchmark(self.key.benchmark.as_str(), &self.unit)
    }

    fn past(&self, thresholds: &Thresholds) -> PastRuns<'_> {
        PastRuns {
            key: self.key.clone(),
            direction: self.direction,
            history: &self.before,
            runs: &self.after,
            told: self.newest,
            // A stream has one environment.
            comparable: true,
            threshold: self.threshold(thresholds),
        }
    }
}

/// Judges the newest run of the judging input. What the base measured beside it has too few values for is judged by the
/// history.
#[must_use]
pub fn judge_input(input: &JudgingInput, thresholds: &Thresholds) -> RunVerdicts {
    let by_history = judge_by_history(input, thresholds);
    let mut verdicts = match &input.base {
        Some(base) => {
            let mut paired = judge_pair(input, base, thresholds);
            let of_series: HashMap<SeriesId, &StoredVerdict> = by_history
                .verdicts
                .iter()
                .map(|verdict| (verdict.series, verdict))
                .collect();
            for verdict in &mut paired.verdicts {
                let other = of_series.get(&verdict.series);
                let judged = other.filter(|one| one.kind != VerdictKind::NotEnoughData);
                if let Some(judged) = judged.filter(|_| verdict.kind == VerdictKind::NotEnoughData) {
                    let reason = format!("{}; beside the base: {}", judged.reason, verdict.reason);
                    *verdict = StoredVerdict {
                        reason,
                        ..(*judged).clone()
                    };
                }
            }
            paired
        }
        None => by_history,
    };
    verdicts.missing = input.missing();
    verdicts
}

/// In two passes, with one benchmark in hand at a time: a run may have a hundred thousand.
fn judge_by_history(input: &JudgingInput, thresholds: &Thresholds) -> RunVerdicts {
    let again = input.measured_again();
    let newest_run = input.history.last().map(|(run, _)| *run);
    let order = input.order_of_runs();
    let place_of = |run: &RunId| order.get(run).copied().unwrap_or(usize::MAX);
    let lined_up = |(series, name): (SeriesId, &SeriesName)| {
        // What an old commit took on a machine that moved is no level to hold others against.
        let moved = Measure::new(&name.measure).is_ok_and(|measure| again.contains_key(&measure));
        let counts = |run: &RunId| !moved || Some(*run) != newest_run;
        let baseline = input.baseline(series).into_iter();
        let baseline: Vec<(RunId, f64)> = baseline.filter(|(run, _)| counts(run)).collect();
        let judged = input.to_judge(series);
        let places = RunPlaces {
            history: baseline.iter().map(|(run, _)| place_of(run)).collect(),
            runs: judged.iter().map(|(run, _)| place_of(run)).collect(),
        };
        let values = |of: &[(RunId, f64)]| of.iter().map(|(_, value)| *value).collect();
        let newest = input.newest_results().and_then(|results| results.median(series));
        let aligned = AlignedSeries {
            newest,
            places,
            ..align_series(series, name, values(&baseline), values(&judged))?
        };
        aligned.threshold(thresholds).enabled.then_some(aligned)
    };
    let mut survey = SuiteSurvey::new(GateSettings::default());
    for aligned in input.judged().filter_map(lined_up) {
        survey.add_series(&aligned.past(thresholds), &aligned.places);
    }
    let mut outside = input.outside.clone();
    outside.extend(again.clone());
    let suite = survey.conclude(&outside);
    let all = input.judged().filter_map(lined_up).enumerate();
    let mut verdicts: Vec<StoredVerdict> = all
        .map(|(index, aligned)| {
            let past = aligned.past(thresholds);
            let verdict = suite.judge_series(index, &past, &aligned.places);
            let known = already_known(input, aligned.series, &past, &verdict);
            let verdict = stored(aligned.series, aligned.direction, &verdict, input);
            match known {
                Some(since) => verdict.known_since(since, input),
                None => verdict,
            }
        })
        .collect();
    let q_values = suite_survey::q_values(verdicts.iter().map(|verdict| verdict.p));
    for (verdict, q) in verdicts.iter_mut().zip(q_values) {
        verdict.q = q.map(short);
    }
    let shifts = suite.shifts().to_vec();
    RunVerdicts {
        machine: shifts
            .iter()
            .find_map(|shift| Some(shift.evidence.as_ref()?.factor())),
        paired: false,
        verdicts,
        shifts,
        missing: Vec::new(),
    }
}

/// Whether what looks slower is so on the target branch already, and not worse than there: since which run. The branch is
/// slower when two of its last runs in a row were, or one was by so much that this alone was enough.
fn already_known(
    input: &JudgingInput,
    series: SeriesId,
    past: &PastRuns<'_>,
    verdict: &Verdict,
) -> Option<RunId> {
    if !matches!(verdict.kind, VerdictKind::Regression | VerdictKind::Suspected) {
        return None;
    }
    let streak: Vec<(RunId, f64)> = input.streak(series).collect();
    let slower = |runs: &[f64], history: &[f64]| {
        let past = PastRuns {
            runs,
            history,
            told: None,
            ..past.clone()
        };
        let judged = judge_history(&[past], &GateSettings::default());
        judged.verdicts.first().map(|verdict| verdict.kind)
    };
    let (first, _) = streak.last()?;
    let newest = streak.first()?.1;
    if streak.len() < 2 && slower(&[newest], past.history) != Some(VerdictKind::Regression) {
        return None;
    }
    // The level of the branch now, with the noise of the level before.
    let now: Vec<f64> = streak.iter().rev().map(|(_, value)| *value).collect();
    let factor = match (median(past.history), median(&now)) {
        (Some(before), Some(now)) if before > 0.0 => now / before,
        _ => 0.0,
    };
    let moved = past.history.iter().map(|value| value * factor);
    let level: Vec<f64> = moved.filter(|value| *value > 0.0).chain(now).collect();
    let still = slower(&input.of_commit(series), &level);
    let worse = matches!(still, Some(VerdictKind::Regression | VerdictKind::Suspected));
    (!worse).then_some(*first)
}

fn judge_pair(input: &JudgingInput, base: &Results, thresholds: &Thresholds) -> RunVerdicts {
    let values = |results: &Results, series: SeriesId| results.0.get(&series).cloned().unwrap_or_default();
    let aligned: Vec<AlignedSeries> = input
        .judged()
        .filter_map(|(series, name)| {
            let after = values(&input.beside, series);
            align_series(series, name, values(base, series), after)
        })
        .filter(|aligned| aligned.threshold(thresholds).enabled)
        .collect();
    let pairs: Vec<Pair<'_>> = aligned
        .iter()
        .map(|aligned| Pair {
            key: aligned.key.clone(),
            direction: aligned.direction,
            before: &aligned.before,
            after: &aligned.after,
            comparable: true,
            threshold: aligned.threshold(thresholds),
        })
        .collect();
    let judged = judge_pairs(&pairs);
    let verdicts = judged.verdicts.iter().zip(&aligned).map(|(verdict, aligned)| {
        let mut verdict = stored(aligned.series, aligned.direction, verdict, input);
        if verdict.kind == VerdictKind::NotEnoughData && verdict.runs.0 > 0 {
            verdict.reason = format!(
                "{}: send what each process printed as one entry of `results` and of `base`, or upload the commit once a process",
                verdict.reason
            );
        }
        verdict
    });
    RunVerdicts {
        machine: None,
        paired: true,
        verdicts: verdicts.collect(),
        shifts: judged.shifts,
        missing: Vec::new(),
    }
}

/// `None` for a name that ingest would not have let through.
fn align_series(
    series: SeriesId,
    name: &SeriesName,
    before: Vec<f64>,
    after: Vec<f64>,
) -> Option<AlignedSeries> {
    let key = SeriesKey {
        benchmark: BenchmarkId::new(&name.benchmark).ok()?,
        measure: Measure::new(&name.measure).ok()?,
    };
    Some(AlignedSeries {
        series,
        key,
        unit: Unit::from(name.unit.clone()),
        direction: name.direction,
        before,
        after,
        newest: None,
        places: RunPlaces::default(),
    })
}

fn stored(series: SeriesId, direction: Direction, verdict: &Verdict, input: &JudgingInput) -> StoredVerdict {
    let first = verdict.runs.0 == 0 && input.base.is_none();
    // What is shown is of this run, also where earlier ones helped to judge it.
    let after = match &input.base {
        Some(_) => verdict.after,
        None => input.newest_results().and_then(|results| results.median(series)),
    };
    let ratio = verdict
        .before
        .zip(after)
        .filter(|(before, after)| *before > 0.0 && *after > 0.0);
    let percent = match &input.base {
        Some(_) => verdict.percent,
        None => ratio.map(|(before, after)| (direction.cost_ratio(before, after) - 1.0) * 100.0),
    };
    StoredVerdict {
        series,
        kind: verdict.kind,
        suspected: verdict.kind == VerdictKind::Suspected,
        since: None,
        before: verdict.before,
        after,
        runs: verdict.runs,
        percent: percent.map(short),
        interval: verdict
            .interval
            .map(|interval| (short(interval.low), short(interval.high))),
        p: verdict.p.map(short),
        q: verdict.q.map(short),
        effect: verdict.effect.map(short),
        threshold: verdict.threshold,
        confidence: short(verdict.confidence),
        reason: if first && verdict.kind == VerdictKind::NotEnoughData {
            "measured for the first time here: there is nothing to compare it with yet".to_owned()
        } else {
            verdict.reason.clone()
        },
    }
}

/// Six significant digits: more would only fill the database.
fn short(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    format!("{value:.5e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests;
