//! The file of the cache.

use std::fs;
use std::time::Duration;

use snippex_store::{CacheFile, NewSegment, PruneLimits, Pruned, StoreError, UnixMillis, remove_cache_file};

fn segment(bucket: i64, created: i64, size: usize) -> NewSegment {
    NewSegment {
        bucket,
        created: UnixMillis(created),
        entries: 10,
        cost: Duration::from_millis(5),
        bytes: vec![7; size],
        replaces: Vec::new(),
    }
}

#[test]
fn segments_are_found_by_context_and_range() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/cache.db");
    assert!(CacheFile::open_existing(&path).unwrap().is_none());
    let cache = CacheFile::open(&path).unwrap();
    assert_eq!(cache.find_context("one").unwrap(), None);
    let segments = [segment(1, 5, 100), segment(2, 6, 200), segment(9, 7, 300)];
    cache
        .save_segments("one", "parts", &segments, UnixMillis(10))
        .unwrap();
    cache
        .save_segments("two", "other parts", &[segment(1, 8, 50)], UnixMillis(11))
        .unwrap();
    let one = cache.find_context("one").unwrap().unwrap();
    let found = cache.list_segments(one, 2, 9).unwrap();
    assert_eq!(found.iter().map(|found| found.bucket).collect::<Vec<_>>(), [2, 9]);
    let replacing = NewSegment {
        replaces: vec![found[0].id],
        ..segment(2, 6, 150)
    };
    cache
        .save_segments("one", "parts", &[replacing], UnixMillis(12))
        .unwrap();
    assert_eq!(cache.list_segments(one, 2, 2).unwrap()[0].bytes.len(), 150);
    let totals = cache.load_totals().unwrap();
    assert_eq!(
        (totals.contexts, totals.segments, totals.entries, totals.bytes),
        (2, 4, 40, 600)
    );
    assert_eq!(totals.cost, Duration::from_millis(20));
    let contexts = cache.list_contexts().unwrap();
    assert_eq!((contexts[0].parts.as_str(), contexts[0].bytes), ("parts", 550));
    drop(cache);
    assert!(CacheFile::open_existing(&path).unwrap().is_some());
    assert!(remove_cache_file(&path).unwrap());
    assert!(!remove_cache_file(&path).unwrap());
}

#[test]
fn what_was_not_used_for_longest_goes_first() {
    const MINUTE: i64 = 60_000;
    let folder = tempfile::tempdir().unwrap();
    let cache = CacheFile::open(&folder.path().join("cache.db")).unwrap();
    for bucket in 0..4 {
        let at = UnixMillis(bucket * MINUTE);
        cache
            .save_segments("one", "", &[segment(bucket, at.0, 100)], at)
            .unwrap();
    }
    let one = cache.find_context("one").unwrap().unwrap();
    let oldest = cache.list_segments(one, 0, 0).unwrap()[0].id;
    cache
        .mark_segments_used(&[oldest], UnixMillis(9 * MINUTE))
        .unwrap();
    let limits = PruneLimits {
        created_since: None,
        max_bytes: Some(250),
    };
    let pruned = cache.prune_segments(limits).unwrap();
    assert_eq!(
        pruned,
        Pruned {
            entries: 20,
            bytes: 200
        }
    );
    let left = cache.list_segments(one, 0, 9).unwrap();
    assert_eq!(left.iter().map(|left| left.bucket).collect::<Vec<_>>(), [0, 3]);
    let limits = PruneLimits {
        created_since: Some(UnixMillis(MINUTE)),
        max_bytes: None,
    };
    assert_eq!(cache.prune_segments(limits).unwrap().entries, 10);
    let limits = PruneLimits {
        created_since: Some(UnixMillis(i64::MAX)),
        max_bytes: None,
    };
    assert_eq!(cache.prune_segments(limits).unwrap().entries, 10);
    assert_eq!(cache.find_context("one").unwrap(), None, "nothing is left in it");
}

#[test]
fn what_is_no_cache_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    fs::write(&path, "x".repeat(5000)).unwrap();
    let error = CacheFile::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::NotADatabase { .. }), "{error:?}");
    assert_eq!(fs::read(&path).unwrap().len(), 5000);
    // A database of results is none either.
    let database = folder.path().join("snippex.db");
    drop(snippex_store::StoreHandle::open(&database.as_path().into()).unwrap());
    let error = CacheFile::open(&database).unwrap_err();
    assert!(matches!(error, StoreError::Foreign { .. }), "{error:?}");
}
