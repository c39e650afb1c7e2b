//! One batch: for each block, map its pages and do its runs.

use crate::cpu::{self, Bases};
use crate::layout::{
    AT_RIP_READ, CAPTURED_PAGES, CHANGE, COMPONENT_AVX, COMPONENT_AVX512, EXECUTE_CHUNK, EXIT_FAULT,
    EXIT_NONE, Header, KIND_BLOCK, KIND_PROGRAM, KIND_SEGMENTS, MODE_SCAN, MapStep, PAGE, PRIVATE,
    PROTECTION, RunInput, RunOutput, SHARED_BASE, SKIP_MEMORY, SKIP_OTHER_LINES, SKIP_VECTORS, SKIP_X87,
    SYSTEM_SELECTORS, UNMAP, VectorFile, WireBlock, WireFill, WireLine, WirePage, WireReached, X87_PUSHED,
    ZERO,
};
use crate::memory::{self, Width};
use crate::signals::FAULT;
use crate::switch::{
    self, PATH_AVX, PATH_AVX512, PATH_CLEAN, PATH_GENERAL, PATH_NO_X87, PATH_PUSH_X87, PATH_SSE,
};
use crate::sys::{self, IoVec};

/// More writable pages than the host ever gives to a block.
const MAX_WRITABLE: usize = 64;

fn at<T>(offset: u64) -> *mut T {
    (SHARED_BASE + offset) as *mut T
}

struct Batch {
    header: *mut Header,
    fd: i32,
    mode: u32,
    width: Width,
    path: u64,
    /// [`PATH_PUSH_X87`] or nothing.
    x87_path: u64,
    bases: Bases,
    line_count: u32,
}

/// Does the batch that the header describes, from `first_run` on.
pub fn run(header: *mut Header, fd: i32) {
    // SAFETY: the host has filled the header and waits; it is mapped for the life of the process.
    let view = unsafe { *header };
    let path = if view.components & COMPONENT_AVX512 != 0 {
        PATH_AVX512
    } else if view.components & COMPONENT_AVX != 0 {
        PATH_AVX
    } else {
        PATH_SSE
    };
    let mut batch = Batch {
        header,
        fd,
        mode: view.mode,
        width: Width::new(view.components, view.leaf7[1]),
        path,
        x87_path: if view.x87_order == X87_PUSHED {
            PATH_PUSH_X87
        } else {
            0
        },
        bases: Bases::new(view.components),
        line_count: view.line_count,
    };
    if !batch.map(&view, 0, view.prologue_step_count) {
        return;
    }
    if view.mode == MODE_SCAN {
        // The host has written code under another address (Intel SDM volume 3, section 9.1.3).
        switch::serialize();
    }
    for i in 0..view.block_count {
        // SAFETY: the host gives `block_count` blocks in the input part.
        let block = unsafe { *at::<WireBlock>(view.blocks).add(i as usize) };
        if block.first_run + block.run_count <= view.first_run {
            continue;
        }
        if block.first_run >= view.run_count {
            break;
        }
        if !batch.map(&view, block.first_step, block.step_count) {
            return;
        }
        batch.run_block(&view, &block);
    }
    // SAFETY: as above.
    unsafe { (*header).current_run = view.run_count };
    batch.bases.set(0, 0);
}

impl Batch {
    /// Does mapping steps; false, with the step in the header, when the engine refuses one.
    fn map(&mut self, view: &Header, first: u32, count: u32) -> bool {
        for i in first..first + count {
            // SAFETY: the host gives these steps in the input part.
            let step = unsafe { *at::<MapStep>(view.steps).add(i as usize) };
            let size = u64::from(step.pages) * PAGE;
            if step.protection == UNMAP {
                sys::unmap(step.address, size);
            } else if !self.map_step(&step, size) {
                // SAFETY: the header is mapped.
                unsafe { (*self.header).failed_step = i + 1 };
                return false;
            }
        }
        true
    }

