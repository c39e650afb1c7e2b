//! Engines that can be started as often as it takes, and as the database records them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use snippex_exec::engine::{
    Engine, EngineError, EngineIdentity, EngineSpec, EngineTable, MockEngine, RunnerEngine, SpecError,
};
use snippex_exec::recording::{RecordedEngine, Recording};
use snippex_store::Guest;

use crate::{SessionError, open_recording};

/// An engine that can be started, as often as it takes.
#[derive(Clone, Debug)]
pub enum EngineChoice {
    /// In processes of its own.
    Process(EngineSpec),
    /// This CPU with a planted bug.
    Mock,
    /// What a recording says.
    Recorded(Arc<Recording>),
}

impl EngineChoice {
    /// The engine called `name` in `table`, or the mock.
    ///
    /// # Errors
    /// When none is called so, or its program is not there.
    pub fn named(table: &EngineTable, name: &str) -> Result<Self, SpecError> {
        match name {
            "mock" => Ok(Self::Mock),
            name => table.spec(name).map(Self::Process),
        }
    }

    /// The same, or the recording in the file of that name.
    ///
    /// # Errors
    /// As [`EngineChoice::named`], and when there is such a file and it cannot be used.
    pub fn named_or_recorded(table: &EngineTable, name: &str) -> Result<Self, SessionError> {
        let path = Path::new(name);
        let is_file = path.extension().is_some_and(|extension| extension == "rec") || Recording::is_at(path);
        if is_file && table.entry(name).is_none() {
            return Ok(Self::Recorded(Arc::new(open_recording(path)?)));
        }
        Ok(Self::named(table, name)?)
    }

    /// The recording, if it is one.
    #[must_use]
    pub fn recording(&self) -> Option<&Arc<Recording>> {
        match self {
            Self::Recorded(recording) => Some(recording),
            _ => None,
        }
    }

    /// With another time that a run may take, if one is given.
    #[must_use]
    pub fn with_patience(mut self, patience: Option<Duration>) -> Self {
        if let (Self::Process(spec), Some(patience)) = (&mut self, patience) {
            spec.patience = patience;
        }
        self
    }

    /// Starts it with these variables in its environment.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_in(&self, environment: &[(String, String)]) -> Result<Box<dyn Engine>, EngineError> {
        let mut choice = self.clone();
        if let Self::Process(spec) = &mut choice {
            spec.environment.extend_from_slice(environment);
        }
        choice.start()
    }

    /// Starts it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&self) -> Result<Box<dyn Engine>, EngineError> {
        Ok(match self {
            Self::Mock => Box::new(MockEngine::planted()?),
            Self::Process(spec) => Box::new(RunnerEngine::start(spec.clone())?),
            Self::Recorded(recording) => Box::new(RecordedEngine::new(Arc::clone(recording))),
        })
    }

    /// Whether it is this CPU.
    #[must_use]
    pub fn is_native(&self) -> bool {
        matches!(self, Self::Process(spec) if spec.native)
    }
}

/// As the database keeps it.
#[must_use]
pub fn engine_record(identity: &EngineIdentity) -> snippex_store::StoredEngine {
    snippex_store::StoredEngine {
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
        host_cpu: serde_json::to_string(&identity.host_cpu).expect("plain data is JSON"),
    }
}
