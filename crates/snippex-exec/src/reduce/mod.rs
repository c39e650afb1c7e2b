//! Reduction on engines: from a diverging case to the plainest one that still shows the bug, with its signature.
//!
//! What to try is proposed by `snippex_triage::reduce`; here it is run, in batches, on both engines. A case can show
//! several bugs of one instruction at the same time: each gets a reduction of its own. What comes out is confirmed in
//! fresh processes before it is believed.

mod culprit;
mod proof;
mod trial;

use std::time::{Duration, Instant};

use snippex_core::case::Case;
use snippex_core::diff::{Comparison, Divergence, InconclusiveReason, Tolerance};
use snippex_core::observation::Observation;
use snippex_core::state::MachineState;
use snippex_triage::cause::{Attribution, CauseId, of_signature};
use snippex_triage::reduce::{Reducer, block_prefix, instruction_ends, starting_at};
use snippex_triage::signature::{BugKind, Signature};

pub use culprit::{FirstDivergence, locate_first_divergence};
pub(crate) use proof::prove_attributions;
pub use snippex_triage::reduce::CONFIRMATIONS;
#[cfg(test)]
pub(crate) use trial::build_nop_case;
pub use trial::{Trial, TrialOutcome};

use crate::engine::{Engine, EngineError};
use crate::results::Unsupported;

/// Bugs looked for in one case.
const MAX_BUGS: usize = 8;
/// MXCSR exception flags.
const MXCSR_FLAGS: u32 = 0x3f;
/// Everything in the x87 status word but TOP.
const X87_FLAGS: u16 = !(7 << 11);

/// How much may be spent.
#[derive(Clone, Copy, Debug)]
pub struct ReductionLimits {
    /// Time for one case. What was reached by then is the result.
    pub time: Duration,
}

impl Default for ReductionLimits {
    /// Five seconds: ten times what a typical block takes.
    fn default() -> Self {
        Self {
            time: Duration::from_secs(5),
        }
    }
}

/// A bug with the plainest case that was found for it.
#[derive(Clone, Debug)]
pub struct Bug {
    /// What is behind it, which makes it this bug.
    pub cause: CauseId,
    /// What the case shows of it.
    pub signature: Signature,
    /// The case: its last instruction is the one at fault.
    pub case: Case,
    /// How it ended on the reference engine.
    pub expected: Observation,
    /// How it ended on the subject.
    pub actual: Observation,
    /// What differs.
    pub divergence: Divergence,
    /// Of [`CONFIRMATIONS`] runs in fresh processes, those that showed it; 0 when none were made.
    pub confirmed: u32,
    /// Whether the search came to its end. Otherwise the case is as it was met, or as far as time allowed.
    pub complete: bool,
    /// Instructions of the case that the search began with.
    pub instructions: u32,
    /// Cases tried.
    pub tried: u32,
}

impl Bug {
    /// Whether it did not show in every confirmation.
    #[must_use]
    pub fn is_flaky(&self) -> bool {
        self.confirmed < CONFIRMATIONS
    }
}

/// What became of a case.
#[derive(Clone, Debug)]
pub enum Reduced {
    /// The bugs that it shows; never empty.
    Bugs(Vec<Bug>),
    /// Both engines end alike: there is nothing to reduce.
    Agrees,
    /// The two runs cannot be compared.
    Inconclusive(InconclusiveReason),
    /// An engine does not run it.
    Unsupported(Unsupported),
    /// It diverges, but no single instruction can be found at fault.
    NoCulprit(Box<Divergence>),
}

/// Reduces `case`.
///
/// # Errors
/// When an engine cannot be used.
pub fn reduce_case(
    case: &Case,
    reference: &mut dyn Engine,
    subject: &mut dyn Engine,
    tolerance: &Tolerance,
    limits: ReductionLimits,
) -> Result<Reduced, EngineError> {
    let mut trial = Trial::new(reference, subject, tolerance);
    let seen = match trial.run_case(case)? {
        Err(reason) => return Ok(Reduced::Unsupported(reason)),
        Ok(seen) => seen,
    };
    let divergence = match seen.comparison {
        Comparison::Match(_) => return Ok(Reduced::Agrees),
        Comparison::Inconclusive(reason) => return Ok(Reduced::Inconclusive(reason)),
        Comparison::Diverged(divergence) => divergence,
    };
    let Some(first_divergence) = locate_first_divergence(case, &divergence, &mut trial)? else {
        return Ok(Reduced::NoCulprit(Box::new(divergence)));
    };
    Search::bugs_of(case, &first_divergence, trial, limits, &|_| true)
}

/// A case with what it shows.
#[derive(Clone)]
struct Shown {
    case: Case,
    signature: Signature,
    attributions: Vec<Attribution>,
    seen: TrialOutcome,
    divergence: Divergence,
}

