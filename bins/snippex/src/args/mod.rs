//! What can be typed: clap types and their help, apart from the work.

mod blocks;
mod bugs;
mod cache;
mod commands;
mod engine;
mod engines;
mod export;
mod filter;
mod generate;
mod hosts;
mod metrics;
mod recordings;
mod regression;
mod report;
mod repro;
mod sources;
mod stats;
mod stored;
pub(crate) mod values;

pub(crate) use blocks::BlocksArgs;
pub(crate) use bugs::{BugsArgs, BugsCommand, KnownCommand, ReduceArgs};
pub(crate) use cache::{CacheArgs, CacheCommand, ExplainArgs, PruneArgs, WarmArgs};
pub(crate) use commands::{
    BenchArgs, CheckArgs, Command, CompletionsArgs, ConformanceArgs, ExtractArgs, ManArgs,
};
pub(crate) use engine::{EngineArgs, ReferenceArgs, RunArgs};
pub(crate) use engines::{AddEngineArgs, EnginesCommand};
pub(crate) use export::{CsvArgs, CsvTableArg, ExportCommand, ImportArgs, VectorsArgs};
pub(crate) use filter::{FilterArgs, SelectArgs};
pub(crate) use generate::{FormArgs, GenerateArgs};
pub(crate) use hosts::{AddHostArgs, AgentArgs, HostsCommand, SetupHostArgs};
pub(crate) use metrics::{MetricsArgs, MetricsCommand};
pub(crate) use recordings::{RecordArgs, ReplayArgs};
pub(crate) use regression::{ApproveArgs, BaselineRunArgs, BaselineTestArgs, RegressionCommand};
#[cfg(feature = "github")]
pub(crate) use report::GithubArgs;
pub(crate) use report::{
    BadgeForm, BuiltInTemplate, ExportArgs, PaperArg, ReportArgs, ReportCommand, ReportScopeArgs,
    TemplateCommand,
};
pub(crate) use repro::ReproArgs;
pub(crate) use sources::{ImagesArgs, ListSourcesArgs, ShowSourcesArgs, SourcesCommand};
pub(crate) use stats::{GroupingArg, StatsArgs, StatsCommand};
pub(crate) use stored::{
    AnalyzeArgs, CompareArgs, DisasmArgs, HexFormatArg, ListArgs, RemoveArgs, SimulateArgs, ValidateArgs,
};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Args, CommandFactory, Parser, ValueEnum};
use cli_kit::{Format, OutputArgs};

const EXAMPLES: &str = "\
Examples:
  snippex check /bin/bash                every block, on qemu-x86_64 and on this CPU
  snippex check /bin/ls --count 500      a quick look: 500 blocks
  snippex check /bin/ls --format jsonl   an object a diverging block, then a summary
  snippex extract /bin/bash              only store the blocks
  snippex disasm 5                       what block 5 does

Exit codes: 0 nothing found, 1 divergence found, 2 could not do the job, 130 interrupted, 141 nobody reads the \
answer any more.";

/// Find the pieces of real programs that an x86-64 emulator computes wrongly.
///
/// snippex takes a program apart into its basic blocks, runs each of them with many start states on this CPU and
/// under an emulator, and compares the complete end states: registers, flags, vectors, x87, memory, signals.
#[derive(Debug, Parser)]
#[command(name = "snippex", version, after_help = EXAMPLES, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
}

/// Options of every command.
#[derive(Debug, Args)]
pub(crate) struct GlobalArgs {
    /// Form of the answer
    #[arg(
        long,
        global = true,
        value_parser = common_formats(),
        default_value = "human",
        value_name = "FORMAT",
        help_heading = "Output options"
    )]
    pub(crate) format: FormatArg,
    /// Say on standard error what happens inside; twice for more
    #[arg(
        long,
        short,
        global = true,
        action = ArgAction::Count,
        conflicts_with = "quiet",
        help_heading = "Output options"
    )]
    pub(crate) verbose: u8,
    /// Database of blocks and results: a file, or postgres://user@host/name
    ///
    /// Also SNIPPEX_DATABASE or the settings files; by default snippex.db in $XDG_DATA_HOME/snippex.
    #[arg(long, global = true, value_name = "PATH|URL", help_heading = "Output options")]
    pub(crate) database: Option<String>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// The form of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormatArg {
    /// Text and tables for people
    #[default]
    Human,
    /// One JSON document
    Json,
    /// One JSON object a line
    Jsonl,
    /// JUnit XML, for CI
    Junit,
    /// Comma-separated values, for spreadsheets
    Csv,
}

/// Reads the forms that every command knows, and offers no other.
fn common_formats() -> impl TypedValueParser<Value = FormatArg> {
    formats(["human", "json", "jsonl"])
}

/// Reads forms by name.
fn formats<const N: usize>(names: [&'static str; N]) -> impl TypedValueParser<Value = FormatArg> {
    PossibleValuesParser::new(names)
        .map(|name| FormatArg::from_str(&name, false).expect("each is the name of a form"))
}

/// The command line as it is parsed, shown and completed. An option of every command is hidden where it says nothing.
pub(crate) fn build_clap_command() -> clap::Command {
    let hide = |name: &'static str| {
        move |command: clap::Command| command.arg(clap::Arg::new(name).long(name).hide(true).global(true))
    };
    NO_DATABASE.iter().fold(Cli::command(), |all, name| {
        all.mut_subcommand(name, hide("database"))
    })
}

/// Commands that open no database.
const NO_DATABASE: [&str; 7] = [
    "bench",
    "completions",
    "conformance",
    "export",
    "hosts",
    "man",
    "record",
];

impl FormatArg {
    /// The form that every command knows.
    pub(crate) fn to_common_format(self) -> Option<Format> {
        match self {
            Self::Human => Some(Format::Human),
            Self::Json => Some(Format::Json),
            Self::Jsonl => Some(Format::Jsonl),
            Self::Junit | Self::Csv => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        super::build_clap_command().debug_assert();
    }

    /// Clap wraps what stands below the options as it does everything else; a table of examples bears that badly.
    #[test]
    fn examples_fit_a_line() {
        const MAX: usize = 100;
        let mut commands = vec![super::build_clap_command()];
        while let Some(command) = commands.pop() {
            let below = command
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            for line in below.lines().filter(|line| line.starts_with("  ")) {
                assert!(line.chars().count() <= MAX, "{}: {line}", command.get_name());
            }
            commands.extend(command.get_subcommands().cloned());
        }
    }
}
