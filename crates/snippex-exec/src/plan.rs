//! Writing a batch into the shared file: code, mapping steps, start states, page contents.

use std::collections::BTreeMap;
use std::ops::Range;

use snippex_core::case::{Access, PAGE_SIZE};
use snippex_core::group::Group;
use snippex_runner::layout::{
    CODE_CHUNK, EXECUTE, EXIT_NONE, KIND_BLOCK, MapStep, RunInput, RunOutput, VectorFile, WireBlock, WirePage,
};

use crate::batch::{MAX_CODE_PAGES, MAX_GROUPS, MAX_PAGES, MAX_RUNS, MAX_VECTORS};
use crate::code_window::CodeWindow;
use crate::contents::Contents;
use crate::guest_space::{AddressSpace, PlannedPage, UNUSED_PAGE};
use crate::loaded_palettes::LoadedPalettes;
use crate::lower::{Lowered, pads};
use crate::shared::{INPUT_OFFSET, INPUT_SIZE, OUTPUT_OFFSET, OUTPUT_SIZE, Shared};

const PAGE: u64 = PAGE_SIZE as u64;
/// More steps than a batch can need: every page of every group mapped and unmapped, and the code.
const MAX_STEPS: u64 = (2 * MAX_GROUPS * MAX_PAGES + 4 * MAX_CODE_PAGES) as u64;

const PADS_OFFSET: u64 = INPUT_OFFSET;
const VECTORS_OFFSET: u64 = PADS_OFFSET + PAGE;
const BLOCKS_OFFSET: u64 = align(VECTORS_OFFSET + (MAX_VECTORS * size_of::<VectorFile>()) as u64);
const STEPS_OFFSET: u64 = align(BLOCKS_OFFSET + (MAX_GROUPS * size_of::<WireBlock>()) as u64);
const WRITABLE_OFFSET: u64 = align(STEPS_OFFSET + MAX_STEPS * size_of::<MapStep>() as u64);
const RUNS_OFFSET: u64 = align(WRITABLE_OFFSET + (MAX_GROUPS * MAX_PAGES * size_of::<WirePage>()) as u64);
const CODE_OFFSET: u64 = align(RUNS_OFFSET + (MAX_RUNS * size_of::<RunInput>()) as u64);
/// What writable pages hold, block by block (copy mode).
const PRISTINE_OFFSET: u64 = CODE_OFFSET + MAX_CODE_PAGES as u64 * PAGE;
/// What pages hold, from batch to batch.
const CONTENTS_OFFSET: u64 = PRISTINE_OFFSET + (MAX_GROUPS * MAX_PAGES) as u64 * PAGE;
const CONTENTS: usize = MAX_GROUPS * MAX_PAGES;
const OUTPUTS_OFFSET: u64 = OUTPUT_OFFSET;
/// Where captured pages (copy mode) or changed lines (scan mode) go.
pub(crate) const MEMORY_OFFSET: u64 = align(OUTPUTS_OFFSET + (MAX_RUNS * size_of::<RunOutput>()) as u64);

const _: () = assert!(
    CONTENTS_OFFSET + CONTENTS as u64 * PAGE <= INPUT_OFFSET + INPUT_SIZE,
    "the pages of a batch fit"
);
const _: () = assert!(
    MEMORY_OFFSET + (crate::batch::MAX_CAPTURED * 64 * 72) as u64 <= OUTPUT_OFFSET + OUTPUT_SIZE,
    "every line of every captured page fits"
);

const fn align(offset: u64) -> u64 {
    (offset + PAGE - 1) & !(PAGE - 1)
}

/// What stays in the file from batch to batch.
#[derive(Debug)]
pub(crate) struct Library {
    palettes: LoadedPalettes,
    contents: Contents,
    window: CodeWindow,
}

impl Library {
    pub(crate) fn new() -> Self {
        Self {
            palettes: LoadedPalettes::default(),
            contents: Contents::new(CONTENTS_OFFSET, CONTENTS),
            window: CodeWindow::default(),
        }
    }
}

