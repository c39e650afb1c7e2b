//! The few system calls of the runner.
//!
//! With `cfg(libc)` those come from libc that an emulator may do better there. box64 knows the alternate signal stack only of
//! programs that call libc, and of `preadv` and `pwritev` no system calls at all.

use core::arch::asm;

pub const PROT_NONE: u64 = 0;
pub const PROT_READ: u64 = 1;
pub const PROT_WRITE: u64 = 2;
pub const PROT_EXEC: u64 = 4;

const MAP_SHARED: u64 = 0x01;
const MAP_PRIVATE: u64 = 0x02;
const MAP_ANONYMOUS: u64 = 0x20;
const MAP_NORESERVE: u64 = 0x4000;
const MAP_POPULATE: u64 = 0x8000;
const MAP_FIXED_NOREPLACE: u64 = 0x10_0000;

const SYS_READ: u64 = 0;
const SYS_WRITE: u64 = 1;
const SYS_OPEN: u64 = 2;
const SYS_MMAP: u64 = 9;
const SYS_MPROTECT: u64 = 10;
const SYS_MUNMAP: u64 = 11;
const SYS_RT_SIGACTION: u64 = 13;
const SYS_SIGALTSTACK: u64 = 131;
const SYS_SETITIMER: u64 = 38;
const SYS_GETPID: u64 = 39;
const SYS_FORK: u64 = 57;
const SYS_WAIT4: u64 = 61;
const SYS_KILL: u64 = 62;
const SYS_ARCH_PRCTL: u64 = 158;
const SYS_EXIT_GROUP: u64 = 231;
const SYS_PREADV: u64 = 295;
const SYS_PWRITEV: u64 = 296;

/// One piece of memory for [`preadv`] and [`pwritev`].
#[derive(Clone, Copy)]
#[repr(C)]
pub struct IoVec {
    pub base: u64,
    pub length: u64,
}

fn call(number: u64, a: u64, b: u64, c: u64, d: u64, e: u64, f: u64) -> i64 {
    let result: i64;
    // SAFETY: the system call convention of Linux on x86-64; callers pass arguments that are valid for the call.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as i64 => result,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e, in("r9") f,
            lateout("rcx") _, lateout("r11") _,
        );
    }
    result
}

pub fn exit(status: i32) -> ! {
    loop {
        call(SYS_EXIT_GROUP, status as u64, 0, 0, 0, 0, 0);
    }
}

/// `path` is a C string.
pub fn open_read_write(path: *const u8) -> i32 {
    const O_RDWR: u64 = 2;
    call(SYS_OPEN, path as u64, O_RDWR, 0, 0, 0, 0) as i32
}

pub fn read(fd: i32, buffer: *mut u8, length: u64) -> i64 {
    call(SYS_READ, fd as u64, buffer as u64, length, 0, 0, 0)
}

pub fn write(fd: i32, buffer: *const u8, length: u64) -> i64 {
    call(SYS_WRITE, fd as u64, buffer as u64, length, 0, 0, 0)
}

/// Maps a part of the shared file at exactly `address`; false when something is there already or the engine puts
/// it elsewhere (qemu-user may).
pub fn map_shared(address: u64, length: u64, protection: u64, fd: i32, offset: u64) -> bool {
    map(
        address,
        length,
        protection,
        MAP_SHARED | MAP_FIXED_NOREPLACE,
        fd,
        offset,
    )
}

/// As [`map_shared`], and saves the page faults of first use.
pub fn map_populated(address: u64, length: u64, protection: u64, fd: i32, offset: u64) -> bool {
    map(
        address,
        length,
        protection,
        MAP_SHARED | MAP_FIXED_NOREPLACE | MAP_POPULATE,
        fd,
        offset,
    )
}

/// As [`map_shared`], but stores stay in this process.
pub fn map_private(address: u64, length: u64, protection: u64, fd: i32, offset: u64) -> bool {
    let flags = MAP_PRIVATE | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
    map(address, length, protection, flags, fd, offset)
}

/// As [`map_private`], of zero bytes.
pub fn map_zero(address: u64, length: u64, protection: u64) -> bool {
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
    map(address, length, protection, flags, -1, 0)
}

fn map(address: u64, length: u64, protection: u64, flags: u64, fd: i32, offset: u64) -> bool {
    let result = call(SYS_MMAP, address, length, protection, flags, fd as u64, offset) as u64;
    if result == address {
        return true;
    }
    if result < 0xffff_ffff_ffff_f000 {
        unmap(result, length);
    }
    false
}

pub fn unmap(address: u64, length: u64) {
    call(SYS_MUNMAP, address, length, 0, 0, 0, 0);
}

pub fn protect(address: u64, length: u64, protection: u64) -> bool {
    call(SYS_MPROTECT, address, length, protection, 0, 0, 0) == 0
}

