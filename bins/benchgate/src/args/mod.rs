//! What can be typed: clap types and their help, apart from the work.

mod commands;
mod groups;
mod values;

#[cfg(feature = "github")]
pub(crate) use commands::CommentArgs;
#[cfg(feature = "service")]
pub(crate) use commands::PushArgs;
pub(crate) use commands::{
    AbArgs, AcceptArgs, BaselineCommand, BisectArgs, ChangepointsArgs, CheckArgs, Command, CompareArgs,
    CompletionsArgs, HistoryArgs, HistoryCommand, ImportArgs, InitArgs, ManArgs, MetricsArgs, MetricsCommand,
    NoiseArgs, PruneArgs, RecordArgs, ReportArgs, RunArgs, ShowArgs, TrendsArgs,
};
pub(crate) use groups::{FileArgs, GlobalArgs, JudgeArgs, MeasureArgs};
pub(crate) use values::{Format, Paper, Percent, RUNS, Span, TableFormat};

use clap::Parser;

const EXAMPLES: &str = "\
Examples:
  benchgate ab --base main -- cargo bench            this commit against main, on this machine, interleaved
  benchgate run --runs 8 -- cargo bench              measure, as eight processes
  benchgate record -- cargo bench                    measure and keep it as the baseline of this machine
  benchgate check -- cargo bench                     measure and compare with the baseline
  benchgate check --format github --exit-zero        annotations only, from the last run
  benchgate changepoints history.csv                 where did a series go to another level?
  benchgate init                                     write benchgate.toml and a workflow

Settings come from flags, the environment (BENCHGATE_*), benchgate.toml (searched upward) and
~/.config/benchgate/config.toml, in this order.

Exit codes: 0 nothing slower, 1 regression, 2 could not judge, 130 interrupted.";

/// Fail the build when a change makes it slower, on machines that are noisy themselves.
///
/// benchgate runs your benchmark command several times as separate processes, takes one number from each process, and
/// judges the difference by its size and by its significance. It reads the output of Criterion, libtest, divan, iai,
/// Google Benchmark, go test, pytest-benchmark, hyperfine, JMH and more.
#[derive(Debug, Parser)]
#[command(name = "benchgate", version, after_help = EXAMPLES, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        super::Cli::command().debug_assert();
    }

    #[test]
    fn every_option_has_an_environment_variable() {
        fn missing(command: &clap::Command, found: &mut Vec<String>) {
            // These are about the terminal at hand.
            let kit = [
                "color", "no_color", "progress", "quiet", "verbose", "output", "help", "version",
            ];
            for argument in command
                .get_arguments()
                .filter(|argument| !argument.is_positional())
            {
                if argument.get_env().is_none() && !kit.contains(&argument.get_id().as_str()) {
                    found.push(format!("{} {}", command.get_name(), argument.get_id()));
                }
            }
            command
                .get_subcommands()
                .for_each(|command| missing(command, found));
        }
        let mut found = Vec::new();
        missing(&super::Cli::command(), &mut found);
        assert_eq!(found, Vec::<String>::new());
    }
}
