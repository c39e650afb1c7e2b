//! SSH without the system's program for it: connections that are kept, and shells on them.
//!
//! `settings` asks the system's ssh what its files say, so that Include, Match and ProxyJump count; `known_hosts` decides whether
//! a host is the one it says; `connect` makes a connection and logs in, by keys of an agent and of files; `channel` is one shell,
//! as a stream of bytes. This folder is where async code ends: what is given out reads and writes as files do.

mod channel;
mod connect;
mod known_hosts;
mod settings;

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use russh::client::Handle;
use tokio::runtime::Runtime;
use tracing::debug;

use super::RemoteError;
use super::transport::{Link, Transport};
use connect::Client;
use settings::SshSettings;

/// How long a connection is kept that nobody uses.
const IDLE: Duration = Duration::from_secs(60);
/// Longest time for the answer to the question whether a connection still works.
const HEALTH: Duration = Duration::from_secs(5);

/// The threads that all connections share.
fn runtime() -> io::Result<&'static Runtime> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let made = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("ssh")
        .enable_all()
        .build()?;
    Ok(RUNTIME.get_or_init(|| made))
}

/// Leads to shells of a host, over connections that are kept.
pub(super) struct SshTransport {
    host: String,
    to: String,
    size: usize,
    keep: bool,
    settings: OnceLock<SshSettings>,
    pool: Arc<Mutex<Vec<Arc<Pooled>>>>,
}

impl std::fmt::Debug for SshTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SshTransport")
            .field("host", &self.host)
            .field("to", &self.to)
            .finish_non_exhaustive()
    }
}

/// A connection that is kept.
struct Pooled {
    handle: Handle<Client>,
    shells: AtomicUsize,
    used: Mutex<Instant>,
}

impl Pooled {
    fn touch(&self) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn idle_for(&self) -> Duration {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    /// Whether the other side still answers.
    async fn works(&self) -> bool {
        !self.handle.is_closed()
            && matches!(
                tokio::time::timeout(HEALTH, self.handle.send_ping()).await,
                Ok(Ok(()))
            )
    }
}

impl SshTransport {
    /// Up to `size` connections to `to`, which are used again if `keep`.
    pub(super) fn new(host: &str, to: &str, size: usize, keep: bool) -> Self {
        Self {
            host: host.to_owned(),
            to: to.to_owned(),
            size: size.max(1),
            keep,
            settings: OnceLock::new(),
            pool: Arc::default(),
        }
    }

    fn settings(&self) -> Result<&SshSettings, RemoteError> {
        if let Some(settings) = self.settings.get() {
            return Ok(settings);
        }
        let read = settings::read_ssh_settings(&self.to).map_err(|problem| self.unreachable(&problem))?;
        Ok(self.settings.get_or_init(|| read))
    }

    /// A connection that works: of those that are kept the one with the fewest shells, when there are enough, else a new one.
    async fn lease(&self) -> Result<Arc<Pooled>, RemoteError> {
        let mut kept = self.kept();
        if kept.len() >= self.size || kept.iter().any(|one| one.shells.load(Ordering::Relaxed) == 0) {
            kept.sort_by_key(|one| one.shells.load(Ordering::Relaxed));
            for one in kept {
                if one.works().await {
                    one.touch();
                    return Ok(one);
                }
                debug!(host = self.host, "a kept connection does not answer any more");
                forget(&self.pool, &one);
            }
        }
        let handle = connect::connect_to_host(&self.host, &self.to, self.settings()?).await?;
        let pooled = Arc::new(Pooled {
            handle,
            shells: AtomicUsize::new(0),
            used: Mutex::new(Instant::now()),
        });
        if self.keep {
            let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
            pool.push(Arc::clone(&pooled));
        }
        Ok(pooled)
    }

    fn kept(&self) -> Vec<Arc<Pooled>> {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        pool.retain(|one| !one.handle.is_closed());
        pool.clone()
    }

    fn unreachable(&self, problem: &str) -> RemoteError {
        RemoteError::Unreachable {
            host: self.host.clone(),
            problem: problem.to_owned(),
            noise: String::new(),
        }
    }
}

impl Transport for SshTransport {
    fn connect(&self) -> Result<Link, RemoteError> {
        runtime()?.block_on(async {
            let pooled = self.lease().await?;
            pooled.shells.fetch_add(1, Ordering::Relaxed);
            let ended = {
                let (pooled, pool, keep) = (Arc::clone(&pooled), Arc::clone(&self.pool), self.keep);
                async move { release(&pooled, &pool, keep).await }
            };
            match channel::open_shell(&pooled.handle, ended).await {
                Ok(link) => Ok(link),
                Err(error) => {
                    forget(&self.pool, &pooled);
                    Err(self.unreachable(&format!("it opens no shell: {error}")))
                }
            }
        })
    }
}

fn forget(pool: &Mutex<Vec<Arc<Pooled>>>, one: &Arc<Pooled>) {
    let mut pool = pool.lock().unwrap_or_else(PoisonError::into_inner);
    pool.retain(|other| !Arc::ptr_eq(other, one));
}

/// A shell has ended: its connection is closed, at once or when nobody has used it for a while.
async fn release(pooled: &Arc<Pooled>, pool: &Mutex<Vec<Arc<Pooled>>>, keep: bool) {
    pooled.touch();
    pooled.shells.fetch_sub(1, Ordering::Relaxed);
    if keep {
        tokio::time::sleep(IDLE).await;
        if pooled.shells.load(Ordering::Relaxed) > 0 || pooled.idle_for() < IDLE {
            return;
        }
    }
    forget(pool, pooled);
    // It may be closed already.
    let _ = pooled
        .handle
        .disconnect(russh::Disconnect::ByApplication, "", "")
        .await;
}
