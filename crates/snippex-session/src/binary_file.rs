//! A program file: read, recognised, described for the database.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use snippex_blocks::binary::{FileFormat, Image, is_object_file, link_object};
use snippex_core::address_space::place_image;
use snippex_core::case::Placement;
use snippex_core::words::escape_control;
use snippex_store::NewBinary;

use crate::{SessionError, write_stored_path};

/// As much of a file as [`Image::parse`] needs to say that it is no program, and what it is instead.
const HEAD: u64 = 4096;
/// A program is held in memory; the largest ones, with all their debug information, are smaller.
const MOST_BYTES: u64 = 4 << 30;

/// Reads a file in full if its first bytes are those of a program, otherwise only these: a disk image of many gigabytes
/// is not read to be refused.
fn read_program(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let mut data = Vec::new();
    file.by_ref().take(HEAD).read_to_end(&mut data)?;
    if FileFormat::from_magic_bytes(&data).is_some() {
        let size = file.metadata()?.len();
        if size > MOST_BYTES {
            let what = format!("it has {size} bytes, and programs of at most {MOST_BYTES} are read");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
        }
        file.take(MOST_BYTES).read_to_end(&mut data)?;
    }
    Ok(data)
}

/// The bytes of a program file.
#[derive(Debug)]
pub struct BinaryFile {
    path: PathBuf,
    data: Vec<u8>,
}

impl BinaryFile {
    /// Reads a file, or one of an image that is named as [`ProgramName`](crate::ProgramName) says.
    ///
    /// # Errors
    /// When it is no regular file, cannot be read, or names other than one file of an image.
    pub fn read_file(path: &Path) -> Result<Self, SessionError> {
        #[cfg(feature = "images")]
        if let crate::ProgramName::InImage { image, pattern } = crate::ProgramName::parse(path) {
            return crate::images::read_one(&image, &pattern);
        }
        let named = || path.to_owned();
        let metadata = fs::metadata(path).map_err(|source| SessionError::NoFile {
            path: named(),
            source,
        })?;
        // A device or a pipe could go on for ever.
        if !metadata.is_file() {
            let what = if metadata.is_dir() {
                "a folder"
            } else {
                "not a regular file"
            };
            return Err(SessionError::NotAFile { path: named(), what });
        }
        let unreadable = |source| SessionError::Read {
            path: named(),
            source,
        };
        let data = read_program(path).map_err(unreadable)?;
        let path = std::path::absolute(path).map_err(unreadable)?;
        Ok(Self::of_bytes(path, data))
    }

    /// Reads a program to the end of a stream, under the name that it has for people. What is no program is read no further than
    /// to see that.
    ///
    /// # Errors
    /// When it cannot be read, or does not end in reason.
    pub fn read_stream(stream: &mut dyn Read, name: &Path) -> Result<Self, SessionError> {
        let unreadable = |source| SessionError::Read {
            path: name.to_owned(),
            source,
        };
        let mut data = Vec::new();
        stream.take(HEAD).read_to_end(&mut data).map_err(unreadable)?;
        if FileFormat::from_magic_bytes(&data).is_some() {
            stream
                .take(MOST_BYTES)
                .read_to_end(&mut data)
                .map_err(unreadable)?;
            if data.len() as u64 >= MOST_BYTES {
                let what = format!("programs of at most {MOST_BYTES} bytes are read");
                return Err(unreadable(io::Error::new(io::ErrorKind::FileTooLarge, what)));
            }
        }
        Ok(Self::of_bytes(name, data))
    }

    /// A program that came another way, under the name that it has for people. An object file is linked to itself.
    #[must_use]
    pub fn of_bytes(name: impl Into<PathBuf>, data: Vec<u8>) -> Self {
        // One that cannot be linked stays as it is, and is refused when it is parsed.
        let linked = is_object_file(&data).then(|| link_object(&data).ok()).flatten();
        Self {
            path: name.into(),
            data: linked.unwrap_or(data),
        }
    }

    /// Its absolute path.
    pub(crate) fn into_path(self) -> PathBuf {
        self.path
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.data
    }

    /// The program in it.
    ///
    /// # Errors
    /// When it is none for x86-64.
    pub fn parse_image(&self) -> Result<Image<'_>, SessionError> {
        Image::parse(&self.data).map_err(|source| SessionError::Image {
            path: self.path.clone(),
            source,
        })
    }

    /// Where the program lies when it runs.
    ///
    /// # Errors
    /// When it is too large, or linked at an address that is taken.
    pub fn placement(&self, image: &Image<'_>) -> Result<Placement, SessionError> {
        place_image(&image.address_range(), image.position_independent()).map_err(|source| {
            SessionError::Placement {
                path: self.path.clone(),
                source,
            }
        })
    }

    /// SHA-256 in lower-case hexadecimal digits.
    #[must_use]
    pub fn sha256(&self) -> String {
        hex::encode(Sha256::digest(&self.data))
    }

    /// Name of the file without its folder, for people.
    #[must_use]
    pub fn name(&self) -> String {
        escape_control(&self.path.file_name().unwrap_or_default().to_string_lossy()).into_owned()
    }

    /// Absolute path, for people.
    #[must_use]
    pub fn path(&self) -> String {
        escape_control(&self.path.to_string_lossy()).into_owned()
    }

    /// As the database keeps it.
    #[must_use]
    pub fn to_new_binary(&self, image: &Image<'_>) -> NewBinary {
        let format = match image.format() {
            FileFormat::Elf => "elf",
            FileFormat::Pe => "pe",
        };
        NewBinary {
            sha256: self.sha256(),
            name: self.name(),
            path: write_stored_path(&self.path),
            size: self.data.len() as u64,
            format: format.to_owned(),
        }
    }
}
