//! The runner as a file that an engine can be told to run.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::own_folder::{OwnFolder, add_path_to_error};

/// The runner in a folder of its own, which goes away with the last user in this process.
#[derive(Debug)]
pub(crate) struct RunnerFile {
    _folder: OwnFolder,
    path: PathBuf,
}

static CURRENT: Mutex<Weak<RunnerFile>> = Mutex::new(Weak::new());

impl RunnerFile {
    /// The file of this process; written when there is none.
    pub(crate) fn get_or_create() -> io::Result<Arc<Self>> {
        let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = current.upgrade() {
            return Ok(file);
        }
        let folder = OwnFolder::new("")?;
        let path = folder.path().join("runner");
        fs::write(&path, snippex_runner::RUNNER)
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o755)))
            .map_err(|error| add_path_to_error("cannot write", &path, &error))?;
        let file = Arc::new(Self {
            _folder: folder,
            path,
        });
        *current = Arc::downgrade(&file);
        Ok(file)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}
