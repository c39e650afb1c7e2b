//! An engine behind an agent gives what the same engine gives here, to the bit; and whatever happens to the way to it costs no
//! more than the batches that were on it.
#![expect(clippy::unwrap_used, reason = "a test, its helpers included")]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use snippex_blocks::binary::Image;
use snippex_blocks::extract::extract_blocks;
use snippex_core::address_space::place_image;
use snippex_core::block::Block;
use snippex_core::case::Placement;
use snippex_core::seed::Style;
use snippex_exec::batch::split_into_batches;
use snippex_exec::check::{CheckJob, CheckOptions, CheckReport, EngineFactory, check_blocks};
use snippex_exec::engine::{Engine, EngineError, EngineShare, EngineSpec, MockEngine, RunnerEngine};
use snippex_exec::engine_check::check_engine;
use snippex_exec::remote::{
    AgentOptions, EngineOrder, Host, HostOptions, Link, RemoteEngine, RemoteError, Transport, serve_host,
};
use snippex_exec::{CaseMaker, MemorySource, RunOutcome};

const STATES: usize = 24;

fn native() -> Box<dyn Engine> {
    Box::new(RunnerEngine::start(EngineSpec::native()).unwrap())
}

fn qemu() -> Box<dyn Engine> {
    let spec = EngineSpec::from_preset("qemu-x86_64").expect("install it: cargo xtask test does");
    Box::new(RunnerEngine::start(spec).unwrap())
}

/// What happens on the way to an agent.
#[derive(Clone, Copy, Debug, Default)]
struct Way {
    /// What a login shell prints before the agent starts.
    noise: &'static [u8],
    /// Time in each direction.
    delay: Duration,
    /// The first connections are cut when so many bytes have come from the agent.
    cut_after: Option<usize>,
    /// How many of them.
    cuts: u32,
    /// They fall silent instead.
    silent: bool,
    /// No connection comes about after the first.
    once: bool,
}

/// Agents in threads of this process.
#[derive(Debug, Default)]
struct Nearby {
    way: Way,
    connected: Arc<AtomicU32>,
}

impl Transport for Nearby {
    fn connect(&self) -> Result<Link, RemoteError> {
        let number = self.connected.fetch_add(1, Ordering::Relaxed);
        if self.way.once && number > 0 {
            return Err(RemoteError::Unreachable {
                host: "near".into(),
                problem: "it is gone".into(),
                noise: String::new(),
            });
        }
        let way = self.way;
        let cut = way.cut_after.filter(|_| number < way.cuts);
        let (ours, outer) = UnixStream::pair().unwrap();
        let (inner, theirs) = UnixStream::pair().unwrap();
        carry(
            outer.try_clone().unwrap(),
            inner.try_clone().unwrap(),
            way.delay,
            None,
            false,
        );
        carry(inner, outer, way.delay, cut, way.silent);
        thread::spawn(move || {
            let mut output = theirs.try_clone().unwrap();
            // The test may have hung up.
            let _ = output.write_all(way.noise);
            let mut input = theirs.try_clone().unwrap();
            let _ = serve_host(&mut input, Box::new(output), &AgentOptions::default());
            let _ = theirs.shutdown(Shutdown::Both);
        });
        let closer = ours.try_clone().unwrap();
        Ok(Link {
            reader: Box::new(ours.try_clone().unwrap()),
            writer: Box::new(ours),
            close: Box::new(move || drop(closer.shutdown(Shutdown::Both))),
            agent: None,
            words: Arc::new(Mutex::new(String::new())),
        })
    }
}

/// Passes on what comes after `delay`, up to `cut` bytes.
fn carry(mut from: UnixStream, mut to: UnixStream, delay: Duration, cut: Option<usize>, silent: bool) {
    let (sender, receiver) = std::sync::mpsc::channel::<(std::time::Instant, Vec<u8>)>();
    let ends = (from.try_clone().unwrap(), to.try_clone().unwrap());
    thread::spawn(move || {
        for (due, bytes) in receiver {
            thread::sleep(due.saturating_duration_since(std::time::Instant::now()));
            if to.write_all(&bytes).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
    thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        let mut passed = 0;
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            passed += count;
            if cut.is_some_and(|cut| passed > cut) {
                if silent {
                    continue;
                }
                let _ = ends.0.shutdown(Shutdown::Both);
                let _ = ends.1.shutdown(Shutdown::Both);
                return;
            }
            let due = std::time::Instant::now() + delay;
            if sender.send((due, buffer[..count].to_vec())).is_err() {
                return;
            }
        }
    });
}

