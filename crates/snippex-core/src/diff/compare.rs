//! The comparison itself: endpoint, registers, memory.

use super::class::Class;
use super::difference::{Comparison, Difference, Divergence, Field, InconclusiveReason, Noted, Value};
use super::leaked::leaked_deviation;
use super::memory;
use super::registers::Registers;
use super::tolerance::Tolerance;
use super::{endpoint, flag_deviations, float_deviations, x87_deviations};
use crate::case::Case;
use crate::effects::{BlockEffects, Rule, RuleSet};
use crate::observation::{Endpoint, Observation, Signal};
use crate::state::{Components, MachineState};

/// Compares two observations of `case`. `expected` is the engine that is taken as right; `covered` is what both
/// engines support. Nothing is decoded when the observations are equal to the bit.
#[must_use]
pub fn compare_observations(
    case: &Case,
    expected: &Observation,
    actual: &Observation,
    covered: Components,
    tolerance: &Tolerance,
) -> Comparison {
    if let Some(outcome) = equal(expected, actual) {
        return outcome;
    }
    compare_with(
        &BlockEffects::new(&case.block),
        case,
        expected,
        actual,
        covered,
        tolerance,
    )
}

/// As [`compare_observations`], with the effects of the case's block at hand: for many cases of one block.
#[must_use]
pub fn compare_with(
    effects: &BlockEffects,
    case: &Case,
    expected: &Observation,
    actual: &Observation,
    covered: Components,
    tolerance: &Tolerance,
) -> Comparison {
    if let Some(outcome) = equal(expected, actual) {
        return outcome;
    }
    if !endpoint::endpoints_agree(&expected.endpoint, &actual.endpoint) {
        return endpoint::judge_endpoints(effects, case, expected, actual, tolerance);
    }
    let mut noted = Noted::default();
    let mut differences = Vec::new();
    if let (Endpoint::Signal(a), Endpoint::Signal(b)) = (&expected.endpoint, &actual.endpoint) {
        if tolerance.skips_state_at_signal().is_none() {
            differences.extend(fault_address(effects, case, (a, &expected.state), b, &mut noted));
        }
        if a.code != b.code || a.address != b.address && !endpoint::is_page_fault(a) {
            noted.note_rules(RuleSet::from_rule(Rule::SignalInfo));
        }
        if let Some(deviation) = tolerance.skips_state_at_signal() {
            if expected.state != actual.state || expected.memory != actual.memory || a.address != b.address {
                noted.note_deviation(deviation);
            }
            return outcome(effects, case, expected, differences, noted);
        }
    }
    // Where the processor itself executes what no manual has, how it ends is the result.
    if effects.executes_refused(case, &expected.endpoint) {
        return outcome(effects, case, expected, differences, noted);
    }
    let mask = effects.mask_at_endpoint(case, &expected.endpoint, &expected.state);
    let mut registers = Registers {
        expected: &expected.state,
        actual: &actual.state,
        mask: &mask,
        tolerance,
        noted: &mut noted,
        differences,
    };
    registers.compare_components(covered);
    let mut differences = registers.differences;
    let memory = memory::memory_differences(case, &expected.memory, &actual.memory, &mask, &mut noted);
    if !memory.is_empty() && !mask.anywhere.is_empty() {
        if differences.is_empty() {
            return Comparison::Inconclusive(InconclusiveReason::OpenMemory {
                rules: mask.anywhere,
                differences: memory,
            });
        }
        noted.note_rules(mask.anywhere);
    } else {
        differences.extend(memory);
    }
    if let (Some(first), Some(deviation)) = (differences.first(), leaked_deviation(&case.block, tolerance)) {
        return Comparison::Inconclusive(InconclusiveReason::Deviation {
            id: deviation.id.clone(),
            difference: Box::new(first.clone()),
        });
    }
    let completed = effects.completed_instructions(case, &expected.endpoint);
    let doubles = x87_deviations::explain(effects, completed, case, &expected.state, &differences, tolerance);
    if let (Some(first), Some(deviation)) = (differences.first(), doubles) {
        return Comparison::Inconclusive(InconclusiveReason::Deviation {
            id: deviation.id.clone(),
            difference: Box::new(first.clone()),
        });
    }
    let floats = float_deviations::explain(effects, completed, case, &mut differences, tolerance, &mut noted);
    if let (Some(first), Some(deviation)) = (differences.first(), floats) {
        return Comparison::Inconclusive(InconclusiveReason::Deviation {
            id: deviation.id.clone(),
            difference: Box::new(first.clone()),
        });
    }
    if let Some(deviation) = flag_deviations::explain(effects, completed, case, &differences, tolerance) {
        differences.iter().for_each(|_| noted.note_deviation(deviation));
        differences.clear();
    }
    outcome(effects, case, expected, differences, noted)
}

/// The verdict on observations that are the same to the bit, and on those that never ended.
fn equal(expected: &Observation, actual: &Observation) -> Option<Comparison> {
    match expected.endpoint {
        Endpoint::Hung => Some(Comparison::Inconclusive(InconclusiveReason::ExpectedHung)),
        Endpoint::EngineDied { .. } => Some(Comparison::Inconclusive(InconclusiveReason::ExpectedDied)),
        _ if expected == actual => Some(Comparison::Match(Noted::default())),
        _ => None,
    }
}

fn outcome(
    effects: &BlockEffects,
    case: &Case,
    expected: &Observation,
    differences: Vec<Difference>,
    noted: Noted,
) -> Comparison {
    if differences.is_empty() {
        return Comparison::Match(noted);
    }
    let class = Class::of_state(
        effects,
        effects.completed_instructions(case, &expected.endpoint),
        &differences,
    );
    Comparison::Diverged(Divergence {
        class,
        differences,
        noted,
    })
}

/// Compares the addresses that two page faults of one instruction report. Engines that split an access may
/// report another byte of it, so within the operand (or 64 bytes, when its place is not known) they agree. So they do
/// when the address is made of open bits.
fn fault_address(
    effects: &BlockEffects,
    case: &Case,
    (expected, end): (&Signal, &MachineState),
    actual: &Signal,
    noted: &mut Noted,
) -> Option<Difference> {
    if expected.address == actual.address || !endpoint::is_page_fault(expected) {
        return None;
    }
    let endpoint = Endpoint::Signal(*expected);
    let faulting = effects.completed_instructions(case, &endpoint);
    let reach = effects.operand_size(faulting).unwrap_or(64);
    if expected.address.abs_diff(actual.address) < reach as u64 {
        noted.note_rules(RuleSet::from_rule(Rule::FaultAddress));
        return None;
    }
    let mask = effects.mask_at_endpoint(case, &endpoint, end);
    if let Some(open) = mask.faults.iter().find(|fault| fault.instruction == faulting) {
        noted.note_rules(open.rules);
        return None;
    }
    Some(Difference {
        field: Field::FaultAddress,
        name: "fault address".into(),
        expected: Value::Number(expected.address),
        actual: Value::Number(actual.address),
        differing: Value::Number(expected.address ^ actual.address),
    })
}
