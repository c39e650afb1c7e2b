//! Measures a fresh database: `cargo run --release -p snippex-store --example measure_store -- PATH_OR_URL`.
//!
//! The amounts are those of `check /bin/bash`: 60,000 blocks, a result for each, and some hundred divergences.

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use snippex_core::block::{Block, Origin, Terminator};
use snippex_core::case::{Case, PAGE_SIZE, Page, PageAccess, Placement};
use snippex_core::observation::{Endpoint, Observation};
use snippex_core::state::{Components, MachineState};
use snippex_store::{
    BlockBatch, BlockNumber, BlockResult, EncodedCase, EncodedObservation, EngineId, Guest, Host, Location,
    NewBinary, NewDivergence, NewRun, ResultCounts, RunEnd, RunId, Selection, StoreHandle, StoredEngine,
    UnixMillis,
};

const BLOCKS: u64 = 60_000;
const BATCH: usize = 1_000;
const DIVERGENCES: u32 = 512;

fn main() -> Result<(), Box<dyn Error>> {
    let argument = std::env::args()
        .nth(1)
        .ok_or("name a new database: a file or postgres://host/database")?;
    let location: Location = argument.parse()?;
    let started = Instant::now();
    let store = StoreHandle::open(&location)?;
    report("open and create", started, 1);

    let numbers = add_blocks(&store)?;
    let (run, engine) = start_run(&store)?;
    save_results(&store, run, engine, &numbers)?;
    save_divergences(&store, run, engine, numbers[0])?;
    read(&store, run)?;

    let started = Instant::now();
    let removed = store.call_and_wait(async |store| store.remove_blocks(&Selection::all()).await)?;
    report("remove everything", started, removed.blocks);
    store.finish_run(run, RunEnd::Finished, UnixMillis::now())?;
    Ok(())
}

fn report(what: &str, started: Instant, count: u64) {
    let elapsed = started.elapsed().as_secs_f64();
    println!("{what:<34} {elapsed:>8.3} s {:>12.0} /s", count as f64 / elapsed);
}

fn add_blocks(store: &StoreHandle) -> Result<Vec<BlockNumber>, Box<dyn Error>> {
    let binary = NewBinary {
        sha256: "0".repeat(64),
        name: "measured".to_owned(),
        path: "/bin/measured".to_owned(),
        size: 1 << 20,
        format: "elf".to_owned(),
    };
    let blocks: Arc<Vec<Block>> = Arc::new((0..BLOCKS).map(|index| block(0x40_0000 + 20 * index)).collect());
    let id = store.call_and_wait(async move |store| store.add_binary(&binary).await)?;
    let mut numbers = Vec::new();
    for what in ["add blocks", "add the same blocks again"] {
        let started = Instant::now();
        let blocks = Arc::clone(&blocks);
        numbers = store
            .call_and_wait(async move |store| store.add_blocks(id, &blocks).await)?
            .numbers;
        report(what, started, BLOCKS);
    }
    Ok(numbers)
}

fn block(address: u64) -> Block {
    Block {
        address,
        bytes: vec![0x90; 20],
        instruction_count: 5,
        terminator: Terminator::Jcc,
        successors: vec![address + 20, address + 400],
        origin: Origin::BranchTarget,
        unrunnable: None,
    }
}

fn start_run(store: &StoreHandle) -> Result<(RunId, EngineId), Box<dyn Error>> {
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
        architecture: std::env::consts::ARCH.to_owned(),
        cpu_model: String::new(),
        cpu_count: 1,
        kernel: String::new(),
        page_size: 4096,
    };
    let engine = store.call_and_wait(async move |store| store.add_engine(&engine).await)?;
    let host = store.call_and_wait(async move |store| store.add_host(&host).await)?;
    let run = NewRun {
        command: "check".to_owned(),
        arguments: "/bin/measured".to_owned(),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        seed: 1,
        states_per_block: 64,
        partition: None,
        host,
        engines: vec![engine],
        started: UnixMillis::now(),
    };
    Ok((store.start_run(run)?, engine))
}

fn save_results(
    store: &StoreHandle,
    run: RunId,
    engine: EngineId,
    numbers: &[BlockNumber],
) -> Result<(), Box<dyn Error>> {
    let counts = ResultCounts {
        runs: 64,
        completed: 64,
        matched: 64,
        ..ResultCounts::default()
    };
    for what in ["save results", "add to the same results"] {
        let started = Instant::now();
        for blocks in numbers.chunks(BATCH) {
            let result = |&block: &BlockNumber| BlockResult {
                block,
                engine,
                counts: counts.clone(),
            };
            store.save_batch(
                run,
                BlockBatch {
                    results: blocks.iter().map(result).collect(),
                    ..BlockBatch::default()
                },
            )?;
        }
        store.flush()?;
        report(what, started, BLOCKS);
    }
    Ok(())
}

fn save_divergences(
    store: &StoreHandle,
    run: RunId,
    engine: EngineId,
    number: BlockNumber,
) -> Result<(), Box<dyn Error>> {
    let started = Instant::now();
    let observation = Observation {
        endpoint: Endpoint::Exit { target: 1 },
        state: MachineState::default(),
        memory: vec![],
    };
    let observation = EncodedObservation::from(&observation);
    let mut divergences = Vec::new();
    for state_index in 0..DIVERGENCES {
        divergences.push(NewDivergence {
            block: number,
            engine,
            reference: engine,
            state_index,
            case: EncodedCase::from(&case(state_index)),
            expected: observation.clone(),
            actual: observation.clone(),
            differences: "[]".to_owned(),
            class: "flags".to_owned(),
            culprit: None,
            confirmations: 2,
        });
    }
    report("encode divergences of 8 pages", started, DIVERGENCES.into());
    let started = Instant::now();
    store.save_batch(
        run,
        BlockBatch {
            divergences,
            ..BlockBatch::default()
        },
    )?;
    store.flush()?;
    report("save divergences of 8 pages", started, DIVERGENCES.into());
    Ok(())
}

fn case(seed: u32) -> Case {
    let mut state = MachineState::default();
    state.gpr[0] = seed.into();
    let page = |index: u64| Page {
        address: index * PAGE_SIZE as u64,
        access: PageAccess::ReadWrite,
        content: Arc::new([index as u8; PAGE_SIZE]),
    };
    Case {
        block: Arc::new(block(0x40_0000)),
        placement: Placement {
            image_base: 0,
            code_base: 0,
        },
        state,
        pages: (1..9).map(page).collect(),
    }
}

fn read(store: &StoreHandle, run: RunId) -> Result<(), Box<dyn Error>> {
    let started = Instant::now();
    let mut after = None;
    let mut listed = 0;
    loop {
        let page = store.call_and_wait(async move |store| {
            store.list_blocks(&Selection::all(), None, after, 1_000).await
        })?;
        listed += page.len() as u64;
        let Some(last) = page.last() else { break };
        after = Some(last.number);
    }
    report("list blocks in pages of 1,000", started, listed);

    let started = Instant::now();
    store.call_and_wait(async |store| {
        store
            .list_blocks(&Selection::all(), None, Some(BlockNumber(59_000)), 50)
            .await
    })?;
    report("one late page of 50 blocks", started, 1);

    let started = Instant::now();
    store.call_and_wait(async move |store| store.sum_results(run).await)?;
    report("totals of the run", started, 1);
    Ok(())
}
