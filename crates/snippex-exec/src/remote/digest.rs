//! Digests of eight bytes: of how a run ended, and of what a group is made of.
//!
//! rapidhash is portable, so that both ends agree whatever machines they are. It finds accidents; a host trusts its agent.

use rapidhash::v3::rapidhash_v3;
use snippex_core::case::PageAccess;
use snippex_core::group::{Group, VectorState};
use snippex_core::state::Components;
use snippex_runner::layout::{EXIT_FAULT, STORED_CONTROL, STORED_X87};

use crate::end_state::{EndState, vector_shape};
use crate::recording::end::{End, has_state};

/// Makes digests, in one buffer.
#[derive(Debug, Default)]
pub(super) struct Digester {
    buffer: Vec<u8>,
}

impl Digester {
    /// Digest of the bits that `EndState::same_bits` and the lines compare, as far as `covered` goes: equal exactly when those
    /// are. `None` for an end that is never the same as another.
    pub(super) fn digest_end_state(
        &mut self,
        group: &Group,
        run: usize,
        end: EndState<'_>,
        lines: &[snippex_runner::layout::WireLine],
        covered: Components,
    ) -> Option<u64> {
        if !has_state(end.output.exit) {
            return None;
        }
        let end = End::from_end_state(group, run, end, lines, false, covered);
        self.buffer.clear();
        self.registers(&end);
        self.vectors(&end, covered);
        for line in &end.lines {
            self.word(line.address);
            self.buffer.extend(line.bytes);
        }
        Some(rapidhash_v3(&self.buffer))
    }

    fn registers(&mut self, end: &End) {
        let output = &end.output;
        self.word(u64::from(output.exit));
        output.gpr.iter().for_each(|&value| self.word(value));
        self.word(output.rflags);
        self.word(output.fs_base);
        self.word(output.gs_base);
        if output.exit == EXIT_FAULT {
            self.word(u64::from(output.fault.signal));
            self.word(output.fault.rip);
            self.word(output.fault.address);
        }
    }

    fn vectors(&mut self, end: &End, covered: Components) {
        self.word(end.output.stored);
        let Some(file) = &end.vectors else { return };
        if end.output.stored & STORED_X87 != 0 {
            self.buffer.extend(&file.fx[..5]);
            for register in (32..160).step_by(16) {
                self.buffer.extend(&file.fx[register..register + 10]);
            }
        }
        if end.output.stored & STORED_CONTROL != 0 {
            self.buffer.extend(&file.fx[24..28]);
            if covered.contains(Components::AVX512) {
                file.opmask.iter().for_each(|&mask| self.word(mask));
            }
        }
        let (registers, width) = vector_shape(covered);
        for register in (0..registers).filter(|register| end.output.stored & (1 << register) != 0) {
            self.buffer.extend(&file.zmm[register][..width]);
        }
    }

    /// Digest of the start states and pages of `group`: equal where both sides have made the same cases of a block.
    pub(super) fn digest_group(&mut self, group: &Group) -> u64 {
        self.buffer.clear();
        for start in &group.starts {
            start.gpr.iter().for_each(|&value| self.word(value));
            for value in [start.rflags, start.fs_base, start.gs_base, start.vectors.into()] {
                self.word(value);
            }
        }
        for page in group.pages.iter() {
            self.word(page.address | u64::from(page.access == PageAccess::ReadWrite));
            self.word(rapidhash_v3(&page.content[..]));
        }
        rapidhash_v3(&self.buffer)
    }

    /// Digest of a vector pool.
    pub(super) fn digest_vector_pool(&mut self, pool: &[VectorState]) -> u64 {
        self.buffer.clear();
        for state in pool {
            self.buffer.extend(state.x87.control.to_le_bytes());
            self.buffer.extend(state.x87.status.to_le_bytes());
            self.buffer.push(state.x87.tags);
            self.buffer.extend(state.x87.st.as_flattened());
            self.buffer.extend(state.mxcsr.to_le_bytes());
            self.buffer.extend(state.vectors.as_flattened());
            state.opmask.iter().for_each(|&mask| self.word(mask));
        }
        rapidhash_v3(&self.buffer)
    }

    fn word(&mut self, value: u64) {
        self.buffer.extend(value.to_le_bytes());
    }
}
