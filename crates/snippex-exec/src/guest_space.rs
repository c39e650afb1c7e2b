//! What a guest process has mapped for blocks, and the steps from there to what the next batch or block needs.

use snippex_core::case::PAGE;
use std::collections::BTreeMap;
use std::ops::Range;

use snippex_core::address_space::PADS;
use snippex_core::case::PageAccess;
use snippex_runner::layout::{
    CHANGE, CODE_CHUNK, EXECUTE, EXECUTE_CHUNK, MapStep, READ, READ_WRITE, UNMAP, WireFill, WirePage,
};

use crate::code_window::CodeWindow;
use crate::page_cache::CachedPage;
use crate::shared::{FRAME_COUNT, FRAMES_OFFSET};
const CHUNK_PAGES: u32 = (CODE_CHUNK / PAGE) as u32;
/// [`CachedPage::id`] of no content.
const NO_CONTENT: u64 = 0;

/// A page of a group, whose content is in the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlannedPage {
    pub(crate) address: u64,
    pub(crate) access: PageAccess,
    pub(crate) kept: CachedPage,
}

/// The memory behind a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Backing {
    /// Where this content is in the file.
    Content(u64),
    /// A frame.
    Frame(u32),
}

/// What may stay mapped, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keep {
    /// Pages that the group does not have may stay mapped without access.
    pub(crate) park: bool,
    /// All pages lie in frames, which the guest fills; otherwise only those that the group may store to.
    pub(crate) framed: bool,
    /// The group stores to nothing: pages that it may only load from need not be protected.
    pub(crate) stores_nothing: bool,
}

impl Keep {
    /// Most pages that are mapped. An emulator takes longer to find its way about many.
    fn most(self) -> usize {
        if self.framed { FRAME_COUNT } else { FRAME_COUNT / 8 }
    }
}

/// A page that is mapped.
#[derive(Clone, Copy, Debug)]
struct Mapped {
    backing: Backing,
    /// What it holds before each run.
    content: u64,
    /// [`READ`] or [`READ_WRITE`], when it is within reach.
    protection: u32,
    /// Mapped without access, for a later block: taking access away and giving it back costs a third of unmapping and
    /// mapping.
    parked: bool,
    /// [`AddressSpace::blocks`] when it was last needed.
    needed: u64,
}

/// What a block needs done before it runs.
#[derive(Debug, Default)]
pub(crate) struct MappedPage {
    pub(crate) steps: Vec<MapStep>,
    /// Pages that stores reach.
    pub(crate) writable: Vec<WirePage>,
    pub(crate) fills: Vec<WireFill>,
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
    /// Pages within reach, in ascending order.
    reachable: Vec<u64>,
    /// Frames that were used before and are free.
    free_frames: Vec<u32>,
    /// Number of frames that were ever used.
    frames: u32,
    /// Blocks entered so far.
    blocks: u64,
    /// Pages that were parked at some time of the batch and then unmapped.
    unparked: Vec<u64>,
}

impl AddressSpace {
    /// Whether nothing is mapped.
    pub(crate) fn is_empty(&self) -> bool {
        !self.pads && self.code.is_empty() && self.chunks.is_empty() && self.data.is_empty()
    }

    /// A batch begins: only what is parked now is remembered as such.
    pub(crate) fn begin_batch(&mut self) {
        self.unparked.clear();
    }

    /// Whether something may have been mapped at `page`, without access, in a run of the batch whose case has nothing there.
    pub(crate) fn was_parked(&self, page: u64) -> bool {
        self.data.contains_key(&page) || self.unparked.contains(&page)
    }

    fn take_frame(&mut self) -> u32 {
        self.free_frames.pop().unwrap_or_else(|| {
            self.frames += 1;
            assert!(
                self.frames as usize <= FRAME_COUNT,
                "a block has fewer pages than there are frames"
            );
            self.frames - 1
        })
    }

    /// Unmaps one page.
    fn drop_page(&mut self, address: u64, steps: &mut Vec<MapStep>) {
        if let Some(page) = self.data.remove(&address) {
            if let Backing::Frame(frame) = page.backing {
                self.free_frames.push(frame);
            }
            if page.parked {
                self.unparked.push(address);
            }
            steps.push(unmap(address, 1));
        }
    }

    /// Unmaps the data in `range`.
    fn leave(&mut self, range: Range<u64>, steps: &mut Vec<MapStep>) {
        let there: Vec<u64> = self.data.range(range).map(|(&address, _)| address).collect();
        for address in there {
            self.drop_page(address, steps);
        }
    }