impl Shown {
    /// The part of one cause.
    fn attribution(&self, cause: &CauseId) -> Option<&Attribution> {
        self.attributions
            .iter()
            .find(|attribution| attribution.cause == *cause)
    }
}

/// The search for the bugs of one case.
pub(crate) struct Search<'t> {
    trial: Trial<'t>,
    started: Instant,
    limits: ReductionLimits,
    /// Candidates may kill the engine or keep it from ending.
    careful: bool,
    /// The state that the instruction at fault met.
    before: Option<MachineState>,
    tried: u32,
}

impl<'t> Search<'t> {
    /// Reduces `case`, whose culprit is known, once for each cause that `wants`.
    pub(crate) fn bugs_of(
        case: &Case,
        first_divergence: &FirstDivergence,
        trial: Trial<'t>,
        limits: ReductionLimits,
        wants: &dyn Fn(&CauseId) -> bool,
    ) -> Result<Reduced, EngineError> {
        let kind = BugKind::from_divergence(&first_divergence.divergence);
        let search = Search {
            trial,
            started: Instant::now(),
            limits,
            careful: matches!(kind, BugKind::EngineDied | BugKind::EngineHung),
            before: first_divergence
                .before
                .as_ref()
                .map(|before| before.state.clone()),
            tried: 0,
        };
        let bugs = search.bugs(case, first_divergence, wants)?;
        Ok(if bugs.is_empty() {
            Reduced::Agrees
        } else {
            Reduced::Bugs(bugs)
        })
    }

    fn bugs(
        mut self,
        case: &Case,
        first_divergence: &FirstDivergence,
        wants: &dyn Fn(&CauseId) -> bool,
    ) -> Result<Vec<Bug>, EngineError> {
        let mut bugs: Vec<Bug> = Vec::new();
        let was_met = |cause: &CauseId| {
            first_divergence
                .attributions
                .iter()
                .any(|attribution| attribution.cause == *cause)
        };
        for (index, base) in self.bases(case, first_divergence)?.into_iter().enumerate() {
            for attribution in &base.attributions {
                // The plainest base may show more than what was met, another one shows what the plainest does not.
                let is_new = bugs.iter().all(|bug| bug.cause != attribution.cause);
                let is_meant = index == 0 || was_met(&attribution.cause);
                if is_new && is_meant && wants(&attribution.cause) && bugs.len() < MAX_BUGS {
                    bugs.extend(self.bug(case, &base, attribution)?);
                }
            }
        }
        Ok(bugs)
    }

    /// The bug behind a `share` of what `base` shows.
    fn bug(
        &mut self,
        case: &Case,
        base: &Shown,
        attribution: &Attribution,
    ) -> Result<Option<Bug>, EngineError> {
        let (shown, complete) = self.reduced(base, attribution)?;
        let Some(attribution) = shown.attribution(&attribution.cause).cloned() else {
            return Ok(None);
        };
        let mut bug = Bug {
            cause: attribution.cause,
            signature: attribution.signature,
            case: shown.case,
            expected: shown.seen.expected,
            actual: shown.seen.actual,
            divergence: shown.divergence,
            confirmed: 0,
            complete,
            instructions: case.block.instruction_count,
            tried: self.tried,
        };
        bug.confirmed = self.confirm(&bug)?;
        Ok(Some(bug))
    }

    /// Where the search may begin, the plainest first: the instruction at fault alone, or the block up to it; without
    /// exception flags that were set before, which would hide that they are missing, or with them, since they could be
    /// missed when they are to be cleared.
    fn bases(&mut self, case: &Case, first_divergence: &FirstDivergence) -> Result<Vec<Shown>, EngineError> {
        let ends = instruction_ends(&case.block);
        let (index, end) = (first_divergence.instruction, ends[first_divergence.instruction]);
        let whole = Case {
            block: block_prefix(&case.block, end, index + 1).into(),
            ..case.clone()
        };
        let mut starts = Vec::new();
        // The plainest first.
        if let Some(before) = &first_divergence.before {
            starts.extend(with_and_without_flags(starting_at(
                &whole,
                ends[index - 1],
                index,
                before,
            )));
        }
        starts.extend(with_and_without_flags(whole));
        let met = &first_divergence.signature;
        let shown = self.show(starts)?;
        let alike = |shown: &Shown| {
            let signature = &shown.signature;
            signature.form.text == met.form.text
                && signature.kind.is_like(met.kind)
                && signature.fields.iter().any(|field| met.fields.contains(field))
        };
        Ok(shown.into_iter().flatten().filter(alike).collect())
    }

