//! How fast an engine on another host is against the same engine here, and what travels: in one run, on one machine, over a way
//! that is as long as is said.
//!
//!     cargo run --release -p snippex-exec --features remote --example measure_remote -- /bin/bash qemu-x86_64 8000

use std::error::Error;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Sender, channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use snippex_blocks::binary::Image;
use snippex_blocks::extract::extract_blocks;
use snippex_core::address_space::place_image;
use snippex_core::block::Block;
use snippex_core::case::Placement;
use snippex_core::seed::Style;
use snippex_exec::check::{CheckJob, CheckOptions, CheckReport, EngineFactory, check_blocks};
use snippex_exec::engine::{Engine, EngineShare, EngineSpec, RunnerEngine};
use snippex_exec::remote::{
    AgentOptions, CommandTransport, EngineOrder, Host, HostOptions, Link, RemoteEngine, RemoteError, Traffic,
    Transport, serve_host,
};

type Fallible<T> = Result<T, Box<dyn Error>>;

/// An agent in a process of its own, `delay` away in each direction.
#[derive(Debug)]
struct Away {
    agent: CommandTransport,
    delay: Duration,
}

impl Transport for Away {
    fn connect(&self) -> Result<Link, RemoteError> {
        let link = self.agent.connect()?;
        let (ours, theirs) = UnixStream::pair()?;
        carry(theirs.try_clone()?, link.writer, self.delay);
        let back = theirs.try_clone()?;
        carry(link.reader, back, self.delay);
        let closer = ours.try_clone()?;
        let close = link.close;
        Ok(Link {
            reader: Box::new(ours.try_clone()?),
            writer: Box::new(ours),
            close: Box::new(move || {
                // It may be closed already.
                let _ = closer.shutdown(Shutdown::Both);
                close();
            }),
            agent: None,
            words: Arc::new(Mutex::new(String::new())),
        })
    }
}

/// Passes on what comes, `delay` later.
fn carry(mut from: impl Read + Send + 'static, mut to: impl Write + Send + 'static, delay: Duration) {
    let (sender, receiver): (Sender<(Instant, Vec<u8>)>, _) = channel();
    thread::spawn(move || {
        for (due, bytes) in receiver {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).and_then(|()| to.flush()).is_err() {
                return;
            }
        }
    });
    thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if sender
                .send((Instant::now() + delay, buffer[..count].to_vec()))
                .is_err()
            {
                return;
            }
        }
    });
}

/// What is checked.
struct Program<'p> {
    image: &'p Image<'p>,
    blocks: Vec<Arc<Block>>,
    placement: Placement,
}

impl Program<'_> {
    /// Runs and seconds of a check.
    fn check(&self, threads: usize, subject: &EngineFactory<'_>) -> Fallible<(u64, f64)> {
        let native =
            || -> Result<Box<dyn Engine>, _> { Ok(Box::new(RunnerEngine::start(EngineSpec::native())?)) };
        let share = EngineShare::new(native()?, cpus(), native);
        // As a check on this machine has them: an engine of its own for each thread.
        let own: &EngineFactory<'_> = &native;
        let shared: &EngineFactory<'_> = &|| Ok(share.engine_for_thread());
        let job = CheckJob {
            image: Some(self.image),
            placement: self.placement,
            reference: if threads > cpus() { shared } else { own },
            subject,
            style: Style::Compiled,
            options: CheckOptions {
                threads,
                ..CheckOptions::default()
            },
        };
        let (sender, receiver) = sync_channel(1024);
        let started = Instant::now();
        let runs = thread::scope(|scope| -> Fallible<u64> {
            let (job, blocks) = (&job, &self.blocks);
            let working = scope.spawn(move || check_blocks(job, blocks, &sender, &AtomicBool::new(false)));
            let mut runs = 0;
            for report in receiver {
                if let CheckReport::Block(report) = report {
                    runs += report.runs;
                }
            }
            working.join().map_err(|_| "a check panicked")??;
            Ok(runs)
        })?;
        Ok((runs, started.elapsed().as_secs_f64()))
    }
}

fn cpus() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn host(round_trip: Duration, folder: &std::path::Path) -> Fallible<Arc<Host>> {
    let own = std::env::current_exe()?;
    let agent = CommandTransport {
        host: "away".into(),
        command: vec![
            own.display().to_string(),
            "agent".into(),
            folder.join("far").display().to_string(),
        ],
        agent: None,
    };
    let away = Away {
        agent,
        delay: round_trip / 2,
    };
    let options = HostOptions {
        blobs: Some(folder.join("near")),
        ..HostOptions::default()
    };
    Ok(Host::new("away", Box::new(away), options))
}

/// Checks on a host, and says how fast that was against `here` (runs a second) and what travelled.
fn measure(
    program: &Program<'_>,
    engine: &str,
    round_trip: Duration,
    folder: &std::path::Path,
    here: f64,
) -> Fallible<()> {
    let host = host(round_trip, folder)?;
    let threads = host.worker_count()?;
    let order = EngineOrder {
        host: Arc::clone(&host),
        engine: engine.to_owned(),
        entry: None,
    };
    let start = || -> Result<Box<dyn Engine>, _> { Ok(Box::new(RemoteEngine::start(&order)?)) };
    start()?;
    // The program is on its way once; what a run costs is measured after that.
    let before = host.traffic();
    let few = Program {
        blocks: program.blocks[..1].to_vec(),
        ..*program
    };
    few.check(1, &start)?;
    let sent = host.traffic();
    let (runs, seconds) = program.check(threads, &start)?;
    let Traffic {
        sent: out,
        received: back,
    } = host.traffic();
    let rate = runs as f64 / seconds;
    println!(
        "round trip {:3} ms, {threads:2} threads: {rate:9.0} runs/s, {:3.0} % of here; {:.2} bytes out and {:.2} back a run; \
         {} bytes before the first batch",
        round_trip.as_millis(),
        100.0 * rate / here,
        (out - sent.sent) as f64 / runs as f64,
        (back - sent.received) as f64 / runs as f64,
        sent.sent - before.sent,
    );
    Ok(())
}

fn main() -> Fallible<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [word, folder] = &arguments[..]
        && word == "agent"
    {
        let options = AgentOptions {
            blobs: Some(folder.into()),
        };
        return Ok(serve_host(
            &mut std::io::stdin(),
            Box::new(std::io::stdout()),
            &options,
        )?);
    }
    let [path, engine, count] = &arguments[..] else {
        return Err("give a program, an engine, and a number of blocks".into());
    };
    let file = std::fs::read(path)?;
    let image = Image::parse(&file)?;
    let index = extract_blocks(&image);
    let count: usize = count.parse()?;
    let runnable = || index.iter().filter(|block| block.unrunnable.is_none());
    let step = (runnable().count() / count).max(1);
    let program = Program {
        image: &image,
        blocks: runnable().step_by(step).take(count).map(Arc::new).collect(),
        placement: place_image(&image.address_range(), image.position_independent())?,
    };
    let spec = EngineSpec::from_preset(engine)?;
    let (runs, seconds) = program.check(cpus(), &|| Ok(Box::new(RunnerEngine::start(spec.clone())?)))?;
    let here = runs as f64 / seconds;
    println!("here, {} threads: {here:.0} runs/s, {runs} runs", cpus());
    let folder = tempfile::tempdir()?;
    for milliseconds in [0, 0, 20, 100] {
        measure(
            &program,
            engine,
            Duration::from_millis(milliseconds),
            folder.path(),
            here,
        )?;
    }
    Ok(())
}
