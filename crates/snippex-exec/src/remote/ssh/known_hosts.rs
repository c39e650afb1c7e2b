//! Whether a host is the one it says: its key is looked up where ssh keeps those of known hosts.

use std::fs;
use std::path::{Path, PathBuf};

use russh::keys::known_hosts::{known_host_keys_path, learn_known_hosts_path};
use russh::keys::{Algorithm, HashAlg, PublicKey, PublicKeyBase64};

use super::settings::SshSettings;

/// Whom the key is to be known for.
#[derive(Clone, Debug)]
pub(super) struct KnownHosts {
    files: Vec<PathBuf>,
    name: String,
    port: u16,
    accept_new: bool,
}

/// What is known of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is the host's.
    Known,
    /// Another one is known, in that line.
    Changed { file: PathBuf, line: usize },
    /// It is marked as one that must not be used any more.
    Revoked { file: PathBuf },
    /// Nothing is known of the host.
    Unknown,
}

impl KnownHosts {
    pub(super) fn from_settings(settings: &SshSettings) -> Self {
        Self {
            files: settings.known_hosts.clone(),
            name: settings
                .key_alias
                .clone()
                .unwrap_or_else(|| settings.host_name.clone()),
            // A host with a name of its own is known under that, whatever its port is.
            port: if settings.key_alias.is_some() {
                22
            } else {
                settings.port
            },
            accept_new: settings.accept_new,
        }
    }

    /// Kinds of the keys that are known, which the host is to be asked for first.
    pub(super) fn key_algorithms(&self) -> Vec<Algorithm> {
        let keys = self.files.iter().flat_map(|file| self.keys(file));
        keys.map(|(_, key)| key.algorithm()).collect()
    }

    /// What is known of `key`. A new one is taken where the settings say so.
    pub(super) fn check_key(&self, key: &PublicKey) -> Verdict {
        if let Some(file) = self.files.iter().find(|file| is_revoked(file, key)) {
            return Verdict::Revoked { file: file.clone() };
        }
        let mut changed = None;
        for file in &self.files {
            for (line, known) in self.keys(file) {
                if known.key_data() == key.key_data() {
                    return Verdict::Known;
                }
                changed.get_or_insert_with(|| (file.clone(), line));
            }
        }
        match (changed, self.files.first()) {
            (Some((file, line)), _) => Verdict::Changed { file, line },
            (None, Some(first)) if self.accept_new => {
                match learn_known_hosts_path(&self.name, self.port, key, first) {
                    Ok(()) => Verdict::Known,
                    Err(_) => Verdict::Unknown,
                }
            }
            _ => Verdict::Unknown,
        }
    }

    /// The host's keys in a file. One that cannot be read has none.
    fn keys(&self, file: &Path) -> Vec<(usize, PublicKey)> {
        known_host_keys_path(&self.name, self.port, file).unwrap_or_default()
    }
}

/// Whether a line of `file` forbids the key, for whatever host.
fn is_revoked(file: &Path, key: &PublicKey) -> bool {
    let text = fs::read_to_string(file).unwrap_or_default();
    let key = key.public_key_base64();
    let mut revoked = text.lines().filter(|line| line.starts_with("@revoked"));
    revoked.any(|line| line.split_whitespace().any(|word| word == key))
}

/// A key as ssh shows it to people.
pub(super) fn format_key_fingerprint(key: &PublicKey) -> String {
    format!("{} {}", key.algorithm(), key.fingerprint(HashAlg::Sha256))
}
