//! The runner's main loop: wait for the doorbell, map code, run the batch or have a child run it, ring back.
//!
//! Freestanding: no libc, no allocation, no panic path that returns. Every address that code outside needs is in
//! the shared header.
#![no_std]
#![no_main]
// The layout is shared with the host, which uses the parts that the guest does not.
#![allow(dead_code)]

mod batch;
mod cpu;
#[path = "../src/layout.rs"]
mod layout;
mod memory;
mod probe;
mod signals;
mod switch;
mod sys;

use layout::{
    CHILD_DONE, CHILD_WANTED, HEADER_BASE, HEADER_SIZE, Header, MAGIC, SHARED_BASE, SHARED_END, VERSION,
};

/// Exit statuses that tell the host what went wrong before the header could.
mod status {
    pub const USAGE: i32 = 64;
    pub const CANNOT_OPEN: i32 = 66;
    pub const CANNOT_MAP: i32 = 71;
    pub const WRONG_LAYOUT: i32 = 76;
    pub const PANIC: i32 = 70;
}

/// A guest whose block never ends is killed by the host. Should the host be gone, it ends by itself after this time.
const ORPHAN_SECONDS: u64 = 900;

core::arch::global_asm!(
    ".globl _start",
    "_start:",
    "xor ebp, ebp",
    "mov rdi, rsp",
    "and rsp, -16",
    "call {main}",
    "ud2",
    main = sym runner_main,
);

/// The kernel leaves argc, argv, environment and auxiliary vector on the stack (System V ABI, section 3.4.1).
extern "C" fn runner_main(stack: *const u64) -> ! {
    // SAFETY: `stack` is the initial stack pointer; argc is followed by that many pointers and a null.
    let (path, auxv) = unsafe {
        let argc = *stack;
        if argc < 2 {
            sys::exit(status::USAGE);
        }
        let mut at = stack.add(1 + argc as usize + 1);
        while *at != 0 {
            at = at.add(1);
        }
        (*stack.add(2) as *const u8, at.add(1))
    };
    let fd = sys::open_read_write(path);
    if fd < 0 {
        sys::exit(status::CANNOT_OPEN);
    }
    let header = map_shared(fd);
    // SAFETY: the header is mapped for the life of the process and nothing else refers to it by reference.
    unsafe {
        (*header).capture = switch::capture_address();
        cpu::identify(&mut *header, auxv);
        signals::install((*header).capture, auxv);
        probe::find_abilities(header, fd);
        (*header).ready = 1;
    }
    loop {
        let mut token = 0_u64;
        if sys::read(0, (&raw mut token).cast(), 8) != 8 {
            sys::exit(0);
        }
        sys::alarm(ORPHAN_SECONDS);
        // SAFETY: the header is mapped, and the host waits.
        if unsafe { (*header).child } == CHILD_WANTED {
            run_in_child(header, fd);
        } else {
            batch::run(header, fd);
        }
        sys::alarm(0);
        if sys::write(1, (&raw const token).cast(), 8) != 8 {
            sys::exit(0);
        }
    }
}

/// Has a child do the batch, in a process that has run nothing before, and notes how that ended.
fn run_in_child(header: *mut Header, fd: i32) {
    let child = sys::fork();
    if child == 0 {
        // The parent's does not count here.
        sys::alarm(ORPHAN_SECONDS);
        batch::run(header, fd);
        // SAFETY: the header is mapped.
        unsafe { (&raw mut (*header).child).write_volatile(CHILD_DONE) };
        // An emulator that is told of the end may first clear up its translations, for as long as all else takes.
        sys::kill_itself();
        sys::exit(0);
    }
    if child > 0
        && let Some(status) = sys::wait(child)
    {
        // SAFETY: the header is mapped, and the child is gone.
        unsafe {
            let noted = &raw mut (*header).child;
            if noted.read_volatile() != CHILD_DONE {
                noted.write_volatile(status);
            }
        }
    }
}

/// Maps the header, then input, output and frames.
fn map_shared(fd: i32) -> *mut Header {
    let read_write = sys::PROT_READ | sys::PROT_WRITE;
    if !sys::map_shared(HEADER_BASE, HEADER_SIZE, read_write, fd, 0) {
        sys::exit(status::CANNOT_MAP);
    }
    let header = HEADER_BASE as *mut Header;
    // SAFETY: just mapped; the host has written the fields that are read here before it started the guest.
    let view = unsafe { &*header };
    if view.magic != MAGIC || view.version != VERSION {
        sys::exit(status::WRONG_LAYOUT);
    }
    if SHARED_BASE + view.frames_offset + view.frames_size > SHARED_END {
        sys::exit(status::WRONG_LAYOUT);
    }
    let parts = [
        (view.input_offset, view.input_size, sys::PROT_READ),
        (view.output_offset, view.output_size, read_write),
        (view.frames_offset, view.frames_size, read_write),
    ];
    for (offset, size, protection) in parts {
        if !sys::map_shared(SHARED_BASE + offset, size, protection, fd, offset) {
            sys::exit(status::CANNOT_MAP);
        }
    }
    header
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    sys::exit(status::PANIC)
}
