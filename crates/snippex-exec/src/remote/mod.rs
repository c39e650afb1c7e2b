//! Engines on other hosts: a check here, an engine there.
//!
//! An agent, which is this program on the other host ([`serve_host`]), makes start states again from the seed and runs them on its
//! engine. What goes out is each block once, the pages that it needs, and eight bytes for how each run is expected to end; what
//! comes back is a bit for each run that ended so, and the whole end of each other, packed as recordings pack it. So a
//! [`RemoteEngine`] gives the very results that its engine would give here.
//!
//! `frame`, `credit` and `message` are the protocol, `digest` and `batch` the form of a batch, `blobs` what need not be sent
//! twice. `agent` is the far side. On this side a [`Host`] keeps connections over a [`Transport`], and replaces those that are
//! lost; what was under way is asked for again. Nothing here compares or judges.

mod agent;
mod batch;
mod blobs;
mod connection;
mod credit;
mod deploy;
mod digest;
mod engine;
mod entry;
mod frame;
mod host;
mod message;
mod output;
#[cfg(feature = "ssh")]
mod ssh;
mod transport;

use std::io;

use snippex_core::codec::CodecError;
use thiserror::Error;

use crate::engine::EngineError;
use crate::results::ResultsError;

pub use agent::{AgentOptions, serve_host};
pub use connection::Traffic;
pub use deploy::{Deployment, DeploymentPlan, apply_patch};
pub use engine::{EngineOrder, RemoteEngine};
pub use entry::{HostDefaults, HostEntry, HostEntryError, SshClient};
pub use host::{Host, HostOptions};
pub use message::AgentInfo;
pub use transport::{CommandTransport, Link, Transport};

/// Why an engine on another host cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// The host cannot be reached, or no agent starts there.
    #[error("failed to reach host {host}: {problem}{}", printed(.noise))]
    Unreachable {
        /// Name of the host.
        host: String,
        /// What went wrong.
        problem: String,
        /// What the other side printed.
        noise: String,
    },
    /// The host is there, and will not be used: its key is wrong, or it does not let us in.
    #[error("host {host} is not used: {problem}")]
    Refused {
        /// Name of the host.
        host: String,
        /// What is wrong.
        problem: String,
        /// What the user can do.
        hint: String,
    },
    /// The connection was lost, and no other came about in time.
    #[error("host {host} was lost: {problem}")]
    Lost {
        /// Name of the host.
        host: String,
        /// What went wrong.
        problem: String,
    },
    /// The agent is another program than this one.
    #[error("host {host} has an agent of another snippex: {found}, this is {wanted}")]
    OtherAgent {
        /// Name of the host.
        host: String,
        /// What it is.
        found: String,
        /// What it should be.
        wanted: String,
    },
    /// The engine there cannot be used.
    #[error("on host {host}: {problem}")]
    Engine {
        /// Name of the host.
        host: String,
        /// What the agent said.
        problem: String,
        /// What the agent's side can do about it.
        hint: String,
    },
    /// The engine is another one than before.
    #[error("engine {engine} on host {host} changed while in use; start again")]
    Changed {
        /// Name of the host.
        host: String,
        /// Name of the engine.
        engine: String,
    },
    /// The other side does not follow the protocol.
    #[error("what came from the other side is not valid: {0}")]
    Malformed(&'static str),
    /// A message cannot be read.
    #[error("what came from the other side cannot be read")]
    Codec(#[from] CodecError),
    /// Results cannot be read.
    #[error(transparent)]
    Results(#[from] ResultsError),
    /// Packed ends cannot be read.
    #[error("what came from the other side cannot be read")]
    Ends(#[from] crate::recording::RecordingError),
    /// Reading or writing failed.
    #[error("the connection failed")]
    Io(#[from] io::Error),
}

fn printed(noise: &str) -> String {
    match noise.trim() {
        "" => String::new(),
        noise => format!("; it printed: {noise}"),
    }
}

impl RemoteError {
    /// What mends it, in the words of the command line.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Unreachable { host, .. } => {
                format!("see what snippex hosts test {host} says, and try ssh by hand")
            }
            Self::Refused { hint, .. } | Self::Engine { hint, .. } => hint.clone(),
            Self::Lost { host, .. } => format!(
                "check that {host} is up, and start again: what was found so far is kept; with several hosts (-e \
                 A/ENGINE,B/ENGINE) the others take over"
            ),
            Self::OtherAgent { host, .. } => format!("run snippex hosts setup {host}"),
            Self::Changed { .. } => "do not update the engine while it is in use".to_owned(),
            _ => "run snippex hosts setup, so that both sides are the same snippex".to_owned(),
        }
    }

    /// Whether another host, or the same one later, may do what failed.
    pub(crate) fn is_lost_host(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. } | Self::Lost { .. } | Self::Io(_) | Self::Malformed(_) | Self::Codec(_)
        )
    }
}

impl From<RemoteError> for EngineError {
    fn from(error: RemoteError) -> Self {
        Self::Remote(Box::new(error))
    }
}
