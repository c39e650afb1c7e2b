//! Engines for worker threads; the first of them is the one that was started to see whether it can be.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::available_parallelism;

use snippex_core::diff::Tolerance;
use snippex_exec::engine::{Engine, EngineError, EngineIdentity, EngineShare, ProgramDigests};
use snippex_exec::engine_check::{CheckFailure, check_engine_under};
use snippex_exec::recording::Recording;

use crate::EngineChoice;

/// What is known about an engine that was started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DescribedEngine<'p> {
    /// How it is started.
    pub(crate) choice: &'p EngineChoice,
    /// What it says it is.
    pub(crate) identity: &'p EngineIdentity,
    /// What its host says of its program files, when that is another one.
    pub(crate) remote_programs: Option<&'p ProgramDigests>,
}

/// Starts engines of one kind.
pub(super) struct EnginePool {
    choice: EngineChoice,
    identity: EngineIdentity,
    /// Of an engine on another host: its program files.
    programs: Option<ProgramDigests>,
    spare: Mutex<Option<Box<dyn Engine>>>,
    /// Where threads take turns with a few.
    share: Option<Arc<EngineShare>>,
}

impl std::fmt::Debug for EnginePool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EnginePool")
            .field("choice", &self.choice)
            .finish_non_exhaustive()
    }
}

impl EnginePool {
    /// Starts the first.
    pub(super) fn start_first_engine(choice: EngineChoice) -> Result<Self, EngineError> {
        let engine = choice.start_engine()?;
        Ok(Self {
            choice,
            identity: engine.identity().clone(),
            programs: engine.remote_programs().cloned(),
            spare: Mutex::new(Some(engine)),
            share: None,
        })
    }

    /// Has threads take turns with an engine a CPU: they are many, and mostly wait for another host.
    pub(super) fn into_shared(mut self) -> Self {
        let spare = self.spare.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(first) = spare.take() {
            let count = available_parallelism().map_or(1, usize::from);
            let choice = self.choice.clone();
            self.share = Some(EngineShare::new(first, count, move || choice.start_engine()));
        }
        self
    }

    /// An engine for one thread.
    pub(super) fn take_engine(&self) -> Result<Box<dyn Engine>, EngineError> {
        if let Some(share) = &self.share {
            return Ok(share.engine_for_thread());
        }
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(engine) = spare {
            return Ok(engine);
        }
        let engine = self.choice.start_engine()?;
        let now = engine.identity();
        // Several hosts have one engine only if it computes as the same.
        if (&now.version, &now.cpu) != (&self.identity.version, &self.identity.cpu) {
            return Err(EngineError::Changed {
                engine: now.name.clone(),
                before: self.identity.version.clone(),
                after: now.version.clone(),
            });
        }
        Ok(engine)
    }

    /// Runs the engine check on an engine of this machine; a recording has no cases but its own.
    pub(super) fn test_first_engine(&self, tolerance: &Tolerance) -> Result<Vec<CheckFailure>, EngineError> {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        match spare.as_deref_mut() {
            Some(engine) if self.recording().is_none() && !self.choice.is_elsewhere() => {
                check_engine_under(engine, tolerance)
            }
            _ => Ok(Vec::new()),
        }
    }

    /// How it is started.
    pub(super) fn choice(&self) -> &EngineChoice {
        &self.choice
    }

    /// The recording that answers, if one does.
    pub(super) fn recording(&self) -> Option<&Recording> {
        self.choice.recording().map(|recording| &**recording)
    }

    /// What the engine says it is.
    pub(super) fn identity(&self) -> &EngineIdentity {
        &self.identity
    }

    /// All that is known about it.
    pub(super) fn describe(&self) -> DescribedEngine<'_> {
        DescribedEngine {
            choice: &self.choice,
            identity: &self.identity,
            remote_programs: self.programs.as_ref(),
        }
    }
}
