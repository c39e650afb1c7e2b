//! What verdicts depend on apart from the block and its memory: the part of a key that all blocks of a target share.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use snippex_core::case::Placement;
use snippex_core::seed::Style;
use snippex_exec::engine::{EngineSpec, digest_file};
use snippex_store::CacheFile;

use crate::EngineChoice;
use crate::checking::DescribedEngine;

/// The version of the keys: another number makes all entries strangers.
const VERSION: &str = "3";

/// The parts by name, and their digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Context {
    pub(super) digest: String,
    /// JSON.
    pub(super) parts: String,
}

/// What the parts of a context are made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct CacheSurroundings<'s> {
    pub(super) seed: u64,
    pub(super) states: u32,
    pub(super) style: Style,
    pub(super) placement: Placement,
    /// JSON of what the subject documents to do otherwise.
    pub(super) deviations: &'s str,
    pub(super) reference: DescribedEngine<'s>,
    pub(super) subject: DescribedEngine<'s>,
}

impl Context {
    /// The context of these surroundings; `Err` says why nothing may be cached in them.
    pub(super) fn from_surroundings(
        surroundings: &CacheSurroundings<'_>,
        file: &CacheFile,
    ) -> Result<Self, String> {
        let mut parts = BTreeMap::new();
        let mut put = |name: &str, value: String| drop(parts.insert(name.to_owned(), value));
        put("key version", VERSION.to_owned());
        // What makes cases and judges them, masks and runner included.
        let program =
            std::env::current_exe().map_err(|error| format!("this program cannot be found: {error}"))?;
        put("snippex", digest_of_file(&program, file)?);
        put("seed", surroundings.seed.to_string());
        put("states", surroundings.states.to_string());
        put("kind of code", format!("{:?}", surroundings.style));
        let placement = surroundings.placement;
        put(
            "placement",
            format!("{:#x} {:#x}", placement.image_base, placement.code_base),
        );
        put(
            "documented deviations",
            digest_of(surroundings.deviations.as_bytes()),
        );
        for (role, engine) in [
            ("reference", surroundings.reference),
            ("subject", surroundings.subject),
        ] {
            for (name, value) in engine_parts(engine, file)? {
                put(&format!("{role}: {name}"), value);
            }
        }
        let parts = serde_json::to_string(&parts).expect("a map of strings is JSON");
        Ok(Self {
            digest: digest_of(parts.as_bytes()),
            parts,
        })
    }
}

