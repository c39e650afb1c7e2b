//! Ways to an agent: streams of bytes to a program that is started for it.

use std::fmt;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::RemoteError;

/// Most bytes of standard error that are kept, the last ones.
const MAX_WORDS: usize = 4096;

/// Brings about connections to agents of one host.
pub trait Transport: fmt::Debug + Send + Sync {
    /// Starts an agent, and gives the streams to it.
    ///
    /// # Errors
    /// When the host cannot be reached or will not be used, or the agent not be started.
    fn connect(&self) -> Result<Link, RemoteError>;
}

/// Streams to an agent that was started.
pub struct Link {
    /// What the agent writes, noise of login shells before it.
    pub reader: Box<dyn Read + Send>,
    /// What the agent reads.
    pub writer: Box<dyn Write + Send>,
    /// Ends both, whoever is reading or writing.
    pub close: Box<dyn Fn() + Send + Sync>,
    /// SHA-256 that the agent's program has to have; `None` takes any agent of the same version.
    pub agent: Option<[u8; 32]>,
    /// The last that the other side wrote elsewhere, such as to standard error.
    pub words: Arc<Mutex<String>>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}

/// A command whose standard input and output lead to an agent: the agent itself on this machine, or a program such as ssh.
#[derive(Clone, Debug)]
pub struct CommandTransport {
    /// Name of the host, for errors.
    pub host: String,
    /// Program and arguments.
    pub command: Vec<String>,
    /// SHA-256 that the agent's program has to have.
    pub agent: Option<[u8; 32]>,
}

impl Transport for CommandTransport {
    fn connect(&self) -> Result<Link, RemoteError> {
        let unreachable = |problem: String| RemoteError::Unreachable {
            host: self.host.clone(),
            problem,
            noise: String::new(),
        };
        let (program, arguments) = self
            .command
            .split_first()
            .ok_or_else(|| unreachable("its command is empty".into()))?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| unreachable(format!("cannot start {program}: {error}")))?;
        let (Some(writer), Some(reader), Some(errors)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(unreachable("its command has no standard streams".into()));
        };
        let words = Arc::new(Mutex::new(String::new()));
        collect_error_output(errors, Arc::clone(&words));
        let child = Mutex::new(Ended(child));
        Ok(Link {
            reader: Box::new(reader),
            writer: Box::new(writer),
            close: Box::new(move || child.lock().unwrap_or_else(PoisonError::into_inner).end()),
            agent: self.agent,
            words,
        })
    }
}

/// A child process that ends with this.
struct Ended(Child);

impl Ended {
    fn end(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.end();
    }
}

/// Keeps the last of what `errors` says.
pub(super) fn collect_error_output(mut errors: impl Read + Send + 'static, words: Arc<Mutex<String>>) {
    thread::spawn(move || {
        let mut buffer = [0; 1024];
        while let Ok(count @ 1..) = errors.read(&mut buffer) {
            keep_words(&words, &buffer[..count]);
        }
    });
}

/// Adds to the last words, of which the oldest go.
pub(super) fn keep_words(words: &Mutex<String>, more: &[u8]) {
    let mut words = words.lock().unwrap_or_else(PoisonError::into_inner);
    words.push_str(&String::from_utf8_lossy(more));
    while words.len() > MAX_WORDS {
        words.remove(0);
    }
}
