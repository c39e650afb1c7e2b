//! One connection to an agent, from the host's side: requests that are under way, and whoever waits for them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::RemoteError;
use super::agent::credit_of;
use super::blobs::{self, BlobStore};
use super::frame::{self, Kind};
use super::message::{
    AgentInfo, Answer, BlobId, HostInfo, OriginWire, PROTOCOL, Request, decode_message, encode_message,
    unpack_message,
};
use super::output::Output;
use super::transport::Link;
use crate::engine::{EngineIdentity, ProgramDigests};

/// Bytes in a piece of a blob: others may come between two of them.
const PIECE: usize = 256 << 10;
/// How often the host says that it is there.
const PULSE: Duration = Duration::from_secs(5);
/// How often the connection is looked after.
const WATCH: Duration = Duration::from_millis(250);

/// What went over the connections to a host, in bytes of frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// To the host.
    pub sent: u64,
    /// From the host.
    pub received: u64,
}

/// An engine by its name and its definition, where the agent is told one.
type EngineKey = (String, Option<String>);

/// A connection whose agent has said hello.
pub(super) struct Connection {
    shared: Arc<Shared>,
    info: AgentInfo,
    noise: String,
    round_trip: Duration,
    engines: Mutex<HashMap<EngineKey, OpenedEngine>>,
    origins: Mutex<HashMap<OriginWire, u32>>,
}

/// An engine that the agent has started.
#[derive(Clone, Debug)]
pub(super) struct OpenedEngine {
    /// What it goes by on this connection.
    pub(super) number: u32,
    pub(super) identity: EngineIdentity,
    pub(super) programs: ProgramDigests,
}

struct Shared {
    host: String,
    output: Output,
    /// By stream, who waits for its answer. `None` when the connection is lost.
    waiting: Mutex<Option<HashMap<u32, Sender<Vec<u8>>>>>,
    next_stream: AtomicU32,
    heard: Mutex<Instant>,
    received: AtomicU64,
    problem: OnceLock<String>,
    closed: AtomicBool,
    /// Both sides have said hello.
    greeted: AtomicBool,
    close: Box<dyn Fn() + Send + Sync>,
    words: Arc<Mutex<String>>,
}

/// How long is waited.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For the agent's hello.
    pub(super) start: Duration,
    /// For anything from an agent, which says something every two seconds.
    pub(super) silence: Duration,
}

impl Connection {
    /// Waits for the agent's hello.
    pub(super) fn from_link(
        host: &str,
        link: Link,
        patience: Patience,
        keep_blobs: bool,
    ) -> Result<Self, RemoteError> {
        let Link {
            mut reader,
            writer,
            close,
            agent,
            words,
        } = link;
        let shared = Arc::new(Shared {
            host: host.to_owned(),
            output: Output::new(writer)?,
            waiting: Mutex::new(Some(HashMap::new())),
            next_stream: AtomicU32::new(1),
            heard: Mutex::new(Instant::now() + patience.start.saturating_sub(patience.silence)),
            received: AtomicU64::new(0),
            problem: OnceLock::new(),
            closed: AtomicBool::new(false),
            greeted: AtomicBool::new(false),
            close,
            words,
        });
        // From here on a silent other side ends every wait.
        watch(&shared, patience.silence);
        let mut unless_kept = Closing(Some(Arc::clone(&shared)));
        let started = Instant::now();
        let noise = frame::skip_noise(&mut reader).map_err(|(error, noise)| {
            let problem = shared.problem.get().cloned();
            RemoteError::Unreachable {
                host: host.to_owned(),
                problem: problem.unwrap_or_else(|| format!("no agent started there ({error})")),
                noise: shared.with_words(&noise),
            }
        })?;
        let hello = frame::read_frame(&mut reader)?.filter(|frame| frame.kind == Kind::Hello);
        let hello = hello.ok_or(RemoteError::Malformed("the agent did not say hello"))?;
        let info: AgentInfo =
            decode_message(&hello.payload).map_err(|_| other_agent(host, "another protocol"))?;
        check_agent(host, &info, agent)?;
        let answer = HostInfo {
            protocol: PROTOCOL,
            keep_blobs,
        };
        shared.output.send_hello(&[], &encode_message(&answer));
        *shared.heard.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        let reading = Arc::clone(&shared);
        thread::Builder::new()
            .name(format!("from {host}"))
            .spawn(move || reading.read(&mut *reader))?;
        let noise = shared.with_words(&noise);
        shared.greeted.store(true, Ordering::Relaxed);
        let mut connection = Self {
            shared,
            info,
            noise,
            round_trip: started.elapsed(),
            engines: Mutex::default(),
            origins: Mutex::default(),
        };
        unless_kept.0 = None;
        connection.round_trip = connection.measure()?;
        Ok(connection)
    }

