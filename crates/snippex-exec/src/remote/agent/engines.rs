//! Engines of an agent: a queue for each that was opened, and threads that take from it, each with an engine of its own.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use snippex_blocks::binary::Image;

use super::session::{Origin, Origins, answer_on, failure_answer, in_words};
use crate::affinity;
use crate::discovery::CaseMaker;
use crate::engine::{
    Engine, EngineEntry, EngineError, EngineSpec, EngineTable, MockEngine, ProgramDigests, RunnerEngine,
    digest_file,
};
use crate::memory_source::MemorySource;
use crate::remote::RemoteError;
use crate::remote::batch::{PackedResults, read_groups};
use crate::remote::digest::Digester;
use crate::remote::frame::Kind;
use crate::remote::message::{Answer, BatchWire, Request, decode_message, pack_message};
use crate::remote::output::Output;

/// What is asked of an engine.
#[derive(Clone, Copy, Debug)]
pub(super) enum Job {
    /// Run a batch, whose cases come from there.
    Run { origin: Option<u32> },
    /// Begin with a fresh process.
    Restart,
}

/// A job with its message.
struct Queued {
    stream: u32,
    origin: Option<u32>,
    payload: Vec<u8>,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Queued>,
    /// How often a fresh process was asked for.
    restarts: u64,
    closed: bool,
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

/// An engine that was opened. Its threads end when this goes.
pub(super) struct EngineQueue {
    shared: Arc<Shared>,
    output: Arc<Output>,
    threads: Vec<JoinHandle<()>>,
}

impl EngineQueue {
    /// Starts the engine called `name`, and answers on `stream` what it is.
    pub(super) fn start_engine(
        name: String,
        entry: Option<String>,
        stream: u32,
        output: &Arc<Output>,
        origins: &Origins,
    ) -> Self {
        let shared = Arc::new(Shared::default());
        let count = thread::available_parallelism().map_or(1, usize::from);
        let places = affinity::one_each(count);
        let choice = Arc::new(Choice { name, entry });
        let threads = (0..count).map(|thread| {
            let mut worker = Worker {
                choice: Arc::clone(&choice),
                shared: Arc::clone(&shared),
                output: Arc::clone(output),
                origins: Arc::clone(origins),
                engine: None,
                restarts: 0,
                digester: Digester::default(),
            };
            let place = places.as_ref().map(|places| places[thread]);
            let opens = (thread == 0).then_some(stream);
            thread::spawn(move || {
                if let Some(place) = place {
                    affinity::stay_on(&place);
                }
                if let Some(stream) = opens {
                    worker.open(stream);
                }
                worker.work();
            })
        });
        Self {
            threads: threads.collect(),
            shared,
            output: Arc::clone(output),
        }
    }

    pub(super) fn add_job(&self, stream: u32, job: Job, payload: Vec<u8>) {
        let mut waiting = self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        match job {
            Job::Run { origin } => {
                waiting.jobs.push_back(Queued {
                    stream,
                    origin,
                    payload,
                });
                self.shared.changed.notify_one();
            }
            Job::Restart => {
                waiting.restarts += 1;
                drop(waiting);
                // Whoever asks is the thread that reads.
                self.output
                    .send_now(stream, Kind::Message, &pack_message(&Answer::Done));
            }
        }
    }
}

impl Drop for EngineQueue {
    fn drop(&mut self) {
        let mut waiting = self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.closed = true;
        waiting.jobs.clear();
        drop(waiting);
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            // A panic was printed where it happened.
            let _ = thread.join();
        }
    }
}

/// Which engine is started.
struct Choice {
    name: String,
    /// As JSON: it names an engine of this machine's, not of the host's.
    entry: Option<String>,
}

impl Choice {
    /// How it is started; `None` for the mock, which is no program.
    fn spec(&self) -> Result<Option<EngineSpec>, RemoteError> {
        if self.name == "mock" {
            return Ok(None);
        }
        let own = match &self.entry {
            None => None,
            Some(json) => {
                let entry: EngineEntry = serde_json::from_str(json)
                    .map_err(|_| RemoteError::Malformed("the entry of an engine cannot be read"))?;
                let name = self.name.split('/').next().unwrap_or_default();
                Some((name.to_owned(), entry))
            }
        };
        let spec = EngineTable::new(own).resolve_spec(&self.name);
        spec.map(Some).map_err(|error| RemoteError::Engine {
            host: this_host(),
            problem: error.to_string(),
            hint: error.hint(),
        })
    }

    fn start(&self) -> Result<Box<dyn Engine>, RemoteError> {
        let failed = |error: EngineError| on_engine(&error);
        Ok(match self.spec()? {
            None => Box::new(MockEngine::with_planted_bug().map_err(failed)?),
            Some(spec) => Box::new(RunnerEngine::start(spec).map_err(failed)?),
        })
    }

    fn program_digests(&self) -> ProgramDigests {
        match self.spec() {
            Ok(None) => Ok("mock".to_owned()),
            Ok(Some(spec)) => spec.digest_program_files(&mut digest_file),
            Err(error) => Err(error.to_string()),
        }
    }
}

