//! Writing a batch into the shared file: code, mapping steps, start states, page contents.

use snippex_core::case::PAGE;
use std::collections::BTreeMap;
use std::ops::Range;

use snippex_core::case::{PAGE_SIZE, PageAccess};
use snippex_core::group::Group;
use snippex_runner::layout::{
    CODE_CHUNK, EXECUTE, KIND_BLOCK, KIND_SEGMENTS, MapStep, RunInput, RunOutput, SKIP_MEMORY,
    SKIP_OTHER_LINES, WireBlock,
};

use crate::code_window::CodeWindow;
use crate::end_state::{EndStates, Vectors};
use crate::guest_space::{AddressSpace, Keep, MappedPage, PlannedPage};
use crate::loaded_pools::{LoadedPools, X87Order};
use crate::lower::{Lowered, build_landing_pads};
use crate::page_cache::PageCache;
use crate::shared::Shared;
use crate::shared_layout::{
    BLOCKS_OFFSET, CODE_OFFSET, CONTENTS, CONTENTS_OFFSET, END_VECTORS_OFFSET, FILLS_OFFSET, LINES_OFFSET,
    MAX_REACHED, MEMORY_OFFSET, OUTPUTS_OFFSET, PADS_OFFSET, PRISTINE_OFFSET, REACHED_OFFSET, RUNS_OFFSET,
    STEPS_OFFSET, VECTORS_OFFSET, WRITABLE_OFFSET,
};
use crate::store_targets::StoreTargets;
use crate::stores::Store;
use crate::untouched::Untouched;

/// What stays in the file from batch to batch.
#[derive(Debug)]
pub(crate) struct Library {
    pools: LoadedPools,
    contents: PageCache,
    window: CodeWindow,
}

impl Library {
    pub(crate) fn new() -> Self {
        Self {
            pools: LoadedPools::default(),
            contents: PageCache::new(CONTENTS_OFFSET, CONTENTS),
            window: CodeWindow::default(),
        }
    }
}

/// How a batch may be done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlanOptions {
    /// Code goes where it need not be mapped anew, if it can.
    pub(crate) keep_code: bool,
    /// Pages that one block needs and the next does not may stay mapped, out of reach.
    pub(crate) park: bool,
    /// All pages are mapped from frames that the guest fills (scan mode): contents change from block to block, and filling a
    /// page costs less than mapping one.
    pub(crate) framed: bool,
    /// Which `SKIP_*` the guest is told of.
    pub(crate) untouched: u32,
    /// How the guest takes x87 registers.
    pub(crate) x87_order: X87Order,
}

/// A batch in the shared file, mapping apart.
#[derive(Debug)]
pub(crate) struct BatchPlan {
    pub(crate) blocks: Vec<WireBlock>,
    pub(crate) run_count: usize,
    /// Run-time addresses of each group's writable pages.
    pub(crate) writable: Vec<Vec<u64>>,
    /// How to map the code, when it is not in the window.
    code: Vec<MapStep>,
    in_window: bool,
    park: bool,
    framed: bool,
    /// Each group's pages, in ascending order of address.
    pages: Vec<Vec<PlannedPage>>,
    /// Groups in the order in which the guest does them.
    order: Vec<usize>,
}

impl BatchPlan {
    pub(crate) fn empty() -> Self {
        Self {
            blocks: Vec::new(),
            run_count: 0,
            writable: Vec::new(),
            code: Vec::new(),
            in_window: false,
            park: false,
            framed: false,
            pages: Vec::new(),
            order: Vec::new(),
        }
    }

