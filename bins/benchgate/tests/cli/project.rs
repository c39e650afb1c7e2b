//! A project in a folder of its own: a repository with a fake benchmark command.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

pub(crate) struct Project {
    folder: tempfile::TempDir,
}

/// What the program answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Answer {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            code: output.status.code().unwrap_or(-1),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }

    /// Asserts the exit code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    /// Asserts that standard error has all of these.
    #[track_caller]
    pub(crate) fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.err.contains(part), "no {part:?} in {self:#?}");
        }
        self
    }

    /// Asserts that the answer has all of these.
    #[track_caller]
    pub(crate) fn answers(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.out.contains(part), "no {part:?} in {self:#?}");
        }
        self
    }
}

impl Project {
    /// A folder with the benchmark command, in no repository.
    pub(crate) fn bare() -> Self {
        let project = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        project.write("bench.sh", include_str!("bench.sh"));
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(project.path("bench.sh"), mode).unwrap();
        project
    }

    /// The same as a repository with one commit.
    pub(crate) fn new() -> Self {
        let project = Self::bare();
        project.git(&["init", "--quiet", "--initial-branch", "main"]);
        project.write(".gitignore", "target\n.count\n");
        project.commit("start");
        project
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let identity = [
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@example.org",
            "-c",
            "commit.gpgsign=false",
        ];
        let mut command = Command::new("git");
        clean(&mut command, self.folder.path());
        let output = command.args(identity).args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    pub(crate) fn commit(&self, message: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// The program, not started yet.
    pub(crate) fn program(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_benchgate"));
        clean(&mut command, self.folder.path());
        command
    }

    /// Runs the program; `words` are separated by spaces.
    pub(crate) fn run(&self, words: &str) -> Answer {
        self.run_with(words, &[])
    }

    /// Runs the program with variables.
    pub(crate) fn run_with(&self, words: &str, variables: &[(&str, &str)]) -> Answer {
        let mut command = self.program();
        command.args(words.split(' ')).envs(variables.iter().copied());
        Answer::of(&command.stdin(Stdio::null()).output().unwrap())
    }
}

/// Nothing of the caller's settings, and of the outer repository, may reach the program.
fn clean(command: &mut Command, folder: &Path) {
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if [
            "BENCHGATE_",
            "GITHUB_",
            "GIT_",
            "CARGO_TARGET_DIR",
            "UPDATE_BASELINES",
            "CRITERION_HOME",
            "XDG_",
            "ACTIONS_",
            "REGRESSD_",
        ]
        .iter()
        .any(|start| name.starts_with(start))
        {
            command.env_remove(name);
        }
    }
    command
        .current_dir(folder)
        .env("HOME", folder)
        .env("NO_COLOR", "1");
    command.env("GIT_CEILING_DIRECTORIES", folder.parent().unwrap());
}
