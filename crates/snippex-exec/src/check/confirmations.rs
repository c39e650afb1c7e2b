//! What has been repeated and kept, shared by all threads of a check.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use snippex_triage::cause::{Attribution, CauseId};
use snippex_triage::signature::{BugKind, CodeForm};

/// What has been confirmed so far.
#[derive(Debug, Default)]
pub(super) struct Confirmations {
    /// How many findings of each cause in a form of an instruction were kept.
    kept: Mutex<HashMap<(CauseId, CodeForm, BugKind), u32>>,
}

impl Confirmations {
    /// Whether `keep` findings of each of `shares` were kept, whatever fields differed.
    pub(super) fn has_enough_findings(&self, keep: u32, attributions: &[Attribution]) -> bool {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        attributions.iter().all(|attribution| {
            kept.get(&Self::key(attribution))
                .is_some_and(|&kept| kept >= keep)
        })
    }

    /// Notes that a finding is kept.
    pub(super) fn add_finding(&self, attributions: &[Attribution]) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        for attribution in attributions {
            *kept.entry(Self::key(attribution)).or_default() += 1;
        }
    }

    fn key(attribution: &Attribution) -> (CauseId, CodeForm, BugKind) {
        let signature = &attribution.signature;
        (attribution.cause.clone(), signature.form.clone(), signature.kind)
    }
}
