//! Bundles: out of one database and into another, whatever both are.

use std::collections::BTreeMap;
use std::io::Cursor;

use snippex_store::*;
use snippex_triage::cause::Attribution;
use snippex_triage::signature::{BugKind, CodeForm, Signature};
use tempfile::TempDir;

use super::samples::*;

/// A SQLite database of its own.
fn another() -> (Location, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let location = Location::from(directory.path().join("another.db").as_path());
    (location, directory)
}

/// Name of a binary whose sample has a digest of hexadecimal digits.
const BINARY: &str = "bada55";

fn attribution() -> Attribution {
    Attribution {
        cause: "mxcsr-de".parse().unwrap(),
        signature: Signature {
            kind: BugKind::WrongValue,
            form: CodeForm {
                text: "addsd xmm, m64".to_owned(),
                encoding: "Code+a32".to_owned(),
            },
            fields: vec!["no mxcsr.DE".to_owned(), "op0".to_owned()],
        },
    }
}

/// A row of everything, and gaps in the numbers.
pub(crate) fn fill(store: &StoreHandle) {
    let numbers = add_blocks(store, BINARY, 5);
    let gone = start_run(store).0;
    store
        .finish_run(gone, RunEnd::Interrupted, UnixMillis(1_500))
        .unwrap();
    let (run, native, qemu) = start_run(store);
    let result = |block, reasons: &[(&str, u64)]| BlockResult {
        block,
        engine: qemu,
        counts: counts(64, 60, 1, reasons),
    };
    let bug = NewBug {
        attribution: attribution(),
        engine: qemu,
        reference: native,
        block: Some(numbers[2]),
        case: EncodedCase::from(&case(7)),
        expected: EncodedObservation::from(&observation(1)),
        actual: EncodedObservation::from(&observation(2)),
        differences: "[]".to_owned(),
        reduced: true,
        confirmations: 3,
        found: UnixMillis(5_000),
    };
    let seen = |state_index| NewObservation {
        block: numbers[1],
        engine: native,
        state_index,
        case: EncodedCase::from(&case(state_index.into())),
        observation: EncodedObservation::from(&observation(3)),
    };
    let batch = BlockBatch {
        results: vec![
            result(numbers[1], &[("open-memory", 2), ("not-repeated", 1)]),
            result(numbers[2], &[]),
            result(numbers[3], &[("open-endpoint", 3)]),
        ],
        divergences: vec![
            divergence(numbers[2], 4, (native, qemu)),
            divergence(numbers[2], 9, (native, qemu)),
        ],
        observations: vec![seen(0), seen(1)],
        bugs: vec![bug],
        sightings: vec![NewSighting {
            attribution: attribution(),
            engine: qemu,
            runs: 2,
            blocks: 1,
        }],
    };
    store.save_batch(run, batch).unwrap();
    let summary = RunSummary {
        elapsed: std::time::Duration::from_micros(123_456),
        blocks: 3,
        runs: 192,
        details: SummaryDetails {
            inconclusive: BTreeMap::from([("open-memory".to_owned(), 2)]),
            ..SummaryDetails::default()
        },
        ..RunSummary::default()
    };
    let known = KnownBug {
        bug: "mxcsr-de".parse().unwrap(),
        engine: "qemu-x86_64".to_owned(),
        issue: "https://example.org/1".to_owned(),
        note: "a \"note\"\n\u{e9}".to_owned(),
        added: UnixMillis(7_000),
    };
    store
        .call_and_wait(async move |store| {
            store.save_summary(run, &summary).await?;
            store.add_known(&known, false).await?.unwrap();
            store.remove_run(gone).await?;
            store
                .remove_blocks(&Selection::from_numbers([numbers[0]]))
                .await
                .map(drop)
        })
        .unwrap();
    store
        .finish_run(run, RunEnd::Finished, UnixMillis(2_000))
        .unwrap();
}

pub(crate) fn export(store: &StoreHandle) -> String {
    let exported = store.call_and_wait(async |store| {
        let mut text = String::new();
        let done = store
            .export_bundle(|piece| {
                text += &piece;
                true
            })
            .await?;
        Ok((text, done))
    });
    exported.unwrap().0
}

fn import_bytes(store: &StoreHandle, bytes: Vec<u8>, dry_run: bool) -> Result<ImportReport, BundleError> {
    store
        .call_and_wait(async move |store| Ok(store.import_bundle(Cursor::new(bytes), dry_run).await))
        .unwrap()
}

fn import(store: &StoreHandle, text: &str) -> Result<ImportReport, BundleError> {
    import_bytes(store, text.as_bytes().to_vec(), false)
}

fn added(report: &ImportReport) -> u64 {
    report.sections.values().map(|counts| counts.added).sum()
}

