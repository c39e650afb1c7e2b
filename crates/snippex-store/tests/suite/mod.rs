//! What every database must do. `tests/sqlite.rs` and `tests/postgres.rs` run each function on a fresh database.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::thread;

use snippex_core::block::{Block, Origin, Terminator, Unrunnable};
use snippex_core::case::{Access, Case, PAGE_SIZE, Page, Placement};
use snippex_core::observation::{Endpoint, LINE_SIZE, Line, Observation, Signal};
use snippex_core::state::{Components, MachineState};
use snippex_store::*;

/// Makes a test of every function of the suite: `fresh` gives a location, and what keeps it alive.
macro_rules! tests {
    ($fresh:path: $($name:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            let (location, _guard) = $fresh();
            suite::$name(&location);
        })*
    };
}

macro_rules! every_test {
    ($fresh:path) => {
        tests! { $fresh:
            blocks_get_numbers_that_stay,
            blocks_come_back_as_they_were,
            pages_of_blocks_follow_each_other,
            a_binary_is_known_by_its_content,
            engines_and_hosts_are_stored_once,
            a_run_comes_back,
            results_add_up,
            inconclusive_reasons_stay_with_their_block,
            divergences_come_back_in_full,
            divergences_are_grouped,
            observations_come_back_newest_first,
            a_batch_is_saved_whole_or_not_at_all,
            removal_counts_and_takes_what_belongs,
            removal_of_a_run_and_a_binary,
            what_is_not_there_is_missing,
            a_newer_schema_is_refused,
            many_processes_may_open_at_once,
            many_writers_lose_nothing,
            a_failed_batch_is_told_and_stops_the_run,
            a_large_binary_fits,
        }
    };
}

pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(work)
}

fn open(location: &Location) -> StoreHandle {
    StoreHandle::open(location).unwrap()
}

fn block(address: u64) -> Block {
    Block {
        address,
        bytes: vec![0x48, 0x01, 0xd8, 0xc3],
        instruction_count: 2,
        terminator: Terminator::Ret,
        successors: vec![],
        origin: Origin::Symbol,
        unrunnable: None,
    }
}

fn binary(name: &str) -> NewBinary {
    NewBinary {
        sha256: format!("{name:0>64}"),
        name: name.to_owned(),
        path: format!("/bin/{name}"),
        size: u64::MAX,
        format: "elf".to_owned(),
    }
}

fn engine(name: &str) -> Engine {
    let guest = Guest {
        vendor: "GenuineIntel".to_owned(),
        brand: "A CPU with \u{ae}".to_owned(),
        hypervisor: String::new(),
        xcr0: u64::MAX,
        features: vec!["sse2".to_owned(), "avx512f".to_owned()],
    };
    let configuration = r#"{"arguments": ["-cpu", "max"]}"#.to_owned();
    Engine {
        name: name.to_owned(),
        version: "7.2".to_owned(),
        configuration,
        components: Components::ALL,
        guest,
    }
}

fn host() -> Host {
    Host {
        name: "here".to_owned(),
        architecture: "x86_64".to_owned(),
        cpu_model: "model".to_owned(),
        cpu_count: 2,
        kernel: "Linux 6.1".to_owned(),
        page_size: 4096,
    }
}

fn add_blocks(store: &StoreHandle, name: &str, count: u64) -> Vec<BlockNumber> {
    let (binary, blocks) = (
        binary(name),
        (0..count)
            .map(|index| block(0x1000 + 16 * index))
            .collect::<Vec<_>>(),
    );
    let added = store.call(async move |store| {
        let id = store.add_binary(&binary).await?;
        store.add_blocks(id, &blocks).await
    });
    added.unwrap().numbers
}

