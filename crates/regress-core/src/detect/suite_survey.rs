//! Judging a run in two passes over its benchmarks, of which only one is in hand at a time.
//!
//! The first pass gathers what all of them say of the machine: which measures moved as a whole, and what the runs have in
//! common. Some numbers a benchmark stay of it, however long the histories are: a run of a hundred thousand benchmarks is judged
//! in little room. The second pass judges each benchmark by that.

use std::collections::BTreeMap;

use super::common_noise::{CommonMovement, Movement, RunPlaces, own_values};
use super::gate::{GateSettings, Level};
use super::judge_history::{Levelled, PastRuns, conclude};
use super::machine_shift::{Evidence, SuiteShift, common_factor, evidence_from_controls};
use super::verdict::Verdict;
use crate::measurement::{Direction, Measure};
use crate::stats::{benjamini_hochberg, cliffs_delta, mann_whitney, median, normalised_difference};

/// The first pass.
#[derive(Debug)]
pub struct SuiteSurvey {
    settings: GateSettings,
    /// By how much each benchmark moved.
    ratios: BTreeMap<Measure, Ratios>,
    common: BTreeMap<Measure, CommonMovement>,
    /// Where the level of each benchmark begins.
    levels: Vec<usize>,
}

#[derive(Debug, Default)]
struct Ratios {
    judged: Vec<f64>,
    controls: Vec<f64>,
}

/// What the first pass has found, by which benchmarks are judged one by one.
#[derive(Debug)]
pub struct SurveyedSuite {
    settings: GateSettings,
    shifts: Vec<SuiteShift>,
    movements: BTreeMap<Measure, Movement>,
    levels: Vec<usize>,
}

impl SuiteSurvey {
    /// Nothing gathered yet.
    #[must_use]
    pub fn new(settings: GateSettings) -> Self {
        Self {
            settings,
            ratios: BTreeMap::new(),
            common: BTreeMap::new(),
            levels: Vec::new(),
        }
    }

    /// Looks at the next benchmark. `places` is empty where it is not known which values are of one run.
    pub fn add_series(&mut self, past: &PastRuns<'_>, places: &RunPlaces) {
        let level = Level::find(past.history, &self.settings);
        self.levels.push(level.since());
        let measure = &past.key.measure;
        if !past.comparable || measure.is_exact() {
            return;
        }
        let ratios = self.ratios.entry(measure.clone()).or_default();
        let side = if past.threshold.control {
            &mut ratios.controls
        } else {
            &mut ratios.judged
        };
        side.extend(Levelled::new(past, &level).ratio);
        if places.fit(past) {
            let common = self.common.entry(measure.clone()).or_default();
            common.add_series(past, places, &self.settings);
        }
    }

    /// Ends the pass. `outside` is what is known from elsewhere of a machine that moved: it counts where most benchmarks of
    /// the measure moved, too, and control benchmarks did not say more.
    #[must_use]
    pub fn conclude(self, outside: &BTreeMap<Measure, Evidence>) -> SurveyedSuite {
        let shifts = self.ratios.into_iter();
        let shifts = shifts.filter_map(|(measure, ratios)| ratios.shift(measure, outside));
        let movements = self.common.into_iter();
        let movements =
            movements.filter_map(|(measure, common)| Some((measure, common.noise(&self.settings)?)));
        SurveyedSuite {
            shifts: shifts.collect(),
            movements: movements.collect(),
            settings: self.settings,
            levels: self.levels,
        }
    }
}

impl Ratios {
    /// Whether most benchmarks of the measure moved at once, or control benchmarks say that the machine did.
    fn shift(self, measure: Measure, outside: &BTreeMap<Measure, Evidence>) -> Option<SuiteShift> {
        let common = common_factor(&self.judged);
        let by_controls = evidence_from_controls(&self.controls);
        let agrees = |evidence: &&Evidence| {
            common.is_some_and(|(factor, _)| (factor > 1.0) == (evidence.factor() > 1.0))
        };
        let evidence = match self.controls.is_empty() {
            true => outside.get(&measure).filter(agrees).cloned(),
            // Controls that stayed where they were outweigh what others saw.
            false => by_controls,
        };
        if common.is_none() && evidence.is_none() {
            return None;
        }
        let (factor, moved) = common.or_else(|| Some((median(&self.judged)?, 0)))?;
        Some(SuiteShift {
            measure,
            factor,
            moved,
            of: self.judged.len(),
            evidence,
        })
    }
}

impl SurveyedSuite {
    /// The measures of which most benchmarks moved at once, and those of which control benchmarks say that the machine did.
    #[must_use]
    pub fn shifts(&self) -> &[SuiteShift] {
        &self.shifts
    }

    /// Judges the benchmark that the first pass saw as number `index`. Its `q` is for [`q_values`] to say, when all are
    /// judged.
    #[must_use]
    pub fn judge_series(&self, index: usize, past: &PastRuns<'_>, places: &RunPlaces) -> Verdict {
        let settings = &self.settings;
        let level = match self.levels.get(index) {
            Some(since) => Level::beginning_at(past.history, *since, settings),
            None => Level::find(past.history, settings),
        };
        let measured = Levelled::new(past, &level);
        let of_measure = |shift: &&SuiteShift| shift.measure == past.key.measure;
        let shift = self.shifts.iter().find(of_measure);
        let evidence = shift.and_then(|shift| shift.evidence.as_ref());
        let movement = self.movements.get(&past.key.measure);
        let own = movement.and_then(|movement| own_values(past, places, movement, settings));
        let own = own.as_ref().map(|own| PastRuns {
            history: &own.history,
            runs: &own.runs,
            ..past.clone()
        });
        let own_level = own.as_ref().map(|own| Level::find(own.history, settings));
        let own = own.as_ref().zip(own_level.as_ref());
        let own = own.map(|(own, level)| Levelled::new(own, level));
        let (kind, confidence, reason) = conclude(&measured, own.as_ref(), evidence, settings);
        let p = past.comparable.then(|| mann_whitney(past.history, past.runs));
        let difference = normalised_difference(past.history, past.runs);
        Verdict {
            key: past.key.clone(),
            kind,
            before: measured.before,
            after: median(past.runs),
            runs: (past.history.len(), past.runs.len()),
            percent: measured.ratio.map(|ratio| (ratio - 1.0) * 100.0),
            interval: None,
            p: p.flatten().map(|test| test.p),
            q: None,
            effect: cliffs_delta(past.history, past.runs),
            normalised_difference: difference
                .filter(|difference| difference.is_finite())
                .map(|difference| match past.direction {
                    Direction::SmallerIsBetter => difference,
                    Direction::BiggerIsBetter => -difference,
                }),
            threshold: past.threshold.percent,
            noisy: false,
            confidence,
            reason,
        }
    }
}

/// The p values of all benchmarks of a run after the correction for their number, in their order.
#[must_use]
pub fn q_values(p_values: impl Iterator<Item = Option<f64>>) -> Vec<Option<f64>> {
    let p_values: Vec<Option<f64>> = p_values.collect();
    let known: Vec<f64> = p_values.iter().flatten().copied().collect();
    let mut corrected = benjamini_hochberg(&known).into_iter();
    p_values
        .into_iter()
        .map(|p| p.and_then(|_| corrected.next()))
        .collect()
}
