//! The file of a SQLite database, before SQLite opens it: its own message for a folder that is not there or a file that
//! may not be written is the same for both.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;

use crate::Location;

impl Location {
    /// Makes the file, with its folder, if it is not there, for whom `mode` allows it (before the umask). Does nothing
    /// for a server.
    ///
    /// # Errors
    /// The system's, when the file cannot be made, read or written.
    pub fn create_file(&self, mode: u32) -> io::Result<()> {
        let Some(path) = self.file() else { return Ok(()) };
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            fs::create_dir_all(parent)?;
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        options.mode(mode).open(path).map(drop)
    }
}