    fn map_step(&self, step: &MapStep, size: u64) -> bool {
        let protection = u64::from(step.protection & PROTECTION);
        if step.protection & CHANGE != 0 {
            sys::protect(step.address, size, protection)
        } else if step.protection & ZERO != 0 {
            sys::map_zero(step.address, size, protection)
        } else if step.protection & PRIVATE != 0 {
            sys::map_private(step.address, size, protection, self.fd, step.offset)
        } else if step.protection == EXECUTE_CHUNK {
            sys::map_shared(step.address, size, protection, self.fd, step.offset)
        } else {
            sys::map_populated(step.address, size, protection, self.fd, step.offset)
        }
    }

    fn run_block(&mut self, view: &Header, block: &WireBlock) {
        // SAFETY: the host gives the writable pages in the input part.
        let pages = unsafe { at::<WirePage>(view.writable).add(block.first_writable as usize) };
        let count = (block.writable_count as usize).min(MAX_WRITABLE);
        let mut pieces = [IoVec {
            base: 0,
            length: PAGE,
        }; MAX_WRITABLE];
        for (i, piece) in pieces.iter_mut().enumerate().take(count) {
            // SAFETY: the host gives `writable_count` of them.
            let page = unsafe { *pages.add(i) };
            piece.base = page.address;
        }
        if self.mode == MODE_SCAN {
            for i in 0..block.fill_count {
                // SAFETY: the host gives `fill_count` of them, with whole pages of the frames and of the input part.
                unsafe {
                    let fill = *at::<WireFill>(view.fills).add((block.first_fill + i) as usize);
                    memory::copy(at(fill.frame), at(fill.content), PAGE as usize);
                }
            }
        }
        let pieces = &pieces[..count];
        let first = block.first_run.max(view.first_run);
        let end = (block.first_run + block.run_count).min(view.run_count);
        for run in first..end {
            // The last run of all is done in full, for the host to see whether the others could leave anything out.
            let untouched = if run + 1 == end { 0 } else { block.untouched };
            // SAFETY: the header is mapped; runs, vectors and outputs are in the input and output parts.
            unsafe {
                (&raw mut (*self.header).current_run).write_volatile(run);
                let input = at::<RunInput>(view.runs).add(run as usize);
                let output = at::<RunOutput>(view.outputs).add(run as usize);
                (*output).exit = EXIT_NONE;
                (*output).stray_lines = 0;
                let looks_back = run + 1 == end && run != first && block.untouched & SKIP_OTHER_LINES != 0;
                if looks_back {
                    (*output).stray_lines = self.stray_lines(view, block, pages, pieces);
                }
                let vectors = at::<VectorFile>(view.vectors).add((*input).vectors as usize);
                let end_vectors = at::<VectorFile>(view.end_vectors).add(run as usize);
                let path = self.path_for(&*input, untouched);
                let resets_itself = block.untouched & (SKIP_MEMORY | SKIP_OTHER_LINES) != 0;
                let reset = run == first || looks_back || !resets_itself;
                if reset && self.mode != MODE_SCAN && count != 0 {
                    sys::preadv(self.fd, pieces.as_ptr(), count as u64, block.pristine);
                }
                if block.kind == KIND_PROGRAM {
                    self.bases.forget();
                }
                self.bases.set((*input).fs_base, (*input).gs_base);
                switch::enter_block(input, vectors, path, output, end_vectors);
                // Code that has to do with general registers only cannot change them, but by selectors.
                let known = path & PATH_GENERAL != 0 && block.kind == KIND_BLOCK;
                let bases = if known {
                    self.bases.last()
                } else {
                    self.bases.read()
                };
                ((*output).fs_base, (*output).gs_base) = bases;
                let exit = (&raw const (*self.header).exit).read_volatile();
                if exit == EXIT_FAULT {
                    (*output).fault = (&raw const FAULT).read();
                    if block.kind == KIND_PROGRAM {
                        (*output).at_rip = self.byte_at((*output).fault.rip, block.captured);
                    }
                }
                if block.kind == KIND_SEGMENTS {
                    self.bases.forget();
                    // An engine that refuses to load them would end the runner for it.
                    if view.system & SYSTEM_SELECTORS != 0 {
                        cpu::reset_selectors();
                    }
                }
                let first_line = self.line_count;
                (*output).first_line = first_line;
                (*output).line_count = if untouched & SKIP_OTHER_LINES != 0 {
                    self.capture_reached(view, &*input);
                    self.line_count - first_line
                } else if untouched & SKIP_MEMORY != 0 {
                    0
                } else if self.mode == MODE_SCAN {
                    self.line_count += self.scan(view, pages, pieces);
                    self.line_count - first_line
                } else {
                    self.capture_pages(block.captured, 1 + run - block.first_run, pieces);
                    CAPTURED_PAGES
                };
                (*self.header).line_count = self.line_count;
                (*output).exit = exit;
            }
        }
    }

