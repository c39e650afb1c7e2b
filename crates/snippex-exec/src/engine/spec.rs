//! How an engine is started: presets, and commands of the user's own.

use std::path::Path;
use std::time::Duration;

use snippex_core::state::Components;
use thiserror::Error;

use super::presets::preset_entries;
use super::{EngineTable, RunnerStyle};

/// How memory that a block may write is compared and reset between runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryMode {
    /// By the guest, line by line: fast on a CPU.
    Scan,
    /// By one `preadv` and one `pwritev` a run: fast under an emulator.
    Copy,
}

/// How an engine is started and what is known about it beforehand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineSpec {
    /// Name in commands, reports and the database.
    pub name: String,
    /// Program and arguments; `{runner}` stands for the path of the runner. The path of the shared file is appended
    /// to where the runner is named.
    pub command: Vec<String>,
    /// The same for 32-bit programs; `None` when it runs none. {runner} stands for the path of the 32-bit runner, and nothing
    /// is appended.
    pub command_32: Option<Vec<String>>,
    /// Program and arguments that print the version, if that is not `PROGRAM --version`.
    pub version_command: Option<Vec<String>>,
    /// Program and arguments of a server that runs while engines do; passed over when its program is missing.
    pub server: Option<Vec<String>>,
    /// Environment variables that are set for it.
    pub environment: Vec<(String, String)>,
    /// HOME and the like lead to a folder of this run's own.
    pub isolated: bool,
    /// The runner that it is given.
    pub runner: RunnerStyle,
    /// How memory is handled.
    pub memory: MemoryMode,
    /// Longest time that one run, or its translation, may take; a process that does not compute meanwhile has at least 30 s.
    pub patience: Duration,
    /// Longest time from starting the program to the first answer of the runner.
    pub start_patience: Duration,
    /// A real CPU is expected: refuse an emulator.
    pub native: bool,
    /// Leave out of a block's runs, the last one apart, the loading, storing and comparing of what none of its
    /// instructions has to do with: memory and x87, on a CPU vectors as well. When the last run shows a change there, the
    /// block is done again without.
    pub shortcuts: bool,
    /// x87 registers can be loaded when TOP is not 0, in an order that the runner finds out (FEX has its own). Where they
    /// cannot, runs that start so are unsupported in blocks that use x87.
    pub loads_x87_top: bool,
    /// Parts of the state that it does not keep.
    pub leaves_out: Components,
    /// Features that it announces and does not have, by the names of iced-x86 in lower case.
    pub lacks: Vec<String>,
    /// Files besides those of its command that decide what it computes, by path or relative to the program's folder.
    pub program_files: Vec<String>,
}

/// Why a name or command is not an engine.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SpecError {
    /// No entry has that name.
    #[error("there is no engine called {name}; known are {known}")]
    Unknown {
        /// The name.
        name: String,
        /// Names that are known.
        known: String,
    },
    /// It is the program of another engine for 32-bit programs.
    #[error("{name} runs the 32-bit programs of engine {engine}, and is no engine of its own")]
    Only32 {
        /// The name.
        name: String,
        /// The engine.
        engine: String,
    },
    /// The engine is known, its configuration is not.
    #[error("engine {engine} has no configuration called {wanted}; it has {known}")]
    UnknownConfiguration {
        /// Name of the engine.
        engine: String,
        /// What was asked for.
        wanted: String,
        /// Configurations that it has.
        known: String,
    },
    /// Two configurations want different things.
    #[error("the configurations of {name} contradict each other: both set {variable}")]
    Contradiction {
        /// The name with its configurations.
        name: String,
        /// The variable.
        variable: String,
    },
    /// The entry says nothing about how to start it.
    #[error("the entry of engine {0} has no command")]
    NoCommand(String),
    /// The program is not on the PATH.
    #[error("engine {engine} needs {program}, which is not on the PATH; {hint}")]
    Missing {
        /// Name of the engine.
        engine: String,
        /// Programs looked for.
        program: String,
        /// How to get it.
        hint: String,
    },
    /// The command has no program.
    #[error("the engine command is empty; write for example 'PROGRAM {{runner}}'")]
    EmptyCommand,
    /// A quote is not closed.
    #[error("the engine command has a quote that is not closed: {0}")]
    OpenQuote(String),
}

