//! What `export` and `import` take.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// What to write for other programs.
#[derive(Debug, Subcommand)]
pub(crate) enum ExportCommand {
    /// Write all that is stored as one JSON document (a bundle), which snippex import takes
    #[command(after_help = "\
Examples:
  snippex export json -o all.json
  snippex export json --database postgres://me@host/snippex | snippex import -

Runs that are under way are left out. docs/export.md describes the document.")]
    Json,
    /// Write blocks or results as comma-separated values (RFC 4180)
    Csv(CsvArgs),
    /// Write the cases of a recording as JSON: start, end, and which bits of the end are defined
    Vectors(VectorsArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  snippex export csv blocks -o blocks.csv
  snippex export csv validations --columns block,binary,engine,verdict --run 12
  snippex export csv history --append history.csv --after-run 11

Without --columns there are all; a name that there is not is answered with those that there are.")]
pub(crate) struct CsvArgs {
    /// What to write
    #[arg(value_enum, value_name = "WHAT")]
    pub(crate) table: CsvTableArg,
    /// Only these columns, in this order
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) columns: Vec<String>,
    /// Add the rows to the end of FILE; its first line has to name the same columns
    #[arg(long, value_name = "FILE", conflicts_with = "output")]
    pub(crate) append: Option<PathBuf>,
    /// Only what run N came to
    #[arg(long, value_name = "N", conflicts_with = "after_run", value_parser = clap::value_parser!(i64).range(1..))]
    pub(crate) run: Option<i64>,
    /// Only what runs after run N came to
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    pub(crate) after_run: Option<i64>,
}

/// A table that can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CsvTableArg {
    /// Stored blocks
    Blocks,
    /// What comparisons with a reference came to, a block a row
    Validations,
    /// What runs on one engine alone came to, a block a row
    Simulations,
    /// What each comparison came to in all
    History,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  snippex import all.json --dry-run              what would be added
  snippex import all.json                        add it; what is there stays as it is
  snippex import - < all.json

All of it is added, or nothing. Blocks and runs keep their numbers where these are above all that the database has given out.")]
pub(crate) struct ImportArgs {
    /// A file that snippex export json has written; - is standard input
    #[arg(value_name = "FILE")]
    pub(crate) bundle: PathBuf,
    /// Add nothing, only say what would be added
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  snippex export vectors sweep.rec -o vectors.jsonl
  snippex export vectors bash.rec --count 100 | jq .

The first line says what was recorded and has the x87 and vector states that starts choose from; then each block is
a line with its code, its memory and its cases. Numbers of 64 bits are hexadecimal strings, bytes are in order of address. A bit
that is set in a mask is undefined, or decided by the machine; what is not listed is as at the start.")]
pub(crate) struct VectorsArgs {
    /// A file that snippex record has written
    #[arg(value_name = "FILE")]
    pub(crate) recording: PathBuf,
    /// Only the first N blocks
    #[arg(long, short = 'n', value_name = "N")]
    pub(crate) count: Option<usize>,
}
