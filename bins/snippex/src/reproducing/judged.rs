//! How a case has to end, and what an emulator does otherwise.

use cli_kit::Failure;
use snippex_core::case::Case;
use snippex_core::diff::{Comparison, Divergence, compare};
use snippex_core::group::Group;
use snippex_core::observation::Observation;
use snippex_core::state::Components;
use snippex_exec::Outcome;
use snippex_exec::engine::{Engine, EngineIdentity};

use super::{Subject, provenance};
use crate::tell::OrTell;
use snippex_exec::engine::EngineTable;
use snippex_session::{EngineChoice, this_host};

/// A case with its right end and, where an emulator was asked, what it does otherwise.
pub(crate) struct Judged {
    pub(crate) expected: Observation,
    pub(crate) covered: Components,
    /// Which CPU says so; `None` when a file does.
    pub(crate) cpu: Option<String>,
    /// The emulator, and how it differs.
    pub(crate) divergence: Option<(String, Divergence)>,
    /// What it just ran on, in lines.
    pub(crate) ran_on: Vec<String>,
}

impl Subject {
    /// Finds out how the case ends: from the file or the database, else on this CPU; and on `emulator`, if one is named.
    pub(crate) fn judge(
        &self,
        table: &EngineTable,
        emulator: Option<&EngineChoice>,
    ) -> Result<Judged, Failure> {
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
                let (expected, identity) = run(&EngineChoice::named(table, "native").or_tell()?, &self.case)?;
                ran_on.push(provenance::machine(&this_host()));
                (
                    expected,
                    identity.components,
                    Some(format!("native ({})", identity.cpu.brand)),
                )
            }
        };
        let (actual, both, name, shown) = match (emulator, &self.actual) {
            (Some(choice), _) => {
                let (actual, identity) = run(choice, &self.case)?;
                ran_on = vec![
                    provenance::machine(&this_host()),
                    provenance::engine(&identity.name, &identity.version, &identity.configuration),
                ];
                let both = covered.intersection(identity.components);
                (actual, both, identity.name.clone(), identity.describe())
            }
            (None, Some((actual, both, engines))) => (
                actual.clone(),
                *both,
                engines.actual_name.clone(),
                engines.actual.clone(),
            ),
            (None, None) => {
                return Ok(Judged {
                    expected,
                    covered,
                    cpu,
                    divergence: None,
                    ran_on,
                });
            }
        };
        match compare(&self.case, &expected, &actual, both, &table.tolerance(&name)) {
            Comparison::Diverged(divergence) => Ok(Judged {
                expected,
                covered,
                cpu,
                divergence: Some((shown, divergence)),
                ran_on,
            }),
            Comparison::Match(_) => Err(Failure::new(format!(
                "the case ends on {shown} as it has to: there is no bug to reproduce"
            ))
            .hint("leave --emulator out for a program that compares all that the case changes")),
            Comparison::Inconclusive(_) => Err(Failure::new(format!(
                "how the case ends on {shown} is no bug by the manuals, or cannot be judged"
            ))
            .hint("leave --emulator out for a program that compares all that the case changes")),
        }
    }
}

/// Runs a case once.
fn run(choice: &EngineChoice, case: &Case) -> Result<(Observation, EngineIdentity), Failure> {
    let mut engine: Box<dyn Engine> = choice.start().or_tell()?;
    let identity = engine.identity().clone();
    let groups = [Group::of(case)];
    match engine.run(&groups).or_tell()?.outcome(0, 0) {
        Outcome::Ran(observation) => Ok((*observation, identity)),
        Outcome::Unsupported(reason) => Err(Failure::new(format!(
            "{} cannot run the case: {reason}",
            identity.name
        ))),
    }
}