fn host(way: Way) -> Arc<Host> {
    let options = HostOptions {
        silence: Duration::from_secs(4),
        reconnect_patience: Duration::from_secs(5),
        ..HostOptions::default()
    };
    let transport = Nearby {
        way,
        ..Nearby::default()
    };
    Host::new("near", Box::new(transport), options)
}

fn engine_of(host: &Arc<Host>, name: &str) -> Result<Box<dyn Engine>, EngineError> {
    let order = EngineOrder {
        host: Arc::clone(host),
        engine: name.into(),
        entry: None,
    };
    Ok(Box::new(RemoteEngine::start(&order)?))
}

/// Some blocks of libm: qemu gets some of them wrong, whatever system this is.
struct Blocks {
    file: Vec<u8>,
}

impl Blocks {
    fn read() -> Self {
        Self {
            file: std::fs::read("/lib/x86_64-linux-gnu/libm.so.6").unwrap(),
        }
    }

    fn image(&self) -> Image<'_> {
        Image::parse(&self.file).unwrap()
    }

    fn choose(image: &Image<'_>, count: usize) -> (Vec<Arc<Block>>, Placement) {
        let index = extract_blocks(image);
        let runnable = || index.iter().filter(|block| block.unrunnable.is_none());
        let step = (runnable().count() / count).max(1);
        let blocks = runnable().step_by(step).take(count).map(Arc::new).collect();
        let placement = place_image(&image.address_range(), image.position_independent()).unwrap();
        (blocks, placement)
    }

    /// What a check says of every block.
    fn verdicts(
        &self,
        count: usize,
        threads: usize,
        subject: &EngineFactory<'_>,
    ) -> Result<BTreeMap<usize, String>, EngineError> {
        let image = self.image();
        let (blocks, placement) = Self::choose(&image, count);
        let share = EngineShare::new(native(), 2, || Ok(native()));
        let job = CheckJob {
            image: Some(&image),
            placement,
            reference: &|| Ok(share.engine_for_thread()),
            subject,
            style: Style::Compiled,
            options: CheckOptions {
                states: STATES,
                threads,
                batch: 16,
                ..CheckOptions::default()
            },
        };
        let (sender, receiver) = sync_channel(blocks.len() + 1);
        let done = check_blocks(&job, &blocks, &sender, &AtomicBool::new(false));
        drop(sender);
        let mut verdicts = BTreeMap::new();
        for report in receiver {
            if let CheckReport::Block(report) = report {
                let mut report = *report;
                // Which of several threads was the first to meet a bug is no verdict.
                for finding in &mut report.findings {
                    finding.attributions.clear();
                }
                report.bugs.clear();
                let before = verdicts.insert(report.index, format!("{report:?}"));
                assert!(before.is_none(), "block {} was told twice", report.index);
            }
        }
        done.map(|()| verdicts)
    }
}

#[test]
fn every_end_is_the_same_as_here() {
    let blocks = Blocks::read();
    let image = blocks.image();
    let (chosen, placement) = Blocks::choose(&image, 200);
    let source = MemorySource::new(Some(&image), placement, 1);
    let mut maker = CaseMaker::new(source, placement, 1, STATES);
    let (mut reference, mut here) = (native(), qemu());
    let host = host(Way::default());
    let mut there = engine_of(&host, "qemu-x86_64").unwrap();
    there.cases_come_from(&maker.origin(Some(blocks.file.as_slice().into())));
    assert_eq!(there.identity().name, "near/qemu-x86_64");
    assert_eq!(there.identity().cpu, here.identity().cpu);
    let groups = maker.make_groups(&chosen, reference.as_mut()).unwrap();
    let (mut ran, mut same) = (0, 0);
    for range in split_into_batches(&groups) {
        let batch = &groups[range];
        let expected = reference.run(batch).unwrap();
        let local = here.run(batch).unwrap();
        let all = there.run(batch).unwrap().to_owned_results();
        let all = all.view(batch).unwrap();
        let told = there.run_expecting(batch, &expected).unwrap();
        for (group, position) in batch.iter().zip(0..) {
            for start in 0..group.starts.len() {
                assert_eq!(all.outcome(position, start), local.outcome(position, start));
                let matches = expected.same_bits(&local, position, start);
                assert_eq!(expected.same_bits(&told, position, start), matches);
                if !matches {
                    assert_eq!(told.outcome(position, start), local.outcome(position, start));
                }
                ran += usize::from(matches!(local.outcome(position, start), RunOutcome::Ran(_)));
                same += usize::from(matches);
            }
        }
    }
    assert!(ran > 4000 && same > 4000 && same < ran, "{same} of {ran}");
}

