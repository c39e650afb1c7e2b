//! Rulings: what a sentence of the manual says about a divergence, where one decides.
//!
//! A [`BugPattern`] matches those differing parts of the state that contradict its sentence. It is what makes many
//! signatures one bug: an engine that never sets MXCSR.DE has one bug for its developer, and a signature for each
//! instruction and operand form. All patterns hold against the subject; where none is found, the engine that
//! is taken as right is the only judge.
//!
//! Place in the flow: `cause` asks the patterns about the fields of a divergence. Undefined results never reach this
//! point (`effects`), nothing is run here.

mod counterfactual;
mod encoding;
mod facts;
mod integer;
mod machine;
mod memory;
mod nearness;
mod stack;
mod vector;
mod x87;

use serde::Serialize;

use crate::signature::DifferingPart;

pub use counterfactual::counterfactual_case;
pub use facts::DivergenceFacts;

/// A sentence of the manual.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct BugPattern {
    /// Stable name; the id of the bug that it makes.
    pub id: &'static str,
    /// The bug in a few words.
    pub title: &'static str,
    /// What has to happen, in a sentence.
    pub what: &'static str,
    /// Where the manual says so.
    pub reference: &'static str,
    /// Whether a differing part of the state contradicts the sentence.
    #[serde(skip)]
    matches: fn(&DivergenceFacts<'_>, DifferingPart) -> bool,
}

impl BugPattern {
    /// The edition of the manual that was read for it; section numbers move from one to the next. `None` where it was not
    /// noted.
    #[must_use]
    pub fn manual_edition(&self) -> Option<&'static str> {
        match self.reference {
            // The 256-bit form is younger than the other edition.
            reference if reference.contains("AESDEC") => Some("December 2023"),
            reference if reference.starts_with("SDM") => Some("June 2016 (059US)"),
            reference if reference.starts_with("APM vol. 3") => Some("24594, revision 3.10"),
            _ => None,
        }
    }

    /// Whether `part` of what `facts` shows contradicts the sentence.
    pub(crate) fn matches_part(&self, facts: &DivergenceFacts<'_>, part: DifferingPart) -> bool {
        (self.matches)(facts, part)
    }
}

/// Every pattern, in the order in which they are tried: the first that matches a field has it, so narrow ones stand
/// before wide ones.
pub fn all_bug_patterns() -> impl Iterator<Item = &'static BugPattern> {
    [
        encoding::RULES,
        machine::RULES,
        integer::RULES,
        memory::RULES,
        vector::RULES,
        stack::RULES,
        x87::RULES,
    ]
    .into_iter()
    .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_a_name_of_its_own_and_a_reference() {
        let mut ids: Vec<_> = all_bug_patterns().map(|rule| rule.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all_bug_patterns().count());
        for rule in all_bug_patterns() {
            assert!(
                rule.reference.starts_with("SDM vol.") || rule.reference.starts_with("APM vol."),
                "{}",
                rule.id
            );
            assert!(
                rule.what
                    .ends_with(|last: char| last.is_alphanumeric() || last == ')'),
                "{}",
                rule.id
            );
        }
    }
}
