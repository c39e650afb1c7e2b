//! Causes: what makes many signatures one bug.
//!
//! A case of one instruction can show several bugs at a time, and one bug shows in hundreds of signatures: for each
//! operand form, each width, each combination of fields. [`attribute_causes`] sorts the differing fields of a divergence by what
//! is behind them: the sentence of the manual that they contradict ([`crate::pattern`]), where no pattern matches an aspect
//! that many instructions share (`prefix.refused`, `x87.extra-de`), else the family of the instruction and the aspect in which
//! it is wrong. Each [`Attribution`] is a signature of its own,
//! with the fields of its cause only.
//!
//! A [`CauseId`] is a word that says what it is about (`mxcsr-de`, `fprem.result`): the same for the same cause in every
//! run and on every machine, so that bugs can be listed, marked as known and compared by it.
//!
//! Place in the flow: between a divergence whose culprit is known and the list of bugs. No reduction is needed for it:
//! a share of a reduced case is sharper, not of another kind. Nothing is run here.

mod family;
mod general;
mod id;

#[cfg(test)]
mod tests;

pub use id::{BugName, CauseId, ParseCauseIdError};

use serde::{Deserialize, Serialize};

use crate::pattern::{DivergenceFacts, all_bug_patterns};
use crate::signature::{BugKind, DifferingPart, Signature};

/// What of a divergence comes from one cause.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Attribution {
    /// What is behind it.
    pub cause: CauseId,
    /// The signature with the fields of this cause.
    pub signature: Signature,
}

/// The causes behind what `facts` shows, each with its fields, in the order of their ids. Never empty.
#[must_use]
pub fn attribute_causes(facts: &DivergenceFacts<'_>) -> Vec<Attribution> {
    attribute_causes_but(facts, |_, _| false)
}

/// The same without patterns that are not behind a field: `is_disproved` is told the id of a pattern and the field.
#[must_use]
pub fn attribute_causes_but(
    facts: &DivergenceFacts<'_>,
    is_disproved: impl Fn(&str, &str) -> bool,
) -> Vec<Attribution> {
    gathered(facts.signature(), |field| {
        let part = DifferingPart::parse(field)?;
        all_bug_patterns()
            .find(|rule| rule.matches_part(facts, part) && !is_disproved(rule.id, field))
            .map(CauseId::of_pattern)
    })
}

/// The same for who has nothing but the signature: only family and aspect are known.
#[must_use]
pub fn of_signature(signature: &Signature) -> Vec<Attribution> {
    gathered(signature, |_| None)
}

fn gathered(signature: &Signature, ruled: impl Fn(&str) -> Option<CauseId>) -> Vec<Attribution> {
    let mut attributions: Vec<Attribution> = Vec::new();
    for field in &signature.fields {
        let cause = ruled(field)
            .or_else(|| general::general_cause(signature, field))
            .unwrap_or_else(|| family::family_cause(signature, field));
        match attributions
            .iter_mut()
            .find(|attribution| attribution.cause == cause)
        {
            Some(attribution) => attribution.signature.fields.push(field.clone()),
            None => attributions.push(Attribution {
                cause,
                signature: Signature {
                    fields: vec![field.clone()],
                    ..signature.clone()
                },
            }),
        }
    }
    for attribution in &mut attributions {
        attribution.signature.kind = kind(attribution.signature.kind, &attribution.signature.fields);
    }
    attributions.sort_unstable();
    attributions
}

/// The kind of a part of what differs.
fn kind(whole: BugKind, fields: &[String]) -> BugKind {
    let all = |test: fn(DifferingPart) -> bool| {
        let mut parts = fields.iter().map(|field| DifferingPart::parse(field));
        parts.all(|part| part.is_some_and(test))
    };
    if !whole.is_in_state() {
        whole
    } else if all(DifferingPart::is_flag) {
        BugKind::Flag
    } else if all(|part| part == DifferingPart::Memory) {
        BugKind::Memory
    } else {
        BugKind::WrongValue
    }
}