pub(crate) fn a_round_trip_is_identical(location: &Location) {
    let ((first, _one), (last, _other)) = (another(), another());
    let (first, middle, last) = (open(&first), open(location), open(&last));
    fill(&first);
    let text = export(&first);
    for section in Section::ALL {
        let empty = format!("\"{section}\":[]");
        assert!(!text.contains(&empty), "nothing is tested of {section}");
    }
    let report = import(&middle, &text).unwrap();
    let there = |counts: &SectionCounts| counts.added == counts.records;
    assert!(report.sections.values().all(there), "{report:?}");
    assert_eq!(export(&middle), text);
    import(&last, &export(&middle)).unwrap();
    assert_eq!(export(&last), text);
    // What comes later gets numbers behind those that were imported.
    let more = add_blocks(&middle, "c0ffee", 1)[0];
    assert_eq!(more, BlockNumber(6));
    let run = start_run(&middle).0;
    assert_eq!(run, RunId(3));
}

pub(crate) fn what_is_there_stays_and_is_not_added_again(location: &Location) {
    let (first, _guard) = another();
    let (first, store) = (open(&first), open(location));
    fill(&first);
    let text = export(&first);
    // Its first block has the number of another there.
    let own = add_blocks(&store, "c0ffee", 3);
    let dry = import_bytes(&store, text.clone().into_bytes(), true).unwrap();
    assert_eq!(
        export(&store).matches("\"number\"").count(),
        3,
        "a dry run adds nothing"
    );
    let report = import(&store, &text).unwrap();
    assert_eq!(report, dry);
    assert_eq!(
        report.sections[&Section::Blocks],
        SectionCounts { records: 4, added: 4 }
    );
    let blocks = store
        .call_and_wait(async |store| store.list_blocks(&Selection::all(), None, None, 100).await)
        .unwrap();
    let numbers: Vec<i64> = blocks.iter().map(|block| block.number.0).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(own.len(), 3);
    // The divergences are those of the block under its new number.
    let found = store
        .call_and_wait(async |store| store.list_divergences(None, Some(BlockNumber(5)), None, 10).await)
        .unwrap();
    assert_eq!(found.len(), 2);
    let before = export(&store);
    let again = import(&store, &text).unwrap();
    assert_eq!(added(&again), 0, "{again:?}");
    assert_eq!(export(&store), before);
    // A second bundle with another block of the same binary adds that alone.
    let more = add_blocks(&first, BINARY, 6);
    let third = import(&store, &export(&first)).unwrap();
    assert_eq!(added(&third), 2, "{third:?}: {more:?}");
}

pub(crate) fn a_known_bug_that_contradicts_the_list_is_left_out(location: &Location) {
    let (first, _guard) = another();
    let (first, store) = (open(&first), open(location));
    fill(&first);
    let known = KnownBug {
        bug: "mxcsr-de".parse().unwrap(),
        engine: String::new(),
        issue: "https://example.org/2".to_owned(),
        note: String::new(),
        added: UnixMillis(1),
    };
    store
        .call_and_wait(async move |store| store.add_known(&known, false).await)
        .unwrap()
        .unwrap();
    let report = import(&store, &export(&first)).unwrap();
    assert_eq!(report.contradicting_known_bugs, 1);
    let list = store
        .call_and_wait(async |store| store.known_bugs().await)
        .unwrap();
    assert_eq!(list.len(), 1);
    assert_eq!(list[0].issue, "https://example.org/2");
}

pub(crate) fn a_run_under_way_is_left_out(location: &Location) {
    let store = open(location);
    fill(&store);
    let before = export(&store);
    let (run, native, qemu) = start_run(&store);
    let batch = BlockBatch {
        divergences: vec![divergence(BlockNumber(2), 30, (native, qemu))],
        results: vec![BlockResult {
            block: BlockNumber(2),
            engine: qemu,
            counts: counts(64, 63, 1, &[("open-memory", 0)]),
        }],
        ..BlockBatch::default()
    };
    store.save_batch(run, batch).unwrap();
    let (text, done) = store
        .call_and_wait(async |store| {
            let mut text = String::new();
            let done = store
                .export_bundle(|piece| {
                    text += &piece;
                    true
                })
                .await?;
            Ok((text, done))
        })
        .unwrap();
    assert_eq!((text, done.running), (before, 1));
}

/// Nothing of a bundle that is refused is in the database.
fn refused(store: &StoreHandle, bytes: Vec<u8>) -> BundleError {
    let error = import_bytes(store, bytes, false).unwrap_err();
    assert!(error.hint().is_some(), "{error:?}");
    let empty = store.call_and_wait(async |store| {
        let blocks = store.count_blocks(&Selection::all(), None).await?;
        Ok((
            blocks,
            store.list_binaries().await?.len(),
            store.list_runs(None, 10).await?.len(),
        ))
    });
    assert_eq!(empty.unwrap(), (0, 0, 0), "{error:?}");
    error
}

pub(crate) fn a_cut_bundle_is_told_and_leaves_nothing(location: &Location) {
    let (first, _guard) = another();
    let (first, store) = (open(&first), open(location));
    fill(&first);
    let text = export(&first).trim_end().as_bytes().to_vec();
    let step = (text.len() / 40).max(1);
    for length in (0..text.len()).step_by(step).chain([text.len() - 1]) {
        let error = refused(&store, text[..length].to_vec());
        assert!(
            matches!(error, BundleError::Truncated { .. }),
            "{length}: {error:?}"
        );
    }
    let mut longer = text;
    longer.extend_from_slice(b" {}");
    assert!(matches!(refused(&store, longer), BundleError::Malformed(_)));
}

