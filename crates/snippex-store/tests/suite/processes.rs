//! Several processes at one database.

use std::thread;

use snippex_store::*;

use super::execute;
use super::samples::*;

pub(crate) fn a_newer_schema_is_refused(location: &Location) {
    drop(open(location));
    execute(location, "UPDATE snippex_schema SET version = 1000");
    let error = StoreHandle::open(location).unwrap_err();
    assert!(
        matches!(error, StoreError::NewerSchema { found: 1000, .. }),
        "{error:?}"
    );
    assert!(error.hint().unwrap().contains("newer snippex"));
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
        store
            .finish_run(run, RunEnd::Finished, UnixMillis::now())
            .unwrap();
        let totals = store
            .call_and_wait(async move |store| store.sum_results(run).await)
            .unwrap();
        assert_eq!(totals, [(qemu, 50, counts(50 * BATCHES, 50 * BATCHES, 0, &[]))]);
        assert_eq!(
            store
                .call_and_wait(async move |store| store.divergence_groups(run).await)
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
        .call_and_wait(async |store| store.count_blocks(&Selection::all(), None).await)
        .unwrap();
    assert_eq!(count, 50 * (WRITERS + 1));
    let last = store
        .call_and_wait(async |store| store.list_blocks(&Selection::all(), None, None, 1000).await)
        .unwrap();
    assert_eq!(
        last.last().unwrap().number,
        BlockNumber(50 * (WRITERS as i64 + 1))
    );
}
