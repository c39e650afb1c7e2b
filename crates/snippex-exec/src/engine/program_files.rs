//! The files that decide what an engine computes: what its command names, and what its entry says that those start or read.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::EngineSpec;

/// Programs that start another one elsewhere, which nobody here can look at.
const ELSEWHERE: [&str; 5] = ["ssh", "docker", "podman", "nerdctl", "kubectl"];

/// Name and SHA-256 of each program file of an engine, as one text; or why nobody can know them, in words.
pub type ProgramDigests = Result<String, String>;

impl EngineSpec {
    /// The files of the engine's programs, those of the command first. A script counts when the entry says what it starts
    /// (`program_files`).
    ///
    /// # Errors
    /// Why nobody can know them, in words.
    pub fn find_program_files(&self) -> Result<Vec<PathBuf>, String> {
        let words = self.command.iter().chain(self.server.iter().flatten());
        let words = words.filter(|word| !word.contains("{runner}"));
        let mut files: Vec<PathBuf> = words.filter_map(|word| find_on_path(word)).collect();
        let own_runner = self.command.first().is_some_and(|word| word.contains("{runner}"));
        if files.is_empty() && !own_runner {
            return Err(format!("the program of {} cannot be found", self.name));
        }
        let hides_runner = |word: &String| word.contains("{runner}") && word.contains(char::is_whitespace);
        if self.command.iter().any(hides_runner) {
            return Err(format!(
                "{} is started by a shell, which may start anything",
                self.name
            ));
        }
        if let Some(name) = files.iter().find_map(|file| starts_elsewhere(file)) {
            return Err(format!("{} runs elsewhere, by {name}", self.name));
        }
        let named = self.named_files(files.first().map(PathBuf::as_path));
        if named.is_empty() && files.iter().any(|file| starts_with(file, b"#!")) {
            return Err(format!(
                "{} is started by a script, which may start anything: program_files in its entry says what it starts",
                self.name
            ));
        }
        files.extend(named);
        Ok(files)
    }

    /// The program that the command begins with, if no such file is there.
    #[must_use]
    pub fn missing_program(&self) -> Option<&str> {
        let program = self.command.first()?;
        (!program.contains("{runner}") && find_on_path(program).is_none()).then_some(program)
    }

    /// Name and SHA-256 of each program file, as one text.
    ///
    /// # Errors
    /// As [`EngineSpec::find_program_files`], and when one cannot be read.
    pub fn digest_program_files(
        &self,
        digest: &mut dyn FnMut(&Path) -> Result<String, String>,
    ) -> ProgramDigests {
        let files = self.find_program_files()?;
        let described = files.iter().map(|file| {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            Ok(format!("{name} {}", digest(file)?))
        });
        Ok(described.collect::<Result<Vec<_>, String>>()?.join(", "))
    }

    /// Files of `program_files` that are there. Names are relative to the folder of the first program, after links, or to the
    /// home folder (`~/`).
    fn named_files(&self, program: Option<&Path>) -> Vec<PathBuf> {
        let program = program.and_then(|program| program.canonicalize().ok());
        let folder = program
            .as_deref()
            .and_then(Path::parent)
            .unwrap_or(Path::new("."));
        let home = std::env::var_os("HOME");
        let place = |name: &String| match name.strip_prefix("~/") {
            Some(rest) => Path::new(home.as_deref().unwrap_or(OsStr::new("/"))).join(rest),
            None => folder.join(name),
        };
        let places = self.program_files.iter().map(place);
        places.filter(|place| place.is_file()).collect()
    }
}

/// SHA-256 of a file in hexadecimal digits.
///
/// # Errors
/// When it cannot be read, in words.
pub fn digest_file(path: &Path) -> Result<String, String> {
    let failed = |error: io::Error| format!("{} cannot be read: {error}", path.display());
    let mut hash = Sha256::new();
    let mut file = File::open(path).map_err(failed)?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).map_err(failed)? {
            0 => return Ok(hex::encode(hash.finalize())),
            read => hash.update(&buffer[..read]),
        }
    }
}

/// The file that a word of a command is, as a shell would find it.
fn find_on_path(word: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = if word.contains('/') {
        vec![PathBuf::from(word)]
    } else {
        std::env::split_paths(&path)
            .map(|folder| folder.join(word))
            .collect()
    };
    places.retain(|place| place.is_file());
    places.into_iter().next()
}

fn starts_elsewhere(file: &Path) -> Option<String> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    ELSEWHERE.contains(&name.as_ref()).then(|| name.into_owned())
}

fn starts_with(path: &Path, bytes: &[u8; 2]) -> bool {
    let mut found = [0; 2];
    File::open(path)
        .and_then(|mut file| file.read_exact(&mut found))
        .is_ok()
        && found == *bytes
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn spec(command: &str, program_files: &[&str]) -> EngineSpec {
        let mut spec = EngineSpec::from_command("mine", command).unwrap();
        spec.program_files = program_files.iter().map(|name| (*name).to_owned()).collect();
        spec
    }

    #[test]
    fn a_script_counts_when_it_is_said_what_it_starts() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("launcher");
        fs::write(&script, "#!/bin/sh\nexec $0.bin\n").unwrap();
        fs::write(folder.path().join("launcher.bin"), "one").unwrap();
        let command = script.display().to_string();
        let unsaid = spec(&command, &[]).find_program_files().unwrap_err();
        assert!(unsaid.contains("program_files"), "{unsaid}");
        // What is not there says nothing.
        assert!(spec(&command, &["none"]).find_program_files().is_err());
        let said = spec(&command, &["launcher.bin", "none"]);
        assert_eq!(said.find_program_files().unwrap().len(), 2);
        let before = said.digest_program_files(&mut digest_file).unwrap();
        fs::write(folder.path().join("launcher.bin"), "other").unwrap();
        assert_ne!(said.digest_program_files(&mut digest_file).unwrap(), before);
    }

    #[test]
    fn what_runs_elsewhere_or_in_a_shell_cannot_be_known() {
        for command in [
            "ssh pi emulator",
            "sh -c 'emulator {runner}'",
            "/no/such/emulator",
        ] {
            assert!(spec(command, &[]).find_program_files().is_err(), "{command}");
        }
        assert!(spec("cat", &[]).find_program_files().unwrap()[0].ends_with("cat"));
    }
}
