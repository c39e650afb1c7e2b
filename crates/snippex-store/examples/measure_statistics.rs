//! Measures the queries of `snippex stats` and `metrics` on a large database:
//! `cargo run --release --workspace --example measure_statistics -- NEW_DATABASE [RUNS [BLOCKS]]`, by default 100 runs of 100,000
//! blocks. A database that is there is measured as it is. One block in a hundred diverges in every run, and one in a thousand in
//! every other run.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::{Duration, Instant};

use snippex_core::block::{Block, Origin, Terminator};
use snippex_core::state::Components;
use snippex_store::{
    BlockBatch, BlockNumber, BlockResult, EngineId, GroupCounts, Guest, Host, HostId, Location, NewBinary,
    NewRun, ResultCounts, RunEnd, RunSummary, StoreError, StoreHandle, StoredEngine, SummaryDetails,
    UnixMillis,
};

/// Results in a batch.
const BATCH: usize = 4096;
/// Start states of a block.
const STATES: u64 = 64;
/// A query is done so often; the middle time is told.
const TIMES: usize = 9;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let place = arguments
        .next()
        .ok_or("name a new database: a file or postgres://host/database")?;
    let runs = arguments.next().map_or(Ok(100), |text| text.parse())?;
    let blocks = arguments.next().map_or(Ok(100_000), |text| text.parse())?;
    let store = StoreHandle::open(&place.parse::<Location>()?)?;
    if store
        .call_and_wait(async |store| store.list_runs(None, 1).await)?
        .is_empty()
    {
        fill(&store, runs, blocks)?;
    }
    measure("summaries of the newest 1,000 runs", || {
        store
            .call_and_wait(async |store| store.summed_runs(1000).await)
            .map(|found| found.len())
    })?;
    measure("the 100 blocks that fail most", || {
        store
            .call_and_wait(async |store| store.failing_blocks(100).await)
            .map(|found| found.len())
    })?;
    measure("100 flaky blocks", || {
        store
            .call_and_wait(async |store| store.flaky_blocks(100).await)
            .map(|found| found.len())
    })?;
    measure("runs, newest first", || {
        store
            .call_and_wait(async |store| store.list_runs(None, 100).await)
            .map(|found| found.len())
    })?;
    Ok(())
}

fn measure(what: &str, query: impl Fn() -> Result<usize, StoreError>) -> Result<(), StoreError> {
    let mut times: Vec<Duration> = Vec::new();
    let mut rows = 0;
    for _ in 0..TIMES {
        let started = Instant::now();
        rows = query()?;
        times.push(started.elapsed());
    }
    times.sort_unstable();
    let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
    println!(
        "{what:<36} {rows:>5} rows {:>8.1} ms, at most {:.1}",
        milliseconds(times[TIMES / 2]),
        milliseconds(times[TIMES - 1])
    );
    Ok(())
}

fn fill(store: &StoreHandle, runs: u64, blocks: u64) -> Result<(), Box<dyn Error>> {
    let started = Instant::now();
    let binary = NewBinary {
        sha256: "0".repeat(64),
        name: "measured".to_owned(),
        path: "/bin/measured".to_owned(),
        size: 1 << 20,
        format: "elf".to_owned(),
    };
    let all: Vec<Block> = (0..blocks).map(|index| block(0x40_0000 + 20 * index)).collect();
    let added = store.call_and_wait(async move |store| store.add_binary_with_blocks(&binary, &all).await)?;
    let (native, subject, host) = engines(store)?;
    for run in 0..runs {
        fill_run(store, run, &added.numbers, (native, subject), host)?;
    }
    println!("filled in {:.0} s", started.elapsed().as_secs_f64());
    Ok(())
}

fn fill_run(
    store: &StoreHandle,
    index: u64,
    numbers: &[BlockNumber],
    (native, subject): (EngineId, EngineId),
    host: HostId,
) -> Result<(), StoreError> {
    let run = store.start_run(NewRun {
        command: "check".to_owned(),
        arguments: "/bin/measured".to_owned(),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        seed: 1,
        states_per_block: STATES as u32,
        partition: None,
        host,
        engines: vec![native, subject],
        started: UnixMillis(index as i64 * 3_600_000),
    })?;
    for part in numbers.chunks(BATCH) {
        let result = |block: &BlockNumber| BlockResult {
            block: *block,
            engine: subject,
            counts: counts(block.0.unsigned_abs(), index),
        };
        let results = part.iter().map(result).collect();
        store.save_batch(
            run,
            BlockBatch {
                results,
                ..BlockBatch::default()
            },
        )?;
    }
    let summary = summary(numbers.len() as u64);
    store.call_and_wait(async move |store| store.save_summary(run, &summary).await)?;
    store.finish_run(
        run,
        RunEnd::Finished,
        UnixMillis(index as i64 * 3_600_000 + 60_000),
    )
}

fn counts(block: u64, run: u64) -> ResultCounts {
    let is_flaky = block.is_multiple_of(1000) && run.is_multiple_of(2);
    let diverged = u64::from(block.is_multiple_of(100) && (!block.is_multiple_of(1000) || is_flaky));
    let open = u64::from(block.is_multiple_of(50));
    let inconclusive = if open > 0 {
        BTreeMap::from([("open-memory".to_owned(), open)])
    } else {
        BTreeMap::new()
    };
    ResultCounts {
        runs: STATES,
        completed: STATES,
        faulted: 0,
        matched: STATES - diverged - open,
        diverged,
        unsupported: 0,
        inconclusive,
    }
}

fn summary(blocks: u64) -> RunSummary {
    let group = |part: u64| GroupCounts {
        blocks: blocks / part,
        diverging_blocks: blocks / part / 100,
        runs: blocks / part * STATES,
        diverged: blocks / part / 100,
    };
    let kinds = ["avx", "branch", "fpu", "general", "sse"].map(|name| (name.to_owned(), group(5)));
    RunSummary {
        elapsed: Duration::from_secs(20),
        blocks,
        diverging_blocks: blocks / 100,
        runs: blocks * STATES,
        completed: blocks * STATES,
        matched: blocks * STATES - blocks / 100,
        diverged: blocks / 100,
        details: SummaryDetails {
            binaries: BTreeMap::from([("measured".to_owned(), group(1))]),
            kinds: BTreeMap::from(kinds),
            ..SummaryDetails::default()
        },
        ..RunSummary::default()
    }
}

fn engines(store: &StoreHandle) -> Result<(EngineId, EngineId, HostId), StoreError> {
    let engine = |name: &str| StoredEngine {
        name: name.to_owned(),
        version: "1".to_owned(),
        configuration: "{}".to_owned(),
        components: Components::ALL,
        guest: Guest::default(),
        host_cpu: String::new(),
    };
    let (native, subject) = (engine("native"), engine("measured"));
    let host = Host {
        name: "here".to_owned(),
        architecture: std::env::consts::ARCH.to_owned(),
        cpu_model: String::new(),
        cpu_count: 1,
        kernel: String::new(),
        page_size: 4096,
    };
    store.call_and_wait(async move |store| {
        let native = store.add_engine(&native).await?;
        Ok((
            native,
            store.add_engine(&subject).await?,
            store.add_host(&host).await?,
        ))
    })
}

fn block(address: u64) -> Block {
    Block {
        address,
        bytes: vec![0x90; 20],
        instruction_count: 20,
        terminator: Terminator::Jcc,
        successors: vec![address + 20, address + 400],
        origin: Origin::BranchTarget,
        unrunnable: None,
    }
}
