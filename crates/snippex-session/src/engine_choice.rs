//! Engines that can be started as often as it takes, and as the database records them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use snippex_exec::engine::{
    Engine, EngineError, EngineIdentity, EngineSpec, EngineTable, MockEngine, RunnerEngine, SpecError,
};
use snippex_exec::recording::{RecordedEngine, Recording};
use snippex_exec::remote::{EngineOrder, Host, RemoteEngine};
use snippex_store::Guest;

use crate::team::EngineTeam;
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
    /// On another host.
    Remote(EngineOrder),
    /// On several at once.
    Team(Arc<EngineTeam>),
}

/// Everything that can be named as an engine: those of this machine, and hosts that have others.
#[derive(Clone, Copy, Debug)]
pub struct EngineNames<'n> {
    /// Engines by name.
    pub table: &'n EngineTable,
    /// Hosts by name.
    pub hosts: &'n BTreeMap<String, Arc<Host>>,
}

impl EngineNames<'_> {
    /// The engine called `name`, which may be of another host (`HOST/ENGINE`), or several, separated by commas, or the recording
    /// in the file of that name.
    ///
    /// # Errors
    /// As [`EngineChoice::named_or_recorded`].
    pub fn choose_engine(&self, name: &str) -> Result<EngineChoice, SessionError> {
        if !name.contains(',') {
            return self.choose_one(name);
        }
        let engine_of = |member: &'_ str| {
            let elsewhere = self.table.split_host(member);
            let on_host = elsewhere.filter(|(host, _)| self.hosts.contains_key(*host));
            on_host.map_or_else(|| member.to_owned(), |(_, engine)| engine.to_owned())
        };
        let mut engines = name.split(',').map(|member| engine_of(member.trim()));
        let first = engines.next().unwrap_or_default();
        if let Some(other) = engines.find(|other| *other != first) {
            return Err(SessionError::DifferentEngines { first, other });
        }
        let members = name.split(',').map(|name| self.choose_one(name.trim()));
        let members = members.collect::<Result<Vec<_>, _>>()?;
        Ok(EngineChoice::Team(Arc::new(EngineTeam::new(members))))
    }

    fn choose_one(&self, name: &str) -> Result<EngineChoice, SessionError> {
        let elsewhere = self
            .table
            .split_host(name)
            .and_then(|(host, engine)| Some((self.hosts.get(host)?, engine)));
        let Some((host, engine)) = elsewhere else {
            return EngineChoice::named_or_recorded(self.table, name);
        };
        Ok(EngineChoice::Remote(EngineOrder {
            host: Arc::clone(host),
            engine: engine.to_owned(),
            entry: self.table.find_entry(engine).cloned(),
        }))
    }
}

impl EngineChoice {
    /// The engine called `name` in `table`, or the mock.
    ///
    /// # Errors
    /// When none is called so, or its program is not there.
    pub fn from_name(table: &EngineTable, name: &str) -> Result<Self, SpecError> {
        match name {
            "mock" => Ok(Self::Mock),
            name => table.resolve_spec(name).map(Self::Process),
        }
    }

    /// The same, or the recording in the file of that name.
    ///
    /// # Errors
    /// As [`EngineChoice::from_name`], and when there is such a file and it cannot be used.
    pub fn named_or_recorded(table: &EngineTable, name: &str) -> Result<Self, SessionError> {
        let path = Path::new(name);
        let is_file = path.extension().is_some_and(|extension| extension == "rec") || Recording::is_at(path);
        if is_file && table.find_entry(name).is_none() {
            return Ok(Self::Recorded(Arc::new(open_recording(path)?)));
        }
        Ok(Self::from_name(table, name)?)
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
        choice.start_engine()
    }

    /// Starts it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_engine(&self) -> Result<Box<dyn Engine>, EngineError> {
        Ok(match self {
            Self::Mock => Box::new(MockEngine::with_planted_bug()?),
            Self::Process(spec) => Box::new(RunnerEngine::start(spec.clone())?),
            Self::Recorded(recording) => Box::new(RecordedEngine::new(Arc::clone(recording))),
            Self::Remote(order) => Box::new(RemoteEngine::start(order)?),
            Self::Team(team) => team.start_next_engine()?,
        })
    }

    /// Threads that keep it busy, where one of this machine has `threads`.
    ///
    /// # Errors
    /// When its host cannot be reached.
    pub fn worker_count(&self, threads: usize) -> Result<usize, EngineError> {
        match self {
            Self::Remote(order) => Ok(order.host.worker_count()?),
            Self::Team(team) => team.plan_workers(threads),
            _ => Ok(threads),
        }
    }

    /// Whether it is on another host, or one of several is.
    #[must_use]
    pub fn is_elsewhere(&self) -> bool {
        match self {
            Self::Remote(_) => true,
            Self::Team(team) => team.members().iter().any(Self::is_elsewhere),
            _ => false,
        }
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
            features: identity
                .component_names()
                .into_iter()
                .map(str::to_owned)
                .collect(),
        },
        host_cpu: serde_json::to_string(&identity.host_cpu).expect("plain data is JSON"),
    }
}
