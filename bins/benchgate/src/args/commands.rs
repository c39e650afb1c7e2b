//! The commands and the options that only one of them has.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use clap_complete::Shell;

use super::{JudgeArgs, MeasureArgs, Paper, Percent, Span, TableFormat};

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Compare two commits on this machine, their runs interleaved; the mode for pull requests
    Ab(AbArgs),
    /// Measure: run the benchmark command several times as separate processes
    Run(RunArgs),
    /// Measure, or take a run that was not judged, and keep it as the baseline of this environment
    Record(RecordArgs),
    /// Measure, or take a run, and judge it against the baseline or the history
    Check(CheckArgs),
    /// Judge one run file against another
    Compare(CompareArgs),
    /// Take result files of other tools as a run, one file a process
    Import(ImportArgs),
    /// Look at baselines and change them
    #[command(subcommand)]
    Baseline(BaselineCommand),
    /// Keep runs in an append-only file
    History(HistoryArgs),
    /// Show how benchmarks went over the history
    Trends(TrendsArgs),
    /// What judgements came to over time, for dashboards and alerts
    Metrics(MetricsArgs),
    /// Show the last report again, in any format
    Report(ReportArgs),
    /// Put the last report into one comment of a pull request, and update that the next time
    #[cfg(feature = "github")]
    Comment(CommentArgs),
    /// Send a run to a regressd, wait for its verdict, and end with it
    #[cfg(feature = "service")]
    Push(PushArgs),
    /// Print the change points of series
    Changepoints(ChangepointsArgs),
    /// Measure this machine's noise, A against A, and say which change can be seen on it
    Noise(NoiseArgs),
    /// Find the commit that made a benchmark slower
    Bisect(BisectArgs),
    /// Find the project's benchmarks; write benchgate.toml and a workflow
    Init(InitArgs),
    /// Check the set-up
    Doctor,
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
    /// Print the manual page, or write one file a command
    Man(ManArgs),
}

/// `ab`
#[derive(Debug, Args)]
pub(crate) struct AbArgs {
    /// Commit to compare with
    #[arg(long, value_name = "REF", env = "BENCHGATE_BASE")]
    pub(crate) base: String,
    /// Commit to judge; without it the current one, whose work tree has to be clean
    #[arg(long, value_name = "REF", env = "BENCHGATE_HEAD")]
    pub(crate) head: Option<String>,
    /// Stop early once every benchmark is decided, and in any case after this time
    #[arg(long, value_name = "TIME", env = "BENCHGATE_BUDGET")]
    pub(crate) budget: Option<Span>,
    /// Shell command that builds; by default found from the benchmark command
    #[arg(long, value_name = "COMMAND", env = "BENCHGATE_BUILD")]
    pub(crate) build: Option<String>,
    #[command(flatten)]
    pub(crate) judge: JudgeArgs,
    #[command(flatten)]
    pub(crate) measure: MeasureArgs,
}

/// `run`
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// File to save the run in [default: run.json in the state folder]
    #[arg(long, value_name = "FILE", env = "BENCHGATE_RUN_FILE")]
    pub(crate) run_file: Option<PathBuf>,
    /// Go on with the run file: add what is missing to the number of runs
    #[arg(long, env = "BENCHGATE_RESUME", value_parser = clap::builder::FalseyValueParser::new())]
    pub(crate) resume: bool,
    #[command(flatten)]
    pub(crate) measure: MeasureArgs,
}

/// `record`
#[derive(Debug, Args)]
pub(crate) struct RecordArgs {
    /// Run file to record, instead of measuring
    #[arg(value_name = "RUN")]
    pub(crate) run: Option<PathBuf>,
    /// Record although the work tree has changes that are in no commit
    #[arg(long, env = "BENCHGATE_ALLOW_DIRTY", value_parser = clap::builder::FalseyValueParser::new())]
    pub(crate) allow_dirty: bool,
    #[command(flatten)]
    pub(crate) measure: MeasureArgs,
}

