//! What `snippex engines` takes.

use clap::{Args, Subcommand};
use clap_complete::ArgValueCandidates;
use snippex_exec::engine::Configuration;

use crate::completing::{added_engines, complete_engines};

#[derive(Debug, Subcommand)]
pub(crate) enum EnginesCommand {
    /// List engines with their configurations, and whether each is there
    List,
    /// Show everything known about an engine
    Show {
        /// Name of the engine, perhaps with a configuration
        #[arg(value_name = "ENGINE", add = ArgValueCandidates::new(complete_engines))]
        name: String,
    },
    /// Add an engine of your own to the settings
    Add(AddEngineArgs),
    /// Remove an engine from the settings; presets stay
    Remove {
        /// Name of the engine
        #[arg(value_name = "ENGINE", add = ArgValueCandidates::new(added_engines))]
        name: String,
        /// From your own settings instead of those of this project
        #[arg(long)]
        user: bool,
    },
    /// Run the engine check, and say what the engine can and cannot do
    Test {
        /// Name of the engine, perhaps with a configuration
        #[arg(value_name = "ENGINE", add = ArgValueCandidates::new(complete_engines))]
        name: String,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  snippex engines add mine --command 'myemu -O2 {runner}'
  snippex engines add mine --command 'myemu {arguments} {runner}' --configuration 'slow: -O0'
  snippex engines add fex --command '/build/Bin/FEX {runner}'
  snippex engines add mine --like none --command 'my-fork-of-qemu {runner}'
  snippex engines test mine")]
pub(crate) struct AddEngineArgs {
    /// What to call it
    #[arg(value_name = "ENGINE")]
    pub(crate) name: String,
    /// How it is started; {runner} stands for the x86-64 program that it has to run
    #[arg(long, value_name = "'PROGRAM {runner}'")]
    pub(crate) command: String,
    /// The preset that it is a build of: what that documents to do otherwise, and how it is run, holds for it as well; `none` for
    /// no preset, whatever it says that it is [default: what it says to a program that it runs]
    #[arg(long, value_name = "ENGINE", value_parser = ["box64", "fex-emu", "native", "none", "qemu-x86_64", "valgrind"])]
    pub(crate) like: Option<String>,
    /// Command that prints its version [default: PROGRAM --version]
    #[arg(long = "version-command", value_name = "COMMAND")]
    pub(crate) version: Option<String>,
    /// A variable of its environment; may be given more than once
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = super::values::parse_environment_variable)]
    pub(crate) environment: Vec<(String, String)>,
    /// A configuration by its name, its variables and its arguments; may be given more than once
    #[arg(long = "configuration", value_name = "'NAME: [VARIABLE=VALUE ...] [ARGUMENT ...]'", value_parser = super::values::parse_engine_configuration)]
    pub(crate) configurations: Vec<(String, Configuration)>,
    /// At a signal only number and RIP are right
    #[arg(long)]
    pub(crate) imprecise_signals: bool,
    /// A CPUID feature that it announces and does not have, such as avx512f; may be given more than once
    #[arg(long, value_name = "FEATURE")]
    pub(crate) lacks: Vec<String>,
    /// Something that it is known not to do, in words; may be given more than once
    #[arg(long = "limit", value_name = "WORDS")]
    pub(crate) limits: Vec<String>,
    /// HOME and the like lead to an empty folder
    #[arg(long)]
    pub(crate) isolated: bool,
    /// To your own settings instead of those of this project
    #[arg(long)]
    pub(crate) user: bool,
}
