//! Binaries, blocks and their numbers.

use snippex_core::block::{Block, Origin, Terminator, Unrunnable};
use snippex_store::*;

use super::execute;
use super::samples::*;

pub(crate) fn blocks_get_numbers_that_stay(location: &Location) {
    let store = open(location);
    let first = add_blocks(&store, "a", 3);
    assert_eq!(first, [1, 2, 3].map(BlockNumber));
    assert_eq!(add_blocks(&store, "b", 2), [4, 5].map(BlockNumber));
    // The same blocks again, and two more.
    assert_eq!(add_blocks(&store, "a", 5), [1, 2, 3, 6, 7].map(BlockNumber));
    // Numbers of removed blocks are not used again.
    store
        .call_and_wait(async |store| store.remove_blocks(&"6-".parse().unwrap()).await)
        .unwrap();
    assert_eq!(add_blocks(&store, "a", 5), [1, 2, 3, 8, 9].map(BlockNumber));
    // One block twice in one call is one block.
    let (id, same) = (binary("b"), vec![block(0x9000), block(0x9000)]);
    let added = store
        .call_and_wait(async move |store| store.add_blocks(store.add_binary(&id).await?, &same).await)
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
    let stored = store.call_and_wait(async move |store| {
        let id = store.add_binary(&binary("a")).await?;
        store.add_blocks(id, &given).await?;
        store.list_blocks(&Selection::all(), Some(id), None, 10).await
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
        let blocks = store.call_and_wait(async move |store| {
            store
                .list_blocks(&selection, binary.map(BinaryId), after.map(BlockNumber), limit)
                .await
        });
        blocks.unwrap().iter().map(|block| block.number.0).collect()
    };
    assert_eq!(list("all", None, None, 3), [1, 2, 3]);
    assert_eq!(list("all", None, Some(3), 3), [4, 5, 6]);
    assert_eq!(list("2,4-6,18-", None, Some(4), 4), [5, 6, 18, 19]);
    assert_eq!(list("9-12", Some(2), None, 10), [11, 12]);
    assert_eq!(list("21-", None, None, 10), [0; 0]);
    let count = store.call_and_wait(async |store| {
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
        .call_and_wait(async move |store| store.add_binary(&again).await)
        .unwrap();
    let expected = Binary {
        id,
        binary: moved,
        blocks: 2,
    };
    assert_eq!(
        store
            .call_and_wait(async |store| store.list_binaries().await)
            .unwrap(),
        std::slice::from_ref(&expected)
    );
    assert_eq!(
        store
            .call_and_wait(async move |store| store.load_binary(id).await)
            .unwrap(),
        expected
    );
}

pub(crate) fn a_binary_comes_with_its_blocks_or_not_at_all(location: &Location) {
    let store = open(location);
    execute(location, "ALTER TABLE blocks RENAME TO hidden");
    let (id, blocks) = (binary("a"), vec![block(0x1000)]);
    store
        .call_and_wait(async move |store| store.add_binary_with_blocks(&id, &blocks).await)
        .unwrap_err();
    execute(location, "ALTER TABLE hidden RENAME TO blocks");
    assert_eq!(
        store
            .call_and_wait(async |store| store.list_binaries().await)
            .unwrap(),
        []
    );
}

pub(crate) fn a_large_binary_fits(location: &Location) {
    let store = open(location);
    let numbers = add_blocks(&store, "large", 20_000);
    assert_eq!(numbers.last(), Some(&BlockNumber(20_000)));
    let page = store.call_and_wait(async |store| {
        store
            .list_blocks(&Selection::all(), None, Some(BlockNumber(19_990)), 100)
            .await
    });
    assert_eq!(page.unwrap().len(), 10);
}
