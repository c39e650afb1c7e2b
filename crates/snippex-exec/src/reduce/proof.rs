//! Proof by counterfactual: a pattern about a prefix or a mode bit is believed when the difference goes away without it.

use snippex_core::case::Case;
use snippex_core::diff::Comparison;
use snippex_triage::cause::{Attribution, attribute_causes_but};
use snippex_triage::pattern::{DivergenceFacts, counterfactual_case};
use snippex_triage::signature::Signature;

use super::culprit::shares_of;
use super::trial::{Trial, TrialOutcome};
use crate::engine::EngineError;

/// Times that another pattern is tried for what one has been disproved of.
const ROUNDS: usize = 3;

/// What is behind each of `shown`, cases with what they show at their last instruction, with patterns that do not stand
/// their proof left out: a field that differs without what the pattern is about has another cause. `None` for cases that
/// do not diverge. With `careful`, changed cases may kill the engine.
///
/// # Errors
/// When an engine cannot be used.
pub(crate) fn prove_attributions(
    shown: &[(&Case, &TrialOutcome)],
    careful: bool,
    trial: &mut Trial<'_>,
) -> Result<Vec<Option<Vec<Attribution>>>, EngineError> {
    let mut attributions: Vec<Option<Vec<Attribution>>> =
        shown.iter().map(|(case, seen)| shares_of(case, seen)).collect();
    let mut disproved: Vec<Vec<(String, String)>> = vec![Vec::new(); shown.len()];
    for _ in 0..ROUNDS {
        let claims = claims_of(shown, &attributions, &disproved);
        if claims.is_empty() {
            break;
        }
        let changed: Vec<Case> = claims.iter().map(|claim| claim.changed.clone()).collect();
        let mut again = vec![false; shown.len()];
        for (claim, seen) in claims.iter().zip(trial.run_cases(&changed, careful)?) {
            let left = seen.map_or_else(Vec::new, |seen| fields_of(&claim.changed, &seen));
            for field in &claim.attribution.signature.fields {
                let fact = (claim.attribution.cause.to_string(), field.clone());
                again[claim.index] |= left.contains(field);
                if left.contains(field) {
                    disproved[claim.index].push(fact);
                }
            }
        }
        for index in (0..shown.len()).filter(|&index| again[index]) {
            let (case, seen) = shown[index];
            attributions[index] = attributed_but(case, seen, &disproved[index]);
        }
        if !again.contains(&true) {
            break;
        }
    }
    Ok(attributions)
}

/// A pattern that is said to be behind a case, and the case without what it is about.
struct Claim<'a> {
    index: usize,
    attribution: &'a Attribution,
    changed: Case,
}

/// What can be put to the proof and has not been.
fn claims_of<'a>(
    shown: &[(&Case, &TrialOutcome)],
    attributions: &'a [Option<Vec<Attribution>>],
    disproved: &[Vec<(String, String)>],
) -> Vec<Claim<'a>> {
    let mut claims = Vec::new();
    for (index, found) in attributions.iter().enumerate() {
        for attribution in found.iter().flatten() {
            let cause = attribution.cause.as_str();
            let was_tried = disproved[index].iter().any(|(id, _)| id == cause);
            let changed = counterfactual_case(cause, shown[index].0).filter(|_| !was_tried);
            claims.extend(changed.map(|changed| Claim {
                index,
                attribution,
                changed,
            }));
        }
    }
    claims
}

/// The differing fields of `case` at its last instruction.
fn fields_of(case: &Case, seen: &TrialOutcome) -> Vec<String> {
    let Comparison::Diverged(divergence) = &seen.comparison else {
        return Vec::new();
    };
    let last = (case.block.instruction_count as usize).saturating_sub(1);
    Signature::from_divergence(&case.block, last, divergence)
        .map_or_else(Vec::new, |signature| signature.fields)
}

/// What is behind `case` when some patterns are not behind some fields.
fn attributed_but(
    case: &Case,
    seen: &TrialOutcome,
    disproved: &[(String, String)],
) -> Option<Vec<Attribution>> {
    let Comparison::Diverged(divergence) = &seen.comparison else {
        return None;
    };
    let last = (case.block.instruction_count as usize).checked_sub(1)?;
    let signature = Signature::from_divergence(&case.block, last, divergence)?;
    let facts = DivergenceFacts::new(&signature, case, &seen.expected, &divergence.differences)?;
    Some(attribute_causes_but(&facts, |id, field| {
        disproved.iter().any(|(known, of)| known == id && of == field)
    }))
}
