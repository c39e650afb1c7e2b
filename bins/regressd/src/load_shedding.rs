//! Uploads that come faster than they can be judged are held back a little.
//!
//! Storing a run costs less than judging it, so clients that post as fast as they are answered would outrun the workers
//! for as long as they go on. Their answers are therefore delayed by up to a second, the more the longer the queue:
//! what is stored and what is judged meet where the queue stays as it is, and the processors that accepting leaves
//! are those that judge. Nothing is refused, and a run is as safe
//! before the delay as after it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::database::{Database, jobs};

/// Runs that may wait without any delay.
const UNNOTICED: u32 = 1_000;
/// With so many more the delay is at its longest; no more than these are counted.
const REACH: u32 = 20_000;
/// The longest delay. A hundred clients that are held back for 40 ms, which 800 runs too many make, and wait 20 ms for their
/// answers, post 1,700 runs a second.
const LONGEST: Duration = Duration::from_secs(1);
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
        let delays = [0, 1_000, 1_800, 3_000, 11_000, u32::MAX].map(|waiting| {
            shedding.0.store(waiting, Ordering::Relaxed);
            shedding.delay().as_millis()
        });
        assert_eq!(delays, [0, 0, 40, 100, 500, 1000]);
    }
}
