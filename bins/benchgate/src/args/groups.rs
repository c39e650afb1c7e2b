//! Options that several commands share.

use std::path::PathBuf;

use clap::{ArgAction, Args};
use cli_kit::OutputArgs;

use super::{Format, Percent, RUNS, Span};

/// Options of every command.
#[derive(Debug, Args)]
pub(crate) struct GlobalArgs {
    /// Form of the answer
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORMAT",
        env = "BENCHGATE_FORMAT",
        help_heading = "Output options"
    )]
    pub(crate) format: Format,
    /// Also show the benchmarks that did not change, however many they are
    #[arg(long, global = true, env = "BENCHGATE_ALL", value_parser = clap::builder::FalseyValueParser::new(), help_heading = "Output options")]
    pub(crate) all: bool,
    /// Say on standard error which files are read and what each process gave; twice also every setting and its origin
    #[arg(long, short, global = true, action = ArgAction::Count, conflicts_with = "quiet", help_heading = "Output options")]
    pub(crate) verbose: u8,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) files: FileArgs,
}

/// Where things are kept.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Files")]
pub(crate) struct FileArgs {
    /// Settings file, instead of the benchgate.toml found upward from here
    #[arg(long, global = true, value_name = "FILE", env = "BENCHGATE_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Baselines, a file for the repository [default: benches/baselines.json]
    #[arg(long, global = true, value_name = "FILE", env = "BENCHGATE_BASELINE")]
    pub(crate) baseline: Option<PathBuf>,
    /// History, one JSON object a line [default: benches/history.jsonl]
    #[arg(long, global = true, value_name = "FILE", env = "BENCHGATE_HISTORY")]
    pub(crate) history: Option<PathBuf>,
    /// Folder for run files, the last report and work trees [default: target/benchgate]
    #[arg(long, global = true, value_name = "DIR", env = "BENCHGATE_STATE")]
    pub(crate) state: Option<PathBuf>,
}

/// How to measure.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Measuring")]
pub(crate) struct MeasureArgs {
    /// Benchmark command; by default `command` of benchgate.toml
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
    /// Processes to run (of each side in an A/B comparison) [default: 8]
    #[arg(long, short = 'n', value_name = "N", env = "BENCHGATE_RUNS", value_parser = clap::value_parser!(u32).range(i64::from(*RUNS.start())..=i64::from(*RUNS.end())))]
    pub(crate) runs: Option<u32>,
    /// Give up on a process after this time, for example 10m [default: 1h]
    #[arg(long, value_name = "TIME", env = "BENCHGATE_TIMEOUT")]
    pub(crate) timeout: Option<Span>,
    /// Tool the results come from, if benchgate cannot tell
    #[arg(long, value_name = "TOOL", env = "BENCHGATE_TOOL")]
    pub(crate) tool: Option<String>,
    /// Result files that the command writes, as globs; standard output is read in any case
    #[arg(long, value_name = "GLOB", env = "BENCHGATE_RESULTS", value_delimiter = ',')]
    pub(crate) results: Vec<String>,
    /// Measure the processor time of each process as well: of commands that always do the same work
    #[arg(long, env = "BENCHGATE_CPU_TIME", value_parser = clap::builder::FalseyValueParser::new())]
    pub(crate) cpu_time: bool,
    /// Part of the environment's key of your own, as name=value
    #[arg(long, value_name = "NAME=VALUE", env = "BENCHGATE_TAG", value_delimiter = ',')]
    pub(crate) tag: Vec<String>,
    /// Which way is better, for a measure whose format does not say: name=smaller-is-better or name=bigger-is-better
    #[arg(
        long,
        value_name = "MEASURE=DIRECTION",
        env = "BENCHGATE_DIRECTION",
        value_delimiter = ','
    )]
    pub(crate) direction: Vec<String>,
    /// Part of the environment's key to leave out: kernel, memory, compiler, cpu, cores, os, arch
    #[arg(
        long,
        value_name = "PART",
        env = "BENCHGATE_IGNORE_PART",
        value_delimiter = ','
    )]
    pub(crate) ignore_part: Vec<String>,
}

/// How to judge.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Judging")]
pub(crate) struct JudgeArgs {
    /// A change by more than this counts [default: 5%]
    #[arg(long, value_name = "PERCENT", env = "BENCHGATE_THRESHOLD")]
    pub(crate) threshold: Option<Percent>,
    /// Threshold for the benchmarks that match, as glob=percent; instead of the rules of benchgate.toml
    #[arg(
        long,
        value_name = "GLOB=PERCENT",
        env = "BENCHGATE_RULE",
        value_delimiter = ','
    )]
    pub(crate) rule: Vec<String>,
    /// Exit with 0 also after a regression, for advisory use
    #[arg(long, env = "BENCHGATE_EXIT_ZERO", value_parser = clap::builder::FalseyValueParser::new())]
    pub(crate) exit_zero: bool,
    /// Compare also values of different environments; the report says so
    #[arg(long, env = "BENCHGATE_ACROSS_ENVIRONMENTS", value_parser = clap::builder::FalseyValueParser::new())]
    pub(crate) across_environments: bool,
}