/// A run of native against qemu-x86_64, with the two engines.
fn start_run(store: &StoreHandle) -> (RunId, EngineId, EngineId) {
    let (native, qemu, host) = store
        .call(async |store| {
            let native = store.add_engine(&engine("native")).await?;
            let qemu = store.add_engine(&engine("qemu-x86_64")).await?;
            Ok((native, qemu, store.add_host(&host()).await?))
        })
        .unwrap();
    let run = NewRun {
        command: "check".to_owned(),
        arguments: "/bin/bash".to_owned(),
        tool_version: "0.1.0".to_owned(),
        seed: u64::MAX,
        states_per_block: 64,
        partition: Some(Partition { index: 2, count: 3 }),
        host,
        engines: vec![native, qemu],
        started: Timestamp(1_000),
    };
    (store.start_run(run).unwrap(), native, qemu)
}

fn counts(runs: u64, matched: u64, diverged: u64, reasons: &[(&str, u64)]) -> Counts {
    let inconclusive: BTreeMap<_, _> = reasons
        .iter()
        .map(|(name, count)| ((*name).to_owned(), *count))
        .collect();
    Counts {
        runs,
        completed: runs,
        faulted: 0,
        matched,
        diverged,
        unsupported: 0,
        inconclusive,
    }
}

fn case(seed: u64) -> Case {
    let mut state = MachineState::default();
    state.gpr[0] = seed;
    let content = Arc::new([seed as u8; PAGE_SIZE]);
    Case {
        block: Arc::new(block(0x1000)),
        placement: Placement {
            image_base: 0x1_0000,
            code_base: 0x2_0000,
        },
        state,
        pages: Arc::new([Page {
            address: 0x7000,
            access: Access::ReadWrite,
            content,
        }]),
    }
}

fn observation(seed: u64) -> Observation {
    let mut state = MachineState::default();
    state.gpr[1] = seed;
    state.vectors[31] = [seed as u8; 64];
    Observation {
        endpoint: Endpoint::Signal(Signal {
            number: 11,
            code: 1,
            rip: seed,
            address: u64::MAX,
            write: true,
        }),
        state,
        memory: vec![Line {
            address: 0x7000,
            bytes: [9; LINE_SIZE],
        }],
    }
}

fn divergence(block: BlockNumber, state_index: u32, engines: (EngineId, EngineId)) -> NewDivergence {
    NewDivergence {
        block,
        engine: engines.1,
        reference: engines.0,
        state_index,
        case: EncodedCase::from(&case(state_index.into())),
        expected: EncodedObservation::from(&observation(1)),
        actual: EncodedObservation::from(&observation(2)),
        differences: r#"[{"field": "rcx"}]"#.to_owned(),
        class: "register".to_owned(),
        culprit: Some("add r64, r64".to_owned()),
        confirmations: 3,
    }
}

pub(crate) fn blocks_get_numbers_that_stay(location: &Location) {
    let store = open(location);
    let first = add_blocks(&store, "a", 3);
    assert_eq!(first, [1, 2, 3].map(BlockNumber));
    assert_eq!(add_blocks(&store, "b", 2), [4, 5].map(BlockNumber));
    // The same blocks again, and two more.
    assert_eq!(add_blocks(&store, "a", 5), [1, 2, 3, 6, 7].map(BlockNumber));
    // Numbers of removed blocks are not used again.
    store
        .call(async |store| store.remove_blocks(&"6-".parse().unwrap()).await)
        .unwrap();
    assert_eq!(add_blocks(&store, "a", 5), [1, 2, 3, 8, 9].map(BlockNumber));
    // One block twice in one call is one block.
    let (id, same) = (binary("b"), vec![block(0x9000), block(0x9000)]);
    let added = store
        .call(async move |store| store.add_blocks(store.add_binary(&id).await?, &same).await)
        .unwrap();
    assert_eq!(
        added,
        Added {
            numbers: vec![BlockNumber(10), BlockNumber(10)],
            new: 1
        }
    );
}

