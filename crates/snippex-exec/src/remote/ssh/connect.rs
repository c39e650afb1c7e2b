//! Makes a connection and logs in.

use std::borrow::Cow;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::Preferred;
use russh::client::{self, AuthResult, Handle, Handler};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{PrivateKeyWithHashAlg, PublicKeyOrCertificate, load_public_key, load_secret_key};
use tokio::process::Command;

use super::known_hosts::{KnownHosts, Verdict, format_key_fingerprint};
use super::settings::SshSettings;
use crate::remote::RemoteError;

/// Bytes that may be on the way on a channel: enough for 100 ms at a gigabit a second.
const WINDOW: u32 = 16 << 20;
/// Longest packet, in bytes: the longest that russh takes.
const PACKET: u32 = 65535;
/// How often a host that says nothing is asked whether it is there, and how many times in a row it may not answer.
const KEEP_ALIVE: (Duration, usize) = (Duration::from_secs(5), 3);

/// What a connection asks of us while it is made.
pub(super) struct Client {
    known: KnownHosts,
    /// Why the host's key was not taken.
    refused: Arc<Mutex<Option<(Verdict, String)>>>,
}

impl Handler for Client {
    type Error = russh::Error;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        let (verdict, shown) = match key {
            PublicKeyOrCertificate::PublicKey { key, .. } => {
                (self.known.check_key(key), format_key_fingerprint(key))
            }
            // Certificates of hosts are for the system's ssh.
            PublicKeyOrCertificate::Certificate(_) => (Verdict::Unknown, "a certificate".to_owned()),
        };
        let known = verdict == Verdict::Known;
        if !known {
            *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some((verdict, shown));
        }
        Ok(known)
    }
}

/// A connection to `to` on which we are logged in.
pub(super) async fn connect_to_host(
    host: &str,
    to: &str,
    settings: &SshSettings,
) -> Result<Handle<Client>, RemoteError> {
    let refused = Arc::new(Mutex::new(None));
    let client = Client {
        known: KnownHosts::from_settings(settings),
        refused: Arc::clone(&refused),
    };
    let config = Arc::new(config(&client.known));
    let unreachable = |problem: String| RemoteError::Unreachable {
        host: host.to_owned(),
        problem,
        noise: String::new(),
    };
    let connecting = tokio::time::timeout(settings.connect_timeout, dial(config, client, settings)).await;
    let mut handle = match connecting {
        Err(_) => {
            let seconds = settings.connect_timeout.as_secs();
            return Err(unreachable(format!("no connection within {seconds} s")));
        }
        Ok(Ok(handle)) => handle,
        Ok(Err(error)) => {
            let refused = refused.lock().unwrap_or_else(PoisonError::into_inner).take();
            return Err(match refused {
                Some((verdict, shown)) => wrong_key(host, to, &verdict, &shown),
                None => unreachable(error.to_string()),
            });
        }
    };
    let logging_in = tokio::time::timeout(settings.connect_timeout, log_in(&mut handle, settings)).await;
    match logging_in {
        Err(_) => Err(unreachable("it does not answer while we log in".to_owned())),
        Ok(Err(error)) => Err(unreachable(format!("it ended while we logged in: {error}"))),
        Ok(Ok(None)) => Ok(handle),
        Ok(Ok(Some(tried))) => Err(no_key(host, to, settings, &tried)),
    }
}

fn config(known: &KnownHosts) -> client::Config {
    let mut preferred = Preferred::default();
    // Another key than the one that is known would look like another host.
    let mut keys = known.key_algorithms();
    keys.extend(preferred.key.iter().cloned());
    keys.retain(|key| preferred.key.contains(key));
    let mut first = Vec::with_capacity(keys.len());
    for key in keys {
        if !first.contains(&key) {
            first.push(key);
        }
    }
    preferred.key = Cow::Owned(first);
    client::Config {
        preferred,
        window_size: WINDOW,
        maximum_packet_size: PACKET,
        keepalive_interval: Some(KEEP_ALIVE.0),
        keepalive_max: KEEP_ALIVE.1,
        nodelay: true,
        ..client::Config::default()
    }
}

