//! The form of a segment: verdicts on blocks that lie together, some twenty bytes a block.
//!
//! An entry is the digest of its block, the number of a verdict and the number of a set of pages: most blocks share both with
//! others, so these stand apart, once each.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use snippex_core::codec::{self, Bytes, CodecError, FrameKind};
use snippex_core::effects::Rule;
use snippex_exec::check::{BlockReport, Inconclusive};

/// The beginning of the SHA-256 of a block as it lies in its program.
pub(super) type BlockKey = [u8; KEY];
/// The beginning of the SHA-256 of a page, with what may be done to it.
pub(super) type PageDigest = [u8; KEY];

const KEY: usize = 16;
/// Entries of a segment at most, so that numbers of two bytes do.
pub(super) const MAX_ENTRIES: usize = 16_384;

/// What was found out about all runs of a block, none of which diverged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct CachedVerdict {
    runs: u16,
    completed: u16,
    faulted: u16,
    matched: u16,
    inconclusive: Vec<(Reason, u16)>,
    excused: Vec<(String, u16)>,
    deviations: Vec<(String, u16)>,
}

/// Why runs were inconclusive, where that follows from the case alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
enum Reason {
    OpenEndpoint,
    OpenMemory,
    Deviation(String),
}

impl CachedVerdict {
    /// The verdict of a report; `None` when it has to be found out anew each time: divergences, deaths, time, what did not
    /// show again, and what an engine does not support.
    pub(super) fn from_report(report: &BlockReport) -> Option<Self> {
        let is_clean = report.diverged == 0
            && report.unsupported.is_none()
            && report.findings.is_empty()
            && report.counted.is_empty()
            && report.sightings.is_empty()
            && report.bugs.is_empty();
        let small = |count: u64| u16::try_from(count).ok();
        let named = |counts: Vec<(String, u64)>| -> Option<Vec<(String, u16)>> {
            let counts = counts
                .into_iter()
                .map(|(name, count)| Some((name, small(count)?)));
            counts.collect()
        };
        let inconclusive = report.inconclusive.iter().map(|(why, &count)| {
            let reason = match why {
                Inconclusive::OpenEndpoint => Reason::OpenEndpoint,
                Inconclusive::OpenMemory => Reason::OpenMemory,
                Inconclusive::Deviation(id) => Reason::Deviation(id.clone()),
                Inconclusive::ReferenceHung
                | Inconclusive::ReferenceDied
                | Inconclusive::NotRepeated
                | Inconclusive::RunnerMemory => return None,
            };
            Some((reason, small(count)?))
        });
        let excused = report.excused.iter();
        let verdict = Self {
            runs: small(report.runs)?,
            completed: small(report.completed)?,
            faulted: small(report.faulted)?,
            matched: small(report.matched)?,
            inconclusive: inconclusive.collect::<Option<_>>()?,
            excused: named(
                excused
                    .map(|(rule, &runs)| (rule.info().id.to_owned(), runs))
                    .collect(),
            )?,
            deviations: named(report.deviations.clone().into_iter().collect())?,
        };
        (is_clean && verdict.adds_up()).then_some(verdict)
    }

    /// The report that it is of, for the block at `index`; `None` when it does not fit what is asked for: then it is not what
    /// was stored.
    pub(super) fn to_report(&self, index: usize, states: u32) -> Option<BlockReport> {
        if u32::from(self.runs) != states || !self.adds_up() {
            return None;
        }
        let mut report = BlockReport::new(index, self.runs.into());
        report.completed = self.completed.into();
        report.faulted = self.faulted.into();
        report.matched = self.matched.into();
        for (reason, runs) in &self.inconclusive {
            let reason = match reason {
                Reason::OpenEndpoint => Inconclusive::OpenEndpoint,
                Reason::OpenMemory => Inconclusive::OpenMemory,
                Reason::Deviation(id) => Inconclusive::Deviation(id.clone()),
            };
            report.inconclusive.insert(reason, (*runs).into());
        }
        for (id, runs) in &self.excused {
            let rule = Rule::ALL.iter().find(|rule| rule.info().id == id)?;
            report.excused.insert(*rule, (*runs).into());
        }
        for (id, runs) in &self.deviations {
            report.deviations.insert(id.clone(), (*runs).into());
        }
        Some(report)
    }

    /// Every run has one verdict.
    fn adds_up(&self) -> bool {
        let inconclusive: u64 = self.inconclusive.iter().map(|(_, runs)| u64::from(*runs)).sum();
        u64::from(self.matched) + inconclusive == u64::from(self.runs)
    }
}

/// The verdict on a block, and the pages that it depends on: their file addresses and what was there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CacheEntry {
    pub(super) verdict: CachedVerdict,
    pub(super) pages: Vec<(u64, PageDigest)>,
}

/// As it is stored.
#[derive(Serialize, Deserialize)]
struct SegmentWire<'a> {
    #[serde(borrow)]
    keys: Bytes<'a>,
    /// For each key the numbers of its verdict and of its set of pages.
    entries: Vec<(u16, u16)>,
    verdicts: Vec<CachedVerdict>,
    page_sets: Vec<Vec<u16>>,
    pages: Vec<(u64, PageDigest)>,
}

