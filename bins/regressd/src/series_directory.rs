//! The numbers of series, remembered in a room that does not grow: what nobody asked for the longest is forgotten, and read
//! again when it is needed.

use std::collections::HashMap;
use std::sync::Arc;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use crate::database::streams::{self, SeriesName};
use crate::database::{Database, DatabaseError, bulk};
use crate::domain::{SeriesId, StreamId};

/// Series remembered at most.
const MAX_SERIES: u64 = 100_000;
/// More of them at once would push out too much else: those of so large a run are read each time.
const MAX_AT_ONCE: usize = 10_000;
/// New series that are stored in one transaction: other writers must not wait for all of a large run.
const PORTION: usize = 500;

/// What series are about, by their numbers.
pub type Names = HashMap<SeriesId, Arc<SeriesName>>;

/// What is remembered of series, by name and by number.
#[derive(Debug)]
pub struct SeriesDirectory {
    numbers: Cache<(StreamId, Arc<SeriesName>), SeriesId>,
    names: Cache<SeriesId, Arc<SeriesName>>,
}

impl Default for SeriesDirectory {
    fn default() -> Self {
        Self {
            // A policy that lets in what was asked for often would refuse a new series, which is asked for again soon.
            numbers: Cache::builder()
                .max_capacity(MAX_SERIES)
                .eviction_policy(EvictionPolicy::lru())
                .build(),
            names: Cache::builder()
                .max_capacity(MAX_SERIES)
                .eviction_policy(EvictionPolicy::lru())
                .build(),
        }
    }
}

impl SeriesDirectory {
    /// The numbers of these series of a stream, in their order; new ones are added.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn find_or_insert(
        &self,
        database: &Database,
        stream: StreamId,
        names: &[Arc<SeriesName>],
    ) -> Result<Vec<SeriesId>, DatabaseError> {
        let known = names
            .iter()
            .map(|name| self.numbers.get(&(stream, Arc::clone(name))));
        let mut numbers: Vec<Option<SeriesId>> = known.collect();
        let keep = names.len() <= MAX_AT_ONCE;
        let unknown = |numbers: &[Option<SeriesId>]| -> Vec<Arc<SeriesName>> {
            let unknown = numbers.iter().zip(names).filter(|(number, _)| number.is_none());
            unknown.map(|(_, name)| Arc::clone(name)).collect()
        };
        let missing = unknown(&numbers);
        if !missing.is_empty() {
            let mut connection = database.acquire_reader().await?;
            let found = bulk::find_series(&mut connection, stream, &missing).await?;
            drop(connection);
            self.fill(&mut numbers, names, &found, (stream, keep));
        }
        let new = unknown(&numbers);
        if !new.is_empty() {
            let mut added = HashMap::with_capacity(new.len());
            for portion in new.chunks(PORTION) {
                let portion: Arc<[Arc<SeriesName>]> = portion.into();
                let add = database.run_in_transaction(move |connection| {
                    let portion = Arc::clone(&portion);
                    Box::pin(async move {
                        let mut added = Vec::with_capacity(portion.len());
                        for name in portion.iter() {
                            let id = streams::insert_series(connection, stream, name).await?;
                            added.push((Arc::clone(name), id));
                        }
                        Ok(added)
                    })
                });
                added.extend(add.await?);
            }
            self.fill(&mut numbers, names, &added, (stream, keep));
        }
        // A statement that adds a series gives its number.
        Ok(numbers.into_iter().flatten().collect())
    }

    /// Fills in what was found, and keeps it.
    fn fill(
        &self,
        numbers: &mut [Option<SeriesId>],
        names: &[Arc<SeriesName>],
        found: &HashMap<Arc<SeriesName>, SeriesId>,
        (stream, keep): (StreamId, bool),
    ) {
        for (number, name) in numbers
            .iter_mut()
            .zip(names)
            .filter(|(number, _)| number.is_none())
        {
            *number = found.get(name).copied();
            if let Some(number) = number.filter(|_| keep) {
                self.numbers.insert((stream, Arc::clone(name)), number);
                self.names.insert(number, Arc::clone(name));
            }
        }
    }

    /// What these series are about; those that are gone are left out.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn names_of(
        &self,
        database: &Database,
        series: impl Iterator<Item = SeriesId> + Send,
    ) -> Result<Names, DatabaseError> {
        let (mut names, mut missing) = (Names::new(), Vec::new());
        for number in series {
            match self.names.get(&number) {
                Some(name) => drop(names.insert(number, name)),
                None => missing.push(number),
            }
        }
        if missing.is_empty() {
            return Ok(names);
        }
        missing.sort_unstable();
        missing.dedup();
        let mut connection = database.acquire_reader().await?;
        let keep = missing.len() <= MAX_AT_ONCE;
        for series in bulk::list_series(&mut connection, &missing).await? {
            let name = Arc::new(series.name);
            if keep {
                self.names.insert(series.id, Arc::clone(&name));
            }
            names.insert(series.id, name);
        }
        Ok(names)
    }

    /// Forgets everything.
    pub fn forget_all(&self) {
        self.numbers.invalidate_all();
        self.names.invalidate_all();
    }
}
