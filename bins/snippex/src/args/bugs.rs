//! `snippex bugs` and `snippex reduce`.

use clap::{Args, Subcommand};
use snippex_store::RunId;

use super::{EngineArgs, ReferenceArgs};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  snippex bugs                                   what was found, the most frequent first
  snippex bugs --emulator qemu-x86_64 --all      each instruction by itself
  snippex bugs show 3f9a2c
  snippex bugs known add 3f9a2c --issue https://gitlab.com/qemu-project/qemu/-/issues/1 --note 'fixed in 8.0'
  snippex bugs diff 7.2 8.0                      what a new version has fixed, and what is new")]
pub(crate) struct BugsArgs {
    #[command(subcommand)]
    pub(crate) command: Option<BugsCommand>,
    /// Only bugs of this engine
    #[arg(long, short, value_name = "ENGINE", global = true)]
    pub(crate) emulator: Option<String>,
    /// Only bugs that this run has met
    #[arg(long, value_name = "RUN", value_parser = super::commands::run)]
    pub(crate) run: Option<RunId>,
    /// List every instruction by itself, not bugs of many instructions in one line
    #[arg(long, short)]
    pub(crate) all: bool,
    /// At most N lines; 0 for all
    #[arg(long, short = 'n', value_name = "N", default_value_t = 50)]
    pub(crate) limit: usize,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BugsCommand {
    /// Show a bug: what differs, who is right, the plainest case
    Show {
        /// Id of the bug, or its beginning
        #[arg(value_name = "BUG")]
        bug: String,
    },
    /// The list of known bugs: they stay listed apart and do not make a run fail
    #[command(subcommand)]
    Known(KnownCommand),
    /// What one version of an engine gets wrong and another does not
    Diff {
        /// Part of the name, version or configuration of the older engine, or its number with #
        #[arg(value_name = "BEFORE")]
        before: String,
        /// The same for the newer one
        #[arg(value_name = "AFTER")]
        after: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum KnownCommand {
    /// Add bugs to the list, or bring an entry up to date
    Add {
        /// Ids of bugs, or their beginnings
        #[arg(value_name = "BUG", required = true)]
        bugs: Vec<String>,
        /// Where it is reported
        #[arg(long, value_name = "URL")]
        issue: String,
        /// What there is to say
        #[arg(long, value_name = "TEXT", default_value = "")]
        note: String,
        /// Replace an entry that names another issue
        #[arg(long)]
        replace: bool,
    },
    /// Remove bugs from the list
    Remove {
        /// Ids of bugs, or their beginnings
        #[arg(value_name = "BUG", required = true)]
        bugs: Vec<String>,
    },
    /// Print the list
    List,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  snippex reduce 12                        stored divergence 12, on the engine that showed it
  snippex reduce case.snip -e qemu-x86_64  a case in text form
  snippex reduce 12 15 31 --seconds 60")]
pub(crate) struct ReduceArgs {
    /// Stored divergences by number, or files with a case (.snip)
    #[arg(value_name = "DIVERGENCE|FILE", required = true)]
    pub(crate) subjects: Vec<String>,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    #[command(flatten)]
    pub(crate) reference: ReferenceArgs,
    /// Longest time for one case
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) seconds: u64,
}