pub(crate) fn blocks_come_back_as_they_were(location: &Location) {
    let store = open(location);
    let blocks = vec![
        Block {
            address: u64::MAX - 3,
            terminator: Terminator::IndirectCall,
            successors: vec![0, u64::MAX],
            origin: Origin::JumpTable,
            unrunnable: Some(Unrunnable::StateNotCovered),
            ..block(0)
        },
        Block {
            bytes: vec![],
            instruction_count: u32::MAX,
            terminator: Terminator::FallThrough,
            ..block(0)
        },
    ];
    let given = blocks.clone();
    let stored = store.call(async move |store| {
        let id = store.add_binary(&binary("a")).await?;
        store.add_blocks(id, &given).await?;
        store.blocks(&Selection::all(), Some(id), None, 10).await
    });
    let stored: Vec<Block> = stored.unwrap().into_iter().map(|stored| stored.block).collect();
    assert_eq!(stored, blocks);
}

pub(crate) fn pages_of_blocks_follow_each_other(location: &Location) {
    let store = open(location);
    add_blocks(&store, "a", 10);
    add_blocks(&store, "b", 10);
    let list = |selection: &str, binary: Option<i64>, after: Option<i64>, limit| -> Vec<i64> {
        let selection: Selection = selection.parse().unwrap();
        let blocks = store.call(async move |store| {
            store
                .blocks(&selection, binary.map(BinaryId), after.map(BlockNumber), limit)
                .await
        });
        blocks.unwrap().iter().map(|block| block.number.0).collect()
    };
    assert_eq!(list("all", None, None, 3), [1, 2, 3]);
    assert_eq!(list("all", None, Some(3), 3), [4, 5, 6]);
    assert_eq!(list("2,4-6,18-", None, Some(4), 4), [5, 6, 18, 19]);
    assert_eq!(list("9-12", Some(2), None, 10), [11, 12]);
    assert_eq!(list("21-", None, None, 10), [0; 0]);
    let count = store.call(async |store| {
        store
            .count_blocks(&"9-12,20".parse().unwrap(), Some(BinaryId(2)))
            .await
    });
    assert_eq!(count.unwrap(), 3);
}

pub(crate) fn a_binary_is_known_by_its_content(location: &Location) {
    let store = open(location);
    add_blocks(&store, "a", 2);
    let moved = NewBinary {
        path: "/opt/a".to_owned(),
        name: "renamed".to_owned(),
        ..binary("a")
    };
    let again = moved.clone();
    let id = store
        .call(async move |store| store.add_binary(&again).await)
        .unwrap();
    let expected = Binary {
        id,
        binary: moved,
        blocks: 2,
    };
    assert_eq!(
        store.call(async |store| store.binaries().await).unwrap(),
        std::slice::from_ref(&expected)
    );
    assert_eq!(
        store.call(async move |store| store.binary(id).await).unwrap(),
        expected
    );
}

pub(crate) fn engines_and_hosts_are_stored_once(location: &Location) {
    let store = open(location);
    let add = |engine: Engine| {
        store
            .call(async move |store| store.add_engine(&engine).await)
            .unwrap()
    };
    let native = add(engine("native"));
    assert_eq!(add(engine("native")), native);
    let other = add(Engine {
        version: "8".to_owned(),
        ..engine("native")
    });
    assert_ne!(other, native);
    assert_ne!(
        add(Engine {
            components: Components::SSE,
            ..engine("native")
        }),
        native
    );
    assert_eq!(
        store.call(async move |store| store.engine(native).await).unwrap(),
        engine("native")
    );
    assert_eq!(store.call(async |store| store.engines().await).unwrap().len(), 3);
    let hosts =
        store.call(async |store| Ok((store.add_host(&host()).await?, store.add_host(&host()).await?)));
    let (here, again) = hosts.unwrap();
    assert_eq!(here, again);
    assert_eq!(
        store.call(async move |store| store.host(here).await).unwrap(),
        host()
    );
}

