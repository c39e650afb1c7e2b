//! Programs one after another, as they are named: of many, one is held at a time, and one that cannot be read is not the end of
//! the others.

use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use crate::{BinaryFile, ProgramName, SessionError};

/// What stands for standard input among names.
const STANDARD_INPUT: &str = "-";

/// A program, or why it cannot be read.
#[derive(Debug)]
pub struct NamedProgram {
    /// As it was named; of an image, with the place in it.
    pub path: PathBuf,
    /// The program; whether it is one shows when it is parsed.
    pub file: Result<BinaryFile, SessionError>,
}

/// Reads what `names` mean in their order, and hands each program on before the next is read. `-` is standard input, a pipe is
/// read to its end, and of what a pattern with wildcards finds in an image only programs are taken.
///
/// # Errors
/// What `take` answers; nothing is read after that.
pub fn each_program<E>(
    names: &[PathBuf],
    mut take: impl FnMut(NamedProgram) -> Result<(), E>,
) -> Result<(), E> {
    for name in names {
        match ProgramName::parse(name) {
            _ if name == Path::new(STANDARD_INPUT) => take(NamedProgram {
                path: name.clone(),
                file: BinaryFile::read_stream(&mut io::stdin().lock(), Path::new("standard-input")),
            })?,
            ProgramName::File(path) => take(NamedProgram {
                file: read_file_or_pipe(&path),
                path,
            })?,
            ProgramName::InImage { image, pattern } => {
                #[cfg(feature = "images")]
                crate::images::each_in_image(name, &image, &pattern, &mut take)?;
                #[cfg(not(feature = "images"))]
                drop((image, pattern));
            }
        }
    }
    Ok(())
}

fn read_file_or_pipe(path: &Path) -> Result<BinaryFile, SessionError> {
    let is_pipe = fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_fifo());
    if !is_pipe {
        return BinaryFile::read_file(path);
    }
    let mut pipe = fs::File::open(path).map_err(|source| SessionError::Read {
        path: path.to_owned(),
        source,
    })?;
    BinaryFile::read_stream(&mut pipe, path)
}
