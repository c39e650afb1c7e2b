//! What host and guest agree on: addresses, and the structures in the shared file.
//!
//! The file is compiled into both sides (`no_std`, no dependencies). All integers are little-endian, as both sides
//! see the same bytes. Offsets in the file are bytes from its start.
//!
//! The shared file has four parts, one after the other, each starting at a multiple of 64 KiB:
//!
//! | part | guest protection | content |
//! | --- | --- | --- |
//! | [`Header`] | read, write | commands, progress, what the guest sees of its CPU |
//! | input | read | code, blocks, mapping steps, start states, page contents |
//! | output | read, write | end states, changed memory |
//! | frames | read, write | memory behind pages of blocks, which have it at other addresses too |

/// First eight bytes of the header.
pub const MAGIC: u64 = u64::from_le_bytes(*b"snippex\n");
/// Changes with every change of this file.
pub const VERSION: u32 = 9;

/// Where the runner itself is linked. Below 2 GiB so that code anywhere can reach it by 32-bit absolute addresses.
pub const RUNNER_BASE: u64 = 0x7000_0000;
/// Where the guest maps the header, below 2 GiB as well.
pub const HEADER_BASE: u64 = 0x7010_0000;
/// End of what the runner has below 4 GiB. It is kept small: values of 32 bits are common as addresses by accident.
pub const RUNNER_END: u64 = HEADER_BASE + HEADER_SIZE;
/// Byte `i` of the shared file is at this address plus `i`, if it belongs to the input or output part or the frames.
pub const SHARED_BASE: u64 = 0xc_0000_0000;
/// First address that the shared file does not use.
pub const SHARED_END: u64 = 0xc_1000_0000;
/// Alignment of the parts of the shared file: the largest page size of any host (ARM64 with 64 KiB pages).
pub const PART_ALIGNMENT: u64 = 0x1_0000;
/// Bytes set aside for the header.
pub const HEADER_SIZE: u64 = PART_ALIGNMENT;
/// Bytes in a page of guest memory.
pub const PAGE: u64 = 4096;
/// Unit in which changed memory is reported.
pub const LINE: usize = 64;

/// [`Header::components`]: bits 128..255 of vector registers can be loaded and stored.
pub const COMPONENT_AVX: u32 = 1;
/// [`Header::components`]: ZMM0..31 and opmask registers can be loaded and stored.
pub const COMPONENT_AVX512: u32 = 2;
/// [`Header::components`]: RDFSBASE and friends work; otherwise `arch_prctl` is used and the end value not read.
pub const COMPONENT_FSGSBASE: u32 = 4;

/// [`Header::system`]: a process can have a child and wait for it.
pub const SYSTEM_FORK: u64 = 1;
/// [`Header::system`]: `preadv` and `pwritev` move bytes between memory and the shared file, which [`MODE_COPY`] needs.
pub const SYSTEM_COPY: u64 = 2;
/// [`Header::system`]: a fault comes back to the handler, on the stack that was set aside for it, wherever RSP points.
pub const SYSTEM_FAULT: u64 = 4;

/// [`Header::system`]: segment registers can be loaded with null selectors.
pub const SYSTEM_SELECTORS: u64 = 8;

/// [`Header::mode`]: the guest compares and resets writable pages itself (fast on a CPU, slow under an emulator).
pub const MODE_SCAN: u32 = 0;
/// [`Header::mode`]: one `preadv` resets all writable pages, one `pwritev` captures them.
pub const MODE_COPY: u32 = 1;

/// Value of [`RunOutput::exit`] when a signal ended the run; [`RunOutput::fault`] says which.
pub const EXIT_FAULT: u32 = 0xffff_ffff;
/// Value of [`RunOutput::exit`] before a run; an output that still has it was not run.
pub const EXIT_NONE: u32 = 0xffff_fffe;

/// Bytes of an exit stub: `mov dword [exit], imm32; jmp [capture]`, both with 32-bit absolute addresses, so that
/// no register, flag or stack slot of the block is touched.
pub const STUB_SIZE: usize = 18;

/// What a CPUID leaf returns: EAX, EBX, ECX, EDX.
pub type Leaf = [u32; 4];

