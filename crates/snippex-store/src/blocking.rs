//! The one crossing between threads that compute and the asynchronous database.
//!
//! A handle owns a thread with a runtime of its own. Batches go there through a bounded channel and are saved in
//! the order in which they came; the sender only waits when the database is slower than the work for so long that
//! the channel is full. What could not be saved is told at the next call, and after that nothing more is saved:
//! a run with a hole in it would look complete.

use std::collections::BTreeSet;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

use crate::batch::BlockBatch;
use crate::error::StoreError;
use crate::ids::{RunId, UnixMillis};
use crate::open::Store;
use crate::run::{NewRun, RunEnd};
use database_kit::Location;

/// How often a run says that its process works when there is nothing else to write.
pub const HEARTBEAT: Duration = Duration::from_secs(15);

/// Jobs that wait for the writing thread before senders have to wait themselves.
const WAITING_JOBS: usize = 64;

/// A [`Store`] for code that is not asynchronous. Dropping it saves what was handed over and ends the thread.
#[derive(Debug)]
pub struct StoreHandle {
    jobs: Option<SyncSender<Job>>,
    failure: Failure,
    thread: Option<JoinHandle<()>>,
}

/// The first batch that could not be saved, and why.
type Failure = Arc<OnceLock<Arc<StoreError>>>;

type Call = Box<dyn FnOnce(&Runtime, &Store) + Send>;

enum Job {
    Save(RunId, BlockBatch),
    Watch(RunId),
    Unwatch(RunId),
    Call(Call),
}

impl StoreHandle {
    /// Opens the database as [`Store::open`] does.
    ///
    /// # Errors
    /// As [`Store::open`]; [`StoreError::Start`] when there are no threads left.
    pub fn open(location: &Location) -> Result<Self, StoreError> {
        let location = location.clone();
        Self::start(async move || Store::open(&location).await)
    }

    /// Opens the database as [`Store::open_existing`] does.
    ///
    /// # Errors
    /// As [`Store::open_existing`]; [`StoreError::Start`] when there are no threads left.
    pub fn open_existing(location: &Location) -> Result<Self, StoreError> {
        let location = location.clone();
        Self::start(async move || Store::open_existing(&location).await)
    }

    /// Hands a batch over. Returns at once unless the channel is full.
    ///
    /// # Errors
    /// [`StoreError::Unsaved`] when an earlier batch could not be saved.
    pub fn save_batch(&self, run: RunId, batch: BlockBatch) -> Result<(), StoreError> {
        self.check()?;
        if batch.is_empty() {
            Ok(())
        } else {
            self.send(Job::Save(run, batch))
        }
    }

    /// Waits until everything that was handed over is saved.
    ///
    /// # Errors
    /// [`StoreError::Unsaved`] when a batch could not be saved.
    pub fn flush(&self) -> Result<(), StoreError> {
        self.call_and_wait(async |_| Ok(()))?;
        self.check()
    }

    /// Starts a run, and keeps its heartbeat going until [`StoreHandle::finish_run`].
    ///
    /// # Errors
    /// As [`Store::start_run`].
    pub fn start_run(&self, run: NewRun) -> Result<RunId, StoreError> {
        let id = self.call_and_wait(async move |store| store.start_run(&run).await)?;
        self.send(Job::Watch(id))?;
        Ok(id)
    }

    /// Ends a run after everything that was handed over is saved. If some of it could not be, the run is
    /// recorded as interrupted.
    ///
    /// # Errors
    /// [`StoreError::Unsaved`] when a batch could not be saved; otherwise as [`Store::finish_run`].
    pub fn finish_run(&self, run: RunId, end: RunEnd, at: UnixMillis) -> Result<(), StoreError> {
        self.send(Job::Unwatch(run))?;
        let unsaved = self.flush();
        let end = if unsaved.is_err() {
            RunEnd::Interrupted
        } else {
            end
        };
        let finished = self.call_and_wait(async move |store| store.finish_run(run, end, at).await);
        unsaved.and(finished)
    }

