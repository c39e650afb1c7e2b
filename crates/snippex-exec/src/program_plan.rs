//! Writing programs into the shared file: mapping steps, start states, page contents.
//!
//! Unlike blocks, programs lie at addresses of their own, often the same one, in pages that hold code and data alike.
//! So each has its pages to itself while it runs: private copies of what the file holds, gone with the next program.

use snippex_core::group::VectorState;
use snippex_formats::conformance::{Extent, TestProgram};
use snippex_runner::layout::{
    ALL, KIND_PROGRAM, MapStep, PAGE, PRIVATE, RunInput, RunOutput, UNMAP, VectorFile, WireBlock, ZERO,
};

use crate::end_state::{EndStates, Vectors};
use crate::loaded_pools::{X87Order, vector_file};
use crate::shared::{INPUT_OFFSET, INPUT_SIZE, OUTPUT_OFFSET, Shared};

/// Most programs in a batch.
pub(crate) const MAX_PROGRAMS: usize = 64;
/// Most bytes of page contents in a batch.
pub(crate) const MAX_CONTENT: usize = 32 << 20;
/// Room for everything else: more than the steps that this many programs may have.
const TABLES_SIZE: u64 = 16 << 20;
const CONTENTS_OFFSET: u64 = INPUT_OFFSET + TABLES_SIZE;
const MAX_STEPS: usize = (4 << 20) / size_of::<MapStep>();

const VECTORS_OFFSET: u64 = INPUT_OFFSET;
const BLOCKS_OFFSET: u64 = VECTORS_OFFSET + (1 << 20);
const RUNS_OFFSET: u64 = BLOCKS_OFFSET + (1 << 20);
const STEPS_OFFSET: u64 = RUNS_OFFSET + (1 << 20);
const END_VECTORS_OFFSET: u64 = OUTPUT_OFFSET + (1 << 20);
const BYTES_OFFSET: u64 = END_VECTORS_OFFSET + (1 << 20);

const _: () = {
    assert!(CONTENTS_OFFSET + MAX_CONTENT as u64 <= INPUT_OFFSET + INPUT_SIZE);
    assert!(MAX_PROGRAMS * size_of::<VectorFile>() <= 1 << 20);
    assert!(MAX_PROGRAMS * size_of::<RunOutput>() <= 1 << 20);
    assert!(STEPS_OFFSET + (MAX_STEPS * size_of::<MapStep>()) as u64 <= CONTENTS_OFFSET);
};

/// A program and its pages.
#[derive(Debug)]
pub(crate) struct LaidOut<'p> {
    pub(crate) program: &'p TestProgram,
    pub(crate) extents: Vec<Extent>,
}

impl LaidOut<'_> {
    /// Bytes of content.
    pub(crate) fn content_size(&self) -> usize {
        self.extents
            .iter()
            .filter_map(|extent| extent.content.as_ref().map(Vec::len))
            .sum()
    }

    /// Mapping steps that it takes, unmapping included.
    pub(crate) fn steps(&self) -> usize {
        2 * self.extents.len()
    }
}

