//! Signatures that are known already, so that a bug is reduced once and not each time it is met.

use std::collections::HashMap;

use super::Signature;

/// Known signatures, found by instruction.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    known: HashMap<String, Vec<Signature>>,
}

impl Catalogue {
    /// Adds a signature; again is no harm.
    pub fn add(&mut self, signature: Signature) {
        let known = self.known.entry(signature.form.text.clone()).or_default();
        if !known.contains(&signature) {
            known.push(signature);
        }
    }

    /// Known signatures that together account for all of `met`: the signature of a divergence as it was met, in which
    /// several bugs of one instruction may show at the same time, and each of them only in a part (a flag that was set
    /// before cannot be missing). `None` when something about it is new.
    #[must_use]
    pub fn explain(&self, met: &Signature) -> Option<Vec<&Signature>> {
        let (known, rest) = self.account(met);
        rest.is_empty().then_some(known).filter(|known| !known.is_empty())
    }

    /// Known signatures that account for a part of `met`, as [`Catalogue::explain`] has them, and the fields that none
    /// does.
    #[must_use]
    pub fn account(&self, met: &Signature) -> (Vec<&Signature>, Vec<String>) {
        let known = self.known.get(&met.form.text).map_or(&[][..], Vec::as_slice);
        let mut known: Vec<&Signature> = known
            .iter()
            .filter(|known| known.kind.is_like(met.kind) && known.form.encoding == met.form.encoding)
            .collect();
        if let Some(same) = known.iter().find(|known| known.fields == met.fields) {
            return (vec![same], Vec::new());
        }
        // Those that show in the fewest other parts first.
        let beyond = |known: &Signature| {
            known
                .fields
                .iter()
                .filter(|field| !met.fields.contains(field))
                .count()
        };
        known.sort_by_key(|known| (beyond(known), std::cmp::Reverse(known.fields.len())));
        let mut left: Vec<&String> = met.fields.iter().collect();
        let mut taken = Vec::new();
        for signature in known {
            let before = left.len();
            left.retain(|field| !signature.fields.contains(field));
            if left.len() < before {
                taken.push(signature);
            }
        }
        (taken, left.into_iter().cloned().collect())
    }
}
