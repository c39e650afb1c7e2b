//! Bugs, the list of known ones, and databases from before there were any.

use snippex_store::*;
use snippex_triage::cause::{Attribution, BugName, CauseId};
use snippex_triage::signature::{BugKind, CodeForm, Signature, SignatureId};

use super::samples::*;

fn signature(form: &str, fields: &[&str]) -> Signature {
    Signature {
        kind: BugKind::WrongValue,
        form: CodeForm {
            text: form.to_owned(),
            encoding: "Code+a32".to_owned(),
        },
        fields: fields.iter().map(|field| (*field).to_owned()).collect(),
    }
}

/// Of the cause that most tests need.
fn attribution(signature: &Signature) -> Attribution {
    Attribution {
        cause: "mxcsr-de".parse().unwrap(),
        signature: signature.clone(),
    }
}

fn bug(signature: &Signature, engines: (EngineId, EngineId), seed: u64, reduced: bool) -> NewBug {
    NewBug {
        attribution: attribution(signature),
        engine: engines.1,
        reference: engines.0,
        block: None,
        case: EncodedCase::from(&case(seed)),
        expected: EncodedObservation::from(&observation(1)),
        actual: EncodedObservation::from(&observation(2)),
        differences: "[]".to_owned(),
        reduced,
        confirmations: 3,
        found: UnixMillis(5_000),
    }
}

fn sighting(signature: &Signature, engine: EngineId, runs: u64) -> NewSighting {
    NewSighting {
        attribution: attribution(signature),
        engine,
        runs,
        blocks: 1,
    }
}

fn bugs(store: &StoreHandle, prefix: &str, run: Option<RunId>) -> Vec<StoredBug> {
    let prefix = prefix.to_owned();
    store
        .call_and_wait(async move |store| store.list_bugs(&prefix, run).await)
        .unwrap()
}

fn examples(store: &StoreHandle, signature: &Signature) -> Vec<BugExample> {
    let attribution = attribution(signature);
    store
        .call_and_wait(async move |store| {
            store
                .bug_examples(&attribution.cause, attribution.signature.id())
                .await
        })
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
    let batch = BlockBatch {
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
        ..BlockBatch::default()
    };
    store.save_batch(run, batch.clone()).unwrap();
    store.save_batch(run, batch).unwrap();
    store.flush().unwrap();
    let all = bugs(&store, "", None);
    assert_eq!(all.len(), 2);
    let id = one.id().to_string();
    let found = bugs(&store, &id[..6], Some(run));
    let [found] = &found[..] else { panic!("{found:?}") };
    assert_eq!(found.attribution, attribution(&one));
    assert_eq!((found.sightings[0].runs, found.sightings[0].blocks), (20, 4));
    assert_eq!(bugs(&store, "%", None).len(), 2);
    assert_eq!(bugs(&store, "", Some(RunId(run.0 + 1))), []);

    // The reduced example is kept, whatever comes later.
    let kept = examples(&store, &one);
    let [kept] = &kept[..] else { panic!("{kept:?}") };
    assert_eq!((&kept.case, kept.reduced, kept.block), (&case(2), true, None));
    assert_eq!(kept.actual, observation(2));
    assert_eq!(examples(&store, &two), []);
    let reduced = |engine| {
        store
            .call_and_wait(async move |store| store.reduced_bugs(engine).await)
            .unwrap()
    };
    assert_eq!(reduced(qemu), [attribution(&one)]);
    assert_eq!(reduced(native), []);
    let entries = store
        .call_and_wait(async |store| store.example_entries(None).await)
        .unwrap();
    let [entry] = &entries[..] else {
        panic!("{entries:?}")
    };
    assert_eq!(
        (entry.signature, entry.engine, entry.reduced, entry.confirmations),
        (one.id(), qemu, true, 3)
    );
}

