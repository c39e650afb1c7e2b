//! Where the parts of a batch lie in the shared file.

use snippex_core::case::PAGE;
use snippex_core::case::PAGE_SIZE;
use snippex_runner::layout::{
    LINE, MapStep, RunInput, RunOutput, VectorFile, WireBlock, WireFill, WireLine, WirePage, WireReached,
};

use crate::batch::{MAX_CAPTURED, MAX_CODE_PAGES, MAX_GROUPS, MAX_PAGES, MAX_RUNS, MAX_VECTORS};
use crate::shared::{FRAME_COUNT, INPUT_OFFSET, INPUT_SIZE, OUTPUT_OFFSET, OUTPUT_SIZE};
/// More steps than a batch can need: every page of every group mapped, parked and unmapped, those that earlier batches have
/// left unmapped, and the code.
const MAX_STEPS: u64 = (3 * MAX_GROUPS * MAX_PAGES + FRAME_COUNT + 4 * MAX_CODE_PAGES) as u64;

pub(crate) const PADS_OFFSET: u64 = INPUT_OFFSET;
pub(crate) const VECTORS_OFFSET: u64 = PADS_OFFSET + PAGE;
pub(crate) const BLOCKS_OFFSET: u64 = align(VECTORS_OFFSET + (MAX_VECTORS * size_of::<VectorFile>()) as u64);
pub(crate) const STEPS_OFFSET: u64 = align(BLOCKS_OFFSET + (MAX_GROUPS * size_of::<WireBlock>()) as u64);
pub(crate) const WRITABLE_OFFSET: u64 = align(STEPS_OFFSET + MAX_STEPS * size_of::<MapStep>() as u64);
pub(crate) const REACHED_OFFSET: u64 =
    align(WRITABLE_OFFSET + (MAX_GROUPS * MAX_PAGES * size_of::<WirePage>()) as u64);
pub(crate) const FILLS_OFFSET: u64 = align(REACHED_OFFSET + (MAX_REACHED * size_of::<WireReached>()) as u64);
pub(crate) const RUNS_OFFSET: u64 =
    align(FILLS_OFFSET + (MAX_GROUPS * MAX_PAGES * size_of::<WireFill>()) as u64);
pub(crate) const CODE_OFFSET: u64 = align(RUNS_OFFSET + (MAX_RUNS * size_of::<RunInput>()) as u64);
/// What writable pages hold, block by block (copy mode).
pub(crate) const PRISTINE_OFFSET: u64 = CODE_OFFSET + MAX_CODE_PAGES as u64 * PAGE;
/// What pages hold, from batch to batch.
pub(crate) const CONTENTS_OFFSET: u64 = PRISTINE_OFFSET + (MAX_GROUPS * MAX_PAGES) as u64 * PAGE;
pub(crate) const CONTENTS: usize = MAX_GROUPS * MAX_PAGES;
pub(crate) const OUTPUTS_OFFSET: u64 = OUTPUT_OFFSET;
pub(crate) const END_VECTORS_OFFSET: u64 = align(OUTPUTS_OFFSET + (MAX_RUNS * size_of::<RunOutput>()) as u64);
/// Most lines that the runs of a batch may store to, where the guest looks at those alone.
pub(crate) const MAX_REACHED: usize = 1 << 16;
/// Where captured pages (copy mode) or changed lines (scan mode) go.
pub(crate) const MEMORY_OFFSET: u64 = align(END_VECTORS_OFFSET + (MAX_RUNS * size_of::<VectorFile>()) as u64);

/// Where changed lines go in copy mode: behind the pages of all runs, and those of each block before its last one.
pub(crate) const LINES_OFFSET: u64 = MEMORY_OFFSET + ((MAX_CAPTURED + MAX_GROUPS * MAX_PAGES) as u64) * PAGE;

const _: () = assert!(
    CONTENTS_OFFSET + CONTENTS as u64 * PAGE <= INPUT_OFFSET + INPUT_SIZE,
    "the pages of a batch fit"
);
const _: () = assert!(
    MEMORY_OFFSET + (MAX_CAPTURED * PAGE_SIZE / LINE * size_of::<WireLine>()) as u64
        <= OUTPUT_OFFSET + OUTPUT_SIZE,
    "every line of every captured page fits"
);
const _: () = assert!(
    LINES_OFFSET + (MAX_REACHED * size_of::<WireLine>()) as u64 <= OUTPUT_OFFSET + OUTPUT_SIZE,
    "captured pages and lines fit"
);

const fn align(offset: u64) -> u64 {
    (offset + PAGE - 1) & !(PAGE - 1)
}