    /// Does anything with the store and waits for the answer, after everything that was handed over before:
    /// `handle.call(async |store| store.binaries().await)`.
    ///
    /// # Errors
    /// Those of `work`; [`StoreError::Ended`] when the thread has ended.
    pub fn call_and_wait<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: AsyncFnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    {
        let (answer, answered) = sync_channel(1);
        let job = move |runtime: &Runtime, store: &Store| {
            // The caller waits for the answer; if it is gone nobody needs it.
            let _ = answer.send(runtime.block_on(work(store)));
        };
        self.send(Job::Call(Box::new(job)))?;
        answered.recv().map_err(|_| StoreError::Ended)?
    }

    fn start<F>(open: F) -> Result<Self, StoreError>
    where
        F: AsyncFnOnce() -> Result<Store, StoreError> + Send + 'static,
    {
        let (jobs, receiver) = sync_channel(WAITING_JOBS);
        let (opened, answer) = sync_channel(1);
        let failure = Failure::default();
        let noted = Arc::clone(&failure);
        let work = move || match build_runtime().and_then(|runtime| Ok((runtime.block_on(open())?, runtime)))
        {
            Err(error) => drop(opened.send(Err(error))),
            Ok((store, runtime)) => {
                drop(opened.send(Ok(())));
                Writer {
                    runtime,
                    store,
                    failure: noted,
                    watched: BTreeSet::new(),
                    beaten: Instant::now(),
                }
                .run(&receiver);
            }
        };
        let thread = thread::Builder::new()
            .name("store".to_owned())
            .spawn(work)
            .map_err(StoreError::Start)?;
        answer.recv().map_err(|_| StoreError::Ended)??;
        Ok(Self {
            jobs: Some(jobs),
            failure,
            thread: Some(thread),
        })
    }

    fn send(&self, job: Job) -> Result<(), StoreError> {
        let jobs = self.jobs.as_ref().ok_or(StoreError::Ended)?;
        jobs.send(job).map_err(|_| StoreError::Ended)
    }

    fn check(&self) -> Result<(), StoreError> {
        match self.failure.get() {
            None => Ok(()),
            Some(error) => Err(StoreError::Unsaved(Arc::clone(error))),
        }
    }
}

impl Drop for StoreHandle {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // It only ends otherwise than normally by a panic, which has been reported on stderr already.
            let _ = thread.join();
        }
    }
}

/// What the thread works with.
struct Writer {
    runtime: Runtime,
    store: Store,
    failure: Failure,
    /// Runs whose heartbeat is kept going.
    watched: BTreeSet<RunId>,
    beaten: Instant,
}

impl Writer {
    fn run(mut self, jobs: &Receiver<Job>) {
        loop {
            match jobs.recv_timeout(HEARTBEAT.saturating_sub(self.beaten.elapsed())) {
                Ok(job) => self.work(job),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.beaten.elapsed() >= HEARTBEAT {
                self.beat();
            }
        }
        self.runtime.block_on(self.store.close());
    }

    fn work(&mut self, job: Job) {
        match job {
            Job::Save(run, batch) if self.failure.get().is_none() => {
                if let Err(error) = self.runtime.block_on(self.store.save_batch(run, &batch)) {
                    self.failure.get_or_init(|| Arc::new(error));
                }
            }
            Job::Save(..) => {}
            Job::Watch(run) => drop(self.watched.insert(run)),
            Job::Unwatch(run) => drop(self.watched.remove(&run)),
            Job::Call(work) => work(&self.runtime, &self.store),
        }
    }

    /// A heartbeat that cannot be written is no failure: the next batch tells if the database is gone.
    fn beat(&mut self) {
        for run in &self.watched {
            let _ = self
                .runtime
                .block_on(self.store.update_heartbeat(*run, UnixMillis::now()));
        }
        self.beaten = Instant::now();
    }
}

/// A runtime for one thread.
pub(crate) fn build_runtime() -> Result<Runtime, StoreError> {
    let runtime: io::Result<Runtime> = Builder::new_current_thread().enable_all().build();
    runtime.map_err(StoreError::Start)
}
