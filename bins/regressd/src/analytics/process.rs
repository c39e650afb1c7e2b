//! One running process: a line in, a line out.

use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use super::AnalyticsError;

/// Bytes of an answer at most.
const LONGEST_ANSWER: usize = 1 << 20;
/// Lines of its standard error that are logged, of each process.
const MAX_LOG_LINES: usize = 20;
/// The variables it gets. All others stay here: some are secrets.
const ENVIRONMENT: [&str; 6] = ["PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH"];

/// A running process. Dropping it ends it and all it started.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Process {
    pub(super) fn spawn_command(command: &[String]) -> Result<Self, AnalyticsError> {
        let (program, arguments) = command.split_first().ok_or(AnalyticsError::Ended)?;
        let environment = ENVIRONMENT
            .iter()
            .filter_map(|name| Some((name, std::env::var_os(name)?)));
        let started = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(environment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn();
        let mut child = started.map_err(|source| AnalyticsError::Start {
            command: program.clone(),
            source,
        })?;
        let input = child.stdin.take().ok_or(AnalyticsError::Ended)?;
        let output = child.stdout.take().ok_or(AnalyticsError::Ended)?;
        if let Some(errors) = child.stderr.take() {
            tokio::spawn(log(errors));
        }
        Ok(Self {
            child,
            input,
            output: BufReader::new(output),
        })
    }

    /// Sends a line and returns the line that comes back, without its end.
    pub(super) async fn exchange_line(&mut self, line: &[u8]) -> Result<Vec<u8>, AnalyticsError> {
        if !self.output.buffer().is_empty() {
            return Err(AnalyticsError::Garbage(
                "it says more than it was asked".to_owned(),
            ));
        }
        let ended = |_| AnalyticsError::Ended;
        self.input.write_all(line).await.map_err(ended)?;
        self.input.flush().await.map_err(ended)?;
        let mut answer = Vec::new();
        loop {
            let some = self.output.fill_buf().await.map_err(ended)?;
            if some.is_empty() {
                return Err(AnalyticsError::Ended);
            }
            let end = some.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(some.len(), |end| end + 1);
            answer.extend_from_slice(&some[..end.unwrap_or(taken)]);
            self.output.consume(taken);
            if answer.len() > LONGEST_ANSWER {
                let reason = format!("its answer is longer than {LONGEST_ANSWER} bytes");
                return Err(AnalyticsError::Garbage(reason));
            }
            if end.is_some() {
                return Ok(answer);
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let group = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        if let Some(group) = group {
            // It may have ended by itself; then there is nothing to do.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Logs the beginning of what the process complains about, and reads the rest so that it never waits for us.
async fn log(errors: ChildStderr) {
    let mut lines = BufReader::new(errors.take(64 << 10)).lines();
    let mut logged = 0;
    while let Ok(Some(line)) = lines.next_line().await {
        if logged < MAX_LOG_LINES {
            logged += 1;
            let line: String = line.chars().take(500).collect();
            tracing::warn!(%line, "the analytics process says");
        }
    }
    let mut rest = lines.into_inner().into_inner().into_inner();
    drop(tokio::io::copy(&mut rest, &mut tokio::io::sink()).await);
}
