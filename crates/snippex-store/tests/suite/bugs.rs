//! Bugs, the list of known ones, and databases from before there were any.

use snippex_core::signature::{BugKind, Form, Signature};
use snippex_store::*;

use super::samples::*;

fn signature(form: &str, fields: &[&str]) -> Signature {
    Signature {
        kind: BugKind::WrongValue,
        form: Form {
            text: form.to_owned(),
            encoding: "Code+a32".to_owned(),
        },
        fields: fields.iter().map(|field| (*field).to_owned()).collect(),
    }
}

fn bug(signature: &Signature, engines: (EngineId, EngineId), seed: u64, reduced: bool) -> NewBug {
    NewBug {
        signature: signature.clone(),
        engine: engines.1,
        reference: engines.0,
        block: None,
        case: EncodedCase::from(&case(seed)),
        expected: EncodedObservation::from(&observation(1)),
        actual: EncodedObservation::from(&observation(2)),
        differences: "[]".to_owned(),
        reduced,
        confirmations: 3,
        found: Timestamp(5_000),
    }
}

fn sighting(signature: &Signature, engine: EngineId, runs: u64) -> NewSighting {
    NewSighting {
        signature: signature.clone(),
        engine,
        runs,
        blocks: 1,
    }
}

fn bugs(store: &StoreHandle, prefix: &str, run: Option<RunId>) -> Vec<StoredBug> {
    let prefix = prefix.to_owned();
    store
        .call(async move |store| store.bugs(&prefix, run).await)
        .unwrap()
}

fn examples(store: &StoreHandle, signature: &Signature) -> Vec<BugExample> {
    let signature = signature.clone();
    store
        .call(async move |store| store.bug_examples(&signature).await)
        .unwrap()
}

pub(crate) fn bugs_come_back_with_counts_and_examples(location: &Location) {
    let store = open(location);
    let number = add_blocks(&store, "a", 1)[0];
    let (run, native, qemu) = start_run(&store);
    let (one, two) = (
        signature("addsd xmm, m64", &["no mxcsr.DE", "op0"]),
        signature("fld1", &["ftw"]),
    );
    let met = NewBug {
        block: Some(number),
        ..bug(&one, (native, qemu), 1, false)
    };
    let batch = Batch {
        bugs: vec![
            met,
            bug(&one, (native, qemu), 2, true),
            bug(&one, (native, qemu), 3, false),
        ],
        sightings: vec![
            sighting(&one, qemu, 4),
            sighting(&one, qemu, 6),
            sighting(&two, qemu, 1),
        ],
        ..Batch::default()
    };
    store.save(run, batch.clone()).unwrap();
    store.save(run, batch).unwrap();
    store.flush().unwrap();
    let all = bugs(&store, "", None);
    assert_eq!(all.len(), 2);
    let id = one.id().to_string();
    let found = bugs(&store, &id[..6], Some(run));
    let [found] = &found[..] else { panic!("{found:?}") };
    assert_eq!(found.signature, one);
    assert_eq!((found.sightings[0].runs, found.sightings[0].blocks), (20, 4));
    assert_eq!(bugs(&store, "%", None).len(), 2);
    assert_eq!(bugs(&store, "", Some(RunId(run.0 + 1))), []);

    // The reduced example is kept, whatever comes later.
    let kept = examples(&store, &one);
    let [kept] = &kept[..] else { panic!("{kept:?}") };
    assert_eq!((&kept.case, kept.reduced, kept.block), (&case(2), true, None));
    assert_eq!(kept.actual, observation(2));
    assert_eq!(examples(&store, &two), []);
    let catalogue = store
        .call(async move |store| store.reduced_bugs(qemu).await)
        .unwrap();
    assert_eq!(catalogue.explain(&one), Some(vec![&one]));
    assert_eq!(catalogue.explain(&two), None);
    let of_native = store
        .call(async move |store| store.reduced_bugs(native).await)
        .unwrap();
    assert_eq!(of_native.explain(&one), None);
}

