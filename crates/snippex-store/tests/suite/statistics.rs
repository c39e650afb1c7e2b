//! Runs put together, and blocks that fail or are flaky.

use snippex_store::*;

use super::samples::*;

/// Runs with these results of two blocks each.
fn run(store: &StoreHandle, numbers: &[BlockNumber], results: [ResultCounts; 2], end: RunEnd) -> RunId {
    let (run, _, qemu) = start_run(store);
    let results = numbers.iter().zip(results);
    let results = results.map(|(&block, counts)| BlockResult {
        block,
        engine: qemu,
        counts,
    });
    let batch = BlockBatch {
        results: results.collect(),
        ..BlockBatch::default()
    };
    store.save_batch(run, batch).unwrap();
    let summary = RunSummary {
        blocks: 2,
        ..RunSummary::default()
    };
    store
        .call_and_wait(async move |store| store.save_summary(run, &summary).await)
        .unwrap();
    store.finish_run(run, end, UnixMillis(2_000)).unwrap();
    run
}

pub(crate) fn summaries_come_with_their_engines(location: &Location) {
    let store = open(location);
    let numbers = add_blocks(&store, "a", 2);
    let clean = || [counts(64, 64, 0, &[]), counts(64, 64, 0, &[])];
    let first = run(&store, &numbers, clean(), RunEnd::Finished);
    let second = run(&store, &numbers, clean(), RunEnd::Interrupted);
    let (unfinished, ..) = start_run(&store);
    let runs = store
        .call_and_wait(async |store| store.summed_runs(10).await)
        .unwrap();
    let listed: Vec<_> = runs.iter().map(|run| (run.run, run.finished)).collect();
    assert_eq!(
        listed,
        [(second, false), (first, true)],
        "{unfinished} has no summary"
    );
    let run = &runs[1];
    assert_eq!(
        (&run.reference[..], &run.engine[..], &run.version[..]),
        ("native", "qemu-x86_64", "7.2")
    );
    assert_eq!((run.seed, run.states, run.summary.blocks), (u64::MAX, 64, 2));
    let newest = store
        .call_and_wait(async |store| store.summed_runs(1).await)
        .unwrap();
    assert_eq!(newest.len(), 1);
}

pub(crate) fn failing_blocks_are_counted(location: &Location) {
    let store = open(location);
    let numbers = add_blocks(&store, "a", 2);
    let first_fails = || [counts(64, 60, 4, &[]), counts(64, 64, 0, &[])];
    let both_fail = || [counts(64, 60, 4, &[]), counts(64, 63, 1, &[])];
    run(&store, &numbers, first_fails(), RunEnd::Finished);
    let last = run(&store, &numbers, both_fail(), RunEnd::Finished);
    let failing = store
        .call_and_wait(async |store| store.failing_blocks(10).await)
        .unwrap();
    let listed: Vec<_> = failing
        .iter()
        .map(|block| (block.block, block.failing, block.all, block.last))
        .collect();
    assert_eq!(listed, [(numbers[0], 2, 2, last), (numbers[1], 1, 2, last)]);
    assert_eq!((&failing[0].binary[..], failing[0].address), ("a", 0x1000));
    let one = store
        .call_and_wait(async |store| store.failing_blocks(1).await)
        .unwrap();
    assert_eq!(one.len(), 1);
}

pub(crate) fn a_block_is_flaky_when_its_cases_end_otherwise(location: &Location) {
    let store = open(location);
    let numbers = add_blocks(&store, "a", 2);
    let flaky = || {
        store
            .call_and_wait(async |store| store.flaky_blocks(10).await)
            .unwrap()
    };
    let always = || counts(64, 60, 4, &[]);
    run(
        &store,
        &numbers,
        [always(), counts(64, 64, 0, &[])],
        RunEnd::Finished,
    );
    run(
        &store,
        &numbers,
        [always(), counts(64, 64, 0, &[])],
        RunEnd::Finished,
    );
    assert_eq!(flaky(), []);
    // What was stopped says nothing.
    let once = || [always(), counts(64, 63, 0, &[("not-repeated", 1)])];
    run(&store, &numbers, once(), RunEnd::Interrupted);
    assert_eq!(flaky(), []);
    run(&store, &numbers, once(), RunEnd::Finished);
    let found = flaky();
    assert_eq!(found.len(), 1);
    let block = &found[0];
    assert_eq!(
        (block.block, block.all, block.matched, block.diverged),
        (numbers[1], 3, (63, 64), (0, 0))
    );
    assert_eq!((block.seed, block.states), (u64::MAX, 64));
}
