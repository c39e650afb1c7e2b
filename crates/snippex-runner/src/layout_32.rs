//! What the 32-bit runner and the host agree on: a program on its standard input, how that ended on its standard output.
//!
//! It runs one program and ends. The host writes [`PLAN_SIZE`] bytes of plan, then the contents of the pages that have some.
//! The runner answers with a greeting, and when a signal has ended the program with its end and, where EIP can be read, one byte
//! more: the one at EIP. All numbers are of 32 bits, the lowest byte first.

/// Where the runner lies: in the part of the address space that no program can have.
pub const BASE: u32 = 0x7000_0000;
/// Most bytes of its code.
pub const MAX_CODE_SIZE: u32 = 0x1000;
/// Where it keeps the plan.
pub const PLAN: u32 = BASE + 0x1000;
/// Bytes of a plan.
pub const PLAN_SIZE: u32 = 0x2000;
/// Where it keeps its greeting.
pub const GREETING: u32 = BASE + 0x3000;
/// Where it keeps how the program ended.
pub const END: u32 = BASE + 0x4000;
/// Where its signal stack lies.
pub const SIGNAL_STACK: u32 = BASE + 0x8000;
/// Room for a frame with every state component a present CPU has (11 KiB), several times.
pub const SIGNAL_STACK_SIZE: u32 = 0x1_0000;
/// Bytes of memory, a page behind the signal stack included: what a short frame is followed by is read with it.
pub const MEMORY_SIZE: u32 = 0x1_9000;

/// In a plan: number of mappings.
pub const PLAN_MAPPINGS: u32 = 0;
/// In a plan: where the program starts.
pub const PLAN_EIP: u32 = 4;
/// In a plan: EFLAGS.
pub const PLAN_EFLAGS: u32 = 8;
/// In a plan: the eight general registers in the order of their encoding.
pub const PLAN_REGISTERS: u32 = 16;
/// In a plan: x87, MXCSR and XMM0 to 7 as FXRSTOR takes them.
pub const PLAN_FXSAVE: u32 = 64;
/// In a plan: mappings, each an address, a number of bytes, and 1 where its content follows, else 0.
pub const PLAN_TABLE: u32 = PLAN_FXSAVE + FXSAVE_SIZE;
/// Bytes of a mapping in a plan.
pub const MAPPING_SIZE: u32 = 12;
/// Most mappings of a plan.
pub const MAX_MAPPINGS: u32 = (PLAN_SIZE - PLAN_TABLE) / MAPPING_SIZE;

/// Begins a greeting: `SN32`.
pub const GREETING_MAGIC: u32 = u32::from_le_bytes(*b"SN32");
/// Bytes of a greeting: the magic, the status, and 1 where AVX is enabled, else 0.
pub const GREETING_SIZE: u32 = 12;
/// Status of a greeting: the program starts now.
pub const STATUS_READY: u32 = 0;
/// Status of a greeting: a mapping is not where it has to be.
pub const STATUS_UNMAPPABLE: u32 = 1;

/// Begins an end: `EN32`.
pub const END_MAGIC: u32 = u32::from_le_bytes(*b"EN32");
/// In an end: the signal.
pub const END_SIGNAL: u32 = 4;
/// In an end: 1 where the signal frame has a floating-point state, else 0.
pub const END_HAS_FRAME: u32 = 8;
/// In an end: the first [`SIGINFO_SIZE`] bytes of `siginfo_t`.
pub const END_SIGINFO: u32 = 16;
/// Bytes of `siginfo_t` that are kept: number, errno, code, address.
pub const SIGINFO_SIZE: u32 = 16;
/// In an end: `struct sigcontext_32` of Linux (`asm/sigcontext.h`).
pub const END_CONTEXT: u32 = END_SIGINFO + SIGINFO_SIZE;
/// Bytes of `struct sigcontext_32`.
pub const CONTEXT_SIZE: u32 = 88;
/// In an end: what FXSAVE says in the handler, which counts where the frame says nothing.
pub const END_FXSAVE: u32 = 128;
/// In an end: YMM0 to 7 in the handler, 32 bytes each.
pub const END_YMM: u32 = END_FXSAVE + FXSAVE_SIZE;
/// In an end: what `fpstate` of the context points to (`struct _fpstate_32`), as far as AVX goes.
pub const END_FRAME: u32 = END_YMM + 8 * 32;
/// In `struct _fpstate_32`: the FXSAVE image, behind that of FSAVE.
pub const FRAME_FXSAVE: u32 = 112;
/// In `struct _fpstate_32`: the header of XSAVE, and behind it the upper halves of YMM registers, 16 bytes each.
pub const FRAME_XSAVE: u32 = FRAME_FXSAVE + FXSAVE_SIZE;
/// Bytes of `struct _fpstate_32` that are kept: up to the upper half of YMM7.
pub const FRAME_SIZE: u32 = FRAME_XSAVE + 64 + 8 * 16;
/// Bytes of an end.
pub const END_SIZE: u32 = END_FRAME + FRAME_SIZE;
/// Bytes of an FXSAVE image.
pub const FXSAVE_SIZE: u32 = 512;

/// In `struct sigcontext_32`: the general registers in the order of their encoding.
pub const CONTEXT_REGISTERS: [u32; 8] = [44, 40, 36, 32, 28, 24, 20, 16];
/// In `struct sigcontext_32`: the error code of the fault.
pub const CONTEXT_ERROR: u32 = 52;
/// In `struct sigcontext_32`: EIP.
pub const CONTEXT_EIP: u32 = 56;
/// In `struct sigcontext_32`: EFLAGS.
pub const CONTEXT_EFLAGS: u32 = 64;
/// In `struct sigcontext_32`: the address of `struct _fpstate_32`.
pub const CONTEXT_FRAME: u32 = 76;

const _: () = {
    assert!(END_CONTEXT + CONTEXT_SIZE <= END_FXSAVE);
    assert!(PLAN + PLAN_SIZE <= GREETING && GREETING + GREETING_SIZE <= END);
    assert!(END + END_SIZE <= SIGNAL_STACK);
    assert!(SIGNAL_STACK + SIGNAL_STACK_SIZE + FRAME_SIZE <= BASE + MEMORY_SIZE);
    // FXSAVE and FXRSTOR want 16 bytes of alignment.
    assert!((PLAN + PLAN_FXSAVE).is_multiple_of(16) && (END + END_FXSAVE).is_multiple_of(16));
};
