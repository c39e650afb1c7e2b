//! How a case has to end, and what an emulator does otherwise.

use snippex_core::case::Case;
use snippex_core::diff::{Comparison, Divergence, compare_observations};
use snippex_core::group::Group;
use snippex_core::observation::Observation;
use snippex_core::state::Components;
use snippex_exec::RunOutcome;
use snippex_exec::engine::{Engine, EngineIdentity};

use super::{ReproduceError, ReproducedCase, provenance};
use crate::{EngineChoice, this_host};
use snippex_exec::engine::EngineTable;

/// A case with its right end and, where an emulator was asked, what it does otherwise.
#[derive(Debug)]
pub struct JudgedCase {
    /// How it has to end.
    pub expected: Observation,
    /// The parts of the state that this speaks of.
    pub covered: Components,
    /// Which CPU says so; `None` when a file does.
    pub cpu: Option<String>,
    /// The emulator, and how it differs.
    pub divergence: Option<(String, Divergence)>,
    /// What it just ran on, in lines.
    pub ran_on: Vec<String>,
}

impl ReproducedCase {
    /// Finds out how the case ends: from the file or the database, else on `reference`; and on `emulator`, if one is
    /// named.
    ///
    /// # Errors
    /// When an engine cannot run it, or there is nothing wrong.
    pub fn judge_case(
        &self,
        table: &EngineTable,
        reference: &EngineChoice,
        emulator: Option<&EngineChoice>,
    ) -> Result<JudgedCase, ReproduceError> {
        let mut ran_on = Vec::new();
        let (expected, covered, cpu) = match &self.expected {
            Some((expected, covered)) => {
                let cpu = self
                    .actual
                    .as_ref()
                    .map(|(_, _, engines)| engines.expected.clone());
                (expected.clone(), *covered, cpu)
            }
            None => {
                let (expected, identity) = run(reference, &self.case)?;
                ran_on.push(provenance::describe_host(&this_host()));
                (expected, identity.components, Some(describe_reference(&identity)))
            }
        };
        let (actual, both, name, shown) = match (emulator, &self.actual) {
            (Some(choice), _) => {
                let (actual, identity) = run(choice, &self.case)?;
                ran_on = vec![
                    provenance::describe_host(&this_host()),
                    provenance::describe_engine(&identity.name, &identity.version, &identity.configuration),
                ];
                let both = covered.intersection(identity.components);
                (actual, both, identity.name.clone(), identity.name_and_version())
            }
            (None, Some((actual, both, engines))) => (
                actual.clone(),
                *both,
                engines.actual_name.clone(),
                engines.actual.clone(),
            ),
            (None, None) => {
                return Ok(JudgedCase {
                    expected,
                    covered,
                    cpu,
                    divergence: None,
                    ran_on,
                });
            }
        };
        match compare_observations(&self.case, &expected, &actual, both, &table.tolerance(&name)) {
            Comparison::Diverged(divergence) => Ok(JudgedCase {
                expected,
                covered,
                cpu,
                divergence: Some((shown, divergence)),
                ran_on,
            }),
            Comparison::Match(_) => Err(ReproduceError::NoBug(shown)),
            Comparison::Inconclusive(_) => Err(ReproduceError::Unjudged(shown)),
        }
    }
}

/// Who says how the case has to end.
fn describe_reference(identity: &EngineIdentity) -> String {
    match identity.name.as_str() {
        "native" => format!("native ({})", identity.cpu.brand),
        _ => identity.name_and_version(),
    }
}

/// Runs a case once.
fn run(choice: &EngineChoice, case: &Case) -> Result<(Observation, EngineIdentity), ReproduceError> {
    let mut engine: Box<dyn Engine> = choice.start_engine()?;
    let identity = engine.identity().clone();
    let groups = [Group::from_case(case)];
    match engine.run(&groups)?.outcome(0, 0) {
        RunOutcome::Ran(observation) => Ok((*observation, identity)),
        RunOutcome::Unsupported(reason) => Err(ReproduceError::Unsupported {
            engine: identity.name,
            reason: reason.to_string(),
        }),
    }
}