impl EngineSpec {
    /// The machine's own CPU.
    #[must_use]
    pub fn native() -> Self {
        Self {
            name: "native".into(),
            command: vec!["{runner}".into()],
            command_32: Some(vec!["{runner}".into()]),
            version_command: None,
            server: None,
            environment: Vec::new(),
            isolated: false,
            runner: RunnerStyle::Static,
            memory: MemoryMode::Scan,
            patience: Duration::from_secs(2),
            start_patience: Duration::from_secs(20),
            native: true,
            shortcuts: true,
            loads_x87_top: true,
            leaves_out: Components(0),
            lacks: Vec::new(),
            program_files: Vec::new(),
        }
    }

    /// The preset called `name`: `native`, `qemu-x86_64`, `fex-emu`, `box64` or `valgrind`, perhaps with a configuration.
    ///
    /// # Errors
    /// When there is no such preset, or its program is not on the PATH.
    pub fn from_preset(name: &str) -> Result<Self, SpecError> {
        EngineTable::default().resolve_spec(name)
    }

    /// An emulator that is started by a command line such as `PROGRAM -option {runner}`. Words are separated by
    /// spaces; single or double quotes keep spaces. Without `{runner}` the runner's path is appended.
    ///
    /// # Errors
    /// When the command is empty or a quote is not closed.
    pub fn from_command(name: &str, command: &str) -> Result<Self, SpecError> {
        let mut words = split_words(command)?;
        if words.is_empty() {
            return Err(SpecError::EmptyCommand);
        }
        if !words.iter().any(|word| word.contains("{runner}")) {
            words.push("{runner}".into());
        }
        Ok(Self::for_emulator(name, words))
    }

    pub(super) fn for_emulator(name: &str, command: Vec<String>) -> Self {
        Self {
            name: name.into(),
            // A known emulator by its name, wherever it lies.
            command_32: preset_entries()
                .values()
                .find_map(|entry| find_command_32(&command, &entry.programs, &entry.programs_32)),
            command,
            version_command: None,
            server: None,
            environment: Vec::new(),
            isolated: false,
            runner: RunnerStyle::Static,
            memory: MemoryMode::Copy,
            patience: Duration::from_secs(10),
            // FEX takes up to 0.6 s on a quiet machine, and starts its server first.
            start_patience: Duration::from_secs(20),
            native: false,
            shortcuts: true,
            loads_x87_top: true,
            leaves_out: Components(0),
            lacks: Vec::new(),
            program_files: Vec::new(),
        }
    }

    /// Program and arguments for the 32-bit runner at `runner`; `None` when the engine runs no 32-bit programs.
    #[must_use]
    pub(crate) fn build_command_line_32(&self, runner: &Path) -> Option<Vec<String>> {
        let runner = runner.to_string_lossy();
        let words = self.command_32.as_ref()?.iter();
        Some(words.map(|word| word.replace("{runner}", &runner)).collect())
    }

    /// Program and arguments for a runner at `runner` and a shared file at `shared`.
    #[must_use]
    pub(crate) fn build_command_line(&self, runner: &Path, shared: &str) -> Vec<String> {
        let runner = runner.to_string_lossy();
        let mut arguments: Vec<String> = Vec::new();
        for word in &self.command {
            let names_runner = word.contains("{runner}");
            arguments.push(word.replace("{runner}", &runner));
            if names_runner {
                arguments.push(shared.into());
            }
        }
        arguments
    }
}