/// Start of the shared file.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Header {
    /// [`MAGIC`], written by the host, checked by the guest.
    pub magic: u64,
    /// [`VERSION`].
    pub version: u32,
    /// Set to 1 by the guest once the fields below, up to `hwcap2`, are filled.
    pub ready: u32,
    /// File offset and length of the input part.
    pub input_offset: u64,
    /// Length of the input part in bytes.
    pub input_size: u64,
    /// File offset of the output part.
    pub output_offset: u64,
    /// Length of the output part in bytes.
    pub output_size: u64,
    /// File offset of the frames.
    pub frames_offset: u64,
    /// Length of the frames in bytes.
    pub frames_size: u64,

    /// Set of `COMPONENT_*`, found by the guest.
    pub components: u32,
    /// Host page size as the guest is told (AT_PAGESZ).
    pub page_size: u32,
    /// XCR0, 0 when XGETBV is not available.
    pub xcr0: u64,
    /// CPUID leaf 0: highest leaf and vendor.
    pub leaf0: Leaf,
    /// CPUID leaf 1: family, model, stepping, features.
    pub leaf1: Leaf,
    /// CPUID leaf 7, subleaf 0: features.
    pub leaf7: Leaf,
    /// CPUID leaf 7, subleaf 1: features.
    pub leaf7_1: Leaf,
    /// CPUID leaf 0x8000_0001: features.
    pub leaf_ext1: Leaf,
    /// CPUID leaf 0x8000_0008: EBX has features.
    pub leaf_ext8: Leaf,
    /// CPUID leaf 0xd, subleaf 1: features of the XSAVE family.
    pub leaf_d1: Leaf,
    /// CPUID leaves 0x8000_0002..4: brand string.
    pub brand: [Leaf; 3],
    /// CPUID leaf 0x4000_0000: hypervisor or emulator signature.
    pub hypervisor: Leaf,
    /// CPUID leaf 0x4000_0001 and the three that follow: FEX puts its version there.
    pub hypervisor1: [Leaf; 4],
    /// AT_HWCAP2.
    pub hwcap2: u64,
    /// Which register of an FXRSTOR image is ST(0) when TOP is 1, or how else they are loaded: [`X87_STACK`], [`X87_PHYSICAL`]
    /// or [`X87_PUSHED`]; anything else where they are not loaded at all.
    pub x87_order: u64,
    /// What the engine's system calls do, found by the guest: set of `SYSTEM_*`.
    pub system: u64,

    /// One of `MODE_*`.
    pub mode: u32,
    /// End of the runs to do.
    pub run_count: u32,
    /// First run to do; those before it are done already or given up.
    pub first_run: u32,
    /// Number of [`WireBlock`]s.
    pub block_count: u32,
    /// Number of [`MapStep`]s to do before anything else: code of the batch before goes, new code comes. Fresh
    /// mappings also tell an emulator to forget its translations.
    pub prologue_step_count: u32,
    /// Who does the batch: [`ITSELF`], or [`CHILD_WANTED`], which becomes [`CHILD_DONE`] or how the child ended.
    pub child: u32,
    /// File offset of the [`WireBlock`]s.
    pub blocks: u64,
    /// File offset of the [`MapStep`]s: first those of the prologue.
    pub steps: u64,
    /// File offset of the [`WirePage`]s.
    pub writable: u64,
    /// File offset of the [`WireReached`]s.
    pub reached: u64,
    /// File offset of the [`WireFill`]s.
    pub fills: u64,
    /// File offset of the [`RunInput`]s.
    pub runs: u64,
    /// File offset of the [`VectorFile`]s.
    pub vectors: u64,
    /// File offset of the [`RunOutput`]s.
    pub outputs: u64,
    /// File offset of the [`VectorFile`]s after the runs, one for each.
    pub end_vectors: u64,
    /// File offset of the [`WireLine`]s.
    pub lines: u64,

    /// Written by the guest: the run it is at. With `EXIT_NONE` in its output, that run did not end.
    pub current_run: u32,
    /// Number of [`WireLine`]s, zero at the start of a batch; the guest adds.
    pub line_count: u32,
    /// Written by the guest: 1 + index of a [`MapStep`] that the engine refused, 0 if none.
    pub failed_step: u32,
    /// Written by exit stubs: which exit was taken.
    pub exit: u32,
    /// Address of the capture routine, filled in by the guest; exit stubs jump through it.
    pub capture: u64,
    /// Written by the guest when a signal arrives that no block can have caused: signal number and RIP.
    pub fatal_signal: u64,
    /// See `fatal_signal`.
    pub fatal_rip: u64,
    /// [`MAGIC`] again; a different value after a batch means that a block wrote over the header.
    pub canary: u64,
}

/// [`Header::x87_order`]: the first, as the manual says (Intel SDM volume 1, table 10-2): images begin with ST(0).
pub const X87_STACK: u64 = 0;
/// [`Header::x87_order`]: the second: images are taken to begin with the physical register 0.
pub const X87_PHYSICAL: u64 = 1;
/// [`Header::x87_order`]: FXRSTOR does not load them: FLD does, one by one, from [`VectorFile::fx`] in physical order, and then
/// FLDENV from [`X87_ENVIRONMENT`]; MMX registers, which such an engine keeps apart, are loaded from the same places. How they
/// end is not stored.
pub const X87_PUSHED: u64 = 2;
/// Where in [`VectorFile::fx`] FLDENV finds its 28 bytes with [`X87_PUSHED`]: FXRSTOR leaves what is there alone (Intel SDM
/// volume 1, table 10-2).
pub const X87_ENVIRONMENT: usize = 416;

