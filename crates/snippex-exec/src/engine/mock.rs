//! Engines of this process: a function as a model, or another engine with its outcomes altered. For tests, and to try
//! a comparison against a model of one's own.

use iced_x86::Mnemonic;
use snippex_core::case::Case;
use snippex_core::decode::block_decoder;
use snippex_core::group::Group;
use snippex_core::observation::{Endpoint, Observation};
use snippex_core::state::{Components, rflags};

use super::{Engine, EngineError, EngineIdentity, EngineSpec, GuestCpu, RunnerEngine, this_cpu};
use crate::lower::{Lowered, lower_block};
use crate::results::{Results, ResultsKind, RunOutcome, Unsupported};

type Model = Box<dyn FnMut(&Case) -> RunOutcome + Send>;

type Alter = Box<dyn FnMut(&Case, &mut RunOutcome) + Send>;

/// Outcome of the case that start `.1` of group `.0` makes.
type IndexedModel<'m> = Box<dyn FnMut(usize, usize, &Case) -> RunOutcome + 'm>;

enum Source {
    Model(Model),
    Over(Box<dyn Engine>, Alter),
}

/// Computes outcomes in this process.
pub struct MockEngine {
    identity: EngineIdentity,
    source: Source,
    lowered: Vec<Option<Lowered>>,
    unsupported: Vec<Option<Unsupported>>,
    outcomes: Vec<Vec<RunOutcome>>,
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
    pub fn new(name: &str, model: impl FnMut(&Case) -> RunOutcome + Send + 'static) -> Self {
        let identity = EngineIdentity {
            name: name.into(),
            version: env!("CARGO_PKG_VERSION").into(),
            configuration: vec!["in-process".into()],
            cpu: GuestCpu::default(),
            host_cpu: this_cpu().clone(),
            lacking: Vec::new(),
            components: Components::ALL,
        };
        Self::with(identity, Source::Model(Box::new(model)))
    }

    /// An engine called `name` that runs cases on `engine` and passes each outcome through `alter`.
    pub fn from_engine(
        name: &str,
        engine: Box<dyn Engine>,
        alter: impl FnMut(&Case, &mut RunOutcome) + Send + 'static,
    ) -> Self {
        let mut identity = engine.identity().clone();
        identity.configuration.push(format!("altered {}", identity.name));
        identity.name = name.into();
        Self::with(identity, Source::Over(engine, Box::new(alter)))
    }

    /// The engine behind `--emulator mock`: the machine's own CPU with one bug planted. IMUL leaves CF and OF clear,
    /// which is a bug that real emulators have had.
    ///
    /// # Errors
    /// When the native engine cannot be started.
    pub fn with_planted_bug() -> Result<Self, EngineError> {
        let native = RunnerEngine::start(EngineSpec::native())?;
        Ok(Self::from_engine("mock", Box::new(native), |case, outcome| {
            if let RunOutcome::Ran(observation) = outcome
                && last_flag_writer_is_imul(case)
            {
                observation.state.rflags &= !(rflags::CF | rflags::OF);
            }
        }))
    }

    /// Every block falls through with all registers and memory unchanged: what a completely wrong emulator does.
    #[must_use]
    pub fn with_no_effect() -> Self {
        Self::new("idle", |case| {
            let target = case.block.end_address().wrapping_add(case.placement.code_base);
            RunOutcome::Ran(Box::new(Observation {
                endpoint: Endpoint::Exit { target },
                state: case.state.clone(),
                memory: Vec::new(),
            }))
        })
    }

    fn with(identity: EngineIdentity, source: Source) -> Self {
        Self {
            identity,
            source,
            lowered: vec![],
            unsupported: vec![],
            outcomes: vec![],
        }
    }
}

fn last_flag_writer_is_imul(case: &Case) -> bool {
    let block = &case.block;
    block_decoder(block)
        .into_iter()
        .filter(|instruction| instruction.rflags_modified() != 0)
        .last()
        .is_some_and(|instruction| instruction.mnemonic() == Mnemonic::Imul)
}

impl Engine for MockEngine {
    fn identity(&self) -> &EngineIdentity {
        &self.identity
    }

    fn run<'e>(&'e mut self, groups: &'e [Group]) -> Result<Results<'e>, EngineError> {
        self.run_as(groups, false)
    }

    fn run_fresh<'e>(&'e mut self, groups: &'e [Group]) -> Result<Results<'e>, EngineError> {
        self.run_as(groups, true)
    }

    fn restart(&mut self) -> Result<(), EngineError> {
        match &mut self.source {
            Source::Model(_) => Ok(()),
            Source::Over(engine, _) => engine.restart(),
        }
    }
}

impl MockEngine {
    fn run_as<'e>(&'e mut self, groups: &'e [Group], fresh: bool) -> Result<Results<'e>, EngineError> {
        let lowered = groups
            .iter()
            .map(|group| lower_block(&group.block, group.placement));
        (self.lowered, self.unsupported) = lowered
            .map(|lowered| match lowered {
                Ok(lowered) => (Some(lowered), None),
                Err(error) => (None, Some(Unsupported::Block(error))),
            })
            .unzip();
        crate::batch::check_batch(groups, &self.lowered)?;
        let mut model: IndexedModel<'_> = match &mut self.source {
            Source::Model(model) => Box::new(|_, _, case| model(case)),
            Source::Over(engine, alter) => {
                let results = if fresh {
                    engine.run_fresh(groups)?
                } else {
                    engine.run(groups)?
                };
                Box::new(move |group, start, case| {
                    let mut outcome = results.outcome(group, start);
                    alter(case, &mut outcome);
                    outcome
                })
            }
        };
        self.outcomes = groups
            .iter()
            .enumerate()
            .map(|(index, group)| {
                let count = if self.unsupported[index].is_none() {
                    group.starts.len()
                } else {
                    0
                };
                (0..count)
                    .map(|start| model(index, start, &group.case_at(start)))
                    .collect()
            })
            .collect();
        drop(model);
        Ok(Results {
            groups,
            lowered: &self.lowered,
            unsupported: &self.unsupported,
            components: self.identity.components,
            kind: ResultsKind::Made(&self.outcomes),
        })
    }
}
