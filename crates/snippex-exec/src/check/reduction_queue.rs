//! Which bugs have been met, shared by all threads of a check: each is reduced as long as there is time, and no bug
//! twice before every one has an example.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use snippex_triage::cause::{Attribution, CauseId};
use snippex_triage::signature::Signature;

use super::Finding;
use super::attribution::{as_met, guess_attributions};
use crate::engine::EngineError;
use crate::reduce::{Bug, FirstDivergence, Reduced, ReductionLimits, Search, Trial, locate_first_divergence};

/// Cases of a cause that are reduced while blocks are still coming, if none of them gives an example.
const TRIES: u32 = 3;
/// Findings of a cause that wait to be reduced when all blocks are done.
const WAITING: usize = 24;

/// Bugs of a check, and the time spent on them.
#[derive(Debug)]
pub(super) struct ReductionQueue {
    met: Mutex<QueueState>,
    budget: Option<Duration>,
}

#[derive(Debug, Default)]
struct QueueState {
    causes: HashMap<CauseId, Progress>,
    /// Shares that have been met or reduced.
    seen: HashSet<Attribution>,
    /// What each signature that was met has come to, where more than a look is needed to say it.
    known_attributions: HashMap<Signature, Vec<Attribution>>,
    waiting: Vec<Waiting>,
    spent: Duration,
}

/// How far a cause has come.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    /// Reduced examples that are certain.
    examples: u32,
    /// Searches that gave none.
    failed: u32,
    /// A thread is at it.
    busy: bool,
    waiting: usize,
}

/// A finding that is reduced when there is time left.
#[derive(Debug)]
struct Waiting {
    /// Position of its block.
    index: usize,
    finding: Finding,
    attribution: Attribution,
}

impl ReductionQueue {
    pub(super) fn new(known: impl IntoIterator<Item = Attribution>, budget: Option<Duration>) -> Self {
        let mut met = QueueState::default();
        for attribution in known {
            met.causes.entry(attribution.cause.clone()).or_default().examples += 1;
            met.seen.insert(attribution);
        }
        Self {
            met: Mutex::new(met),
            budget,
        }
    }

    /// Notes that the block with position `index` showed `finding`, which comes from `shares`. Returns the bugs that are
    /// new: reduced on the engines of `trial` where the cause had no example.
    pub(super) fn add_finding(
        &self,
        index: usize,
        finding: &Finding,
        first_divergence: Option<&FirstDivergence>,
        attributions: &[Attribution],
        trial: Trial<'_>,
    ) -> Result<Vec<Bug>, EngineError> {
        let wanted: Vec<CauseId> = {
            let mut met = self.lock();
            let in_time = self.budget.is_some_and(|budget| met.spent < budget);
            let causes = attributions.iter().map(|attribution| &attribution.cause);
            causes
                .filter(|cause| in_time && met.claim(cause))
                .cloned()
                .collect()
        };
        let mut new = self.search(finding, first_divergence, &wanted, trial)?;
        let mut met = self.lock();
        for attribution in attributions {
            if met.seen.insert(attribution.clone()) {
                new.push(Bug::unreduced(attribution, finding));
                met.wait(index, finding, attribution, self.budget.is_some());
            }
        }
        Ok(new)
    }

    /// When all blocks are done: reduces a finding that waits, of the cause with the fewest examples. `None` when there
    /// is none, or time is up.
    pub(super) fn next(&self, trial: Trial<'_>) -> Result<Option<(usize, Vec<Bug>)>, EngineError> {
        let Some(waiting) = self.lock().next(self.budget) else {
            return Ok(None);
        };
        let wanted = [waiting.attribution.cause.clone()];
        let bugs = self.search(&waiting.finding, None, &wanted, trial)?;
        Ok(Some((waiting.index, bugs)))
    }

