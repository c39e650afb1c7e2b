//! Programs inside images.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use snippex_blocks::binary::FileFormat;
use snippex_image::{Image, ImageFile, Limits};

use crate::programs::has_wildcards;
use crate::{BinaryFile, NamedProgram, ProgramFile, SessionError};

/// As much of a file as tells whether it can be a program.
const HEAD: u64 = 64;

/// What a pattern finds in an image.
pub(crate) struct FoundPrograms {
    /// x86-64 programs; what else the pattern matches is passed over.
    pub(crate) programs: Vec<ProgramFile>,
    /// Files that cannot be read.
    pub(crate) damaged: Vec<(PathBuf, SessionError)>,
}

/// Where a program is: `disk.qcow2//p1/usr/bin/bash`.
pub(crate) fn provenance(image: &Image, file: &ImageFile) -> PathBuf {
    let path = std::path::absolute(image.path()).unwrap_or_else(|_| image.path().to_owned());
    // As text, because a path takes two slashes for one.
    let mut text = path.into_os_string();
    text.push("/");
    text.push(file.full_path());
    text.into()
}

pub(crate) fn open_image(path: &Path) -> Result<Image, SessionError> {
    Image::open(path, Limits::default()).map_err(|source| SessionError::DiskImage {
        path: path.to_owned(),
        source,
    })
}

/// Reads a file of an image.
pub(crate) fn read_program(image: &Image, file: &ImageFile) -> Result<BinaryFile, SessionError> {
    let path = provenance(image, file);
    match image.read_file(file) {
        Ok(data) => Ok(BinaryFile::of_bytes(path, data)),
        Err(source) => Err(SessionError::DiskImage { path, source }),
    }
}

/// Reads the one file that a pattern names.
pub(crate) fn read_one(path: &Path, pattern: &str) -> Result<BinaryFile, SessionError> {
    let image = open_image(path)?;
    let files = find(&image, pattern)?;
    match files.as_slice() {
        [file] => read_program(&image, file),
        files => Err(SessionError::SeveralInImage {
            path: path.to_owned(),
            pattern: pattern.to_owned(),
            files: files.iter().map(ImageFile::full_path).collect(),
        }),
    }
}

/// Hands on each program that a pattern names, read when it is its turn.
pub(crate) fn each_in_image<E>(
    name: &Path,
    path: &Path,
    pattern: &str,
    take: &mut impl FnMut(NamedProgram) -> Result<(), E>,
) -> Result<(), E> {
    let found = open_image(path).and_then(|image| Ok((find(&image, pattern)?, image)));
    let (files, image) = match found {
        Ok((files, _)) if files.len() > 1 && !has_wildcards(pattern) => {
            return take(NamedProgram {
                path: name.to_owned(),
                file: Err(SessionError::SeveralInImage {
                    path: path.to_owned(),
                    pattern: pattern.to_owned(),
                    files: files.iter().map(ImageFile::full_path).collect(),
                }),
            });
        }
        Ok(found) => found,
        Err(error) => {
            return take(NamedProgram {
                path: name.to_owned(),
                file: Err(error),
            });
        }
    };
    for file in files {
        let path = provenance(&image, &file);
        let read = match image.read_head(&file, HEAD) {
            Ok(head) if has_wildcards(pattern) && FileFormat::from_magic_bytes(&head).is_none() => continue,
            _ => read_program(&image, &file),
        };
        // Programs for other processors.
        let is_other = |file: &BinaryFile| has_wildcards(pattern) && file.parse_image().is_err();
        if !read.as_ref().is_ok_and(is_other) {
            take(NamedProgram { path, file: read })?;
        }
    }
    Ok(())
}

fn find(image: &Image, pattern: &str) -> Result<Vec<ImageFile>, SessionError> {
    let failed = |source| SessionError::DiskImage {
        path: image.path().to_owned(),
        source,
    };
    let files = image.find_files(pattern).map_err(failed)?;
    if files.is_empty() {
        return Err(SessionError::NotInImage {
            path: image.path().to_owned(),
            pattern: pattern.to_owned(),
            problems: image.layer().all_problems(),
        });
    }
    Ok(files)
}

/// The programs that a pattern names.
pub(crate) fn programs_in_image(path: &Path, pattern: &str) -> Result<FoundPrograms, SessionError> {
    let image = Arc::new(open_image(path)?);
    let files = find(&image, pattern)?;
    let mut found = FoundPrograms {
        programs: Vec::new(),
        damaged: Vec::new(),
    };
    // One file that is named is meant: what is wrong with it is told.
    if let [file] = files.as_slice() {
        found
            .programs
            .push(ProgramFile::read_first_in_image(&image, file.clone())?);
        return Ok(found);
    }
    for file in files {
        let place = provenance(&image, &file);
        match image.read_head(&file, HEAD) {
            Ok(head) if FileFormat::from_magic_bytes(&head).is_none() => continue,
            Ok(_) => {}
            Err(source) => {
                let error = SessionError::DiskImage {
                    path: place.clone(),
                    source,
                };
                found.damaged.push((place, error));
                continue;
            }
        }
        match ProgramFile::read_first_in_image(&image, file) {
            Ok(program) => found.programs.push(program),
            // Programs for other processors, and what cannot be placed.
            Err(SessionError::Image { .. } | SessionError::Placement { .. }) => {}
            Err(error) => found.damaged.push((place, error)),
        }
    }
    Ok(found)
}
