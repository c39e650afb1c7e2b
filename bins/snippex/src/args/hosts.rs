//! What `snippex hosts` takes.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use clap_complete::ArgValueCandidates;

use crate::completing::complete_hosts;

#[derive(Debug, Subcommand)]
pub(crate) enum HostsCommand {
    /// List the hosts of the settings
    List,
    /// Show everything known about a host
    Show {
        /// Name of the host
        #[arg(value_name = "HOST", add = ArgValueCandidates::new(complete_hosts))]
        name: String,
    },
    /// Add a host to the settings; nothing is connected
    Add(AddHostArgs),
    /// Remove a host from the settings
    Remove {
        /// Name of the host
        #[arg(value_name = "HOST", add = ArgValueCandidates::new(complete_hosts))]
        name: String,
        /// From your own settings instead of those of this project
        #[arg(long)]
        user: bool,
    },
    /// Connect, and say how far away the host is and what its agent is
    Test {
        /// Name of the host
        #[arg(value_name = "HOST", add = ArgValueCandidates::new(complete_hosts))]
        name: String,
    },
    /// Put the agent on a host, and say which engines there can be used and what is missing
    Setup(SetupHostArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  snippex hosts add pi --ssh user@pi
  snippex hosts add board --ssh root@10.0.0.7:2222 --agent snippex-aarch64
  snippex hosts add box --exec 'docker exec -i box'
  snippex hosts setup pi && snippex check /bin/bash -e pi/fex-emu")]
pub(crate) struct AddHostArgs {
    /// What to call it
    #[arg(value_name = "HOST")]
    pub(crate) name: String,
    /// Whom ssh connects to: a host of its settings, user@host or user@host:port
    #[arg(long, value_name = "[USER@]HOST[:PORT]", required_unless_present = "exec")]
    pub(crate) ssh: Option<String>,
    /// Which ssh: this program's own, or the system's [default: that of the settings]
    #[arg(long, value_name = "CLIENT", value_parser = ["built-in", "command"], requires = "ssh")]
    pub(crate) client: Option<String>,
    /// Instead of ssh: program and arguments that run the command that follows them on the host
    #[arg(long, value_name = "'PROGRAM ...'", conflicts_with = "ssh")]
    pub(crate) exec: Option<String>,
    /// The snippex of the host's architecture, where it is not this machine's
    #[arg(long, value_name = "FILE")]
    pub(crate) agent: Option<PathBuf>,
    /// Folder on the host for agents
    #[arg(long, value_name = "FOLDER")]
    pub(crate) folder: Option<String>,
    /// To your own settings instead of those of this project
    #[arg(long)]
    pub(crate) user: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SetupHostArgs {
    /// Name of the host
    #[arg(value_name = "HOST", add = ArgValueCandidates::new(complete_hosts))]
    pub(crate) name: String,
    /// The snippex of the host's architecture, for this time
    #[arg(long, value_name = "FILE")]
    pub(crate) agent: Option<PathBuf>,
    /// Only say what would be sent, and what is there
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// What the agent is told when it is started, which nobody types.
#[derive(Debug, Args)]
pub(crate) struct AgentArgs {
    /// Make a program from this older one and the patch on standard input, and write it to standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) apply_patch: Option<PathBuf>,
}
