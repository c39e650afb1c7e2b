//! Discovery: which pages a block needs, so that every engine can be given exactly those.
//!
//! Most addresses follow from the start states (see [`Roles`]) and are mapped beforehand. The rest shows up as
//! faults of a run on the reference engine: the page is added and the block run again, until it needs no more or
//! has too many.

use snippex_core::case::PAGE;
use snippex_core::observation::SIGSEGV;
use std::collections::BTreeMap;
use std::sync::Arc;

use snippex_core::address_space::{ARENA, RUNNER, is_mappable};
use snippex_core::block::Block;
use snippex_core::case::{Page, PageAccess, Placement};
use snippex_core::group::{Group, VectorState};
use snippex_core::observation::Endpoint;
use snippex_core::seed::memory::Filling;
use snippex_core::seed::{MemoryUse, Roles, Style, landing_pad, start_states, vector_pool};

use crate::batch::{MAX_PAGES, split_into_batches, split_large_groups};
use crate::engine::{Engine, EngineError};
use crate::memory_source::MemorySource;
/// Rounds of adding pages: a chain of pointers needs one for each link.
const MAX_ROUNDS: usize = 16;

/// Makes groups of cases out of blocks.
#[derive(Debug)]
pub struct CaseMaker<'i> {
    source: MemorySource<'i>,
    placement: Placement,
    vector_pool: Arc<[VectorState]>,
    seed: u64,
    states: usize,
    style: Style,
}

/// Where the cases of groups come from: all that is needed to make them again elsewhere, their blocks and pages apart.
#[derive(Clone, Debug)]
pub struct CaseOrigin {
    /// The file of the program that the blocks are of.
    pub(crate) program: Option<Arc<[u8]>>,
    pub(crate) placement: Placement,
    pub(crate) seed: u64,
    pub(crate) states: usize,
    pub(crate) style: Style,
    /// What all starts choose their vector registers from.
    pub(crate) vector_pool: Arc<[VectorState]>,
}

/// A group whose pages are not settled yet.
struct Draft {
    group: Group,
    pages: BTreeMap<u64, Page>,
    filling: Filling,
    /// Run-time addresses at which a code pointer was put.
    slots: BTreeMap<u64, u64>,
    /// A page that stays unmapped, so that accesses across its start fault.
    guard: Option<u64>,
    settled: bool,
}

impl<'i> CaseMaker<'i> {
    /// Cases with `states` start states a block from `seed`, in the memory that `source` describes.
    #[must_use]
    pub fn new(source: MemorySource<'i>, placement: Placement, seed: u64, states: usize) -> Self {
        Self {
            source,
            placement,
            vector_pool: vector_pool(seed, Style::Compiled),
            seed,
            states,
            style: Style::Compiled,
        }
    }

    /// The same for blocks of another kind.
    #[must_use]
    pub fn in_style(self, style: Style) -> Self {
        Self {
            vector_pool: vector_pool(self.seed, style),
            style,
            ..self
        }
    }

    /// Where the cases that are made come from; `program` is the file of the image.
    #[must_use]
    pub fn origin(&self, program: Option<Arc<[u8]>>) -> CaseOrigin {
        CaseOrigin {
            program,
            placement: self.placement,
            seed: self.seed,
            states: self.states,
            style: self.style,
            vector_pool: Arc::clone(&self.vector_pool),
        }
    }

    /// What starts choose their vector registers from.
    #[cfg(feature = "remote")]
    pub(crate) fn vector_pool(&self) -> &[VectorState] {
        &self.vector_pool
    }

    /// The groups of `blocks`, in their order, with pages found by running them on `engine`.
    ///
    /// # Errors
    /// When the engine cannot be used.
    pub fn make_groups(
        &mut self,
        blocks: &[Arc<Block>],
        engine: &mut dyn Engine,
    ) -> Result<Vec<Group>, EngineError> {
        let mut drafts: Vec<Draft> = blocks.iter().map(|block| self.draft(block)).collect();
        for draft in drafts.iter_mut().filter(|draft| !draft.settled) {
            draft.group.pages = draft.pages.values().cloned().collect();
            if let Some(pages) = engine.remembered_pages(&draft.group) {
                for (address, access) in pages {
                    self.add(draft, address, access == PageAccess::ReadWrite);
                }
                draft.settled = true;
            }
        }
        for _ in 0..MAX_ROUNDS {
            let open: Vec<usize> = (0..drafts.len())
                .filter(|&index| !drafts[index].settled)
                .collect();
            if open.is_empty() {
                break;
            }
            let groups: Vec<Group> = open
                .iter()
                .map(|&index| {
                    let draft = &mut drafts[index];
                    draft.group.pages = draft.pages.values().cloned().collect();
                    draft.group.clone()
                })
                .collect();
            for (&index, endpoints) in open.iter().zip(run_for_endpoints(groups, engine)?) {
                self.learn(&mut drafts[index], endpoints.into_iter());
            }
        }
        Ok(drafts
            .into_iter()
            .map(|mut draft| {
                draft.group.pages = draft.pages.into_values().collect();
                draft.group
            })
            .collect())
    }

    /// The group of `block` as [`CaseMaker::make`] has made it before, where `pages` are those that it had in the end.
    pub(crate) fn make_group_again(&mut self, block: &Arc<Block>, pages: &[(u64, PageAccess)]) -> Group {
        let mut draft = self.draft(block);
        for &(address, access) in pages {
            self.add(&mut draft, address, access == PageAccess::ReadWrite);
        }
        draft.group.pages = draft.pages.into_values().collect();
        draft.group
    }