pub(crate) fn bugs_go_with_the_last_run_that_met_them(location: &Location) {
    let store = open(location);
    let number = add_blocks(&store, "a", 1)[0];
    let (first, native, qemu) = start_run(&store);
    let (second, ..) = start_run(&store);
    let both = signature("fld1", &["ftw"]);
    let one = signature("fldz", &["ftw"]);
    let example = NewBug {
        block: Some(number),
        ..bug(&both, (native, qemu), 1, true)
    };
    let batch = Batch {
        bugs: vec![example, bug(&one, (native, qemu), 2, true)],
        sightings: vec![sighting(&both, qemu, 1), sighting(&one, qemu, 1)],
        ..Batch::default()
    };
    store.save(first, batch).unwrap();
    let batch = Batch {
        sightings: vec![sighting(&both, qemu, 1)],
        ..Batch::default()
    };
    store.save(second, batch).unwrap();
    let entry = KnownBug {
        signature: one.id(),
        engine: String::new(),
        issue: "https://example.org/1".to_owned(),
        note: String::new(),
        added: Timestamp(1),
    };
    let adding = entry.clone();
    store
        .call(async move |store| store.add_known(&adding, false).await)
        .unwrap()
        .unwrap();
    let removed = store
        .call(async move |store| store.remove_run(first).await)
        .unwrap();
    assert_eq!((removed.runs, removed.cases), (1, 1));
    let left = bugs(&store, "", None);
    assert_eq!(left.iter().map(|bug| &bug.signature).collect::<Vec<_>>(), [&both]);
    assert_eq!(
        store.call(async |store| store.known_bugs().await).unwrap(),
        [entry]
    );
    // The block goes, the example stays.
    store
        .call(async |store| store.remove_blocks(&Selection::all()).await)
        .unwrap();
    assert_eq!(examples(&store, &both)[0].block, None);
}

pub(crate) fn known_bugs_do_not_contradict_each_other(location: &Location) {
    let store = open(location);
    let entry = |engine: &str, issue: &str| KnownBug {
        signature: signature("fld1", &["ftw"]).id(),
        engine: engine.to_owned(),
        issue: issue.to_owned(),
        note: "note".to_owned(),
        added: Timestamp(7),
    };
    let add = |entry: KnownBug, replace| {
        store
            .call(async move |store| store.add_known(&entry, replace).await)
            .unwrap()
    };
    assert_eq!(add(entry("qemu-x86_64", "a"), false), Ok(()));
    assert_eq!(add(entry("qemu-x86_64", "a"), false), Ok(()));
    assert_eq!(add(entry("fex-emu", "b"), false), Ok(()));
    let refused = add(entry("qemu-x86_64", "c"), false).unwrap_err();
    assert_eq!(refused.known, entry("qemu-x86_64", "a"));
    assert_eq!(add(entry("qemu-x86_64", "c"), true), Ok(()));
    let id = entry("", "").signature;
    let list = || store.call(async |store| store.known_bugs().await).unwrap();
    assert_eq!(list(), [entry("fex-emu", "b"), entry("qemu-x86_64", "c")]);
    let remove = |engine: Option<&'static str>| {
        store
            .call(async move |store| store.remove_known(id, engine).await)
            .unwrap()
    };
    assert_eq!(
        (
            remove(Some("mock")),
            remove(Some("fex-emu")),
            remove(None),
            remove(None)
        ),
        (0, 1, 1, 0)
    );
    assert_eq!(list(), []);
}

/// A database that was filled before there were bugs is brought up to date with all it has.
pub(crate) fn an_older_database_is_brought_up_to_date(location: &Location) {
    let store = open(location);
    let numbers = add_blocks(&store, "a", 2);
    let (run, native, qemu) = start_run(&store);
    let batch = Batch {
        divergences: vec![divergence(numbers[0], 3, (native, qemu))],
        ..Batch::default()
    };
    store.save(run, batch).unwrap();
    drop(store);
    super::execute(
        location,
        "DROP TABLE bug_examples; DROP TABLE bug_sightings; DROP TABLE bugs; DROP TABLE known_bugs;
         UPDATE snippex_schema SET version = 1",
    );
    let store = open(location);
    let found = store
        .call(async move |store| store.divergences(Some(run), None, None, 10).await)
        .unwrap();
    assert_eq!(found.len(), 1);
    let one = signature("fld1", &["ftw"]);
    let batch = Batch {
        bugs: vec![bug(&one, (native, qemu), 1, true)],
        sightings: vec![sighting(&one, qemu, 1)],
        ..Batch::default()
    };
    store.save(run, batch).unwrap();
    store.flush().unwrap();
    assert_eq!(bugs(&store, "", None).len(), 1);
}
