//! Options about the cache of verdicts.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{BlocksArgs, EngineArgs, ReferenceArgs, RunArgs};

/// How a check uses the cache.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Cache options")]
pub(crate) struct CacheArgs {
    /// Run every block, and leave the cache alone
    #[arg(long, conflicts_with_all = ["cache_refresh", "cache_ttl", "cache_max_size"])]
    pub(crate) no_cache: bool,
    /// Run every block, and put what is found out into the cache
    #[arg(long)]
    pub(crate) cache_refresh: bool,
    /// Oldest verdict that is believed, such as 12h or 7d [default: 30d]
    #[arg(long, value_name = "AGE", value_parser = super::values::age_text)]
    pub(crate) cache_ttl: Option<String>,
    /// Largest size of the cache, such as 500MiB or 2GiB; what was not used for longest goes [default: 1GiB]
    #[arg(long, value_name = "SIZE", value_parser = super::values::size_text)]
    pub(crate) cache_max_size: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// How much is there, for which engines, and what it is worth
    Stats,
    /// Say of blocks whether a check would find their verdict, and if not, which part of the key differs
    Explain(ExplainArgs),
    /// Remove what is too old, and what is too much
    Prune(PruneArgs),
    /// Remove the cache
    Clear,
    /// Check programs, without reducing anything, so that later checks find their verdicts
    Warm(WarmArgs),
    /// Print where the cache is
    Path,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  snippex cache explain 5
  snippex cache explain 1-20 --binary bash -e fex-emu --seed 2")]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub(crate) blocks: BlocksArgs,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    #[command(flatten)]
    pub(crate) reference: ReferenceArgs,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Without options the limits of the settings hold.

Examples:
  snippex cache prune --older-than 7d
  snippex cache prune --max-size 100MiB")]
pub(crate) struct PruneArgs {
    /// Remove verdicts that are older, such as 12h or 7d
    #[arg(long, value_name = "AGE", value_parser = super::values::age_text)]
    pub(crate) older_than: Option<String>,
    /// Keep at most so much, such as 500MiB or 2GiB
    #[arg(long, value_name = "SIZE", value_parser = super::values::size_text)]
    pub(crate) max_size: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  snippex cache warm /bin/bash -e valgrind
  snippex cache warm /usr/lib/x86_64-linux-gnu/*.so --cache-refresh")]
pub(crate) struct WarmArgs {
    /// x86-64 programs or shared libraries, ELF or PE
    #[arg(required = true, value_name = "BINARY")]
    pub(crate) binaries: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    #[command(flatten)]
    pub(crate) reference: ReferenceArgs,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}
