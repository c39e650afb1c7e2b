//! A few engines that many threads take turns with.
//!
//! Threads that wait for another host most of the time need not have an engine of this machine each: its processes are as many as
//! there are CPUs, whatever the number of threads.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use snippex_core::case::PageAccess;
use snippex_core::group::Group;

use super::{Engine, EngineError, EngineIdentity};
use crate::results::{OwnedResults, Results};

type Start = dyn Fn() -> Result<Box<dyn Engine>, EngineError> + Send + Sync;

/// Engines of one kind, started when they are needed.
pub struct EngineShare {
    identity: EngineIdentity,
    start: Box<Start>,
    most: usize,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Default)]
struct State {
    idle: Vec<Member>,
    started: usize,
    /// How often a fresh process was asked for.
    restarts: u64,
}

struct Member {
    engine: Box<dyn Engine>,
    /// Of those that were asked for, how many it has had.
    restarts: u64,
}

impl std::fmt::Debug for EngineShare {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EngineShare")
            .field("identity", &self.identity)
            .field("most", &self.most)
            .finish_non_exhaustive()
    }
}

impl EngineShare {
    /// Up to `most` engines: `first`, and what `start` makes.
    pub fn new(
        first: Box<dyn Engine>,
        most: usize,
        start: impl Fn() -> Result<Box<dyn Engine>, EngineError> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            identity: first.identity().clone(),
            start: Box::new(start),
            most: most.max(1),
            state: Mutex::new(State {
                idle: vec![Member {
                    engine: first,
                    restarts: 0,
                }],
                started: 1,
                restarts: 0,
            }),
            freed: Condvar::new(),
        })
    }

    /// One for a thread, which is an engine whenever it runs something.
    #[must_use]
    pub fn engine_for_thread(self: &Arc<Self>) -> Box<dyn Engine> {
        Box::new(SharedEngine {
            share: Arc::clone(self),
            results: None,
        })
    }

    /// Has `work` done by an engine that is free.
    fn with<T>(
        &self,
        work: impl FnOnce(&mut dyn Engine) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let (mut member, restarts) = self.take()?;
        let done = match member.restarts == restarts {
            true => Ok(()),
            false => member.engine.restart(),
        };
        member.restarts = restarts;
        let done = done.and_then(|()| work(member.engine.as_mut()));
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.idle.push(member);
        self.freed.notify_one();
        done
    }

    fn take(&self) -> Result<(Member, u64), EngineError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let restarts = state.restarts;
            if let Some(member) = state.idle.pop() {
                return Ok((member, restarts));
            }
            if state.started < self.most {
                state.started += 1;
                drop(state);
                let engine = (self.start)().inspect_err(|_| {
                    self.state.lock().unwrap_or_else(PoisonError::into_inner).started -= 1;
                    self.freed.notify_one();
                })?;
                return Ok((Member { engine, restarts }, restarts));
            }
            state = self.freed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// A thread's part of an [`EngineShare`].
struct SharedEngine {
    share: Arc<EngineShare>,
    results: Option<OwnedResults>,
}

impl SharedEngine {
    fn keep<'e>(
        &'e mut self,
        groups: &'e [Group],
        results: OwnedResults,
    ) -> Result<Results<'e>, EngineError> {
        Ok(self.results.insert(results).view(groups)?)
    }
}

impl Engine for SharedEngine {
    fn identity(&self) -> &EngineIdentity {
        &self.share.identity
    }

    fn run<'e>(&'e mut self, groups: &'e [Group]) -> Result<Results<'e>, EngineError> {
        let results = self
            .share
            .with(|engine| Ok(engine.run(groups)?.to_owned_results()))?;
        self.keep(groups, results)
    }

    fn run_fresh<'e>(&'e mut self, groups: &'e [Group]) -> Result<Results<'e>, EngineError> {
        let results = self
            .share
            .with(|engine| Ok(engine.run_fresh(groups)?.to_owned_results()))?;
        self.keep(groups, results)
    }

    fn remembered_pages(&mut self, draft: &Group) -> Option<Vec<(u64, PageAccess)>> {
        self.share
            .with(|engine| Ok(engine.remembered_pages(draft)))
            .ok()
            .flatten()
    }

    fn restart(&mut self) -> Result<(), EngineError> {
        let mut state = self.share.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.restarts += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::MockEngine;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn no_more_engines_are_started_than_may_be() {
        let started = Arc::new(AtomicUsize::new(1));
        let counted = Arc::clone(&started);
        let share = EngineShare::new(Box::new(MockEngine::with_no_effect()), 2, move || {
            counted.fetch_add(1, Ordering::Relaxed);
            Ok(Box::new(MockEngine::with_no_effect()))
        });
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let mut engine = share.engine_for_thread();
                    for _ in 0..50 {
                        engine.run(&[]).unwrap();
                        engine.restart().unwrap();
                    }
                });
            }
        });
        assert!(started.load(Ordering::Relaxed) <= 2);
    }
}
