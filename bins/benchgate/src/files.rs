//! Reading within limits, and writing so that a crash leaves the old file or the new one.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;

use cli_kit::{Failure, OrFail};
use regress_core::baseline::Baselines;
use regress_core::measurement::RunFile;

/// Result files of other tools larger than this are refused.
pub(crate) const MAX_BYTES: u64 = 64 << 20;
/// The same for our own files: a hundred thousand benchmarks make a run file of some hundred megabytes.
const MAX_OWN_BYTES: u64 = 2 << 30;

/// Reads a result file of at most [`MAX_BYTES`]; `-` is standard input.
pub(crate) fn read_result_file(path: &Path) -> Result<Vec<u8>, Failure> {
    read_within(path, MAX_BYTES)
}

/// Reads a file that benchgate wrote.
pub(crate) fn read_own(path: &Path) -> Result<Vec<u8>, Failure> {
    read_within(path, MAX_OWN_BYTES)
}

fn read_within(path: &Path, most: u64) -> Result<Vec<u8>, Failure> {
    let name = path.display();
    let source: Box<dyn Read> = if path == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        let file = File::open(path).or_fail_with(|| format!("cannot read {name}"))?;
        if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
            return Err(Failure::new(format!("cannot read {name}: it is a folder")));
        }
        Box::new(file)
    };
    let mut bytes = Vec::new();
    source
        .take(most + 1)
        .read_to_end(&mut bytes)
        .or_fail_with(|| format!("cannot read {name}"))?;
    if bytes.len() as u64 > most {
        let limit = cli_kit::units::format_bytes(most);
        return Err(Failure::new(format!("{name} is larger than {limit}"))
            .hint("give the results of one run; raw samples and logs do not belong in it"));
    }
    Ok(bytes)
}

/// Reads a file that benchgate wrote, or nothing where there is none.
pub(crate) fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        _ => read_own(path).map(Some),
    }
}

/// Replaces the file at `path` as a whole, and makes the folders it stands in.
pub(crate) fn write_file(path: &Path, content: impl AsRef<[u8]>) -> Result<(), Failure> {
    let failed = || format!("cannot write {}", path.display());
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    fs::create_dir_all(folder).or_fail_with(failed)?;
    let mut file = tempfile::NamedTempFile::new_in(folder).or_fail_with(failed)?;
    file.write_all(content.as_ref()).or_fail_with(failed)?;
    file.as_file().sync_data().or_fail_with(failed)?;
    // A temporary file is for its owner only; what replaces a file should be as readable as a new one would be.
    let mode = fs::metadata(path).map_or_else(|_| shared_permissions(), |metadata| metadata.permissions());
    fs::set_permissions(file.path(), mode).or_fail_with(failed)?;
    file.persist(path)
        .map_err(|error| error.error)
        .or_fail_with(failed)?;
    Ok(())
}

/// Waits until no other process changes the file at `path`; it stays so until what is returned is dropped. The lock is on
/// the folder, since the file is replaced as a whole.
pub(crate) fn lock_file(path: &Path) -> Result<File, Failure> {
    let failed = || format!("cannot lock {}", path.display());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    fs::create_dir_all(folder).or_fail_with(failed)?;
    // A folder can be locked like a file, and nothing is left behind.
    let file = File::open(folder).or_fail_with(failed)?;
    file.lock().or_fail_with(failed)?;
    Ok(file)
}

fn shared_permissions() -> fs::Permissions {
    use std::os::unix::fs::PermissionsExt as _;
    fs::Permissions::from_mode(0o644)
}

/// Reads a run file.
pub(crate) fn read_run(path: &Path) -> Result<RunFile, Failure> {
    let bytes = read_own(path).map_err(|failure| {
        if path.exists() {
            failure
        } else {
            failure.hint("measure first: benchgate run -- COMMAND")
        }
    })?;
    RunFile::from_json(&bytes).or_fail_with(|| format!("cannot use {}", path.display()))
}

/// Reads baselines; none where there is no file. Entries that could not be read are returned as text.
pub(crate) fn read_baselines(path: &Path) -> Result<(Baselines, Vec<String>), Failure> {
    let Some(bytes) = read_if_there(path)? else {
        return Ok((Baselines::new(), Vec::new()));
    };
    let loaded = Baselines::from_json(&bytes).or_fail_with(|| format!("cannot use {}", path.display()))?;
    let problems = loaded
        .problems
        .iter()
        .map(|problem| format!("{}: {problem}", path.display()));
    Ok((loaded.baselines, problems.collect()))
}