/// [`Header::child`]: the guest does the batch itself.
pub const ITSELF: u32 = 0;
/// [`Header::child`]: the guest forks, its child does the batch, and the guest stays as it is. Still there when the guest
/// answers: it cannot fork.
pub const CHILD_WANTED: u32 = u32::MAX;
/// [`Header::child`]: the child has done the batch. No status of `wait4` is like that; any other value is one, of a child
/// that ended before.
pub const CHILD_DONE: u32 = u32::MAX - 1;

/// [`MapStep::protection`]: remove the mapping.
pub const UNMAP: u32 = 0;
/// [`MapStep::protection`]: loads only (PROT_READ).
pub const READ: u32 = 1;
/// [`MapStep::protection`]: loads and stores (PROT_READ | PROT_WRITE).
pub const READ_WRITE: u32 = 3;
/// [`MapStep::protection`]: code (PROT_READ | PROT_EXEC).
pub const EXECUTE: u32 = 5;
/// As [`EXECUTE`], but pages are taken as they are used: for a chunk of [`CODE_CHUNK`] bytes that stays mapped.
pub const EXECUTE_CHUNK: u32 = 0x105;
/// Bytes in a chunk of code that stays mapped from batch to batch (scan mode).
pub const CODE_CHUNK: u64 = 2 << 20;
/// [`MapStep::protection`]: everything (PROT_READ | PROT_WRITE | PROT_EXEC), for programs, which may hold code and data
/// in one page and change either.
pub const ALL: u32 = 7;
/// Added to a [`MapStep::protection`]: stores stay in the guest, so that each mapping starts from the file's bytes.
pub const PRIVATE: u32 = 8;
/// Added to a [`MapStep::protection`]: zero bytes instead of the file's, taken as they are used.
pub const ZERO: u32 = 16;
/// Added to a [`MapStep::protection`] of PROT_*: what is mapped there gets that protection, none if there is no bit.
pub const CHANGE: u32 = 32;
/// The bits of a [`MapStep::protection`] that are PROT_*.
pub const PROTECTION: u32 = 7;

/// One change to the address space of blocks.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct MapStep {
    /// Run-time address of the first page.
    pub address: u64,
    /// Where its bytes are in the file.
    pub offset: u64,
    /// Number of pages.
    pub pages: u32,
    /// One of [`UNMAP`], [`READ`], [`READ_WRITE`], [`EXECUTE`], [`EXECUTE_CHUNK`]; [`CHANGE`] with nothing, [`READ`] or
    /// [`READ_WRITE`]; or [`ALL`] with [`PRIVATE`] or [`ZERO`].
    pub protection: u32,
}

/// [`WireBlock::kind`]: straight-line code that leaves by exit stubs.
pub const KIND_BLOCK: u32 = 0;
/// [`WireBlock::kind`]: a whole program that runs until a signal; the byte at which that comes is noted.
pub const KIND_PROGRAM: u32 = 1;
/// [`WireBlock::kind`]: as [`KIND_BLOCK`], and it may load segment registers or write their bases, which are put back after
/// each run. Where the guest cannot read bases it does not see that they were written.
pub const KIND_SEGMENTS: u32 = 2;
/// [`RunOutput::at_rip`]: the lowest eight bits are the byte that RIP pointed at.
pub const AT_RIP_READ: u32 = 0x100;

/// [`WireBlock::untouched`]: no instruction stores to memory. Pages are reset before the first run and looked at after the
/// last one.
pub const SKIP_MEMORY: u32 = 1;
/// [`WireBlock::untouched`]: no instruction has to do with x87 or MMX state. All runs but the last neither load nor store it.
pub const SKIP_X87: u32 = 2;
/// [`WireBlock::untouched`]: no instruction has to do with vector or opmask registers or MXCSR. All runs but the last
/// neither load nor store them.
pub const SKIP_VECTORS: u32 = 4;
/// [`WireBlock::untouched`]: no instruction stores to other lines than the run's [`WireReached`]s name. In all runs but the last
/// the guest looks at those alone and puts them back; before the last one all lines are looked at, for the host to see whether
/// another one has changed.
pub const SKIP_OTHER_LINES: u32 = 8;

/// [`RunOutput::stored`]: the x87 part of [`VectorFile::fx`] is in the output.
pub const STORED_X87: u64 = 1 << 32;
/// [`RunOutput::stored`]: MXCSR, in [`VectorFile::fx`], and the opmask registers are in the output.
pub const STORED_CONTROL: u64 = 1 << 33;

