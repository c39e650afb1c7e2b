//! Gives memory back to the system after large runs.
//!
//! glibc keeps what was freed for the next time, in a heap a thread: after a few uploads of a hundred thousand benchmarks those held
//! ten times what the service needs. Other allocators give back by themselves.

use std::time::Duration;

use crate::state::AppState;

/// Values are dropped a moment after the work is said to be done; and many large runs are one wait.
const A_MOMENT: Duration = Duration::from_secs(1);

/// Series of a run from which on it is large.
pub(crate) const LARGE_RUN: usize = 5_000;

/// Gives back what is free each time that large work was done, until the service is to end.
pub async fn run_memory_loop(state: AppState) {
    loop {
        tokio::select! {
            () = state.large_work.notified() => {}
            () = state.ending.cancelled() => return,
        }
        tokio::select! {
            () = tokio::time::sleep(A_MOMENT) => {}
            () = state.ending.cancelled() => return,
        }
        // It takes the locks of the heaps one after the other, and a while.
        if tokio::task::spawn_blocking(give_back).await.is_err() {
            tracing::error!("what is free of the memory cannot be given back");
            return;
        }
    }
}

#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "the C library has no safe call for it")]
fn give_back() {
    // SAFETY: it touches free memory only, under the allocator's own locks, and may be called at any time.
    unsafe { libc::malloc_trim(0) };
}

#[cfg(not(target_env = "gnu"))]
fn give_back() {}
