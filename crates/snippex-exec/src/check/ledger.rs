//! Which bugs have been met, shared by all threads of a check: each is reduced once.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use snippex_core::signature::{Catalogue, Signature};

use super::Finding;
use crate::engine::EngineError;
use crate::reduce::{Bug, Limits, Parting, Reduced, Search, Trial};

/// Bugs of a check, and the time spent on them.
#[derive(Debug)]
pub(super) struct Ledger {
    met: Mutex<Met>,
    budget: Option<Duration>,
}

#[derive(Debug)]
struct Met {
    reduced: Catalogue,
    /// As they were met: time was up, or they did not show again.
    unreduced: Catalogue,
    /// What each signature that was met has come to, where the catalogues do not say it.
    settled: HashMap<Signature, Vec<Signature>>,
    spent: Duration,
}

/// What a finding comes from.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Its bugs.
    pub(super) signatures: Vec<Signature>,
    /// Those that are new.
    pub(super) new: Vec<Bug>,
}

impl Ledger {
    pub(super) fn new(known: Catalogue, budget: Option<Duration>) -> Self {
        Self {
            met: Mutex::new(Met {
                reduced: known,
                unreduced: Catalogue::default(),
                settled: HashMap::new(),
                spent: Duration::ZERO,
            }),
            budget,
        }
    }

    /// The bugs that `finding` comes from, reduced on the engines of `trial` if they are new.
    pub(super) fn bugs(
        &self,
        finding: &Finding,
        parting: Option<&Parting>,
        trial: Trial<'_>,
    ) -> Result<Found, EngineError> {
        let met = parting
            .map(|parting| parting.signature.clone())
            .or_else(|| as_met(finding));
        let Some(met) = met else {
            return Ok(Found::default());
        };
        if let Some(signatures) = self.known(&met) {
            return Ok(Found {
                signatures,
                new: Vec::new(),
            });
        }
        let time_is_left = self.budget.is_some_and(|budget| self.lock().spent < budget);
        let started = Instant::now();
        let new = match parting.filter(|_| time_is_left) {
            None => Vec::new(),
            Some(parting) => match Search::bugs_of(&finding.case, parting, trial, Limits::default())? {
                Reduced::Bugs(bugs) => bugs,
                _ => Vec::new(),
            },
        };
        let mut ledger = self.lock();
        ledger.spent += started.elapsed();
        if new.is_empty() {
            // Of a bug that is not reduced only that is news which no known one accounts for.
            let (known, rest) = ledger.reduced.account(&met);
            let mut signatures: Vec<Signature> = known.into_iter().cloned().collect();
            let rest = if rest.is_empty() { met.fields.clone() } else { rest };
            let rest = Signature {
                fields: rest,
                ..met.clone()
            };
            let is_new = ledger.unreduced.explain(&rest).is_none();
            ledger.unreduced.add(rest.clone());
            signatures.push(rest.clone());
            ledger.settled.insert(met, signatures.clone());
            return Ok(Found {
                signatures,
                new: is_new
                    .then(|| Bug::unreduced(rest, finding))
                    .into_iter()
                    .collect(),
            });
        }
        for bug in &new {
            ledger.reduced.add(bug.signature.clone());
        }
        let signatures: Vec<Signature> = new.iter().map(|bug| bug.signature.clone()).collect();
        // Fields that cannot be told from those of another bug are not looked for again.
        ledger.settled.insert(met, signatures.clone());
        Ok(Found { signatures, new })
    }

    /// The bugs that a finding like earlier ones comes from.
    pub(super) fn explained(&self, finding: &Finding) -> Vec<Signature> {
        as_met(finding)
            .and_then(|met| self.known(&met))
            .unwrap_or_default()
    }

    fn known(&self, met: &Signature) -> Option<Vec<Signature>> {
        let ledger = self.lock();
        if let Some(known) = ledger.reduced.explain(met) {
            return Some(known.into_iter().cloned().collect());
        }
        ledger.settled.get(met).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Met> {
        self.met.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The signature by the guess that the comparison made.
pub(super) fn as_met(finding: &Finding) -> Option<Signature> {
    let culprit = finding.divergence.class.culprit.as_ref();
    let last = (finding.case.block.instruction_count as usize).saturating_sub(1);
    let index = culprit.map_or(last, |culprit| culprit.instruction);
    Signature::of(&finding.case.block, index, &finding.divergence)
}

impl Bug {
    /// A bug with the case in which it was met.
    fn unreduced(signature: Signature, finding: &Finding) -> Self {
        Self {
            signature,
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
