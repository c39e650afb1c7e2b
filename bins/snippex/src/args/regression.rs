//! Options about baselines.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::civil::Date;

use super::{EngineArgs, ReferenceArgs, RunArgs};

const FILE: &str = "snippex-baseline.txt";

#[derive(Debug, Subcommand)]
pub(crate) enum RegressionCommand {
    /// Check programs and write down what each block does, in the place of what was recorded for these engines
    Record(BaselineRunArgs),
    /// Check programs and compare with what is written down
    Test(BaselineTestArgs),
    /// Check programs and write down what is new or has changed; keep the rest
    Update(BaselineRunArgs),
    /// The latest tests against baselines
    History {
        /// At most N of them
        #[arg(long, short = 'n', value_name = "N", default_value_t = 20)]
        limit: u32,
    },
    /// Print the baseline as JSON
    Export(BaselineFileArgs),
    /// Take the sections of a JSON file into the baseline
    Import {
        /// What export printed; - for standard input
        #[arg(value_name = "FILE")]
        from: PathBuf,
        #[command(flatten)]
        file: BaselineFileArgs,
    },
    /// Accept that blocks fail, or all blocks by a bug
    Approve(ApproveArgs),
}

/// Where a baseline is.
#[derive(Clone, Debug, Args)]
pub(crate) struct BaselineFileArgs {
    /// The baseline, a text file for the repository
    #[arg(long, value_name = "FILE", default_value = FILE)]
    pub(crate) baseline: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  snippex regression record build/prog -e fex-emu
  snippex regression update build/prog -e fex-emu --baseline ci/fex.txt")]
pub(crate) struct BaselineRunArgs {
    /// x86-64 programs or shared libraries, ELF or PE
    #[arg(required = true, value_name = "BINARY")]
    pub(crate) binaries: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) file: BaselineFileArgs,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    #[command(flatten)]
    pub(crate) reference: ReferenceArgs,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Blocks are known by their bytes, so that a rebuilt program is compared with what was recorded before.

Examples:
  snippex regression test build/prog -e fex-emu
  snippex regression test build/prog -e fex-emu --junit regression.xml --annotations

Exit codes: 0 as expected, 1 a block fails that did not, or passes that did not, 2 could not do the job.")]
pub(crate) struct BaselineTestArgs {
    #[command(flatten)]
    pub(crate) with: BaselineRunArgs,
    /// What failed and passes now is no error
    #[arg(long)]
    pub(crate) allow_fixed: bool,
    /// Write JUnit XML there, too
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// Print annotations for a workflow of GitHub
    #[arg(long)]
    pub(crate) annotations: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  snippex regression approve mxcsr-de --reason 'fixed in 9.2' --issue URL --until 2027-01-31
  snippex regression approve 1fb0f5a0c2a7d5f0a1b2 --reason 'not ours' --engine valgrind")]
pub(crate) struct ApproveArgs {
    /// Blocks by the key that `test` shows, or names of bugs
    #[arg(required = true, value_name = "KEY|BUG")]
    pub(crate) names: Vec<String>,
    /// Why it is accepted
    #[arg(long, value_name = "TEXT", value_parser = super::values::some_words)]
    pub(crate) reason: String,
    /// Where it is reported
    #[arg(long, value_name = "URL", value_parser = super::values::one_word)]
    pub(crate) issue: Option<String>,
    /// The last day on which it is accepted, UTC
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub(crate) until: Option<Date>,
    /// Only in the sections of this engine [default: in all]
    #[arg(long, value_name = "ENGINE")]
    pub(crate) engine: Option<String>,
    #[command(flatten)]
    pub(crate) file: BaselineFileArgs,
}
