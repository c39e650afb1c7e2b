//! The few questions to git, asked through its command line.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use cli_kit::{Failure, OrFail};
use regress_core::measurement::{Commit, CommitSha};

/// A repository, by the root of its work tree.
#[derive(Debug, Clone)]
pub(crate) struct GitRepository {
    root: PathBuf,
}

impl GitRepository {
    /// The repository that `folder` is in; `None` outside of any, or without git.
    pub(crate) fn find_containing(folder: &Path) -> Option<Self> {
        let output = git(folder, &["rev-parse", "--show-toplevel"])
            .ok()
            .filter(|output| output.status.success())?;
        let root = PathBuf::from(text(&output));
        root.is_dir().then_some(Self { root })
    }

    /// The repository that `folder` is in.
    pub(crate) fn require_containing(folder: &Path) -> Result<Self, Failure> {
        git(folder, &["--version"]).map_err(|failure| failure.hint("install git, or add it to PATH"))?;
        Self::find_containing(folder).ok_or_else(|| {
            Failure::new(format!("{} is in no git repository", folder.display()))
                .hint("go into one; `run`, `compare` and `check` also work without")
        })
    }

    /// The root of the work tree.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The commit that a name stands for.
    pub(crate) fn resolve_commit(&self, name: &str) -> Result<CommitSha, Failure> {
        let output = git(
            &self.root,
            &[
                "rev-parse",
                "--verify",
                "--quiet",
                "--end-of-options",
                &format!("{name}^{{commit}}"),
            ],
        )?;
        if !output.status.success() {
            return Err(
                Failure::new(format!("git knows no commit {name:?}")).hint(format!(
                    "fetch it first; in CI a shallow clone may lack it: git fetch origin {name}"
                )),
            );
        }
        CommitSha::new(&text(&output)).or_fail_with(|| format!("git gave no commit for {name:?}"))
    }

    /// The current commit, and whether tracked files differ from it, those in `but` aside. `None` without commits.
    pub(crate) fn current_commit(&self, but: &[&Path]) -> Result<Option<Commit>, Failure> {
        let Ok(sha) = self.resolve_commit("HEAD") else {
            return Ok(None);
        };
        let mut arguments = vec!["status", "--porcelain", "--untracked-files=no", "--", "."];
        let excluded: Vec<String> = but
            .iter()
            .filter_map(|path| path.strip_prefix(&self.root).ok())
            .map(|path| format!(":(exclude,top){}", path.display()))
            .collect();
        arguments.extend(excluded.iter().map(String::as_str));
        let output = checked(&self.root, &arguments)?;
        Ok(Some(Commit {
            sha,
            dirty: !output.stdout.is_empty(),
        }))
    }

    /// The commits after `good` up to `bad`, oldest first, along the first parents.
    pub(crate) fn commits_between(
        &self,
        good: &CommitSha,
        bad: &CommitSha,
    ) -> Result<Vec<CommitSha>, Failure> {
        let range = format!("{good}..{bad}");
        let output = checked(&self.root, &["rev-list", "--first-parent", "--reverse", &range])?;
        let lines = String::from_utf8_lossy(&output.stdout)
            .lines()
            .map(str::to_owned)
            .collect::<Vec<_>>();
        lines
            .iter()
            .map(|line| CommitSha::new(line).or_fail("git rev-list printed no commit"))
            .collect()
    }

    /// The branch that is checked out; `None` on a commit without one.
    #[cfg(feature = "service")]
    pub(crate) fn current_branch(&self) -> Option<String> {
        let output = git(&self.root, &["branch", "--show-current"]).ok()?;
        Some(text(&output)).filter(|branch| output.status.success() && !branch.is_empty())
    }

    /// When a commit was made, as RFC 3339; `None` where git does not know the commit.
    #[cfg(feature = "service")]
    pub(crate) fn commit_time(&self, commit: &str) -> Option<String> {
        let arguments = ["show", "--no-patch", "--format=%cI", "--end-of-options", commit];
        let output = git(&self.root, &arguments).ok()?;
        Some(text(&output)).filter(|time| output.status.success() && !time.is_empty())
    }

    /// The first line of a commit's message.
    pub(crate) fn commit_subject(&self, commit: &CommitSha) -> String {
        git(&self.root, &["log", "-1", "--format=%s", commit.as_str()])
            .map_or_else(|_| String::new(), |output| text(&output))
    }

    /// Puts `commit` into the work tree at `folder`, which is made if it is not there.
    pub(crate) fn check_out(&self, commit: &CommitSha, folder: &Path) -> Result<(), Failure> {
        let place = folder.display().to_string();
        if folder.join(".git").exists() {
            checked(
                folder,
                &["checkout", "--quiet", "--force", "--detach", commit.as_str()],
            )?;
            // What earlier builds left lies outside of the tree; what benchmarks wrote into it has to go.
            checked(folder, &["clean", "--quiet", "--force", "-d"])?;
            return Ok(());
        }
        checked(&self.root, &["worktree", "prune"])?;
        checked(
            &self.root,
            &[
                "worktree",
                "add",
                "--quiet",
                "--force",
                "--detach",
                &place,
                commit.as_str(),
            ],
        )?;
        Ok(())
    }
}

fn git(folder: &Path, arguments: &[&str]) -> Result<Output, Failure> {
    let mut command = Command::new("git");
    // Hooks and callers may have set these for another repository.
    command
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE")
        .env("LC_ALL", "C");
    command
        .current_dir(folder)
        .args(arguments)
        .output()
        .or_fail("cannot run git")
}

fn checked(folder: &Path, arguments: &[&str]) -> Result<Output, Failure> {
    let output = git(folder, arguments)?;
    if output.status.success() {
        return Ok(output);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Failure::new(format!(
        "git {} failed: {}",
        arguments.join(" "),
        said.trim()
    )))
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
