//! The file of `--output`: opened at once, so that one learns early that it cannot be written, but emptied only when the
//! first bytes of an answer come. So a command can read the file that it then writes, and one that fails destroys nothing.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// A file that keeps what it has until something is written.
#[derive(Debug)]
pub(crate) struct LateFile {
    file: File,
    written: bool,
}

impl LateFile {
    /// Opens or makes the file.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        // Pipes and devices have nothing to empty.
        let written = !file.metadata()?.is_file();
        Ok(Self { file, written })
    }
}

impl Write for LateFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.written {
            self.file.set_len(0)?;
            self.written = true;
        }
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_stays_until_an_answer_comes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("answer");
        std::fs::write(&path, "a long answer of before").unwrap();
        drop(LateFile::create(&path).unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "a long answer of before");
        let mut file = LateFile::create(&path).unwrap();
        file.write_all(b"new").unwrap();
        file.write_all(b"er").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "newer");
    }
}
