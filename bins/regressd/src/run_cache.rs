//! What was read of runs before. Rows of runs never change, so what is remembered of one is true for as long as the run
//! is there; and a run of a history is asked for again by each of the thirty that follow it.

use std::sync::Arc;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use crate::domain::{Medians, RunId};

/// Values that are remembered at most: 8 MiB.
const MAX_VALUES: u32 = 500_000;
/// One run that is larger than this would push out too much else.
const MAX_VALUES_OF_RUN: u32 = MAX_VALUES / 8;
/// A run costs some room whatever it holds.
const ROOM_OF_RUN: u32 = 8;

/// What a history needs of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct PastRun {
    /// The commit.
    pub(crate) commit: Arc<str>,
    /// Its values.
    pub(crate) medians: Arc<Medians>,
}

impl PastRun {
    fn room(&self) -> u32 {
        u32::try_from(self.medians.count())
            .unwrap_or(u32::MAX)
            .saturating_add(ROOM_OF_RUN)
    }
}

/// Runs that were read a while ago, in a room that does not grow: what nobody asked for the longest is forgotten.
#[derive(Debug)]
pub struct RunCache(Cache<RunId, PastRun>);

impl Default for RunCache {
    fn default() -> Self {
        let cache = Cache::builder()
            .max_capacity(MAX_VALUES.into())
            .weigher(|_, past: &PastRun| past.room())
            // Every new run is asked for soon; a policy that lets in what was asked for often would refuse it.
            .eviction_policy(EvictionPolicy::lru())
            .build();
        Self(cache)
    }
}

impl RunCache {
    /// All of these runs, in their order; `None` when one of them is not known.
    pub(crate) fn find_all(&self, runs: &[RunId]) -> Option<Vec<PastRun>> {
        runs.iter().map(|run| self.0.get(run)).collect()
    }

    /// One run.
    pub(crate) fn find_run(&self, run: RunId) -> Option<PastRun> {
        self.0.get(&run)
    }

    /// Keeps a run.
    pub(crate) fn keep_run(&self, run: RunId, past: PastRun) {
        if past.room() <= MAX_VALUES_OF_RUN {
            self.0.insert(run, past);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::{Results, SeriesId};

    fn past(values: i64) -> PastRun {
        let results = Results(
            (0..values)
                .map(|series| (SeriesId(series), vec![1.0]))
                .collect::<BTreeMap<_, _>>(),
        );
        PastRun {
            commit: "c".into(),
            medians: Arc::new(Medians::from_results(&results)),
        }
    }

    #[test]
    fn it_keeps_what_is_asked_for_and_never_outgrows_its_room() {
        let cache = RunCache::default();
        for run in (0..2000).map(RunId) {
            cache.keep_run(run, past(1000));
            assert!(
                cache.find_run(RunId(7)).is_some() || run < RunId(7),
                "asked for all the time"
            );
        }
        cache.0.run_pending_tasks();
        assert!((400..=500).contains(&cache.0.entry_count()), "{cache:?}");
        assert!(cache.0.weighted_size() <= MAX_VALUES.into(), "{cache:?}");
        assert!(cache.find_run(RunId(8)).is_none() && cache.find_run(RunId(1999)).is_some());
        assert!(cache.find_all(&[1999, 8].map(RunId)).is_none());
        assert_eq!(cache.find_all(&[1998, 1999].map(RunId)).unwrap().len(), 2);
        cache.keep_run(RunId(5000), past(200_000));
        assert!(cache.find_run(RunId(5000)).is_none(), "too large to be kept");
    }
}