/// `check`
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Run file to judge, instead of measuring; without it and a command the last run
    #[arg(value_name = "RUN")]
    pub(crate) run: Option<PathBuf>,
    /// Shell command that measures again what looks slower; what it does not confirm is no regression
    #[arg(long, value_name = "COMMAND", env = "BENCHGATE_CONFIRM")]
    pub(crate) confirm: Option<String>,
    /// Record the run as the baseline instead of judging it
    #[arg(long, env = "UPDATE_BASELINES", value_parser = clap::builder::FalseyValueParser::new())]
    pub(crate) update_baselines: bool,
    #[command(flatten)]
    pub(crate) judge: JudgeArgs,
    #[command(flatten)]
    pub(crate) measure: MeasureArgs,
}

/// `compare`
#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// Run file or result file to compare with
    #[arg(value_name = "A")]
    pub(crate) base: PathBuf,
    /// Run file or result file to judge
    #[arg(value_name = "B")]
    pub(crate) head: PathBuf,
    #[command(flatten)]
    pub(crate) judge: JudgeArgs,
}

/// `import`
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// Result files; each is one process, except where a tool starts several itself
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// File to save the run in [default: run.json in the state folder]
    #[arg(long, value_name = "FILE", env = "BENCHGATE_RUN_FILE")]
    pub(crate) run_file: Option<PathBuf>,
    /// Tool the results come from, if benchgate cannot tell
    #[arg(long, value_name = "TOOL", env = "BENCHGATE_TOOL")]
    pub(crate) tool: Option<String>,
    /// Part of the environment's key of your own, as name=value
    #[arg(long, value_name = "NAME=VALUE", env = "BENCHGATE_TAG", value_delimiter = ',')]
    pub(crate) tag: Vec<String>,
}

/// `baseline`
#[derive(Debug, Subcommand)]
pub(crate) enum BaselineCommand {
    /// List the environments that have baselines
    List,
    /// Show the baselines of an environment
    Show(ShowArgs),
    /// Remove baselines
    Prune(PruneArgs),
    /// Accept a shift as meant: start a new epoch from a run that was not judged, and say why
    Accept(AcceptArgs),
}

/// `baseline show`
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Environment, by the start of its hash; by default this machine's
    #[arg(value_name = "ENVIRONMENT")]
    pub(crate) environment: Option<String>,
}

/// `baseline prune`
#[derive(Debug, Args)]
pub(crate) struct PruneArgs {
    /// Benchmarks to remove, as globs; by default all that the filters pick
    #[arg(value_name = "GLOB")]
    pub(crate) benchmarks: Vec<String>,
    /// Only of this environment, by the start of its hash
    #[arg(long, value_name = "ENVIRONMENT", env = "BENCHGATE_ENVIRONMENT")]
    pub(crate) environment: Option<String>,
    /// Only what was recorded longer ago than so many days
    #[arg(long, value_name = "DAYS", env = "BENCHGATE_OLDER_THAN")]
    pub(crate) older_than: Option<u32>,
    /// Only show what would be removed
    #[arg(long, env = "BENCHGATE_DRY_RUN", value_parser = clap::builder::FalseyValueParser::new())]
    pub(crate) dry_run: bool,
}

/// `baseline accept`
#[derive(Debug, Args)]
pub(crate) struct AcceptArgs {
    /// Benchmarks whose new level is meant, as globs; by default all
    #[arg(value_name = "GLOB")]
    pub(crate) benchmarks: Vec<String>,
    /// Why the new level is right, for those who read the diff
    #[arg(long, value_name = "TEXT", env = "BENCHGATE_REASON")]
    pub(crate) reason: String,
    /// Run file to take the values from, instead of measuring
    #[arg(long, value_name = "FILE", env = "BENCHGATE_RUN_FILE")]
    pub(crate) run_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) measure: MeasureArgs,
}