/// A batch in the shared file, mapping apart.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) blocks: Vec<WireBlock>,
    pub(crate) run_count: usize,
    /// Run-time addresses of each group's writable pages.
    pub(crate) writable: Vec<Vec<u64>>,
    /// How to map the code, when it is not in the window.
    code: Vec<MapStep>,
    in_window: bool,
    /// Each group's pages, in ascending order of address.
    pages: Vec<Vec<PlannedPage>>,
}

impl Plan {
    pub(crate) fn empty() -> Self {
        Self {
            blocks: Vec::new(),
            run_count: 0,
            writable: Vec::new(),
            code: Vec::new(),
            in_window: false,
            pages: Vec::new(),
        }
    }

    /// Writes everything but the mapping steps, which depend on what the guest process has mapped. With `keep_code`,
    /// the code goes where it need not be mapped anew, if it can.
    pub(crate) fn write(
        shared: &mut Shared,
        library: &mut Library,
        groups: &[Group],
        lowered: &[Option<Lowered>],
        keep_code: bool,
    ) -> Self {
        library.palettes.load(shared, VECTORS_OFFSET, groups);
        let in_window = keep_code && write_window(shared, &mut library.window, groups, lowered);
        let code = if in_window {
            Vec::new()
        } else {
            library.window.erase(shared);
            write_code(shared, lowered)
        };
        library
            .contents
            .reserve(groups.iter().map(|group| group.pages.len()).sum());
        let mut plan = Self {
            blocks: Vec::with_capacity(groups.len()),
            run_count: 0,
            writable: Vec::with_capacity(groups.len()),
            code,
            in_window,
            pages: Vec::with_capacity(groups.len()),
        };
        let mut pristine = PRISTINE_OFFSET;
        let mut captured = MEMORY_OFFSET;
        let mut first_writable = 0;
        for (group, lowered) in groups.iter().zip(lowered) {
            // A block that cannot be lowered stays in the list, so that indices agree, but has no runs.
            let pages = if lowered.is_some() { &group.pages[..] } else { &[] };
            let planned: Vec<PlannedPage> = pages
                .iter()
                .map(|page| PlannedPage {
                    address: page.address,
                    access: page.access,
                    kept: library.contents.keep(shared, &page.content),
                })
                .collect();
            let writable: Vec<u64> = pages
                .iter()
                .filter(|page| page.access == Access::ReadWrite)
                .map(|page| page.address)
                .collect();
            let runs = if lowered.is_some() { group.starts.len() } else { 0 };
            plan.blocks.push(WireBlock {
                first_run: plan.run_count as u32,
                run_count: runs as u32,
                first_step: 0,
                step_count: 0,
                first_writable,
                writable_count: writable.len() as u32,
                pristine,
                captured,
                kind: KIND_BLOCK,
                reserved: 0,
            });
            pristine += writable.len() as u64 * PAGE;
            captured += (runs * writable.len()) as u64 * PAGE;
            first_writable += writable.len() as u32;
            plan.run_count += runs;
            plan.writable.push(writable);
            plan.pages.push(planned);
        }
        write_starts(shared, &library.palettes, groups, lowered, plan.run_count);
        plan
    }

    /// Writes what writable pages hold one after the other, for one `preadv` a run.
    pub(crate) fn write_pristine(&self, shared: &mut Shared, groups: &[Group]) {
        for (block, group) in self.blocks.iter().zip(groups) {
            let pages = group.pages.iter().filter(|page| page.access == Access::ReadWrite);
            for (index, page) in pages.take(block.writable_count as usize).enumerate() {
                shared.write(block.pristine + index as u64 * PAGE, &page.content[..]);
            }
        }
    }