/// Number of programs at the start of `programs` that fit a batch; at least 1.
pub(crate) fn count_fitting_programs(programs: &[LaidOut<'_>]) -> usize {
    let (mut content, mut steps) = (0, 0);
    let over = programs.iter().take(MAX_PROGRAMS).position(|program| {
        content += program.content_size();
        steps += program.steps();
        content > MAX_CONTENT || steps > MAX_STEPS
    });
    over.unwrap_or(programs.len().min(MAX_PROGRAMS)).max(1)
}

/// A batch of programs in the shared file, mapping apart.
#[derive(Debug)]
pub(crate) struct ProgramPlan {
    blocks: Vec<WireBlock>,
    /// How each program's pages are mapped.
    maps: Vec<Vec<MapStep>>,
}

impl ProgramPlan {
    /// Writes everything but the mapping steps.
    pub(crate) fn write_programs(shared: &mut Shared, programs: &[LaidOut<'_>]) -> Self {
        let mut free = CONTENTS_OFFSET;
        let mut plan = Self {
            blocks: Vec::new(),
            maps: Vec::new(),
        };
        for (index, laid_out) in programs.iter().enumerate() {
            let state = &laid_out.program.state;
            let vectors = VectorState {
                x87: state.x87,
                mxcsr: state.mxcsr,
                vectors: state.vectors,
                opmask: state.opmask,
            };
            let file_offset = VECTORS_OFFSET + (index * size_of::<VectorFile>()) as u64;
            shared.write(file_offset, &[vector_file(&vectors, X87Order::Stack)]);
            let input = RunInput {
                gpr: state.gpr,
                rflags: state.rflags,
                fs_base: state.fs_base,
                gs_base: state.gs_base,
                target: laid_out.program.address,
                vectors: index as u32,
                clean: u32::from(vectors.is_clean()),
                first_reached: 0,
                reached_count: 0,
            };
            shared.write(RUNS_OFFSET + (index * size_of::<RunInput>()) as u64, &[input]);
            let maps = laid_out.extents.iter().map(|extent| {
                let (protection, offset) = match &extent.content {
                    None => (ALL | ZERO, 0),
                    Some(content) => {
                        let offset = free;
                        shared.write(offset, content);
                        free += content.len() as u64;
                        (ALL | PRIVATE, offset)
                    }
                };
                MapStep {
                    address: extent.address,
                    offset,
                    pages: extent.pages,
                    protection,
                }
            });
            plan.maps.push(maps.collect());
            plan.blocks.push(WireBlock {
                first_run: index as u32,
                run_count: 1,
                first_step: 0,
                step_count: 0,
                first_writable: 0,
                writable_count: 0,
                first_fill: 0,
                fill_count: 0,
                pristine: 0,
                captured: BYTES_OFFSET + 8 * index as u64,
                kind: KIND_PROGRAM,
                untouched: 0,
            });
        }
        plan
    }

    /// Writes the mapping steps for a guest that has `mapped` mapped and does the programs from `first` to `end`, and
    /// says what it will have mapped then.
    pub(crate) fn write_mapping_steps(
        &mut self,
        shared: &mut Shared,
        mapped: &[MapStep],
        first: u32,
        end: u32,
    ) -> Vec<MapStep> {
        let mut before = mapped.to_vec();
        let mut steps = Vec::new();
        for (index, (block, maps)) in self.blocks.iter_mut().zip(&self.maps).enumerate() {
            block.first_step = steps.len() as u32;
            if (first..end).contains(&(index as u32)) {
                steps.extend(before.iter().map(|step| MapStep {
                    protection: UNMAP,
                    ..*step
                }));
                steps.extend(maps);
                before.clone_from(maps);
            }
            block.step_count = steps.len() as u32 - block.first_step;
        }
        shared.write(BLOCKS_OFFSET, &self.blocks);
        shared.write(STEPS_OFFSET, &steps);
        let header = shared.header();
        header.block_count = self.blocks.len() as u32;
        header.prologue_step_count = 0;
        header.first_run = first;
        header.run_count = end;
        header.current_run = first;
        header.blocks = BLOCKS_OFFSET;
        header.steps = STEPS_OFFSET;
        header.writable = STEPS_OFFSET;
        header.runs = RUNS_OFFSET;
        header.vectors = VECTORS_OFFSET;
        header.outputs = OUTPUT_OFFSET;
        header.end_vectors = END_VECTORS_OFFSET;
        header.lines = OUTPUT_OFFSET;
        header.failed_step = 0;
        before
    }

    pub(crate) fn end_states<'s>(&self, shared: &'s Shared) -> EndStates<'s> {
        EndStates {
            outputs: shared.slice(OUTPUT_OFFSET, self.blocks.len()),
            vectors: Vectors::OfEachRun(shared.slice(END_VECTORS_OFFSET, self.blocks.len())),
        }
    }

    pub(crate) fn outputs_mut<'s>(&self, shared: &'s mut Shared) -> &'s mut [RunOutput] {
        shared.slice_mut(OUTPUT_OFFSET, self.blocks.len())
    }

    /// Program that a mapping step belongs to.
    pub(crate) fn program_of_step(&self, step: u32) -> Option<u32> {
        let of = |block: &WireBlock| (block.first_step..block.first_step + block.step_count).contains(&step);
        self.blocks.iter().position(of).map(|index| index as u32)
    }
}

const _: () = assert!(PAGE == 4096);