/// `history`
#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    #[command(subcommand)]
    pub(crate) command: Option<HistoryCommand>,
}

/// What to do with the history.
#[derive(Debug, Subcommand)]
pub(crate) enum HistoryCommand {
    /// List the runs in the history
    List,
    /// Append runs; without files the last run
    Add {
        /// Run files
        #[arg(value_name = "RUN")]
        runs: Vec<PathBuf>,
    },
}

/// `trends`
#[derive(Debug, Args)]
pub(crate) struct TrendsArgs {
    /// Benchmarks to show, as globs; by default those that moved
    #[arg(value_name = "GLOB")]
    pub(crate) benchmarks: Vec<String>,
    /// Environment, by the start of its hash; by default this machine's
    #[arg(long, value_name = "ENVIRONMENT", env = "BENCHGATE_ENVIRONMENT")]
    pub(crate) environment: Option<String>,
    /// Only the last N runs
    #[arg(long, value_name = "N", env = "BENCHGATE_LAST")]
    pub(crate) last: Option<usize>,
}

/// `metrics`
#[derive(Debug, Args)]
pub(crate) struct MetricsArgs {
    #[command(subcommand)]
    pub(crate) command: MetricsCommand,
    /// Only the newest N judgements
    #[arg(
        long,
        global = true,
        value_name = "N",
        env = "BENCHGATE_LAST",
        default_value_t = 1000,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub(crate) last: u32,
}

/// What to do with snapshots of judgements.
#[derive(Debug, Subcommand)]
pub(crate) enum MetricsCommand {
    /// Take snapshots of reports that were made elsewhere; `check`, `ab` and `compare` leave one by themselves
    Record {
        /// Report files
        #[arg(value_name = "REPORT", required = true)]
        reports: Vec<PathBuf>,
    },
    /// Show totals, the newest judgements and how it went day by day; exit code 1 on an alert
    Show {
        /// Alert when a benchmark of the newest judgements costs so much more
        #[arg(long, value_name = "PERCENT", env = "BENCHGATE_ALERT_SLOWER")]
        alert_slower: Option<Percent>,
        /// Alert when fewer of the judgements pass
        #[arg(long, value_name = "PERCENT", env = "BENCHGATE_ALERT_BELOW")]
        alert_below: Option<Percent>,
    },
    /// Write all snapshots for other programs
    Export {
        /// Form of the table
        #[arg(
            long,
            value_enum,
            default_value_t,
            value_name = "FORM",
            env = "BENCHGATE_TABLE"
        )]
        table: TableFormat,
    },
    /// Write the newest judgements as gauges of Prometheus, for its textfile collector
    Prometheus {
        /// File to replace in one step; by default the text is printed
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
}

/// `report`
#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// Report file, as a check or a comparison saves it [default: report.json in the state folder]
    #[arg(value_name = "REPORT")]
    pub(crate) report: Option<PathBuf>,
    /// Template (Tera) that says what is written; a folder of which report.* is the first
    #[arg(long, value_name = "FILE|FOLDER", env = "BENCHGATE_TEMPLATE")]
    pub(crate) template: Option<PathBuf>,
    /// Size of paper, for `--format pdf`
    #[arg(long, value_enum, default_value_t, env = "BENCHGATE_PAPER")]
    pub(crate) paper: Paper,
    /// Print a template to start from
    #[arg(long, conflicts_with_all = ["report", "template"], env = "BENCHGATE_EXAMPLE_TEMPLATE")]
    pub(crate) example_template: bool,
}