    /// Writes everything but the mapping steps, which depend on what the guest process has mapped.
    pub(crate) fn write_batch(
        shared: &mut Shared,
        library: &mut Library,
        groups: &[Group],
        lowered: &[Option<Lowered>],
        left: &[Untouched],
        options: PlanOptions,
    ) -> Self {
        library
            .pools
            .write_missing_pools(shared, VECTORS_OFFSET, groups, options.x87_order);
        let in_window = options.keep_code && write_window(shared, &mut library.window, groups, lowered);
        let code = if in_window {
            Vec::new()
        } else {
            library.window.erase_batch_code(shared);
            write_code(shared, lowered)
        };
        library
            .contents
            .reserve(groups.iter().map(|group| group.pages.len()).sum());
        let mut plan = Self {
            blocks: vec![NO_BLOCK; groups.len()],
            run_count: 0,
            writable: vec![Vec::new(); groups.len()],
            code,
            in_window,
            park: options.park,
            framed: options.framed,
            pages: vec![Vec::new(); groups.len()],
            order: Vec::new(),
        };
        let untouched: Vec<u32> = left
            .iter()
            .map(|left| left.untouched & options.untouched)
            .collect();
        plan.order = by_pages(groups, &untouched);
        let mut lines = 0;
        let mut pristine = PRISTINE_OFFSET;
        let mut captured = MEMORY_OFFSET;
        let mut first_writable = 0;
        for &index in &plan.order {
            // A block that cannot be lowered stays in the list, so that indices agree, but has no runs.
            let mut block = WireBlock {
                first_run: plan.run_count as u32,
                first_writable,
                pristine,
                captured,
                ..NO_BLOCK
            };
            if let Some(lowered) = &lowered[index] {
                let group = &groups[index];
                if lowered.loads_segments {
                    block.kind = KIND_SEGMENTS;
                }
                let planned = group.pages.iter().map(|page| PlannedPage {
                    address: page.address,
                    access: page.access,
                    kept: library.contents.write_if_new(shared, &page.content),
                });
                plan.pages[index] = planned.collect();
                let pages = group.pages.iter();
                let writable: Vec<u64> = pages
                    .filter(|page| page.access == PageAccess::ReadWrite)
                    .map(|page| page.address)
                    .collect();
                block.run_count = group.starts.len() as u32;
                block.writable_count = writable.len() as u32;
                block.untouched = untouched[index];
                if block.untouched & SKIP_OTHER_LINES != 0 {
                    let of_a_run: usize = left[index].stores.iter().map(Store::most_lines).sum();
                    lines += of_a_run * group.starts.len();
                    if lines > MAX_REACHED {
                        block.untouched &= !SKIP_OTHER_LINES;
                    }
                }
                pristine += writable.len() as u64 * PAGE;
                captured += ((group.starts.len() + 1) * writable.len()) as u64 * PAGE;
                first_writable += writable.len() as u32;
                plan.run_count += group.starts.len();
                plan.writable[index] = writable;
            }
            plan.blocks[index] = block;
        }
        plan.write_starts(shared, &library.pools, groups, lowered, left);
        plan
    }

    fn write_starts(
        &self,
        shared: &mut Shared,
        pools: &LoadedPools,
        groups: &[Group],
        lowered: &[Option<Lowered>],
        left: &[Untouched],
    ) {
        let mut reached = StoreTargets::default();
        let slots = shared.slice_mut::<RunInput>(RUNS_OFFSET, self.run_count);
        for (index, (group, block)) in groups.iter().zip(&self.blocks).enumerate() {
            let Some(lowered) = &lowered[index] else { continue };
            let loaded = pools.find_pool(&group.vector_pool).expect("loaded before");
            let stores = match block.untouched & SKIP_OTHER_LINES {
                0 => &[],
                _ => &left[index].stores[..],
            };
            for (start, slot) in group.starts.iter().zip(&mut slots[block.first_run as usize..]) {
                let (first_reached, reached_count) = reached.add_run_lines(stores, start, &self.pages[index]);
                *slot = RunInput {
                    gpr: start.gpr,
                    rflags: start.rflags,
                    fs_base: start.fs_base,
                    gs_base: start.gs_base,
                    target: lowered.address,
                    vectors: loaded.first + start.vectors,
                    clean: u32::from(loaded.clean[start.vectors as usize]),
                    first_reached,
                    reached_count,
                };
            }
        }
        shared.write(REACHED_OFFSET, &reached.all);
    }

