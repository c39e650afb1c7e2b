//! What commands take that write and read recordings.

use std::path::PathBuf;

use clap::Args;

use super::{EngineArgs, ExportArgs, FilterArgs, FormArgs, ReferenceArgs, SelectArgs, values};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  snippex record /bin/bash --to bash.rec         on an x86-64 machine
  snippex replay bash.rec -e fex-emu             anywhere
  snippex record --generated --to sweep.rec      what this CPU makes of every instruction
  snippex record /bin/ls --to qemu.rec --reference qemu-x86_64

A recording holds the program, and how every run of its blocks ended; start states follow from the seed.")]
pub(crate) struct RecordArgs {
    /// An x86-64 program or shared library, ELF or PE
    #[arg(required_unless_present = "generated", value_name = "BINARY")]
    pub(crate) binary: Option<PathBuf>,
    /// File to write; a recording of that name is replaced, by a whole one, any other file is left alone
    #[arg(long = "to", value_name = "FILE")]
    pub(crate) recording: PathBuf,
    /// Make the blocks from the instruction set instead of taking a program's
    #[arg(long, conflicts_with_all = ["binary", "SelectArgs", "FilterArgs"], help_heading = "Generation")]
    pub(crate) generated: bool,
    #[command(flatten)]
    pub(crate) generate: FormArgs,
    #[command(flatten)]
    pub(crate) reference: ReferenceArgs,
    /// Start states for each block [default: 64]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096), help_heading = "Run options")]
    pub(crate) states: Option<u32>,
    /// Decides start states, memory and every random choice
    #[arg(long, value_name = "SEED", default_value = "1", value_parser = values::parse_seed, help_heading = "Run options")]
    pub(crate) seed: u64,
    /// Threads, each with its own engine processes [default: one for each CPU]
    #[arg(long, short = 'j', value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024), help_heading = "Run options")]
    pub(crate) threads: Option<u32>,
    #[command(flatten)]
    pub(crate) select: SelectArgs,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  snippex replay bash.rec -e fex-emu             what check finds, without an x86-64 CPU
  snippex replay intel.rec -e amd.rec            where two CPUs differ
  snippex check /bin/bash --reference bash.rec   the same for a part of the blocks, chosen here

Seed and start states are those of the recording. Which of several instructions is at fault is guessed, since the
reference cannot run a part of a block.")]
pub(crate) struct ReplayArgs {
    /// A file that snippex record has written; it takes the place of the reference
    #[arg(value_name = "FILE")]
    pub(crate) recording: PathBuf,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    /// Compare the engine although it fails the engine check (see `snippex engines test`)
    #[arg(long)]
    pub(crate) untrusted: bool,
    /// Threads, each with its own engine processes [default: one for each CPU]
    #[arg(long, short = 'j', value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024), help_heading = "Run options")]
    pub(crate) threads: Option<u32>,
    /// Do only part K of N, for work that is divided over N processes or machines
    #[arg(long, value_name = "K/N", help_heading = "Run options")]
    pub(crate) partition: Option<values::PartitionArg>,
    #[command(flatten)]
    pub(crate) exports: ExportArgs,
}
