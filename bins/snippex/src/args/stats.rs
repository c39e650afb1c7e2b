//! Options about statistics.

use clap::{Args, Subcommand, ValueEnum};

use super::FormatArg;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  snippex stats summary                      success by engine and version
  snippex stats summary --by kind            by kind of instruction
  snippex stats trends --format csv
  snippex stats blocks --flaky

A rate is the share of blocks without a divergence, with Wilson's 95 % interval. A block is flaky when, with the same seed and
number of states on the same two engines, it came to other numbers of matches or divergences in two finished runs. What is
spurious shows when an engine is compared with itself: snippex check PROGRAM --reference native -e native.")]
pub(crate) struct StatsArgs {
    #[command(subcommand)]
    pub(crate) command: StatsCommand,
    /// Only the newest N runs
    #[arg(long, global = true, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) runs: u32,
    /// Form of the answer
    #[arg(
        long,
        global = true,
        value_parser = super::formats(["human", "json", "jsonl", "csv"]),
        default_value = "human",
        value_name = "FORMAT",
        help_heading = "Output options"
    )]
    pub(crate) format: FormatArg,
}

#[derive(Debug, Subcommand)]
pub(crate) enum StatsCommand {
    /// Success and speed of all runs together
    Summary {
        /// What is told apart
        #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
        by: GroupingArg,
    },
    /// Success and speed day by day
    Trends,
    /// Each run
    Runs,
    /// Blocks that fail, or do not always end alike
    Blocks {
        /// Blocks that diverged, those that did in most runs first (as without an option)
        #[arg(long, conflicts_with = "flaky")]
        failing: bool,
        /// Blocks whose cases did not always end alike on the same engines
        #[arg(long)]
        flaky: bool,
        /// At most N
        #[arg(long, short = 'n', value_name = "N", default_value_t = 50)]
        limit: u32,
    },
    /// Ways to fail: divergences by kind, and what was not judged by reason
    Modes,
}

/// What is told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum GroupingArg {
    /// Engine and version
    #[default]
    Engine,
    /// Binary
    Binary,
    /// Kind of instruction
    Kind,
    /// Extension of the instruction set
    Extension,
}