    /// Start states, and the pages that follow from them.
    fn draft(&mut self, block: &Arc<Block>) -> Draft {
        let roles = Roles::from_block(block, self.placement);
        let starts = start_states(self.seed, self.style, block, &roles, self.states);
        let group = Group {
            block: Arc::clone(block),
            placement: self.placement,
            pages: [].into(),
            starts,
            vector_pool: Arc::clone(&self.vector_pool),
        };
        let filling = if roles.follows_pointers {
            Filling::Pointers
        } else {
            match self.style {
                Style::Compiled => Filling::Data,
                Style::Corners => Filling::Corners,
            }
        };
        let guard = (block.address >> 1).is_multiple_of(8).then_some(ARENA + PAGE);
        let mut draft = Draft {
            group,
            pages: BTreeMap::new(),
            filling,
            slots: BTreeMap::new(),
            guard,
            settled: block.unrunnable.is_some(),
        };
        if draft.settled {
            return draft;
        }
        if let Some(slot) = &roles.target_slot {
            let pad = landing_pad(block);
            for start in 0..draft.group.starts.len() {
                if let Some(address) = resolve(&draft.group, slot, start) {
                    draft.slots.insert(address, pad);
                }
            }
        }
        avoid_runner(&mut draft.group, &roles);
        for memory in &roles.memory {
            for start in 0..draft.group.starts.len() {
                if let Some(address) = resolve(&draft.group, memory, start) {
                    let last = address.wrapping_add(memory.size.max(1) as u64 - 1);
                    self.add(&mut draft, address, memory.written);
                    if last / PAGE != address / PAGE {
                        self.add(&mut draft, last, memory.written);
                    }
                }
            }
        }
        draft
    }

    /// Adds the page of `address`, or makes it writable. Returns whether anything changed.
    fn add(&mut self, draft: &mut Draft, address: u64, write: bool) -> bool {
        let address = address & !(PAGE - 1);
        if draft.guard == Some(address) || !is_mappable(address) {
            return false;
        }
        let known = draft.pages.get(&address).map(|page| page.access);
        if known == Some(PageAccess::ReadWrite) || (known == Some(PageAccess::Read) && !write) {
            return false;
        }
        if known.is_none() && draft.pages.len() == MAX_PAGES {
            return false;
        }
        let Some((mut content, limit)) = self.source.page_at(address, draft.filling) else {
            return false;
        };
        let access = if write && limit == PageAccess::ReadWrite {
            PageAccess::ReadWrite
        } else {
            PageAccess::Read
        };
        if known == Some(access) {
            return false;
        }
        for (&slot, pad) in draft.slots.range(address..=address + (PAGE - 8)) {
            let offset = (slot - address) as usize;
            Arc::make_mut(&mut content)[offset..offset + 8].copy_from_slice(&pad.to_le_bytes());
        }
        draft.pages.insert(
            address,
            Page {
                address,
                access,
                content,
            },
        );
        true
    }

    /// Adds the pages whose absence or protection made runs fault.
    fn learn(&mut self, draft: &mut Draft, endpoints: impl Iterator<Item = Endpoint>) {
        let mut changed = false;
        let code = draft.group.block.address.wrapping_add(self.placement.code_base);
        let code = code..code.wrapping_add(draft.group.block.bytes.len() as u64);
        for endpoint in endpoints {
            if let Endpoint::Signal(signal) = endpoint
                && signal.number == SIGSEGV
                && code.contains(&signal.rip)
            {
                changed |= self.add(draft, signal.address, signal.write);
            }
        }
        draft.settled = !changed;
    }
}

/// How the runs of each group end on `engine`.
fn run_for_endpoints(groups: Vec<Group>, engine: &mut dyn Engine) -> Result<Vec<Vec<Endpoint>>, EngineError> {
    let mut endpoints = vec![Vec::new(); groups.len()];
    let (indices, parts): (Vec<usize>, Vec<Group>) = split_large_groups(groups)
        .into_iter()
        .map(|part| (part.index, part.group))
        .unzip();
    for range in split_into_batches(&parts) {
        let batch = &parts[range.clone()];
        let results = engine.run(batch)?;
        for (position, (&index, part)) in indices[range].iter().zip(batch).enumerate() {
            let found = (0..part.starts.len()).filter_map(|start| results.endpoint(position, start));
            endpoints[index].extend(found);
        }
    }
    Ok(endpoints)
}

/// Replaces registers that would take an access into the runner's own memory, which is mapped natively but is
/// no part of the case.
fn avoid_runner(group: &mut Group, roles: &Roles) {
    const MARGIN: u64 = 2 * PAGE;
    for start in 0..group.starts.len() {
        for memory in &roles.memory {
            let Some(address) = resolve(group, memory, start) else {
                continue;
            };
            let hits = RUNNER
                .iter()
                .any(|area| (area.start - MARGIN..area.end + MARGIN).contains(&address));
            if let (true, Some(linear)) = (hits, &memory.address) {
                for &(register, _) in &linear.terms {
                    group.starts[start].gpr[register as usize] = ARENA + 0x400;
                }
            }
        }
    }
}

/// Run-time address of a memory operand for one start.
fn resolve(group: &Group, memory: &MemoryUse, start: usize) -> Option<u64> {
    let start = &group.starts[start];
    let base = match memory.segment {
        Some(iced_x86::Register::FS) => start.fs_base,
        Some(_) => start.gs_base,
        None => 0,
    };
    Some(memory.address.as_ref()?.value_for(&start.gpr).wrapping_add(base))
}