    /// Writes what writable pages hold one after the other, for one `preadv` a run.
    pub(crate) fn write_pristine(&self, shared: &mut Shared, groups: &[Group]) {
        for (block, group) in self.blocks.iter().zip(groups) {
            let pages = group
                .pages
                .iter()
                .filter(|page| page.access == PageAccess::ReadWrite);
            for (index, page) in pages.take(block.writable_count as usize).enumerate() {
                shared.write(block.pristine + index as u64 * PAGE, &page.content[..]);
            }
        }
    }

    /// Writes the mapping steps for a guest that has `space` mapped and does `runs`, and updates `space` to what it
    /// will have mapped after the last of them.
    pub(crate) fn write_mapping_steps(
        &mut self,
        shared: &mut Shared,
        library: &Library,
        space: &mut AddressSpace,
        runs: Range<u32>,
    ) {
        let mut entry = MappedPage::default();
        let steps = &mut entry.steps;
        let window = self.in_window.then_some(&library.window);
        space.map_code(window, &self.code, steps);
        if space.map_pads(PADS_OFFSET, steps) {
            shared.write(PADS_OFFSET, &build_landing_pads());
        }
        let prologue = steps.len();
        for &index in &self.order {
            let block = &mut self.blocks[index];
            block.first_writable = entry.writable.len() as u32;
            block.first_step = entry.steps.len() as u32;
            block.first_fill = entry.fills.len() as u32;
            if block.run_count != 0
                && block.first_run + block.run_count > runs.start
                && block.first_run < runs.end
            {
                let keep = Keep {
                    park: self.park,
                    framed: self.framed,
                    stores_nothing: block.untouched & SKIP_MEMORY != 0,
                };
                space.map_group_pages(&self.pages[index], keep, &mut entry);
                block.writable_count = entry.writable.len() as u32 - block.first_writable;
            }
            block.step_count = entry.steps.len() as u32 - block.first_step;
            block.fill_count = entry.fills.len() as u32 - block.first_fill;
        }
        let blocks: Vec<WireBlock> = self.order.iter().map(|&index| self.blocks[index]).collect();
        shared.write(BLOCKS_OFFSET, &blocks);
        shared.write(STEPS_OFFSET, &entry.steps);
        shared.write(WRITABLE_OFFSET, &entry.writable);
        shared.write(FILLS_OFFSET, &entry.fills);
        let header = shared.header();
        header.block_count = self.blocks.len() as u32;
        header.prologue_step_count = prologue as u32;
        header.first_run = runs.start;
        header.run_count = runs.end;
        header.current_run = runs.start;
        header.blocks = BLOCKS_OFFSET;
        header.steps = STEPS_OFFSET;
        header.writable = WRITABLE_OFFSET;
        header.reached = REACHED_OFFSET;
        header.fills = FILLS_OFFSET;
        header.runs = RUNS_OFFSET;
        header.vectors = VECTORS_OFFSET;
        header.outputs = OUTPUTS_OFFSET;
        header.end_vectors = END_VECTORS_OFFSET;
        header.lines = if self.framed { MEMORY_OFFSET } else { LINES_OFFSET };
        header.failed_step = 0;
    }

