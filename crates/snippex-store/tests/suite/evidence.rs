//! Divergences and observations.

use snippex_store::*;

use super::samples::*;

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
        .save_batch(
            run,
            BlockBatch {
                divergences: vec![weaker, found.clone(), unknown],
                ..BlockBatch::default()
            },
        )
        .unwrap();
    store.flush().unwrap();
    let list = store
        .call_and_wait(async move |store| {
            store
                .list_divergences(Some(run), Some(numbers[1]), None, 10)
                .await
        })
        .unwrap();
    let [summary] = &list[..] else { panic!("{list:?}") };
    assert_eq!((summary.state_index, summary.confirmations), (7, 3));
    assert_eq!(summary.case_id, found.case.id());
    assert_eq!(summary.differences, found.differences);
    let id = summary.id;
    let full = store
        .call_and_wait(async move |store| store.load_divergence(id).await)
        .unwrap();
    assert_eq!(
        (full.case, full.expected, full.actual),
        (case(7), observation(1), observation(2))
    );
    assert_eq!(full.summary, *summary);
    let all = store
        .call_and_wait(async |store| store.list_divergences(None, None, None, 10).await)
        .unwrap();
    assert_eq!(all.iter().filter(|summary| summary.culprit.is_none()).count(), 1);
    let first = all[0].id;
    let rest = store
        .call_and_wait(async move |store| store.list_divergences(None, None, Some(first), 10).await)
        .unwrap();
    assert_eq!(rest, all[1..]);
}

pub(crate) fn cases_are_found_by_the_beginning_of_their_id(location: &Location) {
    let store = open(location);
    let numbers = add_blocks(&store, "a", 2);
    let (run, native, qemu) = start_run(&store);
    let divergences = vec![
        divergence(numbers[0], 7, (native, qemu)),
        divergence(numbers[1], 7, (native, qemu)),
        divergence(numbers[1], 8, (native, qemu)),
    ];
    let ids: Vec<_> = divergences
        .iter()
        .map(|divergence| divergence.case.id())
        .collect();
    store
        .save_batch(
            run,
            BlockBatch {
                divergences,
                ..BlockBatch::default()
            },
        )
        .unwrap();
    store.flush().unwrap();
    let like = |digits: &str, limit| {
        let digits = digits.to_owned();
        store
            .call_and_wait(async move |store| store.cases_like(&digits, limit).await)
            .unwrap()
    };
    let text = ids[0].to_string();
    assert_eq!(
        (ids[0], like(&text, 9), like(&text[..12], 9)),
        (ids[1], vec![ids[0]], vec![ids[0]])
    );
    assert_eq!(
        (
            like("", 9).len(),
            like("", 1).len(),
            like(&"f".repeat(64), 9).len()
        ),
        (2, 1, 0)
    );
    let (id, other) = (ids[0], ids[2]);
    let (found, met, bugs) = store
        .call_and_wait(async move |store| {
            Ok((
                store.find_case(id).await?,
                store.divergences_of_case(id).await?,
                store.bugs_of_case(other).await?,
            ))
        })
        .unwrap();
    assert_eq!((found, met.len(), bugs.len()), (Some(case(7)), 2, 0));
    assert!(met[0] > met[1], "the newest first");
    let unknown = snippex_core::codec::CaseId([0xab; 32]);
    assert_eq!(
        store
            .call_and_wait(async move |store| store.find_case(unknown).await)
            .unwrap(),
        None
    );
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
        .save_batch(
            run,
            BlockBatch {
                divergences,
                ..BlockBatch::default()
            },
        )
        .unwrap();
    let groups = store
        .call_and_wait(async move |store| store.divergence_groups(run).await)
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
            .save_batch(
                run,
                BlockBatch {
                    observations: observations.collect(),
                    ..BlockBatch::default()
                },
            )
            .unwrap();
    }
    let list = |block, engine, before, limit| {
        store
            .call_and_wait(async move |store| {
                store
                    .list_observations(Some(run), block, engine, before, limit)
                    .await
            })
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
        .call_and_wait(async move |store| store.load_observation(id).await)
        .unwrap();
    assert_eq!((full.summary, full.case), (newest, case(2)));
    assert_eq!(full.observation, observation(qemu.0.cast_unsigned()));
}
