//! Options that say what to generate.

use clap::Args;

use super::values;

/// Which instruction forms, and how many blocks of each.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Generation")]
pub(crate) struct FormArgs {
    /// Only instructions of these extensions: general, x87, mmx, sse2, avx2, bmi2, avx512bw, ...
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub(crate) isa: Vec<String>,
    /// Only these instructions: bzhi, vpaddd, ...
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub(crate) instruction: Vec<String>,
    /// Blocks of each instruction form [default: 32; more where an immediate byte selects what it does]
    #[arg(long, value_name = "N")]
    pub(crate) per_form: Option<u32>,
    /// Random sequences of L instructions only, one of the form among them, with flags and registers flowing through
    #[arg(long, value_name = "L", conflicts_with = "no_sequences")]
    pub(crate) sequence: Option<u32>,
    /// No sequences: without this each form also stands in sequences of 2 to 8 instructions
    #[arg(long)]
    pub(crate) no_sequences: bool,
}

impl FormArgs {
    /// Whether anything was given.
    pub(crate) fn has_any_option(&self) -> bool {
        !self.isa.is_empty()
            || !self.instruction.is_empty()
            || self.per_form.is_some()
            || self.sequence.is_some()
            || self.no_sequences
    }
}

/// What `generate` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  snippex generate --dry-run                 what there is, and what cannot be run and why
  snippex generate --isa bmi2,avx2,x87       store blocks of these; then: snippex validate all
  snippex generate --instruction bzhi --per-form 200
  snippex generate --isa general --sequence 8
  snippex check --generated                  generate and check at once")]
pub(crate) struct GenerateArgs {
    #[command(flatten)]
    pub(crate) forms: FormArgs,
    /// Store nothing, only say what would be generated
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Decides every random choice; the same seed gives the same blocks everywhere
    #[arg(long, value_name = "SEED", default_value = "1", value_parser = values::parse_seed)]
    pub(crate) seed: u64,
}