    /// The end states, in order of runs.
    pub(crate) fn end_states<'s>(&self, shared: &'s Shared) -> EndStates<'s> {
        EndStates {
            outputs: self.outputs(shared),
            vectors: Vectors::OfEachRun(shared.slice(END_VECTORS_OFFSET, self.run_count)),
        }
    }

    /// The end states without x87 and vectors.
    pub(crate) fn outputs<'s>(&self, shared: &'s Shared) -> &'s [RunOutput] {
        shared.slice(OUTPUTS_OFFSET, self.run_count)
    }

    /// As [`BatchPlan::outputs`], to be changed.
    pub(crate) fn outputs_mut<'s>(&self, shared: &'s mut Shared) -> &'s mut [RunOutput] {
        shared.slice_mut(OUTPUTS_OFFSET, self.run_count)
    }

    /// Has the block of `run` done in full from now on. Its first run, if that is news.
    pub(crate) fn disable_shortcuts(&mut self, run: u32) -> Option<u32> {
        let block = self
            .blocks
            .iter_mut()
            .find(|block| (block.first_run..block.first_run + block.run_count).contains(&run))?;
        (std::mem::take(&mut block.untouched) != 0).then_some(block.first_run)
    }

    /// Has all blocks done in full from now on; whether that is news.
    pub(crate) fn disable_all_shortcuts(&mut self) -> bool {
        let news = self.blocks.iter().any(|block| block.untouched != 0);
        for block in &mut self.blocks {
            block.untouched = 0;
        }
        news
    }

    /// Group that a mapping step belongs to, `None` for the code's.
    pub(crate) fn group_of_step(&self, step: u32) -> Option<usize> {
        self.blocks
            .iter()
            .position(|block| (block.first_step..block.first_step + block.step_count).contains(&step))
    }
}

/// A group without runs.
pub(crate) const NO_BLOCK: WireBlock = WireBlock {
    first_run: 0,
    run_count: 0,
    first_step: 0,
    step_count: 0,
    first_writable: 0,
    writable_count: 0,
    first_fill: 0,
    fill_count: 0,
    pristine: 0,
    captured: 0,
    kind: KIND_BLOCK,
    untouched: 0,
};

/// The order in which the fewest pages change between one group and the next.
fn by_pages(groups: &[Group], untouched: &[u32]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..groups.len()).collect();
    let layout = |index: &usize| {
        groups[*index]
            .pages
            .iter()
            .map(|page| (page.address, page.access))
    };
    let stores = |index: &usize| untouched[*index] & SKIP_MEMORY == 0;
    order.sort_by(|a, b| stores(a).cmp(&stores(b)).then_with(|| layout(a).cmp(layout(b))));
    order
}

/// Writes the code where it is mapped already; `false` when it cannot be there, or a group has data there.
fn write_window(
    shared: &mut Shared,
    window: &mut CodeWindow,
    groups: &[Group],
    lowered: &[Option<Lowered>],
) -> bool {
    if !window.write_batch_code(shared, lowered) {
        return false;
    }
    let taken: Vec<u64> = window.chunk_offsets().map(|(address, _)| address).collect();
    let pages = groups.iter().flat_map(|group| group.pages.iter());
    !pages
        .map(|page| page.address & !(CODE_CHUNK - 1))
        .any(|chunk| taken.contains(&chunk))
}

/// Writes the pages of code, everything around the blocks being INT3, and returns the steps that map them.
fn write_code(shared: &mut Shared, lowered: &[Option<Lowered>]) -> Vec<MapStep> {
    let mut pages: BTreeMap<u64, Box<[u8; PAGE_SIZE]>> = BTreeMap::new();
    for lowered in lowered.iter().flatten() {
        let mut rest = &lowered.bytes[..];
        let mut address = lowered.address;
        while !rest.is_empty() {
            let offset = (address % PAGE) as usize;
            let (part, after) = rest.split_at(rest.len().min(PAGE_SIZE - offset));
            let page = pages
                .entry(address - offset as u64)
                .or_insert_with(|| Box::new([0xcc; PAGE_SIZE]));
            page[offset..offset + part.len()].copy_from_slice(part);
            address += part.len() as u64;
            rest = after;
        }
    }
    let mut steps: Vec<MapStep> = Vec::new();
    for (index, (address, bytes)) in pages.into_iter().enumerate() {
        let offset = CODE_OFFSET + index as u64 * PAGE;
        shared.write(offset, &bytes[..]);
        match steps.last_mut() {
            Some(step) if step.address + u64::from(step.pages) * PAGE == address => step.pages += 1,
            _ => steps.push(MapStep {
                address,
                offset,
                pages: 1,
                protection: EXECUTE,
            }),
        }
    }
    steps
}
