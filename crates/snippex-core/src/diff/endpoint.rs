//! Whether two runs ended alike.

use super::arm_deviations as arm;
use super::class::{Class, DivergenceKind};
use super::difference::{Comparison, Difference, Divergence, Field, InconclusiveReason, Noted, Value};
use super::tolerance::{Deviates, FaultingUnit, Tolerance};
use crate::address_space::USER_START;
use crate::case::Case;
use crate::effects::{BlockEffects, RuleSet};
use crate::observation::SIGSEGV;
use crate::observation::{Endpoint, Observation, Signal};

/// `si_code` of page faults: SEGV_MAPERR and SEGV_ACCERR of Linux.
const PAGE_FAULT_CODES: std::ops::RangeInclusive<i32> = 1..=2;

/// Whether a signal reports a page fault, whose address can be compared.
pub(super) fn is_page_fault(signal: &Signal) -> bool {
    signal.number == SIGSEGV && PAGE_FAULT_CODES.contains(&signal.code)
}

/// Whether two endpoints are the same, addresses of faults apart.
pub(super) fn endpoints_agree(expected: &Endpoint, actual: &Endpoint) -> bool {
    match (expected, actual) {
        (Endpoint::Exit { target: a }, Endpoint::Exit { target: b }) => a == b,
        (Endpoint::Signal(a), Endpoint::Signal(b)) => a.number == b.number && a.rip == b.rip,
        _ => false,
    }
}

/// The verdict on endpoints that differ.
pub(super) fn judge_endpoints(
    effects: &BlockEffects,
    case: &Case,
    expected: &Observation,
    actual: &Observation,
    tolerance: &Tolerance,
) -> Comparison {
    match expected.endpoint {
        Endpoint::Hung => return Comparison::Inconclusive(InconclusiveReason::ExpectedHung),
        Endpoint::EngineDied { .. } => return Comparison::Inconclusive(InconclusiveReason::ExpectedDied),
        Endpoint::Exit { .. } | Endpoint::Signal(_) => {}
    }
    let difference = Difference {
        field: Field::Endpoint,
        name: "endpoint".into(),
        expected: Value::Endpoint(expected.endpoint),
        actual: Value::Endpoint(actual.endpoint),
        differing: Value::None,
    };
    let parting = parting(effects, case, expected, actual);
    let rules = open_rules(effects, case, expected, actual, parting);
    if !rules.is_empty() {
        return Comparison::Inconclusive(InconclusiveReason::OpenEndpoint {
            rules,
            difference: Box::new(difference),
        });
    }
    let excuse = tolerance.deviations.iter().find(|deviation| {
        excuses(
            deviation.deviates,
            effects,
            parting,
            &expected.endpoint,
            &actual.endpoint,
        ) || arm::excuses(deviation.deviates, case, parting, expected, &actual.endpoint)
    });
    if let Some(deviation) = excuse {
        return Comparison::Inconclusive(InconclusiveReason::Deviation {
            id: deviation.id.clone(),
            difference: Box::new(difference),
        });
    }
    Comparison::Diverged(Divergence {
        class: Class::of_endpoint(effects, parting, kind(&expected.endpoint, &actual.endpoint)),
        differences: vec![difference],
        noted: Noted::default(),
    })
}

/// Index of the instruction at which the runs part: the first that ended one of them.
fn parting(effects: &BlockEffects, case: &Case, expected: &Observation, actual: &Observation) -> usize {
    let last = effects.instruction_count().saturating_sub(1);
    let reached = |observation: &Observation| {
        effects
            .completed_instructions(case, &observation.endpoint)
            .min(last)
    };
    match actual.endpoint {
        Endpoint::Hung | Endpoint::EngineDied { .. } => reached(expected),
        _ => reached(expected).min(reached(actual)),
    }
}

/// Why the way the runs parted is open, if it is.
fn open_rules(
    effects: &BlockEffects,
    case: &Case,
    expected: &Observation,
    actual: &Observation,
    parting: usize,
) -> RuleSet {
    if matches!(actual.endpoint, Endpoint::Hung | Endpoint::EngineDied { .. }) {
        return RuleSet::EMPTY;
    }
    let sooner = |observation: &Observation| effects.completed_instructions(case, &observation.endpoint);
    let earlier = if sooner(actual) < sooner(expected) {
        &actual.endpoint
    } else {
        &expected.endpoint
    };
    let mask = effects.mask_at_endpoint(case, earlier, &expected.state);
    let exits = matches!(
        (expected.endpoint, actual.endpoint),
        (Endpoint::Exit { .. }, Endpoint::Exit { .. })
    );
    let fault = mask
        .faults
        .iter()
        .filter(|fault| fault.instruction == parting && !exits)
        .fold(RuleSet::EMPTY, |all, fault| all.union(fault.rules));
    // A jump to an open address may also fault there, outside the block.
    let at_end = parting + 1 >= effects.instruction_count();
    if at_end { fault.union(mask.target) } else { fault }
}

fn excuses(
    deviates: Deviates,
    effects: &BlockEffects,
    parting: usize,
    expected: &Endpoint,
    actual: &Endpoint,
) -> bool {
    match (deviates, expected) {
        (Deviates::MissingSignal { number, code, unit }, Endpoint::Signal(signal)) => {
            let further = match actual {
                Endpoint::Exit { .. } => true,
                Endpoint::Signal(actual) => actual.rip != signal.rip,
                Endpoint::Hung | Endpoint::EngineDied { .. } => false,
            };
            let here = match unit {
                FaultingUnit::Any => true,
                FaultingUnit::SaveArea => effects
                    .instruction_form(parting)
                    .is_some_and(|instruction_form| arm::saves_state(&instruction_form)),
                FaultingUnit::Integer => !effects.is_floating_point(parting),
                FaultingUnit::FloatingPoint => effects.is_floating_point(parting),
                FaultingUnit::Vector => effects.is_vector(parting),
            };
            further && here && signal.number == number && code.is_none_or(|code| code == signal.code)
        }
        (Deviates::Occupied { from, to }, Endpoint::Signal(signal)) => {
            is_page_fault(signal) && (from..to).contains(&signal.address) && actual != expected
        }
        (Deviates::DeathAtNull, Endpoint::Exit { target }) => {
            *target < USER_START && matches!(actual, Endpoint::EngineDied { .. } | Endpoint::Hung)
        }
        (
            Deviates::SignalNumber {
                expected: from,
                actual: to,
            },
            Endpoint::Signal(signal),
        ) => {
            matches!(actual, Endpoint::Signal(other)
                if signal.number == from && other.number == to && signal.rip == other.rip)
        }
        _ => false,
    }
}

fn kind(expected: &Endpoint, actual: &Endpoint) -> DivergenceKind {
    match (expected, actual) {
        (_, Endpoint::Hung) => DivergenceKind::EngineHung,
        (_, Endpoint::EngineDied { .. }) => DivergenceKind::EngineDied,
        (Endpoint::Signal(_), Endpoint::Signal(_)) => DivergenceKind::DifferentFault,
        (Endpoint::Signal(_), _) => DivergenceKind::MissingFault,
        (_, Endpoint::Signal(_)) => DivergenceKind::SpuriousFault,
        _ => DivergenceKind::WrongBranch,
    }
}
