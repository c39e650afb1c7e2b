//! From a judging input to verdicts. Pure: every judgement is `regress-core`'s, this only lines up the values.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use regress_core::detect::judge_history::PastRuns;
use regress_core::detect::machine_shift;
use regress_core::detect::{
    Evidence, GateSettings, Pair, Threshold, Thresholds, Verdict, VerdictKind, judge_history,
    judge_history_with, judge_pairs,
};
use regress_core::measurement::{BenchmarkId, Direction, Measure, SeriesKey, Unit};
use regress_core::stats::median;

use super::{RunVerdicts, StoredVerdict};
use crate::database::streams::SeriesName;
use crate::directory::Names;
use crate::domain::{Medians, Results, RunId, SeriesId};

/// The commit whose level a pull request is held against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseCommit {
    /// The newest commit of the history that counts.
    pub commit: Arc<str>,
    /// The base of the pull request, when it was not measured and the other stands in for it.
    pub instead_of: Option<String>,
}

/// Everything that a run is judged by.
#[derive(Clone, Debug, Default)]
pub struct JudgingInput {
    /// The runs of the commit, oldest first, up to the one that is judged: the number of each and its values.
    pub runs: Vec<(RunId, Results)>,
    /// Whether the judged run is itself part of the history of its target branch: it was measured there, or its commit
    /// landed there as it was.
    pub of_history: bool,
    /// The base commit's values measured beside runs of the commit, if some brought them: those of all runs together.
    pub base: Option<Results>,
    /// The values of the runs that brought those of the base.
    pub beside: Results,
    /// The commit that a pull request's run is compared with.
    pub base_commit: Option<BaseCommit>,
    /// The branch by whose history the run is judged.
    pub target: String,
    /// The commits of the history.
    pub commits: BTreeMap<RunId, Arc<str>>,
    /// What is known from elsewhere of a machine that moved.
    pub outside: BTreeMap<Measure, Evidence>,
    /// The history of the target branch, oldest first: the number of each run and its values. Without runs of the
    /// judged commit.
    pub history: Vec<(RunId, Arc<Medians>)>,
    /// Values that must not count: (series, run).
    pub rejected: BTreeSet<(SeriesId, RunId)>,
    /// Where the baseline of a series begins.
    pub epochs: HashMap<SeriesId, RunId>,
    /// What the series are about.
    pub names: Arc<Names>,
    /// The values of a baseline, at most; all if nothing is said.
    pub most: Option<usize>,
}

impl JudgingInput {
    /// The values of a series that make its baseline, oldest first, each with the number of its run.
    #[must_use]
    pub fn baseline(&self, series: SeriesId) -> Vec<(RunId, f64)> {
        let start = self.epochs.get(&series).copied();
        let counts = |run: RunId| match start {
            // What came before an accepted shift is of the past; the shift itself is what was accepted.
            Some(start) if run < start => false,
            Some(start) if run == start => true,
            _ => !self.rejected.contains(&(series, run)),
        };
        let value = |(run, medians): &(RunId, Arc<Medians>)| {
            let value = medians.get(series).filter(|_| counts(*run))?;
            Some((*run, value))
        };
        let newest = self.history.iter().rev().filter_map(value);
        let mut newest: Vec<(RunId, f64)> = newest.take(self.most.unwrap_or(usize::MAX)).collect();
        newest.reverse();
        newest
    }

    /// The value of a series in each run of the commit, oldest first.
    #[must_use]
    pub fn of_commit(&self, series: SeriesId) -> Vec<f64> {
        self.runs
            .iter()
            .filter_map(|(_, run)| run.median(series))
            .collect()
    }

    /// The values of the run that is judged.
    #[must_use]
    pub fn newest_results(&self) -> Option<&Results> {
        self.runs.last().map(|(_, results)| results)
    }

    /// The series that the newest commit of the history has and the judged one does not.
    fn missing(&self) -> Vec<SeriesId> {
        let Some(newest) = self.history.last().and_then(|(run, _)| self.commits.get(run)) else {
            return Vec::new();
        };
        let of_newest = self
            .history
            .iter()
            .rev()
            .take_while(|(run, _)| self.commits.get(run) == Some(newest));
        let had: BTreeSet<SeriesId> = of_newest.flat_map(|(_, medians)| medians.series()).collect();
        let has = |series: &SeriesId| {
            self.runs
                .iter()
                .any(|(_, results)| results.0.contains_key(series))
        };
        had.into_iter().filter(|series| !has(series)).collect()
    }

