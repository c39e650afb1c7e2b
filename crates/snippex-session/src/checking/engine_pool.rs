//! Engines for worker threads; the first of them is the one that was started to see whether it can be.

use std::sync::{Mutex, PoisonError};

use snippex_exec::engine::{Engine, EngineError, EngineIdentity};

use snippex_exec::recording::Recording;

use crate::EngineChoice;

/// Starts engines of one kind.
pub(super) struct EnginePool {
    choice: EngineChoice,
    identity: EngineIdentity,
    spare: Mutex<Option<Box<dyn Engine>>>,
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
    pub(super) fn start(choice: EngineChoice) -> Result<Self, EngineError> {
        let engine = choice.start()?;
        Ok(Self {
            choice,
            identity: engine.identity().clone(),
            spare: Mutex::new(Some(engine)),
        })
    }

    /// An engine for one thread.
    pub(super) fn take(&self) -> Result<Box<dyn Engine>, EngineError> {
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(engine) = spare {
            return Ok(engine);
        }
        let engine = self.choice.start()?;
        let now = engine.identity();
        if now.version != self.identity.version {
            return Err(EngineError::Changed {
                engine: now.name.clone(),
                before: self.identity.version.clone(),
                after: now.version.clone(),
            });
        }
        Ok(engine)
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
}
