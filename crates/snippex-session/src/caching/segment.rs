//! The form of a segment: verdicts on blocks that lie together, some twenty bytes a block.
//!
//! An entry is the digest of its block, the number of a verdict and the number of a set of pages: most blocks share both with
//! others, so these stand apart, once each.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use snippex_core::case::PageAccess;
use snippex_core::codec::{self, Bytes, CodecError, FrameKind};
use snippex_core::diff::{Class, Culprit, DivergenceKind};
use snippex_core::effects::Rule;
use snippex_exec::check::{
    BlockReport, DifferencesDigest, EarlierFinding, EarlierReport, Finding, Inconclusive,
    digest_of_differences,
};
use snippex_triage::cause::Attribution;

/// The beginning of the SHA-256 of a block as it lies in its program.
pub(super) type BlockKey = [u8; KEY];
/// The beginning of the SHA-256 of a page, with what may be done to it.
pub(super) type PageDigest = [u8; KEY];

const KEY: usize = 16;
/// Entries of a segment at most, so that numbers of two bytes do.
pub(super) const MAX_ENTRIES: usize = 16_384;

/// What was found out about all runs of a block.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct CachedVerdict {
    runs: u16,
    completed: u16,
    faulted: u16,
    matched: u16,
    inconclusive: Vec<(Reason, u16)>,
    excused: Vec<(String, u16)>,
    deviations: Vec<(String, u16)>,
    diverging: Option<CachedDivergence>,
}

/// What is known of a block that diverges: what has to show again, and what it stood for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
struct CachedDivergence {
    findings: Vec<CachedFinding>,
    sightings: Vec<(Attribution, u16)>,
    /// All pages of its cases, and whether they may be written.
    pages: Vec<(u64, bool)>,
}

/// An [`EarlierFinding`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
struct CachedFinding {
    start: u16,
    runs: u16,
    differences: DifferencesDigest,
    kind: DivergenceKind,
    /// The instruction at which the engines part, and its form.
    culprit: Option<(u16, String)>,
    attributions: Vec<Attribution>,
}

/// What an entry is worth.
#[derive(Clone, Debug)]
pub(super) enum Known {
    /// All there is to say of the block.
    Settled(BlockReport),
    /// What has to show again first.
    Diverging(EarlierReport),
}

/// Why runs were inconclusive, where that follows from the case alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
enum Reason {
    OpenEndpoint,
    OpenMemory,
    Deviation(String),
}

impl CachedVerdict {
    /// The verdict of a report; `None` when it has to be found out anew each time: deaths, time, what did not show again,
    /// and what an engine does not support.
    pub(super) fn from_report(report: &BlockReport) -> Option<Self> {
        if report.unsupported.is_some() {
            return None;
        }
        let inconclusive = report.inconclusive.iter().map(|(why, &count)| {
            let reason = match why {
                Inconclusive::OpenEndpoint => Reason::OpenEndpoint,
                Inconclusive::OpenMemory => Reason::OpenMemory,
                Inconclusive::Deviation(id) => Reason::Deviation(id.clone()),
                Inconclusive::ReferenceHung
                | Inconclusive::ReferenceDied
                | Inconclusive::NotRepeated
                | Inconclusive::UsedProcess
                | Inconclusive::RunnerMemory => return None,
            };
            Some((reason, small(count)?))
        });
        let excused = report.excused.iter();
        let excused = excused.map(|(rule, &runs)| Some((rule.info().id.to_owned(), small(runs)?)));
        let deviations = report.deviations.iter();
        let deviations = deviations.map(|(id, &runs)| Some((id.clone(), small(runs)?)));
        let verdict = Self {
            runs: small(report.runs)?,
            completed: small(report.completed)?,
            faulted: small(report.faulted)?,
            matched: small(report.matched)?,
            inconclusive: inconclusive.collect::<Option<_>>()?,
            excused: excused.collect::<Option<_>>()?,
            deviations: deviations.collect::<Option<_>>()?,
            diverging: CachedDivergence::from_report(report)?,
        };
        verdict.adds_up().then_some(verdict)
    }

