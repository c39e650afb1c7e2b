//! The file that host and guest share: an anonymous memory file, mapped here as a whole.
//!
//! The guest writes to it only while the host waits for its answer, and the host writes only while the guest waits
//! for the doorbell; [`crate::process`] keeps that order.
#![expect(unsafe_code, reason = "typed access to memory shared with another process")]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use memmap2::{MmapOptions, MmapRaw};
use rustix::fs::{MemfdFlags, memfd_create};
use snippex_runner::layout::{
    CODE_CHUNK, HEADER_SIZE, Header, MAGIC, MapStep, PART_ALIGNMENT, RunInput, RunOutput, SHARED_BASE,
    SHARED_END, VERSION, VectorFile, WireBlock, WireFill, WireLine, WirePage, WireReached,
};

/// Bytes of the input part that batches use.
pub(crate) const INPUT_SIZE: u64 = 96 << 20;
/// Bytes of the output part that batches use.
pub(crate) const OUTPUT_SIZE: u64 = 128 << 20;
/// Pages in the frames part: as many as stay mapped on a CPU.
pub(crate) const FRAME_COUNT: usize = 1024;
const FRAMES_SIZE: u64 = FRAME_COUNT as u64 * 4096;

pub(crate) const INPUT_OFFSET: u64 = HEADER_SIZE;
/// The rest of the input part, for [`crate::warm_up`].
pub(crate) const SPARE_INPUT_OFFSET: u64 = INPUT_OFFSET + INPUT_SIZE;
pub(crate) const OUTPUT_OFFSET: u64 = SPARE_INPUT_OFFSET + SPARE_SIZE;
/// The rest of the output part, for [`crate::warm_up`].
pub(crate) const SPARE_OUTPUT_OFFSET: u64 = OUTPUT_OFFSET + OUTPUT_SIZE;
pub(crate) const FRAMES_OFFSET: u64 = SPARE_OUTPUT_OFFSET + SPARE_SIZE;
const SPARE_SIZE: u64 = PART_ALIGNMENT;
/// Chunks of code that stay mapped (see [`crate::code_window`]).
pub(crate) const CHUNKS: usize = 32;
pub(crate) const CHUNKS_OFFSET: u64 = FRAMES_OFFSET + FRAMES_SIZE;
const FILE_SIZE: u64 = CHUNKS_OFFSET + CHUNKS as u64 * CODE_CHUNK;

const _: () = assert!(
    SHARED_BASE + FRAMES_OFFSET + FRAMES_SIZE <= SHARED_END,
    "header, input, output and frames fit their address range"
);
const _: () = assert!(FRAMES_SIZE.is_multiple_of(PART_ALIGNMENT));

/// Structures of the wire layout: every bit pattern is a value.
///
/// # Safety
/// The type has no padding that matters, no references, no invalid bit patterns.
pub(crate) unsafe trait Plain: Copy {}

// SAFETY: integers and arrays of integers, `repr(C)`.
unsafe impl Plain for u8 {}
// SAFETY: as above.
unsafe impl Plain for u64 {}
// SAFETY: as above.
unsafe impl Plain for MapStep {}
// SAFETY: as above.
unsafe impl Plain for WireBlock {}
// SAFETY: as above.
unsafe impl Plain for RunInput {}
// SAFETY: as above.
unsafe impl Plain for RunOutput {}
// SAFETY: as above.
unsafe impl Plain for VectorFile {}
// SAFETY: as above.
unsafe impl Plain for WireLine {}
// SAFETY: as above.
unsafe impl Plain for WirePage {}
// SAFETY: as above.
unsafe impl Plain for WireReached {}
// SAFETY: as above.
unsafe impl Plain for WireFill {}

/// The shared file and its mapping. Memory is taken as it is used; most of the file stays empty.
#[derive(Debug)]
pub(crate) struct Shared {
    file: File,
    map: MmapRaw,
}

