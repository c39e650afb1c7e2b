//! Puts the agent on a host, and starts it: a script for a POSIX shell does it, and nothing else has to be there.
//!
//! The agent's file is named by its SHA-256 and checked before each start, so that there is never an agent of another version, and
//! several versions are there side by side. It is sent as a patch where the host has an older one that is known here. The shell is
//! told step by step, and nothing is sent before it asks: what it might read ahead is then nothing of the agent's.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::RemoteError;
use super::blobs::{self, BlobStore, format_hex, parse_hex};
use super::transport::{Link, Transport};

/// What the shell is told to do. Each line that it says to us begins with the mark.
const SCRIPT: &str = include_str!("deploy.sh");
/// Begins each line of the script's; what does not is noise.
const MARK: &str = "snippex-deploy:";
/// Longest line, and most lines of noise, before the script says something.
const MAX_NOISE: usize = 64 << 10;
/// Bytes written at a time.
const PIECE: usize = 64 << 10;

/// Leads to agents that are put where a shell is.
#[derive(Debug)]
pub struct Deployment {
    /// Name of the host, for errors.
    pub host: String,
    /// Leads to a POSIX shell that reads commands.
    pub shell: Box<dyn Transport>,
    /// The agent's program where the host has another architecture than this machine.
    pub agent: Option<PathBuf>,
    /// The folder on the host [default: `snippex/agent` in its cache].
    pub folder: Option<String>,
    /// Folder here for agents that were sent before.
    pub sent: Option<PathBuf>,
    /// Longest time that it may take.
    pub patience: Duration,
}

/// What is there, and what would be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeploymentPlan {
    /// Architecture of the host, as `uname -m` says.
    pub architecture: String,
    /// The agent's file here.
    pub agent: PathBuf,
    /// Where it is to be on the host.
    pub folder: String,
    /// Whether it is there.
    pub is_there: bool,
    /// Its bytes.
    pub size: u64,
    /// Bytes that have to be sent.
    pub to_send: u64,
    /// What else the script found out about the host: kernel, page size, emulators.
    pub about: Vec<(String, String)>,
}

/// The agent's program for one architecture.
struct Agent {
    path: PathBuf,
    bytes: Arc<[u8]>,
    id: [u8; 32],
}

impl Transport for Deployment {
    fn connect(&self) -> Result<Link, RemoteError> {
        let mut steps = Steps::begin(self)?;
        let agent = self.agent_for(&steps.architecture()?)?;
        let (is_there, older) = steps.offer(&agent)?;
        if !is_there {
            let (base, packed) = self.packed(&agent, &older)?;
            steps.send(base, &packed)?;
        }
        Ok(steps.finish(agent.id))
    }
}

/// Which blob the bytes are a patch of, if any, and the bytes.
type PackedAgent = (Option<[u8; 32]>, Arc<[u8]>);

impl Deployment {
    /// What [`Transport::connect`] would do, without doing it.
    ///
    /// # Errors
    /// When the host cannot be reached, or there is no agent for it here.
    pub fn plan_deployment(&self) -> Result<DeploymentPlan, RemoteError> {
        let mut steps = Steps::begin(self)?;
        let architecture = steps.architecture()?;
        let agent = self.agent_for(&architecture)?;
        let (is_there, older) = steps.offer(&agent)?;
        let to_send = match is_there {
            true => 0,
            false => self.packed(&agent, &older)?.1.len() as u64,
        };
        Ok(DeploymentPlan {
            architecture,
            agent: agent.path,
            folder: steps.told("folder").unwrap_or_default().to_owned(),
            is_there,
            size: agent.bytes.len() as u64,
            to_send,
            about: std::mem::take(&mut steps.about),
        })
    }

    /// The program for a host of `architecture`.
    fn agent_for(&self, architecture: &str) -> Result<Agent, RemoteError> {
        let same = architecture == std::env::consts::ARCH;
        let path = match &self.agent {
            Some(path) => path.clone(),
            None if same => PathBuf::from("/proc/self/exe"),
            None => return Err(self.no_agent(architecture, "this program is for another one")),
        };
        let bytes = std::fs::read(&path)
            .map_err(|error| self.no_agent(architecture, &format!("{}: {error}", path.display())))?;
        if machine(&bytes) != Some(architecture) {
            let problem = format!("{} is no program for it", path.display());
            return Err(self.no_agent(architecture, &problem));
        }
        let id = blobs::compute_blob_id(&bytes);
        Ok(Agent {
            path,
            bytes: bytes.into(),
            id,
        })
    }

