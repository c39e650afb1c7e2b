//! Options about metrics.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::FormatArg;

#[derive(Debug, Args)]
#[command(after_help = "\
The summary that each check and validation stores is what metrics are made of; `record` prints the newest. Rates are shares of
blocks without a divergence.

Examples:
  snippex metrics show --alert-below 99.5
  snippex metrics export --format csv
  snippex metrics prometheus /var/lib/node_exporter/snippex.prom

Exit codes: 0 all well, 1 the alert threshold is crossed or a rate became worse with --alert-worse, 2 could not do the job.")]
pub(crate) struct MetricsArgs {
    #[command(subcommand)]
    pub(crate) command: MetricsCommand,
    /// Only the newest N runs
    #[arg(long, global = true, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) runs: u32,
    /// The share of failing blocks is better or worse when it changes by more than this
    #[arg(long, global = true, value_name = "PERCENT", default_value_t = 5.0, value_parser = percent)]
    pub(crate) threshold: f64,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MetricsCommand {
    /// Print what the newest run left
    Record,
    /// A dashboard: totals, success by engine, the days, and whether the newest run is better or worse than those before
    Show {
        /// Exit with 1 when the success rate of an engine's newest run is below, in percent
        #[arg(long, value_name = "PERCENT", value_parser = percent)]
        alert_below: Option<f64>,
        /// Exit with 1 when an engine's newest run is worse than those before
        #[arg(long)]
        alert_worse: bool,
    },
    /// Every run, for other programs
    Export {
        /// Form of the answer
        #[arg(
            long,
            value_parser = super::formats(["json", "jsonl", "csv"]),
            default_value = "json",
            value_name = "FORMAT",
            help_heading = "Output options"
        )]
        format: FormatArg,
    },
    /// Text for the textfile collector of Prometheus
    Prometheus {
        /// Written at once or not at all [default: standard output]
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
}

fn percent(text: &str) -> Result<f64, &'static str> {
    match text.parse::<f64>() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent),
        _ => Err("write a number from 0 to 100"),
    }
}
