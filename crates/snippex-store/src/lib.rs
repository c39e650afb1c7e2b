//! The database of snippex: binaries, blocks, engines, hosts, runs, results, divergences, observations and bugs.
//!
//! ```
//! use snippex_core::block::{Block, Origin, Terminator};
//! use snippex_store::{Location, NewBinary, Selection, StoreHandle};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("snippex.db");
//! let store = StoreHandle::open(&Location::from(path.as_path()))?;
//! let ret = Block {
//!     address: 0x40_1000,
//!     bytes: vec![0xc3],
//!     instruction_count: 1,
//!     terminator: Terminator::Ret,
//!     successors: vec![],
//!     origin: Origin::Entry,
//!     unrunnable: None,
//! };
//! let binary = NewBinary {
//!     sha256: "0".repeat(64),
//!     name: "demo".to_owned(),
//!     path: "/bin/demo".to_owned(),
//!     size: 4096,
//!     format: "elf".to_owned(),
//! };
//! let blocks = store.call_and_wait(async move |store| {
//!     let binary = store.add_binary(&binary).await?;
//!     store.add_blocks(binary, &[ret]).await?;
//!     store.list_blocks(&Selection::all(), Some(binary), None, 100).await
//! })?;
//! assert_eq!(blocks[0].number.to_string(), "1");
//! # Ok(())
//! # }
//! ```
//!
//! Place in the flow: the last stage before reports. The command line hands over what extraction found and what
//! the engines did; reports and later commands read it again. The store runs nothing, compares nothing and does
//! not know the engines.
//!
//! [`Store`] is asynchronous; [`StoreHandle`] is the same for code that is not, and saves batches in the
//! background. SQLite is the default, PostgreSQL is taken by URL, see [`Location`]; both get the same statements.
//!
//! What holds whatever happens:
//! - A batch is saved whole or not at all, and once [`Store::save_batch`] has returned it survives `kill -9`. A power
//!   failure may take the last batches of a SQLite file, never the file.
//! - Many processes may write to one database; the schema is brought up to date by whoever opens it first.
//! - A run whose process died shows as interrupted; nothing has to be mended.
//! - A database of a newer schema, of another program, or no database at all is refused and left as it is.

mod batch;
mod binary;
mod block;
pub mod blocking;
mod bug;
mod bundle;
mod cache;
mod case;
mod column;
mod divergence;
mod driver_error;
mod engine;
mod error;
mod evidence;
mod ids;
mod insert;
mod names;
mod observation;
mod open;
mod owner;
mod packed;
mod remove;
mod reported_issue;
mod result;
mod run;
mod run_summary;
mod schema;
mod selection;
mod space;
mod statistics;
mod table_rows;

pub use batch::BlockBatch;
pub use binary::{Binary, NewBinary};
pub use block::{Added, StoredBlock};
pub use blocking::StoreHandle;
pub use bug::{BugExample, Contradiction, ExampleEntry, KnownBug, NewBug, NewSighting, Sighting, StoredBug};
pub use bundle::{BUNDLE_VERSION, BundleError, ExportedBundle, ImportReport, Section, SectionCounts};
pub use cache::{
    CacheFile, CacheTotals, CachedContext, NewSegment, PruneLimits, Pruned, StoredSegment, remove_cache_file,
};
pub use database_kit::{Location, LocationError};
pub use divergence::{DivergenceGroup, DivergenceSummary, NewDivergence, StoredDivergence};
pub use driver_error::DriverError;
pub use engine::{Guest, Host, StoredEngine};
pub use error::StoreError;
pub use evidence::{EncodedCase, EncodedObservation};
pub use ids::{BinaryId, BlockNumber, DivergenceId, EngineId, HostId, ObservationId, RunId, UnixMillis};
pub use observation::{NewObservation, ObservationSummary, StoredObservation};
pub use open::{BUSY_TIMEOUT, Store};
pub use remove::Removed;
pub use reported_issue::ReportedIssue;
pub use result::{BlockResult, ResultCounts};
pub use run::{NewRun, Partition, RunEnd, RunStatus, StoredRun};
pub use run_summary::{FormCounts, GroupCounts, RunSummary, SummaryDetails};
pub use selection::{ParseSelectionError, Selection};
pub use statistics::{FailingBlock, FlakyBlock, SummedRun};
pub use table_rows::{BlockRow, ResultKind, ResultRow, RunRange};
