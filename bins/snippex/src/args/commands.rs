//! The commands and what each of them takes.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use clap_complete::Shell;
use snippex_exec::engine::Configuration;
use snippex_store::{DivergenceId, ObservationId, RunId, Selection};

use super::{
    BlocksArgs, BugsArgs, EngineArgs, FilterArgs, FormArgs, GenerateArgs, ReduceArgs, ReferenceArgs,
    ReproArgs, RunArgs, SelectArgs,
};

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check an emulator on the blocks of programs: extract, select, run, compare, store, sum up
    Check(CheckArgs),
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
    /// Remove blocks, a binary or a run from the database
    Remove(RemoveArgs),
    /// The engines that can be named, and what each can do
    Engines {
        /// Without one they are listed.
        #[command(subcommand)]
        command: Option<EnginesCommand>,
    },
    /// Show the settings in force and where they come from
    Config {
        /// Without one they are shown.
        #[command(subcommand)]
        command: Option<ConfigCommand>,
    },
    /// Print completions for a shell
    Completions(CompletionsArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  snippex check /bin/bash                    every block, on qemu-x86_64 and on this CPU
  snippex check /bin/ls -n 500 --smart-select   the 500 most likely to show a bug
  snippex check prog --engine-command 'myemu -O2 {runner}'
  snippex check /bin/ls -e native            this CPU against itself: finds nothing
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
  snippex extract /bin/bash -n 200 --smart-select --selection-report")]
pub(crate) struct ExtractArgs {
    /// An x86-64 program or shared library, ELF or PE
    #[arg(value_name = "BINARY")]
    pub(crate) binary: PathBuf,
    /// Store nothing, only say how many blocks match
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Decides what the strategy leaves open
    #[arg(long, value_name = "SEED", default_value = "1", value_parser = super::values::seed)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) select: SelectArgs,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  snippex list                               the first blocks of the most recent binary
  snippex list 101- --limit 20               the next page
  snippex list --binaries                    what there are blocks of
  snippex list --observations                what snippex compare can be given
  snippex list --instruction-types fpu       blocks with x87 instructions")]
pub(crate) struct ListArgs {
    /// Blocks by number: 5, 1-10, 5-, 3,7,12 or all
    #[arg(value_name = "BLOCKS", default_value = "all")]
    pub(crate) selection: Selection,
    /// Only blocks of this binary: its name, its path or the beginning of its SHA-256
    #[arg(long, short, value_name = "NAME|SHA")]
    pub(crate) binary: Option<String>,
    /// List binaries instead of blocks
    #[arg(long, conflicts_with_all = ["runs", "divergences", "observations", "binary", "selection", "FilterArgs"])]
    pub(crate) binaries: bool,
    /// List runs instead of blocks
    #[arg(long, conflicts_with_all = ["divergences", "observations", "binary", "selection", "FilterArgs"])]
    pub(crate) runs: bool,
    /// List the divergences of a run instead of blocks; of the latest one when RUN is left out
    #[arg(
        long,
        value_name = "RUN",
        conflicts_with_all = ["observations", "binary", "selection", "FilterArgs"],
        value_parser = run
    )]
    pub(crate) divergences: Option<Option<RunId>>,
    /// List the observations that a run of simulate kept instead of blocks; of all runs when RUN is left out
    #[arg(
        long,
        value_name = "RUN",
        conflicts_with_all = ["binary", "selection", "FilterArgs"],
        value_parser = run
    )]
    pub(crate) observations: Option<Option<RunId>>,
    /// At most N rows; 0 for all
    #[arg(long, short = 'n', value_name = "N", default_value_t = DEFAULT_LIMIT)]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}

/// Rows of a list.
pub(crate) const DEFAULT_LIMIT: u32 = 50;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  snippex disasm 5
  snippex disasm 1-10 --syntax att")]
pub(crate) struct DisasmArgs {
    #[command(flatten)]
    pub(crate) blocks: BlocksArgs,
    /// How instructions are written
    #[arg(long, value_enum, default_value_t)]
    pub(crate) syntax: Syntax,
}

/// How instructions are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Syntax {
    /// mov rax, rbx
    #[default]
    Intel,
    /// movq %rbx, %rax
    Att,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  snippex analyze /bin/bash     a file
  snippex analyze all           the stored blocks of the most recent binary")]
pub(crate) struct AnalyzeArgs {
    /// A file, or stored blocks by number: 5, 1-10, 5-, 3,7,12 or all
    #[arg(value_name = "BINARY|BLOCKS")]
    pub(crate) subject: PathBuf,
    /// With BLOCKS: only those of this binary
    #[arg(long, short, value_name = "NAME|SHA")]
    pub(crate) binary: Option<String>,
    /// Rows of the longest tables; 0 for all
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) top: usize,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  snippex simulate 5 --emulator native           run block 5 on this CPU and show how it ended
  snippex simulate 5 --emulator qemu-x86_64      the same start under qemu
  snippex compare 1 2                            both side by side