    /// What is known of the block at `index` by this; `None` when it does not fit what is asked for: then it is not what
    /// was stored.
    pub(super) fn known(&self, index: usize, states: u32) -> Option<Known> {
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
        Some(match &self.diverging {
            None => Known::Settled(report),
            Some(divergence) => Known::Diverging(divergence.earlier(report)),
        })
    }

    /// Whether something has to show again before it is believed.
    pub(super) fn is_diverging(&self) -> bool {
        self.diverging.is_some()
    }

    /// Every run has one verdict.
    fn adds_up(&self) -> bool {
        let inconclusive: u64 = self.inconclusive.iter().map(|(_, runs)| u64::from(*runs)).sum();
        let diverged = self.diverging.as_ref().map_or(0, CachedDivergence::runs);
        u64::from(self.matched) + inconclusive + diverged == u64::from(self.runs)
    }
}

impl CachedDivergence {
    /// What diverges in a report, `Some(None)` when nothing does; `None` when that has to be found out anew: an engine that dies
    /// or hangs, and runs that are only counted because others like them were kept.
    fn from_report(report: &BlockReport) -> Option<Option<Self>> {
        if !report.counted.is_empty() {
            return None;
        }
        if report.findings.is_empty() {
            let is_clean = report.diverged == 0 && report.sightings.is_empty() && report.bugs.is_empty();
            return is_clean.then_some(None);
        }
        let sightings = report.sightings.iter();
        let sightings = sightings.map(|(attribution, &runs)| Some((attribution.clone(), small(runs)?)));
        let pages = report.pages.iter();
        Some(Some(Self {
            findings: report
                .findings
                .iter()
                .map(CachedFinding::from_finding)
                .collect::<Option<_>>()?,
            sightings: sightings.collect::<Option<_>>()?,
            pages: pages
                .map(|&(page, access)| (page, access == PageAccess::ReadWrite))
                .collect(),
        }))
    }

    fn runs(&self) -> u64 {
        self.findings.iter().map(|finding| u64::from(finding.runs)).sum()
    }

    /// What has to show again, `counts` being all else that was reported.
    fn earlier(&self, mut counts: BlockReport) -> EarlierReport {
        counts.diverged = self.runs();
        counts.sightings = self
            .sightings
            .iter()
            .map(|(attribution, runs)| (attribution.clone(), u64::from(*runs)))
            .collect();
        let access = |written: bool| {
            if written {
                PageAccess::ReadWrite
            } else {
                PageAccess::Read
            }
        };
        counts.pages = self
            .pages
            .iter()
            .map(|&(page, written)| (page, access(written)))
            .collect();
        EarlierReport {
            counts,
            findings: self.findings.iter().map(CachedFinding::earlier).collect(),
        }
    }
}

impl CachedFinding {
    fn from_finding(finding: &Finding) -> Option<Self> {
        let divergence = &finding.divergence;
        let kind = divergence.class.kind;
        if matches!(kind, DivergenceKind::EngineDied | DivergenceKind::EngineHung) {
            return None;
        }
        let culprit = match &divergence.class.culprit {
            None => None,
            Some(culprit) => Some((u16::try_from(culprit.instruction).ok()?, culprit.form.clone())),
        };
        Some(Self {
            start: u16::try_from(finding.start).ok()?,
            runs: small(finding.runs)?,
            differences: digest_of_differences(&divergence.differences),
            kind,
            culprit,
            attributions: finding.attributions.clone(),
        })
    }

    fn earlier(&self) -> EarlierFinding {
        let culprit = self.culprit.as_ref().map(|(instruction, form)| Culprit {
            instruction: usize::from(*instruction),
            form: form.clone(),
        });
        EarlierFinding {
            start: self.start.into(),
            runs: self.runs.into(),
            differences: self.differences,
            class: Class {
                kind: self.kind,
                culprit,
            },
            attributions: self.attributions.clone(),
        }
    }
}

