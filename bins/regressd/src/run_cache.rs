//! What was read of runs before. Rows of runs never change, so what is remembered of one is true for as long as the run
//! is there; and a run of a history is asked for again by each of the thirty that follow it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::{Medians, RunId};

/// Values of one generation at most: with both generations that is 8 MiB.
const MAX_VALUES: usize = 250_000;
/// A run costs some room whatever it holds.
const RUN: usize = 8;

/// What a history needs of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct PastRun {
    /// The commit.
    pub(crate) commit: Arc<str>,
    /// Its values.
    pub(crate) medians: Arc<Medians>,
}

/// Runs that were read a while ago, in a room that does not grow: when the young generation is full it becomes the old
/// one, and what nobody asked for meanwhile is forgotten.
#[derive(Debug, Default)]
pub struct RunCache(Mutex<Generations>);

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<RunId, PastRun>,
    old: HashMap<RunId, PastRun>,
    values: usize,
}

impl RunCache {
    /// All of these runs, in their order; `None` when one of them is not known.
    pub(crate) fn all(&self, runs: &[RunId]) -> Option<Vec<PastRun>> {
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        runs.iter().map(|run| generations.find(*run)).collect()
    }

    /// One run.
    pub(crate) fn one(&self, run: RunId) -> Option<PastRun> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).find(run)
    }

    /// Keeps a run.
    pub(crate) fn keep(&self, run: RunId, past: PastRun) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .keep(run, past);
    }
}

impl Generations {
    fn find(&mut self, run: RunId) -> Option<PastRun> {
        if let Some(past) = self.young.get(&run) {
            return Some(past.clone());
        }
        let past = self.old.remove(&run)?;
        self.keep(run, past.clone());
        Some(past)
    }

    fn keep(&mut self, run: RunId, past: PastRun) {
        let room = past.medians.count() + RUN;
        // One run that is larger than all of it would push out everything else.
        if room > MAX_VALUES / 4 {
            return;
        }
        if self.values + room > MAX_VALUES {
            self.old = std::mem::take(&mut self.young);
            self.values = 0;
        }
        if self.young.insert(run, past).is_none() {
            self.values += room;
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
            medians: Arc::new(Medians::of(&results)),
        }
    }

    #[test]
    fn it_keeps_what_is_asked_for_and_never_outgrows_its_room() {
        let cache = RunCache::default();
        for run in (0..2000).map(RunId) {
            cache.keep(run, past(1000));
            assert!(
                cache.one(RunId(7)).is_some() || run < RunId(7),
                "asked for all the time"
            );
        }
        let generations = cache.0.lock().unwrap();
        let all = generations.young.len() + generations.old.len();
        assert!((200..=500).contains(&all), "{all}");
        drop(generations);
        assert!(cache.one(RunId(8)).is_none() && cache.one(RunId(1999)).is_some());
        assert!(cache.all(&[1999, 8].map(RunId)).is_none());
        assert_eq!(cache.all(&[1998, 1999].map(RunId)).unwrap().len(), 2);
        cache.keep(RunId(5000), past(200_000));
        assert!(cache.one(RunId(5000)).is_none(), "too large to be kept");
    }
}