/// `comment`
#[cfg(feature = "github")]
#[derive(Debug, Args)]
pub(crate) struct CommentArgs {
    /// Report file [default: report.json in the state folder]
    #[arg(value_name = "REPORT")]
    pub(crate) report: Option<PathBuf>,
    /// Repository
    #[arg(long, value_name = "OWNER/NAME", env = "GITHUB_REPOSITORY")]
    pub(crate) repo: Option<String>,
    /// Pull request; without it the one of the event, or the open one with the commit
    #[arg(long, value_name = "NUMBER", env = "BENCHGATE_PR")]
    pub(crate) pr: Option<u64>,
    /// Commit whose open pull request is meant, for workflows that run after one of a fork
    #[arg(long, value_name = "SHA", env = "BENCHGATE_COMMIT")]
    pub(crate) commit: Option<String>,
    /// Tells comments apart where a repository has several
    #[arg(
        long,
        value_name = "NAME",
        env = "BENCHGATE_COMMENT_NAME",
        default_value = "benchmarks"
    )]
    pub(crate) name: String,
    /// Environment variable that holds the token; the token itself is no argument, since those can be seen
    #[arg(
        long,
        value_name = "VARIABLE",
        env = "BENCHGATE_TOKEN_VARIABLE",
        default_value = "GITHUB_TOKEN"
    )]
    pub(crate) token_variable: String,
    /// Address of the API
    #[arg(
        long,
        value_name = "URL",
        env = "GITHUB_API_URL",
        default_value = "https://api.github.com"
    )]
    pub(crate) api: String,
    /// Longest time to wait for a rate limit or a failing server
    #[arg(long, value_name = "TIME", env = "BENCHGATE_MAX_WAIT", default_value = "5m")]
    pub(crate) max_wait: Span,
}

/// `push`
#[cfg(feature = "service")]
#[derive(Debug, Args)]
pub(crate) struct PushArgs {
    /// Run file, or result files of other tools, one a process [default: run.json in the state folder]
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Address of the service; by default `service` of benchgate.toml
    #[arg(long, value_name = "URL", env = "BENCHGATE_SERVICE")]
    pub(crate) service: Option<String>,
    /// Environment variable that holds the token; the token itself is no argument, since those can be seen. Without a token
    /// a workflow of GitHub Actions with `id-token: write` proves who it is
    #[arg(
        long,
        value_name = "VARIABLE",
        env = "BENCHGATE_TOKEN_VARIABLE",
        default_value = "REGRESSD_TOKEN"
    )]
    pub(crate) token_variable: String,
    /// Audience of the token that GitHub Actions is asked for: `oidc.audience` of the service
    #[arg(
        long,
        value_name = "NAME",
        env = "BENCHGATE_AUDIENCE",
        default_value = "regressd"
    )]
    pub(crate) audience: String,
    /// Longest time to try again while the service does not answer; after it the run is judged here
    #[arg(long, value_name = "TIME", env = "BENCHGATE_MAX_WAIT", default_value = "2m")]
    pub(crate) max_wait: Span,
    /// Longest time to wait for the verdict on a run that the service has
    #[arg(long, value_name = "TIME", env = "BENCHGATE_WAIT", default_value = "5m")]
    pub(crate) wait: Span,
    /// End with 0 as soon as the service has the run
    #[arg(long, conflicts_with = "wait", env = "BENCHGATE_NO_WAIT", value_parser = clap::builder::FalseyValueParser::new())]
    pub(crate) no_wait: bool,
    #[command(flatten)]
    pub(crate) origin: PushOriginArgs,
    /// Tool the results come from, if benchgate cannot tell
    #[arg(long, value_name = "TOOL", env = "BENCHGATE_TOOL")]
    pub(crate) tool: Option<String>,
    /// Part of the environment's key of your own, as name=value
    #[arg(long, value_name = "NAME=VALUE", env = "BENCHGATE_TAG", value_delimiter = ',')]
    pub(crate) tag: Vec<String>,
    #[command(flatten)]
    pub(crate) judge: JudgeArgs,
}

