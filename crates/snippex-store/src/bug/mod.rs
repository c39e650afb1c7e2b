//! Bugs by cause and signature: how often they were met, on which engines, with an example each; and which of them are
//! known.

mod known;
mod read;
mod save;
mod sort;

pub use known::{Contradiction, KnownBug};
pub use read::{BugExample, ExampleEntry, Sighting, StoredBug};
pub(crate) use save::{INSERT_EXAMPLES, add_bugs, add_sightings};

use snippex_triage::cause::Attribution;

use crate::evidence::{EncodedCase, EncodedObservation};
use crate::ids::{BlockNumber, EngineId, UnixMillis};

/// A bug that was met on an engine, with the plainest case so far. A reduced one replaces one that is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewBug {
    /// Its cause, and what the case shows of it.
    pub attribution: Attribution,
    /// The engine that is wrong.
    pub engine: EngineId,
    /// The engine that it is compared with.
    pub reference: EngineId,
    /// The block in which it was met, if it is stored.
    pub block: Option<BlockNumber>,
    /// What ran.
    pub case: EncodedCase,
    /// How it ended on the reference engine.
    pub expected: EncodedObservation,
    /// How it ended on the engine.
    pub actual: EncodedObservation,
    /// The differing fields, as JSON.
    pub differences: String,
    /// Whether the case was reduced.
    pub reduced: bool,
    /// How often it was repeated in fresh processes.
    pub confirmations: u32,
    /// When it was found.
    pub found: UnixMillis,
}

/// How often a bug was met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSighting {
    /// The bug's cause, and what showed of it.
    pub attribution: Attribution,
    /// On which engine.
    pub engine: EngineId,
    /// Diverging runs.
    pub runs: u64,
    /// Blocks with such a run.
    pub blocks: u64,
}