As JSON, first has start and end of the first run of a single block, in the form that snippex compare has.")]
pub(crate) struct SimulateArgs {
    #[command(flatten)]
    pub(crate) blocks: BlocksArgs,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    /// Start states for each block
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub(crate) states: u32,
    /// Decides start states and memory; the same seed repeats a run to the bit
    #[arg(long, value_name = "SEED", default_value = "1", value_parser = super::values::seed)]
    pub(crate) seed: u64,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  snippex validate all --emulator qemu-x86_64
  snippex validate 1-100 --emulator fex-emu --states 256 --seed 7
  snippex validate all --partition 2/8 --database postgres://user@host/snippex")]
pub(crate) struct ValidateArgs {
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
#[command(
    after_help = "\
Examples:
  snippex compare 1 2                 two observations that simulate stored
  snippex compare --divergence 12     both sides of a divergence that check found
  snippex list --observations         what there is to compare

As JSON it has start and ends in full: the state before, and for each engine endpoint, state, and the lines of memory \
that changed. Numbers are hexadecimal strings; vectors, x87 registers and memory are bytes as they lie in memory.",
    override_usage = "snippex compare [OPTIONS] <A> <B>\n       snippex compare [OPTIONS] --divergence <N>"
)]
pub(crate) struct CompareArgs {
    /// Observation that is taken as right, by number
    #[arg(
        value_name = "A",
        required_unless_present = "divergence",
        requires = "actual",
        value_parser = observation
    )]
    pub(crate) expected: Option<ObservationId>,
    /// Observation to compare with it
    #[arg(value_name = "B", value_parser = observation)]
    pub(crate) actual: Option<ObservationId>,
    /// Both sides of a stored divergence instead
    #[arg(long, value_name = "N", conflicts_with_all = ["expected", "actual"], value_parser = divergence)]
    pub(crate) divergence: Option<DivergenceId>,
    /// Show everything, not only what differs or changed
    #[arg(long, short)]
    pub(crate) all: bool,
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
    #[arg(long, value_name = "ENGINE")]
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
    #[arg(long, value_name = "SEED", default_value = "1", value_parser = super::values::seed)]
    pub(crate) seed: u64,
    /// Blocks for the comparison with assembling, linking and starting a program a block; 0 leaves it out
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) spawns: usize,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  snippex remove 1-10
  snippex remove --binary bash
  snippex remove --run 3")]
#[group(id = "what", required = true, multiple = false, args = ["selection", "binary", "run"])]
pub(crate) struct RemoveArgs {
    /// Blocks by number, with their results: 5, 1-10, 5-, 3,7,12; all and 5- mean every binary
    #[arg(value_name = "BLOCKS")]
    pub(crate) selection: Option<Selection>,
    /// A binary with its blocks and their results: its name, its path or the beginning of its SHA-256
    #[arg(long, short, value_name = "NAME|SHA")]
    pub(crate) binary: Option<String>,
    /// A run with its results
    #[arg(long, value_name = "RUN", value_parser = run)]
    pub(crate) run: Option<RunId>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum EnginesCommand {
    /// List engines with their configurations, and whether each is there
    List,
    /// Show everything known about an engine
    Show {
        /// Name of the engine, perhaps with a configuration
        #[arg(value_name = "ENGINE")]
        name: String,
    },
    /// Add an engine of your own to the settings
    Add(AddEngineArgs),
    /// Remove an engine from the settings; presets stay
    Remove {
        /// Name of the engine
        #[arg(value_name = "ENGINE")]
        name: String,
        /// From your own settings instead of those of this project
        #[arg(long)]
        user: bool,
    },
    /// Run the engine conformance test, and say what the engine can and cannot do
    Test {
        /// Name of the engine, perhaps with a configuration
        #[arg(value_name = "ENGINE")]
        name: String,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  snippex engines add mine --command 'myemu -O2 {runner}'
  snippex engines add mine --command 'myemu {arguments} {runner}' --configuration 'slow: -O0'
  snippex engines test mine")]
pub(crate) struct AddEngineArgs {
    /// What to call it
    #[arg(value_name = "ENGINE")]
    pub(crate) name: String,
    /// How it is started; {runner} stands for the x86-64 program that it has to run
    #[arg(long, value_name = "'PROGRAM {runner}'")]
    pub(crate) command: String,
    /// Command that prints its version [default: PROGRAM --version]
    #[arg(long = "version-command", value_name = "COMMAND")]
    pub(crate) version: Option<String>,
    /// A variable of its environment; may be given more than once
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = super::values::variable)]
    pub(crate) environment: Vec<(String, String)>,
    /// A configuration by its name, its variables and its arguments; may be given more than once
    #[arg(long = "configuration", value_name = "'NAME: [VARIABLE=VALUE ...] [ARGUMENT ...]'", value_parser = super::values::configuration)]
    pub(crate) configurations: Vec<(String, Configuration)>,
    /// At a signal only number and RIP are right
    #[arg(long)]
    pub(crate) imprecise_signals: bool,
    /// A CPUID feature that it announces and does not have, such as avx512f; may be given more than once
    #[arg(long, value_name = "FEATURE")]
    pub(crate) lacks: Vec<String>,
    /// Something that it is known not to do, in words; may be given more than once
    #[arg(long = "limit", value_name = "WORDS")]
    pub(crate) limits: Vec<String>,
    /// HOME and the like lead to an empty folder
    #[arg(long)]
    pub(crate) isolated: bool,
    /// To your own settings instead of those of this project
    #[arg(long)]
    pub(crate) user: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print every setting with its value and origin
    Show,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  snippex completions bash > ~/.local/share/bash-completion/completions/snippex")]
pub(crate) struct CompletionsArgs {
    /// Which shell
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

fn number(text: &str) -> Result<i64, &'static str> {
    match text.parse() {
        Ok(number @ 1..) => Ok(number),
        _ => Err("write a number from 1 upward"),
    }
}

fn observation(text: &str) -> Result<ObservationId, &'static str> {
    number(text).map(ObservationId)
}

fn divergence(text: &str) -> Result<DivergenceId, &'static str> {
    number(text).map(DivergenceId)
}

pub(super) fn run(text: &str) -> Result<RunId, &'static str> {
    number(text).map(RunId)
}
