//! The commands, and what those take that begin with a file.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use clap_complete::ArgValueCandidates;

use super::{
    AgentArgs, AnalyzeArgs, BugsArgs, CacheCommand, CompareArgs, DisasmArgs, EngineArgs, EnginesCommand,
    ExportCommand, FilterArgs, FormArgs, FormatArg, GenerateArgs, HostsCommand, ImportArgs, ListArgs,
    MetricsArgs, RecordArgs, ReduceArgs, ReferenceArgs, RegressionCommand, RemoveArgs, ReplayArgs,
    ReportArgs, ReproArgs, RunArgs, SelectArgs, SimulateArgs, SourcesCommand, StatsArgs, ValidateArgs,
};
use crate::completing::complete_engines;

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check an emulator on the blocks of programs: extract, select, run, compare, store, sum up
    Check(CheckArgs),
    /// Write how a reference ends the blocks of a program to a file, to compare with it anywhere
    Record(RecordArgs),
    /// Check an emulator against a recording instead of a CPU
    Replay(ReplayArgs),
    /// Find the blocks of a program and store them
    Extract(ExtractArgs),
    /// Make blocks from the instruction set instead of from a program, and store them
    Generate(GenerateArgs),
    /// List stored blocks
    List(ListArgs),
    /// Show the instructions of stored blocks
    Disasm(DisasmArgs),
    /// Count what blocks are made of
    Analyze(AnalyzeArgs),
    /// Run stored blocks on one engine and keep how they ended
    Simulate(SimulateArgs),
    /// Compare an emulator with the reference on stored blocks
    #[command(visible_alias = "validate-batch")]
    Validate(ValidateArgs),
    /// Show two stored ends of a run side by side
    Compare(CompareArgs),
    /// Run conformance tests: .snip cases, and assembler sources that say how they end, as FEX-Emu's unit tests do
    Conformance(ConformanceArgs),
    /// Write a case as a program or test that shows a bug without snippex
    Repro(ReproArgs),
    /// List what engines get wrong: each bug once, with its plainest case
    Bugs(BugsArgs),
    /// Find the plainest case that still shows a divergence
    Reduce(ReduceArgs),
    /// Measure how fast engines run the blocks of a program
    Bench(BenchArgs),
    /// Write what snippex knows for other programs
    Export {
        /// What to write.
        #[command(subcommand)]
        command: ExportCommand,
    },
    /// Make a report: for browsers, printers, GitHub, spreadsheets, programs, or by a template of your own
    Report(ReportArgs),
    /// Take what another database exported
    Import(ImportArgs),
    /// Remove blocks, a binary or a run from the database
    Remove(RemoveArgs),
    /// Success, speed and failures of all runs that are stored
    Stats(StatsArgs),
    /// Success over time, for dashboards and alerts
    Metrics(MetricsArgs),
    /// Compare a check with a baseline that is kept in a repository
    Regression {
        /// What to do with it.
        #[command(subcommand)]
        command: RegressionCommand,
    },
    /// The cache of verdicts: blocks that were found to be right are not run again
    Cache {
        /// What to do with it.
        #[command(subcommand)]
        command: CacheCommand,
    },
    /// The engines that can be named, and what each can do
    Engines {
        /// Without one they are listed.
        #[command(subcommand)]
        command: Option<EnginesCommand>,
    },
    /// Programs inside disk images, file systems, archives and packages
    Sources {
        /// What to do with them.
        #[command(subcommand)]
        command: SourcesCommand,
    },
    /// Other machines, whose engines can be used as HOST/ENGINE
    Hosts {
        /// Without one they are listed.
        #[command(subcommand)]
        command: Option<HostsCommand>,
    },
    /// Run engines for another host, over standard input and output; started by that host
    #[command(hide = true)]
    Agent(AgentArgs),
    /// Show the settings in force and where they come from
    Config {
        /// Without one they are shown.
        #[command(subcommand)]
        command: Option<ConfigCommand>,
    },
    /// Print what a shell needs to complete commands, options, engines, bugs and blocks
    Completions(CompletionsArgs),
    /// Print the manual page, or write one file a command
    Man(ManArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  snippex check /bin/bash                    every block, on qemu-x86_64 and on this CPU
  snippex check /bin/ls -n 500 --smart-select   the 500 most likely to show a bug
  snippex check prog --engine-command 'myemu -O2 {runner}'
  snippex check /bin/ls -e native            this CPU against itself: finds nothing
  snippex check /bin/ls --record ls.rec      and keep what this CPU does
  snippex check /bin/ls -e box64 -e box64/interpreter
                                             several engines in one table
  snippex check /bin/ls -e box64 --reference box64/interpreter
                                             without an x86-64 CPU
  snippex check --generated                  every instruction this CPU has
  snippex check --generated --isa bmi2 --sequence 8")]
pub(crate) struct CheckArgs {
    /// x86-64 programs or shared libraries, ELF or PE
    #[arg(required_unless_present = "generated", value_name = "BINARY")]
    pub(crate) binaries: Vec<PathBuf>,
    /// Make the blocks from the instruction set instead of taking a program's
    #[arg(long, conflicts_with_all = ["binaries", "SelectArgs", "FilterArgs"], help_heading = "Generation")]
    pub(crate) generated: bool,
    #[command(flatten)]
    pub(crate) generate: FormArgs,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    #[command(flatten)]
    pub(crate) reference: ReferenceArgs,
    /// Before the check, write how the reference ends all these blocks to a file, as snippex record does
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "partition",
        help_heading = "Run options"
    )]
    pub(crate) record: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) run: RunArgs,
    #[command(flatten)]
    pub(crate) select: SelectArgs,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  snippex extract /bin/bash
  snippex extract /bin/bash --instruction-types avx --dry-run
  snippex extract /bin/bash -n 200 --smart-select --selection-report
  snippex extract build/* 'rootfs.sqsh:/usr/bin/*'     all of them, one after another
  objcopy -O elf64-x86-64 in out && snippex extract - < out

Exit codes: 0 extracted, 2 one of them, or all, could not be.")]
pub(crate) struct ExtractArgs {
    /// x86-64 programs or shared libraries, ELF or PE; IMAGE:PATTERN for some of an image, - for standard input
    #[arg(value_name = "BINARY", required = true)]
    pub(crate) binaries: Vec<PathBuf>,
    /// Store nothing, only say how many blocks match
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Decides what the strategy leaves open
    #[arg(long, value_name = "SEED", default_value = "1", value_parser = super::values::parse_seed)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) select: SelectArgs,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  snippex conformance fixtures/conformance -e qemu-x86_64
  snippex conformance fixtures/cases -e qemu-x86_64 --known-failures known.txt
  snippex conformance FEX/unittests/ASM -e native --known-failures native.txt
  snippex conformance FEX/unittests/ASM/X87 -e fex-emu --format junit -o x87.xml

A test is a nasm source with a JSON header (%ifdef CONFIG ... %endif) that lists registers at the end, memory and \
features. It is assembled, put at 0x10000 and run until hlt; what the header lists is compared. Or it is a .snip case \
with the end it has to have; all that the manuals define is compared. A known failure that passes is an error, as a \
failure is.

Exit codes: 0 all passed, 1 a test failed or passed unexpectedly, 2 a file is no test or the engine could not go on.")]
pub(crate) struct ConformanceArgs {
    /// Tests, or folders with tests (*.asm, *.snip) anywhere below
    #[arg(required = true, value_name = "DIR|FILE")]
    pub(crate) paths: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    /// A list of tests that are known to fail: a name a line, the reason behind a #; may be given more than once
    #[arg(long, value_name = "FILE")]
    pub(crate) known_failures: Vec<PathBuf>,
    /// Registers that tests name by Match have to end as they do on this engine; else they are not compared
    #[arg(long, value_name = "ENGINE", add = ArgValueCandidates::new(complete_engines))]
    pub(crate) match_with: Option<String>,
    /// A test that has not ended after N seconds is cut [default: 2 natively, 10 on an emulator]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=86400))]
    pub(crate) timeout: Option<u32>,
    /// A folder for %include; folders called Includes beside a test or above it are found
    #[arg(long = "include", short = 'I', value_name = "DIR")]
    pub(crate) includes: Vec<PathBuf>,
    /// The assembler [default: nasm, which is installed when it is missing]
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) nasm: Option<PathBuf>,
    /// Form of the answer
    #[arg(
        long,
        value_parser = super::formats(["human", "json", "jsonl", "junit"]),
        default_value = "human",
        value_name = "FORMAT",
        help_heading = "Output options"
    )]
    pub(crate) format: FormatArg,
    /// Do not install nasm (by apt-get, with sudo where this is not root) when it is missing
    #[arg(long)]
    pub(crate) no_install: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  snippex bench                                    native and qemu-x86_64 on blocks of /bin/bash
  snippex bench prog --emulator fex-emu --count 500")]
pub(crate) struct BenchArgs {
    /// An x86-64 program or shared library, ELF or PE
    #[arg(value_name = "BINARY", default_value = "/bin/bash")]
    pub(crate) binary: PathBuf,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    /// Blocks to run, spread over the program; 0 for all
    #[arg(long, short = 'n', value_name = "N", default_value_t = 4000)]
    pub(crate) count: usize,
    /// Start states for each block
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub(crate) states: u32,
    /// Decides start states and memory
    #[arg(long, value_name = "SEED", default_value = "1", value_parser = super::values::parse_seed)]
    pub(crate) seed: u64,
    /// Blocks for the comparison with assembling, linking and starting a program a block; 0 leaves it out
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) spawns: usize,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print every setting with its value and origin
    Show,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Put one of these into the file that your shell reads at its start:
  source <(snippex completions bash)         ~/.bashrc
  source <(snippex completions zsh)          ~/.zshrc, after compinit
  snippex completions fish | source          ~/.config/fish/config.fish")]
pub(crate) struct CompletionsArgs {
    /// Which shell
    #[arg(value_name = "SHELL", value_parser = ["bash", "zsh", "fish", "elvish", "powershell"])]
    pub(crate) shell: String,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  snippex man | man -l -
  snippex man ~/.local/share/man/man1")]
pub(crate) struct ManArgs {
    /// Folder to write snippex.1, snippex-check.1 and so on into
    #[arg(value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
}