pub(crate) fn one_signature_can_have_two_causes(location: &Location) {
    let store = open(location);
    let (run, native, qemu) = start_run(&store);
    let both = signature("maxsd xmm, xmm", &["op0"]);
    let of = |cause: &str, seed: u64| {
        let attribution = Attribution {
            cause: cause.parse().unwrap(),
            signature: both.clone(),
        };
        let example = NewBug {
            attribution: attribution.clone(),
            ..bug(&both, (native, qemu), seed, true)
        };
        let sighting = NewSighting {
            attribution,
            ..sighting(&both, qemu, seed)
        };
        (example, sighting)
    };
    let (daz, nan) = (of("max-min-daz", 3), of("nan-operand", 4));
    let batch = BlockBatch {
        bugs: vec![daz.0, nan.0],
        sightings: vec![daz.1, nan.1],
        ..BlockBatch::default()
    };
    store.save_batch(run, batch).unwrap();
    store.flush().unwrap();
    let found = bugs(&store, "", None);
    let causes: Vec<_> = found
        .iter()
        .map(|bug| (bug.attribution.cause.as_str(), bug.sightings[0].runs))
        .collect();
    assert_eq!(causes, [("max-min-daz", 3), ("nan-operand", 4)]);
    let cause: CauseId = "nan-operand".parse().unwrap();
    let id = both.id();
    let example = store
        .call_and_wait(async move |store| store.bug_examples(&cause, id).await)
        .unwrap();
    assert_eq!(example[0].case, case(4));
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
    let batch = BlockBatch {
        bugs: vec![example, bug(&one, (native, qemu), 2, true)],
        sightings: vec![sighting(&both, qemu, 1), sighting(&one, qemu, 1)],
        ..BlockBatch::default()
    };
    store.save_batch(first, batch).unwrap();
    let batch = BlockBatch {
        sightings: vec![sighting(&both, qemu, 1)],
        ..BlockBatch::default()
    };
    store.save_batch(second, batch).unwrap();
    let entry = KnownBug {
        bug: BugName::Signature(one.id()),
        engine: String::new(),
        issue: "https://example.org/1".to_owned(),
        note: String::new(),
        added: UnixMillis(1),
    };
    let adding = entry.clone();
    store
        .call_and_wait(async move |store| store.add_known(&adding, false).await)
        .unwrap()
        .unwrap();
    let removed = store
        .call_and_wait(async move |store| store.remove_run(first).await)
        .unwrap();
    assert_eq!((removed.runs, removed.cases), (1, 1));
    let left = bugs(&store, "", None);
    assert_eq!(
        left.iter()
            .map(|bug| &bug.attribution.signature)
            .collect::<Vec<_>>(),
        [&both]
    );
    assert_eq!(
        store
            .call_and_wait(async |store| store.known_bugs().await)
            .unwrap(),
        [entry]
    );
    // The block goes, the example stays.
    store
        .call_and_wait(async |store| store.remove_blocks(&Selection::all()).await)
        .unwrap();
    assert_eq!(examples(&store, &both)[0].block, None);
}

pub(crate) fn known_bugs_do_not_contradict_each_other(location: &Location) {
    let store = open(location);
    let entry = |engine: &str, issue: &str| KnownBug {
        bug: BugName::Cause("x87-overflow".parse().unwrap()),
        engine: engine.to_owned(),
        issue: issue.to_owned(),
        note: "note".to_owned(),
        added: UnixMillis(7),
    };
    let add = |entry: KnownBug, replace| {
        store
            .call_and_wait(async move |store| store.add_known(&entry, replace).await)
            .unwrap()
    };
    assert_eq!(add(entry("qemu-x86_64", "a"), false), Ok(()));
    assert_eq!(add(entry("qemu-x86_64", "a"), false), Ok(()));
    assert_eq!(add(entry("fex-emu", "b"), false), Ok(()));
    let refused = add(entry("qemu-x86_64", "c"), false).unwrap_err();
    assert_eq!(refused.known, entry("qemu-x86_64", "a"));
    assert_eq!(add(entry("qemu-x86_64", "c"), true), Ok(()));
    // An entry for every engine, or for a configuration, would contradict one of them; and is not replaced.
    let refused = add(entry("", "d"), true).unwrap_err();
    assert_eq!(refused.known, entry("fex-emu", "b"));
    let refused = add(entry("fex-emu/multiblock", "d"), true).unwrap_err();
    assert_eq!(refused.known, entry("fex-emu", "b"));
    assert_eq!(add(entry("fex-emulator", "d"), false), Ok(()));
    assert_eq!(add(entry("fex-emu/multiblock", "b"), false), Ok(()));
    for engine in ["fex-emulator", "fex-emu/multiblock"] {
        let bug = entry("", "").bug;
        let removed = store.call_and_wait(async move |store| store.remove_known(&bug, Some(engine)).await);
        assert_eq!(removed.unwrap(), 1);
    }
    let id = entry("", "").bug;
    let list = || {
        store
            .call_and_wait(async |store| store.known_bugs().await)
            .unwrap()
    };
    assert_eq!(list(), [entry("fex-emu", "b"), entry("qemu-x86_64", "c")]);
    let remove = |engine: Option<&'static str>| {
        let id = id.clone();
        store
            .call_and_wait(async move |store| store.remove_known(&id, engine).await)
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
    let batch = BlockBatch {
        divergences: vec![divergence(numbers[0], 3, (native, qemu))],
        ..BlockBatch::default()
    };
    store.save_batch(run, batch).unwrap();
    drop(store);
    super::execute(
        location,
        "DROP TABLE bug_examples; DROP TABLE bug_sightings; DROP TABLE bugs; DROP TABLE known_bugs;
         DROP TABLE reported_issues; DROP TABLE run_summaries; ALTER TABLE engines DROP COLUMN host_cpu; DROP INDEX block_results_failing;
        DROP INDEX block_results_by_block; CREATE INDEX block_results_of_block ON block_results (block);
        DROP INDEX block_inconclusive_by_reason;
         UPDATE snippex_schema SET version = 1",
    );
    let store = open(location);
    let found = store
        .call_and_wait(async move |store| store.list_divergences(Some(run), None, None, 10).await)
        .unwrap();
    assert_eq!(found.len(), 1);
    let one = signature("fld1", &["ftw"]);
    let batch = BlockBatch {
        bugs: vec![bug(&one, (native, qemu), 1, true)],
        sightings: vec![sighting(&one, qemu, 1)],
        ..BlockBatch::default()
    };
    store.save_batch(run, batch).unwrap();
    store.flush().unwrap();
    assert_eq!(bugs(&store, "", None).len(), 1);
}