#[test]
fn a_check_over_any_way_says_what_a_check_here_says() {
    let blocks = Blocks::read();
    let here = blocks.verdicts(300, 2, &|| Ok(qemu())).unwrap();
    assert_eq!(here.len(), 300);
    let ways = [
        Way {
            noise: b"Welcome!\r\n\0\x1b[1mnews\x1b[0m",
            ..Way::default()
        },
        Way {
            delay: Duration::from_millis(25),
            ..Way::default()
        },
        // Cut in the middle of an answer, more than once.
        Way {
            cut_after: Some(2_000),
            cuts: 2,
            ..Way::default()
        },
        Way {
            cut_after: Some(2_000),
            cuts: 1,
            silent: true,
            ..Way::default()
        },
    ];
    for way in ways {
        let host = host(way);
        let there = blocks
            .verdicts(300, 4, &|| engine_of(&host, "qemu-x86_64"))
            .unwrap();
        assert_eq!(host.reconnects(), way.cuts, "{way:?}");
        for (index, verdict) in &here {
            assert_eq!(&there[index], verdict, "{way:?}");
        }
        assert_eq!(host.startup_output().unwrap().is_empty(), way.noise.is_empty());
    }
}

#[test]
fn a_host_that_dies_is_replaced_by_another_and_none_is_an_error() {
    let blocks = Blocks::read();
    let here = blocks.verdicts(300, 2, &|| Ok(qemu())).unwrap();
    let dies = Way {
        cut_after: Some(2_000),
        cuts: 1,
        once: true,
        ..Way::default()
    };
    let (dying, living) = (host(dies), host(Way::default()));
    let turn = AtomicU32::new(0);
    let both = || {
        let turn = turn.fetch_add(1, Ordering::Relaxed);
        engine_of(
            if turn.is_multiple_of(2) { &dying } else { &living },
            "qemu-x86_64",
        )
    };
    assert_eq!(blocks.verdicts(300, 4, &both).unwrap(), here);
    let alone = host(dies);
    let error = blocks
        .verdicts(300, 2, &|| engine_of(&alone, "qemu-x86_64"))
        .unwrap_err();
    assert!(error.is_lost_host(), "{error}");
    assert!(error.to_string().contains("near"), "{error}");
}

#[test]
fn an_engine_there_passes_the_engine_check_and_what_is_not_there_is_told() {
    let host = host(Way::default());
    let mut there = engine_of(&host, "native").unwrap();
    let failures = check_engine(there.as_mut()).unwrap();
    assert!(failures.is_empty(), "{failures:?}");
    let error = engine_of(&host, "bochs").err().unwrap();
    assert!(error.to_string().contains("bochs"), "{error}");
    assert!(!error.is_lost_host());
}

#[test]
fn outcomes_that_an_engine_computes_arrive_as_well() {
    let blocks = Blocks::read();
    let here = blocks
        .verdicts(100, 1, &|| Ok(Box::new(MockEngine::with_planted_bug()?)))
        .unwrap();
    let host = host(Way::default());
    let there = blocks.verdicts(100, 2, &|| engine_of(&host, "mock")).unwrap();
    assert_eq!(there, here);
}

#[test]
fn a_matching_run_costs_few_bytes_and_a_program_is_sent_once() {
    let blocks = Blocks::read();
    let host = host(Way::default());
    engine_of(&host, "native").unwrap();
    let begin = host.traffic();
    let one = blocks.verdicts(1, 1, &|| engine_of(&host, "native")).unwrap();
    assert_eq!(one.len(), 1);
    let before = host.traffic();
    assert!(before.sent - begin.sent > 100_000, "the program was sent");
    blocks.verdicts(2000, 2, &|| engine_of(&host, "native")).unwrap();
    let after = host.traffic();
    let runs = (2000 * STATES) as f64;
    let sent = (after.sent - before.sent) as f64 / runs;
    let received = (after.received - before.received) as f64 / runs;
    // Of 24 runs a block; of 64 it is less.
    assert!(sent <= 13.0, "{sent} bytes a run were sent");
    assert!(received <= 1.0, "{received} bytes a run came back");
}
