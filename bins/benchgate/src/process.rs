//! One process of the benchmark command: started in a group of its own, watched, and ended as a whole.
//!
//! The group matters: a benchmark command is usually `cargo bench`, and to end that alone would leave the benchmark
//! behind, which then disturbs the next one.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use cli_kit::{CancelToken, units};
use rustix::process::{Pid, Signal, kill_process_group};
use wait4::{ResUse, Wait4 as _};

use crate::files::MAX_BYTES;

/// What to start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Job<'a> {
    pub(crate) command: &'a [String],
    pub(crate) directory: &'a Path,
    /// Variables on top of this process's own.
    pub(crate) variables: &'a [(String, OsString)],
    pub(crate) timeout: Duration,
}

/// What a process printed.
#[derive(Debug)]
pub(crate) struct Printed {
    pub(crate) stdout: Vec<u8>,
    /// How long it ran.
    pub(crate) elapsed: Duration,
    /// The time that processors spent on it and on the children it waited for, in its code and in the kernel.
    pub(crate) cpu_time: Duration,
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProcessError {
    #[error("cannot start {program:?}")]
    Start {
        program: String,
        #[source]
        source: io::Error,
    },
    #[error("{status}{}", after(last_lines))]
    Failed { status: ExitStatus, last_lines: String },
    #[error("it did not end within {} and was stopped", units::format_duration(*timeout))]
    TimedOut { timeout: Duration },
    #[error("interrupted")]
    Interrupted,
    #[error("cannot wait for it")]
    Wait(#[source] io::Error),
}

fn after(last_lines: &str) -> String {
    if last_lines.is_empty() {
        String::new()
    } else {
        format!(", saying: {last_lines}")
    }
}

impl Job<'_> {
    /// Runs the job to its end.
    pub(crate) fn run_to_end(&self, cancel: &CancelToken) -> Result<Printed, ProcessError> {
        let (program, arguments) = self
            .command
            .split_first()
            .map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
        let started = Instant::now();
        let mut child = Command::new(program)
            .args(arguments)
            .current_dir(self.directory)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|source| ProcessError::Start {
                program: program.to_owned(),
                source,
            })?;
        let stdout = drain(child.stdout.take(), MAX_BYTES + 1, false);
        let stderr = drain(child.stderr.take(), 16 << 10, true);
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let end = reap(child);
        let ended = self.wait(&end, started, cancel);
        let elapsed = started.elapsed();
        if ended.is_err() {
            stop(group, &end);
        }
        // A grandchild may hold the pipes open: what it still prints is not of this run.
        let take =
            |receiver: Receiver<Vec<u8>>| receiver.recv_timeout(Duration::from_secs(2)).unwrap_or_default();
        let used = ended?;
        let (stdout, stderr) = (take(stdout), take(stderr));
        if used.status.success() {
            Ok(Printed {
                stdout,
                elapsed,
                cpu_time: used.rusage.utime + used.rusage.stime,
            })
        } else {
            let said = if stderr.is_empty() { &stdout } else { &stderr };
            Err(ProcessError::Failed {
                status: used.status,
                last_lines: last_lines(said),
            })
        }
    }

    fn wait(&self, end: &End, started: Instant, cancel: &CancelToken) -> Result<ResUse, ProcessError> {
        loop {
            match end.recv_timeout(LOOK_UP) {
                Ok(used) => return used.map_err(ProcessError::Wait),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(ProcessError::Wait(io::Error::other("nobody waits for it")));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            if cancel.is_cancelled() {
                return Err(ProcessError::Interrupted);
            }
            if started.elapsed() >= self.timeout {
                return Err(ProcessError::TimedOut {
                    timeout: self.timeout,
                });
            }
        }
    }
}

/// How often an interrupt and the time limit are looked at while a process runs.
const LOOK_UP: Duration = Duration::from_millis(50);

/// Where the end of a process is told, with what it used.
type End = Receiver<io::Result<ResUse>>;

/// Waits for a process on a thread of its own, so that its end is known at once and with what it used.
fn reap(mut child: Child) -> End {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        // Nobody listens any more if the process was given up.
        let _ = sender.send(child.wait4());
    });
    receiver
}

