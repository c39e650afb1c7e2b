//! What a guest process has mapped for blocks, and the steps from there to what the next batch or block needs.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use snippex_core::address_space::PADS;
use snippex_core::case::{Access, PAGE_SIZE};
use snippex_runner::layout::{
    CHANGE, CODE_CHUNK, EXECUTE, EXECUTE_CHUNK, MapStep, READ, READ_WRITE, UNMAP, WirePage,
};

use crate::code_window::CodeWindow;
use crate::contents::Kept;
use crate::shared::{FRAME_COUNT, FRAMES_OFFSET};

const PAGE: u64 = PAGE_SIZE as u64;
const CHUNK_PAGES: u32 = (CODE_CHUNK / PAGE) as u32;
const _: () = assert!(FRAME_COUNT == 128, "a word has a bit for each frame");
/// Most pages that stay mapped without access.
const MAX_PARKED: usize = 96;

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
    fn release(self, frames: &mut u128) {
        if let Self::Frame(frame, _) = self {
            *frames &= !(1 << frame);
        }
    }

    fn protection(self) -> u32 {
        match self {
            Self::Read(_) => READ,
            Self::Frame(..) => READ_WRITE,
        }
    }

    fn serves(self, page: &PlannedPage, in_frame: bool) -> bool {
        match self {
            Self::Read(id) => !in_frame && page.kept.id == id,
            Self::Frame(..) => in_frame,
        }
    }
}

/// What may stay mapped, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keep {
    /// Pages that the group does not have may stay mapped without access.
    pub(crate) park: bool,
    /// Pages that the group only loads from are mapped as those that it stores to.
    pub(crate) in_frames: bool,
}

/// A page that is mapped.
#[derive(Clone, Copy, Debug)]
struct Mapped {
    backing: Backing,
    /// Mapped without access, for a later block: taking access away and giving it back costs a third of unmapping and
    /// mapping.
    parked: bool,
    /// [`AddressSpace::blocks`] when it was last needed.
    needed: u64,
}

/// What a guest process has mapped for blocks.
#[derive(Debug, Default)]
pub(crate) struct AddressSpace {
    pads: bool,
    /// First page and number of pages.
    code: Vec<(u64, u32)>,
    /// Address and file offset of chunks of code.
    chunks: Vec<(u64, u64)>,
    data: BTreeMap<u64, Mapped>,
    /// A bit for each frame in use.
    frames: u128,
    /// Blocks entered so far.
    blocks: u64,
    /// Pages that were parked at any time of the batch.
    parked: BTreeSet<u64>,
}

impl AddressSpace {
    /// Whether nothing is mapped.
    pub(crate) fn is_empty(&self) -> bool {
        !self.pads && self.code.is_empty() && self.chunks.is_empty() && self.data.is_empty()
    }

    /// A batch begins: only what is parked now is remembered as such.
    pub(crate) fn begin_batch(&mut self) {
        let data = &self.data;
        self.parked
            .retain(|address| data.get(address).is_some_and(|page| page.parked));
    }

    /// Pages that were parked at any time of the batch.
    pub(crate) fn parked(&self) -> &BTreeSet<u64> {
        &self.parked
    }

    /// A frame that is not in use; the page that was parked longest gives its own if there is none.
    fn take_frame(&mut self, steps: &mut Vec<MapStep>) -> u32 {
        if self.frames == u128::MAX {
            self.drop_parked(steps, |backing| matches!(backing, Backing::Frame(..)));
        }
        let frame = self.frames.trailing_ones();
        assert!(
            (frame as usize) < FRAME_COUNT,
            "a block has fewer writable pages than there are frames"
        );
        self.frames |= 1 << frame;
        frame
    }

    /// Unmaps the page that was parked longest among those that `choose` names.
    fn drop_parked(&mut self, steps: &mut Vec<MapStep>, choose: impl Fn(Backing) -> bool) {
        let parked = self
            .data
            .iter()
            .filter(|(_, page)| page.parked && choose(page.backing));
        if let Some((&address, _)) = parked.min_by_key(|(_, page)| page.needed) {
            self.leave(address..address + PAGE, steps);
        }
    }

    /// Unmaps the data in `range`.
    fn leave(&mut self, range: Range<u64>, steps: &mut Vec<MapStep>) {
        let frames = &mut self.frames;
        self.data.retain(|address, page| {
            let keep = !range.contains(address);
            if !keep {
                page.backing.release(frames);
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

    /// Adds the steps from what is mapped to what a group has: nothing more that can be reached, so that any other
    /// access faults.
    pub(crate) fn enter(
        &mut self,
        pages: &[PlannedPage],
        keep: Keep,
        steps: &mut Vec<MapStep>,
        writable: &mut Vec<WirePage>,
    ) {
        let in_frame = |page: &PlannedPage| keep.in_frames || page.access == Access::ReadWrite;
        self.blocks += 1;
        // Steps before are those of other blocks.
        let first = steps.len();
        let wanted = |address: u64| {
            let index = pages.binary_search_by_key(&address, |page| page.address);
            index.ok().map(|index| &pages[index])
        };
        let (frames, parked) = (&mut self.frames, &mut self.parked);
        self.data.retain(|&address, mapped| {
            let stays = match wanted(address) {
                Some(page) => mapped.backing.serves(page, in_frame(page)),
                None => keep.park,
            };
            if !stays {
                mapped.backing.release(frames);
                steps.push(unmap(address, 1));
            } else if wanted(address).is_none() && !mapped.parked {
                mapped.parked = true;
                parked.insert(address);
                change(steps, first, address, 0);
            }
            stays
        });
        for page in pages {
            let PlannedPage { address, kept, .. } = *page;
            let known = self.data.get(&address).copied();
            let backing = match known.map(|mapped| mapped.backing) {
                _ if !in_frame(page) => Backing::Read(kept.id),
                Some(Backing::Frame(frame, _)) => Backing::Frame(frame, kept.id),
                _ => Backing::Frame(self.take_frame(steps), kept.id),
            };
            match known {
                Some(mapped) if mapped.parked => change(steps, first, address, backing.protection()),
                Some(_) => {}
                None => steps.push(MapStep {
                    address,
                    offset: match backing {
                        Backing::Read(_) => kept.offset,
                        Backing::Frame(frame, _) => FRAMES_OFFSET + u64::from(frame) * PAGE,
                    },
                    pages: 1,
                    protection: backing.protection(),
                }),
            }
            if in_frame(page) {
                writable.push(WirePage {
                    address,
                    pristine: kept.offset,
                    fill: u64::from(known.map(|mapped| mapped.backing) != Some(backing)),
                });
            }
            let mapped = Mapped {
                backing,
                parked: false,
                needed: self.blocks,
            };
            self.data.insert(address, mapped);
        }
        while self.data.len() > pages.len() + MAX_PARKED {
            self.drop_parked(steps, |_| true);
        }
    }
}

/// Adds the step that gives a mapped page this protection, joined to the step before if that, from `first` on, does the
/// same to the page before.
fn change(steps: &mut Vec<MapStep>, first: usize, address: u64, protection: u32) {
    let protection = protection | CHANGE;
    match steps[first..].last_mut() {
        Some(last)
            if last.protection == protection && last.address + u64::from(last.pages) * PAGE == address =>
        {
            last.pages += 1;
        }
        _ => steps.push(MapStep {
            address,
            offset: 0,
            pages: 1,
            protection,
        }),
    }
}

fn unmap(address: u64, pages: u32) -> MapStep {
    MapStep {
        address,
        offset: 0,
        pages,
        protection: UNMAP,
    }
}
