//! A program file: read, recognised, described for the database.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use cli_kit::{Failure, OrFail};
use sha2::{Digest, Sha256};
use snippex_blocks::binary::{FileFormat, Image};
use snippex_core::address_space::place;
use snippex_core::case::Placement;
use snippex_store::NewBinary;

use crate::stored_path;
use crate::tell::hint_on_image;

/// As much of a file as [`Image::parse`] needs to say that it is no program, and what it is instead.
const HEAD: u64 = 4096;

/// Reads a file in full if its first bytes are those of a program, otherwise only these: a disk image of many gigabytes
/// is not read to be refused.
fn read_program(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let mut data = Vec::new();
    file.by_ref().take(HEAD).read_to_end(&mut data)?;
    if FileFormat::of(&data).is_some() {
        file.read_to_end(&mut data)?;
    }
    Ok(data)
}

/// The bytes of a program file.
#[derive(Debug)]
pub(crate) struct BinaryFile {
    path: PathBuf,
    data: Vec<u8>,
}

impl BinaryFile {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        let hint = "name an x86-64 program or shared library, such as /bin/bash";
        let failed = || format!("cannot read {shown}");
        let metadata = fs::metadata(path)
            .or_fail_with(failed)
            .map_err(|failure| failure.hint(hint))?;
        // A device or a pipe could go on for ever.
        if !metadata.is_file() {
            let what = if metadata.is_dir() {
                "a folder"
            } else {
                "not a regular file"
            };
            return Err(Failure::new(format!("cannot read {shown}: it is {what}")).hint(hint));
        }
        let data = read_program(path)
            .or_fail_with(failed)
            .map_err(|failure| failure.hint("check that you may read it"))?;
        let path = std::path::absolute(path).or_fail_with(failed)?;
        Ok(Self { path, data })
    }

    /// The program in it.
    pub(crate) fn image(&self) -> Result<Image<'_>, Failure> {
        Image::parse(&self.data).map_err(|error| {
            Failure::because(format!("cannot use {}", self.path.display()), &error)
                .hint(hint_on_image(&error))
        })
    }

    /// Where the program lies when it runs.
    pub(crate) fn placement(&self, image: &Image<'_>) -> Result<Placement, Failure> {
        place(&image.address_range(), image.position_independent()).map_err(|error| {
            Failure::because(
                format!("cannot run the blocks of {}", self.path.display()),
                &error,
            )
            .hint("its blocks can still be looked at: snippex extract, list, disasm, analyze")
        })
    }

    /// SHA-256 in lower-case hexadecimal digits.
    pub(crate) fn sha256(&self) -> String {
        Sha256::digest(&self.data)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// Name of the file without its folder.
    pub(crate) fn name(&self) -> String {
        self.path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    }

    /// Absolute path, for people.
    pub(crate) fn path(&self) -> std::path::Display<'_> {
        self.path.display()
    }

    /// As the database keeps it.
    pub(crate) fn describe(&self, image: &Image<'_>) -> NewBinary {
        let format = match image.format() {
            FileFormat::Elf => "elf",
            FileFormat::Pe => "pe",
        };
        NewBinary {
            sha256: self.sha256(),
            name: self.name(),
            path: stored_path::write(&self.path),
            size: self.data.len() as u64,
            format: format.to_owned(),
        }
    }
}
