//! The programs of a check: named, read once to see whether they can be used, and read again when it is their turn.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
#[cfg(feature = "images")]
use std::sync::Arc;

use snippex_core::words::escape_control;
#[cfg(feature = "images")]
use snippex_image::{Image, ImageFile};

use crate::{BinaryFile, SessionError};

/// What a program, or several, are named by on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProgramName {
    /// A file.
    File(PathBuf),
    /// Files inside a disk image, a file system, an archive or a folder: `disk.qcow2:/usr/bin/*`. The database keeps where a program
    /// was in the form `disk.qcow2//p1/usr/bin/bash`, which is taken as well.
    InImage {
        /// The image.
        image: PathBuf,
        /// A path or a pattern in it, see [`snippex_image::Image::find_files`].
        pattern: String,
    },
}

/// Whether a pattern may match several files.
pub(crate) fn has_wildcards(pattern: &str) -> bool {
    pattern.contains(['*', '?', '[', '{'])
}

impl ProgramName {
    /// Whether it has wildcards, so that it may name any number of programs.
    #[must_use]
    pub fn may_name_several(&self) -> bool {
        matches!(self, Self::InImage { pattern, .. } if has_wildcards(pattern))
    }

    /// What a text names: a file if there is one of that name, else files of the image in front of `:` or `//`.
    #[must_use]
    pub fn parse(name: &Path) -> Self {
        let file = || Self::File(name.to_owned());
        let Some(text) = name
            .to_str()
            .filter(|_| cfg!(feature = "images") && !name.exists())
        else {
            return file();
        };
        // The shortest one: what is in an image may look like anything.
        let splits = text.char_indices().filter_map(|(at, sign)| match sign {
            ':' => Some((&text[..at], &text[at + 1..])),
            '/' => text[at + 1..]
                .strip_prefix('/')
                .map(|pattern| (&text[..at], pattern)),
            _ => None,
        });
        let mut splits = splits
            .filter(|(image, pattern)| !pattern.is_empty() && !image.is_empty() && Path::new(image).exists());
        splits.next().map_or_else(file, |(image, pattern)| Self::InImage {
            image: image.into(),
            pattern: pattern.to_owned(),
        })
    }
}

/// A program that was read once and found usable. Its bytes are read again when it is its turn: of two hundred programs
/// that are checked, those of one are held.
#[derive(Clone, Debug)]
pub struct ProgramFile {
    path: PathBuf,
    sha256: String,
    #[cfg(feature = "images")]
    inside: Option<(Arc<Image>, ImageFile)>,
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
            path: file.into_path(),
            #[cfg(feature = "images")]
            inside: None,
        })
    }

    /// As [`ProgramFile::read_first`], for a file of an image.
    ///
    /// # Errors
    /// As there.
    #[cfg(feature = "images")]
    pub fn read_first_in_image(image: &Arc<Image>, file: ImageFile) -> Result<Self, SessionError> {
        let read = crate::images::read_program(image, &file)?;
        read.placement(&read.parse_image()?)?;
        Ok(Self {
            sha256: read.sha256(),
            path: read.into_path(),
            inside: Some((Arc::clone(image), file)),
        })
    }

    /// Absolute path, for people.
    #[must_use]
    pub fn path(&self) -> String {
        escape_control(&self.path.to_string_lossy()).into_owned()
    }

    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read, or holds something else than before.
    pub fn read_file(&self) -> Result<BinaryFile, SessionError> {
        #[cfg(feature = "images")]
        let file = match &self.inside {
            Some((image, file)) => crate::images::read_program(image, file)?,
            None => BinaryFile::read_file(&self.path)?,
        };
        #[cfg(not(feature = "images"))]
        let file = BinaryFile::read_file(&self.path)?;
        if file.sha256() == self.sha256 {
            Ok(file)
        } else {
            Err(SessionError::ChangedMeanwhile(self.path.clone()))
        }
    }
}

/// Programs that can be used, each content once: blocks that were run twice would count twice.
#[derive(Debug, Default)]
pub struct ReadPrograms {
    /// In the order in which they were named; those of an image by path.
    pub programs: Vec<ProgramFile>,
    /// What was left out because an earlier one is the same.
    pub same: Vec<SameProgram>,
    /// What was left out because it cannot be used.
    pub skipped: Vec<SkippedProgram>,
}