    fn no_agent(&self, architecture: &str, problem: &str) -> RemoteError {
        let (host, target) = (&self.host, architecture);
        RemoteError::Refused {
            host: host.clone(),
            problem: format!("it is {architecture}, and there is no agent for that: {problem}"),
            hint: format!(
                "build one (rustup target add {target}-unknown-linux-musl; cargo build --release --target \
                 {target}-unknown-linux-musl -p snippex), and name it: snippex hosts setup {host} --agent FILE"
            ),
        }
    }

    /// The agent as it is sent: against one of those that the host has, or as it is.
    fn packed(&self, agent: &Agent, older: &[[u8; 32]]) -> Result<PackedAgent, RemoteError> {
        let mut sent = BlobStore::new(self.sent.clone());
        let base = older.iter().find_map(|id| Some((*id, sent.get(id)?)));
        let packed = match base {
            Some((id, base)) => (Some(id), blobs::pack_blob(&agent.bytes, Some(&base))?.into()),
            None => (None, Arc::clone(&agent.bytes)),
        };
        sent.put(agent.id, Arc::clone(&agent.bytes));
        Ok(packed)
    }
}

/// The architecture of an ELF program, as `uname -m` calls it.
fn machine(program: &[u8]) -> Option<&'static str> {
    let head = program.get(..20)?;
    match (&head[..4], u16::from_le_bytes([head[18], head[19]])) {
        (b"\x7fELF", 62) => Some("x86_64"),
        (b"\x7fELF", 183) => Some("aarch64"),
        _ => None,
    }
}

/// The talk with the script.
struct Steps {
    host: String,
    link: Option<Link>,
    /// What the script has said that nobody has asked for yet.
    about: Vec<(String, String)>,
    noise: String,
    done: Arc<AtomicBool>,
}

impl Steps {
    fn begin(deployment: &Deployment) -> Result<Self, RemoteError> {
        let Link {
            mut writer,
            reader,
            close,
            agent,
            words,
        } = deployment.shell.connect()?;
        let folder = deployment.folder.as_deref().unwrap_or_default();
        let mut script = format!("snippex_folder={}\n", quote_shell_word(folder));
        script.push_str(SCRIPT);
        writer.write_all(script.as_bytes())?;
        writer.flush()?;
        let close: Arc<dyn Fn() + Send + Sync> = Arc::from(close);
        let done = Arc::new(AtomicBool::new(false));
        close_after(deployment.patience, Arc::clone(&close), Arc::clone(&done));
        Ok(Self {
            host: deployment.host.clone(),
            link: Some(Link {
                reader,
                writer,
                close: Box::new(move || close()),
                agent,
                words,
            }),
            about: Vec::new(),
            noise: String::new(),
            done,
        })
    }

    fn architecture(&mut self) -> Result<String, RemoteError> {
        self.listen_for("ready")?;
        let told = self.told("arch").map(str::to_owned);
        told.ok_or_else(|| self.unreachable("its shell does not say what the host is"))
    }

    /// Says which agent is wanted; whether it is there, else which others are.
    fn offer(&mut self, agent: &Agent) -> Result<(bool, Vec<[u8; 32]>), RemoteError> {
        self.say(format!("{} {}\n", format_hex(&agent.id), agent.bytes.len()).as_bytes())?;
        match self.listen()? {
            (word, _) if word == "have" => Ok((true, Vec::new())),
            (word, older) if word == "need" => {
                Ok((false, older.split_whitespace().filter_map(parse_hex).collect()))
            }
            (word, rest) => Err(self.unreachable(&format!("its shell says {word} {rest}"))),
        }
    }

