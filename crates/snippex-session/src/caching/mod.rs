//! Verdicts of earlier checks, so that a block that was found to be right need not be run again.
//!
//! A verdict depends on the block, on the memory that it meets, and on what all blocks of a target share: seed, states,
//! engines, this program ([`context`]). Memory is the content of pages: which of them a block needs is found by running it, so
//! they are stored with the verdict, and an entry holds when the program has the same there now. By that a rebuilt program
//! runs the blocks that changed, or whose data did.
//!
//! A divergence is never believed: of a block that diverges the cache knows which cases do and what differs in them, and the
//! check runs these again (see [`EarlierReport`]). What a machine decides is not kept: see [`segment::CachedVerdict::of`]. What the
//! cache cannot do it leaves to the check: trouble is told ([`CacheUse::trouble`]), and costs time only.

mod context;
mod explain;
mod segment;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use snippex_blocks::binary::Image;
use snippex_core::address_space::{GS_BASE, PADS, STACK, is_mappable};
use snippex_core::block::Block;
use snippex_core::case::{PageAccess, Placement};
use snippex_core::words::kebab_case;
use snippex_exec::MemorySource;
use snippex_exec::check::{BlockReport, EarlierReport};
use snippex_store::{BlockNumber, CacheFile, NewSegment, PruneLimits, StoreError, UnixMillis};

use context::{CacheSurroundings, Context};
use segment::{BlockKey, CacheEntry, CachedVerdict, Known, MAX_ENTRIES, PageDigest};

pub use explain::{CacheAnswer, Explanation, OtherContext};

use crate::{BlockSource, Session};

/// Bits of an address that blocks of one bucket may differ in: 256 KiB.
const BUCKET_BITS: u32 = 18;
/// How often what was found out is stored while a check goes on.
const SAVE_EVERY: Duration = Duration::from_secs(60);
/// Stands for the digest of any page that is not the program's.
const MADE_UP: PageDigest = [0; size_of::<PageDigest>()];
/// Segments that are at most so old are rewritten with new entries; older ones keep their age.
const MERGED_UP_TO: i64 = 24 * 3600 * 1000;

/// How a cache is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheOptions {
    /// Run everything, and store what is found out in the place of what is there.
    pub refresh: bool,
    /// Oldest entry that is believed.
    pub ttl: Duration,
    /// Largest size of all entries in bytes; beyond it those go that were not used for the longest time.
    pub max_size: u64,
}

impl Default for CacheOptions {
    /// Thirty days, 1 GiB.
    fn default() -> Self {
        Self {
            refresh: false,
            ttl: Duration::from_secs(30 * 24 * 3600),
            max_size: 1 << 30,
        }
    }
}

/// Verdicts of earlier checks.
#[derive(Debug)]
pub struct VerdictCache {
    file: CacheFile,
    options: CacheOptions,
}

/// What a cache did for a check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheUse {
    /// Blocks that were looked up.
    pub looked_up: u64,
    /// Those of them whose verdict was there.
    pub hits: u64,
    /// Others that were known to diverge, of which only the cases that did are run again, once.
    pub diverging: u64,
    /// Verdicts that were stored.
    pub stored: u64,
    /// How long it had taken to find the hits out.
    pub saved: Duration,
    /// Why it could not be used, or not entirely, in words; the check itself is whole.
    pub trouble: Option<String>,
}

impl VerdictCache {
    /// Opens the cache in the file `path`, and makes it when it is not there.
    ///
    /// # Errors
    /// When the file cannot be used. A check can go on without.
    pub fn open(path: &Path, options: CacheOptions) -> Result<Self, StoreError> {
        Ok(Self {
            file: CacheFile::open(path)?,
            options,
        })
    }