pub(crate) fn a_run_comes_back(location: &Location) {
    let store = open(location);
    let (id, native, qemu) = start_run(&store);
    let run = store.call(async move |store| store.run(id).await).unwrap();
    assert_eq!((run.status, run.finished), (RunStatus::Running, None));
    assert_eq!((run.run.seed, run.run.states_per_block), (u64::MAX, 64));
    assert_eq!(run.run.partition, Some(Partition { index: 2, count: 3 }));
    assert_eq!(run.run.engines, [native, qemu]);
    store
        .call(async move |store| store.heartbeat(id, Timestamp(4_000)).await)
        .unwrap();
    let run = store.call(async move |store| store.run(id).await).unwrap();
    assert_eq!(
        (run.run.started, run.heartbeat),
        (Timestamp(1_000), Timestamp(4_000))
    );
    store.finish_run(id, RunEnd::Finished, Timestamp(5_000)).unwrap();
    let run = store.call(async move |store| store.run(id).await).unwrap();
    assert_eq!(
        (run.status, run.finished),
        (RunStatus::Finished, Some(Timestamp(5_000)))
    );
    let (second, ..) = start_run(&store);
    store
        .finish_run(second, RunEnd::Interrupted, Timestamp(6_000))
        .unwrap();
    let runs = store.call(async |store| store.runs(None, 10).await).unwrap();
    let listed: Vec<_> = runs.iter().map(|run| (run.id, run.status)).collect();
    assert_eq!(
        listed,
        [(second, RunStatus::Interrupted), (id, RunStatus::Finished)]
    );
    assert_eq!(
        store
            .call(async move |store| store.runs(Some(second), 10).await)
            .unwrap()
            .len(),
        1
    );
}

pub(crate) fn results_add_up(location: &Location) {
    let store = open(location);
    let numbers = add_blocks(&store, "a", 300);
    let (run, _, qemu) = start_run(&store);
    let result = |block: BlockNumber, counts| BlockResult {
        block,
        engine: qemu,
        counts,
    };
    let results = numbers
        .iter()
        .map(|&number| result(number, counts(64, 60, 1, &[("undefined flag", 3)])));
    store
        .save(
            run,
            Batch {
                results: results.collect(),
                ..Batch::default()
            },
        )
        .unwrap();
    // The same block twice in one batch, and once more in another.
    let more = result(
        numbers[0],
        counts(10, 8, 0, &[("undefined flag", 1), ("hung", 1)]),
    );
    store
        .save(
            run,
            Batch {
                results: vec![more.clone(), more.clone()],
                ..Batch::default()
            },
        )
        .unwrap();
    store
        .save(
            run,
            Batch {
                results: vec![more],
                ..Batch::default()
            },
        )
        .unwrap();
    let totals = store.call(async move |store| store.totals(run).await).unwrap();
    let reasons = [("undefined flag", 300 * 3 + 3), ("hung", 3)];
    assert_eq!(
        totals,
        [(qemu, 300, counts(300 * 64 + 30, 300 * 60 + 24, 300, &reasons))]
    );
}

pub(crate) fn inconclusive_reasons_stay_with_their_block(location: &Location) {
    let store = open(location);
    let numbers = add_blocks(&store, "a", 5);
    let (run, native, qemu) = start_run(&store);
    let mut expected = Vec::new();
    for &block in &numbers {
        for engine in [native, qemu] {
            let reason = format!("reason {}", block.0 % 2 + engine.0);
            expected.push(BlockResult {
                block,
                engine,
                counts: counts(2, 1, 0, &[(&reason, 1)]),
            });
        }
    }
    store
        .save(
            run,
            Batch {
                results: expected.clone(),
                ..Batch::default()
            },
        )
        .unwrap();
    let page = |after, limit| {
        store
            .call(async move |store| store.results(run, after, limit).await)
            .unwrap()
    };
    assert_eq!(page(None, 2), expected[..4]);
    assert_eq!(page(Some(numbers[1]), 10), expected[4..]);
    assert_eq!(page(Some(numbers[4]), 10), []);
}