pub(crate) fn a_forged_bundle_is_told_and_leaves_nothing(location: &Location) {
    let (first, _guard) = another();
    let (first, store) = (open(&first), open(location));
    fill(&first);
    let text = export(&first);
    let cases: [(&str, &str, &str); 22] = [
        ("\"snippex_bundle\":1", "\"snippex_bundle\":2", "version 2"),
        ("\"snippex_bundle\":1", "\"bundle\":1", "expected the part"),
        ("\"hosts\":[", "\"engines\":[", "expected the part"),
        ("\"number\":2", "\"number\":0", "is no number"),
        ("\"number\":3", "\"number\":2", "twice"),
        ("\"number\":2", "\"number\":9223372036854775807", "is no number"),
        ("\"number\":2", "\"number\":-4", "is no number"),
        ("\"number\":2", "\"number\":2,\"colour\":1", "unknown field"),
        (
            "\"address\":\"0x1010\"",
            "\"address\":\"0x1020\"",
            "address and length",
        ),
        ("\"address\":\"0x1010\"", "\"address\":\"0x+1010\"", "hexadecimal"),
        ("\"bytes\":\"4801d8c3\"", "\"bytes\":\"\"", "fewer bytes"),
        (
            "\"bytes\":\"4801d8c3\"",
            "\"bytes\":\"4801d8c\"",
            "hexadecimal digits",
        ),
        (
            "\"terminator\":\"ret\"",
            "\"terminator\":\"retreat\"",
            "unknown variant",
        ),
        (
            "\"engines\":[1,2]",
            "\"engines\":[1,77]",
            "engine 77 does not stand before",
        ),
        ("\"engines\":[1,2]", "\"engines\":[]", "names no engine"),
        ("\"started_ms\":1000", "\"started_ms\":-1", "is no time"),
        ("\"runs\":64", "\"runs\":3", "have a verdict"),
        ("\"runs\":64", "\"runs\":18446744073709551615", "u32"),
        (
            "\"name\":\"native\"",
            "\"name\":\"nat\\u0000ive\"",
            "zero character",
        ),
        ("\"differences\":\"[{", "\"differences\":\"[[{", "should be JSON"),
        ("\"form\":\"addsd", "\"form\":\"subsd", "signature should be"),
        ("\"bug\":\"mxcsr-de\"", "\"bug\":\"No Name\"", "no name of a bug"),
    ];
    for (from, to, words) in cases {
        let forged = text.replacen(from, to, 1);
        assert_ne!(forged, text, "{from} is not in the bundle");
        let error = refused(&store, forged.into_bytes());
        let said = match std::error::Error::source(&error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        assert!(said.contains(words), "{to}: {said}");
    }
    // Other content than the case's id says.
    let at = text.find("\"cases\":[").unwrap();
    let forged = text[at..].replacen("\"id\":\"", "\"id\":\"0", 1);
    let error = refused(&store, [&text[..at], &forged[..]].concat().into_bytes());
    assert!(error.to_string().contains("its id should be"), "{error}");
}

pub(crate) fn a_bundle_of_nonsense_is_told_and_leaves_nothing(location: &Location) {
    let store = open(location);
    for bytes in [
        "null".into(),
        "[1]".into(),
        "\u{feff}{}".into(),
        "{}".into(),
        "[".repeat(1_000_000),
        "{\"snippex_bundle\":".to_owned() + &"[".repeat(1_000_000),
        "SQLite format 3\0".to_owned(),
    ] {
        let error = refused(&store, bytes.into_bytes());
        assert!(matches!(error, BundleError::Malformed(_)), "{error:?}");
    }
    // A text that never ends.
    let head = b"{\"snippex_bundle\":1,\"snippex\":\"0.1.0\",\"hosts\":[{\"id\":1,\"name\":\"".to_vec();
    let endless = std::io::Read::chain(Cursor::new(head), std::io::repeat(b'a'));
    let error = store
        .call_and_wait(async move |store| Ok(store.import_bundle(endless, false).await))
        .unwrap()
        .unwrap_err();
    assert!(matches!(error, BundleError::TooLong), "{error:?}");
}

pub(crate) fn a_bundle_that_contradicts_a_block_is_refused(location: &Location) {
    let (first, _guard) = another();
    let (first, store) = (open(&first), open(location));
    fill(&first);
    let text = export(&first);
    import(&store, &text).unwrap();
    let before = export(&store);
    let forged = text.replacen("\"bytes\":\"4801d8c3\"", "\"bytes\":\"4801d9c3\"", 1);
    let error = import(&store, &forged).unwrap_err();
    assert!(matches!(error, BundleError::Contradiction { .. }), "{error:?}");
    assert_eq!(export(&store), before);
}
