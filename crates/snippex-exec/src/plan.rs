//! Writing a batch into the shared file: code, mapping steps, start states, page contents.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use snippex_core::address_space::PADS;
use snippex_core::case::{Access, PAGE_SIZE};
use snippex_core::group::{Group, VectorState};
use snippex_core::state::X87State;
use snippex_runner::layout::{
    EXECUTE, EXIT_NONE, MapStep, READ, READ_WRITE, RunInput, RunOutput, UNMAP, VectorFile, WireBlock,
};

use crate::batch::{MAX_CODE_PAGES, MAX_GROUPS, MAX_PAGES, MAX_RUNS, MAX_VECTORS};
use crate::lower::{Lowered, pads};
use crate::shared::{
    FRAME_COUNT, FRAMES_OFFSET, INPUT_OFFSET, INPUT_SIZE, OUTPUT_OFFSET, OUTPUT_SIZE, Shared,
};

const PAGE: u64 = PAGE_SIZE as u64;
/// More steps than a batch can need: every page of every group mapped and unmapped, and the code.
const MAX_STEPS: u64 = (2 * MAX_GROUPS * MAX_PAGES + 4 * MAX_CODE_PAGES) as u64;

const PADS_OFFSET: u64 = INPUT_OFFSET;
const VECTORS_OFFSET: u64 = PADS_OFFSET + PAGE;
const BLOCKS_OFFSET: u64 = align(VECTORS_OFFSET + (MAX_VECTORS * size_of::<VectorFile>()) as u64);
const STEPS_OFFSET: u64 = align(BLOCKS_OFFSET + (MAX_GROUPS * size_of::<WireBlock>()) as u64);
const WRITABLE_OFFSET: u64 = align(STEPS_OFFSET + MAX_STEPS * size_of::<MapStep>() as u64);
const RUNS_OFFSET: u64 = align(WRITABLE_OFFSET + (MAX_GROUPS * MAX_PAGES * 8) as u64);
const CODE_OFFSET: u64 = align(RUNS_OFFSET + (MAX_RUNS * size_of::<RunInput>()) as u64);
const CONTENTS_OFFSET: u64 = CODE_OFFSET + MAX_CODE_PAGES as u64 * PAGE;
const OUTPUTS_OFFSET: u64 = OUTPUT_OFFSET;
/// Where captured pages (copy mode) or changed lines (scan mode) go.
pub(crate) const MEMORY_OFFSET: u64 = align(OUTPUTS_OFFSET + (MAX_RUNS * size_of::<RunOutput>()) as u64);

const _: () = assert!(
    CONTENTS_OFFSET + (2 * MAX_GROUPS * MAX_PAGES) as u64 * PAGE / 2 <= INPUT_OFFSET + INPUT_SIZE,
    "the pages of a batch fit"
);
const _: () = assert!(
    MEMORY_OFFSET + (crate::batch::MAX_CAPTURED * 64 * 72) as u64 <= OUTPUT_OFFSET + OUTPUT_SIZE,
    "every line of every captured page fits"
);

const fn align(offset: u64) -> u64 {
    (offset + PAGE - 1) & !(PAGE - 1)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Backing {
    /// Loads only, from this file offset.
    Read(u64),
    /// Stores too, in this frame.
    Frame(usize),
}

/// What a guest process has mapped for blocks.
#[derive(Debug, Default)]
pub(crate) struct AddressSpace {
    pads: bool,
    /// First page and number of pages.
    code: Vec<(u64, u32)>,
    data: BTreeMap<u64, Backing>,
}

impl AddressSpace {
    fn free_frame(&self) -> usize {
        (0..FRAME_COUNT)
            .find(|frame| {
                !self
                    .data
                    .values()
                    .any(|backing| *backing == Backing::Frame(*frame))
            })
            .expect("a block has fewer writable pages than there are frames")
    }
}

/// A batch in the shared file, mapping apart.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) blocks: Vec<WireBlock>,
    pub(crate) run_count: usize,
    /// Run-time addresses of each group's writable pages.
    pub(crate) writable: Vec<Vec<u64>>,
    code: Vec<MapStep>,
    /// File offsets of loads-only pages, by the address of their content in this process.
    contents: HashMap<usize, u64>,
}

/// The palettes that are in the file, in order.
#[derive(Debug, Default)]
pub(crate) struct LoadedPalettes(Vec<LoadedPalette>);