    /// Removes what is too old or too much.
    pub(crate) fn prune_entries(&self, done: &mut CacheUse) {
        let now = UnixMillis::now();
        let pruned = self.file.load_totals().and_then(|totals| {
            let limits = PruneLimits {
                created_since: Some(self.oldest(now)),
                max_bytes: Some(self.options.max_size),
            };
            let too_old = totals.oldest.is_some_and(|oldest| oldest < self.oldest(now));
            if totals.bytes > self.options.max_size || too_old {
                self.file.prune_segments(limits).map(drop)
            } else {
                Ok(())
            }
        });
        note(done, pruned);
    }

    /// What was made before is not believed. After a clock was set back entries come from the future; they are new.
    fn oldest(&self, now: UnixMillis) -> UnixMillis {
        let ttl = i64::try_from(self.options.ttl.as_millis()).unwrap_or(i64::MAX);
        UnixMillis(now.0.saturating_sub(ttl))
    }
}

/// Keeps the first trouble.
fn note<T>(done: &mut CacheUse, result: Result<T, StoreError>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            let words = match std::error::Error::source(&error) {
                Some(source) => format!("{error}: {source}"),
                None => error.to_string(),
            };
            done.trouble.get_or_insert(words);
            None
        }
    }
}

/// The cache as one target uses it.
#[derive(Debug)]
pub(crate) struct TargetCache<'c> {
    cache: &'c VerdictCache,
    context: Context,
    states: u32,
    pages: Pages<'c>,
    /// Segments that were read and may be rewritten, by bucket.
    segments: HashMap<i64, Vec<OldSegment>>,
    /// Entries on blocks that diverge, which are being run again.
    diverging: HashMap<BlockKey, CacheEntry>,
    /// What is to be stored, by bucket.
    new: BTreeMap<i64, BTreeMap<BlockKey, CacheEntry>>,
    /// Reports since the last time that something was stored, and when that was.
    reports: u64,
    since: Instant,
}

/// What the cache knows of the blocks of a target, by their indices.
#[derive(Debug, Default)]
pub(crate) struct LookedUp {
    /// Reports on blocks that need not be run.
    pub(crate) settled: Vec<BlockReport>,
    /// What is to be run again of blocks that diverge.
    pub(crate) diverging: BTreeMap<usize, EarlierReport>,
}

/// A segment that may be rewritten.
#[derive(Debug)]
struct OldSegment {
    id: i64,
    created: UnixMillis,
    cost: Duration,
    entries: Vec<(BlockKey, CacheEntry)>,
}

impl<'c> TargetCache<'c> {
    /// The cache for the blocks of `source`; `None`, with the reason in `done`, when it is of no use for them.
    pub(crate) fn open_for_source(
        cache: &'c VerdictCache,
        session: &Session<'_>,
        source: &BlockSource,
        image: Option<&'c Image<'c>>,
        placement: Placement,
        done: &mut CacheUse,
    ) -> Option<Self> {
        let deviations = session.table.tolerance_of(session.engines.subject_identity());
        let surroundings = CacheSurroundings {
            seed: session.options.seed,
            states: session.options.states,
            style: source.style(),
            placement,
            deviations: &serde_json::to_string(&deviations).expect("plain data is JSON"),
            reference: session.engines.describe_reference(),
            subject: session.engines.describe_subject(),
        };
        match Context::from_surroundings(&surroundings, &cache.file) {
            Ok(context) => Some(Self {
                cache,
                context,
                states: session.options.states,
                pages: Pages::new(image, placement, session.options.seed),
                segments: HashMap::new(),
                diverging: HashMap::new(),
                new: BTreeMap::new(),
                reports: 0,
                since: Instant::now(),
            }),
            Err(reason) => {
                done.trouble.get_or_insert(format!("nothing is cached: {reason}"));
                None
            }
        }
    }

