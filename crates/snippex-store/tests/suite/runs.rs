//! Engines, hosts, runs and their results.

use std::time::Duration;

use snippex_core::state::Components;
use snippex_store::*;

use super::block_on;
use super::samples::*;

pub(crate) fn engines_and_hosts_are_stored_once(location: &Location) {
    let store = open(location);
    let add = |engine: StoredEngine| {
        store
            .call_and_wait(async move |store| store.add_engine(&engine).await)
            .unwrap()
    };
    let native = add(engine("native"));
    assert_eq!(add(engine("native")), native);
    let other = add(StoredEngine {
        version: "8".to_owned(),
        ..engine("native")
    });
    assert_ne!(other, native);
    assert_ne!(
        add(StoredEngine {
            host_cpu: "{}".to_owned(),
            ..engine("native")
        }),
        native
    );
    assert_ne!(
        add(StoredEngine {
            components: Components::SSE,
            ..engine("native")
        }),
        native
    );
    assert_eq!(
        store
            .call_and_wait(async move |store| store.load_engine(native).await)
            .unwrap(),
        engine("native")
    );
    assert_eq!(
        store
            .call_and_wait(async |store| store.list_engines().await)
            .unwrap()
            .len(),
        4
    );
    let hosts = store
        .call_and_wait(async |store| Ok((store.add_host(&host()).await?, store.add_host(&host()).await?)));
    let (here, again) = hosts.unwrap();
    assert_eq!(here, again);
    assert_eq!(
        store
            .call_and_wait(async move |store| store.load_host(here).await)
            .unwrap(),
        host()
    );
}

pub(crate) fn a_run_comes_back(location: &Location) {
    let store = open(location);
    let (id, native, qemu) = start_run(&store);
    let run = store
        .call_and_wait(async move |store| store.load_run(id).await)
        .unwrap();
    assert_eq!((run.status, run.finished), (RunStatus::Running, None));
    assert_eq!((run.run.seed, run.run.states_per_block), (u64::MAX, 64));
    assert_eq!(run.run.partition, Some(Partition { index: 2, count: 3 }));
    assert_eq!(run.run.engines, [native, qemu]);
    store
        .call_and_wait(async move |store| store.update_heartbeat(id, UnixMillis(4_000)).await)
        .unwrap();
    let run = store
        .call_and_wait(async move |store| store.load_run(id).await)
        .unwrap();
    assert_eq!(
        (run.run.started, run.heartbeat),
        (UnixMillis(1_000), UnixMillis(4_000))
    );
    store.finish_run(id, RunEnd::Finished, UnixMillis(5_000)).unwrap();
    let run = store
        .call_and_wait(async move |store| store.load_run(id).await)
        .unwrap();
    assert_eq!(
        (run.status, run.finished),
        (RunStatus::Finished, Some(UnixMillis(5_000)))
    );
    let (second, ..) = start_run(&store);
    store
        .finish_run(second, RunEnd::Interrupted, UnixMillis(6_000))
        .unwrap();
    let runs = store
        .call_and_wait(async |store| store.list_runs(None, 10).await)
        .unwrap();
    let listed: Vec<_> = runs.iter().map(|run| (run.id, run.status)).collect();
    assert_eq!(
        listed,
        [(second, RunStatus::Interrupted), (id, RunStatus::Finished)]
    );
    assert_eq!(
        store
            .call_and_wait(async move |store| store.list_runs(Some(second), 10).await)
            .unwrap()
            .len(),
        1
    );
}