/// A block and its runs.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct WireBlock {
    /// Index of the first of its runs.
    pub first_run: u32,
    /// Number of its runs.
    pub run_count: u32,
    /// Index of the first of its mapping steps.
    pub first_step: u32,
    /// Number of its mapping steps.
    pub step_count: u32,
    /// Index of the first of its writable pages.
    pub first_writable: u32,
    /// Number of its writable pages.
    pub writable_count: u32,
    /// Index of the first of its fills.
    pub first_fill: u32,
    /// Number of its fills.
    pub fill_count: u32,
    /// File offset of what the writable pages hold before each run, one after the other (copy mode).
    pub pristine: u64,
    /// File offset where the writable pages go (copy mode), page after page: first those before the last run, when the
    /// block has [`SKIP_OTHER_LINES`], then those after each run. For a program, where the byte at RIP goes.
    pub captured: u64,
    /// One of `KIND_*`.
    pub kind: u32,
    /// Set of `SKIP_*`: what the block, by its instructions, neither reads nor changes. The last run that is done
    /// is done in full all the same, so that the host sees whether that is true.
    pub untouched: u32,
}

/// A writable page of a block.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct WirePage {
    /// Run-time address.
    pub address: u64,
    /// File offset of what it holds before each run (scan mode).
    pub pristine: u64,
}

/// A frame that holds something else yet and is to be filled before the first run of a block (scan mode).
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct WireFill {
    /// File offset of the frame.
    pub frame: u64,
    /// File offset of the page that goes there.
    pub content: u64,
}

/// A line that a run may store to, in a writable page of its block.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct WireReached {
    /// Run-time address.
    pub address: u64,
    /// File offset of what it holds before the run.
    pub pristine: u64,
}

/// Start state of a run, vectors apart.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct RunInput {
    /// General-purpose registers in encoding order.
    pub gpr: [u64; 16],
    /// RFLAGS.
    pub rflags: u64,
    /// FS base.
    pub fs_base: u64,
    /// GS base.
    pub gs_base: u64,
    /// Run-time address of the block.
    pub target: u64,
    /// Index of the [`VectorFile`].
    pub vectors: u32,
    /// 1 when bits 128 and up of vector registers 0..15 are zero: they are then cleared, not loaded, which spares
    /// legacy SSE code the penalty for dirty upper halves.
    pub clean: u32,
    /// Index of the first line that it may store to, with [`SKIP_OTHER_LINES`].
    pub first_reached: u32,
    /// Number of these lines, which are in ascending order.
    pub reached_count: u32,
}

/// x87, MXCSR, vector and opmask registers.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct VectorFile {
    /// The 512 bytes of FXSAVE64 (Intel SDM volume 1, table 10-2).
    pub fx: [u8; 512],
    /// ZMM0..31. Without AVX-512 only the first 32 bytes of the first 16 are loaded and stored; without AVX the first
    /// 16 are stored, and loaded from `fx`.
    pub zmm: [[u8; 64]; 32],
    /// k0..7.
    pub opmask: [u64; 8],
}

/// A signal as the handler saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Fault {
    /// Signal number.
    pub signal: u32,
    /// `si_code`.
    pub code: i32,
    /// `si_addr`.
    pub address: u64,
    /// RIP in the signal frame.
    pub rip: u64,
    /// RFLAGS in the signal frame.
    pub rflags: u64,
    /// Page-fault error code in the signal frame.
    pub error: u64,
}

/// [`RunOutput::line_count`]: the writable pages were captured as a whole (copy mode).
pub const CAPTURED_PAGES: u32 = u32::MAX;

/// End state of a run, x87 and vectors apart.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct RunOutput {
    /// General-purpose registers in encoding order.
    pub gpr: [u64; 16],
    /// RFLAGS.
    pub rflags: u64,
    /// FS base.
    pub fs_base: u64,
    /// GS base.
    pub gs_base: u64,
    /// The exit that was taken, as its stub says, or [`EXIT_FAULT`].
    pub exit: u32,
    /// Number of changed lines, or [`CAPTURED_PAGES`].
    pub line_count: u32,
    /// Index of the first changed line.
    pub first_line: u32,
    /// For a program that a signal ended: [`AT_RIP_READ`] and the byte at its RIP, 0 when that cannot be read.
    pub at_rip: u32,
    /// Bit n: ZMMn is in the run's [`VectorFile`]; and [`STORED_X87`], [`STORED_CONTROL`]. What has its bit clear is as it
    /// was before the run: most runs change no vector register, and 2 KB less a run is what fits the caches.
    pub stored: u64,
    /// Meaningful when `exit` is [`EXIT_FAULT`].
    pub fault: Fault,
    /// Lines that earlier runs of the block have changed against [`SKIP_OTHER_LINES`] (in the last run, scan mode).
    pub stray_lines: u64,
}

/// A changed line of memory.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct WireLine {
    /// Run-time address.
    pub address: u64,
    /// Content after the run.
    pub bytes: [u8; LINE],
}
