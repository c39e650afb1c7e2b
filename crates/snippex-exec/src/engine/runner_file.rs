//! The runner as a file that an engine can be told to run, in each of its builds.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::own_folder::{OwnFolder, add_path_to_error};

use super::RunnerStyle;

/// The runner in a folder of its own, which goes away with the last user in this process.
#[derive(Debug)]
pub(crate) struct RunnerFile {
    _folder: OwnFolder,
    static_program: PathBuf,
    calls_libc: PathBuf,
    bits_32: PathBuf,
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
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            fs::write(&path, bytes)
                .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o755)))
                .map_err(|error| add_path_to_error("cannot write", &path, &error))?;
            Ok::<_, io::Error>(path)
        };
        let static_program = write("runner", snippex_runner::RUNNER)?;
        let calls_libc = write("libc-runner", snippex_runner::LIBC_RUNNER)?;
        let bits_32 = write("runner-32", snippex_runner::RUNNER_32)?;
        let file = Arc::new(Self {
            _folder: folder,
            static_program,
            calls_libc,
            bits_32,
        });
        *current = Arc::downgrade(&file);
        Ok(file)
    }

    /// The one that runs 32-bit programs.
    pub(crate) fn path_32(&self) -> &Path {
        &self.bits_32
    }

    pub(crate) fn path(&self, style: RunnerStyle) -> &Path {
        match style {
            RunnerStyle::Static => &self.static_program,
            RunnerStyle::Libc => &self.calls_libc,
        }
    }
}
