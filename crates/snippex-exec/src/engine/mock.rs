//! An engine that computes outcomes by a function of this process: for tests, and to try a comparison against a
//! model of one's own.

use snippex_core::case::Case;
use snippex_core::group::Group;
use snippex_core::observation::{Endpoint, Observation};
use snippex_core::state::Components;

use super::{Engine, EngineError, EngineIdentity, GuestCpu};
use crate::lower::{Lowered, lower};
use crate::results::{Kind, Outcome, Results, Unsupported};

type Model = Box<dyn FnMut(&Case) -> Outcome + Send>;

/// Runs every case through a function.
pub struct MockEngine {
    identity: EngineIdentity,
    model: Model,
    lowered: Vec<Option<Lowered>>,
    unsupported: Vec<Option<Unsupported>>,
    outcomes: Vec<Vec<Outcome>>,
}

impl std::fmt::Debug for MockEngine {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("MockEngine")
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

impl MockEngine {
    /// An engine called `name` that computes outcomes by `model`.
    pub fn new(name: &str, model: impl FnMut(&Case) -> Outcome + Send + 'static) -> Self {
        let identity = EngineIdentity {
            name: name.into(),
            version: env!("CARGO_PKG_VERSION").into(),
            configuration: vec!["in-process".into()],
            cpu: GuestCpu::default(),
            components: Components::ALL,
        };
        Self {
            identity,
            model: Box::new(model),
            lowered: vec![],
            unsupported: vec![],
            outcomes: vec![],
        }
    }

    /// The engine behind `--emulator mock`: every block falls through with all registers and memory unchanged.
    /// Useful to see what a completely wrong emulator looks like in a report.
    #[must_use]
    pub fn idle() -> Self {
        Self::new("mock", |case| {
            let target = case.block.end().wrapping_add(case.placement.code_base);
            Outcome::Ran(Box::new(Observation {
                endpoint: Endpoint::Exit { target },
                state: case.state.clone(),
                memory: Vec::new(),
            }))
        })
    }
}

impl Engine for MockEngine {
    fn identity(&self) -> &EngineIdentity {
        &self.identity
    }

    fn run<'e>(&'e mut self, groups: &'e [Group]) -> Result<Results<'e>, EngineError> {
        let lowered = groups.iter().map(|group| lower(&group.block, group.placement));
        (self.lowered, self.unsupported) = lowered
            .map(|lowered| match lowered {
                Ok(lowered) => (Some(lowered), None),
                Err(error) => (None, Some(Unsupported::Block(error))),
            })
            .unzip();
        crate::batch::check(groups, &self.lowered)?;
        self.outcomes = groups
            .iter()
            .zip(&self.unsupported)
            .map(|(group, unsupported)| {
                let count = if unsupported.is_none() {
                    group.starts.len()
                } else {
                    0
                };
                (0..count).map(|index| (self.model)(&group.case(index))).collect()
            })
            .collect();
        Ok(Results {
            groups,
            lowered: &self.lowered,
            unsupported: &self.unsupported,
            components: self.identity.components,
            kind: Kind::Made(&self.outcomes),
        })
    }

    fn restart(&mut self) -> Result<(), EngineError> {
        Ok(())
    }
}
