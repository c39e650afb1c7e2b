//! Kills a process that writes, at many moments, and looks at what it left behind.
//!
//! Started with a path this program is the writer: it says the number of each batch on stdout as soon as the
//! batch is saved. Started without, it is the test.

#![expect(
    clippy::unwrap_used,
    reason = "a test, though without the harness that clippy knows tests by"
)]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use snippex_core::block::{Block, Origin, Terminator};
use snippex_core::state::Components;
use snippex_store::*;

const ROUNDS: u64 = 25;
const BLOCKS: u64 = 40;

fn main() {
    match std::env::args_os()
        .nth(1)
        .filter(|argument| !argument.to_string_lossy().starts_with('-'))
    {
        Some(path) if Path::new(&path).is_absolute() => write(PathBuf::from(path)),
        _ => {
            what_was_told_is_there();
            println!("test what_was_told_is_there ... ok");
        }
    }
}

fn what_was_told_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("snippex.db");
    let mut told_in_all = 0;
    for round in 0..ROUNDS {
        let told = start_and_kill(&path, Duration::from_millis(5 + round * 11 % 140));
        told_in_all += told;
        check(&path, told);
    }
    assert!(
        told_in_all > ROUNDS,
        "the writer was always killed before its second batch"
    );
}

/// Lets the writer work for a while; returns how many batches it said to be saved.
fn start_and_kill(path: &Path, after: Duration) -> u64 {
    let mut writer = Command::new(std::env::current_exe().unwrap());
    let mut writer = writer.arg(path).stdout(Stdio::piped()).spawn().unwrap();
    let stdout = BufReader::new(writer.stdout.take().unwrap());
    let told = thread::spawn(move || stdout.lines().map_while(Result::ok).count());
    thread::sleep(after);
    writer.kill().unwrap();
    writer.wait().unwrap();
    told.join().unwrap() as u64
}

fn check(path: &Path, told: u64) {
    let store = StoreHandle::open(&Location::from(path)).unwrap();
    let runs = store
        .call_and_wait(async |store| store.list_runs(None, 1).await)
        .unwrap();
    let Some(run) = runs.first() else {
        assert_eq!(told, 0);
        return;
    };
    assert_eq!(run.status, RunStatus::Interrupted, "the writer is dead");
    let id = run.id;
    let totals = store
        .call_and_wait(async move |store| store.sum_results(id).await)
        .unwrap();
    let Some((_, blocks, counts)) = totals.first() else {
        assert_eq!(told, 0);
        return;
    };
    assert_eq!(*blocks, BLOCKS);
    // Each batch adds one run to each block, and one reason to half of them.
    assert_eq!(counts.runs % BLOCKS, 0, "half a batch");
    assert_eq!(counts.inconclusive_total() * 2, counts.runs, "half a batch");
    let saved = counts.runs / BLOCKS;
    // A killed round before this one may have left the newest run, when this one did not come that far.
    assert!(saved >= told, "{told} batches were told, {saved} are there");
}

fn write(path: PathBuf) {
    let store = StoreHandle::open(&Location::Sqlite(path)).unwrap();
    let (run, engine, numbers) = prepare(&store);
    for batch in 0_u64.. {
        let result = |&block: &BlockNumber| {
            let mut counts = ResultCounts {
                runs: 1,
                completed: 1,
                ..ResultCounts::default()
            };
            if block.0 % 2 == 0 {
                counts.inconclusive.insert("reason".to_owned(), 1);
            }
            BlockResult {
                block,
                engine,
                counts,
            }
        };
        let results = numbers.iter().map(result).collect();
        store
            .save_batch(
                run,
                BlockBatch {
                    results,
                    ..BlockBatch::default()
                },
            )
            .unwrap();
        store.flush().unwrap();
        if writeln!(std::io::stdout(), "{batch}").is_err() {
            return;
        }
    }
}

fn prepare(store: &StoreHandle) -> (RunId, EngineId, Vec<BlockNumber>) {
    let binary = NewBinary {
        sha256: "0".repeat(64),
        name: "demo".to_owned(),
        path: "/bin/demo".to_owned(),
        size: 1,
        format: "elf".to_owned(),
    };
    let block = |address| Block {
        address,
        bytes: vec![0xc3],
        instruction_count: 1,
        terminator: Terminator::Ret,
        successors: vec![],
        origin: Origin::Entry,
        unrunnable: None,
    };
    let engine = StoredEngine {
        name: "mock".to_owned(),
        version: "1".to_owned(),
        configuration: "{}".to_owned(),
        components: Components::ALL,
        guest: Guest::default(),
        host_cpu: String::new(),
    };
    let host = Host {
        name: "here".to_owned(),
        architecture: "x86_64".to_owned(),
        cpu_model: "model".to_owned(),
        cpu_count: 1,
        kernel: "Linux".to_owned(),
        page_size: 4096,
    };
    let blocks: Vec<Block> = (0..BLOCKS).map(block).collect();
    let (engine, host, numbers) = store
        .call_and_wait(async move |store| {
            let binary = store.add_binary(&binary).await?;
            let added = store.add_blocks(binary, &blocks).await?;
            Ok((
                store.add_engine(&engine).await?,
                store.add_host(&host).await?,
                added.numbers,
            ))
        })
        .unwrap();
    let run = NewRun {
        command: "check".to_owned(),
        arguments: String::new(),
        tool_version: "0".to_owned(),
        seed: 0,
        states_per_block: 1,
        partition: None,
        host,
        engines: vec![engine],
        started: UnixMillis::now(),
    };
    (store.start_run(run).unwrap(), engine, numbers)
}
