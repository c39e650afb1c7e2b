//! Measures the file of the cache: a million entries stored, read by range and pruned.
//!
//! `cargo run --release --workspace --example measure_cache -- NEW_FILE`

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use snippex_store::{CacheFile, NewSegment, PruneLimits, UnixMillis, remove_cache_file};

const SEGMENTS: i64 = 1000;
const ENTRIES: u64 = 1000;
/// What an entry takes in the caches of real programs.
const BYTES: usize = 30;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).map(PathBuf::from);
    let path = path.ok_or("name a file that is not there yet")?;
    let cache = CacheFile::open(&path)?;
    let segment = |bucket| NewSegment {
        bucket,
        created: UnixMillis(bucket),
        entries: ENTRIES,
        cost: Duration::from_millis(1),
        bytes: vec![bucket as u8; ENTRIES as usize * BYTES],
        replaces: Vec::new(),
    };
    let start = Instant::now();
    for first in (0..SEGMENTS).step_by(50) {
        let segments: Vec<NewSegment> = (first..first + 50).map(segment).collect();
        cache.save_segments("measured", "{}", &segments, UnixMillis(first))?;
    }
    println!("stored 1,000,000 entries: {:.2?}", start.elapsed());
    println!(
        "file: {} bytes an entry",
        cache.file_size() / (SEGMENTS as u64 * ENTRIES)
    );
    let context = cache.find_context("measured")?.ok_or("the context is gone")?;
    let start = Instant::now();
    let found = cache.list_segments(context, 0, SEGMENTS)?;
    println!("read {} segments: {:.2?}", found.len(), start.elapsed());
    let start = Instant::now();
    let half = (SEGMENTS as u64 * ENTRIES * BYTES as u64) / 2;
    let pruned = cache.prune_segments(PruneLimits {
        created_since: None,
        max_bytes: Some(half),
    })?;
    println!("pruned {} entries: {:.2?}", pruned.entries, start.elapsed());
    drop(cache);
    remove_cache_file(&path)?;
    Ok(())
}