pub(crate) fn divergences_come_back_in_full(location: &Location) {
    let store = open(location);
    let numbers = add_blocks(&store, "a", 2);
    let (run, native, qemu) = start_run(&store);
    let found = divergence(numbers[1], 7, (native, qemu));
    let unknown = NewDivergence {
        culprit: None,
        ..divergence(numbers[0], 7, (native, qemu))
    };
    // The same key twice in one batch: the last counts.
    let weaker = NewDivergence {
        confirmations: 0,
        ..found.clone()
    };
    store
        .save(
            run,
            Batch {
                divergences: vec![weaker, found.clone(), unknown],
                ..Batch::default()
            },
        )
        .unwrap();
    store.flush().unwrap();
    let list = store
        .call(async move |store| store.divergences(Some(run), Some(numbers[1]), None, 10).await)
        .unwrap();
    let [summary] = &list[..] else { panic!("{list:?}") };
    assert_eq!((summary.state_index, summary.confirmations), (7, 3));
    assert_eq!(summary.case_id, found.case.id());
    assert_eq!(summary.differences, found.differences);
    let id = summary.id;
    let full = store.call(async move |store| store.divergence(id).await).unwrap();
    assert_eq!(
        (full.case, full.expected, full.actual),
        (case(7), observation(1), observation(2))
    );
    assert_eq!(full.summary, *summary);
    let all = store
        .call(async |store| store.divergences(None, None, None, 10).await)
        .unwrap();
    assert_eq!(all.iter().filter(|summary| summary.culprit.is_none()).count(), 1);
    let first = all[0].id;
    let rest = store
        .call(async move |store| store.divergences(None, None, Some(first), 10).await)
        .unwrap();
    assert_eq!(rest, all[1..]);
}

pub(crate) fn divergences_are_grouped(location: &Location) {
    let store = open(location);
    let numbers = add_blocks(&store, "a", 3);
    let (run, native, qemu) = start_run(&store);
    let of = |block: usize, state, class: &str, culprit: Option<&str>| NewDivergence {
        class: class.to_owned(),
        culprit: culprit.map(str::to_owned),
        ..divergence(numbers[block], state, (native, qemu))
    };
    let divergences = vec![
        of(0, 0, "flags", Some("shl")),
        of(0, 1, "flags", Some("shl")),
        of(1, 0, "flags", Some("shl")),
        of(1, 1, "flags", None),
        of(2, 0, "memory", None),
        of(2, 1, "memory", None),
    ];
    store
        .save(
            run,
            Batch {
                divergences,
                ..Batch::default()
            },
        )
        .unwrap();
    let groups = store
        .call(async move |store| store.divergence_groups(run).await)
        .unwrap();
    let shape = groups.iter().map(|group| {
        (
            group.class.as_str(),
            group.culprit.as_deref(),
            group.divergences,
            group.blocks,
        )
    });
    assert_eq!(
        shape.collect::<Vec<_>>(),
        [
            ("flags", Some("shl"), 3, 2),
            ("memory", None, 2, 1),
            ("flags", None, 1, 1)
        ]
    );
}

pub(crate) fn observations_come_back_newest_first(location: &Location) {
    let store = open(location);
    let numbers = add_blocks(&store, "a", 2);
    let (run, native, qemu) = start_run(&store);
    for engine in [native, qemu] {
        let observations = (0..3).map(|state_index| NewObservation {
            block: numbers[0],
            engine,
            state_index,
            case: EncodedCase::from(&case(state_index.into())),
            observation: EncodedObservation::from(&observation(engine.0.cast_unsigned())),
        });
        store
            .save(
                run,
                Batch {
                    observations: observations.collect(),
                    ..Batch::default()
                },
            )
            .unwrap();
    }
    let list = |block, engine, before, limit| {
        store
            .call(async move |store| store.observations(Some(run), block, engine, before, limit).await)
            .unwrap()
    };
    let all = list(None, None, None, 10);
    assert_eq!(all.len(), 6);
    assert!(all.is_sorted_by(|a, b| a.id > b.id));
    assert_eq!(list(Some(numbers[0]), Some(qemu), None, 2), all[..2]);
    assert_eq!(list(None, None, Some(all[1].id), 10), all[2..]);
    assert_eq!(list(Some(numbers[1]), None, None, 10), []);
    let newest = all[0].clone();
    let id = newest.id;
    let full = store
        .call(async move |store| store.observation(id).await)
        .unwrap();
    assert_eq!((full.summary, full.case), (newest, case(2)));
    assert_eq!(full.observation, observation(qemu.0.cast_unsigned()));
}