/// `command` with one of `programs_32` in place of the first word that is one of `programs`: the same name when it is among both,
/// else the first that is in the same folder.
pub(super) fn find_command_32(
    command: &[String],
    programs: &[String],
    programs_32: &[String],
) -> Option<Vec<String>> {
    let (place, name) = command.iter().enumerate().find_map(|(place, word)| {
        let name = Path::new(word).file_name()?.to_str()?;
        let is_program = programs.iter().any(|program| program == name);
        is_program.then_some((place, name))
    })?;
    let mut found = command.to_vec();
    if programs_32.iter().any(|program| program == name) {
        return Some(found);
    }
    let folder = match command[place].contains('/') {
        true => Path::new(&command[place]).parent()?.to_owned(),
        false => {
            let path = std::env::var_os("PATH")?;
            std::env::split_paths(&path).find(|folder| folder.join(name).is_file())?
        }
    };
    let there = programs_32.iter().map(|program| folder.join(program));
    let program = there.into_iter().find(|program| program.is_file())?;
    found[place] = program.to_str()?.to_owned();
    Some(found)
}

/// The first of `programs` that is there: on the PATH, or at its path.
pub(super) fn find_program(
    engine: &str,
    programs: &[String],
    hint: Option<&str>,
) -> Result<String, SpecError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = programs
        .iter()
        .find(|program| std::env::split_paths(&path).any(|folder| folder.join(program).is_file()));
    found.cloned().ok_or_else(|| SpecError::Missing {
        engine: engine.into(),
        program: programs.join(" or "),
        hint: hint.unwrap_or("install it").into(),
    })
}

pub(crate) fn split_words(command: &str) -> Result<Vec<String>, SpecError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for character in command.chars() {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None, _) if character.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(character),
        }
    }
    if quote.is_some() {
        return Err(SpecError::OpenQuote(command.into()));
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_split_like_a_shell_does() {
        let spec = EngineSpec::from_command("mine", "emu --name 'a b' \"\" {runner} tail").unwrap();
        assert_eq!(spec.command, ["emu", "--name", "a b", "", "{runner}", "tail"]);
        let arguments = spec.build_command_line(Path::new("/r"), "/s");
        assert_eq!(arguments, ["emu", "--name", "a b", "", "/r", "/s", "tail"]);
    }

    #[test]
    fn the_runner_is_appended_when_it_is_not_named() {
        let spec = EngineSpec::from_command("mine", "emu").unwrap();
        assert_eq!(
            spec.build_command_line(Path::new("/r"), "/s"),
            ["emu", "/r", "/s"]
        );
    }

    #[test]
    fn the_program_for_32_bits_is_that_of_the_same_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let words = |words: &[&str]| -> Vec<String> { words.iter().map(|word| (*word).to_owned()).collect() };
        let command = vec!["nice".to_owned(), path("emu-64"), "{runner}".to_owned()];
        let find = || {
            find_command_32(
                &command,
                &words(&["emu-64"]),
                &words(&["emu-32", "emu-32-static"]),
            )
        };
        assert_eq!(find(), None, "it is not there");
        std::fs::write(path("emu-32-static"), "").unwrap();
        let found = vec!["nice".to_owned(), path("emu-32-static"), "{runner}".to_owned()];
        assert_eq!(find(), Some(found));
        // One program for both, and a program that nobody knows.
        let both = words(&["emu", "{runner}"]);
        assert_eq!(
            find_command_32(&both, &words(&["emu"]), &words(&["emu"])),
            Some(both.clone())
        );
        assert_eq!(find_command_32(&both, &words(&["other"]), &words(&["emu"])), None);
    }

    #[test]
    fn wrong_commands_are_refused() {
        assert_eq!(
            EngineSpec::from_command("mine", "  "),
            Err(SpecError::EmptyCommand)
        );
        assert!(matches!(
            EngineSpec::from_command("mine", "emu 'x"),
            Err(SpecError::OpenQuote(_))
        ));
        assert!(matches!(
            EngineSpec::from_preset("bochs"),
            Err(SpecError::Unknown { .. })
        ));
    }
}
