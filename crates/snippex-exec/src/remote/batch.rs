//! A batch on its way: groups to the agent, ends back. Both sides of each form stand together.

use std::sync::Arc;

use snippex_core::codec::{self, Bytes};
use snippex_core::group::{Group, Start, VectorState};
use snippex_core::state::Components;

use super::RemoteError;
use super::digest::Digester;
use super::message::{GroupWire, GroupsWire, ResultsWire, decode_message, pack_message, unpack_message};
use crate::discovery::CaseMaker;
use crate::lower::lower_block;
use crate::recording::end::End;
use crate::recording::ends;
use crate::recording::streams::{Joined, Streams};
use crate::results::{OwnedResults, RawResults, Results, ResultsKind, UnsupportedWire, changed_lines};

/// What of a group's expected ends is sent.
pub(super) struct Expected {
    /// By group, whether all its runs are in `digests`.
    pub(super) groups: Vec<bool>,
    /// Eight bytes a run.
    pub(super) digests: Vec<u8>,
}

impl Expected {
    /// Nothing is expected of `groups` groups.
    pub(super) fn expecting_nothing(groups: usize) -> Self {
        Self {
            groups: vec![false; groups],
            digests: Vec::new(),
        }
    }
}

/// Digests of the runs in `results`. A run whose end is never the same as another gets 0, which no end of the agent matches
/// since it has none for such a run either.
pub(super) fn digest_expected_results(
    results: &Results<'_>,
    covered: Components,
    digester: &mut Digester,
) -> Expected {
    let count = results.groups.len();
    let mut expected = Expected::expecting_nothing(count);
    let ResultsKind::Raw {
        blocks, ends, lines, ..
    } = &results.kind
    else {
        return expected;
    };
    for (position, group) in results.groups.iter().enumerate() {
        if results.unsupported[position].is_some() {
            continue;
        }
        expected.groups[position] = true;
        let first = blocks[position].first_run as usize;
        for run in 0..group.starts.len() {
            let end = ends.get(first + run);
            let digest =
                digester.digest_end_state(group, run, end, changed_lines(end.output, lines), covered);
            expected.digests.extend(digest.unwrap_or_default().to_le_bytes());
        }
    }
    expected
}

/// Groups that the agent can make again.
pub(super) fn pack_made_groups(groups: &[Group], expected: &[bool], digester: &mut Digester) -> Vec<u8> {
    let wire = |(group, &expected): (&Group, &bool)| GroupWire {
        block: (*group.block).clone(),
        pages: group
            .pages
            .iter()
            .map(|page| (page.address, page.access))
            .collect(),
        digest: digester.digest_group(group),
        expected,
    };
    pack_message(&GroupsWire::Made(groups.iter().zip(expected).map(wire).collect()))
}

/// Any groups.
pub(super) fn pack_whole_groups(groups: &[Group]) -> Vec<u8> {
    let cases = |group: &Group| {
        let runs = 0..group.starts.len();
        runs.map(|run| codec::encode_case(&group.case_at(run)).1)
            .collect()
    };
    pack_message(&GroupsWire::Whole(groups.iter().map(cases).collect()))
}

/// Groups, and of which of them the runs are expected.
pub(super) type ExpectedGroups = (Vec<Group>, Vec<bool>);

/// The groups of a batch, and of which of them the runs are expected. `None` when one comes out otherwise than at the host.
pub(super) fn read_groups(
    packed: &[u8],
    maker: Option<&mut CaseMaker<'_>>,
    digester: &mut Digester,
) -> Result<Option<ExpectedGroups>, RemoteError> {
    let bytes = unpack_message(packed)?;
    match decode_message::<GroupsWire>(&bytes)? {
        GroupsWire::Whole(groups) => {
            let groups = groups.iter().map(|cases| group_of(cases));
            let groups = groups.collect::<Result<Vec<Group>, RemoteError>>()?;
            let expected = vec![false; groups.len()];
            Ok(Some((groups, expected)))
        }
        GroupsWire::Made(groups) => {
            let maker = maker.ok_or(RemoteError::Malformed(
                "a batch does not say where its cases are from",
            ))?;
            let mut made = Vec::with_capacity(groups.len());
            let mut expected = Vec::with_capacity(groups.len());
            for wire in groups {
                let group = maker.make_group_again(&Arc::new(wire.block), &wire.pages);
                if digester.digest_group(&group) != wire.digest {
                    return Ok(None);
                }
                made.push(group);
                expected.push(wire.expected);
            }
            Ok(Some((made, expected)))
        }
    }
}