    fn send(&mut self, base: Option<[u8; 32]>, packed: &[u8]) -> Result<(), RemoteError> {
        let mut head = String::new();
        let _ = match base {
            Some(base) => writeln!(head, "patch {} {}", packed.len(), format_hex(&base)),
            None => writeln!(head, "whole {} -", packed.len()),
        };
        self.say(head.as_bytes())?;
        // The shell reads the line by itself; what follows is for another program.
        self.listen_for("send")?;
        for piece in packed.chunks(PIECE) {
            if let Err(ended) = self.say(piece) {
                // Why it ended it has told before.
                return Err(self.listen().err().unwrap_or(ended));
            }
        }
        Ok(())
    }

    /// The streams, which now lead to the agent.
    fn finish(mut self, agent: [u8; 32]) -> Link {
        let mut link = self.link.take().expect("it is taken once");
        self.done.store(true, Ordering::Relaxed);
        link.agent = Some(agent);
        super::transport::keep_words(&link.words, self.noise.as_bytes());
        link
    }

    fn say(&mut self, bytes: &[u8]) -> Result<(), RemoteError> {
        let said = self.link.as_mut().map(|link| {
            link.writer.write_all(bytes)?;
            link.writer.flush()
        });
        match said {
            Some(Ok(())) => Ok(()),
            _ => Err(self.unreachable("its shell ended")),
        }
    }

    /// What the script has said under `word`.
    fn told(&self, word: &str) -> Option<&str> {
        let found = self.about.iter().find(|(name, _)| name == word);
        found.map(|(_, rest)| rest.as_str())
    }

    /// Listens up to `word`, and keeps what comes before.
    fn listen_for(&mut self, word: &str) -> Result<(), RemoteError> {
        loop {
            let (said, rest) = self.listen()?;
            match said == word {
                true => return Ok(()),
                false => self.about.push((said, rest)),
            }
        }
    }

    /// The next that the script says.
    fn listen(&mut self) -> Result<(String, String), RemoteError> {
        loop {
            let line = self.line()?;
            // A prompt without an end of line may stand before it.
            let Some((noise, said)) = line.split_once(MARK) else {
                self.noise.push_str(&line);
                self.noise.push('\n');
                continue;
            };
            self.noise.push_str(noise);
            let (word, rest) = said.split_once(' ').unwrap_or((said, ""));
            if word == "failed" {
                return Err(self.unreachable(rest));
            }
            return Ok((word.to_owned(), rest.trim().to_owned()));
        }
    }

    fn line(&mut self) -> Result<String, RemoteError> {
        let mut line = Vec::new();
        let mut byte = [0];
        loop {
            let read = self.link.as_mut().map(|link| link.reader.read(&mut byte));
            match read {
                Some(Ok(1)) if byte[0] == b'\n' => return Ok(String::from_utf8_lossy(&line).into_owned()),
                Some(Ok(1)) => line.push(byte[0]),
                _ => {
                    self.noise.push_str(&String::from_utf8_lossy(&line));
                    return Err(self.unreachable("its shell ended before the agent could be started"));
                }
            }
            if line.len() + self.noise.len() > MAX_NOISE {
                return Err(self.unreachable("it prints on and on before the agent could be started"));
            }
        }
    }

    fn unreachable(&self, problem: &str) -> RemoteError {
        let words = self.link.as_ref().map(|link| {
            let words = link.words.lock().unwrap_or_else(PoisonError::into_inner);
            words.clone()
        });
        RemoteError::Unreachable {
            host: self.host.clone(),
            problem: problem.to_owned(),
            noise: format!("{}{}", self.noise, words.unwrap_or_default()),
        }
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        if let Some(link) = &self.link {
            (link.close)();
        }
    }
}

/// Closes a link unless it is `done` in time.
fn close_after(patience: Duration, close: Arc<dyn Fn() + Send + Sync>, done: Arc<AtomicBool>) {
    let deadline = Instant::now() + patience;
    thread::spawn(move || {
        while !done.load(Ordering::Relaxed) {
            if Instant::now() > deadline {
                return close();
            }
            thread::sleep(Duration::from_millis(100));
        }
    });
}

/// `text` as one word of a POSIX shell.
pub(super) fn quote_shell_word(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Makes the agent out of an older one: reads the patch, writes the program. For the script.
///
/// # Errors
/// When the patch is of something else.
pub fn apply_patch(base: &[u8], patch: &[u8], output: &mut dyn Write) -> Result<(), RemoteError> {
    Ok(output.write_all(&blobs::unpack_any(patch, base)?)?)
}