/// A file that holds what an earlier one holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SameProgram {
    /// The file.
    pub path: PathBuf,
    /// The earlier one.
    pub earlier: PathBuf,
}

/// A file or an image that cannot be used.
#[derive(Debug)]
pub struct SkippedProgram {
    /// As it was named; of an image, with the place in it.
    pub path: PathBuf,
    /// Why not.
    pub error: SessionError,
    /// It is what people keep beside programs, and nothing is wrong with it.
    pub is_script: bool,
}

impl ReadPrograms {
    /// The programs, where nothing may be left out: what is not checked must not pass for checked.
    ///
    /// # Errors
    /// When something cannot be used.
    pub fn require_all(self) -> Result<Vec<ProgramFile>, SessionError> {
        match self.skipped.into_iter().next() {
            Some(skipped) => Err(skipped.error),
            None => Ok(self.programs),
        }
    }

    /// Whether something was left out that may hold programs.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        self.skipped.iter().any(|skipped| !skipped.is_script)
    }

    /// Takes a program that goes by `path` for people.
    fn add(&mut self, program: ProgramFile, path: PathBuf, seen: &mut BTreeMap<String, PathBuf>) {
        match seen.get(&program.sha256) {
            Some(earlier) => self.same.push(SameProgram {
                path,
                earlier: earlier.clone(),
            }),
            None => {
                seen.insert(program.sha256.clone(), path);
                self.programs.push(program);
            }
        }
    }

    fn skip(&mut self, path: PathBuf, error: SessionError) {
        let is_script = matches!(&error, SessionError::Image { source, .. } if source.is_script());
        self.skipped.push(SkippedProgram {
            path,
            error,
            is_script,
        });
    }
}

/// Reads programs and sees whether they can be used: told before any work is done on one of them. What cannot is left out.
///
/// # Errors
/// When nothing is left: what is wrong with the first one.
pub fn read_programs(names: &[PathBuf]) -> Result<ReadPrograms, SessionError> {
    let mut read = ReadPrograms::default();
    let mut seen = BTreeMap::new();
    for name in names {
        match ProgramName::parse(name) {
            ProgramName::File(path) => match ProgramFile::read_first(&path) {
                Ok(program) => read.add(program, path, &mut seen),
                Err(error) => read.skip(path, error),
            },
            ProgramName::InImage { image, pattern } => {
                #[cfg(feature = "images")]
                match crate::images::programs_in_image(&image, &pattern) {
                    Ok(found) => {
                        for program in found.programs {
                            let path = program.path.clone();
                            read.add(program, path, &mut seen);
                        }
                        for (path, error) in found.damaged {
                            read.skip(path, error);
                        }
                    }
                    Err(error) => read.skip(name.clone(), error),
                }
                #[cfg(not(feature = "images"))]
                drop((image, pattern));
            }
        }
    }
    if read.programs.is_empty() && !read.skipped.is_empty() {
        return Err(read.skipped.swap_remove(0).error);
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(feature = "images")]
    fn a_file_is_meant_where_there_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        std::fs::write(place("a:b"), "").unwrap();
        std::fs::write(place("disk"), "").unwrap();
        let parsed = |name: &str| ProgramName::parse(&place(name));
        assert_eq!(parsed("a:b"), ProgramName::File(place("a:b")));
        assert_eq!(parsed("none:/x"), ProgramName::File(place("none:/x")));
        let inside = |image: &str, pattern: &str| ProgramName::InImage {
            image: place(image),
            pattern: pattern.to_owned(),
        };
        assert_eq!(parsed("disk:/bin/*"), inside("disk", "/bin/*"));
        assert_eq!(parsed("a:b:c:d"), inside("a:b", "c:d"));
        let stored = format!("{}//p1/bin/x:y", place("disk").display());
        assert_eq!(
            ProgramName::parse(Path::new(&stored)),
            inside("disk", "p1/bin/x:y")
        );
    }
}