    /// The plainest case that still shows some of `share`, and nothing of causes that `base` does not show; and whether
    /// the search came to its end.
    fn reduced(&mut self, base: &Shown, attribution: &Attribution) -> Result<(Shown, bool), EngineError> {
        let keeps = |shown: &Shown| {
            let still = shown.attribution(&attribution.cause);
            let fields = &attribution.signature.fields;
            shown.signature.form.text == base.signature.form.text
                && shown.signature.kind.is_like(base.signature.kind)
                && shown
                    .attributions
                    .iter()
                    .all(|found| base.attribution(&found.cause).is_some())
                && still
                    .is_some_and(|still| still.signature.fields.iter().all(|field| fields.contains(field)))
        };
        let mut reducer = Reducer::new(base.case.clone()).with_state_before(self.before.clone());
        let mut complete = true;
        loop {
            if self.started.elapsed() > self.limits.time {
                complete = false;
                break;
            }
            let candidates = reducer.next_candidates();
            if candidates.is_empty() {
                break;
            }
            self.tried += candidates.len() as u32;
            let shown = self.show(candidates)?;
            let kept: Vec<bool> = shown
                .iter()
                .map(|shown| shown.as_ref().is_some_and(keeps))
                .collect();
            reducer.record_outcomes(&kept);
        }
        let last = self.show(vec![reducer.case().clone()])?.pop().flatten();
        // A case that does not show it a second time is no progress: confirmation will tell.
        Ok(match last.filter(keeps) {
            Some(shown) => (shown, complete),
            None => (base.clone(), false),
        })
    }

    /// What each case shows at its last instruction: `None` when it does not diverge, or does so before.
    fn show(&mut self, cases: Vec<Case>) -> Result<Vec<Option<Shown>>, EngineError> {
        let mut all = cases.clone();
        // The instructions before the last one have to agree.
        let mut heads = Vec::new();
        for (index, case) in cases.iter().enumerate() {
            let count = case.block.instruction_count as usize;
            if count > 1 {
                let ends = instruction_ends(&case.block);
                if let Some(&end) = ends.get(count - 2) {
                    heads.push(index);
                    all.push(Case {
                        block: block_prefix(&case.block, end, count - 1).into(),
                        ..case.clone()
                    });
                }
            }
        }
        let mut seen = self.trial.run_cases(&all, self.careful)?;
        let of_heads = seen.split_off(cases.len());
        for (index, head) in heads.into_iter().zip(of_heads) {
            let agrees = head.is_some_and(|head| matches!(head.comparison, Comparison::Match(_)));
            if !agrees {
                seen[index] = None;
            }
        }
        let mut attributions = self.prove_all(&cases, &seen)?.into_iter();
        Ok(cases
            .into_iter()
            .zip(seen)
            .map(|(case, seen)| {
                let proven = attributions.next().flatten();
                let seen = seen?;
                let Comparison::Diverged(divergence) = &seen.comparison else {
                    return None;
                };
                let divergence = divergence.clone();
                let last = (case.block.instruction_count as usize).checked_sub(1)?;
                let signature = Signature::from_divergence(&case.block, last, &divergence)?;
                let attributions = proven.unwrap_or_else(|| of_signature(&signature));
                Some(Shown {
                    case,
                    signature,
                    attributions,
                    seen,
                    divergence,
                })
            })
            .collect())
    }

    /// What is behind each of `cases`, proved.
    fn prove_all(
        &mut self,
        cases: &[Case],
        seen: &[Option<TrialOutcome>],
    ) -> Result<Vec<Option<Vec<Attribution>>>, EngineError> {
        let (places, shown): (Vec<usize>, Vec<(&Case, &TrialOutcome)>) = cases
            .iter()
            .zip(seen)
            .enumerate()
            .filter_map(|(at, (case, seen))| Some((at, (case, seen.as_ref()?))))
            .unzip();
        let mut all = vec![None; cases.len()];
        let proven = prove_attributions(&shown, self.careful, &mut self.trial)?;
        for (at, attributions) in places.into_iter().zip(proven) {
            all[at] = attributions;
        }
        Ok(all)
    }

    /// How often the bug shows in fresh processes.
    fn confirm(&mut self, bug: &Bug) -> Result<u32, EngineError> {
        let mut confirmed = 0;
        for _ in 0..CONFIRMATIONS {
            self.trial.restart()?;
            let shown = self.show(vec![bug.case.clone()])?.pop().flatten();
            let again = |shown: Shown| {
                shown
                    .attribution(&bug.cause)
                    .is_some_and(|attribution| attribution.signature == bug.signature)
            };
            confirmed += u32::from(shown.is_some_and(again));
        }
        Ok(confirmed)
    }
}

/// `case` without exception flags, and `case`.
fn with_and_without_flags(case: Case) -> [Case; 2] {
    let mut plainer = case.clone();
    plainer.state.mxcsr &= !MXCSR_FLAGS;
    plainer.state.x87.status &= !X87_FLAGS;
    [plainer, case]
}
