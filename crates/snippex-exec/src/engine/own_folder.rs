//! A temporary folder of this process, and what is left of those of processes that were killed.

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once, PoisonError};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

const PREFIX: &str = "snippex-";
/// A younger one may be between being made and being locked.
const MIN_AGE: Duration = Duration::from_secs(3600);

/// Those that this process has.
static CURRENT: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Goes away when it is dropped, or by [`remove_own_folders`]; when the process is killed before that, a later one removes it.
#[derive(Debug)]
pub struct OwnFolder {
    folder: TempDir,
    /// Says that the folder is in use, as long as the process lives.
    _lock: File,
}

impl OwnFolder {
    /// A fresh one, with `kind` in its name.
    ///
    /// # Errors
    /// When there is no room, or the place for temporary files cannot be written to.
    pub fn new(kind: &str) -> io::Result<Self> {
        static SWEPT: Once = Once::new();
        SWEPT.call_once(|| sweep(&std::env::temp_dir(), MIN_AGE));
        let prefix = format!("{PREFIX}{kind}");
        let folder = tempfile::Builder::new().prefix(&prefix).tempdir()?;
        let lock = File::open(folder.path())?;
        // Where there are no locks there is no sweeping either.
        let _ = lock.try_lock();
        current().insert(folder.path().to_owned());
        Ok(Self { folder, _lock: lock })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for OwnFolder {
    fn drop(&mut self) {
        current().remove(self.folder.path());
    }
}

fn current() -> std::sync::MutexGuard<'static, BTreeSet<PathBuf>> {
    CURRENT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes all temporary folders of this process, which is about to end without dropping what it has.
pub fn remove_own_folders() {
    for folder in current().iter() {
        // There is nobody left to tell about one that stays.
        let _ = fs::remove_dir_all(folder);
    }
}

/// `error` with the place where it happened.
pub(crate) fn add_path_to_error(what: &str, path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what} {}: {error}", path.display()))
}

/// Removes what killed processes have left in `place`. Whatever does not work out is left to others.
fn sweep(place: &Path, least_age: Duration) {
    let Ok(entries) = fs::read_dir(place) else { return };
    let now = SystemTime::now();
    for entry in entries.flatten() {
        let old = entry.metadata().is_ok_and(|metadata| {
            let age = metadata
                .modified()
                .ok()
                .and_then(|then| now.duration_since(then).ok());
            metadata.is_dir() && age.is_some_and(|age| age >= least_age)
        });
        if !old || !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let Ok(folder) = File::open(entry.path()) else {
            continue;
        };
        if !matches!(
            folder.try_lock(),
            Err(TryLockError::WouldBlock | TryLockError::Error(_))
        ) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_uses_is_swept() {
        let place = tempfile::tempdir().unwrap();
        let [left, used, foreign] = ["snippex-left", "snippex-used", "other"].map(|name| {
            let folder = place.path().join(name);
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("runner"), "").unwrap();
            folder
        });
        let user = File::open(&used).unwrap();
        user.try_lock().unwrap();
        sweep(place.path(), MIN_AGE);
        assert!(left.exists(), "too young");
        sweep(place.path(), Duration::ZERO);
        assert!(!left.exists() && used.exists() && foreign.exists());
        drop(user);
        sweep(place.path(), Duration::ZERO);
        assert!(!used.exists());
    }

    #[test]
    fn a_folder_is_used_as_long_as_it_is_there() {
        let own = OwnFolder::new("").unwrap();
        let other = File::open(own.path()).unwrap();
        assert!(matches!(other.try_lock(), Err(TryLockError::WouldBlock)));
        let path = own.path().to_owned();
        assert!(current().contains(&path));
        drop(own);
        assert!(!current().contains(&path) && !path.exists());
    }
}
