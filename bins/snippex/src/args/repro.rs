//! What `snippex repro` takes.

use clap::{Args, ValueEnum};
use clap_complete::ArgValueCandidates;
use snippex_formats::repro;

use super::{EngineArgs, ReferenceArgs};
use crate::completing::complete_bugs;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  snippex repro 12 --as c -o bug.c        divergence 12 of the database as a C program
  snippex repro 12 --as c --try           the same, run here and on the engine that showed it
  snippex repro mxcsr-de --as fex-asm     the plainest case of a bug that snippex bugs lists
  snippex repro 5e0b4a81f3c2 --as case    the case whose SHA-256 begins so
  snippex repro case.snip --as fex-asm    a test in FEX-Emu's form, comparing all that changes
  snippex repro case.snip --as case       the same case, with how it ends on this CPU
  snippex repro case.snip --as nasm -e qemu-x86_64 --try
                                          compare what differs on qemu, and run it on both

What can be named, in this order:
  DIVERGENCE  a number of at most nine digits, as snippex check and snippex compare give it
  BUG         a name as snippex bugs lists it (mxcsr-de), or one of its signatures' ids
  CASE        the SHA-256 of a stored case, or at least six digits of its beginning
  FILE.snip   a file, which comes before bugs and cases of the same name

Exit codes: 0 written, 1 with --try: it fails on the emulator, as it should, 2 could not do the job.")]
pub(crate) struct ReproArgs {
    /// A divergence by its number in the database, a bug by its name, a case by its SHA-256, or a .snip file
    #[arg(value_name = "DIVERGENCE|BUG|CASE|FILE.snip", add = ArgValueCandidates::new(complete_bugs))]
    pub(crate) subject: String,
    /// Form of the reproducer
    #[arg(long = "as", value_enum, value_name = "FORM")]
    pub(crate) form: FormArg,
    /// Build the reproducer and run it, on this CPU and with --emulator, by default the engine that showed what is stored; needs
    /// gcc, or nasm and ld
    #[arg(long = "try")]
    pub(crate) try_it: bool,
    /// Do not install nasm, ld or gcc (by apt-get, with sudo where this is not root) when they are missing
    #[arg(long)]
    pub(crate) no_install: bool,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    #[command(flatten)]
    pub(crate) reference: ReferenceArgs,
}

/// Form of a reproducer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormArg {
    /// A unit test as FEX-Emu's own: NASM source with a JSON header
    FexAsm,
    /// One C file that says what it expects and what came
    C,
    /// One NASM file for a static program
    Nasm,
    /// A .snip file
    Case,
}

impl From<FormArg> for repro::ReproForm {
    fn from(form: FormArg) -> Self {
        match form {
            FormArg::FexAsm => Self::FexAsm,
            FormArg::C => Self::C,
            FormArg::Nasm => Self::Nasm,
            FormArg::Case => Self::Case,
        }
    }
}
