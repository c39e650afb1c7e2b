//! Finds out what the engine's system calls do. Emulators know some of them only, and one that is told to do another may
//! end for it: so a child tries, and notes in the header what it has done so far.

use crate::cpu;
use crate::layout::{Header, MAGIC, SYSTEM_COPY, SYSTEM_FAULT, SYSTEM_FORK, SYSTEM_SELECTORS};
use crate::signals;
use crate::sys::{self, IoVec};

/// Longest time for all that is tried, where the engine has timers.
const SECONDS: u64 = 5;

/// Notes in `header`, which is that of the shared file `fd`, what can be done.
pub fn find_abilities(header: *mut Header, fd: i32) {
    let forks = in_child(|| {
        if copies(fd) {
            note(header, SYSTEM_COPY);
        }
        signals::expect_fault(SYSTEM_FAULT);
        signals::fault_without_stack();
    });
    if forks {
        note(header, SYSTEM_FORK);
        in_child(|| {
            cpu::reset_selectors();
            note(header, SYSTEM_SELECTORS);
        });
        return;
    }
    // Nobody else can try. Of what would end the process the engine is taken to do it.
    note(header, SYSTEM_FAULT | SYSTEM_SELECTORS);
    if copies(fd) {
        note(header, SYSTEM_COPY);
    }
}

/// Has a child do it, however that ends; false where there can be none.
fn in_child(attempt: impl FnOnce()) -> bool {
    let parent = sys::process_id();
    let child = sys::fork();
    if child == 0 {
        // An engine may say that this is the child and have made none.
        if sys::process_id() == parent {
            return false;
        }
        sys::alarm(SECONDS);
        attempt();
        sys::exit(0);
    }
    child > 0 && sys::wait(child).is_some()
}

/// Whether the file's first bytes can be fetched and put back.
fn copies(fd: i32) -> bool {
    let mut magic = 0_u64;
    let piece = IoVec {
        base: (&raw mut magic) as u64,
        length: 8,
    };
    sys::preadv(fd, &raw const piece, 1, 0) == 8
        && magic == MAGIC
        && sys::pwritev(fd, &raw const piece, 1, 0) == 8
}

/// Adds `ability` to those in the header.
pub fn note(header: *mut Header, ability: u64) {
    // SAFETY: the header is mapped, and the process that shares it waits meanwhile.
    unsafe {
        let system = &raw mut (*header).system;
        system.write_volatile(system.read_volatile() | ability);
    }
}