    /// What the machine did, where the newest commit of the history is an old one that was measured again: it has an
    /// earlier run, and its code is the same.
    fn measured_again(&self) -> BTreeMap<Measure, Evidence> {
        let commit_of = |run: &RunId| self.commits.get(run);
        let Some((newest, now)) = self.history.last() else {
            return BTreeMap::new();
        };
        let Some(commit) = commit_of(newest) else {
            return BTreeMap::new();
        };
        let earlier = self
            .history
            .iter()
            .find(|(run, _)| commit_of(run) == Some(commit));
        let Some((_, then)) = earlier.filter(|(run, _)| run != newest) else {
            return BTreeMap::new();
        };
        let mut ratios: BTreeMap<Measure, Vec<f64>> = BTreeMap::new();
        for series in now.series() {
            let values = then.get(series).zip(now.get(series));
            let measure = |name: &SeriesName| Measure::new(&name.measure).ok();
            let Some((name, (then, now))) = self.names.get(&series).zip(values) else {
                continue;
            };
            if let Some(measure) = measure(name).filter(|_| then > 0.0 && now > 0.0) {
                ratios
                    .entry(measure)
                    .or_default()
                    .push(name.direction.cost_ratio(then, now));
            }
        }
        let short: String = commit.chars().take(10).collect();
        let evidence = ratios.into_iter().filter(|(measure, _)| !measure.is_exact());
        evidence
            .filter_map(|(measure, ratios)| Some((measure, machine_shift::measured_again(&short, &ratios)?)))
            .collect()
    }

    /// All values of the history of a series, whether they count or not: for showing.
    #[must_use]
    pub fn whole_history(&self, series: SeriesId) -> Vec<f64> {
        self.history
            .iter()
            .filter_map(|(_, medians)| medians.get(series))
            .collect()
    }

    /// The runs of the history, newest first, in which a series was rejected without one between that was not.
    fn streak(&self, series: SeriesId) -> impl Iterator<Item = (RunId, f64)> {
        let start = self.epochs.get(&series).copied().unwrap_or(RunId(i64::MIN));
        let measured = self.history.iter().rev();
        let values = measured.filter_map(move |(run, medians)| Some((*run, medians.get(series)?)));
        values.take_while(move |(run, _)| *run > start && self.rejected.contains(&(series, *run)))
    }

    /// The commit since which a series is slower without a break.
    #[must_use]
    pub fn slower_since_commit(&self, series: SeriesId) -> Option<&str> {
        let (first, _) = self.streak(series).last()?;
        self.commits.get(&first).map(|commit| &**commit)
    }

    /// The series that are slower without a break since one of these runs, and were fine before.
    #[must_use]
    pub fn slower_since(&self, runs: &BTreeSet<RunId>) -> Vec<SeriesId> {
        let rejected: BTreeSet<SeriesId> = self.rejected.iter().map(|(series, _)| *series).collect();
        let since = |series: &SeriesId| {
            self.streak(*series)
                .last()
                .is_some_and(|(run, _)| runs.contains(&run))
        };
        rejected.into_iter().filter(since).collect()
    }

    /// What is judged of a series: the runs of the commit; and on a branch with a history the runs just before that
    /// were slow too. They confirm a suspicion as a second run of the commit does: had nothing changed, any of them
    /// might as well have come out on top of the history.
    fn to_judge(&self, series: SeriesId) -> Vec<f64> {
        let own = self.of_commit(series).into_iter();
        let before = self
            .of_history
            .then(|| self.streak(series).map(|(_, value)| value));
        own.chain(before.into_iter().flatten()).collect()
    }

