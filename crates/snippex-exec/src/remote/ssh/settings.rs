//! What the user's ssh would do: asked of it, not read again from its files.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::remote::entry::split_port;

/// Settings of ssh for one host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SshSettings {
    pub(super) user: String,
    pub(super) host_name: String,
    pub(super) port: u16,
    /// Files of private keys, in the order in which they are tried.
    pub(super) identities: Vec<PathBuf>,
    /// Only keys of these files.
    pub(super) identities_only: bool,
    /// Socket of the agent that holds keys; `None` for none.
    pub(super) agent: Option<PathBuf>,
    pub(super) known_hosts: Vec<PathBuf>,
    /// Under which name the host is known, where that is another.
    pub(super) key_alias: Option<String>,
    /// A host that is not known is taken, and known from then on.
    pub(super) accept_new: bool,
    /// A command whose standard streams lead to the host.
    pub(super) proxy: Option<String>,
    pub(super) connect_timeout: Duration,
}

/// Longest time for a connection to come about, where the settings have no other.
const CONNECT: Duration = Duration::from_secs(15);

/// The settings for `to`, as the system's ssh has them.
pub(super) fn read_ssh_settings(to: &str) -> Result<SshSettings, String> {
    let (host, port) = split_port(to);
    let mut command = Command::new("ssh");
    if let Some(port) = port {
        command.args(["-p", port]);
    }
    // After two dashes nothing is an option, whatever the settings say.
    let answer = command
        .args(["-G", "--", host])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| {
            format!("cannot ask ssh for its settings ({error}): install the OpenSSH client, which need not connect")
        })?;
    if !answer.status.success() {
        let words = String::from_utf8_lossy(&answer.stderr);
        return Err(format!("ssh -G {host} fails: {}", words.trim()));
    }
    let home = std::env::var("HOME").unwrap_or_default();
    let agent = std::env::var("SSH_AUTH_SOCK").ok();
    Ok(parse(
        &String::from_utf8_lossy(&answer.stdout),
        &home,
        agent.as_deref(),
    ))
}

fn parse(text: &str, home: &str, agent: Option<&str>) -> SshSettings {
    let mut settings = SshSettings {
        port: 22,
        connect_timeout: CONNECT,
        agent: agent.filter(|agent| !agent.is_empty()).map(PathBuf::from),
        ..SshSettings::default()
    };
    let path = |word: &str| match word.strip_prefix("~/").or_else(|| word.strip_prefix("%d/")) {
        Some(rest) => PathBuf::from(home).join(rest),
        None => PathBuf::from(word),
    };
    let unless_none = |value: &str| (value != "none").then(|| value.to_owned());
    let mut jump = None;
    for line in text.lines() {
        let Some((key, value)) = line.split_once(' ') else {
            continue;
        };
        match key {
            "user" => value.clone_into(&mut settings.user),
            "hostname" => value.clone_into(&mut settings.host_name),
            "port" => settings.port = value.parse().unwrap_or(22),
            "identityfile" => settings.identities.push(path(value)),
            "identitiesonly" => settings.identities_only = value == "yes",
            "identityagent" => match value {
                "none" => settings.agent = None,
                "SSH_AUTH_SOCK" => {}
                other => settings.agent = Some(path(other)),
            },
            "userknownhostsfile" | "globalknownhostsfile" => {
                settings.known_hosts.extend(value.split(' ').map(path));
            }
            "hostkeyalias" => settings.key_alias = unless_none(value),
            "stricthostkeychecking" => {
                settings.accept_new = ["accept-new", "no", "off", "false"].contains(&value);
            }
            "proxycommand" => settings.proxy = unless_none(value),
            "proxyjump" => jump = unless_none(value),
            "connecttimeout" => {
                let seconds = value.parse().ok().filter(|&seconds| seconds > 0);
                settings.connect_timeout = seconds.map_or(CONNECT, Duration::from_secs);
            }
            _ => {}
        }
    }
    if settings.proxy.is_none() {
        settings.proxy = jump.map(|jump| jump_command(&jump));
    }
    settings.proxy = settings.proxy.take().map(|proxy| filled(&proxy, &settings));
    settings
}

/// What ssh itself runs for `ProxyJump`: the hosts before the last are jumped over on the way to it.
fn jump_command(jump: &str) -> String {
    match jump.rsplit_once(',') {
        Some((before, last)) => format!("ssh -oBatchMode=yes -J {before} -W [%h]:%p -- {last}"),
        None => format!("ssh -oBatchMode=yes -W [%h]:%p -- {jump}"),
    }
}

/// A command with what its signs stand for.
fn filled(command: &str, settings: &SshSettings) -> String {
    let mut text = String::new();
    let mut characters = command.chars();
    while let Some(character) = characters.next() {
        match (character, character == '%') {
            (_, true) => match characters.next() {
                Some('h') => text.push_str(&settings.host_name),
                Some('p') => text.push_str(&settings.port.to_string()),
                Some('r') => text.push_str(&settings.user),
                Some('%') => text.push('%'),
                Some(other) => text.extend(['%', other]),
                None => text.push('%'),
            },
            (other, false) => text.push(other),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ssh_prints_is_understood() {
        let text = "user me\nhostname 10.0.0.7\nport 2222\nidentityfile ~/.ssh/id_ed25519\nidentityfile /k/b\n\
                    userknownhostsfile /h/known /h/known2\nglobalknownhostsfile /etc/known\nstricthostkeychecking ask\n\
                    proxyjump a,b:22\nconnecttimeout none\nhostkeyalias pi\nidentityagent none\n";
        let settings = parse(text, "/h", Some("/agent"));
        assert_eq!(settings.user, "me");
        assert_eq!(settings.port, 2222);
        assert_eq!(settings.agent, None);
        assert!(!settings.accept_new);
        assert_eq!(settings.key_alias.as_deref(), Some("pi"));
        assert_eq!(
            settings.identities,
            [PathBuf::from("/h/.ssh/id_ed25519"), "/k/b".into()]
        );
        assert_eq!(settings.known_hosts.len(), 3);
        let proxy = settings.proxy.unwrap();
        assert_eq!(proxy, "ssh -oBatchMode=yes -J a -W [10.0.0.7]:2222 -- b:22");
        assert_eq!(settings.connect_timeout, CONNECT);
    }
}
