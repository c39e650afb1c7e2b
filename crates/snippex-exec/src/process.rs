//! One guest process: start it, ring the doorbell, wait for the answer, kill it.
//!
//! The doorbell is an eight-byte token on the guest's standard input; the guest answers with the same token on its
//! standard output. Anything else there is an engine that prints where it must not.
//!
//! A guest can be told to have a child do the batch: that is a process which has run nothing before, for a fraction of
//! what starting one costs.

use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process_group};
use snippex_runner::layout::{CHILD_DONE, CHILD_WANTED, ITSELF};

use crate::affinity::Follower;
use crate::shared::Shared;
use crate::stall::Stall;

/// How often progress is looked at while a batch runs.
const TICK: Duration = Duration::from_millis(100);
/// What is kept of the engine's standard error, for messages.
const STDERR_LIMIT: usize = 16 << 10;

/// How a wait for the guest ended.
#[derive(Debug)]
pub(crate) enum GuestAnswer {
    /// The batch is done.
    Done,
    /// The process is gone.
    Died(ExitStatus),
    /// The child is gone, the process is as it was.
    ChildDied(ExitStatus),
    /// The process cannot have children.
    NoChild,
    /// It made no progress for the time allowed; it has been killed.
    Hung,
    /// It wrote something else on standard output.
    Garbage(Vec<u8>),
}

/// A running guest.
#[derive(Debug)]
pub(crate) struct GuestProcess {
    child: Child,
    /// It has been waited for: its id may be another process's by now.
    gone: bool,
    input: ChildStdin,
    output: ChildStdout,
    token: u64,
    place: Follower,
    stderr: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl GuestProcess {
    /// Starts `command`, whose last argument names the shared file.
    pub(crate) fn spawn_command(mut command: Command) -> io::Result<Self> {
        // Ctrl-C on a terminal is for snippex alone: it stops after the batch, and a guest that died of it would look
        // like a finding. And with the group go the process that a wrapper has started, and the child of a guest.
        command.process_group(0);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let piped = "all three streams are piped";
        let input = child.stdin.take().expect(piped);
        let output = child.stdout.take().expect(piped);
        let stderr = Arc::new(Mutex::new(Vec::new()));
        let reader = collect(child.stderr.take().expect(piped), Arc::clone(&stderr));
        Ok(Self {
            child,
            gone: false,
            input,
            output,
            token: 0,
            place: Follower::default(),
            stderr,
            reader: Some(reader),
        })
    }

    /// Runs the batch that the header describes. `patience` is the longest time without progress, for a process that computes.
    pub(crate) fn run_batch(&mut self, shared: &mut Shared, patience: Duration) -> io::Result<GuestAnswer> {
        shared.header().child = ITSELF;
        self.ring(shared, patience)
    }

    /// As [`GuestProcess::run_batch`], in a child of the guest, which itself stays as it is.
    pub(crate) fn run_in_child(
        &mut self,
        shared: &mut Shared,
        patience: Duration,
    ) -> io::Result<GuestAnswer> {
        shared.header().child = CHILD_WANTED;
        let answer = self.ring(shared, patience)?;
        if !matches!(answer, GuestAnswer::Done) {
            return Ok(answer);
        }
        Ok(match shared.header().child {
            CHILD_DONE => GuestAnswer::Done,
            CHILD_WANTED => GuestAnswer::NoChild,
            status => GuestAnswer::ChildDied(ExitStatus::from_raw(status.cast_signed())),
        })
    }

    fn ring(&mut self, shared: &Shared, patience: Duration) -> io::Result<GuestAnswer> {
        self.place.pin_process(self.child.id());
        self.token += 1;
        if self.input.write_all(&self.token.to_le_bytes()).is_err() {
            return self.died();
        }
        let mut answer = [0; 8];
        let mut filled = 0;
        let mut stall = Stall::new(shared.current_run());
        while filled < answer.len() {
            let mut wait = [PollFd::new(&self.output, PollFlags::IN)];
            let tick = Timespec {
                tv_sec: 0,
                tv_nsec: TICK.as_nanos() as i64,
            };
            let ready = match poll(&mut wait, Some(&tick)) {
                Ok(ready) => ready,
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            if ready == 0 {
                if stall.has_hung(shared.current_run(), self.child.id(), patience) {
                    self.kill();
                    return Ok(GuestAnswer::Hung);
                }
                continue;
            }
            match self.output.read(&mut answer[filled..]) {
                Ok(0) => return self.died(),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if u64::from_le_bytes(answer) == self.token {
            Ok(GuestAnswer::Done)
        } else {
            Ok(GuestAnswer::Garbage(answer.into()))
        }
    }

    /// The output is closed: wait for the process, which is about to be gone, or make it so.
    fn died(&mut self) -> io::Result<GuestAnswer> {
        let deadline = Instant::now() + Duration::from_secs(2);
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                self.gone = true;
                return Ok(GuestAnswer::Died(status));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        self.kill();
        Ok(GuestAnswer::Died(self.child.wait()?))
    }

    fn kill(&mut self) {
        if self.gone {
            return;
        }
        kill_with_group(&mut self.child);
        self.gone = true;
    }

    /// The end of what the engine has printed on standard error, in one line; the engine goes.
    pub(crate) fn last_words(&mut self) -> String {
        self.kill();
        if let Some(reader) = self.reader.take() {
            // A grandchild may hold the pipe open; what is there by now is enough.
            let deadline = Instant::now() + Duration::from_millis(200);
            while !reader.is_finished() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        self.stderr_tail()
    }

    /// The end of what the engine has printed on standard error so far, in one line.
    pub(crate) fn stderr_tail(&self) -> String {
        let bytes = self
            .stderr
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        last_lines(&bytes)
    }
}

impl Drop for GuestProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Ends a process that leads a group of its own, and all that is in the group, and waits for it.
pub(crate) fn kill_with_group(child: &mut Child) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // Already ended is as good.
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = child.wait();
}

/// The last three lines of what was printed, in one.
pub(crate) fn last_lines(printed: &[u8]) -> String {
    let text = String::from_utf8_lossy(printed);
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    lines[lines.len().saturating_sub(3)..].join("; ")
}

/// How a process ended, in words.
pub(crate) fn describe_exit_status(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with status {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "ended".into(),
    }
}

fn collect(mut from: ChildStderr, to: Arc<Mutex<Vec<u8>>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut buffer = [0; 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let mut kept = to.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            kept.extend(&buffer[..count]);
            let excess = kept.len().saturating_sub(STDERR_LIMIT);
            kept.drain(..excess);
        }
    })
}