fn small(count: u64) -> Option<u16> {
    u16::try_from(count).ok()
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
    use snippex_core::block::{Block, Origin, Terminator};
    use snippex_core::case::{Case, Placement};
    use snippex_core::diff::{Divergence, Noted};
    use snippex_core::observation::{Endpoint, Observation};
    use snippex_core::state::MachineState;
    use snippex_triage::signature::{BugKind, CodeForm, Signature};

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
        let Some(Known::Settled(again)) = verdict.known(3, 64) else {
            panic!("nothing diverges");
        };
        assert_eq!(format!("{again:?}"), format!("{:?}", report()));
        // Not what was asked for.
        assert!(verdict.known(3, 32).is_none());
    }

    #[test]
    fn of_a_block_that_diverges_it_is_kept_what_has_to_show_again() {
        let report = diverging();
        let verdict = CachedVerdict::from_report(&report).unwrap();
        let bytes = encode_segment(&BTreeMap::from([(
            [1; KEY],
            CacheEntry {
                verdict,
                pages: Vec::new(),
            },
        )]));
        let (_, entry) = decode_segment(&bytes).unwrap().remove(0);
        let Some(Known::Diverging(earlier)) = entry.verdict.known(3, 64) else {
            panic!("it diverges");
        };
        let finding = &report.findings[0];
        assert_eq!(earlier.findings.len(), 1);
        assert_eq!(earlier.findings[0].class, finding.divergence.class);
        assert_eq!(earlier.findings[0].attributions, finding.attributions);
        assert_eq!((earlier.findings[0].start, earlier.findings[0].runs), (5, 2));
        let counts = BlockReport {
            findings: Vec::new(),
            ..report
        };
        assert_eq!(format!("{:?}", earlier.counts), format!("{counts:?}"));
        let mut other = diverging();
        other.findings[0].divergence.class.kind = DivergenceKind::EngineDied;
        assert_eq!(
            CachedVerdict::from_report(&other),
            None,
            "an engine that dies is seen anew each time"
        );
    }

    /// A report with one finding, which stands for two runs.
    fn diverging() -> BlockReport {
        let block = Block {
            address: 0x1000,
            bytes: vec![0x90],
            instruction_count: 1,
            terminator: Terminator::FallThrough,
            successors: vec![0x1001],
            origin: Origin::Sweep,
            unrunnable: None,
        };
        let end = Observation {
            endpoint: Endpoint::Exit { target: 0x1001 },
            state: MachineState::default(),
            memory: Vec::new(),
        };
        let attribution = Attribution {
            cause: "shl.flags".parse().unwrap(),
            signature: Signature {
                kind: BugKind::Flag,
                form: CodeForm {
                    text: "shl r32, cl".to_owned(),
                    encoding: "Shl_rm32_CL".to_owned(),
                },
                fields: vec!["flags.CF".to_owned()],
            },
        };
        let culprit = Culprit {
            instruction: 0,
            form: "shl r32, cl".to_owned(),
        };
        let finding = Finding {
            start: 5,
            case: Case {
                block: block.into(),
                placement: Placement {
                    image_base: 0,
                    code_base: 0,
                },
                state: MachineState::default(),
                pages: [].into(),
            },
            expected: end.clone(),
            actual: end,
            divergence: Divergence {
                differences: Vec::new(),
                class: Class {
                    kind: DivergenceKind::Flag,
                    culprit: Some(culprit),
                },
                noted: Noted::default(),
            },
            runs: 2,
            attributions: vec![attribution.clone()],
        };
        let mut report = report();
        (report.matched, report.diverged) = (60, 2);
        report.pages = vec![(0x1000, PageAccess::Read), (0x2000, PageAccess::ReadWrite)];
        report.sightings.insert(attribution, 2);
        report.findings.push(finding);
        report
    }

    #[test]
    fn what_has_to_be_found_out_anew_is_not_kept() {
        type Change = fn(&mut BlockReport);
        let changes: [Change; 7] = [
            // Alike others that were kept, of which nothing is known but the number.
            |report| {
                let class = Class {
                    kind: DivergenceKind::Flag,
                    culprit: None,
                };
                report.counted.push((class, 2));
                (report.diverged, report.matched) = (2, report.matched - 2);
            },
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