impl Shared {
    pub(crate) fn new() -> io::Result<Self> {
        Self::make().map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("cannot make memory to share with it: {error}"),
            )
        })
    }

    fn make() -> io::Result<Self> {
        let file = File::from(memfd_create("snippex-batch", MemfdFlags::CLOEXEC)?);
        file.set_len(FILE_SIZE)?;
        let map = MmapOptions::new().len(FILE_SIZE as usize).map_raw(&file)?;
        Ok(Self { file, map })
    }

    /// A path by which a process of the same user can open the file while this one lives.
    pub(crate) fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd())
    }

    /// Puts a fresh header there for a new guest.
    pub(crate) fn reset_header(&mut self) {
        // SAFETY: the mapping starts with room for the header and is page-aligned; all guests wait.
        unsafe {
            self.map.as_mut_ptr().write_bytes(0, size_of::<Header>());
        }
        let header = self.header();
        header.magic = MAGIC;
        header.version = VERSION;
        header.input_offset = INPUT_OFFSET;
        header.input_size = INPUT_SIZE + SPARE_SIZE;
        header.output_offset = OUTPUT_OFFSET;
        header.output_size = OUTPUT_SIZE + SPARE_SIZE;
        header.frames_offset = FRAMES_OFFSET;
        header.frames_size = FRAMES_SIZE;
        header.canary = MAGIC;
    }

    /// The header, while the guest waits.
    pub(crate) fn header(&mut self) -> &mut Header {
        // SAFETY: the mapping starts with room for the header and is page-aligned; all bit patterns are valid, and
        // `&mut self` keeps other references away. The guest is not running, by the protocol.
        unsafe { &mut *self.map.as_mut_ptr().cast::<Header>() }
    }

    /// The run the guest is at, while it may be running.
    pub(crate) fn current_run(&self) -> u32 {
        // SAFETY: as `header`; volatile because the guest may change it at any time.
        unsafe { (&raw const (*self.map.as_ptr().cast::<Header>()).current_run).read_volatile() }
    }

    /// Writes `items` at `offset`.
    ///
    /// # Panics
    /// When they do not fit or are not aligned; callers compute offsets from fixed capacities.
    pub(crate) fn write<T: Plain>(&mut self, offset: u64, items: &[T]) {
        let size = size_of_val(items) as u64;
        assert!(
            offset.checked_add(size).is_some_and(|end| end <= FILE_SIZE),
            "the batch fits the shared file"
        );
        assert_eq!(offset % align_of::<T>() as u64, 0);
        // SAFETY: in bounds and aligned as asserted; `Plain` types may be copied bytewise.
        unsafe {
            let to = self.map.as_mut_ptr().add(offset as usize).cast::<T>();
            to.copy_from_nonoverlapping(items.as_ptr(), items.len());
        }
    }

    /// `count` items at `offset`, while the guest waits.
    ///
    /// # Panics
    /// As [`Shared::write`].
    pub(crate) fn slice<T: Plain>(&self, offset: u64, count: usize) -> &[T] {
        let size = (count as u64).saturating_mul(size_of::<T>() as u64);
        assert!(
            offset.checked_add(size).is_some_and(|end| end <= FILE_SIZE),
            "the batch fits the shared file"
        );
        assert_eq!(offset % align_of::<T>() as u64, 0);
        // SAFETY: in bounds and aligned as asserted; every bit pattern is valid; the guest waits, by the protocol.
        unsafe { std::slice::from_raw_parts(self.map.as_ptr().add(offset as usize).cast::<T>(), count) }
    }

    /// As [`Shared::slice`], to be changed.
    ///
    /// # Panics
    /// As [`Shared::write`].
    pub(crate) fn slice_mut<T: Plain>(&mut self, offset: u64, count: usize) -> &mut [T] {
        let size = (count as u64).saturating_mul(size_of::<T>() as u64);
        assert!(
            offset.checked_add(size).is_some_and(|end| end <= FILE_SIZE),
            "the batch fits the shared file"
        );
        assert_eq!(offset % align_of::<T>() as u64, 0);
        // SAFETY: as `slice`, and `&mut self` keeps other references away.
        unsafe {
            std::slice::from_raw_parts_mut(self.map.as_mut_ptr().add(offset as usize).cast::<T>(), count)
        }
    }
}