    /// Reduces `finding` for the `wanted` causes, which are this thread's.
    fn search(
        &self,
        finding: &Finding,
        first_divergence: Option<&FirstDivergence>,
        wanted: &[CauseId],
        mut trial: Trial<'_>,
    ) -> Result<Vec<Bug>, EngineError> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let started = Instant::now();
        let first_divergence = match first_divergence {
            Some(first_divergence) => Some(first_divergence.clone()),
            None => locate_first_divergence(&finding.case, &finding.divergence, &mut trial)?,
        };
        let wants = |cause: &CauseId| wanted.contains(cause);
        let bugs = match &first_divergence {
            None => Vec::new(),
            Some(first_divergence) => {
                match Search::bugs_of(
                    &finding.case,
                    first_divergence,
                    trial,
                    ReductionLimits::default(),
                    &wants,
                )? {
                    Reduced::Bugs(bugs) => bugs,
                    _ => Vec::new(),
                }
            }
        };
        let mut met = self.lock();
        met.spent += started.elapsed();
        for cause in wanted {
            let certain = bugs.iter().filter(|bug| bug.cause == *cause && !bug.is_flaky());
            let certain = certain.count() as u32;
            let progress = met.causes.entry(cause.clone()).or_default();
            progress.busy = false;
            progress.examples += certain;
            progress.failed += u32::from(certain == 0);
        }
        for bug in &bugs {
            met.seen.insert(bug.attribution());
        }
        Ok(bugs)
    }

    /// What is behind a finding that showed again.
    pub(super) fn attribute_finding(
        &self,
        finding: &Finding,
        first_divergence: Option<&FirstDivergence>,
    ) -> Vec<Attribution> {
        if !finding.attributions.is_empty() {
            return finding.attributions.clone();
        }
        let met = as_met(finding);
        let attributions = first_divergence.map_or_else(
            || guess_attributions(finding),
            |first_divergence| first_divergence.attributions.clone(),
        );
        if let Some(met) = met {
            self.lock().known_attributions.insert(met, attributions.clone());
        }
        attributions
    }

    /// What a signature that was met before comes from.
    pub(super) fn known_attributions(&self, met: &Signature) -> Option<Vec<Attribution>> {
        self.lock().known_attributions.get(met).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.met.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl QueueState {
    /// Whether `cause` is to be reduced at once, which is then up to the caller.
    fn claim(&mut self, cause: &CauseId) -> bool {
        let progress = self.causes.entry(cause.clone()).or_default();
        let free = progress.examples == 0 && progress.failed < TRIES && !progress.busy;
        progress.busy |= free;
        free
    }

    /// Keeps a finding for later.
    fn wait(&mut self, index: usize, finding: &Finding, attribution: &Attribution, reducing: bool) {
        let progress = self.causes.entry(attribution.cause.clone()).or_default();
        if reducing && progress.waiting < WAITING {
            progress.waiting += 1;
            self.waiting.push(Waiting {
                index,
                finding: finding.clone(),
                attribution: attribution.clone(),
            });
        }
    }

    fn next(&mut self, budget: Option<Duration>) -> Option<Waiting> {
        if budget.is_none_or(|budget| self.spent >= budget) {
            return None;
        }
        let rank = |waiting: &Waiting| {
            let progress = self
                .causes
                .get(&waiting.attribution.cause)
                .copied()
                .unwrap_or_default();
            (progress.examples + progress.failed, waiting.index)
        };
        let free = |waiting: &Waiting| {
            let progress = self.causes.get(&waiting.attribution.cause);
            progress.is_none_or(|progress| !progress.busy)
        };
        let (place, _) = self
            .waiting
            .iter()
            .enumerate()
            .filter(|(_, waiting)| free(waiting))
            .min_by_key(|(_, waiting)| rank(waiting))?;
        let waiting = self.waiting.swap_remove(place);
        self.causes
            .entry(waiting.attribution.cause.clone())
            .or_default()
            .busy = true;
        Some(waiting)
    }
}

impl Bug {
    /// What it is a case of.
    #[must_use]
    pub fn attribution(&self) -> Attribution {
        Attribution {
            cause: self.cause.clone(),
            signature: self.signature.clone(),
        }
    }

    /// A bug with the case in which it was met.
    fn unreduced(attribution: &Attribution, finding: &Finding) -> Self {
        Self {
            cause: attribution.cause.clone(),
            signature: attribution.signature.clone(),
            case: finding.case.clone(),
            expected: finding.expected.clone(),
            actual: finding.actual.clone(),
            divergence: finding.divergence.clone(),
            confirmed: 0,
            complete: false,
            instructions: finding.case.block.instruction_count,
            tried: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use snippex_core::case::Placement;
    use snippex_core::diff::{Class, Divergence, DivergenceKind, Noted};
    use snippex_core::observation::{Endpoint, Observation};
    use snippex_core::state::MachineState;
    use snippex_triage::signature::{BugKind, CodeForm};

    use super::*;

    fn finding() -> Finding {
        let placement = Placement {
            image_base: 0,
            code_base: 0,
        };
        let end = Observation {
            endpoint: Endpoint::Exit { target: 0x1001 },
            state: MachineState::default(),
            memory: Vec::new(),
        };
        Finding {
            start: 0,
            case: crate::reduce::build_nop_case(0x1000, placement),
            expected: end.clone(),
            actual: end,
            divergence: Divergence {
                differences: Vec::new(),
                class: Class {
                    kind: DivergenceKind::Flag,
                    culprit: None,
                },
                noted: Noted::default(),
            },
            runs: 1,
            attributions: Vec::new(),
        }
    }

    fn attribution(cause: &str) -> Attribution {
        Attribution {
            cause: cause.parse().expect("a name"),
            signature: Signature {
                kind: BugKind::Flag,
                form: CodeForm {
                    text: "nop".to_owned(),
                    encoding: "Nopd".to_owned(),
                },
                fields: vec!["flags.CF".to_owned()],
            },
        }
    }

    #[test]
    fn a_cause_is_reduced_at_once_until_it_has_an_example() {
        let mut met = QueueState::default();
        let cause = attribution("a.flags").cause;
        assert!(met.claim(&cause));
        // Another thread is at it.
        assert!(!met.claim(&cause));
        let after = |met: &mut QueueState, examples, failed| {
            met.causes.insert(
                cause.clone(),
                Progress {
                    examples,
                    failed,
                    ..Progress::default()
                },
            );
            met.claim(&cause)
        };
        assert!(after(&mut met, 0, TRIES - 1));
        assert!(!after(&mut met, 0, TRIES));
        assert!(!after(&mut met, 1, 0));
        // What an earlier run has reduced has one.
        let reduction_queue = ReductionQueue::new([attribution("b.flags")], Some(Duration::from_secs(1)));
        assert!(!reduction_queue.lock().claim(&attribution("b.flags").cause));
    }

    #[test]
    fn what_waits_is_taken_by_the_need_of_its_cause() {
        let mut met = QueueState::default();
        let budget = Some(Duration::from_secs(1));
        for (index, cause) in ["many.flags", "few.flags", "busy.flags", "many.flags"]
            .into_iter()
            .enumerate()
        {
            met.wait(index, &finding(), &attribution(cause), true);
        }
        let progress = |met: &mut QueueState, cause: &str, examples, busy| {
            let progress = met.causes.entry(attribution(cause).cause).or_default();
            (progress.examples, progress.busy) = (examples, busy);
        };
        progress(&mut met, "many.flags", 2, false);
        progress(&mut met, "few.flags", 1, false);
        progress(&mut met, "busy.flags", 0, true);
        let next = |met: &mut QueueState| met.next(budget).map(|waiting| waiting.index);
        assert_eq!(next(&mut met), Some(1));
        assert_eq!(next(&mut met), Some(0));
        // That cause is busy now, too.
        assert_eq!(next(&mut met), None);
        progress(&mut met, "many.flags", 3, false);
        met.spent = Duration::from_secs(1);
        assert_eq!(next(&mut met), None);
        assert!(met.next(None).is_none());
    }

    #[test]
    fn not_more_waits_than_can_be_reduced() {
        let mut met = QueueState::default();
        for index in 0..2 * WAITING {
            met.wait(index, &finding(), &attribution("a.flags"), true);
        }
        met.wait(0, &finding(), &attribution("b.flags"), true);
        met.wait(0, &finding(), &attribution("b.flags"), false);
        assert_eq!(met.waiting.len(), WAITING + 1);
    }
}