pub(crate) fn a_batch_is_saved_whole_or_not_at_all(location: &Location) {
    block_on(async {
        let store = Store::open(location).await.unwrap();
        let id = store.add_binary(&binary("a")).await.unwrap();
        let number = store.add_blocks(id, &[block(0)]).await.unwrap().numbers[0];
        let native = store.add_engine(&engine("native")).await.unwrap();
        let host = store.add_host(&host()).await.unwrap();
        let run = NewRun {
            command: "validate".to_owned(),
            arguments: String::new(),
            tool_version: String::new(),
            seed: 0,
            states_per_block: 1,
            partition: None,
            host,
            engines: vec![native],
            started: Timestamp::now(),
        };
        let run = store.start_run(&run).await.unwrap();
        let good = BlockResult {
            block: number,
            engine: native,
            counts: counts(1, 1, 0, &[]),
        };
        let nowhere = divergence(BlockNumber(99), 0, (native, native));
        let batch = Batch {
            results: vec![good.clone()],
            divergences: vec![nowhere],
            ..Batch::default()
        };
        let error = store.save(run, &batch).await.unwrap_err();
        assert!(matches!(error, StoreError::Orphan { .. }), "{error:?}");
        assert_eq!(store.totals(run).await.unwrap(), []);
        store
            .save(
                run,
                &Batch {
                    results: vec![good],
                    ..Batch::default()
                },
            )
            .await
            .unwrap();
        assert_eq!(store.totals(run).await.unwrap().len(), 1);
        store.close().await;
    });
}

pub(crate) fn removal_counts_and_takes_what_belongs(location: &Location) {
    let store = open(location);
    let numbers = add_blocks(&store, "a", 4);
    add_blocks(&store, "b", 1);
    let (run, native, qemu) = start_run(&store);
    let result = |&block| BlockResult {
        block,
        engine: qemu,
        counts: counts(2, 0, 1, &[("hung", 1)]),
    };
    let seen = |&block| NewObservation {
        block,
        engine: native,
        state_index: 0,
        case: EncodedCase::from(&case(block.0.cast_unsigned())),
        observation: EncodedObservation::from(&observation(0)),
    };
    let batch = Batch {
        results: numbers.iter().map(result).collect(),
        divergences: numbers
            .iter()
            .map(|&block| divergence(block, 3, (native, qemu)))
            .collect(),
        observations: numbers.iter().map(seen).collect(),
    };
    store.save(run, batch).unwrap();
    let remove = |selection: &str| {
        let selection: Selection = selection.parse().unwrap();
        store
            .call(async move |store| store.remove_blocks(&selection).await)
            .unwrap()
    };
    // The divergences share one case, which is also the case of the observation of block 3.
    let one = Removed {
        blocks: 1,
        results: 1,
        divergences: 1,
        observations: 1,
        cases: 1,
        ..Removed::default()
    };
    assert_eq!(remove("1"), one);
    let none_of_its_own = Removed { cases: 0, ..one };
    assert_eq!(remove("3"), none_of_its_own);
    assert_eq!(remove("3"), Removed::default());
    let rest = Removed {
        binaries: 1,
        blocks: 2,
        results: 2,
        divergences: 2,
        observations: 2,
        cases: 3,
        runs: 0,
    };
    assert_eq!(remove("2,4"), rest);
    let left = store.call(async |store| store.binaries().await).unwrap();
    assert_eq!(
        left.iter()
            .map(|binary| binary.binary.name.as_str())
            .collect::<Vec<_>>(),
        ["b"]
    );
    assert_eq!(
        store.call(async move |store| store.totals(run).await).unwrap(),
        []
    );
    assert_eq!(
        remove("all"),
        Removed {
            binaries: 1,
            blocks: 1,
            ..Removed::default()
        }
    );
}