pub(crate) fn a_summary_comes_back_and_goes_with_its_run(location: &Location) {
    let store = open(location);
    let (id, ..) = start_run(&store);
    let read = || {
        store
            .call_and_wait(async move |store| store.find_summary(id).await)
            .unwrap()
    };
    assert_eq!(read(), None);
    let mut summary = RunSummary {
        elapsed: Duration::from_micros(1_500_001),
        blocks: 3,
        diverging_blocks: 1,
        runs: 192,
        completed: 150,
        faulted: 42,
        matched: 190,
        diverged: 1,
        inconclusive: 1,
        unsupported: 0,
        details: SummaryDetails::default(),
    };
    summary.details.excused.insert("and-af".to_owned(), u64::MAX);
    let forms = FormCounts {
        forms: 9,
        run: 8,
        executable: 9,
        blocks: 800,
    };
    summary.details.coverage.insert("AVX".to_owned(), forms);
    for runs in [1, 192] {
        summary.runs = runs;
        let saved = summary.clone();
        store
            .call_and_wait(async move |store| store.save_summary(id, &saved).await)
            .unwrap();
        assert_eq!(read(), Some(summary.clone()));
    }
    let unknown = RunId(id.0 + 1);
    assert!(
        store
            .call_and_wait(async move |store| store.save_summary(unknown, &summary).await)
            .is_err()
    );
    super::execute(location, "DELETE FROM runs");
    assert_eq!(read(), None);
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
        .save_batch(
            run,
            BlockBatch {
                results: results.collect(),
                ..BlockBatch::default()
            },
        )
        .unwrap();
    // The same block twice in one batch, and once more in another.
    let more = result(
        numbers[0],
        counts(10, 8, 0, &[("undefined flag", 1), ("hung", 1)]),
    );
    store
        .save_batch(
            run,
            BlockBatch {
                results: vec![more.clone(), more.clone()],
                ..BlockBatch::default()
            },
        )
        .unwrap();
    store
        .save_batch(
            run,
            BlockBatch {
                results: vec![more],
                ..BlockBatch::default()
            },
        )
        .unwrap();
    let totals = store
        .call_and_wait(async move |store| store.sum_results(run).await)
        .unwrap();
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
        .save_batch(
            run,
            BlockBatch {
                results: expected.clone(),
                ..BlockBatch::default()
            },
        )
        .unwrap();
    let page = |after, limit| {
        store
            .call_and_wait(async move |store| store.list_results(run, after, limit).await)
            .unwrap()
    };
    assert_eq!(page(None, 2), expected[..4]);
    assert_eq!(page(Some(numbers[1]), 10), expected[4..]);
    assert_eq!(page(Some(numbers[4]), 10), []);
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
            started: UnixMillis::now(),
        };
        let run = store.start_run(&run).await.unwrap();
        let good = BlockResult {
            block: number,
            engine: native,
            counts: counts(1, 1, 0, &[]),
        };
        let nowhere = divergence(BlockNumber(99), 0, (native, native));
        let batch = BlockBatch {
            results: vec![good.clone()],
            divergences: vec![nowhere],
            ..BlockBatch::default()
        };
        let error = store.save_batch(run, &batch).await.unwrap_err();
        assert!(matches!(error, StoreError::Orphan { .. }), "{error:?}");
        assert_eq!(store.sum_results(run).await.unwrap(), []);
        store
            .save_batch(
                run,
                &BlockBatch {
                    results: vec![good],
                    ..BlockBatch::default()
                },
            )
            .await
            .unwrap();
        assert_eq!(store.sum_results(run).await.unwrap().len(), 1);
        store.close().await;
    });
}

pub(crate) fn a_failed_batch_is_told_and_stops_the_run(location: &Location) {
    let store = open(location);
    let numbers = add_blocks(&store, "a", 2);
    let (run, _, qemu) = start_run(&store);
    let batch = |block| BlockBatch {
        results: vec![BlockResult {
            block,
            engine: qemu,
            counts: counts(1, 1, 0, &[]),
        }],
        ..BlockBatch::default()
    };
    store.save_batch(run, batch(numbers[0])).unwrap();
    store.save_batch(run, batch(BlockNumber(77))).unwrap();
    let error = store.flush().unwrap_err();
    assert!(matches!(error, StoreError::Unsaved(_)), "{error:?}");
    assert!(error.hint().is_some());
    assert!(store.save_batch(run, batch(numbers[1])).is_err());
    assert!(
        store
            .finish_run(run, RunEnd::Finished, UnixMillis::now())
            .is_err()
    );
    let stored = store
        .call_and_wait(async move |store| store.load_run(run).await)
        .unwrap();
    assert_eq!(stored.status, RunStatus::Interrupted);
    let totals = store
        .call_and_wait(async move |store| store.sum_results(run).await)
        .unwrap();
    assert_eq!(totals[0].2.runs, 1);
}
