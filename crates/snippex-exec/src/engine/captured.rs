//! Memory after the runs of a batch in copy mode, and what a block's last run says of the others.

use snippex_core::case::PAGE_SIZE;
use snippex_core::group::Group;
use snippex_runner::layout::{
    CAPTURED_PAGES, EXIT_FAULT, LINE, PAGE, SKIP_MEMORY, SKIP_OTHER_LINES, SKIP_VECTORS, SKIP_X87, WireBlock,
    WireLine,
};

use super::runner_engine::RunnerEngine;
use super::{EngineError, MemoryMode};
use crate::loaded_pools::X87Order;
use crate::results::{self, EXIT_DIED};
use crate::shared_layout::LINES_OFFSET;
use tracing::debug;

impl RunnerEngine {
    /// Does the blocks again in full whose last run shows a change that none of their instructions can have made.
    pub(super) fn redo_surprises(&mut self, groups: &[Group]) -> Result<(), EngineError> {
        for (index, group) in groups.iter().enumerate() {
            let block = self.plan.blocks[index];
            if block.run_count != 0 && block.untouched != 0 && self.is_surprise(index, &block, group) {
                debug!(
                    engine = self.spec.name,
                    address = group.block.address,
                    "a block changed what it leaves alone"
                );
                self.plan.disable_shortcuts(block.first_run);
                self.run_range(block.first_run, block.first_run + block.run_count)?;
            }
        }
        Ok(())
    }

    fn is_surprise(&self, index: usize, block: &WireBlock, group: &Group) -> bool {
        let last = block.run_count - 1;
        let end = self
            .plan
            .end_states(&self.shared)
            .get((block.first_run + last) as usize);
        let output = end.output;
        if !ran(output.exit) {
            return false;
        }
        let Some(before) = group
            .starts
            .last()
            .map(|start| &group.vector_pool[start.vectors as usize])
        else {
            return false;
        };
        let memory = || match self.spec.memory {
            MemoryMode::Scan => output.line_count != 0,
            MemoryMode::Copy => self.differs(index, group, 1 + last),
        };
        let other_lines = || match self.spec.memory {
            MemoryMode::Scan => output.stray_lines != 0,
            MemoryMode::Copy => last != 0 && self.differs(index, group, 0),
        };
        let loads_x87 = match self.x87_order() {
            X87Order::Stack | X87Order::Physical => true,
            X87Order::Pushed => false,
            X87Order::Unknown => before.x87.top() == 0,
        };
        block.untouched & SKIP_MEMORY != 0 && memory()
            || block.untouched & SKIP_OTHER_LINES != 0 && other_lines()
            || block.untouched & SKIP_X87 != 0 && loads_x87 && !end.same_x87(before)
            || block.untouched & SKIP_VECTORS != 0 && !end.same_vectors(before, self.identity.components)
    }

    /// What the writable pages of a group hold before each run.
    fn contents<'g>(&self, index: usize, group: &'g Group) -> Vec<&'g [u8; PAGE_SIZE]> {
        let content = |address| {
            let index = group.pages.binary_search_by_key(address, |page| page.address);
            &*group.pages[index.expect("the plan lists pages of the group")].content
        };
        self.plan.writable[index].iter().map(content).collect()
    }

    /// The writable pages of a block as they were captured for the time `index` (copy mode): 0 is before its last run, 1 after
    /// the first one.
    fn captured(&self, block: &WireBlock, index: u32, pages: usize) -> &[u8] {
        let size = pages as u64 * PAGE;
        self.shared
            .slice(block.captured + u64::from(index) * size, size as usize)
    }

    /// Whether the pages of group `index` that were captured at `time` are not as before each run (copy mode).
    fn differs(&self, index: usize, group: &Group, time: u32) -> bool {
        let contents = self.contents(index, group);
        let block = &self.plan.blocks[index];
        let pages = self.captured(block, time, contents.len()).chunks_exact(PAGE_SIZE);
        pages.zip(contents).any(|(page, content)| page != content)
    }

    /// Brings together the changed lines that the guest has found in copy mode and those in the pages that it captured.
    pub(super) fn find_lines(&mut self, groups: &[Group]) {
        let mut lines = std::mem::take(&mut self.lines);
        lines.clear();
        for (position, group) in groups.iter().enumerate() {
            let block = self.plan.blocks[position];
            let contents = self.contents(position, group);
            for run in 0..block.run_count {
                let index = (block.first_run + run) as usize;
                let first = lines.len();
                let output = &self.plan.outputs(&self.shared)[index];
                if !ran(output.exit) {
                    // Nothing is known of its memory.
                } else if output.line_count == CAPTURED_PAGES {
                    let pages = self
                        .captured(&block, 1 + run, contents.len())
                        .chunks_exact(PAGE_SIZE);
                    for ((page, content), &address) in pages.zip(&contents).zip(&self.plan.writable[position])
                    {
                        if page != &content[..] {
                            push_lines(&mut lines, address, page, &content[..]);
                        }
                    }
                } else {
                    let found = self.shared.slice(LINES_OFFSET, self.line_count as usize);
                    lines.extend_from_slice(results::changed_lines(output, found));
                }
                let output = &mut self.plan.outputs_mut(&mut self.shared)[index];
                output.first_line = first as u32;
                output.line_count = (lines.len() - first) as u32;
            }
        }
        self.lines = lines;
    }
}