#[derive(Debug)]
struct LoadedPalette {
    palette: Arc<[VectorState]>,
    /// Index of its first entry in the file.
    first: u32,
    /// [`VectorState::is_clean`] of each entry.
    clean: Vec<bool>,
}

impl LoadedPalettes {
    /// Makes sure that the palettes of all groups are in the file.
    fn load(&mut self, shared: &mut Shared, groups: &[Group]) {
        for group in groups {
            if self.find(&group.palette).is_some() {
                continue;
            }
            let first = self
                .0
                .last()
                .map_or(0, |last| last.first as usize + last.palette.len());
            if first + group.palette.len() > MAX_VECTORS {
                // Start again; the palettes of one batch fit together.
                self.0.clear();
                return self.load(shared, groups);
            }
            let files: Vec<VectorFile> = group.palette.iter().map(vector_file).collect();
            shared.write(VECTORS_OFFSET + (first * size_of::<VectorFile>()) as u64, &files);
            self.0.push(LoadedPalette {
                palette: Arc::clone(&group.palette),
                first: first as u32,
                clean: group.palette.iter().map(VectorState::is_clean).collect(),
            });
        }
    }

    fn find(&self, palette: &Arc<[VectorState]>) -> Option<&LoadedPalette> {
        self.0.iter().find(|loaded| Arc::ptr_eq(&loaded.palette, palette))
    }
}

impl Plan {
    pub(crate) fn empty() -> Self {
        Self {
            blocks: Vec::new(),
            run_count: 0,
            writable: Vec::new(),
            code: Vec::new(),
            contents: HashMap::new(),
        }
    }

