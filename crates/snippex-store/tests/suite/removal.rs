//! What removal takes, and what is not there.

use snippex_store::*;

use super::samples::*;

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
    let batch = BlockBatch {
        results: numbers.iter().map(result).collect(),
        divergences: numbers
            .iter()
            .map(|&block| divergence(block, 3, (native, qemu)))
            .collect(),
        observations: numbers.iter().map(seen).collect(),
        ..BlockBatch::default()
    };
    store.save_batch(run, batch).unwrap();
    let remove = |selection: &str| {
        let selection: Selection = selection.parse().unwrap();
        store
            .call_and_wait(async move |store| store.remove_blocks(&selection).await)
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
    let left = store
        .call_and_wait(async |store| store.list_binaries().await)
        .unwrap();
    assert_eq!(
        left.iter()
            .map(|binary| binary.binary.name.as_str())
            .collect::<Vec<_>>(),
        ["b"]
    );
    assert_eq!(
        store
            .call_and_wait(async move |store| store.sum_results(run).await)
            .unwrap(),
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
            .save_batch(
                run,
                BlockBatch {
                    results,
                    divergences,
                    ..BlockBatch::default()
                },
            )
            .unwrap();
    }
    let removed = store
        .call_and_wait(async move |store| store.remove_run(first).await)
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
        .call_and_wait(async |store| store.remove_binary(BinaryId(1)).await)
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
        .call_and_wait(async |store| store.remove_binary(BinaryId(1)).await)
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
        .call_and_wait(async move |store| store.remove_run(first).await)
        .unwrap_err();
    assert!(matches!(error, StoreError::Missing { what: "run", .. }));
}

pub(crate) fn what_is_not_there_is_missing(location: &Location) {
    let store = open(location);
    let errors = store.call_and_wait(async |store| {
        Ok([
            store.load_block(BlockNumber(1)).await.unwrap_err(),
            store.load_binary(BinaryId(1)).await.unwrap_err(),
            store.load_engine(EngineId(1)).await.unwrap_err(),
            store.load_host(HostId(1)).await.unwrap_err(),
            store.load_run(RunId(i64::MAX)).await.unwrap_err(),
            store.load_divergence(DivergenceId(1)).await.unwrap_err(),
            store.load_observation(ObservationId(-1)).await.unwrap_err(),
            store
                .finish_run(RunId(1), RunEnd::Finished, UnixMillis(0))
                .await
                .unwrap_err(),
        ])
    });
    for error in errors.unwrap() {
        assert!(matches!(error, StoreError::Missing { .. }), "{error:?}");
        assert!(error.hint().is_some());
    }
}
