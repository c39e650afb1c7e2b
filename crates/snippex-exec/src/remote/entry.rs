//! A host as settings have it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::deploy::Deployment;
use super::host::{Host, HostOptions};
use super::transport::{CommandTransport, Transport};

/// How a host is reached, and how its agent is put there. One of `ssh` and `command` is needed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HostEntry {
    /// Whom ssh connects to: a host of its settings, or `user@host`, or `user@host:port`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssh: Option<String>,
    /// Which ssh that is, where it is another one than for all hosts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<SshClient>,
    /// Instead of ssh: program and arguments after which a command stands that is to be run on the host, such as
    /// `docker exec -i fex`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// The agent's program for the host, where that has another architecture than this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<PathBuf>,
    /// Folder on the host for agents [default: `snippex/agent` in its cache].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// Longest time until the agent is up, which may have to be sent first, in seconds [default: 60].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_patience: Option<u32>,
    /// Longest time without a sign from the agent, in seconds [default: 15].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silence: Option<u32>,
    /// Longest time that is spent on reconnecting, in seconds [default: 120].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reconnect: Option<u32>,
}

/// Which program speaks SSH.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SshClient {
    /// This one, with connections that are kept. It takes keys from files and agents.
    #[default]
    BuiltIn,
    /// The system's `ssh`, for what that alone can do: hardware keys, RSA keys, GSSAPI, passwords.
    Command,
}

/// What holds for all hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostDefaults {
    /// Which ssh.
    pub client: SshClient,
    /// Connections to each host.
    pub pool_size: usize,
    /// Whether connections are kept and used again for another agent.
    pub connection_pool: bool,
    /// Whether hosts may keep programs for the next time.
    pub transfer_cache: bool,
    /// Folder here for what was sent, so that it need not be sent as a whole when it has changed a little.
    pub sent: Option<PathBuf>,
}

impl Default for HostDefaults {
    /// One connection to each host, kept; programs are kept.
    fn default() -> Self {
        Self {
            client: SshClient::default(),
            pool_size: 1,
            connection_pool: true,
            transfer_cache: true,
            sent: None,
        }
    }
}

/// Why an entry is of no use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostEntryError {
    /// It says not how the host is reached.
    #[error("the entry of host {0} has neither ssh nor command")]
    NoWay(String),
    /// It says it twice.
    #[error("the entry of host {0} has both ssh and command")]
    TwoWays(String),
    /// The command cannot be read.
    #[error("the command of host {0} has a quote that is not closed, or is empty")]
    Command(String),
    /// This program was built without SSH.
    #[error("host {0} needs SSH, which this program was built without; use client = \"command\"")]
    NoSsh(String),
}

/// A time of an entry, or else the standard one.
fn seconds(given: Option<u32>, standard: Duration) -> Duration {
    given.map_or(standard, |given| Duration::from_secs(given.into()))
}

impl HostEntry {
    /// The host called `name`; nothing is connected yet.
    ///
    /// # Errors
    /// When the entry does not say how it is reached.
    pub fn build_host(&self, name: &str, defaults: &HostDefaults) -> Result<Arc<Host>, HostEntryError> {
        let deployment = self.build_deployment(name, defaults)?;
        let standard = HostOptions::default();
        let options = HostOptions {
            start_patience: deployment.patience,
            connections: defaults.pool_size,
            transfer_cache: defaults.transfer_cache,
            blobs: defaults.sent.clone(),
            silence: seconds(self.silence, standard.silence),
            reconnect_patience: seconds(self.reconnect, standard.reconnect_patience),
        };
        Ok(Host::new(name, Box::new(deployment), options))
    }

    /// The way to its agents.
    ///
    /// # Errors
    /// As [`HostEntry::build_host`].
    pub fn build_deployment(
        &self,
        name: &str,
        defaults: &HostDefaults,
    ) -> Result<Deployment, HostEntryError> {
        Ok(Deployment {
            host: name.to_owned(),
            shell: self.shell(name, defaults)?,
            agent: self.agent.clone(),
            folder: self.folder.clone(),
            sent: defaults.sent.clone(),
            patience: seconds(self.start_patience, HostOptions::default().start_patience),
        })
    }

    /// The way to a shell there.
    fn shell(&self, name: &str, defaults: &HostDefaults) -> Result<Box<dyn Transport>, HostEntryError> {
        let words = match (&self.ssh, &self.command) {
            (None, None) => return Err(HostEntryError::NoWay(name.to_owned())),
            (Some(_), Some(_)) => return Err(HostEntryError::TwoWays(name.to_owned())),
            (None, Some(command)) => {
                let words = crate::engine::split_words(command)
                    .ok()
                    .filter(|words| !words.is_empty());
                let words = words.ok_or_else(|| HostEntryError::Command(name.to_owned()))?;
                words.into_iter().chain(["/bin/sh".to_owned()]).collect()
            }
            (Some(to), None) => match self.client.unwrap_or(defaults.client) {
                SshClient::BuiltIn => return built_in(name, to, defaults),
                SshClient::Command => ssh_command(to),
            },
        };
        Ok(Box::new(CommandTransport {
            host: name.to_owned(),
            command: words,
            agent: None,
        }))
    }
}

#[cfg(feature = "ssh")]
fn built_in(name: &str, to: &str, defaults: &HostDefaults) -> Result<Box<dyn Transport>, HostEntryError> {
    let transport = super::ssh::SshTransport::new(name, to, defaults.pool_size, defaults.connection_pool);
    Ok(Box::new(transport))
}

#[cfg(not(feature = "ssh"))]
fn built_in(name: &str, _: &str, _: &HostDefaults) -> Result<Box<dyn Transport>, HostEntryError> {
    Err(HostEntryError::NoSsh(name.to_owned()))
}

/// `user@host` and the port of `user@host:port`. An address with several colons has no port.
pub(super) fn split_port(to: &str) -> (&str, Option<&str>) {
    match to.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') && port.parse::<u16>().is_ok() => (host, Some(port)),
        _ => (to, None),
    }
}

/// The system's ssh, which asks nobody anything and gives up on a host that is silent. Whatever the login shell is, it hands over
/// to a POSIX one.
fn ssh_command(to: &str) -> Vec<String> {
    let (host, port) = split_port(to);
    let mut words: Vec<String> = [
        "ssh",
        "-T",
        "-oBatchMode=yes",
        "-oServerAliveInterval=5",
        "-oServerAliveCountMax=3",
        "-oConnectTimeout=15",
    ]
    .map(str::to_owned)
    .into();
    if let Some(port) = port {
        words.extend(["-p".to_owned(), port.to_owned()]);
    }
    words.extend(["--".to_owned(), host.to_owned(), "exec /bin/sh".to_owned()]);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_told_from_an_address() {
        assert_eq!(split_port("me@pi:2222"), ("me@pi", Some("2222")));
        assert_eq!(split_port("pi"), ("pi", None));
        assert_eq!(split_port("fe80::1"), ("fe80::1", None));
    }

    #[test]
    fn an_entry_says_one_way() {
        let defaults = HostDefaults::default();
        let none = HostEntry::default();
        assert_eq!(
            none.build_host("x", &defaults).unwrap_err(),
            HostEntryError::NoWay("x".into())
        );
        let both = HostEntry {
            ssh: Some("a".into()),
            command: Some("b".into()),
            ..HostEntry::default()
        };
        assert_eq!(
            both.build_host("x", &defaults).unwrap_err(),
            HostEntryError::TwoWays("x".into())
        );
    }
}