pub(crate) fn removal_of_a_run_and_a_binary(location: &Location) {
    let store = open(location);
    let numbers = add_blocks(&store, "a", 2);
    let (first, native, qemu) = start_run(&store);
    let (second, ..) = start_run(&store);
    for run in [first, second] {
        let results = vec![BlockResult {
            block: numbers[0],
            engine: qemu,
            counts: counts(1, 0, 1, &[]),
        }];
        let divergences = vec![divergence(numbers[0], 0, (native, qemu))];
        store
            .save(
                run,
                Batch {
                    results,
                    divergences,
                    ..Batch::default()
                },
            )
            .unwrap();
    }
    let removed = store
        .call(async move |store| store.remove_run(first).await)
        .unwrap();
    assert_eq!(
        removed,
        Removed {
            runs: 1,
            results: 1,
            divergences: 1,
            ..Removed::default()
        }
    );
    let removed = store
        .call(async |store| store.remove_binary(BinaryId(1)).await)
        .unwrap();
    let expected = Removed {
        binaries: 1,
        blocks: 2,
        results: 1,
        divergences: 1,
        cases: 1,
        ..Removed::default()
    };
    assert_eq!(removed, expected);
    let error = store
        .call(async |store| store.remove_binary(BinaryId(1)).await)
        .unwrap_err();
    assert!(matches!(
        error,
        StoreError::Missing {
            what: "binary",
            number: 1,
            ..
        }
    ));
    let error = store
        .call(async move |store| store.remove_run(first).await)
        .unwrap_err();
    assert!(matches!(error, StoreError::Missing { what: "run", .. }));
}

pub(crate) fn what_is_not_there_is_missing(location: &Location) {
    let store = open(location);
    let errors = store.call(async |store| {
        Ok([
            store.block(BlockNumber(1)).await.unwrap_err(),
            store.binary(BinaryId(1)).await.unwrap_err(),
            store.engine(EngineId(1)).await.unwrap_err(),
            store.host(HostId(1)).await.unwrap_err(),
            store.run(RunId(i64::MAX)).await.unwrap_err(),
            store.divergence(DivergenceId(1)).await.unwrap_err(),
            store.observation(ObservationId(-1)).await.unwrap_err(),
            store
                .finish_run(RunId(1), RunEnd::Finished, Timestamp(0))
                .await
                .unwrap_err(),
        ])
    });
    for error in errors.unwrap() {
        assert!(matches!(error, StoreError::Missing { .. }), "{error:?}");
        assert!(error.hint().is_some());
    }
}

pub(crate) fn a_newer_schema_is_refused(location: &Location) {
    drop(open(location));
    execute(location, "UPDATE snippex_schema SET version = 7");
    let error = StoreHandle::open(location).unwrap_err();
    assert!(
        matches!(error, StoreError::NewerSchema { found: 7, .. }),
        "{error:?}"
    );
    assert!(error.hint().unwrap().contains("newer snippex"));
}

/// Runs a statement outside the store.
pub(crate) fn execute(location: &Location, sql: &'static str) {
    use sqlx::Connection as _;
    sqlx::any::install_default_drivers();
    let url = match location {
        Location::Sqlite(path) => format!("sqlite:{}", path.display()),
        Location::Postgres(url) => url.clone(),
    };
    block_on(async {
        let mut connection = sqlx::AnyConnection::connect(&url).await.unwrap();
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    });
}

