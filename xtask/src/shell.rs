//! Start other programs: print the command, run it, turn a bad end into words.
//!
//! Nothing here goes through a shell, so no argument needs quoting to be safe; quotes are only put
//! into what is printed, so that a reader can paste it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use crate::Failure;

/// How often it is looked whether a silent command has ended.
const POLL: Duration = Duration::from_millis(100);

/// The workspace's root folder.
pub(crate) fn root() -> PathBuf {
    let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().map_or_else(|| manifest.clone(), PathBuf::from)
}

/// Where cargo puts what it builds.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// A folder that comes first on the PATH of what [`cargo`] starts.
static FIRST_ON_PATH: OnceLock<PathBuf> = OnceLock::new();

/// Puts `folder` first on the PATH of what [`cargo`] starts from now on. Counts once.
pub(crate) fn put_on_path(folder: PathBuf) {
    let _ = FIRST_ON_PATH.set(folder);
}

/// The cargo that started this process, started at the workspace's root.
pub(crate) fn cargo<const N: usize>(arguments: [&str; N]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).args(arguments);
    if let Some(folder) = FIRST_ON_PATH.get() {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(folder.clone()).chain(std::env::split_paths(&path));
        // A folder with a colon in its name cannot be said; then the PATH stays as it is.
        if let Ok(path) = std::env::join_paths(folders) {
            command.env("PATH", path);
        }
    }
    command
}

/// Prints the command, runs it with this process's own output, and waits.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    println!("$ {}", words(command));
    let status = command
        .stdin(Stdio::null())
        .status()
        .map_err(|error| cannot_start(command, &error))?;
    ended(command, status)
}

/// As [`run`], and each line of standard output also goes to `see`.
pub(crate) fn run_watched(command: &mut Command, mut see: impl FnMut(&str)) -> Result<(), Failure> {
    println!("$ {}", words(command));
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| cannot_start(command, &error))?;
    let output = child.stdout.take();
    let (sender, lines) = mpsc::channel();
    let reader = thread::spawn(move || {
        for line in output
            .into_iter()
            .flat_map(|output| BufReader::new(output).split(b'\n'))
        {
            // A line that cannot be read, or that nobody waits for any more, is the last.
            if line.is_ok_and(|line| sender.send(line).is_ok()) {
                continue;
            }
            break;
        }
    });
    let mut show = |line: Vec<u8>| {
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        see(&line);
    };
    let status = loop {
        match lines.recv_timeout(POLL) {
            Ok(line) => show(line),
            // A grandchild that outlives the command may hold its output open: the end is the command's.
            Err(_) => {
                let ended = child.try_wait();
                if let Some(status) = ended.map_err(|error| cannot_start(command, &error))? {
                    break status;
                }
                if reader.is_finished() {
                    thread::sleep(POLL);
                }
            }
        }
    };
    // What it printed last may still be on its way here.
    while let Ok(line) = lines.recv_timeout(POLL) {
        show(line);
    }
    ended(command, status)
}

fn ended(command: &Command, status: ExitStatus) -> Result<(), Failure> {
    if status.success() {
        Ok(())
    } else {
        Err(format!("`{}` ended with {status}", words(command)))
    }
}

/// Runs the command silently and gives what it wrote to standard output.
pub(crate) fn capture(command: &mut Command) -> Result<String, Failure> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| cannot_start(command, &error))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!(
        "`{}` ended with {}: {}",
        words(command),
        output.status,
        said.trim()
    ))
}

/// Installs what `package-lock.json` of `folder` names; nothing of it runs.
pub(crate) fn install_node_packages(folder: &Path) -> Result<(), Failure> {
    let options = [
        "ci",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        "--prefer-offline",
    ];
    run(Command::new("npm").current_dir(folder).args(options))
}

/// Copies files of one folder into another, which is made.
pub(crate) fn copy_files<S: AsRef<Path>>(from: &Path, to: &Path, names: &[S]) -> Result<(), Failure> {
    std::fs::create_dir_all(to).map_err(|error| format!("cannot make {}: {error}", to.display()))?;
    for name in names {
        let file = from.join(name);
        std::fs::copy(&file, to.join(name))
            .map_err(|error| format!("cannot copy {}: {error}", file.display()))?;
    }
    Ok(())
}

