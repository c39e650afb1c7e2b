//! A program file: read, recognised, described for the database.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use snippex_blocks::binary::{FileFormat, Image};
use snippex_core::address_space::place_image;
use snippex_core::case::Placement;
use snippex_store::NewBinary;

use crate::{SessionError, write_stored_path};

/// As much of a file as [`Image::parse`] needs to say that it is no program, and what it is instead.
const HEAD: u64 = 4096;

/// Reads a file in full if its first bytes are those of a program, otherwise only these: a disk image of many gigabytes
/// is not read to be refused.
fn read_program(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let mut data = Vec::new();
    file.by_ref().take(HEAD).read_to_end(&mut data)?;
    if FileFormat::from_magic_bytes(&data).is_some() {
        file.read_to_end(&mut data)?;
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
    /// Reads a file.
    ///
    /// # Errors
    /// When it is no regular file, or cannot be read.
    pub fn read_file(path: &Path) -> Result<Self, SessionError> {
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
        Ok(Self { path, data })
    }

    /// A program that came another way, under the name that it has for people.
    #[must_use]
    pub fn of_bytes(name: &str, data: Vec<u8>) -> Self {
        Self {
            path: name.into(),
            data,
        }
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

    /// Name of the file without its folder.
    #[must_use]
    pub fn name(&self) -> String {
        self.path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    }

    /// Absolute path, for people.
    #[must_use]
    pub fn path(&self) -> std::path::Display<'_> {
        self.path.display()
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

/// A program that was read once and found usable. Its bytes are read again when it is its turn: of two hundred programs
/// that are checked, those of one are held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramFile {
    path: PathBuf,
    sha256: String,
}

impl ProgramFile {
    /// Reads a file and sees whether it can be used.
    ///
    /// # Errors
    /// When it cannot be read, is no program or has no place to run at.
    pub fn read_first(path: &Path) -> Result<Self, SessionError> {
        let file = BinaryFile::read_file(path)?;
        file.placement(&file.parse_image()?)?;
        Ok(Self {
            sha256: file.sha256(),
            path: file.path,
        })
    }

    /// Absolute path, for people.
    #[must_use]
    pub fn path(&self) -> std::path::Display<'_> {
        self.path.display()
    }

    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read, or holds something else than before.
    pub fn read_file(&self) -> Result<BinaryFile, SessionError> {
        let file = BinaryFile::read_file(&self.path)?;
        if file.sha256() == self.sha256 {
            Ok(file)
        } else {
            Err(SessionError::ChangedMeanwhile(self.path.clone()))
        }
    }
}

/// Programs that can be used, each content once: blocks that were run twice would count twice.
#[derive(Debug)]
pub struct ReadPrograms {
    /// In the order in which they were named.
    pub programs: Vec<ProgramFile>,
    /// What was left out.
    pub same: Vec<SameProgram>,
}

/// A file that holds what an earlier one holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SameProgram {
    /// The file.
    pub path: PathBuf,
    /// The earlier one.
    pub earlier: PathBuf,
}

/// Reads programs and sees whether they can be used: told before any work is done on one of them.
///
/// # Errors
/// When one of them cannot be read, is no program or has no place to run at.
pub fn read_programs(paths: &[PathBuf]) -> Result<ReadPrograms, SessionError> {
    let mut read = ReadPrograms {
        programs: Vec::new(),
        same: Vec::new(),
    };
    let mut seen = BTreeMap::new();
    for path in paths {
        let program = ProgramFile::read_first(path)?;
        match seen.insert(program.sha256.clone(), path) {
            Some(earlier) => read.same.push(SameProgram {
                path: path.clone(),
                earlier: earlier.clone(),
            }),
            None => read.programs.push(program),
        }
    }
    Ok(read)
}
