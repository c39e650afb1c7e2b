//! What a guest process has mapped for blocks, and the steps from there to what the next batch or block needs.

use std::collections::BTreeMap;
use std::ops::Range;

use snippex_core::address_space::PADS;
use snippex_core::case::{Access, PAGE_SIZE};
use snippex_runner::layout::{
    CODE_CHUNK, EXECUTE, EXECUTE_CHUNK, MapStep, READ, READ_WRITE, UNMAP, WirePage,
};

use crate::code_window::CodeWindow;
use crate::contents::Kept;
use crate::shared::{FRAME_COUNT, FRAMES_OFFSET};

const PAGE: u64 = PAGE_SIZE as u64;
const CHUNK_PAGES: u32 = (CODE_CHUNK / PAGE) as u32;
const _: () = assert!(FRAME_COUNT == 64, "a word has a bit for each frame");

/// A page of a group, whose content is in the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlannedPage {
    pub(crate) address: u64,
    pub(crate) access: Access,
    pub(crate) kept: Kept,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Backing {
    /// Loads only, this content.
    Read(u64),
    /// Stores too, in this frame, which holds this content between runs.
    Frame(u32, u64),
}

impl Backing {
    fn release(self, frames: &mut u64) {
        if let Self::Frame(frame, _) = self {
            *frames &= !(1 << frame);
        }
    }
}

/// What a guest process has mapped for blocks.
#[derive(Debug, Default)]
pub(crate) struct AddressSpace {
    pads: bool,
    /// First page and number of pages.
    code: Vec<(u64, u32)>,
    /// Address and file offset of chunks of code.
    chunks: Vec<(u64, u64)>,
    data: BTreeMap<u64, Backing>,
    /// A bit for each frame in use.
    frames: u64,
}

impl AddressSpace {
    /// Whether nothing is mapped.
    pub(crate) fn is_empty(&self) -> bool {
        !self.pads && self.code.is_empty() && self.chunks.is_empty() && self.data.is_empty()
    }

    fn take_frame(&mut self) -> u32 {
        let frame = self.frames.trailing_ones();
        assert!(
            (frame as usize) < FRAME_COUNT,
            "a block has fewer writable pages than there are frames"
        );
        self.frames |= 1 << frame;
        frame
    }

    /// Unmaps the data in `range`.
    fn leave(&mut self, range: Range<u64>, steps: &mut Vec<MapStep>) {
        let frames = &mut self.frames;
        self.data.retain(|address, backing| {
            let keep = !range.contains(address);
            if !keep {
                backing.release(frames);
                steps.push(unmap(*address, 1));
            }
            keep
        });
    }

    /// Adds the step that maps the landing pads, which are at `offset` in the file. Returns whether that was needed.
    pub(crate) fn map_pads(&mut self, offset: u64, steps: &mut Vec<MapStep>) -> bool {
        if self.pads {
            return false;
        }
        steps.push(MapStep {
            address: PADS,
            offset,
            pages: 1,
            protection: EXECUTE,
        });
        self.pads = true;
        true
    }

    /// Adds the steps from the code that is mapped to that of a batch: `code`, or all of `window` when that is given.
    pub(crate) fn map_code(
        &mut self,
        window: Option<&CodeWindow>,
        code: &[MapStep],
        steps: &mut Vec<MapStep>,
    ) {
        for (address, pages) in self.code.drain(..) {
            steps.push(unmap(address, pages));
        }
        self.chunks.retain(|&(address, offset)| {
            let keep = window.is_some_and(|window| window.has(address, offset));
            if !keep {
                steps.push(unmap(address, CHUNK_PAGES));
            }
            keep
        });
        let mut fresh = Vec::new();
        if let Some(window) = window {
            for (address, offset) in window.mapped() {
                if !self.chunks.contains(&(address, offset)) {
                    fresh.push(MapStep {
                        address,
                        offset,
                        pages: CHUNK_PAGES,
                        protection: EXECUTE_CHUNK,
                    });
                    self.chunks.push((address, offset));
                }
            }
        } else {
            fresh.extend(code);
            self.code
                .extend(fresh.iter().map(|step| (step.address, step.pages)));
        }
        for step in fresh {
            // A block of another batch may have had data where this one has code.
            self.leave(step.address..step.address + u64::from(step.pages) * PAGE, steps);
            steps.push(step);
        }
    }

    /// Adds the steps from what is mapped to what a group has: nothing more, so that any other access faults.
    pub(crate) fn enter(
        &mut self,
        pages: &[PlannedPage],
        steps: &mut Vec<MapStep>,
        writable: &mut Vec<WirePage>,
    ) {
        let wanted = |address: u64| {
            let index = pages.binary_search_by_key(&address, |page| page.address);
            index.ok().map(|index| &pages[index])
        };
        let frames = &mut self.frames;
        self.data.retain(|&address, backing| {
            let keep = match (wanted(address), *backing) {
                (Some(page), Backing::Read(id)) => page.access == Access::Read && page.kept.id == id,
                (Some(page), Backing::Frame(..)) => page.access == Access::ReadWrite,
                (None, _) => false,
            };
            if !keep {
                backing.release(frames);
                steps.push(unmap(address, 1));
            }
            keep
        });
        for page in pages {
            let PlannedPage { address, kept, .. } = *page;
            let known = self.data.get(&address).copied();
            let (backing, step) = match (page.access, known) {
                (Access::Read, Some(backing)) => (backing, None),
                (Access::Read, None) => (Backing::Read(kept.id), Some((kept.offset, READ))),
                (Access::ReadWrite, Some(Backing::Frame(frame, _))) => (Backing::Frame(frame, kept.id), None),
                (Access::ReadWrite, _) => {
                    let frame = self.take_frame();
                    let offset = FRAMES_OFFSET + u64::from(frame) * PAGE;
                    (Backing::Frame(frame, kept.id), Some((offset, READ_WRITE)))
                }
            };
            steps.extend(step.map(|(offset, protection)| MapStep {
                address,
                offset,
                pages: 1,
                protection,
            }));
            if page.access == Access::ReadWrite {
                writable.push(WirePage {
                    address,
                    pristine: kept.offset,
                    fill: u64::from(known != Some(backing)),
                });
            }
            self.data.insert(address, backing);
        }
    }
}

/// Stands for the writable pages of blocks that are left out.
pub(crate) const UNUSED_PAGE: WirePage = WirePage {
    address: 0,
    pristine: 0,
    fill: 0,
};

fn unmap(address: u64, pages: u32) -> MapStep {
    MapStep {
        address,
        offset: 0,
        pages,
        protection: UNMAP,
    }
}
