//! Engines as users name them, and as the database records them.

use std::sync::OnceLock;
use std::time::Duration;

use cli_kit::Failure;
use snippex_core::diff::Tolerance;
use snippex_exec::engine::{
    Engine, EngineError, EngineIdentity, EngineSpec, EngineTable, MockEngine, RunnerEngine,
};
use snippex_report::EngineView;
use snippex_store::Guest;

use crate::args::EngineArgs;
use crate::settings::Settings;
use crate::tell::OrTell;

/// The engines of this process: presets and what the settings add. A process runs one command, with one set of
/// settings.
static TABLE: OnceLock<EngineTable> = OnceLock::new();

/// Takes the engines of the settings. The first call decides.
pub(crate) fn use_settings(settings: &Settings) {
    TABLE.get_or_init(|| EngineTable::new(settings.engines.clone()));
}

/// The engines that can be named.
pub(crate) fn table() -> &'static EngineTable {
    TABLE.get_or_init(EngineTable::default)
}

/// An engine that can be started, as often as it takes.
#[derive(Clone, Debug)]
pub(crate) enum EngineChoice {
    /// In processes of its own.
    Process(EngineSpec),
    /// This CPU with a planted bug.
    Mock,
}

impl EngineChoice {
    /// The engine called `name`: a preset, or one of the settings.
    pub(crate) fn preset(name: &str) -> Result<Self, Failure> {
        match name {
            "mock" => Ok(Self::Mock),
            name => table().spec(name).or_tell().map(Self::Process),
        }
    }

    /// The engine to test.
    pub(crate) fn tested(settings: &Settings, args: &EngineArgs) -> Result<Self, Failure> {
        let Some(command) = &args.engine_command else {
            return Self::preset(&settings.emulator);
        };
        let mut spec = EngineSpec::from_command("", command).or_tell()?;
        spec.name = match &args.engine_name {
            Some(name) => name.clone(),
            None => spec.command[0].rsplit('/').next().unwrap_or_default().to_owned(),
        };
        let taken = spec.name == "mock" || table().entry(&spec.name).is_some();
        if taken && args.engine_name.is_some() {
            return Err(
                Failure::new(format!("--engine-name {}: an engine is called so", spec.name))
                    .hint("choose another name, so that results can be told apart"),
            );
        }
        Ok(Self::Process(spec))
    }

    /// With another time that a run may take, if one is given.
    pub(crate) fn with_patience(mut self, patience: Option<Duration>) -> Self {
        if let (Self::Process(spec), Some(patience)) = (&mut self, patience) {
            spec.patience = patience;
        }
        self
    }

    /// Starts it with these variables in its environment.
    pub(crate) fn start_in(&self, environment: &[(String, String)]) -> Result<Box<dyn Engine>, EngineError> {
        let mut choice = self.clone();
        if let Self::Process(spec) = &mut choice {
            spec.environment.extend_from_slice(environment);
        }
        choice.start()
    }

    /// Starts it.
    pub(crate) fn start(&self) -> Result<Box<dyn Engine>, EngineError> {
        Ok(match self {
            Self::Mock => Box::new(MockEngine::planted()?),
            Self::Process(spec) => Box::new(RunnerEngine::start(spec.clone())?),
        })
    }

    /// Whether it is this CPU.
    pub(crate) fn is_native(&self) -> bool {
        matches!(self, Self::Process(spec) if spec.native)
    }
}

/// What the engine called `name` documents to do otherwise than hardware.
pub(crate) fn tolerance_of(name: &str) -> Tolerance {
    table().tolerance(name)
}

/// An engine in answers for programs, with the part it has.
pub(crate) fn engine_view(identity: &EngineIdentity, role: &'static str) -> EngineView {
    EngineView {
        name: identity.name.clone(),
        version: identity.version.clone(),
        features: identity.features(),
        role,
        configuration: identity.configuration.clone(),
    }
}

/// As the database keeps it.
pub(crate) fn record(identity: &EngineIdentity) -> snippex_store::Engine {
    snippex_store::Engine {
        name: identity.name.clone(),
        version: identity.version.clone(),
        configuration: serde_json::to_string(&identity.configuration).expect("a list of strings is JSON"),
        components: identity.components,
        guest: Guest {
            vendor: identity.cpu.vendor.clone(),
            brand: identity.cpu.brand.clone(),
            hypervisor: identity.cpu.hypervisor.clone(),
            xcr0: identity.cpu.xcr0,
            features: identity.features().into_iter().map(str::to_owned).collect(),
        },
    }
}
