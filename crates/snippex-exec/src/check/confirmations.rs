//! What has been repeated and kept, shared by all threads of a check.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use snippex_core::cause::{CauseId, Share};
use snippex_core::diff::{Class, Kind};
use snippex_core::signature::{BugKind, Form};

/// What has been confirmed so far.
#[derive(Debug, Default)]
pub(super) struct Confirmations {
    /// How often each class has been confirmed in processes of its own.
    classes: Mutex<HashMap<(Kind, String), u32>>,
    /// How many findings of each cause in a form of an instruction were kept.
    kept: Mutex<HashMap<(CauseId, Form, BugKind), u32>>,
}

impl Confirmations {
    const OWN_PROCESSES: u32 = 8;

    /// Whether the class is still to be confirmed in processes of its own; counts.
    pub(super) fn is_new(&self, class: &Class) -> bool {
        let form = class
            .culprit
            .as_ref()
            .map(|culprit| culprit.form.clone())
            .unwrap_or_default();
        let mut counts = self.classes.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry((class.kind, form)).or_default();
        *count += 1;
        *count <= Self::OWN_PROCESSES
    }

    /// Whether `keep` findings of each of `shares` were kept, whatever fields differed.
    pub(super) fn has(&self, keep: u32, shares: &[Share]) -> bool {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        shares
            .iter()
            .all(|share| kept.get(&Self::key(share)).is_some_and(|&kept| kept >= keep))
    }

    /// Notes that a finding is kept.
    pub(super) fn kept(&self, shares: &[Share]) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        for share in shares {
            *kept.entry(Self::key(share)).or_default() += 1;
        }
    }

    fn key(share: &Share) -> (CauseId, Form, BugKind) {
        let signature = &share.signature;
        (share.cause.clone(), signature.form.clone(), signature.kind)
    }
}