/// What was measured.
#[cfg(feature = "service")]
#[derive(Debug, Args)]
#[command(next_help_heading = "What was measured")]
pub(crate) struct PushOriginArgs {
    /// Repository
    #[arg(long, value_name = "OWNER/NAME", env = "GITHUB_REPOSITORY")]
    pub(crate) repo: Option<String>,
    /// Branch; by default that of the workflow, or the one checked out
    #[arg(long, value_name = "BRANCH", env = "BENCHGATE_BRANCH")]
    pub(crate) branch: Option<String>,
    /// Commit that the verdict is about; by default the head of the event's pull request, else the one that was measured
    #[arg(long, value_name = "SHA", env = "BENCHGATE_COMMIT")]
    pub(crate) commit: Option<String>,
    /// When the commit was made (2026-11-28T12:00:00Z): its place in the history; by default what git says
    #[arg(long, value_name = "TIME", env = "BENCHGATE_COMMIT_TIME")]
    pub(crate) commit_time: Option<jiff::Timestamp>,
    /// Pull request; by default that of the event
    #[arg(long, value_name = "NUMBER", env = "BENCHGATE_PR")]
    pub(crate) pr: Option<u32>,
    /// Branch whose history judges; by default the service finds out
    #[arg(long, value_name = "BRANCH", env = "BENCHGATE_TARGET_BRANCH")]
    pub(crate) target_branch: Option<String>,
    /// Part of the repository that is judged by itself
    #[arg(long, value_name = "NAME", env = "BENCHGATE_COMPONENT")]
    pub(crate) component: Option<String>,
    /// What tells this upload from others of the commit; sent again it changes nothing. By default the contents
    #[arg(long, value_name = "TEXT", env = "BENCHGATE_RUN_ID")]
    pub(crate) run_id: Option<String>,
    /// Run file of the base commit, measured in turn with this run: then the two are compared directly
    #[arg(long, value_name = "FILE", env = "BENCHGATE_BASE_RUN")]
    pub(crate) base_run: Option<PathBuf>,
}

/// `changepoints`
#[derive(Debug, Args)]
pub(crate) struct ChangepointsArgs {
    /// CSV with a header line (a column a series), or JSON {"name": [v1, v2, ...], ...}; - is standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

/// `noise`
#[derive(Debug, Args)]
pub(crate) struct NoiseArgs {
    /// Run file to look at, instead of measuring
    #[arg(value_name = "RUN")]
    pub(crate) run: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) judge: JudgeArgs,
    #[command(flatten)]
    pub(crate) measure: MeasureArgs,
}

/// `bisect`
#[derive(Debug, Args)]
pub(crate) struct BisectArgs {
    /// Commit that is fast
    #[arg(long, value_name = "REF", env = "BENCHGATE_GOOD")]
    pub(crate) good: String,
    /// Commit that is slow
    #[arg(long, value_name = "REF", env = "BENCHGATE_BAD", default_value = "HEAD")]
    pub(crate) bad: String,
    /// Benchmarks that count, as globs; by default all that are slower at the bad commit
    #[arg(long, value_name = "GLOB", env = "BENCHGATE_BENCHMARK", value_delimiter = ',')]
    pub(crate) benchmark: Vec<String>,
    /// Shell command that builds; by default found from the benchmark command
    #[arg(long, value_name = "COMMAND", env = "BENCHGATE_BUILD")]
    pub(crate) build: Option<String>,
    #[command(flatten)]
    pub(crate) judge: JudgeArgs,
    #[command(flatten)]
    pub(crate) measure: MeasureArgs,
}

/// `init`
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// Replace files that exist
    #[arg(long, env = "BENCHGATE_FORCE", value_parser = clap::builder::FalseyValueParser::new())]
    pub(crate) force: bool,
    /// Shell command by which the workflows install benchgate [default: cargo install from the repository variable BENCHGATE_SOURCE]
    #[arg(long, value_name = "COMMAND", env = "BENCHGATE_INSTALL")]
    pub(crate) install: Option<String>,
}

/// `completions`
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// Shell
    pub(crate) shell: Shell,
}

/// `man`
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Folder to write benchgate.1, benchgate-ab.1 and so on into
    #[arg(value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
}
