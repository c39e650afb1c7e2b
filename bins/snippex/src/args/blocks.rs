//! Options that name stored blocks.

use clap::Args;
use clap_complete::ArgValueCandidates;
use snippex_store::Selection;

use crate::completing::{complete_binaries, complete_block_selections};

/// Stored blocks.
#[derive(Clone, Debug, Args)]
pub(crate) struct BlocksArgs {
    /// Blocks by number: 5, 1-10, 5-, 3,7,12 or all
    ///
    /// Numbers are unique in a database. Selections without an end, such as all and 5-, mean the most recently
    /// added binary unless --binary names another.
    #[arg(value_name = "BLOCKS", add = ArgValueCandidates::new(complete_block_selections))]
    pub(crate) selection: Selection,
    /// Only blocks of this binary: its name, its path or the beginning of its SHA-256
    #[arg(long, short, value_name = "NAME|SHA", add = ArgValueCandidates::new(complete_binaries))]
    pub(crate) binary: Option<String>,
}
