//! What is behind a finding, where a look at it is enough.

use iced_x86::{Instruction, Mnemonic};
use snippex_core::block::Block;
use snippex_core::case::Case;
use snippex_core::decode::block_decoder;
use snippex_core::diff::{Comparison, Divergence, Tolerance, compare_with};
use snippex_core::effects::BlockEffects;
use snippex_core::observation::{Endpoint, Observation};
use snippex_core::state::Components;
use snippex_triage::cause::{Attribution, attribute_causes, of_signature};
use snippex_triage::pattern::{DivergenceFacts, counterfactual_case};
use snippex_triage::reduce::{block_prefix, instruction_ends};
use snippex_triage::signature::Signature;

use super::Finding;
use crate::engine::EngineError;
use crate::reduce::{Trial, TrialOutcome, prove_attributions};

/// Two ends of a case, and what of them is compared.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends<'e> {
    pub(super) expected: &'e Observation,
    pub(super) actual: &'e Observation,
    pub(super) covered: Components,
    pub(super) tolerance: &'e Tolerance,
}

/// The causes of a divergence of one instruction, which need no run: it is at fault. `None` for longer blocks, but for
/// those of one x87 instruction and the WAIT that delivers its exception.
pub(super) fn at_once(
    effects: &BlockEffects,
    case: &Case,
    ends: Ends<'_>,
    divergence: &Divergence,
) -> Option<Vec<Attribution>> {
    match case.block.instruction_count {
        1 => of(effects, case, ends.expected, divergence),
        2 => {
            let first = before_wait(&case.block)?;
            let alone = Case {
                block: block_prefix(&case.block, first, 1).into(),
                ..case.clone()
            };
            let effects_alone = BlockEffects::new(&alone.block);
            if !ends_at(case, first, ends) {
                return of(&effects_alone, &alone, ends.expected, divergence);
            }
            // WAIT changes nothing and may fault: the states are those behind the instruction before it. If they differ,
            // a missing signal is but what follows.
            let went_on = |end: &Observation| Observation {
                endpoint: Endpoint::Exit {
                    target: alone.block.end_address().wrapping_add(alone.placement.code_base),
                },
                ..end.clone()
            };
            let (expected, actual) = (went_on(ends.expected), went_on(ends.actual));
            let compared = compare_with(
                &effects_alone,
                &alone,
                &expected,
                &actual,
                ends.covered,
                ends.tolerance,
            );
            match compared {
                Comparison::Diverged(divergence) => of(&effects_alone, &alone, &expected, &divergence),
                _ => of(effects, case, ends.expected, divergence),
            }
        }
        _ => None,
    }
}

/// Puts what a look at `finding` has told to the proof, where it is about one instruction.
///
/// # Errors
/// When an engine cannot be used.
pub(super) fn prove_finding(finding: &mut Finding, trial: &mut Trial<'_>) -> Result<(), EngineError> {
    let proves =
        |attribution: &Attribution| counterfactual_case(attribution.cause.as_str(), &finding.case).is_some();
    if finding.case.block.instruction_count != 1 || !finding.attributions.iter().any(proves) {
        return Ok(());
    }
    let seen = TrialOutcome {
        expected: finding.expected.clone(),
        actual: finding.actual.clone(),
        comparison: Comparison::Diverged(finding.divergence.clone()),
    };
    if let Some(Some(proven)) = prove_attributions(&[(&finding.case, &seen)], false, trial)?.pop() {
        finding.attributions = proven;
    }
    Ok(())
}

/// What is behind a divergence of the last instruction of `case`.
fn of(
    effects: &BlockEffects,
    case: &Case,
    expected: &Observation,
    divergence: &Divergence,
) -> Option<Vec<Attribution>> {
    let last = effects.instruction_count().checked_sub(1)?;
    let signature = Signature::from_divergence(&case.block, last, divergence)?;
    let facts = DivergenceFacts::from_effects(effects, &signature, case, expected, &divergence.differences)?;
    Some(attribute_causes(&facts))
}

/// Length of the first instruction, if the second is WAIT.
fn before_wait(block: &Block) -> Option<usize> {
    let mut decoder = block_decoder(block);
    let mut instruction = Instruction::default();
    decoder.decode_out(&mut instruction);
    let first = decoder.position();
    decoder.decode_out(&mut instruction);
    (instruction.mnemonic() == Mnemonic::Wait).then_some(first)
}

/// Whether a signal comes from the second instruction, behind `first` bytes, and none from the first.
fn ends_at(case: &Case, first: usize, ends: Ends<'_>) -> bool {
    let start = case.code_address();
    let raised_at = |address| {
        [ends.expected, ends.actual]
            .into_iter()
            .any(|end| matches!(end.endpoint, Endpoint::Signal(signal) if signal.rip == address))
    };
    raised_at(start.wrapping_add(first as u64)) && !raised_at(start)
}

/// What is behind a finding of which runs of its beginnings do not tell the instruction: judged as if the state that
/// it met were that of the start.
pub(super) fn guess_attributions(finding: &Finding) -> Vec<Attribution> {
    let Some(met) = as_met(finding) else {
        return Vec::new();
    };
    let culprit = finding.divergence.class.culprit.as_ref();
    let ends = instruction_ends(&finding.case.block);
    let index = culprit.map_or(ends.len().saturating_sub(1), |culprit| culprit.instruction);
    let judged = ends.get(index).and_then(|&end| {
        let case = Case {
            block: block_prefix(&finding.case.block, end, index + 1).into(),
            ..finding.case.clone()
        };
        let differences = &finding.divergence.differences;
        let facts = DivergenceFacts::new(&met, &case, &finding.expected, differences)?;
        Some(attribute_causes(&facts))
    });
    judged.unwrap_or_else(|| of_signature(&met))
}

/// The signature by the guess that the comparison made.
pub(super) fn as_met(finding: &Finding) -> Option<Signature> {
    let culprit = finding.divergence.class.culprit.as_ref();
    let last = (finding.case.block.instruction_count as usize).saturating_sub(1);
    let index = culprit.map_or(last, |culprit| culprit.instruction);
    Signature::from_divergence(&finding.case.block, index, &finding.divergence)
}
