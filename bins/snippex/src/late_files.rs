//! Files that are written when the work is done: that they cannot be is to be told before it begins.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use cli_kit::{Failure, OrFail};

/// Refuses a file that could not be written. What is there stays as it is, and nothing is left behind.
pub(crate) fn require_writable<'p>(files: impl IntoIterator<Item = &'p PathBuf>) -> Result<(), Failure> {
    for path in files {
        try_to_write(path)
            .or_fail_with(|| format!("cannot write {}", path.display()))
            .map_err(|failure| {
                failure.hint("name a file in a folder that is there and that you may write")
            })?;
    }
    Ok(())
}

fn try_to_write(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => OpenOptions::new().write(true).open(path).map(drop),
        Ok(metadata) if metadata.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        // To open a pipe waits for whoever reads it.
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.unwrap_or(Path::new("."));
            fs::metadata(folder)?;
            tempfile::tempfile_in(folder)
                .map(drop)
                .map_err(|error| error.kind().into())
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_tried_and_nothing_changes() {
        let folder = tempfile::tempdir().unwrap();
        let (there, new) = (folder.path().join("there"), folder.path().join("new"));
        fs::write(&there, "as before").unwrap();
        require_writable([&there, &new, &PathBuf::from("/dev/null")]).unwrap();
        assert_eq!(fs::read_to_string(&there).unwrap(), "as before");
        assert!(!new.exists());
        for bad in [
            folder.path().to_owned(),
            folder.path().join("no/x"),
            there.join("x"),
        ] {
            let failure = require_writable([&bad]).unwrap_err();
            assert!(
                failure
                    .to_string()
                    .starts_with(&format!("cannot write {}", bad.display())),
                "{failure}"
            );
        }
    }
}
