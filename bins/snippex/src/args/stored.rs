//! What commands take that begin with what the database holds: blocks, runs, observations, divergences.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use clap_complete::ArgValueCandidates;
use snippex_report::disassembly::Syntax;
use snippex_report::state::HexFormat;
use snippex_store::{DivergenceId, ObservationId, RunId, Selection};

use super::{BlocksArgs, EngineArgs, FilterArgs, ReferenceArgs, RunArgs};
use crate::completing::{complete_binaries, complete_block_selections};

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
    #[arg(value_name = "BLOCKS", default_value = "all", add = ArgValueCandidates::new(complete_block_selections))]
    pub(crate) selection: Selection,
    /// Only blocks of this binary: its name, its path or the beginning of its SHA-256
    #[arg(long, short, value_name = "NAME|SHA", add = ArgValueCandidates::new(complete_binaries))]
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
        value_parser = parse_run_id
    )]
    pub(crate) divergences: Option<Option<RunId>>,
    /// List the observations that a run of simulate kept instead of blocks; of all runs when RUN is left out
    #[arg(
        long,
        value_name = "RUN",
        conflicts_with_all = ["binary", "selection", "FilterArgs"],
        value_parser = parse_run_id
    )]
    pub(crate) observations: Option<Option<RunId>>,
    /// At most N rows; 0 for all [default: 50 for people, all for programs]
    #[arg(long, short = 'n', value_name = "N")]
    pub(crate) limit: Option<u32>,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}

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
    pub(crate) syntax: SyntaxArg,
}

/// How instructions are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum SyntaxArg {
    /// mov rax, rbx
    #[default]
    Intel,
    /// movq %rbx, %rax
    Att,
}

impl From<SyntaxArg> for Syntax {
    fn from(syntax: SyntaxArg) -> Self {
        match syntax {
            SyntaxArg::Intel => Self::Intel,
            SyntaxArg::Att => Self::Att,
        }
    }
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
    #[arg(long, short, value_name = "NAME|SHA", add = ArgValueCandidates::new(complete_binaries))]
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
    #[arg(long, value_name = "SEED", default_value = "1", value_parser = super::values::parse_seed)]
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
    /// Show every register, not only those that differ, changed or are used
    #[arg(long, short = 'a', visible_alias = "all")]
    pub(crate) show_all_registers: bool,
    /// Also show what differs only where the manuals leave it open
    #[arg(long)]
    pub(crate) masked: bool,
    /// Show each flag in a line of its own, with what it means
    #[arg(long)]
    pub(crate) flag_detail: bool,
    /// Form in which memory is shown
    #[arg(long, value_name = "FORM", default_value = "unified")]
    pub(crate) hex_format: HexFormatArg,
    /// Show memory at these addresses only: 0x7fff0000-0x7fff00ff
    #[arg(long, value_name = "A-B", value_parser = memory_region)]
    pub(crate) memory_region: Option<RangeInclusive<u64>>,
    /// Show memory only where the ends differ, not where both changed it alike
    #[arg(long)]
    pub(crate) memory_diff_only: bool,
}

/// How memory is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum HexFormatArg {
    /// A line for each end, one below the other
    #[default]
    Unified,
    /// The ends side by side
    Split,
    /// JSON, for programs that read what people see
    Json,
}

impl From<HexFormatArg> for HexFormat {
    fn from(format: HexFormatArg) -> Self {
        match format {
            HexFormatArg::Unified => Self::Unified,
            HexFormatArg::Split => Self::Split,
            HexFormatArg::Json => Self::Json,
        }
    }
}

fn memory_region(text: &str) -> Result<RangeInclusive<u64>, String> {
    let address = |text: &str| {
        let digits = text.trim().trim_start_matches("0x");
        u64::from_str_radix(digits, 16).map_err(|_| format!("{text:?} is no hexadecimal address"))
    };
    let (first, last) = text
        .split_once('-')
        .ok_or("write the first and the last address: 0x1000-0x10ff")?;
    let (first, last) = (address(first)?, address(last)?);
    if first > last {
        return Err(format!("{first:#x} is above {last:#x}"));
    }
    Ok(first..=last)
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
    #[arg(value_name = "BLOCKS", add = ArgValueCandidates::new(complete_block_selections))]
    pub(crate) selection: Option<Selection>,
    /// A binary with its blocks and their results: its name, its path or the beginning of its SHA-256
    #[arg(long, short, value_name = "NAME|SHA", add = ArgValueCandidates::new(complete_binaries))]
    pub(crate) binary: Option<String>,
    /// A run with its results
    #[arg(long, value_name = "RUN", value_parser = parse_run_id)]
    pub(crate) run: Option<RunId>,
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

pub(super) fn parse_run_id(text: &str) -> Result<RunId, &'static str> {
    number(text).map(RunId)
}