    /// Writes everything but the mapping steps, which depend on what the guest process has mapped.
    pub(crate) fn write(
        shared: &mut Shared,
        palettes: &mut LoadedPalettes,
        groups: &[Group],
        lowered: &[Option<Lowered>],
    ) -> Self {
        palettes.load(shared, groups);
        let mut plan = Self {
            blocks: Vec::with_capacity(groups.len()),
            run_count: 0,
            writable: Vec::with_capacity(groups.len()),
            code: write_code(shared, lowered),
            contents: HashMap::new(),
        };
        let mut free = CONTENTS_OFFSET;
        let mut captured = MEMORY_OFFSET;
        let mut first_writable = 0;
        for (group, lowered) in groups.iter().zip(lowered) {
            let pristine = free;
            let mut writable = Vec::new();
            // A block that cannot be lowered stays in the list, so that indices agree, but has no runs.
            let pages = if lowered.is_some() { &group.pages[..] } else { &[] };
            for page in pages.iter().filter(|page| page.access == Access::ReadWrite) {
                shared.write(free, &page.content[..]);
                free += PAGE;
                writable.push(page.address);
            }
            for page in pages.iter().filter(|page| page.access == Access::Read) {
                plan.contents
                    .entry(Arc::as_ptr(&page.content) as usize)
                    .or_insert_with(|| {
                        shared.write(free, &page.content[..]);
                        free += PAGE;
                        free - PAGE
                    });
            }
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
            });
            captured += (runs * writable.len()) as u64 * PAGE;
            first_writable += writable.len() as u32;
            plan.run_count += runs;
            plan.writable.push(writable);
        }
        write_starts(shared, palettes, groups, lowered);
        let addresses: Vec<u64> = plan.writable.iter().flatten().copied().collect();
        shared.write(WRITABLE_OFFSET, &addresses);
        plan
    }

    /// Writes the mapping steps for a guest that has `space` mapped and starts with run `first_run`, and updates
    /// `space` to what it will have mapped after the last block.
    pub(crate) fn map(
        &mut self,
        shared: &mut Shared,
        space: &mut AddressSpace,
        groups: &[Group],
        first_run: u32,
    ) {
        let mut steps = Vec::new();
        for (address, pages) in space.code.drain(..) {
            steps.push(MapStep {
                address,
                offset: 0,
                pages,
                protection: UNMAP,
            });
        }
        // The contents behind loads-only pages are those of another batch.
        space.data.retain(|&address, backing| {
            let keep = matches!(backing, Backing::Frame(_));
            if !keep {
                steps.push(MapStep {
                    address,
                    offset: 0,
                    pages: 1,
                    protection: UNMAP,
                });
            }
            keep
        });
        if !space.pads {
            shared.write(PADS_OFFSET, &pads());
            steps.push(MapStep {
                address: PADS,
                offset: PADS_OFFSET,
                pages: 1,
                protection: EXECUTE,
            });
            space.pads = true;
        }
        steps.extend(&self.code);
        space
            .code
            .extend(self.code.iter().map(|step| (step.address, step.pages)));
        let prologue = steps.len();
        for (block, group) in self.blocks.iter_mut().zip(groups) {
            block.first_step = steps.len() as u32;
            if block.run_count != 0 && block.first_run + block.run_count > first_run {
                enter(space, group, &self.contents, &mut steps);
            }
            block.step_count = steps.len() as u32 - block.first_step;
        }
        shared.write(BLOCKS_OFFSET, &self.blocks);
        shared.write(STEPS_OFFSET, &steps);
        let header = shared.header();
        header.block_count = self.blocks.len() as u32;
        header.prologue_step_count = prologue as u32;
        header.first_run = first_run;
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

/// Steps from what is mapped to what `group` has: nothing more, so that any other access faults.
fn enter(space: &mut AddressSpace, group: &Group, contents: &HashMap<usize, u64>, steps: &mut Vec<MapStep>) {
    let wanted: BTreeMap<u64, Option<u64>> = group
        .pages
        .iter()
        .map(|page| match page.access {
            Access::Read => (
                page.address,
                contents.get(&(Arc::as_ptr(&page.content) as usize)).copied(),
            ),
            Access::ReadWrite => (page.address, None),
        })
        .collect();
    space.data.retain(|&address, backing| {
        let keep = match (wanted.get(&address), *backing) {
            (Some(Some(offset)), Backing::Read(mapped)) => *offset == mapped,
            (Some(None), Backing::Frame(_)) => true,
            _ => false,
        };
        if !keep {
            steps.push(MapStep {
                address,
                offset: 0,
                pages: 1,
                protection: UNMAP,
            });
        }
        keep
    });
    for (address, content) in wanted {
        if space.data.contains_key(&address) {
            continue;
        }
        let (backing, offset, protection) = match content {
            Some(offset) => (Backing::Read(offset), offset, READ),
            None => {
                let frame = space.free_frame();
                (
                    Backing::Frame(frame),
                    FRAMES_OFFSET + frame as u64 * PAGE,
                    READ_WRITE,
                )
            }
        };
        steps.push(MapStep {
            address,
            offset,
            pages: 1,
            protection,
        });
        space.data.insert(address, backing);
    }
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
) {
    let mut inputs = Vec::new();
    for (group, lowered) in groups.iter().zip(lowered) {
        let Some(lowered) = lowered else { continue };
        let loaded = palettes.find(&group.palette).expect("loaded before");
        inputs.extend(group.starts.iter().map(|start| RunInput {
            gpr: start.gpr,
            rflags: start.rflags,
            fs_base: start.fs_base,
            gs_base: start.gs_base,
            target: lowered.address,
            vectors: loaded.first + start.vectors,
            clean: u32::from(loaded.clean[start.vectors as usize]),
        }));
    }
    shared.write(RUNS_OFFSET, &inputs);
}

/// The wire form of a vector state (Intel SDM volume 1, table 10-2 for the first 512 bytes).
fn vector_file(state: &VectorState) -> VectorFile {
    let mut fx = [0; 512];
    let X87State {
        control,
        status,
        tags,
        st,
    } = state.x87;
    fx[0..2].copy_from_slice(&control.to_le_bytes());
    fx[2..4].copy_from_slice(&status.to_le_bytes());
    fx[4] = tags;
    fx[24..28].copy_from_slice(&state.mxcsr.to_le_bytes());
    for (index, register) in st.iter().enumerate() {
        fx[32 + 16 * index..][..10].copy_from_slice(register);
    }
    for (index, vector) in state.vectors[..16].iter().enumerate() {
        fx[160 + 16 * index..][..16].copy_from_slice(&vector[..16]);
    }
    VectorFile {
        fx,
        zmm: state.vectors,
        opmask: state.opmask,
    }
}

/// Marks every run as not done.
pub(crate) fn clear(outputs: &mut [RunOutput]) {
    for output in outputs {
        output.exit = EXIT_NONE;
    }
}