#[cfg(libc)]
mod libc {
    unsafe extern "C" {
        pub fn sigaction(signal: i32, action: *const super::LibcAction, old: *mut super::LibcAction) -> i32;
        pub fn sigaltstack(stack: *const u64, old: *mut u64) -> i32;
        pub fn preadv(fd: i32, pieces: *const super::IoVec, count: i32, offset: i64) -> i64;
        pub fn pwritev(fd: i32, pieces: *const super::IoVec, count: i32, offset: i64) -> i64;
        pub fn alarm(seconds: u32) -> u32;
        pub fn fork() -> i32;
    }
}

/// `struct sigaction` of glibc on x86-64.
#[cfg(libc)]
#[repr(C)]
pub struct LibcAction {
    handler: u64,
    mask: [u64; 16],
    flags: i32,
    restorer: u64,
}

/// `pieces` points to `count` of them.
pub fn preadv(fd: i32, pieces: *const IoVec, count: u64, offset: u64) -> i64 {
    #[cfg(libc)]
    // SAFETY: as for the system call: the callers' pieces are theirs.
    return unsafe { libc::preadv(fd, pieces, count as i32, offset as i64) };
    #[cfg(not(libc))]
    call(SYS_PREADV, fd as u64, pieces as u64, count, offset, 0, 0)
}

/// As [`preadv`].
pub fn pwritev(fd: i32, pieces: *const IoVec, count: u64, offset: u64) -> i64 {
    #[cfg(libc)]
    // SAFETY: as for the system call: the callers' pieces are theirs.
    return unsafe { libc::pwritev(fd, pieces, count as i32, offset as i64) };
    #[cfg(not(libc))]
    call(SYS_PWRITEV, fd as u64, pieces as u64, count, offset, 0, 0)
}

/// Ends the process by SIGALRM after so many seconds; 0 calls that off. More emulators have this call than `alarm`.
pub fn alarm(seconds: u64) {
    #[cfg(libc)]
    // SAFETY: it takes a number.
    unsafe {
        libc::alarm(seconds as u32);
    }
    #[cfg(not(libc))]
    {
        const ITIMER_REAL: u64 = 0;
        // Interval, then time to the first: each of seconds and microseconds.
        let timer = [0, 0, seconds, 0];
        call(SYS_SETITIMER, ITIMER_REAL, timer.as_ptr() as u64, 0, 0, 0, 0);
    }
}

/// 0 in the child, in the parent the child's process id, or an error.
pub fn fork() -> i64 {
    #[cfg(libc)]
    // SAFETY: single-threaded, and nothing here depends on what libc does in a child.
    return i64::from(unsafe { libc::fork() });
    #[cfg(not(libc))]
    call(SYS_FORK, 0, 0, 0, 0, 0, 0)
}

/// The number of this process.
pub fn process_id() -> i64 {
    call(SYS_GETPID, 0, 0, 0, 0, 0, 0)
}

/// Ends the process by SIGKILL.
pub fn kill_itself() {
    const SIGKILL: u64 = 9;
    call(SYS_KILL, process_id() as u64, SIGKILL, 0, 0, 0, 0);
}

/// How the child `process` ended, when it has.
pub fn wait(process: i64) -> Option<u32> {
    let mut status = 0_u32;
    let waited = call(SYS_WAIT4, process as u64, (&raw mut status) as u64, 0, 0, 0, 0);
    (waited == process).then_some(status)
}

/// Makes `handler` that of `signal`. `flags` are of `SA_*`; `restorer` is what the kernel lets the handler return to.
pub fn sigaction(signal: u64, handler: u64, flags: u64, restorer: u64) {
    #[cfg(libc)]
    {
        let _ = restorer;
        let action = LibcAction {
            handler,
            mask: [0; 16],
            flags: flags as i32,
            restorer: 0,
        };
        // SAFETY: the action is one, and the old one is not asked for.
        unsafe { libc::sigaction(signal as i32, &raw const action, core::ptr::null_mut()) };
    }
    #[cfg(not(libc))]
    {
        const SA_RESTORER: u64 = 0x0400_0000;
        let action = [handler, flags | SA_RESTORER, restorer, 0];
        call(SYS_RT_SIGACTION, signal, action.as_ptr() as u64, 0, 8, 0, 0);
    }
}

/// `stack` points to a `stack_t`.
pub fn sigaltstack(stack: *const u64) {
    #[cfg(libc)]
    // SAFETY: the caller's stack is one, and the old one is not asked for.
    unsafe {
        libc::sigaltstack(stack, core::ptr::null_mut());
    }
    #[cfg(not(libc))]
    call(SYS_SIGALTSTACK, stack as u64, 0, 0, 0, 0, 0);
}

/// `ARCH_SET_FS` or `ARCH_SET_GS`.
pub fn arch_prctl(code: u64, address: u64) -> i64 {
    call(SYS_ARCH_PRCTL, code, address, 0, 0, 0, 0)
}
