//! Programs that were sent before: by their SHA-256, in a folder and in memory, so that the next check need not send them, and a
//! rebuilt one only in what has changed.

use std::collections::HashMap;
use std::fs::{self, File, FileTimes};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};
use zstd::zstd_safe::CParameter;

use super::RemoteError;
use super::message::BlobId;

/// Longest time that a blob is kept after its last use: seven days.
const TTL: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Most bytes that are kept in a folder; those that were not used longest go first.
const MAX_KEPT: u64 = 1 << 30;
/// Longest blob that is taken, in bytes.
const MAX_BLOB: u64 = 1 << 30;
/// Level of zstd: blobs are packed once and sent over slow lines.
const LEVEL: i32 = 9;
/// Windows up to this size (as a power of two) are unpacked, so that a base can be referred to as a whole.
const MAX_WINDOW: u32 = 30;

/// The content address of `bytes`.
pub(super) fn compute_blob_id(bytes: &[u8]) -> BlobId {
    Sha256::digest(bytes).into()
}

/// Blobs, in a folder that several processes may share.
#[derive(Debug, Default)]
pub(super) struct BlobStore {
    folder: Option<PathBuf>,
    memory: HashMap<BlobId, Arc<[u8]>>,
}

impl BlobStore {
    /// A store in `folder`, which is made when something is put there. Without one, or where it cannot be written, blobs are kept
    /// in memory only.
    pub(super) fn new(folder: Option<PathBuf>) -> Self {
        Self {
            folder,
            memory: HashMap::new(),
        }
    }

    /// The blob, if it is there and whole.
    pub(super) fn get(&mut self, blob: &BlobId) -> Option<Arc<[u8]>> {
        if let Some(known) = self.memory.get(blob) {
            return Some(Arc::clone(known));
        }
        let path = self.path(blob)?;
        let bytes = fs::read(&path).ok()?;
        if compute_blob_id(&bytes) != *blob {
            // Cut short by a full disk, or damaged: it is sent again.
            let _ = fs::remove_file(&path);
            return None;
        }
        touch(&path);
        let bytes: Arc<[u8]> = bytes.into();
        self.memory.insert(*blob, Arc::clone(&bytes));
        Some(bytes)
    }

    /// Keeps `bytes`, whose content address is `blob`.
    pub(super) fn put(&mut self, blob: BlobId, bytes: Arc<[u8]>) {
        if let Some(folder) = &self.folder {
            // Whoever cannot keep it has it sent again.
            let _ = write(folder, &format_hex(&blob), &bytes).and_then(|()| tidy(folder));
        }
        self.memory.insert(blob, bytes);
    }

    /// Blobs that may differ little from one of `length` bytes, the likeliest first.
    pub(super) fn find_similar_blobs(&self, length: u64) -> Vec<BlobId> {
        const MOST: usize = 8;
        let Some(files) = self.folder.as_deref().and_then(|folder| files(folder).ok()) else {
            return Vec::new();
        };
        let mut alike: Vec<(u64, BlobId)> = files
            .into_iter()
            .filter(|file| file.length / 2 <= length && length / 2 <= file.length)
            .filter_map(|file| Some((file.length.abs_diff(length), parse_hex(&file.name)?)))
            .collect();
        alike.sort_unstable();
        alike.into_iter().take(MOST).map(|(_, blob)| blob).collect()
    }

    fn path(&self, blob: &BlobId) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(format_hex(blob)))
    }
}