/// Whether a run came to an end of its own.
fn ran(exit: u32) -> bool {
    exit == EXIT_FAULT || exit < EXIT_DIED
}

fn push_lines(lines: &mut Vec<WireLine>, address: u64, page: &[u8], content: &[u8]) {
    for (index, (line, before)) in page
        .as_chunks::<LINE>()
        .0
        .iter()
        .zip(content.as_chunks::<LINE>().0)
        .enumerate()
    {
        if line != before {
            lines.push(WireLine {
                address: address + (index * LINE) as u64,
                bytes: *line,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use snippex_core::address_space::ARENA;
    use snippex_core::block::{Block, Origin, Terminator};
    use snippex_core::case::{Case, Page, PageAccess, Placement};
    use snippex_core::state::MachineState;

    use super::*;
    use crate::engine::{Engine, EngineSpec};
    use crate::results::RunOutcome;
    use crate::untouched::{Untouched, lies};

    const FLD1: &[u8] = &[0xd9, 0xe8];
    const ADDSD: &[u8] = &[0xf2, 0x0f, 0x58, 0xc1];
    const PADDB_MM: &[u8] = &[0x0f, 0xfc, 0xc1];
    const STORE: &[u8] = &[0x48, 0x89, 0x07];
    const INC_MEMORY: &[u8] = &[0x48, 0xff, 0x07];
    const FAULT: &[u8] = &[0x48, 0x8b, 0x00];

    /// A block with three runs that differ in their registers.
    fn group(bytes: &[u8], at: u64) -> Group {
        let block = Block {
            address: at,
            bytes: bytes.to_vec(),
            instruction_count: 1,
            terminator: Terminator::FallThrough,
            successors: vec![],
            origin: Origin::Symbol,
            unrunnable: None,
        };
        let mut state = MachineState::default();
        state.gpr[7] = ARENA;
        state.vectors[1][..8].copy_from_slice(&1.5_f64.to_le_bytes());
        let case = Case {
            block: Arc::new(block),
            placement: Placement {
                image_base: 0x2_0000_0000,
                code_base: 0x2_1d60_0000,
            },
            state,
            pages: [Page {
                address: ARENA,
                access: PageAccess::ReadWrite,
                content: Arc::new([7; PAGE_SIZE]),
            }]
            .into(),
        };
        let mut group = Group::from_case(&case);
        let first = group.starts[0];
        group.starts.extend((1..3).map(|number| {
            let mut start = first;
            start.gpr[0] = number;
            start
        }));
        group
    }

    fn outcomes(engine: &mut RunnerEngine, groups: &[Group]) -> Vec<RunOutcome> {
        let results = engine.run(groups).unwrap();
        let each = |index: usize| (0..groups[index].starts.len()).map(move |start| (index, start));
        (0..groups.len())
            .flat_map(each)
            .map(|(group, start)| results.outcome(group, start))
            .collect()
    }

    /// If the decoder were wrong about every instruction, nothing but time would be lost.
    #[test]
    fn a_wrong_claim_is_found_out() {
        let codes = [FLD1, ADDSD, PADDB_MM, STORE, INC_MEMORY, FAULT];
        let all = || -> Vec<Group> {
            (1_u64..)
                .zip(codes)
                .map(|(number, code)| group(code, number * 0x1000))
                .collect()
        };
        let groups = all();
        let mut specs = vec![EngineSpec::native()];
        specs.push(EngineSpec {
            memory: MemoryMode::Copy,
            ..EngineSpec::native()
        });
        for spec in specs {
            let mut engine = RunnerEngine::start(spec).unwrap();
            let right = outcomes(&mut engine, &groups);
            let registers = SKIP_X87 | SKIP_VECTORS;
            for untouched in [SKIP_MEMORY | registers, SKIP_OTHER_LINES | registers] {
                lies::set_planted_answer(Some(Untouched {
                    untouched,
                    stores: Vec::new(),
                }));
                // Other copies of the blocks, so that they are decoded anew.
                let after_lies = outcomes(&mut engine, &all());
                lies::set_planted_answer(None);
                assert_eq!(after_lies, right);
            }
            let changed = |index: usize| match &right[3 * index] {
                RunOutcome::Ran(observation) => !observation.memory.is_empty(),
                RunOutcome::Unsupported(_) => false,
            };
            assert_eq!([0, 3, 4].map(changed), [false, true, true]);
        }
    }
}
