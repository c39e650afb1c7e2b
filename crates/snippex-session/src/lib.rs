//! A session of snippex as a library: extract or generate blocks, check an emulator on them, store what was found, list
//! the bugs.
//!
//! Plain options go in, an [`SessionObserver`] hears of what happens, and plain values come out. Nothing is printed and nothing
//! is read from the environment; the command line is one user of this crate, and
//! `crates/snippex-session/examples/check_a_file.rs` is another:
//!
//! ```no_run
#![doc = include_str!("../examples/check_a_file.rs")]
//! ```
//!
//! In the order of the flow: [`BinaryFile`] and [`Generated`] are where blocks come from, [`CheckTarget`] is what is to be
//! checked, [`Session::check_targets`] works targets off one after another and stores what it finds, [`Bugs`] reads the list of
//! bugs, [`ReproducedCase`] is the case of one of them. Blocks of one target only are held at a time.

mod baseline;
mod binary_file;
mod bugs;
mod caching;
mod checking;
mod engine_choice;
mod error;
mod generating;
mod host;
#[cfg(feature = "images")]
mod images;
mod naming;
mod programs;
mod recording;
mod reproducing;
mod source;
mod statistics;
mod stored_blocks;
mod stored_path;
mod team;
mod vectors;

pub use baseline::{
    Approval, Approved, Baseline, BaselineChange, BaselineComparison, BaselineError, BlockVerdict,
    ChangeKind, ContentKey, ObservedVerdicts, Section, SectionKey, SeenAt, current_utc_date,
};
pub use binary_file::BinaryFile;
pub use bugs::{Bugs, ComparedExample, ListedBug, ListedSignature, SeenOn, Wanted, is_called};
pub use caching::{CacheAnswer, CacheOptions, CacheUse, Explanation, OtherContext, VerdictCache};
pub use checking::{
    CheckOutcome, CheckTarget, DivergenceExample, DivergenceGroup, EnginePair, Session, SessionEvent,
    SessionObserver, SessionOptions, StoredSelection, Tally, TargetChoice, TargetSummary, blocks_not_run,
    inconclusive_word, new_bug,
};
pub use engine_choice::{EngineChoice, EngineNames, engine_record};
pub use error::{FileGone, SessionError};
pub use generating::{Forms, Generated, Has, coverage_of_forms};
pub use host::this_host;
pub use naming::{NamedProgram, each_program};
pub use programs::{ProgramFile, ProgramName, ReadPrograms, SameProgram, SkippedProgram, read_programs};
pub use recording::{RecordOptions, RecordProgress, RecordedAs, open_recording, record_blocks};
pub use reproducing::{
    CaseName, JudgedCase, ReproduceError, ReproducedCase, SideNames, reproducer_notes, reproducer_title,
};
pub use source::BlockSource;
pub use statistics::{
    Grouping, NewestRun, RunGroup, Trend, day_start, failure_modes, group_runs, newest_runs, runs_by_day,
};
pub use stored_blocks::{
    StoredTarget, find_binary, load_blocks, page_of_blocks, scope_of_selection, source_of_binary,
    store_blocks, stored_targets,
};
pub use stored_path::{read_stored_path, write_stored_path};
pub use team::EngineTeam;
pub use vectors::Vectors;
