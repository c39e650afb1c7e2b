//! Signals are results: the handler notes what happened and lets the kernel resume at the capture routine, which
//! then sees every register as the block left it.
//!
//! Resuming by `sigreturn` instead of jumping out of the handler costs 0.4 us more and is right everywhere: FEX
//! leaks host stack otherwise, and vectors need not be picked out of the frame. On a
//! CPU most runs have to do with general registers only: those are jumped out of.

use crate::cpu;
use crate::layout::{EXIT_FAULT, Fault, HEADER_BASE, Header, RUNNER_BASE};
use crate::{switch, sys};

const SIGILL: u64 = 4;
const SIGTRAP: u64 = 5;
const SIGBUS: u64 = 7;
const SIGFPE: u64 = 8;
const SIGSEGV: u64 = 11;

const SA_SIGINFO: u64 = 4;
const SA_ONSTACK: u64 = 0x0800_0000;
/// A handler that is jumped out of must not leave its signal blocked.
const SA_NODEFER: u64 = 0x4000_0000;

/// Offset of the general registers in `ucontext_t`, and indices in them (Linux `asm/sigcontext.h`).
const UC_REGISTERS: usize = 40;
const REG_RIP: usize = 16;
const REG_EFLAGS: usize = 17;
const REG_ERROR: usize = 19;

/// Room for a frame with every state component a present CPU has (AMX included: 11 KiB), twice.
const STACK_SIZE: usize = 0x1_0000;

#[repr(C, align(4096))]
struct SignalStack([u8; STACK_SIZE]);

static mut STACK: SignalStack = SignalStack([0; STACK_SIZE]);
/// The signal that ended the run under way.
pub static mut FAULT: Fault = Fault {
    signal: 0,
    code: 0,
    address: 0,
    rip: 0,
    rflags: 0,
    error: 0,
};
static mut CAPTURE: u64 = 0;
/// What is to be noted of a fault of the runner itself, which then ends: set while abilities are found out.
static mut EXPECTED: u64 = 0;

core::arch::global_asm!(
    ".globl signal_entry",
    "signal_entry:",
    // AC, NT and (under qemu) DF of the block survive into the handler (trap 6).
    "push 0x202",
    "popfq",
    "jmp {handle}",
    ".globl signal_return",
    "signal_return:",
    "mov eax, 15",
    "syscall",
    handle = sym handle,
);

unsafe extern "C" {
    fn signal_entry();
    fn signal_return();
}

/// Installs the handler for every signal that an instruction can raise.
pub fn install(capture: u64, auxv: *const u64) {
    let size = STACK_SIZE as u64;
    if cpu::minimum_signal_stack(auxv) > size {
        sys::exit(crate::status::CANNOT_MAP);
    }
    // SAFETY: single-threaded; no signal can arrive yet.
    unsafe { CAPTURE = capture };
    let stack = [(&raw const STACK) as u64, 0, size];
    sys::sigaltstack(stack.as_ptr());
    let flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    let (handler, restorer) = (signal_entry as *const () as u64, signal_return as *const () as u64);
    for signal in [SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV] {
        sys::sigaction(signal, handler, flags, restorer);
    }
}

/// Has the next fault noted in the header as `ability`, and end the process.
pub fn expect_fault(ability: u64) {
    // SAFETY: single-threaded; no signal can arrive yet.
    unsafe { EXPECTED = ability };
}

/// Reads where nothing is, while RSP points there as well: what the handler finds there cannot be its stack.
pub fn fault_without_stack() {
    // SAFETY: the handler does not come back. Should the read not fault, RSP is what it was.
    unsafe {
        core::arch::asm!(
            "mov {kept}, rsp", "mov esp, 0x5000", "mov {read}, [rsp]", "mov rsp, {kept}",
            kept = out(reg) _, read = out(reg) _,
        );
    }
}

/// `info` is a `siginfo_t`, `context` a `ucontext_t`.
extern "C" fn handle(signal: u32, info: *const u8, context: *mut u8) {
    // SAFETY: the kernel passes valid pointers; offsets are those of the ABI; the shared header is mapped.
    unsafe {
        let registers = context.add(UC_REGISTERS).cast::<u64>();
        let rip = *registers.add(REG_RIP);
        let header = HEADER_BASE as *mut Header;
        if (&raw const EXPECTED).read() != 0 {
            crate::probe::note(header, EXPECTED);
            sys::exit(0);
        }
        if (RUNNER_BASE..HEADER_BASE).contains(&rip) {
            (*header).fatal_signal = u64::from(signal);
            (*header).fatal_rip = rip;
            sys::exit(crate::status::PANIC);
        }
        FAULT = Fault {
            signal,
            code: *info.add(8).cast::<i32>(),
            address: *info.add(16).cast::<u64>(),
            rip,
            rflags: *registers.add(REG_EFLAGS),
            error: *registers.add(REG_ERROR),
        };
        (*header).exit = EXIT_FAULT;
        if switch::is_general() {
            switch::leave_block(registers);
        }
        *registers.add(REG_RIP) = CAPTURE;
        // TF would trap again inside the capture routine.
        *registers.add(REG_EFLAGS) &= !0x100;
    }
}