    /// Writes the mapping steps for a guest that has `space` mapped and does `runs`, and updates `space` to what it
    /// will have mapped after the last of them.
    pub(crate) fn map(
        &mut self,
        shared: &mut Shared,
        library: &Library,
        space: &mut AddressSpace,
        runs: Range<u32>,
    ) {
        let mut steps = Vec::new();
        let window = self.in_window.then_some(&library.window);
        space.map_code(window, &self.code, &mut steps);
        if space.map_pads(PADS_OFFSET, &mut steps) {
            shared.write(PADS_OFFSET, &pads());
        }
        let prologue = steps.len();
        let mut writable = Vec::new();
        for (block, pages) in self.blocks.iter_mut().zip(&self.pages) {
            block.first_step = steps.len() as u32;
            if block.run_count != 0
                && block.first_run + block.run_count > runs.start
                && block.first_run < runs.end
            {
                space.enter(pages, &mut steps, &mut writable);
            } else {
                let count = writable.len() + block.writable_count as usize;
                writable.resize(count, UNUSED_PAGE);
            }
            block.step_count = steps.len() as u32 - block.first_step;
        }
        shared.write(BLOCKS_OFFSET, &self.blocks);
        shared.write(STEPS_OFFSET, &steps);
        shared.write(WRITABLE_OFFSET, &writable);
        let header = shared.header();
        header.block_count = self.blocks.len() as u32;
        header.prologue_step_count = prologue as u32;
        header.first_run = runs.start;
        header.run_count = runs.end;
        header.current_run = runs.start;
        header.blocks = BLOCKS_OFFSET;
        header.steps = STEPS_OFFSET;
        header.writable = WRITABLE_OFFSET;
        header.runs = RUNS_OFFSET;
        header.vectors = VECTORS_OFFSET;
        header.outputs = OUTPUTS_OFFSET;
        header.lines = MEMORY_OFFSET;
        header.failed_step = 0;
    }

    /// The end states, in order of runs.
    pub(crate) fn outputs<'s>(&self, shared: &'s Shared) -> &'s [RunOutput] {
        shared.slice(OUTPUTS_OFFSET, self.run_count)
    }

    /// As [`Plan::outputs`], to be changed.
    pub(crate) fn outputs_mut<'s>(&self, shared: &'s mut Shared) -> &'s mut [RunOutput] {
        shared.slice_mut(OUTPUTS_OFFSET, self.run_count)
    }

    /// Group that a mapping step belongs to, `None` for the code's.
    pub(crate) fn group_of_step(&self, step: u32) -> Option<usize> {
        self.blocks
            .iter()
            .position(|block| (block.first_step..block.first_step + block.step_count).contains(&step))
    }
}

/// Writes the code where it is mapped already; `false` when it cannot be there, or a group has data there.
fn write_window(
    shared: &mut Shared,
    window: &mut CodeWindow,
    groups: &[Group],
    lowered: &[Option<Lowered>],
) -> bool {
    if !window.write(shared, lowered) {
        return false;
    }
    let taken: Vec<u64> = window.mapped().map(|(address, _)| address).collect();
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

fn write_starts(
    shared: &mut Shared,
    palettes: &LoadedPalettes,
    groups: &[Group],
    lowered: &[Option<Lowered>],
    run_count: usize,
) {
    let mut slots = shared.slice_mut::<RunInput>(RUNS_OFFSET, run_count).iter_mut();
    for (group, lowered) in groups.iter().zip(lowered) {
        let Some(lowered) = lowered else { continue };
        let loaded = palettes.find(&group.palette).expect("loaded before");
        for (start, slot) in group.starts.iter().zip(&mut slots) {
            *slot = RunInput {
                gpr: start.gpr,
                rflags: start.rflags,
                fs_base: start.fs_base,
                gs_base: start.gs_base,
                target: lowered.address,
                vectors: loaded.first + start.vectors,
                clean: u32::from(loaded.clean[start.vectors as usize]),
            };
        }
    }
}

/// Marks every run as not done.
pub(crate) fn clear(outputs: &mut [RunOutput]) {
    for output in outputs {
        output.exit = EXIT_NONE;
    }
}