/// Entries by block, as bytes. An entry is left out when there are more pages or verdicts than there are numbers.
pub(super) fn encode_segment(entries: &BTreeMap<BlockKey, CacheEntry>) -> Vec<u8> {
    let (mut verdicts, mut sets, mut pages) = (Numbered::default(), Numbered::default(), Numbered::default());
    let mut keys = Vec::new();
    let mut numbers = Vec::new();
    for (key, entry) in entries {
        let set: Option<Vec<u16>> = entry.pages.iter().map(|&page| pages.number(page)).collect();
        let set = set.and_then(|set| sets.number(set));
        if let (Some(verdict), Some(set)) = (verdicts.number(entry.verdict.clone()), set) {
            keys.push(*key);
            numbers.push((verdict, set));
        }
    }
    codec::encode_value(
        FrameKind::Verdicts,
        &SegmentWire {
            keys: Bytes(keys.as_flattened()),
            entries: numbers,
            verdicts: verdicts.items,
            page_sets: sets.items,
            pages: pages.items,
        },
    )
}

/// The entries that [`encode_segment`] made `bytes` of.
///
/// # Errors
/// When they are damaged, or of another version: nothing of them is used then.
pub(super) fn decode_segment(bytes: &[u8]) -> Result<Vec<(BlockKey, CacheEntry)>, CodecError> {
    let wire: SegmentWire<'_> = codec::decode_value(FrameKind::Verdicts, bytes)?;
    let invalid = || CodecError::Invalid("a number leads nowhere");
    let (keys, rest) = wire.keys.0.as_chunks::<KEY>();
    if !rest.is_empty() || keys.len() != wire.entries.len() {
        return Err(CodecError::Invalid("there is not one key an entry"));
    }
    let entries = keys.iter().zip(&wire.entries).map(|(key, &(verdict, set))| {
        let set = wire.page_sets.get(usize::from(set)).ok_or_else(invalid)?;
        let pages = set
            .iter()
            .map(|&page| wire.pages.get(usize::from(page)).copied().ok_or_else(invalid));
        let entry = CacheEntry {
            verdict: wire
                .verdicts
                .get(usize::from(verdict))
                .ok_or_else(invalid)?
                .clone(),
            pages: pages.collect::<Result<_, _>>()?,
        };
        Ok((*key, entry))
    });
    entries.collect()
}

/// Things with numbers, each once.
struct Numbered<T> {
    items: Vec<T>,
    numbers: HashMap<T, u16>,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            numbers: HashMap::new(),
        }
    }
}

impl<T: Clone + Eq + std::hash::Hash> Numbered<T> {
    /// The number of `item`; `None` when all numbers are taken.
    fn number(&mut self, item: T) -> Option<u16> {
        if let Some(&number) = self.numbers.get(&item) {
            return Some(number);
        }
        let number = u16::try_from(self.items.len()).ok()?;
        self.items.push(item.clone());
        self.numbers.insert(item, number);
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> BlockReport {
        let mut report = BlockReport::new(3, 64);
        (report.completed, report.faulted, report.matched) = (60, 4, 62);
        report.inconclusive.insert(Inconclusive::OpenMemory, 2);
        report.excused.insert(Rule::ALL[0], 5);
        report.deviations.insert("empty-tags".to_owned(), 1);
        report
    }

    #[test]
    fn a_report_comes_back_as_it_was() {
        let verdict = CachedVerdict::from_report(&report()).unwrap();
        let again = verdict.to_report(3, 64).unwrap();
        assert_eq!(format!("{again:?}"), format!("{:?}", report()));
        // Not what was asked for.
        assert!(verdict.to_report(3, 32).is_none());
    }

    #[test]
    fn what_has_to_be_found_out_anew_is_not_kept() {
        type Change = fn(&mut BlockReport);
        let changes: [Change; 6] = [
            |report| report.diverged = 1,
            |report| report.unsupported = Some((snippex_exec::Unsupported::Address, 1)),
            |report| report.inconclusive.extend([(Inconclusive::ReferenceHung, 1)]),
            |report| report.inconclusive.extend([(Inconclusive::ReferenceDied, 1)]),
            |report| report.inconclusive.extend([(Inconclusive::NotRepeated, 1)]),
            |report| report.matched -= 1,
        ];
        for change in changes {
            let mut changed = report();
            change(&mut changed);
            assert_eq!(CachedVerdict::from_report(&changed), None, "{changed:?}");
        }
    }

    #[test]
    fn a_segment_comes_back_and_any_damage_is_seen() {
        let verdict = CachedVerdict::from_report(&report()).unwrap();
        let entry = |pages: &[u64]| CacheEntry {
            verdict: verdict.clone(),
            pages: pages.iter().map(|&page| (page, [page as u8; KEY])).collect(),
        };
        let entries = BTreeMap::from([
            ([1; KEY], entry(&[1, 2])),
            ([2; KEY], entry(&[])),
            ([3; KEY], entry(&[2])),
        ]);
        let bytes = encode_segment(&entries);
        assert_eq!(
            decode_segment(&bytes).unwrap(),
            entries.into_iter().collect::<Vec<_>>()
        );
        for index in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[index] ^= 0x10;
            assert!(decode_segment(&damaged).is_err(), "byte {index}");
            assert!(decode_segment(&bytes[..index]).is_err(), "cut at {index}");
        }
    }

    /// What a block costs where many share verdicts and pages, as those of a program do.
    #[test]
    fn an_entry_is_small() {
        let verdict = CachedVerdict::from_report(&report()).unwrap();
        let entries: BTreeMap<BlockKey, CacheEntry> = (0..1000_u16)
            .map(|number| {
                let mut key = [7; KEY];
                key[..2].copy_from_slice(&number.to_le_bytes());
                let pages = vec![(u64::from(number % 30), [0; KEY])];
                let verdict = verdict.clone();
                (key, CacheEntry { verdict, pages })
            })
            .collect();
        let size = encode_segment(&entries).len();
        assert!(size < 25_000, "{size}");
    }
}
