//! `snippex bugs` and `snippex reduce`.

use clap::{Args, Subcommand};
use clap_complete::ArgValueCandidates;
use snippex_store::RunId;

use super::regression::BaselineFileArgs;
use super::{EngineArgs, ReferenceArgs};
use crate::completing::{complete_bugs, complete_engines};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  snippex bugs                                   what was found, the most frequent first
  snippex bugs --emulator qemu-x86_64            what one engine gets wrong
  snippex bugs show mxcsr-de
  snippex bugs --signatures                      each instruction form by itself
  snippex bugs known add mxcsr-de --issue URL --note 'fixed in 8.0'
  snippex bugs diff 7.2 8.0                      what a new version has fixed, and what is new")]
pub(crate) struct BugsArgs {
    #[command(subcommand)]
    pub(crate) command: Option<BugsCommand>,
    /// Only bugs of this engine
    #[arg(long, short, value_name = "ENGINE", global = true, add = ArgValueCandidates::new(complete_engines))]
    pub(crate) emulator: Option<String>,
    /// Only bugs that this run has met
    #[arg(long, value_name = "RUN", value_parser = super::stored::parse_run_id)]
    pub(crate) run: Option<RunId>,
    /// List each instruction form with each set of differing fields by itself, not what is behind them
    #[arg(long, short, global = true)]
    pub(crate) signatures: bool,
    /// At most N bugs; 0 for all
    #[arg(long, short = 'n', value_name = "N", default_value_t = 50)]
    pub(crate) limit: usize,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BugsCommand {
    /// Show a bug: what differs, who is right, the plainest case
    Show {
        /// Name of the bug, or id of one of its signatures, or the beginning of it
        #[arg(value_name = "BUG", add = ArgValueCandidates::new(complete_bugs))]
        bug: String,
    },
    /// The list of known bugs: they stay listed apart and do not make a run fail
    Known {
        /// Without one the list is printed.
        #[command(subcommand)]
        command: Option<KnownCommand>,
    },
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
        /// Names of bugs, or ids of signatures when these alone are meant, or their beginnings
        #[arg(value_name = "BUG", required = true, add = ArgValueCandidates::new(complete_bugs))]
        bugs: Vec<String>,
        /// Where it is reported
        #[arg(long, value_name = "URL", value_parser = super::values::one_word)]
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
        /// Names of bugs, or ids of signatures when these alone are meant, or their beginnings
        #[arg(value_name = "BUG", required = true, add = ArgValueCandidates::new(complete_bugs))]
        bugs: Vec<String>,
    },
    /// Print the list
    List,
    /// Write the list into a baseline of `snippex regression`, as failures that are accepted
    Write(BaselineFileArgs),
    /// Add to the list what a baseline accepts, and says an issue of
    Read(BaselineFileArgs),
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
    pub(crate) targets: Vec<String>,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    #[command(flatten)]
    pub(crate) reference: ReferenceArgs,
    /// Longest time for one case
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) seconds: u64,
}
