//! The batches of a check: whoever is free takes the next, and a batch whose host was lost is taken again by another.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::warn;

use crate::engine::EngineError;

/// How often a waiting worker looks whether the check was cancelled.
const GLANCE: Duration = Duration::from_millis(200);

/// Which batches are to be done, under way and done.
#[derive(Debug)]
pub(super) struct WorkList {
    count: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The first that nobody has taken.
    next: usize,
    /// Those that were taken and not done.
    returned: Vec<usize>,
    under_way: usize,
    stopped: bool,
    /// Some workers may be lost: what they have is waited for.
    patient: bool,
    /// Why workers were lost.
    lost: Option<EngineError>,
}

impl WorkList {
    pub(super) fn new(count: usize) -> Self {
        Self {
            count,
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Number of batches.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A worker joins that may be lost.
    pub(super) fn expect_losses(&self) {
        self.state().patient = true;
    }

    /// The next batch to be done. When all are taken, those that may come back are waited for.
    pub(super) fn take_batch(&self, cancelled: &dyn Fn() -> bool) -> Option<usize> {
        let mut state = self.state();
        loop {
            if state.stopped || cancelled() {
                return None;
            }
            if let Some(batch) = state.returned.pop() {
                state.under_way += 1;
                return Some(batch);
            }
            if state.next < self.count {
                state.next += 1;
                state.under_way += 1;
                return Some(state.next - 1);
            }
            if state.under_way == 0 || !state.patient {
                return None;
            }
            let waited = self.changed.wait_timeout(state, GLANCE);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// A batch that was taken is done, or is to be done by another.
    pub(super) fn release_batch(&self, batch: usize, done: bool) {
        let mut state = self.state();
        state.under_way -= 1;
        if !done {
            state.returned.push(batch);
        }
        self.changed.notify_all();
    }

    /// A worker is no longer there.
    pub(super) fn mark_worker_lost(&self, error: EngineError) {
        let mut state = self.state();
        if state.lost.is_none() {
            warn!(%error, "a host was lost; what it had is done by others");
            state.lost = Some(error);
        }
        self.changed.notify_all();
    }

    /// Nothing is taken any more.
    pub(super) fn stop(&self) {
        self.state().stopped = true;
        self.changed.notify_all();
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.state().stopped
    }

    /// When all workers have ended.
    ///
    /// # Errors
    /// When there is something left to be done, and nobody to do it: why the first worker was lost.
    pub(super) fn check_completed(&self, cancelled: &dyn Fn() -> bool) -> Result<(), EngineError> {
        let mut state = self.state();
        let is_left = state.next < self.count || !state.returned.is_empty();
        match state.lost.take() {
            Some(error) if is_left && !state.stopped && !cancelled() => Err(error),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_that_comes_back_is_taken_by_whoever_waits() {
        let list = WorkList::new(2);
        let never = || false;
        assert_eq!(list.take_batch(&never), Some(0));
        assert_eq!(list.take_batch(&never), Some(1));
        assert_eq!(list.take_batch(&never), None);
        list.expect_losses();
        list.release_batch(1, true);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| list.take_batch(&never));
            list.release_batch(0, false);
            list.mark_worker_lost(EngineError::NoCpu);
            assert_eq!(waiting.join().unwrap(), Some(0));
        });
        assert!(list.check_completed(&never).is_ok(), "it is under way");
        list.release_batch(0, false);
        list.mark_worker_lost(EngineError::NoCpu);
        assert!(matches!(list.check_completed(&never), Err(EngineError::NoCpu)));
    }
}