    /// Makes room for the pages of a group: unmaps those that were parked longest.
    fn make_room(&mut self, pages: &[PlannedPage], most: usize, steps: &mut Vec<MapStep>) {
        if self.data.len() + pages.len() <= most {
            return;
        }
        let mut parked: Vec<(u64, u64)> = self
            .data
            .iter()
            .filter(|(address, page)| page.parked && find(pages, **address).is_none())
            .map(|(&address, page)| (page.needed, address))
            .collect();
        parked.sort_unstable();
        // Many at once, so that this need not be done for each block.
        let excess = self.data.len() + pages.len() - most + most / 4;
        for (_, address) in parked.into_iter().take(excess) {
            self.drop_page(address, steps);
        }
    }

    /// Another process has used the frames: none holds what it held.
    pub(crate) fn lose_frames(&mut self) {
        for page in self.data.values_mut() {
            if matches!(page.backing, Backing::Frame(_)) {
                page.content = NO_CONTENT;
            }
        }
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
            let keep = window.is_some_and(|window| window.contains_chunk(address, offset));
            if !keep {
                steps.push(unmap(address, CHUNK_PAGES));
            }
            keep
        });
        let mut fresh = Vec::new();
        if let Some(window) = window {
            for (address, offset) in window.chunk_offsets() {
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

    /// Adds what has to be done to get from what is mapped to what a group has: nothing more that can be reached, so that
    /// any other access faults.
    pub(crate) fn map_group_pages(&mut self, pages: &[PlannedPage], keep: Keep, entry: &mut MappedPage) {
        let steps = &mut entry.steps;
        self.blocks += 1;
        // Steps before are those of other blocks.
        let first = steps.len();
        for address in std::mem::take(&mut self.reachable) {
            if find(pages, address).is_none()
                && let Some(page) = self.data.get_mut(&address)
            {
                page.parked = true;
                if keep.park {
                    change(steps, first, address, 0);
                }
            }
        }
        if !keep.park {
            self.drop_parked(pages, steps);
        }
        self.make_room(pages, keep.most(), steps);
        for page in pages {
            let mapped = self.reach(page, keep, steps, first);
            if mapped.protection == READ_WRITE {
                entry.writable.push(WirePage {
                    address: page.address,
                    pristine: page.kept.offset,
                });
            }
            if let Backing::Frame(frame) = mapped.backing
                && mapped.content != page.kept.id
            {
                entry.fills.push(WireFill {
                    frame: frame_offset(frame),
                    content: page.kept.offset,
                });
            }
            self.data.insert(
                page.address,
                Mapped {
                    content: page.kept.id,
                    ..mapped
                },
            );
            self.reachable.push(page.address);
        }
    }

    /// Unmaps all parked pages but those of a group.
    fn drop_parked(&mut self, pages: &[PlannedPage], steps: &mut Vec<MapStep>) {
        let parked = |(address, page): (&u64, &Mapped)| {
            (page.parked && find(pages, *address).is_none()).then_some(*address)
        };
        let parked: Vec<u64> = self.data.iter().filter_map(parked).collect();
        for address in parked {
            self.drop_page(address, steps);
        }
    }

    /// How `page` is mapped from now on, with what it held before.
    fn reach(&mut self, page: &PlannedPage, keep: Keep, steps: &mut Vec<MapStep>, first: usize) -> Mapped {
        let PlannedPage {
            address,
            access,
            kept,
        } = *page;
        let in_frame = keep.framed || access == PageAccess::ReadWrite;
        let serves = |backing| match backing {
            Backing::Content(id) => !in_frame && id == kept.id,
            Backing::Frame(_) => in_frame,
        };
        let asked = if access == PageAccess::ReadWrite {
            READ_WRITE
        } else {
            READ
        };
        if let Some(mapped) = self.data.get(&address).copied() {
            if serves(mapped.backing) {
                let protection = if keep.stores_nothing && in_frame {
                    mapped.protection
                } else {
                    asked
                };
                if mapped.parked || mapped.protection != protection {
                    change(steps, first, address, protection);
                }
                return Mapped {
                    protection,
                    parked: false,
                    needed: self.blocks,
                    ..mapped
                };
            }
            self.drop_page(address, steps);
        }
        let (backing, offset) = if in_frame {
            let frame = self.take_frame();
            (Backing::Frame(frame), frame_offset(frame))
        } else {
            (Backing::Content(kept.id), kept.offset)
        };
        steps.push(MapStep {
            address,
            offset,
            pages: 1,
            protection: asked,
        });
        Mapped {
            backing,
            content: NO_CONTENT,
            protection: asked,
            parked: false,
            needed: self.blocks,
        }
    }
}

fn frame_offset(frame: u32) -> u64 {
    FRAMES_OFFSET + u64::from(frame) * PAGE
}

fn find(pages: &[PlannedPage], address: u64) -> Option<&PlannedPage> {
    let index = pages.binary_search_by_key(&address, |page| page.address);
    index.ok().map(|index| &pages[index])
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
