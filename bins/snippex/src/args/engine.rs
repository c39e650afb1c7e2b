//! Options about engines and runs.

use clap::Args;
use clap_complete::ArgValueCandidates;

use super::values::{self, PartitionArg};
use super::{CacheArgs, ExportArgs};
use crate::completing::complete_engines;

/// Which engine is tested.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Engine options")]
pub(crate) struct EngineArgs {
    /// Engine to run on, perhaps in a configuration (NAME/CONFIGURATION): native, qemu-x86_64, fex-emu, box64,
    /// valgrind, one of the settings, or mock (this CPU with a planted bug); HOST/ENGINE is one of another host, and several
    /// that share the work are separated by commas; `check` takes several times -e, for one table [default: qemu-x86_64; for what is stored, the engine that showed it]
    #[arg(long, short, value_name = "ENGINE", conflicts_with = "engine_command", add = ArgValueCandidates::new(complete_engines))]
    pub(crate) emulator: Vec<String>,
    /// Command of an engine of your own; {runner} stands for the x86-64 program that it has to run
    #[arg(long, value_name = "'PROGRAM {runner}'")]
    pub(crate) engine_command: Option<String>,
    /// What to call the engine of --engine-command [default: the name of its program]
    #[arg(long, value_name = "NAME", requires = "engine_command")]
    pub(crate) engine_name: Option<String>,
    #[command(flatten)]
    pub(crate) hosts: HostArgs,
}

/// How other hosts are used.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct HostArgs {
    /// Keep connections to hosts, and use them again [default: on]
    #[arg(long, help_heading = "Host options", value_name = "on|off", value_parser = values::on_or_off, num_args = 0..=1, require_equals = true, default_missing_value = "on")]
    pub(crate) connection_pool: Option<bool>,
    /// Connections to each host, each with an agent of its own [default: 1]
    #[arg(long, help_heading = "Host options", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=16))]
    pub(crate) pool_size: Option<u32>,
    /// Have hosts keep no programs for the next time
    #[arg(long, help_heading = "Host options")]
    pub(crate) no_transfer_cache: bool,
}

/// Which engine is taken as right.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Engine options")]
pub(crate) struct ReferenceArgs {
    /// Engine that is taken as right, or the file of a recording [default: native]
    #[arg(long, value_name = "ENGINE", add = ArgValueCandidates::new(complete_engines))]
    pub(crate) reference: Option<String>,
}

/// What is run.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Run options")]
pub(crate) struct RunArgs {
    /// Start states for each block [default: 64]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub(crate) states: Option<u32>,
    /// Decides start states, memory and every random choice; the same seed repeats a run to the bit
    #[arg(long, value_name = "SEED", default_value = "1", value_parser = values::parse_seed)]
    pub(crate) seed: u64,
    /// Threads, each with its own engine processes [default: one for each CPU]
    #[arg(long, short = 'j', value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) threads: Option<u32>,
    /// Do only part K of N, for work that is divided over N processes or machines
    #[arg(long, value_name = "K/N")]
    pub(crate) partition: Option<PartitionArg>,
    /// Compare an engine although it fails the engine check (see `snippex engines test`)
    #[arg(long)]
    pub(crate) untrusted: bool,
    /// Do not reduce new bugs: each is stored with the case in which it was met
    #[arg(long)]
    pub(crate) no_reduce: bool,
    /// Longest time for reducing new bugs, summed over threads; later ones are stored as they were met
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 60,
        conflicts_with = "no_reduce"
    )]
    pub(crate) reduce_time: u64,
    #[command(flatten)]
    pub(crate) cache: CacheArgs,
    /// Also show how an example of each group of divergences ends on both engines, as compare does
    #[arg(long)]
    pub(crate) detail: bool,
    #[command(flatten)]
    pub(crate) exports: ExportArgs,
}