    /// What the agent is.
    pub(super) fn agent_info(&self) -> &AgentInfo {
        &self.info
    }

    /// What was printed before its hello.
    pub(super) fn startup_output(&self) -> &str {
        &self.noise
    }

    /// Time from a small request to its answer.
    pub(super) fn round_trip(&self) -> Duration {
        self.round_trip
    }

    /// Whether requests can be made.
    pub(super) fn is_alive(&self) -> bool {
        self.shared
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
    }

    pub(super) fn traffic(&self) -> Traffic {
        Traffic {
            sent: self.shared.output.sent_bytes(),
            received: self.shared.received.load(Ordering::Relaxed),
        }
    }

    /// The round trip of an offer of nothing, the second of two: the first waits for what was to be set up.
    fn measure(&self) -> Result<Duration, RemoteError> {
        let nothing = Request::Offer {
            blob: [0; 32],
            bases: Vec::new(),
        };
        self.send_request(&nothing)?;
        let started = Instant::now();
        self.send_request(&nothing)?;
        Ok(started.elapsed())
    }

    /// Sends a request, and waits for the answer, which is to be decoded.
    pub(super) fn send_request(&self, request: &Request<'_>) -> Result<Vec<u8>, RemoteError> {
        self.ask_with(request, &[])
    }

    fn ask_with(&self, request: &Request<'_>, blob: &[u8]) -> Result<Vec<u8>, RemoteError> {
        let shared = &self.shared;
        let stream = shared.next_stream.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = channel();
        match &mut *shared.waiting.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(waiting) => waiting.insert(stream, sender),
            None => return Err(shared.lost()),
        };
        let mut sent = shared
            .output
            .send_frame(stream, Kind::Message, &encode_message(request));
        for piece in blob.chunks(PIECE) {
            sent = sent && shared.output.send_frame(stream, Kind::Piece, piece);
        }
        if !sent {
            shared.end("it does not take what is sent");
        }
        let packed = receiver.recv().map_err(|_| shared.lost())?;
        unpack_message(&packed)
    }

    /// The number of the engine called `name`, which is opened unless it is.
    pub(super) fn open_engine(&self, name: &str, entry: Option<&str>) -> Result<OpenedEngine, RemoteError> {
        let mut engines = self.engines.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (name.to_owned(), entry.map(str::to_owned));
        if let Some(known) = engines.get(&key) {
            return Ok(known.clone());
        }
        let number = u32::try_from(engines.len()).expect("few engines are named at once");
        let request = Request::Open {
            number,
            name: name.to_owned(),
            entry: key.1.clone(),
        };
        let bytes = self.send_request(&request)?;
        match decode_message(&bytes)? {
            Answer::Opened(identity, programs) => {
                let opened = OpenedEngine {
                    number,
                    identity: *identity,
                    programs,
                };
                engines.insert(key, opened.clone());
                Ok(opened)
            }
            other => Err(self.error_from_answer(other)),
        }
    }

    /// The number of an origin, which the agent is told about unless it knows it.
    pub(super) fn register_origin(
        &self,
        origin: &OriginWire,
        program: Option<&[u8]>,
        blobs: &Mutex<BlobStore>,
    ) -> Result<u32, RemoteError> {
        let mut origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(&number) = origins.get(origin) {
            return Ok(number);
        }
        if let (Some(blob), Some(program)) = (origin.program, program) {
            self.upload(blob, program, blobs)?;
        }
        let number = u32::try_from(origins.len()).expect("few programs are checked over one connection");
        let request = Request::Origin {
            number,
            origin: origin.clone(),
        };
        let bytes = self.send_request(&request)?;
        match decode_message(&bytes)? {
            Answer::Done => {
                origins.insert(origin.clone(), number);
                Ok(number)
            }
            other => Err(self.error_from_answer(other)),
        }
    }

    /// Sees to it that the agent has a program.
    fn upload(&self, blob: BlobId, program: &[u8], blobs: &Mutex<BlobStore>) -> Result<(), RemoteError> {
        let mut known = blobs.lock().unwrap_or_else(PoisonError::into_inner);
        let bases = known.find_similar_blobs(program.len() as u64);
        let bytes = self.send_request(&Request::Offer { blob, bases })?;
        let base = match decode_message(&bytes)? {
            Answer::Offered { have: true, .. } => return Ok(()),
            Answer::Offered { base, .. } => base,
            other => return Err(self.error_from_answer(other)),
        };
        let content = base.and_then(|base| known.get(&base));
        let base = base.filter(|_| content.is_some());
        let packed = blobs::pack_blob(program, content.as_deref())?;
        known.put(blob, program.into());
        drop(known);
        let length = packed.len() as u64;
        let bytes = self.ask_with(&Request::Blob { blob, base, length }, &packed)?;
        match decode_message(&bytes)? {
            Answer::Done => Ok(()),
            other => Err(self.error_from_answer(other)),
        }
    }

    /// What an answer that was not hoped for means.
    pub(super) fn error_from_answer(&self, answer: Answer<'_>) -> RemoteError {
        match answer {
            Answer::Failed { problem, hint } => RemoteError::Engine {
                host: self.shared.host.clone(),
                problem,
                hint,
            },
            _ => RemoteError::Malformed("an answer is to another question"),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.end("it is no longer used");
    }
}