/// `bytes` packed; against `base`, where there is one.
pub(super) fn pack_blob(bytes: &[u8], base: Option<&[u8]>) -> io::Result<Vec<u8>> {
    let Some(base) = base else {
        return zstd::stream::encode_all(bytes, LEVEL);
    };
    let mut encoder = zstd::stream::write::Encoder::with_ref_prefix(Vec::new(), LEVEL, base)?;
    let whole = (bytes.len() + base.len())
        .next_power_of_two()
        .ilog2()
        .clamp(10, MAX_WINDOW);
    encoder.set_parameter(CParameter::WindowLog(whole))?;
    encoder.set_parameter(CParameter::EnableLongDistanceMatching(true))?;
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// What [`pack_blob`] packed against `base`, which is to be `blob`.
pub(super) fn unpack_blob(
    packed: &[u8],
    base: Option<&[u8]>,
    blob: &BlobId,
) -> Result<Arc<[u8]>, RemoteError> {
    let bytes = unpack_any(packed, base.unwrap_or_default())?;
    match compute_blob_id(&bytes) == *blob {
        true => Ok(bytes.into()),
        false => Err(RemoteError::Malformed("a program is not what its name says")),
    }
}

/// As [`unpack_blob`], whatever it is to be.
pub(super) fn unpack_any(packed: &[u8], base: &[u8]) -> io::Result<Vec<u8>> {
    let mut decoder = zstd::stream::read::Decoder::with_ref_prefix(packed, base)?;
    decoder.window_log_max(MAX_WINDOW + 1)?;
    let mut bytes = Vec::new();
    decoder.take(MAX_BLOB).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Writes a file whole or not at all.
fn write(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.persist(folder.join(name)).map_err(|error| error.error)?;
    Ok(())
}

struct KeptFile {
    name: String,
    length: u64,
    used: SystemTime,
}

fn files(folder: &Path) -> io::Result<Vec<KeptFile>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)?.flatten() {
        if let (Ok(about), Ok(name)) = (entry.metadata(), entry.file_name().into_string())
            && about.is_file()
        {
            let used = about.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            files.push(KeptFile {
                name,
                length: about.len(),
                used,
            });
        }
    }
    Ok(files)
}

/// Removes what was not used for long, and what is too much.
fn tidy(folder: &Path) -> io::Result<()> {
    let mut files = files(folder)?;
    files.sort_unstable_by_key(|file| std::cmp::Reverse(file.used));
    let now = SystemTime::now();
    let mut kept = 0;
    for file in files {
        kept += file.length;
        let age = now.duration_since(file.used).unwrap_or_default();
        if age > TTL || kept > MAX_KEPT {
            fs::remove_file(folder.join(&file.name))?;
        }
    }
    Ok(())
}

/// Notes that the file was used. Without that it is forgotten earlier.
fn touch(path: &Path) {
    if let Ok(file) = File::options().append(true).open(path) {
        let _ = file.set_times(FileTimes::new().set_modified(SystemTime::now()));
    }
}

/// Lower-case hexadecimal digits.
pub(super) fn format_hex(id: &BlobId) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What [`format_hex`] wrote.
pub(super) fn parse_hex(text: &str) -> Option<BlobId> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    let mut id = [0; 32];
    for (byte, at) in id.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
    }
    Some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(length: usize, mut seed: u64) -> Vec<u8> {
        let mut next = || {
            seed = seed
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            (seed >> 56) as u8
        };
        (0..length).map(|_| next()).collect()
    }

    #[test]
    fn a_rebuilt_program_is_sent_in_what_has_changed() {
        let old = noise(3_000_000, 1);
        let mut new = old.clone();
        new.splice(1_000_000..1_000_100, noise(300, 2));
        new[5] ^= 1;
        let whole = pack_blob(&new, None).unwrap();
        let patch = pack_blob(&new, Some(&old)).unwrap();
        assert!(patch.len() * 100 < new.len(), "{} bytes", patch.len());
        assert_eq!(
            &*unpack_blob(&patch, Some(&old), &compute_blob_id(&new)).unwrap(),
            &new[..]
        );
        assert_eq!(
            &*unpack_blob(&whole, None, &compute_blob_id(&new)).unwrap(),
            &new[..]
        );
        assert!(unpack_blob(&patch, None, &compute_blob_id(&new)).is_err());
        assert!(unpack_blob(&whole, None, &compute_blob_id(&old)).is_err());
    }

    #[test]
    fn a_damaged_blob_is_not_there_and_a_read_only_folder_does_no_harm() {
        let folder = tempfile::tempdir().unwrap();
        let bytes: Arc<[u8]> = noise(1000, 3).into();
        let blob = compute_blob_id(&bytes);
        BlobStore::new(Some(folder.path().into())).put(blob, Arc::clone(&bytes));
        let mut again = BlobStore::new(Some(folder.path().into()));
        assert_eq!(again.find_similar_blobs(900), [blob]);
        assert_eq!(again.get(&blob).as_deref(), Some(&bytes[..]));
        fs::write(folder.path().join(format_hex(&blob)), b"cut").unwrap();
        assert_eq!(BlobStore::new(Some(folder.path().into())).get(&blob), None);
        let mut nowhere = BlobStore::new(Some("/proc/no/such/folder".into()));
        nowhere.put(blob, Arc::clone(&bytes));
        assert_eq!(nowhere.get(&blob).as_deref(), Some(&bytes[..]));
    }
}
