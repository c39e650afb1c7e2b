//! What a session tells while it works.

use std::time::Duration;

use snippex_blocks::select::Selection;
use snippex_core::block::Block;
use snippex_exec::check::{BlockReport, CheckSummary};
use snippex_store::BlockNumber;

use crate::BinaryFile;

/// Something that happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum SessionEvent<'e> {
    /// The blocks of a program are being looked for.
    Extracting(&'e BinaryFile),
    /// They are found, and those to be run are chosen.
    Chosen {
        /// The program.
        file: &'e BinaryFile,
        /// Blocks that it has.
        found: usize,
        /// Those that are taken, and why.
        selection: &'e Selection,
    },
    /// The chosen ones are being stored.
    Storing(&'e BinaryFile),
    /// The blocks of a target are ready to be run; nothing else is done until they are.
    Running {
        /// Runs that this adds to all there are.
        runs: u64,
    },
    /// A block was run.
    Block {
        /// Its number in the database.
        number: BlockNumber,
        /// The block.
        block: &'e Block,
        /// Name of the binary that it is of.
        binary: &'e str,
        /// What was found.
        report: &'e BlockReport,
        /// Totals, with this block.
        summary: &'e CheckSummary,
        /// How long blocks have been run for.
        elapsed: Duration,
    },
    /// A bug was reduced that was met before.
    Reduced,
    /// Processes of an engine did not come up in one of the threads, and were started again.
    FailedStarts {
        /// Name of the engine.
        engine: &'e str,
        /// How many.
        count: u32,
    },
}

/// Hears of what happens. It is called from one thread, between two results, and should not take long.
pub trait SessionObserver {
    /// Something happened.
    fn on_event(&mut self, event: SessionEvent<'_>);
}

/// For those who want to hear nothing.
impl SessionObserver for () {
    fn on_event(&mut self, _: SessionEvent<'_>) {}
}
