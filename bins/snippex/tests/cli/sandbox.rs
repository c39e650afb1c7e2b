//! A folder with a database of its own, and the program run in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Where one test works.
pub(crate) struct Sandbox(tempfile::TempDir);

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// One in which the tiny program was checked on an engine that fails.
    pub(crate) fn after_a_check() -> Self {
        let sandbox = Self::new();
        sandbox.file(TINY, &tiny_program());
        let ended = sandbox.run(&["check", TINY, "-e", "mock", "--states", "8", "--no-reduce"]);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        sandbox
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Makes a file and gives its path.
    pub(crate) fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// The program with arguments, ready to be started.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.command_of(env!("CARGO_BIN_EXE_snippex"), arguments)
    }

    /// As [`Sandbox::command`], for another program.
    pub(crate) fn command_of(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(self.0.path())
            .env("HOME", self.0.path())
            .env_remove("XDG_DATA_HOME")
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("XDG_CACHE_HOME")
            .env_remove("SNIPPEX_DATABASE")
            .env_remove("NO_COLOR")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        Ended::of(&self.command(arguments).output().unwrap())
    }

    /// Runs it and expects it to have done its job and found nothing.
    pub(crate) fn ok(&self, arguments: &[&str]) -> Ended {
        let ended = self.run(arguments);
        assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:?}");
        ended
    }

    /// The answer as one JSON document.
    pub(crate) fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let ended = self.run(&[arguments, &["--format", "json"]].concat());
        assert!(matches!(ended.code, Some(0 | 1)), "{arguments:?}: {ended:?}");
        serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
    }
}

impl Ended {
    pub(crate) fn of(output: &Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Expects exit code 2, nothing on standard output, and one line of error with a hint that holds `words`.
    pub(crate) fn refused(&self, words: &[&str]) {
        assert_eq!(self.code, Some(2), "{self:?}");
        assert_eq!(self.stdout, "", "{self:?}");
        let errors = self
            .stderr
            .lines()
            .filter(|line| line.starts_with("error: "))
            .count();
        assert_eq!(errors, 1, "{self:?}");
        assert!(self.stderr.lines().count() <= 2, "{self:?}");
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} is missing in {self:?}");
        }
    }
}

/// Fails with what to do when a program that a test needs is missing: no test passes by skipping.
pub(crate) fn needs(program: &str) {
    let path = std::env::var_os("PATH").unwrap();
    let found = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    assert!(found, "this test needs {program}: `cargo xtask test` installs it");
}

/// A small program of this machine.
pub(crate) const PROGRAM: &str = "/bin/true";

/// Whether `path` is where a database would be by default.
pub(crate) fn default_database(sandbox: &Sandbox) -> PathBuf {
    let path = sandbox.path(".local/share/snippex/snippex.db");
    assert!(Path::new(&path).is_absolute());
    path
}

/// A large one.
pub(crate) const BASH: &str = "/bin/bash";

/// What [`tiny_program`] is called in tests.
pub(crate) const TINY: &str = "tiny";

/// An ELF program of three blocks: a product whose overflow decides the way, a system call, a return.
pub(crate) fn tiny_program() -> Vec<u8> {
    const CODE: &[u8] = &[
        0x48, 0x89, 0xf8, // mov rax, rdi
        0x48, 0x0f, 0xaf, 0xc6, // imul rax, rsi
        0x70, 0x04, // jo the return
        0x31, 0xc0, // xor eax, eax
        0x0f, 0x05, // syscall
        0xc3, // ret
    ];
    elf(CODE)
}

/// An ELF program with this code, in one segment at 0x401000.
pub(crate) fn elf(code: &[u8]) -> Vec<u8> {
    const BASE: u64 = 0x40_1000;
    const OFFSET: u64 = 0x1000;
    let size = code.len() as u64;
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    let mut put = |bytes: &[u8]| file.extend_from_slice(bytes);
    put(&2_u16.to_le_bytes()); // an executable
    put(&62_u16.to_le_bytes()); // for x86-64
    put(&1_u32.to_le_bytes());
    put(&(BASE).to_le_bytes()); // entry point
    put(&64_u64.to_le_bytes()); // program headers
    put(&0_u64.to_le_bytes()); // no section headers
    put(&0_u32.to_le_bytes());
    for half in [64_u16, 56, 1, 64, 0, 0] {
        put(&half.to_le_bytes());
    }
    put(&1_u32.to_le_bytes()); // a segment to load
    put(&5_u32.to_le_bytes()); // to read and execute
    for word in [OFFSET, BASE, BASE, size, size, 0x1000] {
        put(&word.to_le_bytes());
    }
    file.resize(OFFSET as usize, 0);
    file.extend_from_slice(code);
    file
}

/// A shell that may mount what nobody else sees. In a container root may do that without a user namespace, and only so.
pub(crate) fn in_mount_namespace(script: &str) -> Command {
    let mut command = Command::new("unshare");
    if !is_root() {
        command.arg("--map-root-user");
    }
    command.args(["--mount", "sh", "-c", script]);
    command
}

/// Whether these tests are run by root.
pub(crate) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").unwrap().uid() == 0
}