    /// What is known of blocks.
    pub(crate) fn look_up(&mut self, blocks: &[(BlockNumber, Arc<Block>)], done: &mut CacheUse) -> LookedUp {
        let mut found = LookedUp::default();
        let Some(stored) = note(done, self.read_segments(blocks)) else {
            return found;
        };
        let now = UnixMillis::now();
        let oldest = self.cache.oldest(now);
        let mut entries: HashMap<BlockKey, (CacheEntry, usize)> = HashMap::new();
        let mut segments = Vec::new();
        for stored in stored {
            let Ok(decoded) = segment::decode_segment(&stored.bytes) else {
                // It goes with the next write to its bucket.
                self.old(stored.bucket, stored.id, stored.created, stored.cost, Vec::new());
                continue;
            };
            if stored.created < oldest {
                continue;
            }
            let each = stored.cost.checked_div(decoded.len() as u32).unwrap_or_default();
            // The newest stands last, and wins.
            for (key, entry) in &decoded {
                entries.insert(*key, (entry.clone(), segments.len()));
            }
            segments.push((stored.id, each, false));
            if stored.created.0 > now.0 - MERGED_UP_TO && decoded.len() < MAX_ENTRIES / 2 {
                self.old(stored.bucket, stored.id, stored.created, stored.cost, decoded);
            }
        }
        if self.cache.options.refresh {
            return found;
        }
        done.looked_up += blocks.len() as u64;
        if entries.is_empty() {
            return found;
        }
        for (index, (_, block)) in blocks.iter().enumerate() {
            let key = block_key(block);
            let Some((entry, segment)) = entries.get(&key) else {
                continue;
            };
            let same = |&(page, digest): &(u64, PageDigest)| self.pages.digest(page) == Some(digest);
            if !entry.pages.iter().all(same) {
                continue;
            }
            let Some(known) = entry.verdict.known(index, self.states) else {
                continue;
            };
            let (_, cost, used) = &mut segments[*segment];
            *used = true;
            match known {
                Known::Settled(report) => {
                    done.saved += *cost;
                    found.settled.push(report);
                }
                Known::Diverging(earlier) => {
                    found.diverging.insert(index, earlier);
                    self.diverging.insert(key, entry.clone());
                }
            }
        }
        done.hits += found.settled.len() as u64;
        done.diverging += found.diverging.len() as u64;
        let used = segments.iter().filter(|(_, _, used)| *used);
        let used: Vec<i64> = used.map(|(id, _, _)| *id).collect();
        note(done, self.cache.file.mark_segments_used(&used, now));
        self.since = Instant::now();
        found
    }

    fn read_segments(
        &self,
        blocks: &[(BlockNumber, Arc<Block>)],
    ) -> Result<Vec<snippex_store::StoredSegment>, StoreError> {
        let buckets = blocks.iter().map(|(_, block)| bucket(block));
        let (Some(first), Some(last)) = (buckets.clone().min(), buckets.max()) else {
            return Ok(Vec::new());
        };
        match self.cache.file.find_context(&self.context.digest)? {
            Some(context) => self.cache.file.list_segments(context, first, last),
            None => Ok(Vec::new()),
        }
    }

    fn old(
        &mut self,
        bucket: i64,
        id: i64,
        created: UnixMillis,
        cost: Duration,
        entries: Vec<(BlockKey, CacheEntry)>,
    ) {
        self.segments.entry(bucket).or_default().push(OldSegment {
            id,
            created,
            cost,
            entries,
        });
    }

    /// Takes the report on a block that was run, and now and then stores what has gathered.
    pub(crate) fn add_report(&mut self, block: &Block, report: &BlockReport, done: &mut CacheUse) {
        self.reports += 1;
        if let Some(verdict) = CachedVerdict::from_report(report) {
            let pages = report.pages.iter().filter_map(|&(page, _)| {
                if is_fixed(page) {
                    return None;
                }
                Some((page, self.pages.digest(page)?))
            });
            let entry = CacheEntry {
                verdict,
                pages: pages.collect(),
            };
            let key = block_key(block);
            if self.diverging.remove(&key).as_ref() != Some(&entry) {
                self.new.entry(bucket(block)).or_default().insert(key, entry);
            }
        }
        if self.since.elapsed() >= SAVE_EVERY {
            self.save_new_entries(done);
        }
    }

