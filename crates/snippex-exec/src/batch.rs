//! What fits into one batch, and cutting a list of groups into batches.

use std::collections::BTreeMap;

use snippex_core::address_space::is_mappable;
use snippex_core::case::{PAGE_SIZE, PageAccess};
use snippex_core::group::Group;
use thiserror::Error;

use crate::lower::{Lowered, lower_block};

/// Most blocks in a batch.
pub const MAX_GROUPS: usize = 256;
/// Most runs in a batch.
pub const MAX_RUNS: usize = 4096;
/// Most pages of one block.
pub const MAX_PAGES: usize = 32;
/// Most writable pages captured over all runs of a batch.
pub(crate) const MAX_CAPTURED: usize = 16384;
/// Most pages of code in a batch.
pub(crate) const MAX_CODE_PAGES: usize = 1024;
/// Most different vector states in a batch.
pub(crate) const MAX_VECTORS: usize = 2048;

/// Why groups cannot be run together, or one cannot be run at all.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BatchError {
    /// Cut the list with [`split_into_batches`].
    #[error("the groups do not fit into one batch: more than {0}; split them")]
    TooLarge(&'static str),
    /// Two blocks would lie on each other; cut the list with [`split_into_batches`].
    #[error("two blocks of the batch overlap at {0:#x}; split them")]
    Overlap(u64),
    /// The case itself is wrong.
    #[error("group {group} is not valid: {problem}")]
    Invalid {
        /// Index of the group.
        group: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// Adds up groups until they no longer fit.
#[derive(Debug, Default)]
struct Room {
    groups: usize,
    runs: usize,
    captured: usize,
    code_pages: usize,
    vectors: usize,
    pools: Vec<usize>,
    /// Start to end of lowered code.
    code: BTreeMap<u64, u64>,
}

impl Room {
    fn has_vector_pool(&self, group: &Group) -> bool {
        self.pools.contains(&(group.vector_pool.as_ptr() as usize))
    }

    fn add(&mut self, group: &Group, lowered: Option<&Lowered>) -> Result<(), BatchError> {
        let writable = writable_pages(group);
        let new_vectors = if self.has_vector_pool(group) {
            0
        } else {
            group.vector_pool.len()
        };
        let limits = [
            (self.groups + 1, MAX_GROUPS, "256 blocks"),
            (self.runs + group.starts.len(), MAX_RUNS, "4096 runs"),
            (
                self.captured + group.starts.len() * writable,
                MAX_CAPTURED,
                "16384 captured pages",
            ),
            (self.code_pages + 2, MAX_CODE_PAGES, "1024 pages of code"),
            (self.vectors + new_vectors, MAX_VECTORS, "2048 vector states"),
        ];
        for (wanted, limit, name) in limits {
            if wanted > limit {
                return Err(BatchError::TooLarge(name));
            }
        }
        if let Some(lowered) = lowered {
            let before = self.code.range(..lowered.end_address()).next_back();
            if before.is_some_and(|(_, &end)| end > lowered.address) {
                return Err(BatchError::Overlap(lowered.address));
            }
            self.code.insert(lowered.address, lowered.end_address());
            self.code_pages += lowered.bytes.len() / PAGE_SIZE + 2;
        }
        if new_vectors != 0 {
            self.pools.push(group.vector_pool.as_ptr() as usize);
        }
        self.groups += 1;
        self.runs += group.starts.len();
        self.captured += group.starts.len() * writable;
        self.vectors += new_vectors;
        Ok(())
    }
}

/// Checks that `groups` are valid and fit together, given their lowered code.
pub(crate) fn check_batch(groups: &[Group], lowered: &[Option<Lowered>]) -> Result<(), BatchError> {
    let mut room = Room::default();
    for (index, (group, lowered)) in groups.iter().zip(lowered).enumerate() {
        let invalid = |problem| BatchError::Invalid {
            group: index,
            problem,
        };
        validate(group).map_err(invalid)?;
        if !room.has_vector_pool(group) {
            validate_vector_pool(group).map_err(invalid)?;
        }
        room.add(group, lowered.as_ref())?;
    }
    Ok(())
}

fn validate(group: &Group) -> Result<(), &'static str> {
    if group.pages.len() > MAX_PAGES {
        return Err("it has more than 32 pages");
    }
    if !group.pages.is_sorted_by(|a, b| a.address < b.address) {
        return Err("its pages are not in ascending order");
    }
    if group
        .pages
        .iter()
        .any(|page| page.address % PAGE_SIZE as u64 != 0 || !is_mappable(page.address))
    {
        return Err("a page is not aligned or lies where no page of a case may be");
    }
    if group
        .starts
        .iter()
        .any(|start| start.vectors as usize >= group.vector_pool.len())
    {
        return Err("a start names a vector state that the vector_pool does not have");
    }
    const CHANGEABLE: u64 = 0x24_4dd5 | 0x202;
    if group
        .starts
        .iter()
        .any(|start| start.rflags & !CHANGEABLE != 0 || start.rflags & 0x100 != 0)
    {
        return Err("RFLAGS has bits that a user program cannot set, or TF");
    }
    Ok(())
}

/// Most groups of a batch have the same, which is large.
fn validate_vector_pool(group: &Group) -> Result<(), &'static str> {
    if group
        .vector_pool
        .iter()
        .any(|vectors| vectors.mxcsr & !0xffff != 0)
    {
        return Err("MXCSR has reserved bits set");
    }
    Ok(())
}

/// Some of the starts of a group: as many as fit one batch.
#[derive(Debug)]
pub(crate) struct GroupPart {
    /// Position of the group among those that were cut.
    pub(crate) index: usize,
    /// Number of its first start in the whole group.
    pub(crate) first_start: usize,
    /// The part.
    pub(crate) group: Group,
}

/// Cuts every group whose starts do not fit one batch into parts that do, in order; the others stay whole.
pub(crate) fn split_large_groups(groups: Vec<Group>) -> Vec<GroupPart> {
    let mut parts = Vec::with_capacity(groups.len());
    for (index, group) in groups.into_iter().enumerate() {
        let most = MAX_RUNS.min(MAX_CAPTURED / writable_pages(&group).max(1));
        let count = group.starts.len();
        if count <= most {
            parts.push(GroupPart {
                index,
                first_start: 0,
                group,
            });
            continue;
        }
        parts.extend((0..count).step_by(most).map(|first_start| GroupPart {
            index,
            first_start,
            group: Group {
                starts: group.starts[first_start..count.min(first_start + most)].to_vec(),
                ..group.clone()
            },
        }));
    }
    parts
}

/// Pages of `group` that are captured after each run.
fn writable_pages(group: &Group) -> usize {
    let writable = group
        .pages
        .iter()
        .filter(|page| page.access == PageAccess::ReadWrite);
    writable.count()
}

/// Cuts `groups` into the fewest consecutive ranges that each fit a batch.
#[must_use]
pub fn split_into_batches(groups: &[Group]) -> Vec<std::ops::Range<usize>> {
    let mut ranges = Vec::new();
    let mut start = 0;
    let mut room = Room::default();
    for (index, group) in groups.iter().enumerate() {
        let lowered = lower_block(&group.block, group.placement).ok();
        if index > start && room.add(group, lowered.as_ref()).is_err() {
            ranges.push(start..index);
            start = index;
            room = Room::default();
        }
        if index == start {
            // A group that does not even fit alone is reported when it is run.
            let _ = room.add(group, lowered.as_ref());
        }
    }
    if start < groups.len() {
        ranges.push(start..groups.len());
    }
    ranges
}