/// The group that `cases` are the runs of.
fn group_of(cases: &[Vec<u8>]) -> Result<Group, RemoteError> {
    let cases = cases.iter().map(|bytes| codec::decode_case(bytes));
    let cases = cases.collect::<Result<Vec<_>, _>>()?;
    let first = cases
        .first()
        .ok_or(RemoteError::Malformed("a group has no case"))?;
    let mut whole = Group::from_case(first);
    let mut pool: Vec<VectorState> = whole.vector_pool.to_vec();
    for case in &cases[1..] {
        if (&case.block, case.placement, &case.pages) != (&first.block, first.placement, &first.pages) {
            return Err(RemoteError::Malformed(
                "the cases of a group are of several blocks",
            ));
        }
        let one = Group::from_case(case);
        let known = pool.iter().position(|known| *known == one.vector_pool[0]);
        let vectors = known.unwrap_or_else(|| {
            pool.push(one.vector_pool[0].clone());
            pool.len() - 1
        });
        whole.starts.push(Start {
            vectors: u32::try_from(vectors).expect("a batch has few runs"),
            ..one.starts[0]
        });
    }
    whole.vector_pool = pool.into();
    Ok(whole)
}

/// The packed answer to a batch.
pub(super) struct PackedResults {
    pub(super) unsupported: Vec<Option<UnsupportedWire>>,
    pub(super) matched: Vec<u8>,
    pub(super) ends: Vec<u8>,
    pub(super) made: Option<Vec<u8>>,
}

impl PackedResults {
    pub(super) fn to_wire(&self) -> ResultsWire<'_> {
        ResultsWire {
            unsupported: self.unsupported.clone(),
            matched: Bytes(&self.matched),
            ends: Bytes(&self.ends),
            made: self.made.as_deref().map(Bytes),
        }
    }

    /// What of `results` is not as `expected` says, whose digests are `digests`.
    pub(super) fn from_results(
        results: &Results<'_>,
        expected: &[bool],
        digests: &[u8],
        covered: Components,
        digester: &mut Digester,
    ) -> Result<Self, RemoteError> {
        let unsupported = results.unsupported.iter();
        let mut packed = Self {
            unsupported: unsupported
                .map(|reason| reason.as_ref().map(UnsupportedWire::from_reason))
                .collect(),
            matched: Vec::new(),
            ends: Vec::new(),
            made: None,
        };
        let ResultsKind::Raw {
            blocks,
            ends,
            lines,
            parked,
        } = &results.kind
        else {
            packed.made = Some(results.to_owned_results().encode());
            return Ok(packed);
        };
        let mut digests = digests.chunks_exact(8);
        let mut bits = Bits::default();
        let mut streams = Streams::default();
        let mut places = Vec::with_capacity(results.groups.len());
        for (position, group) in results.groups.iter().enumerate() {
            let first = blocks[position].first_run as usize;
            let supported = results.unsupported[position].is_none();
            let mut differing = Vec::new();
            for run in 0..group.starts.len() {
                let expected = match expected[position] {
                    true => Some(
                        digests
                            .next()
                            .ok_or(RemoteError::Malformed("a run has no expected end"))?,
                    ),
                    false => None,
                };
                if !supported {
                    continue;
                }
                let end = ends.get(first + run);
                let lines = changed_lines(end.output, lines);
                if let Some(wanted) = expected {
                    let found = digester.digest_end_state(group, run, end, lines, covered);
                    let same = found.is_some_and(|found| found.to_le_bytes() == *wanted);
                    bits.push(same);
                    if same {
                        continue;
                    }
                }
                let page = end.output.fault.address & !(snippex_core::case::PAGE - 1);
                let parked = parked.contains_page(page);
                differing.push((
                    run,
                    End::from_end_state(group, run, end, lines, parked, results.components),
                ));
            }
            if !differing.is_empty() {
                let (runs, ends): (Vec<usize>, Vec<End>) = differing.into_iter().unzip();
                ends::pack_ends(&part_of(group, &runs), &ends, results.components, &mut streams);
            }
            places.push(streams.end_positions());
        }
        packed.matched = bits.bytes;
        packed.ends = Joined::encode_streams(&streams, &places);
        Ok(packed)
    }
}

/// `group` with some of its runs.
fn part_of(group: &Group, runs: &[usize]) -> Group {
    Group {
        starts: runs.iter().map(|&run| group.starts[run]).collect(),
        ..group.clone()
    }
}