/// What `0002_bugs.sql` made of the tables about bugs, filled.
const BEFORE_CAUSES: &str = "
    CREATE TABLE old_sightings AS SELECT signature, run_id, engine_id, runs, blocks FROM bug_sightings;
    CREATE TABLE old_examples AS SELECT signature, engine_id, reference_id, block, case_id, reduced, confirmations,
        differences, expected, actual, found FROM bug_examples;
    DROP TABLE bug_sightings; DROP TABLE bug_examples;
    ALTER TABLE old_sightings RENAME TO bug_sightings; ALTER TABLE old_examples RENAME TO bug_examples;
    ALTER TABLE known_bugs RENAME COLUMN bug TO signature;
    DROP TABLE reported_issues; DROP TABLE run_summaries; ALTER TABLE engines DROP COLUMN host_cpu; DROP INDEX block_results_failing;
        DROP INDEX block_results_by_block; CREATE INDEX block_results_of_block ON block_results (block);
        DROP INDEX block_inconclusive_by_reason;
    DELETE FROM snippex_schema; INSERT INTO snippex_schema VALUES (2)";

/// A database with bugs from before there were causes keeps them, and they can be given one.
pub(crate) fn bugs_of_an_older_database_get_causes(location: &Location) {
    let store = open(location);
    let (run, native, qemu) = start_run(&store);
    let (one, two) = (
        signature("addsd xmm, xmm", &["no mxcsr.DE"]),
        signature("fprem", &["st(0)"]),
    );
    let known = KnownBug {
        bug: BugName::Signature(one.id()),
        engine: String::new(),
        issue: "https://example.org/1".to_owned(),
        note: String::new(),
        added: UnixMillis(1),
    };
    let batch = BlockBatch {
        bugs: vec![
            bug(&one, (native, qemu), 1, true),
            bug(&two, (native, qemu), 2, false),
        ],
        sightings: vec![sighting(&one, qemu, 5), sighting(&two, qemu, 7)],
        ..BlockBatch::default()
    };
    store.save_batch(run, batch).unwrap();
    store.flush().unwrap();
    let adding = known.clone();
    store
        .call_and_wait(async move |store| store.add_known(&adding, false).await)
        .unwrap()
        .unwrap();
    drop(store);
    super::execute(location, BEFORE_CAUSES);

    let store = open(location);
    // Until somebody has looked at the examples, the signature says what it can.
    let causes = || {
        let found = bugs(&store, "", None);
        let mut causes: Vec<_> = found
            .into_iter()
            .map(|bug| (bug.attribution.cause.to_string(), bug.sightings[0].runs))
            .collect();
        causes.sort();
        causes
    };
    assert_eq!(
        causes(),
        [("fprem.result".to_owned(), 7), ("mxcsr.no-de".to_owned(), 5)]
    );
    let unsorted = store
        .call_and_wait(async |store| store.unsorted_bugs().await)
        .unwrap();
    let mut ids: Vec<(SignatureId, bool)> = unsorted
        .iter()
        .map(|(signature, example)| (signature.id(), example.as_ref().unwrap().reduced))
        .collect();
    ids.sort_unstable();
    let mut expected = [(one.id(), true), (two.id(), false)];
    expected.sort_unstable();
    assert_eq!(ids, expected);

    let fprem: CauseId = "fprem.result".parse().unwrap();
    let sorted = [
        attribution(&one),
        Attribution {
            cause: fprem,
            signature: two,
        },
    ];
    store
        .call_and_wait(async move |store| store.sort_bugs(&sorted).await)
        .unwrap();
    assert_eq!(
        causes(),
        [("fprem.result".to_owned(), 7), ("mxcsr-de".to_owned(), 5)]
    );
    assert_eq!(examples(&store, &one)[0].case, case(1));
    assert_eq!(
        store
            .call_and_wait(async |store| store.unsorted_bugs().await)
            .unwrap(),
        []
    );
    assert_eq!(
        store
            .call_and_wait(async |store| store.known_bugs().await)
            .unwrap(),
        [known]
    );
}