fn on_engine(error: &EngineError) -> RemoteError {
    RemoteError::Engine {
        host: this_host(),
        problem: in_words(error),
        hint: error.hint(),
    }
}

fn this_host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// A thread with an engine.
struct Worker {
    choice: Arc<Choice>,
    shared: Arc<Shared>,
    output: Arc<Output>,
    origins: Origins,
    engine: Option<Box<dyn Engine>>,
    restarts: u64,
    digester: Digester,
}

impl Worker {
    fn open(&mut self, stream: u32) {
        let answer = match self.choice.start() {
            Ok(engine) => {
                let identity = Box::new(engine.identity().clone());
                self.engine = Some(engine);
                Answer::Opened(identity, self.choice.program_digests())
            }
            Err(error) => failure_answer(&error),
        };
        answer_on(&self.output, stream, &answer);
    }

    /// Takes jobs until there are no more. A program is read once for all jobs in a row that are about it.
    fn work(&mut self) {
        let mut next = self.next();
        while let Some(job) = next {
            let known = job.origin.map(|number| {
                let origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
                (number, origins.get(&number).cloned())
            });
            next = match known {
                None => {
                    self.run(&job, None);
                    self.next()
                }
                Some((number, Some(origin))) => self.work_on(number, &origin, job),
                Some((_, None)) => {
                    let error = RemoteError::Malformed("a batch is from nowhere");
                    answer_on(&self.output, job.stream, &failure_answer(&error));
                    self.next()
                }
            };
        }
    }

    /// Does `job` and all after it that are of the same origin, and gives the first that is not.
    fn work_on(&mut self, number: u32, origin: &Origin, job: Queued) -> Option<Queued> {
        let Ok(image) = origin.program.as_deref().map(Image::parse).transpose() else {
            let error = RemoteError::Malformed("the program cannot be read");
            answer_on(&self.output, job.stream, &failure_answer(&error));
            return self.next();
        };
        let wire = &origin.wire;
        let source = MemorySource::new(image.as_ref(), wire.placement, wire.seed);
        let states = wire.states as usize;
        let mut maker = CaseMaker::new(source, wire.placement, wire.seed, states).in_style(wire.style());
        let same_pool = self.digester.digest_vector_pool(maker.vector_pool()) == wire.pool;
        let mut job = job;
        loop {
            match same_pool {
                true => self.run(&job, Some(&mut maker)),
                false => answer_on(&self.output, job.stream, &Answer::OtherCases),
            }
            job = self.next()?;
            if job.origin.is_some_and(|other| other != number) {
                return Some(job);
            }
        }
    }

    fn next(&self) -> Option<Queued> {
        let mut waiting = self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if waiting.closed {
                return None;
            }
            if let Some(job) = waiting.jobs.pop_front() {
                return Some(job);
            }
            let changed = self.shared.changed.wait(waiting);
            waiting = changed.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Runs a batch, and answers.
    fn run(&mut self, job: &Queued, maker: Option<&mut CaseMaker<'_>>) {
        self.output.grant_credit(job.payload.len());
        let done = match decode_message::<Request<'_>>(&job.payload) {
            Ok(Request::Run { batch, .. }) => self.run_batch(&batch, maker),
            Ok(_) => Err(RemoteError::Malformed("a job is no batch")),
            Err(error) => Err(error.into()),
        };
        match done {
            Ok(Some(results)) => {
                let results = results.to_wire();
                answer_on(&self.output, job.stream, &Answer::Ran { results });
            }
            Ok(None) => answer_on(&self.output, job.stream, &Answer::OtherCases),
            Err(error) => {
                // The next batch has a new engine.
                self.engine = None;
                answer_on(&self.output, job.stream, &failure_answer(&error));
            }
        }
    }

    fn run_batch(
        &mut self,
        batch: &BatchWire<'_>,
        maker: Option<&mut CaseMaker<'_>>,
    ) -> Result<Option<PackedResults>, RemoteError> {
        let Some((groups, expected)) = read_groups(batch.groups.0, maker, &mut self.digester)? else {
            return Ok(None);
        };
        self.restart_if_asked()?;
        let engine = match &mut self.engine {
            Some(engine) => engine,
            none => none.insert(self.choice.start()?),
        };
        let results = match batch.fresh {
            true => engine.run_fresh(&groups),
            false => engine.run(&groups),
        };
        let results = results.map_err(|error| on_engine(&error))?;
        PackedResults::from_results(
            &results,
            &expected,
            batch.expected.0,
            batch.covered,
            &mut self.digester,
        )
        .map(Some)
    }

    /// Has the engine begin anew when that was asked for since its last batch.
    fn restart_if_asked(&mut self) -> Result<(), RemoteError> {
        let waiting = self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let restarts = waiting.restarts;
        drop(waiting);
        if std::mem::replace(&mut self.restarts, restarts) != restarts
            && let Some(engine) = &mut self.engine
        {
            engine.restart().map_err(|error| on_engine(&error))?;
        }
        Ok(())
    }
}