async fn dial(
    config: Arc<client::Config>,
    client: Client,
    settings: &SshSettings,
) -> Result<Handle<Client>, russh::Error> {
    let Some(proxy) = &settings.proxy else {
        let address = (settings.host_name.as_str(), settings.port);
        return client::connect(config, address, client).await;
    };
    // As ssh does, which has a shell read it.
    let mut child = Command::new("/bin/sh")
        .args(["-c", &format!("exec {proxy}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let (Some(output), Some(input)) = (child.stdout.take(), child.stdin.take()) else {
        return Err(russh::Error::Disconnect);
    };
    // It ends when its streams do.
    tokio::spawn(async move { child.wait().await });
    client::connect_stream(config, tokio::io::join(output, input), client).await
}

/// Tries keys until one is taken; otherwise gives those that were tried, in words.
async fn log_in(
    handle: &mut Handle<Client>,
    settings: &SshSettings,
) -> Result<Option<Vec<String>>, russh::Error> {
    let mut tried = Vec::new();
    if log_in_by_agent(handle, settings, &mut tried).await? {
        return Ok(None);
    }
    for path in &settings.identities {
        if !path.exists() {
            continue;
        }
        let key = match load_secret_key(path, None) {
            Ok(key) => key,
            Err(error) => {
                tried.push(format!("{} ({error})", path.display()));
                continue;
            }
        };
        let hash = match key.algorithm().is_rsa() {
            true => handle.best_supported_rsa_hash().await?.flatten(),
            false => None,
        };
        let key = PrivateKeyWithHashAlg::new(Arc::new(key), hash);
        let answer = handle.authenticate_publickey(&settings.user, key).await;
        match answer {
            Ok(AuthResult::Success) => return Ok(None),
            Ok(AuthResult::Failure { .. }) => tried.push(path.display().to_string()),
            Err(error) if handle.is_closed() => return Err(error),
            Err(error) => tried.push(format!("{} ({error})", path.display())),
        }
    }
    Ok(Some(tried))
}

async fn log_in_by_agent(
    handle: &mut Handle<Client>,
    settings: &SshSettings,
    tried: &mut Vec<String>,
) -> Result<bool, russh::Error> {
    let Some(socket) = &settings.agent else {
        return Ok(false);
    };
    let Ok(mut agent) = AgentClient::connect_uds(socket).await else {
        tried.push(format!("the agent at {} (it does not answer)", socket.display()));
        return Ok(false);
    };
    let named = public_keys(settings);
    for identity in agent.request_identities().await.unwrap_or_default() {
        let AgentIdentity::PublicKey { key, comment } = identity else {
            continue;
        };
        if settings.identities_only && !named.contains(key.key_data()) {
            continue;
        }
        let hash = match key.algorithm().is_rsa() {
            true => handle.best_supported_rsa_hash().await?.flatten(),
            false => None,
        };
        let answer = handle
            .authenticate_publickey_with(&settings.user, key, hash, &mut agent)
            .await;
        match answer {
            Ok(AuthResult::Success) => return Ok(true),
            _ => tried.push(format!("{comment} of the agent")),
        }
    }
    Ok(false)
}

/// The public parts of the keys that the settings name: of the files themselves, or beside them.
fn public_keys(settings: &SshSettings) -> Vec<KeyData> {
    let beside = |path: &PathBuf| [path.clone(), PathBuf::from(format!("{}.pub", path.display()))];
    let files = settings.identities.iter().flat_map(beside);
    files
        .filter_map(|path| load_public_key(path).ok())
        .map(|key| key.key_data().clone())
        .collect()
}

fn wrong_key(host: &str, to: &str, verdict: &Verdict, shown: &str) -> RemoteError {
    let (problem, hint) = match verdict {
        Verdict::Changed { file, line } => (
            format!(
                "its key is {shown}, and line {line} of {} has another: somebody may be in between",
                file.display()
            ),
            format!(
                "find out whether the host was set up anew; if so, remove the old key (ssh-keygen -R, as ssh {to} says), \
                 and connect once by hand: ssh {to}"
            ),
        ),
        Verdict::Revoked { file } => (
            format!("its key, {shown}, is revoked in {}", file.display()),
            "give the host a new key".to_owned(),
        ),
        Verdict::Unknown | Verdict::Known => (
            format!("its key, {shown}, is not known"),
            format!("compare it with the host's own, and accept it once by hand: ssh {to}"),
        ),
    };
    RemoteError::Refused {
        host: host.to_owned(),
        problem,
        hint,
    }
}

fn no_key(host: &str, to: &str, settings: &SshSettings, tried: &[String]) -> RemoteError {
    let tried = match tried {
        [] => "there is none".to_owned(),
        tried => format!("tried were {}", tried.join(", ")),
    };
    RemoteError::Refused {
        host: host.to_owned(),
        problem: format!("it takes no key of ours for user {}: {tried}", settings.user),
        hint: format!(
            "put a key there (ssh-copy-id {to}) or into the agent (ssh-add); passwords, RSA and hardware keys need the \
             system's ssh: client = \"command\" in the host's entry"
        ),
    }
}