/// Asks the whole group to end, and after a grace makes it.
fn stop(group: Option<Pid>, end: &End) {
    let Some(group) = group else {
        return;
    };
    let _ = kill_process_group(group, Signal::TERM);
    let ended = end.recv_timeout(Duration::from_secs(2));
    // The group may outlive its first process, and its number stays taken as long as it does.
    let _ = kill_process_group(group, Signal::KILL);
    if ended.is_err() {
        let _ = end.recv();
    }
}

/// Reads a pipe to its end and keeps `most` bytes: the first ones, or with `tail` the last ones.
fn drain(pipe: Option<impl Read + Send + 'static>, most: u64, tail: bool) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    thread::spawn(move || {
        let mut kept = Vec::new();
        let mut buffer = vec![0; 64 << 10];
        let mut pipe = pipe;
        while let Some(Ok(count @ 1..)) = pipe.as_mut().map(|pipe| pipe.read(&mut buffer)) {
            if tail {
                kept.extend_from_slice(&buffer[..count]);
                kept.drain(..kept.len().saturating_sub(most));
            } else {
                kept.extend_from_slice(&buffer[..count.min(most - kept.len())]);
            }
        }
        // Nobody listens any more if the wait for a grandchild was given up.
        let _ = sender.send(kept);
    });
    receiver
}

/// The end of what a failing command said.
fn last_lines(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    lines[lines.len().saturating_sub(4)..].join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, timeout: Duration) -> Result<Printed, ProcessError> {
        let command = ["sh", "-c", script].map(str::to_owned);
        Job {
            command: &command,
            directory: Path::new("."),
            variables: &[],
            timeout,
        }
        .run_to_end(&CancelToken::new())
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn the_output_is_kept_and_the_end_of_the_errors_told() {
        assert_eq!(shell("echo a; echo b >&2", LONG).unwrap().stdout, b"a\n");
        let error = shell("seq 100000 >&2; echo no luck >&2; exit 3", LONG).unwrap_err();
        assert!(error.to_string().ends_with("99999; 100000; no luck"), "{error}");
    }

    #[test]
    fn the_time_of_processors_is_that_of_the_command_and_its_children() {
        let busy = "sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i + 1)); done'";
        let (idle, busy) = (shell("sleep 0.3", LONG).unwrap(), shell(busy, LONG).unwrap());
        assert!(
            idle.elapsed >= Duration::from_millis(300) && idle.cpu_time < idle.elapsed / 2,
            "{idle:?}"
        );
        assert!(busy.cpu_time > 4 * idle.cpu_time, "{busy:?} {idle:?}");
        assert!(busy.cpu_time <= 2 * busy.elapsed, "{busy:?}");
    }

    #[test]
    fn a_hanging_command_is_ended_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let alive = folder.path().join("alive");
        let script = format!("(sleep 1; touch {}) & wait", alive.display());
        let started = Instant::now();
        let error = shell(&script, Duration::from_millis(100)).unwrap_err();
        assert!(matches!(error, ProcessError::TimedOut { .. }), "{error}");
        assert!(started.elapsed() < Duration::from_secs(30));
        thread::sleep(Duration::from_millis(1500));
        assert!(!alive.exists(), "the grandchild was ended, too");
    }

    #[test]
    fn a_grandchild_that_keeps_the_pipe_does_not_hold_us_up() {
        let started = Instant::now();
        shell("sleep 20 & echo done", LONG).unwrap();
        assert!(started.elapsed() < Duration::from_secs(15));
    }

    #[test]
    fn what_cannot_be_started_is_named() {
        let command = ["/nonexistent/bench".to_owned()];
        let job = Job {
            command: &command,
            directory: Path::new("."),
            variables: &[],
            timeout: LONG,
        };
        assert!(
            job.run_to_end(&CancelToken::new())
                .unwrap_err()
                .to_string()
                .contains("/nonexistent/bench")
        );
    }

    #[test]
    fn an_interrupt_ends_the_command() {
        let cancel = CancelToken::new();
        cancel.cancel();
        let command = ["sleep", "60"].map(str::to_owned);
        let job = Job {
            command: &command,
            directory: Path::new("."),
            variables: &[],
            timeout: LONG,
        };
        assert!(matches!(job.run_to_end(&cancel), Err(ProcessError::Interrupted)));
    }
}
