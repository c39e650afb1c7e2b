//! A batch without a block: its runs go straight back to the runner.
//!
//! An emulator translates what it executes, and a child has the translations of its parent. So the parent does this batch
//! before it has children: otherwise each would translate the runner, which takes longer than anything else it does.

use snippex_runner::layout::{RunInput, RunOutput, VectorFile, WireBlock};

use crate::plan::NO_BLOCK;
use crate::shared::{SPARE_INPUT_OFFSET, SPARE_OUTPUT_OFFSET, Shared};

const RUNS: [u32; 2] = [0, 1];
const BLOCKS_OFFSET: u64 = SPARE_INPUT_OFFSET;
const RUNS_OFFSET: u64 = SPARE_INPUT_OFFSET + 0x1000;
const VECTORS_OFFSET: u64 = SPARE_INPUT_OFFSET + 0x2000;
const OUTPUTS_OFFSET: u64 = SPARE_OUTPUT_OFFSET;
const END_VECTORS_OFFSET: u64 = SPARE_OUTPUT_OFFSET + 0x1000;
/// Values of a new process, at their places in the 512 bytes of FXSAVE64 (Intel SDM volume 1, table 10-2).
const CONTROL_WORD: (usize, [u8; 2]) = (0, [0x7f, 0x03]);
const MXCSR: (usize, [u8; 4]) = (24, [0x80, 0x1f, 0, 0]);

/// Describes the batch to a guest that has filled the header. Where other batches lie in the file it changes nothing.
pub(crate) fn write_warm_up_batch(shared: &mut Shared) {
    let mut vectors = VectorFile {
        fx: [0; 512],
        zmm: [[0; 64]; 32],
        opmask: [0; 8],
    };
    vectors.fx[CONTROL_WORD.0..][..2].copy_from_slice(&CONTROL_WORD.1);
    vectors.fx[MXCSR.0..][..4].copy_from_slice(&MXCSR.1);
    shared.write(VECTORS_OFFSET, &[vectors]);
    let target = shared.header().capture;
    // Vectors are loaded in one way when their upper halves are zero, and in another when they are not.
    let runs = RUNS.map(|clean| RunInput {
        gpr: [0; 16],
        rflags: 0x202,
        fs_base: 0,
        gs_base: 0,
        target,
        vectors: 0,
        clean,
        first_reached: 0,
        reached_count: 0,
    });
    shared.write(RUNS_OFFSET, &runs);
    let block = WireBlock {
        run_count: RUNS.len() as u32,
        ..NO_BLOCK
    };
    shared.write(BLOCKS_OFFSET, &[block]);
    let header = shared.header();
    header.block_count = 1;
    header.run_count = RUNS.len() as u32;
    header.blocks = BLOCKS_OFFSET;
    header.runs = RUNS_OFFSET;
    header.vectors = VECTORS_OFFSET;
    header.outputs = OUTPUTS_OFFSET;
    header.end_vectors = END_VECTORS_OFFSET;
}

const _: () = assert!(RUNS.len() * size_of::<RunOutput>() <= 0x1000);