/// Installs what `requirements.txt` of `folder` names into a folder within it, which is given: for `PYTHONPATH`.
pub(crate) fn install_python_packages(folder: &Path) -> Result<PathBuf, Failure> {
    let modules = folder.join("python");
    let options = ["install", "--quiet", "--disable-pip-version-check", "--upgrade"];
    run(Command::new("python3")
        .current_dir(folder)
        .env("PYTHONPATH", &modules)
        .env("PIP_ROOT_USER_ACTION", "ignore")
        .args(["-m", "pip"])
        .args(options)
        .args([
            "--only-binary=:all:",
            "--requirement",
            "requirements.txt",
            "--target",
        ])
        .arg(&modules))?;
    Ok(modules)
}

/// Whether this process may do what only root may.
pub(crate) fn is_root() -> bool {
    capture(Command::new("id").arg("-u")).is_ok_and(|user| user.trim() == "0")
}

/// Where `program` lies on the PATH.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
}

/// The command as one would type it.
pub(crate) fn words(command: &Command) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,@+%".contains(c);
    let quote = |word: &str| {
        if !word.is_empty() && word.chars().all(plain) {
            word.to_owned()
        } else {
            format!("'{word}'")
        }
    };
    let variables = command
        .get_envs()
        .filter_map(|(name, value)| Some(format!("{}={}", name.to_str()?, quote(value?.to_str()?))));
    let program = command.get_program().to_string_lossy();
    // cargo hands its own full path down; its name is what a reader knows.
    let program = if program.ends_with("/cargo") {
        "cargo".into()
    } else {
        program
    };
    variables
        .chain(std::iter::once(quote(&program)))
        .chain(command.get_args().map(|word| quote(&word.to_string_lossy())))
        .collect::<Vec<_>>()
        .join(" ")
}

fn cannot_start(command: &Command, error: &std::io::Error) -> Failure {
    format!("`{}` cannot be started: {error}", words(command))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_quote_what_a_shell_would_split() {
        let mut command = Command::new("/usr/bin/cargo");
        command
            .env("RUSTDOCFLAGS", "-D warnings")
            .args(["doc", "a b", ""]);
        assert_eq!(words(&command), "RUSTDOCFLAGS='-D warnings' cargo doc 'a b' ''");
    }

    #[test]
    fn what_a_watched_command_prints_is_seen_line_by_line() {
        let mut lines = Vec::new();
        let mut command = Command::new("printf");
        run_watched(command.arg("one\ntwo \\377"), |line| lines.push(line.to_owned())).unwrap();
        assert_eq!(lines, ["one", "two \u{fffd}"]);
        // Standard output is closed before the end.
        let mut command = Command::new("sh");
        command.args(["-c", "echo last; exec 1>&2; sleep 0.3"]);
        run_watched(&mut command, |line| lines.push(line.to_owned())).unwrap();
        assert_eq!(lines[2..], ["last"]);
        // It is held open after the end.
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 600 & echo $!"]);
        run_watched(&mut command, |line| lines.push(line.to_owned())).unwrap();
        let left = &lines[3];
        assert!(Path::new("/proc").join(left).exists(), "it was not waited for");
        run(Command::new("kill").arg(left)).unwrap();
        let error = run_watched(&mut Command::new("false"), |_| ()).unwrap_err();
        assert!(error.contains("`false` ended with exit status: 1"), "{error}");
    }

    #[test]
    fn a_bad_end_is_an_error_that_names_the_command() {
        let error = run(&mut Command::new("false")).unwrap_err();
        assert!(error.contains("`false` ended with exit status: 1"), "{error}");
        let error = capture(Command::new("/nowhere/tool").arg("x")).unwrap_err();
        assert!(error.contains("`/nowhere/tool x` cannot be started"), "{error}");
    }
}