    /// The series that the newest run has, with their names.
    fn judged(&self) -> impl Iterator<Item = (SeriesId, &SeriesName)> {
        let series = self
            .newest_results()
            .into_iter()
            .flat_map(|results| results.0.keys());
        series.filter_map(|series| Some((*series, self.names.get(series)?)))
    }
}

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
            for verdict in &mut paired.verdicts {
                let other = by_history
                    .verdicts
                    .iter()
                    .find(|one| one.series == verdict.series);
                let judged = other.filter(|one| one.kind != VerdictKind::NotEnoughData);
                if let Some(judged) = judged.filter(|_| verdict.kind == VerdictKind::NotEnoughData) {
                    let reason = format!("{}; beside the base: {}", judged.reason, verdict.reason);
                    *verdict = StoredVerdict {
                        reason,
                        ..judged.clone()
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

fn judge_by_history(input: &JudgingInput, thresholds: &Thresholds) -> RunVerdicts {
    let again = input.measured_again();
    let newest_run = input.history.last().map(|(run, _)| *run);
    let aligned: Vec<AlignedSeries> = input
        .judged()
        .filter_map(|(series, name)| {
            // What an old commit took on a machine that moved is no level to hold others against.
            let moved = Measure::new(&name.measure).is_ok_and(|measure| again.contains_key(&measure));
            let counts = |run: &RunId| !moved || Some(*run) != newest_run;
            let baseline = input.baseline(series).into_iter();
            let before = baseline.filter(|(run, _)| counts(run)).map(|(_, value)| value);
            let before = before.collect();
            let newest = input.newest_results().and_then(|results| results.median(series));
            Some(AlignedSeries {
                newest,
                ..align_series(series, name, before, input.to_judge(series))?
            })
        })
        .filter(|aligned| aligned.threshold(thresholds).enabled)
        .collect();
    let pasts: Vec<PastRuns<'_>> = aligned.iter().map(|aligned| aligned.past(thresholds)).collect();
    let mut outside = input.outside.clone();
    outside.extend(again);
    let judged = judge_history_with(&pasts, &GateSettings::default(), &outside);
    let verdicts = judged.verdicts.iter().zip(&pasts).zip(&aligned);
    let verdicts = verdicts.map(|((verdict, past), aligned)| {
        let known = already_known(input, aligned.series, past, verdict);
        let verdict = stored(aligned.series, aligned.direction, verdict, input);
        match known {
            Some(since) => verdict.known_since(since, input),
            None => verdict,
        }
    });
    RunVerdicts {
        machine: judged
            .shifts
            .iter()
            .find_map(|shift| Some(shift.evidence.as_ref()?.factor())),
        paired: false,
        verdicts: verdicts.collect(),
        shifts: judged.shifts,
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

/// The benchmarks that were slower in each of the last `least` runs of the history and in the judged one.
#[must_use]
pub fn find_persistent_regressions(
    input: &JudgingInput,
    verdicts: &RunVerdicts,
    least: usize,
) -> BTreeMap<SeriesId, RunId> {
    let slower = verdicts
        .verdicts
        .iter()
        .filter(|verdict| verdict.kind == VerdictKind::Regression || verdict.since.is_some());
    let first_of = |verdict: &StoredVerdict| {
        let in_a_row: Vec<RunId> = input.streak(verdict.series).map(|(run, _)| run).collect();
        // The judged run is one of them.
        let first = in_a_row.last().filter(|_| in_a_row.len() + 1 >= least)?;
        Some((verdict.series, *first))
    };
    slower.filter_map(first_of).collect()
}

/// The benchmarks that were slower in each of the last `least` runs of the history, and are not in the judged one: since
/// which run they were.
#[must_use]
pub fn find_recovered_regressions(
    input: &JudgingInput,
    verdicts: &RunVerdicts,
    least: usize,
) -> BTreeMap<SeriesId, RunId> {
    let fine = verdicts.verdicts.iter().filter(|verdict| {
        matches!(verdict.kind, VerdictKind::Unchanged | VerdictKind::Improvement) && verdict.since.is_none()
    });
    let first_of = |verdict: &StoredVerdict| {
        let in_a_row: Vec<RunId> = input.streak(verdict.series).map(|(run, _)| run).collect();
        let first = in_a_row.last().filter(|_| in_a_row.len() >= least.max(1))?;
        Some((verdict.series, *first))
    };
    fine.filter_map(first_of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use regress_core::detect::{Outcome, Threshold};

    fn name(benchmark: &str) -> SeriesName {
        SeriesName {
            benchmark: benchmark.to_owned(),
            measure: "latency".to_owned(),
            unit: "ns".to_owned(),
            direction: Direction::SmallerIsBetter,
        }
    }

    fn one(series: i64, value: f64) -> Results {
        Results(BTreeMap::from([(SeriesId(series), vec![value])]))
    }

    fn past(run: i64, value: f64) -> (RunId, Arc<Medians>) {
        (RunId(run), Arc::new(Medians::from_results(&one(1, value))))
    }

    /// Thirty runs around 1000, and then the runs to judge.
    fn input(runs: &[f64]) -> JudgingInput {
        JudgingInput {
            runs: (100..)
                .map(RunId)
                .zip(runs.iter().map(|value| one(1, *value)))
                .collect(),
            history: (1..=30)
                .map(|run| past(run, 1000.0 + f64::from(run as i32 % 7)))
                .collect(),
            names: Arc::new(HashMap::from([(SeriesId(1), name("sort"))])),
            ..JudgingInput::default()
        }
    }

    fn thresholds() -> Thresholds {
        Thresholds::new(Threshold::default(), &[]).unwrap()
    }

    #[test]
    fn a_slow_run_is_suspected_and_a_second_one_confirms_it() {
        let first = judge_input(&input(&[1300.0]), &thresholds());
        assert_eq!(first.outcome(), Outcome::Suspected, "never a success");
        assert!(first.needs_confirmation(), "{first:?}");
        let second = judge_input(&input(&[1300.0, 1290.0]), &thresholds());
        assert_eq!(second.outcome(), Outcome::Regression);
        assert_eq!(second.verdicts[0].runs, (30, 2));
        let cleared = judge_input(&input(&[1300.0, 1001.0]), &thresholds());
        assert_eq!(cleared.outcome(), Outcome::Unchanged);
        assert!(!cleared.needs_confirmation());
    }

    #[test]
    fn rejected_values_do_not_move_the_baseline_until_they_are_accepted() {
        let mut input = input(&[1300.0, 1300.0]);
        input.history.extend((31..=40).map(|run| past(run, 1300.0)));
        input.rejected = (31..=40).map(|run| (SeriesId(1), RunId(run))).collect();
        let judged = judge_input(&input, &thresholds());
        assert_eq!(judged.outcome(), Outcome::Unchanged, "said before");
        assert_eq!(judged.verdicts[0].since, Some(RunId(31)));
        assert!(
            judged.verdicts[0].reason.contains("already on main since run 31"),
            "{judged:?}"
        );
        assert_eq!(judged.verdicts[0].before, Some(1003.0));
        assert_eq!(
            find_persistent_regressions(&input, &judged, 3),
            BTreeMap::from([(SeriesId(1), RunId(31))])
        );
        input.epochs.insert(SeriesId(1), RunId(31));
        input.rejected = BTreeSet::from([(SeriesId(1), RunId(31))]);
        let judged = judge_input(&input, &thresholds());
        assert_eq!(judged.outcome(), Outcome::Unchanged);
        assert_eq!(judged.verdicts[0].runs.0, 10);
    }

    #[test]
    fn a_baseline_is_no_longer_than_it_may_be() {
        let mut input = input(&[1000.0]);
        input.rejected = (20..=30).map(|run| (SeriesId(1), RunId(run))).collect();
        input.most = Some(15);
        let runs: Vec<i64> = input
            .baseline(SeriesId(1))
            .into_iter()
            .map(|(run, _)| run.0)
            .collect();
        assert_eq!(runs, (5..=19).collect::<Vec<i64>>(), "the newest that count");
    }

    #[test]
    fn the_next_commit_of_a_branch_confirms_a_suspicion() {
        let mut input = input(&[1300.0]);
        input.of_history = true;
        input.history.push(past(31, 1290.0));
        input.rejected.insert((SeriesId(1), RunId(31)));
        let judged = judge_input(&input, &thresholds());
        assert_eq!(judged.outcome(), Outcome::Regression);
        input.runs = vec![(RunId(100), one(1, 1001.0))];
        assert_eq!(
            judge_input(&input, &thresholds()).outcome(),
            Outcome::Unchanged,
            "it recovered"
        );
        input.runs = vec![(RunId(100), one(1, 1300.0))];
        input.of_history = false;
        assert!(
            judge_input(&input, &thresholds()).needs_confirmation(),
            "a pull request is another commit"
        );
    }

    #[test]
    fn what_main_has_already_fails_nobody_and_more_than_that_does() {
        let mut input = input(&[1300.0, 1302.0]);
        input.history.extend((31..=33).map(|run| past(run, 1300.0)));
        input.rejected = (31..=33).map(|run| (SeriesId(1), RunId(run))).collect();
        input.commits.insert(RunId(31), Arc::from("abc1234567890def"));
        let known = judge_input(&input, &thresholds());
        assert_eq!(known.outcome(), Outcome::Unchanged);
        assert!(
            known.verdicts[0]
                .reason
                .contains("already on main since abc1234567"),
            "{known:?}"
        );
        input.runs = vec![(RunId(100), one(1, 1700.0)), (RunId(101), one(1, 1710.0))];
        assert_eq!(
            judge_input(&input, &thresholds()).outcome(),
            Outcome::Regression,
            "worse still"
        );
        input.runs = vec![(RunId(100), one(1, 1000.0)), (RunId(101), one(1, 1002.0))];
        assert_eq!(judge_input(&input, &thresholds()).outcome(), Outcome::Unchanged);
    }

    #[test]
    fn one_run_ten_times_as_slow_fails_at_once() {
        let judged = judge_input(&input(&[10_020.0]), &thresholds());
        assert_eq!(judged.outcome(), Outcome::Regression);
        assert!(!judged.needs_confirmation());
    }

    #[test]
    fn what_main_gained_is_held_from_the_second_run_on() {
        for runs in 2..12 {
            let mut input = input(&[1000.0, 1001.0]);
            input
                .history
                .extend((31..31 + runs).map(|run| past(run, 700.0 + (run % 3) as f64)));
            let judged = judge_input(&input, &thresholds());
            assert_eq!(
                judged.outcome(),
                Outcome::Regression,
                "after {runs} runs: {judged:?}"
            );
        }
    }

    #[test]
    fn the_current_value_is_this_runs() {
        let mut input = input(&[1290.0]);
        input.of_history = true;
        input.history.push(past(31, 1310.0));
        input.rejected.insert((SeriesId(1), RunId(31)));
        let judged = judge_input(&input, &thresholds());
        assert_eq!(judged.verdicts[0].after, Some(1290.0));
    }

    #[test]
    fn what_is_no_longer_measured_is_named() {
        let mut input = input(&[1000.0]);
        let both = Results(BTreeMap::from([
            (SeriesId(1), vec![1000.0]),
            (SeriesId(2), vec![5.0]),
        ]));
        input
            .history
            .push((RunId(31), Arc::new(Medians::from_results(&both))));
        input.commits.insert(RunId(31), Arc::from("abc"));
        assert_eq!(judge_input(&input, &thresholds()).missing, [SeriesId(2)]);
        input.runs[0].1.0.insert(SeriesId(2), vec![5.0]);
        assert!(judge_input(&input, &thresholds()).missing.is_empty());
    }

    #[test]
    fn values_beside_the_base_are_those_of_all_runs_of_the_commit() {
        let of = |values: &[f64]| Results(BTreeMap::from([(SeriesId(1), values.to_vec())]));
        let mut few = input(&[]);
        few.history.clear();
        few.runs = vec![(RunId(100), of(&[1400.0]))];
        few.base = Some(of(&[1000.0]));
        few.beside = of(&[1400.0]);
        let judged = judge_input(&few, &thresholds());
        assert_eq!(judged.outcome(), Outcome::NotJudged);
        assert!(
            judged.verdicts[0].reason.contains("one entry of `results`"),
            "{judged:?}"
        );
        assert_eq!(judged.verdicts[0].confidence, 0.0);
        few.base = Some(of(&[1000.0, 1001.0, 1002.0, 1003.0, 1004.0]));
        few.beside = of(&[1400.0, 1401.0, 1402.0, 1403.0, 1404.0]);
        assert_eq!(judge_input(&few, &thresholds()).outcome(), Outcome::Regression);
    }

    #[test]
    fn the_first_time_is_told_from_too_few() {
        let mut first = input(&[5.0]);
        first.history.clear();
        let judged = judge_input(&first, &thresholds());
        assert!(
            judged.verdicts[0]
                .reason
                .starts_with("measured for the first time")
        );
        assert_eq!(judged.outcome(), Outcome::NotJudged);
        let mut few = input(&[5.0]);
        few.history.truncate(2);
        let judged = judge_input(&few, &thresholds());
        assert!(
            judged.verdicts[0].reason.contains("2 runs of history"),
            "{judged:?}"
        );
    }

    #[test]
    fn a_base_measured_beside_the_run_wins_over_history() {
        let mut paired = input(&[]);
        let values = vec![1200.0, 1201.0, 1199.0, 1202.0, 1198.0];
        paired.beside = Results(BTreeMap::from([(SeriesId(1), values)]));
        paired.runs = vec![(RunId(100), paired.beside.clone())];
        paired.base = Some(Results(BTreeMap::from([(
            SeriesId(1),
            vec![1200.5, 1201.5, 1199.5, 1198.5, 1200.0],
        )])));
        let judged = judge_input(&paired, &thresholds());
        assert!(judged.paired);
        assert_eq!(judged.outcome(), Outcome::Unchanged, "{judged:?}");
        assert!(judged.verdicts[0].interval.is_some());
    }

    #[test]
    fn verdicts_survive_their_stored_form() {
        let judged = judge_input(&input(&[1300.0, 1290.0]), &thresholds());
        assert_eq!(RunVerdicts::from_json(&judged.to_json()).unwrap(), judged);
        let public = judged.verdicts[0].to_regression_result(&name("sort"));
        assert!(public.is_regression && public.percent_change.unwrap() > 25.0);
        assert_eq!(public.sample_size, 30);
    }
}