pub(crate) fn many_processes_may_open_at_once(location: &Location) {
    thread::scope(|scope| {
        let openers: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| StoreHandle::open(location).map(drop)))
            .collect();
        for opener in openers {
            opener.join().unwrap().unwrap();
        }
    });
    assert_eq!(add_blocks(&open(location), "a", 1), [BlockNumber(1)]);
}

pub(crate) fn many_writers_lose_nothing(location: &Location) {
    const WRITERS: u64 = 4;
    const BATCHES: u64 = 25;
    let numbers = add_blocks(&open(location), "common", 50);
    let write = |writer: u64| {
        let store = open(location);
        // Everybody adds the same binary, and one of their own.
        assert_eq!(add_blocks(&store, "common", 50), numbers);
        add_blocks(&store, &format!("own {writer}"), 50);
        let (run, native, qemu) = start_run(&store);
        for index in 0..BATCHES {
            let result = |&block| BlockResult {
                block,
                engine: qemu,
                counts: counts(1, 1, 0, &[]),
            };
            // The same cases in opposite orders: what would lock up two careless writers.
            let mut divergences: Vec<_> = (0..8)
                .map(|state| divergence(numbers[index as usize], state, (native, qemu)))
                .collect();
            if writer.is_multiple_of(2) {
                divergences.reverse();
            }
            let results = numbers.iter().map(result).collect();
            store
                .save(
                    run,
                    Batch {
                        results,
                        divergences,
                        ..Batch::default()
                    },
                )
                .unwrap();
        }
        store.finish_run(run, RunEnd::Finished, Timestamp::now()).unwrap();
        let totals = store.call(async move |store| store.totals(run).await).unwrap();
        assert_eq!(totals, [(qemu, 50, counts(50 * BATCHES, 50 * BATCHES, 0, &[]))]);
        assert_eq!(
            store
                .call(async move |store| store.divergence_groups(run).await)
                .unwrap()[0]
                .divergences,
            8 * BATCHES
        );
    };
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            scope.spawn(move || write(writer));
        }
    });
    let store = open(location);
    let count = store
        .call(async |store| store.count_blocks(&Selection::all(), None).await)
        .unwrap();
    assert_eq!(count, 50 * (WRITERS + 1));
    let last = store
        .call(async |store| store.blocks(&Selection::all(), None, None, 1000).await)
        .unwrap();
    assert_eq!(
        last.last().unwrap().number,
        BlockNumber(50 * (WRITERS as i64 + 1))
    );
}

pub(crate) fn a_failed_batch_is_told_and_stops_the_run(location: &Location) {
    let store = open(location);
    let numbers = add_blocks(&store, "a", 2);
    let (run, _, qemu) = start_run(&store);
    let batch = |block| Batch {
        results: vec![BlockResult {
            block,
            engine: qemu,
            counts: counts(1, 1, 0, &[]),
        }],
        ..Batch::default()
    };
    store.save(run, batch(numbers[0])).unwrap();
    store.save(run, batch(BlockNumber(77))).unwrap();
    let error = store.flush().unwrap_err();
    assert!(matches!(error, StoreError::Unsaved(_)), "{error:?}");
    assert!(error.hint().is_some());
    assert!(store.save(run, batch(numbers[1])).is_err());
    assert!(store.finish_run(run, RunEnd::Finished, Timestamp::now()).is_err());
    let stored = store.call(async move |store| store.run(run).await).unwrap();
    assert_eq!(stored.status, RunStatus::Interrupted);
    let totals = store.call(async move |store| store.totals(run).await).unwrap();
    assert_eq!(totals[0].2.runs, 1);
}

pub(crate) fn a_large_binary_fits(location: &Location) {
    let store = open(location);
    let numbers = add_blocks(&store, "large", 20_000);
    assert_eq!(numbers.last(), Some(&BlockNumber(20_000)));
    let page = store.call(async |store| {
        store
            .blocks(&Selection::all(), None, Some(BlockNumber(19_990)), 100)
            .await
    });
    assert_eq!(page.unwrap().len(), 10);
}
