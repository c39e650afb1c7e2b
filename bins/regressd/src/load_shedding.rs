//! Uploads that come faster than they can be judged are held back a little.
//!
//! Storing a run costs less than judging it, so clients that post as fast as they are answered would outrun the workers
//! for as long as they go on. Their answers are therefore delayed by up to 20 ms, the more the longer the queue:
//! what is stored and what is judged meet where the queue stays as it is. Nothing is refused, and a run is as safe
//! before the delay as after it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::database::{Database, jobs};

/// Runs that may wait without any delay.
const UNNOTICED: u32 = 1_000;
/// With so many more the delay is at its longest; no more than these are counted.
const REACH: u32 = 4_000;
/// The longest delay: a hundred clients that wait so long, and as long again for their answers, still post 2,500 runs a
/// second.
const LONGEST: Duration = Duration::from_millis(20);
/// How often the queue is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// How many runs wait to be judged, as last seen.
#[derive(Debug, Default)]
pub struct LoadShedding(AtomicU32);

impl LoadShedding {
    /// For how long an answer is held back.
    pub(crate) fn delay(&self) -> Duration {
        let over = self
            .0
            .load(Ordering::Relaxed)
            .saturating_sub(UNNOTICED)
            .min(REACH);
        LONGEST.mul_f64(f64::from(over) / f64::from(REACH))
    }

    /// Looks at the queue until the service is to end.
    pub(crate) async fn watch_queue(&self, database: &Database, ending: &CancellationToken) {
        loop {
            if let Ok(mut connection) = database.acquire_reader().await
                && let Ok(waiting) = jobs::count_to_judge(&mut connection, UNNOTICED + REACH).await
            {
                self.0.store(waiting, Ordering::Relaxed);
            }
            tokio::select! {
                () = ending.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_grows_with_the_queue_and_ends() {
        let shedding = LoadShedding::default();
        let delays = [0, 1_000, 3_000, 5_000, u32::MAX].map(|waiting| {
            shedding.0.store(waiting, Ordering::Relaxed);
            shedding.delay().as_millis()
        });
        assert_eq!(delays, [0, 0, 10, 20, 20]);
    }
}