    /// Stores what has gathered.
    pub(crate) fn save_new_entries(&mut self, done: &mut CacheUse) {
        let each = self.since.elapsed() / u32::try_from(self.reports.max(1)).unwrap_or(u32::MAX);
        (self.reports, self.since) = (0, Instant::now());
        let now = UnixMillis::now();
        let mut segments = Vec::new();
        let mut count = 0;
        for (bucket, mut entries) in std::mem::take(&mut self.new) {
            count += entries.len() as u64;
            let mut cost = each * entries.len() as u32;
            let mut created = now;
            let mut replaces = Vec::new();
            for old in self.segments.remove(&bucket).unwrap_or_default() {
                if entries.len() + old.entries.len() > MAX_ENTRIES {
                    continue;
                }
                replaces.push(old.id);
                if !old.entries.is_empty() {
                    cost += old.cost;
                    created = created.min(old.created);
                }
                for (key, entry) in old.entries {
                    entries.entry(key).or_insert(entry);
                }
            }
            let all: Vec<(BlockKey, CacheEntry)> = entries.into_iter().collect();
            for part in all.chunks(MAX_ENTRIES) {
                let entries: BTreeMap<BlockKey, CacheEntry> = part.iter().cloned().collect();
                segments.push(NewSegment {
                    bucket,
                    created,
                    entries: entries.len() as u64,
                    cost: cost / all.len().div_ceil(MAX_ENTRIES) as u32,
                    bytes: segment::encode_segment(&entries),
                    replaces: std::mem::take(&mut replaces),
                });
            }
        }
        if segments.is_empty() {
            return;
        }
        let (digest, parts) = (&self.context.digest, &self.context.parts);
        let saved = self.cache.file.save_segments(digest, parts, &segments, now);
        if note(done, saved).is_some() {
            done.stored += count;
        }
    }
}

/// Digests of the pages that blocks can find, made once each.
struct Pages<'i> {
    source: MemorySource<'i>,
    known: HashMap<u64, Option<PageDigest>>,
}

impl std::fmt::Debug for Pages<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pages").finish_non_exhaustive()
    }
}

impl<'i> Pages<'i> {
    fn new(image: Option<&'i Image<'i>>, placement: Placement, seed: u64) -> Self {
        Self {
            source: MemorySource::new(image, placement, seed),
            known: HashMap::new(),
        }
    }

    /// What a block finds at a run-time address, and what it may do there. Of a page that is made up, seed and block decide
    /// what is found; here it only has to be told from one of the program's, and making it costs as much as running the block.
    fn digest(&mut self, address: u64) -> Option<PageDigest> {
        let source = &self.source;
        *self.known.entry(address).or_insert_with(|| {
            if !is_mappable(address) {
                return None;
            }
            let Some((content, access)) = source.image_page(address) else {
                return Some(MADE_UP);
            };
            let mut hash = Sha256::new();
            hash.update([u8::from(access == PageAccess::ReadWrite)]);
            hash.update(&content[..]);
            hash.finalize().first_chunk().copied()
        })
    }
}

/// Whether no program can lie at a run-time address, so that what is there follows from seed and block.
fn is_fixed(address: u64) -> bool {
    (STACK - 0x8_0000..GS_BASE + 0x1_0000).contains(&address) || (PADS..PADS + 0x1_0000).contains(&address)
}

fn bucket(block: &Block) -> i64 {
    (block.address >> BUCKET_BITS).cast_signed()
}

/// Names a block by all that its cases are made of.
fn block_key(block: &Block) -> BlockKey {
    let mut hash = Sha256::new();
    hash.update(block.address.to_le_bytes());
    hash.update((block.bytes.len() as u64).to_le_bytes());
    hash.update(&block.bytes);
    hash.update(block.instruction_count.to_le_bytes());
    hash.update(kebab_case(&block.terminator));
    for successor in &block.successors {
        hash.update(successor.to_le_bytes());
    }
    let digest: [u8; 32] = hash.finalize().into();
    *digest
        .first_chunk()
        .expect("a digest is longer than its beginning")
}