/// Ends the connection unless it is kept.
struct Closing(Option<Arc<Shared>>);

impl Drop for Closing {
    fn drop(&mut self) {
        if let Some(shared) = &self.0 {
            shared.end("it was not taken");
        }
    }
}

impl Shared {
    /// Reads until the connection ends.
    fn read(&self, reader: &mut dyn std::io::Read) {
        loop {
            let frame = match frame::read_frame(reader) {
                Ok(Some(frame)) => frame,
                Ok(None) => return self.end("its agent ended"),
                Err(error) => return self.end(&error.to_string()),
            };
            *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            let length = frame.payload.len();
            self.received
                .fetch_add(frame::frame_length(length), Ordering::Relaxed);
            match frame.kind {
                Kind::Credit => match credit_of(&frame) {
                    Ok(bytes) => self.output.may_send(bytes),
                    Err(error) => return self.end(&error.to_string()),
                },
                Kind::Message => {
                    let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                    if let Some(sender) = waiting.as_mut().and_then(|waiting| waiting.remove(&frame.stream)) {
                        // Whoever asked may have gone.
                        let _ = sender.send(frame.payload);
                    }
                    drop(waiting);
                    self.output.grant_credit(length);
                }
                Kind::Hello | Kind::Pulse | Kind::Piece => {}
            }
        }
    }

    /// Ends the connection, for the reason given; everybody who waits hears of it.
    fn end(&self, problem: &str) {
        let _ = self.problem.set(problem.to_owned());
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        if !self.closed.swap(true, Ordering::Relaxed) {
            self.output.close();
            (self.close)();
        }
    }

    fn lost(&self) -> RemoteError {
        let problem = self.problem.get().map_or("it was closed", String::as_str);
        RemoteError::Lost {
            host: self.host.clone(),
            problem: match self.with_words(&[]).trim() {
                "" => problem.to_owned(),
                words => format!("{problem}; it printed: {words}"),
            },
        }
    }

    /// What was printed, wherever.
    fn with_words(&self, noise: &[u8]) -> String {
        let words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        let noise = String::from_utf8_lossy(noise);
        match noise.trim() {
            "" => words.clone(),
            noise => format!("{noise}\n{words}"),
        }
    }
}

/// Ends the connection when nothing has come for `silence`, and says now and then that this side is there.
fn watch(shared: &Arc<Shared>, silence: Duration) {
    let shared = Arc::downgrade(shared);
    thread::spawn(move || {
        let mut pulse = Instant::now();
        while let Some(shared) = shared.upgrade() {
            if shared.closed.load(Ordering::Relaxed) {
                return;
            }
            let heard = *shared.heard.lock().unwrap_or_else(PoisonError::into_inner);
            if heard.elapsed() > silence {
                return shared.end(&format!("nothing came from it for {} s", silence.as_secs()));
            }
            if pulse.elapsed() > PULSE && shared.greeted.load(Ordering::Relaxed) {
                shared.output.send_now(0, Kind::Pulse, &[]);
                pulse = Instant::now();
            }
            drop(shared);
            thread::sleep(WATCH);
        }
    });
}

/// Whether the agent is the one that it should be.
fn check_agent(host: &str, info: &AgentInfo, wanted: Option<[u8; 32]>) -> Result<(), RemoteError> {
    let ours = env!("CARGO_PKG_VERSION");
    if info.protocol != PROTOCOL || info.snippex != ours {
        let found = format!("{} (protocol {})", info.snippex, info.protocol);
        return Err(other_agent(host, &found));
    }
    match wanted {
        Some(wanted) if wanted != info.sha256 => Err(RemoteError::OtherAgent {
            host: host.to_owned(),
            found: blobs::format_hex(&info.sha256),
            wanted: blobs::format_hex(&wanted),
        }),
        _ => Ok(()),
    }
}

fn other_agent(host: &str, found: &str) -> RemoteError {
    RemoteError::OtherAgent {
        host: host.to_owned(),
        found: found.to_owned(),
        wanted: format!("{} (protocol {PROTOCOL})", env!("CARGO_PKG_VERSION")),
    }
}
