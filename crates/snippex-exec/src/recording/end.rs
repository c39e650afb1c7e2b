//! What of an end counts: what is compared, in a form that two runs which ended alike share.
//!
//! What a run stored though it did not change it counts as not stored, what of a fault only the machine decides is left out,
//! and a page that was out of reach is one that is not there.

use snippex_core::group::{Group, VectorState};
use snippex_core::state::{Components, rflags};
use snippex_runner::layout::{
    EXIT_FAULT, EXIT_NONE, Fault, RunOutput, STORED_CONTROL, STORED_X87, VectorFile, WireLine,
};

use super::terms::page_at;
use crate::end_state::{EndState, vector_shape};
use crate::results::EXIT_DIED;

/// How one run ended.
#[derive(Clone, Debug)]
pub(crate) struct End {
    pub(crate) output: RunOutput,
    pub(crate) vectors: Option<Box<VectorFile>>,
    pub(crate) lines: Vec<WireLine>,
}

/// Whether a run came to an end whose state means something.
pub(crate) fn has_state(exit: u32) -> bool {
    exit == EXIT_FAULT || exit < EXIT_DIED && exit != EXIT_NONE
}

impl End {
    /// What of an end counts. `parked` says whether something else was mapped at the page of the fault.
    pub(crate) fn from_end_state(
        group: &Group,
        run: usize,
        end: EndState<'_>,
        lines: &[WireLine],
        parked: bool,
        components: Components,
    ) -> Self {
        const SIGSEGV: u32 = 11;
        const SEGV_MAPERR: i32 = 1;
        const SEGV_ACCERR: i32 = 2;
        let start = &group.starts[run];
        let mut output = RunOutput {
            line_count: 0,
            first_line: 0,
            at_rip: 0,
            stray_lines: 0,
            ..*end.output
        };
        if output.exit == EXIT_FAULT {
            output.rflags = output.fault.rflags & !rflags::RF;
            output.fault.rflags = output.rflags;
            output.fault.error &= if output.fault.signal == SIGSEGV { 2 } else { 0 };
            let known = page_at(&group.pages, output.fault.address).is_some();
            if output.fault.signal == SIGSEGV && output.fault.code == SEGV_ACCERR && parked && !known {
                output.fault.code = SEGV_MAPERR;
            }
        } else {
            let signal = if output.exit == EXIT_DIED {
                output.fault.signal
            } else {
                0
            };
            output.fault = Fault { signal, ..NO_FAULT };
        }
        if !components.contains(Components::SEGMENT_BASES) {
            (output.fs_base, output.gs_base) = (start.fs_base, start.gs_base);
        }
        if !has_state(output.exit) {
            output = RunOutput {
                gpr: start.gpr,
                rflags: start.rflags,
                fs_base: start.fs_base,
                gs_base: start.gs_base,
                stored: 0,
                ..output
            };
            return Self {
                output,
                vectors: None,
                lines: Vec::new(),
            };
        }
        let before = &group.vector_pool[start.vectors as usize];
        let vectors = changed_vectors(before, end, components, &mut output.stored);
        Self {
            output,
            vectors,
            lines: lines.to_vec(),
        }
    }
}

const NO_FAULT: Fault = Fault {
    signal: 0,
    code: 0,
    address: 0,
    rip: 0,
    rflags: 0,
    error: 0,
};

pub(super) const NO_VECTORS: VectorFile = VectorFile {
    fx: [0; 512],
    zmm: [[0; 64]; 32],
    opmask: [0; 8],
};

/// What of x87 and vectors is not as before the run, in a file that is empty apart from it; `stored` says which.
fn changed_vectors(
    before: &VectorState,
    end: EndState<'_>,
    components: Components,
    stored: &mut u64,
) -> Option<Box<VectorFile>> {
    let found = *stored;
    *stored = 0;
    let mut kept: Option<Box<VectorFile>> = None;
    let file = end.vectors;
    if found & STORED_X87 != 0 && !end.same_x87(before) {
        *stored |= STORED_X87;
        let fx = &mut kept.get_or_insert_with(|| Box::new(NO_VECTORS)).fx;
        fx[..5].copy_from_slice(&file.fx[..5]);
        for register in (32..160).step_by(16) {
            fx[register..register + 10].copy_from_slice(&file.fx[register..register + 10]);
        }
    }
    let opmasks = components.contains(Components::AVX512);
    let mxcsr = &file.fx[24..28];
    if found & STORED_CONTROL != 0
        && (mxcsr != before.mxcsr.to_le_bytes() || opmasks && file.opmask != before.opmask)
    {
        *stored |= STORED_CONTROL;
        let kept = kept.get_or_insert_with(|| Box::new(NO_VECTORS));
        kept.fx[24..28].copy_from_slice(mxcsr);
        if opmasks {
            kept.opmask = file.opmask;
        }
    }
    let (registers, width) = vector_shape(components);
    for register in (0..registers).filter(|register| found & (1 << register) != 0) {
        if file.zmm[register][..width] != before.vectors[register][..width] {
            *stored |= 1 << register;
            kept.get_or_insert_with(|| Box::new(NO_VECTORS)).zmm[register][..width]
                .copy_from_slice(&file.zmm[register][..width]);
        }
    }
    kept
}