    /// How a run is entered and left.
    fn path_for(&self, input: &RunInput, untouched: u32) -> u64 {
        if self.path == PATH_SSE {
            return PATH_SSE | self.x87_path;
        }
        let mut path = self.path;
        if input.clean != 0 {
            path |= PATH_CLEAN;
        }
        if untouched & SKIP_X87 != 0 {
            path |= if untouched & SKIP_VECTORS != 0 {
                PATH_GENERAL
            } else {
                PATH_NO_X87
            };
            return path;
        }
        path | self.x87_path
    }

    /// The byte at `address` as [`RunOutput::at_rip`] has it. The kernel reads it, so that an address where nothing
    /// is does no harm.
    fn byte_at(&self, address: u64, room: u64) -> u32 {
        let piece = IoVec {
            base: address,
            length: 1,
        };
        if sys::pwritev(self.fd, &raw const piece, 1, room) == 1 {
            // SAFETY: the host gives room in the output part.
            AT_RIP_READ | u32::from(unsafe { at::<u8>(room).read_volatile() })
        } else {
            0
        }
    }

    /// Captures those lines that the run which began with `input` has changed among the ones it may store to, and puts back
    /// what they held.
    ///
    /// # Safety
    /// They lie in mapped writable pages.
    unsafe fn capture_reached(&mut self, view: &Header, input: &RunInput) {
        for i in 0..input.reached_count {
            // SAFETY: the caller's contract; the host leaves room for all lines of all runs.
            unsafe {
                let reached = *at::<WireReached>(view.reached).add((input.first_reached + i) as usize);
                let slot = at::<WireLine>(view.lines).add(self.line_count as usize);
                let line = reached.address as *mut u8;
                self.line_count += u32::from(memory::take_line(line, at(reached.pristine), slot));
            }
        }
    }

    /// Before the last run of a block that leaves other lines alone: puts back all lines that are not as they were, and
    /// says how many they are (scan mode); or captures all pages, for the host to see (copy mode).
    ///
    /// # Safety
    /// `pages` and `pieces` are the mapped writable pages of `block`.
    unsafe fn stray_lines(
        &self,
        view: &Header,
        block: &WireBlock,
        pages: *const WirePage,
        pieces: &[IoVec],
    ) -> u64 {
        if self.mode == MODE_SCAN {
            // SAFETY: the caller's contract; what is written behind the lines so far is not kept.
            u64::from(unsafe { self.scan(view, pages, pieces) })
        } else {
            self.capture_pages(block.captured, 0, pieces);
            0
        }
    }

    /// Writes all changed lines behind those found so far, in ascending order, puts back what they held, and says how
    /// many they are.
    ///
    /// # Safety
    /// `pages` and `pieces` are the mapped writable pages of the block.
    unsafe fn scan(&self, view: &Header, pages: *const WirePage, pieces: &[IoVec]) -> u32 {
        let mut count = 0;
        for i in 0..pieces.len() {
            // SAFETY: the caller's contract; the host leaves room for all lines of all runs.
            unsafe {
                let page = *pages.add(i);
                let lines = at::<WireLine>(view.lines).add((self.line_count + count) as usize);
                let found = memory::scan_page(self.width, page.address as *mut u8, at(page.pristine), lines);
                count += found as u32;
            }
        }
        count
    }

    /// Writes all pages to place `index` of those from file offset `captured` on.
    fn capture_pages(&self, captured: u64, index: u32, pieces: &[IoVec]) {
        if !pieces.is_empty() {
            let size = pieces.len() as u64 * PAGE;
            let offset = captured + u64::from(index) * size;
            sys::pwritev(self.fd, pieces.as_ptr(), pieces.len() as u64, offset);
        }
    }
}
