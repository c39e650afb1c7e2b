//! A host: connections to its agents, kept as long as they work, and replaced when they do not.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};
use tracing::{info, warn};

use super::RemoteError;
use super::blobs::BlobStore;
use super::connection::{Connection, Patience, Traffic};
use super::message::AgentInfo;
use super::transport::Transport;

/// How a host is used.
#[derive(Clone, Debug)]
pub struct HostOptions {
    /// Agents that are kept, each over a connection of its own; work is divided among them.
    pub connections: usize,
    /// Whether the host may keep programs for the next time.
    pub transfer_cache: bool,
    /// Folder for programs that were sent, so that rebuilt ones need not be sent as a whole.
    pub blobs: Option<PathBuf>,
    /// Longest time from connecting to the agent's hello, its deployment included.
    pub start_patience: Duration,
    /// Longest time without a sign from an agent; it gives one every two seconds.
    pub silence: Duration,
    /// Longest time that is spent on reconnecting after a connection was lost.
    pub reconnect_patience: Duration,
}

impl Default for HostOptions {
    /// One connection, a transfer cache; an agent may take 60 s to start and be silent for 15 s, and 2 minutes are spent on
    /// reconnecting.
    fn default() -> Self {
        Self {
            connections: 1,
            transfer_cache: true,
            blobs: None,
            start_patience: Duration::from_secs(60),
            silence: Duration::from_secs(15),
            reconnect_patience: Duration::from_secs(120),
        }
    }
}

/// A host with agents.
#[derive(Debug)]
pub struct Host {
    name: String,
    transport: Box<dyn Transport>,
    options: HostOptions,
    places: Vec<Mutex<Place>>,
    next: AtomicUsize,
    pub(super) blobs: Mutex<BlobStore>,
    /// Of connections that are gone.
    past: Mutex<Traffic>,
    reconnects: AtomicU32,
}

/// Where a connection is, or was.
#[derive(Default)]
enum Place {
    #[default]
    Empty,
    Open(Arc<Connection>),
    /// Nothing came about in time: the reason.
    Dead(String),
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Empty => "Empty",
            Self::Open(_) => "Open",
            Self::Dead(_) => "Dead",
        })
    }
}

impl Host {
    /// The host called `name`, which `transport` leads to. Nothing is connected yet.
    #[must_use]
    pub fn new(name: &str, transport: Box<dyn Transport>, options: HostOptions) -> Arc<Self> {
        let count = options.connections.max(1);
        Arc::new(Self {
            name: name.to_owned(),
            transport,
            places: std::iter::repeat_with(Mutex::default).take(count).collect(),
            next: AtomicUsize::new(0),
            blobs: Mutex::new(BlobStore::new(options.blobs.clone())),
            past: Mutex::default(),
            reconnects: AtomicU32::new(0),
            options,
        })
    }

    /// Name of the host.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Connects unless that was done, and says what the agent is.
    ///
    /// # Errors
    /// When the host cannot be used.
    pub fn agent_info(&self) -> Result<AgentInfo, RemoteError> {
        Ok(self.connection_at(0)?.agent_info().clone())
    }

    /// As [`Host::agent_info`], what its login shell printed before the agent started.
    ///
    /// # Errors
    /// As [`Host::agent_info`].
    pub fn startup_output(&self) -> Result<String, RemoteError> {
        Ok(self.connection_at(0)?.startup_output().to_owned())
    }

    /// As [`Host::agent_info`], how long a small request takes to be answered.
    ///
    /// # Errors
    /// As [`Host::agent_info`].
    pub fn round_trip(&self) -> Result<Duration, RemoteError> {
        Ok(self.connection_at(0)?.round_trip())
    }

    /// Threads that keep the host's CPUs busy: each waits for its batch, so the more the longer the way is.
    ///
    /// # Errors
    /// As [`Host::agent_info`].
    pub fn worker_count(&self) -> Result<usize, RemoteError> {
        /// An engine takes about so long for a batch.
        const BATCH: u128 = 10;
        const MOST: usize = 64;
        let connection = self.connection_at(0)?;
        let on_the_way = connection.round_trip().as_millis().div_ceil(BATCH);
        let each = 2 + usize::try_from(on_the_way).unwrap_or(MOST);
        let agents = self.options.connections.max(1);
        Ok((connection.agent_info().cpus as usize * each)
            .clamp(2, MOST)
            .max(agents))
    }

    /// What went over all connections so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        let mut all = *self.past.lock().unwrap_or_else(PoisonError::into_inner);
        for place in &self.places {
            if let Place::Open(connection) = &*place.lock().unwrap_or_else(PoisonError::into_inner) {
                all = sum(all, connection.traffic());
            }
        }
        all
    }

    /// How often a connection was lost and replaced.
    #[must_use]
    pub fn reconnects(&self) -> u32 {
        self.reconnects.load(Ordering::Relaxed)
    }

    /// A place for an engine: they are given out in turn.
    pub(super) fn next_place(&self) -> usize {
        self.next.fetch_add(1, Ordering::Relaxed) % self.places.len()
    }

    /// The connection at `place`; made when there is none, made again when it was lost.
    pub(super) fn connection_at(&self, place: usize) -> Result<Arc<Connection>, RemoteError> {
        let mut place = self.places[place].lock().unwrap_or_else(PoisonError::into_inner);
        let connection = match &*place {
            Place::Open(connection) if connection.is_alive() => return Ok(Arc::clone(connection)),
            Place::Dead(problem) => {
                return Err(RemoteError::Lost {
                    host: self.name.clone(),
                    problem: problem.clone(),
                });
            }
            Place::Empty => self.connect()?,
            Place::Open(lost) => {
                let mut past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
                *past = sum(*past, lost.traffic());
                drop(past);
                self.reconnect().inspect_err(|error| {
                    *place = Place::Dead(error.to_string());
                })?
            }
        };
        let connection = Arc::new(connection);
        *place = Place::Open(Arc::clone(&connection));
        Ok(connection)
    }

    fn connect(&self) -> Result<Connection, RemoteError> {
        let patience = Patience {
            start: self.options.start_patience,
            silence: self.options.silence,
        };
        let link = self.transport.connect()?;
        let connection = Connection::from_link(&self.name, link, patience, self.options.transfer_cache)?;
        if !connection.startup_output().trim().is_empty() {
            info!(
                host = self.name,
                noise = connection.startup_output(),
                "was printed before the agent started"
            );
        }
        Ok(connection)
    }

    /// Connects again, with longer and longer waits between trials.
    fn reconnect(&self) -> Result<Connection, RemoteError> {
        let deadline = Instant::now() + self.options.reconnect_patience;
        let waits = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(100))
            .with_max_delay(Duration::from_secs(10))
            .with_jitter()
            .without_max_times()
            .build();
        for wait in waits {
            let error = match self.connect() {
                Ok(connection) => {
                    self.reconnects.fetch_add(1, Ordering::Relaxed);
                    info!(host = self.name, "connected again");
                    return Ok(connection);
                }
                Err(error) => error,
            };
            if !error.is_lost_host() || Instant::now() + wait > deadline {
                return Err(error);
            }
            warn!(host = self.name, %error, "the host does not answer; it is tried again");
            thread::sleep(wait);
        }
        unreachable!("there is no last wait")
    }
}

fn sum(a: Traffic, b: Traffic) -> Traffic {
    Traffic {
        sent: a.sent + b.sent,
        received: a.received + b.received,
    }
}
