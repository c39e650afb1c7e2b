//! The runner: one static x86-64 program that every engine executes, and the wire layout it shares with the host.
//!
//! `guest/` is freestanding code (no libc, no allocation) that `build.rs` compiles with the toolchain's own
//! compiler and linker; this crate embeds the result. The host writes blocks, start states and pages into a shared
//! file that has the layout of [`layout`]; the guest runs them and leaves end states there.
//!
//! ```
//! assert_eq!(&snippex_runner::RUNNER[..4], b"\x7fELF");
//! ```
//!
//! This crate starts no process and knows no engine: that is `snippex-exec`.

pub mod layout;
pub mod layout_32;

/// The runner as a static x86-64 ELF executable.
pub static RUNNER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/runner"));

/// The runner as an x86-64 ELF executable that needs libc: for an engine that has its own in place of it, and does more for
/// who calls it than for who makes system calls.
pub static LIBC_RUNNER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/libc-runner"));

/// The runner of 32-bit programs as a static i386 ELF executable; [`layout_32`] is what it shares with the host.
///
/// ```
/// // ELFCLASS32
/// assert_eq!(snippex_runner::RUNNER_32[4], 1);
/// ```
pub static RUNNER_32: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/runner-32"));