/// The names of the parts in which two contexts differ.
pub(super) fn differing_parts(one: &str, other: &str) -> Vec<String> {
    let read = |text: &str| serde_json::from_str::<BTreeMap<String, String>>(text).unwrap_or_default();
    let (one, other) = (read(one), read(other));
    let mut names: Vec<&String> = one.keys().chain(other.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let differing = names
        .into_iter()
        .filter(|name| one.get(*name) != other.get(*name));
    differing.cloned().collect()
}

fn engine_parts(
    engine: DescribedEngine<'_>,
    file: &CacheFile,
) -> Result<Vec<(&'static str, String)>, String> {
    let identity = engine.identity;
    let json = |value: serde_json::Result<String>| value.expect("plain data is JSON");
    let mut parts = vec![
        ("name", identity.name.clone()),
        ("version", identity.version.clone()),
        (
            "configuration",
            json(serde_json::to_string(&identity.configuration)),
        ),
        (
            "guest",
            digest_of(json(serde_json::to_string(&identity.cpu)).as_bytes()),
        ),
        ("components", format!("{:?}", identity.components)),
        ("CPU", json(serde_json::to_string(&identity.host_cpu))),
    ];
    match engine.choice {
        EngineChoice::Process(spec) => {
            parts.push(("settings", settings(spec)));
            parts.push((
                "programs",
                spec.digest_program_files(&mut |path| digest_of_file(path, file))?,
            ));
        }
        EngineChoice::Recorded(recording) => parts.push(("recording", recording.id().to_string())),
        EngineChoice::Mock => {}
        EngineChoice::Remote(order) => {
            let entry = json(serde_json::to_string(&order.entry));
            parts.push(("settings", entry));
            // Whether nothing can be known is told by the host that has the files.
            let programs = engine.remote_programs.cloned();
            let unknown = || {
                Err(format!(
                    "the host of {} does not say what runs there",
                    identity.name
                ))
            };
            parts.push(("programs", programs.unwrap_or_else(unknown)?));
        }
        EngineChoice::Team(_) => return Err(format!("several hosts share the work of {}", identity.name)),
    }
    Ok(parts)
}

/// How it is started and what is known about it. How long it may take decides no verdict that is kept.
fn settings(spec: &EngineSpec) -> String {
    let EngineSpec {
        server,
        environment,
        isolated,
        memory,
        native,
        shortcuts,
        loads_x87_top,
        leaves_out,
        lacks,
        ..
    } = spec;
    format!(
        "{server:?} {environment:?} {isolated} {memory:?} {native} {shortcuts} {loads_x87_top} {leaves_out:?} {lacks:?}"
    )
}

/// SHA-256 of a file, from the notes of the cache if it was not replaced since.
fn digest_of_file(path: &Path, cache: &CacheFile) -> Result<String, String> {
    let failed = |error: io::Error| format!("{} cannot be read: {error}", path.display());
    let stamp = stamp(&fs::metadata(path).map_err(failed)?);
    if let Ok(Some(known)) = cache.file_digest(&stamp) {
        return Ok(known);
    }
    let digest = digest_file(path)?;
    // Not noted is read again next time.
    let _ = cache.note_file_digest(&stamp, &digest);
    Ok(digest)
}

/// What tells whether a file was replaced or changed: device, inode, size, and the time of its last change of any kind, which
/// nobody can set back.
fn stamp(file: &Metadata) -> String {
    format!(
        "{} {} {} {} {} {}.{:09}",
        file.dev(),
        file.ino(),
        file.size(),
        file.mtime(),
        file.mtime_nsec(),
        file.ctime(),
        file.ctime_nsec()
    )
}

fn digest_of(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(command: &[&str]) -> EngineSpec {
        let mut spec = EngineSpec::from_command("mine", "true {runner}").unwrap();
        spec.command = command.iter().map(|&word| word.to_owned()).collect();
        spec
    }

    #[test]
    fn what_may_start_anything_is_not_cached() {
        let folder = tempfile::tempdir().unwrap();
        let cache = CacheFile::open(&folder.path().join("cache.db")).unwrap();
        let script = folder.path().join("emulator");
        fs::write(&script, "#!/bin/sh\n").unwrap();
        let script = script.to_str().unwrap();
        let of =
            |command: &[&str]| spec(command).digest_program_files(&mut |path| digest_of_file(path, &cache));
        assert!(of(&["true", "{runner}"]).unwrap().starts_with("true "));
        assert!(
            of(&["env", "X=1", "true", "{runner}"])
                .unwrap()
                .contains(", true ")
        );
        assert!(of(&["{runner}"]).is_ok());
        assert!(
            of(&["sh", "-c", "exec true {runner}"])
                .unwrap_err()
                .contains("shell")
        );
        assert!(of(&[script, "{runner}"]).unwrap_err().contains("script"));
        assert!(of(&["no-such-program", "{runner}"]).is_err());
    }

    #[test]
    fn a_changed_file_has_another_digest() {
        let folder = tempfile::tempdir().unwrap();
        let cache = CacheFile::open(&folder.path().join("cache.db")).unwrap();
        let file = folder.path().join("engine");
        fs::write(&file, "one").unwrap();
        let before = digest_of_file(&file, &cache).unwrap();
        assert_eq!(digest_of_file(&file, &cache).unwrap(), before);
        fs::write(&file, "two").unwrap();
        assert_ne!(digest_of_file(&file, &cache).unwrap(), before);
    }

    #[test]
    fn parts_that_differ_are_named() {
        let one = r#"{"seed":"1","states":"64"}"#;
        assert_eq!(differing_parts(one, one), Vec::<String>::new());
        assert_eq!(
            differing_parts(one, r#"{"seed":"2","states":"64","x":""}"#),
            ["seed", "x"]
        );
    }
}