/// The results of `groups` that `wire` says, those that are as expected taken from there.
pub(super) fn read_results(
    wire: &ResultsWire<'_>,
    groups: &[Group],
    expected: Option<(&Results<'_>, &[bool])>,
    components: Components,
) -> Result<OwnedResults, RemoteError> {
    if let Some(made) = &wire.made {
        return Ok(OwnedResults::decode(made.0, groups)?);
    }
    if wire.unsupported.len() != groups.len() {
        return Err(RemoteError::Malformed("an answer is of another batch"));
    }
    let joined = Joined::from_bytes(wire.ends.0.to_vec())?;
    let mut bits = BitReader::new(wire.matched.0);
    let mut raw = RawResults::default();
    let mut lowered = Vec::with_capacity(groups.len());
    let mut unsupported = Vec::with_capacity(groups.len());
    for (position, group) in groups.iter().enumerate() {
        let reason = wire.unsupported[position].as_ref();
        let reason = reason.map(|reason| reason.decode_reason(group)).transpose()?;
        let made = match &reason {
            Some(_) => None,
            None => Some(
                lower_block(&group.block, group.placement)
                    .map_err(|_| RemoteError::Malformed("a block that cannot run was run"))?,
            ),
        };
        match &reason {
            Some(_) => raw.push_group(std::iter::empty()),
            None => {
                let known = expected.filter(|(_, expected)| expected[position]);
                let known = known.map(|(results, _)| results);
                push_runs(&mut raw, group, position, known, &mut bits, &joined, components)?;
            }
        }
        lowered.push(made);
        unsupported.push(reason);
    }
    Ok(OwnedResults::of_raw(lowered, unsupported, components, raw))
}

/// Adds the runs of a group: as in `known` where the agent says so, else as it has them.
fn push_runs(
    raw: &mut RawResults,
    group: &Group,
    position: usize,
    known: Option<&Results<'_>>,
    bits: &mut BitReader<'_>,
    joined: &Joined,
    components: Components,
) -> Result<(), RemoteError> {
    let runs = group.starts.len();
    let matched: Vec<bool> = match known {
        Some(_) => (0..runs).map(|_| bits.next()).collect::<Result<_, _>>()?,
        None => vec![false; runs],
    };
    let differing: Vec<usize> = (0..runs).filter(|&run| !matched[run]).collect();
    let mut reader = joined.reader(position)?;
    let ends = match differing.is_empty() {
        true => Vec::new(),
        false => ends::unpack_ends(&part_of(group, &differing), components, &mut reader)?,
    };
    if !reader.is_empty() {
        return Err(RemoteError::Malformed("the ends of a block are too long"));
    }
    let expected = known.and_then(|results| match &results.kind {
        ResultsKind::Raw {
            blocks, ends, lines, ..
        } => Some((blocks[position].first_run as usize, *ends, *lines)),
        ResultsKind::Made(_) => None,
    });
    let mut ends = ends.iter();
    let rows = matched
        .iter()
        .enumerate()
        .map(|(run, &matched)| match (matched, expected) {
            (true, Some((first, ends, lines))) => {
                let end = ends.get(first + run);
                let file = (end.output.stored != 0).then_some(end.vectors);
                (*end.output, file, changed_lines(end.output, lines))
            }
            _ => {
                let end = ends.next().expect("as many ends as runs that differ");
                (end.output, end.vectors.as_deref(), &end.lines[..])
            }
        });
    raw.push_group(rows.collect::<Vec<_>>().into_iter());
    Ok(())
}

/// Bits one after another, the lowest of a byte first.
#[derive(Debug, Default)]
struct Bits {
    bytes: Vec<u8>,
    used: u32,
}

impl Bits {
    fn push(&mut self, bit: bool) {
        if self.used.is_multiple_of(8) {
            self.bytes.push(0);
        }
        if let Some(last) = self.bytes.last_mut() {
            *last |= u8::from(bit) << (self.used % 8);
        }
        self.used += 1;
    }
}

#[derive(Debug)]
struct BitReader<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> BitReader<'b> {
    fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn next(&mut self) -> Result<bool, RemoteError> {
        let byte = self
            .bytes
            .get(self.at / 8)
            .ok_or(RemoteError::Malformed("an answer is of fewer runs"))?;
        let bit = byte & (1 << (self.at % 8)) != 0;
        self.at += 1;
        Ok(bit)
    }
}

/// Whether every run of `groups` starts from `pool`, `states` of them a group: then an agent can make them again.
pub(super) fn can_be_made(groups: &[Group], pool: &Arc<[VectorState]>, states: usize) -> bool {
    groups
        .iter()
        .all(|group| Arc::ptr_eq(&group.vector_pool, pool) && group.starts.len() == states)
}
