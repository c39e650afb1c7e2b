//! The switch into a block and back: the only code that runs with the block's registers.
//!
//! `enter_block` loads a start state and jumps; an exit stub, or the signal handler by way of `sigreturn`, comes
//! back through `capture_block`, which stores the end state and returns to the caller of `enter_block`.

use crate::layout::{RunInput, RunOutput, VectorFile, X87_ENVIRONMENT};
use core::mem::offset_of;

/// Load and store XMM only, by FXSAVE.
pub const PATH_SSE: u64 = 0;
/// Load and store YMM0..15 as well.
pub const PATH_AVX: u64 = 1;
/// Load and store ZMM0..31 and opmask registers as well.
pub const PATH_AVX512: u64 = 2;
/// Clear the upper halves instead of loading them (only with AVX).
pub const PATH_CLEAN: u64 = 4;
/// Neither load nor store x87 state (only with AVX).
pub const PATH_NO_X87: u64 = 8;
/// Load and store general registers and flags only.
pub const PATH_GENERAL: u64 = 16;
/// Load x87 and MMX registers one by one ([`crate::layout::X87_PUSHED`]).
pub const PATH_PUSH_X87: u64 = 32;

static mut SAVED_RSP: u64 = 0;
static mut SAVED_RAX: u64 = 0;
static mut OUTPUT: *mut RunOutput = core::ptr::null_mut();
static mut END_VECTORS: *mut VectorFile = core::ptr::null_mut();
static mut PATH: u64 = 0;
static mut VECTORS: *const VectorFile = core::ptr::null();

core::arch::global_asm!(
    // rsi: *const VectorFile with X87_PUSHED, dl: path. On a processor MMX registers are x87 registers, and FNINIT empties them.
    ".macro push_x87_if_wanted",
    "test dl, 32",
    "jz 9f",
    ".irp n,0,1,2,3,4,5,6,7",
    "movq mm\\n, [rsi + 32 + 16*\\n]",
    ".endr",
    "fninit",
    ".irp n,7,6,5,4,3,2,1,0",
    "fld tbyte ptr [rsi + 32 + 16*\\n]",
    ".endr",
    "fldenv [rsi + {environment}]",
    "9:",
    ".endm",

    // rdi: *const RunInput, rsi: *const VectorFile, rdx: path, rcx: *mut RunOutput, r8: *mut VectorFile
    ".globl enter_block",
    "enter_block:",
    "push rbx",
    "push rbp",
    "push r12",
    "push r13",
    "push r14",
    "push r15",
    "mov [rip + {saved_rsp}], rsp",
    "mov [rip + {output}], rcx",
    "mov [rip + {end_vectors}], r8",
    "mov [rip + {path}], rdx",
    "mov [rip + {vectors}], rsi",
    "test dl, 16",
    "jnz 5f",
    "test dl, 4",
    "jz 1f",
    "vzeroall",
    "test dl, 8",
    "jz 6f",
    "ldmxcsr [rsi + {mxcsr}]",
    // Clears the rest of the register and leaves its upper half clean.
    ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15",
    "vmovdqu xmm\\n, [rsi + {zmm} + 64*\\n]",
    ".endr",
    "jmp 7f",
    "6:",
    "fxrstor64 [rsi]",
    "push_x87_if_wanted",
    "7:",
    "test dl, 2",
    "jz 5f",
    "jmp 3f",
    "1:",
    "test dl, 8",
    "jz 6f",
    "ldmxcsr [rsi + {mxcsr}]",
    "jmp 7f",
    "6:",
    "fxrstor64 [rsi]",
    "push_x87_if_wanted",
    "7:",
    "test dl, 2",
    "jnz 2f",
    "test dl, 1",
    "jz 5f",
    ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15",
    "vmovdqu ymm\\n, [rsi + {zmm} + 64*\\n]",
    ".endr",
    "jmp 5f",
    "2:",
    ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15",
    "vmovdqu64 zmm\\n, [rsi + {zmm} + 64*\\n]",
    ".endr",
    "3:",
    ".irp n,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31",
    "vmovdqu64 zmm\\n, [rsi + {zmm} + 64*\\n]",
    ".endr",
    ".irp n,0,1,2,3,4,5,6,7",
    "kmovq k\\n, [rsi + {opmask} + 8*\\n]",
    ".endr",
    "5:",
    "mov rax, [rdi + {target}]",
    "mov [rip + {saved_rax}], rax",
    "push qword ptr [rdi + {rflags}]",
    "popfq",
    "mov rax, [rdi + 8*0]",
    "mov rcx, [rdi + 8*1]",
    "mov rdx, [rdi + 8*2]",
    "mov rbx, [rdi + 8*3]",
    "mov rsp, [rdi + 8*4]",
    "mov rbp, [rdi + 8*5]",
    "mov rsi, [rdi + 8*6]",
    "mov r8, [rdi + 8*8]",
    "mov r9, [rdi + 8*9]",
    "mov r10, [rdi + 8*10]",
    "mov r11, [rdi + 8*11]",
    "mov r12, [rdi + 8*12]",
    "mov r13, [rdi + 8*13]",
    "mov r14, [rdi + 8*14]",
    "mov r15, [rdi + 8*15]",
    "mov rdi, [rdi + 8*7]",
    "jmp [rip + {saved_rax}]",

    ".globl capture_block",
    "capture_block:",
    "mov [rip + {saved_rax}], rax",
    "mov rax, [rip + {output}]",
    "mov [rax + 8*1], rcx",
    "mov [rax + 8*2], rdx",
    "mov [rax + 8*3], rbx",
    "mov [rax + 8*4], rsp",
    "mov [rax + 8*5], rbp",
    "mov [rax + 8*6], rsi",
    "mov [rax + 8*7], rdi",
    "mov [rax + 8*8], r8",
    "mov [rax + 8*9], r9",
    "mov [rax + 8*10], r10",
    "mov [rax + 8*11], r11",
    "mov [rax + 8*12], r12",
    "mov [rax + 8*13], r13",
    "mov [rax + 8*14], r14",
    "mov [rax + 8*15], r15",
    "mov rsp, [rip + {saved_rsp}]",
    "pushfq",
    "pop qword ptr [rax + {out_rflags}]",
    // TF, DF, NT and AC are not for the runner; POPF is slow and the others do no harm.
    "test dword ptr [rax + {out_rflags}], 0x44500",
    "jz 5f",
    "push 0x202",
    "popfq",
    "5:",
    "mov rcx, [rip + {saved_rax}]",
    "mov [rax + 8*0], rcx",
    "mov rdx, [rip + {path}]",
    "xor ecx, ecx",
    "test dl, 16",
    "jnz 9f",
    "mov rax, [rip + {end_vectors}]",
    "stmxcsr [rax + {mxcsr}]",
    // STORED_CONTROL
    "mov cl, 2",
    "test dl, 8",
    "jnz 6f",
    "fxsave64 [rax]",
    // STORED_X87
    "mov cl, 3",
    "6:",
    "shl rcx, 32",
    "test dl, 2",
    "jnz 2f",
    "test dl, 1",
    "jnz 6f",
    ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15",
    "movups [rax + {zmm} + 64*\\n], xmm\\n",
    ".endr",
    "jmp 3f",
    "6:",
    ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15",
    "vmovdqu [rax + {zmm} + 64*\\n], ymm\\n",
    ".endr",
    "vzeroupper",
    "jmp 3f",
    "2:",
    ".irp n,0,1,2,3,4,5,6,7",
    "kmovq [rax + {opmask} + 8*\\n], k\\n",
    ".endr",
    "mov rsi, [rip + {vectors}]",
    "xor r8d, r8d",
    ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31",
    "vpcmpneqq k1, zmm\\n, [rsi + {zmm} + 64*\\n]",
    "kortestw k1, k1",
    "jz 8f",
    "vmovdqu64 [rax + {zmm} + 64*\\n], zmm\\n",
    "or r8d, 1 << \\n",
    "8:",
    ".endr",
    "or rcx, r8",
    "vzeroupper",
    "jmp 4f",
    "3:",
    "mov edx, -1",
    "or rcx, rdx",
    "4:",
    "push 0x1f80",
    "ldmxcsr [rsp]",
    "pop rdx",
    "mov rax, [rip + {output}]",
    "9:",
    "mov [rax + {out_stored}], rcx",
    "6:",
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop rbp",
    "pop rbx",
    "ret",

    // rdi: *const u64, the general registers of a signal frame
    ".globl leave_block",
    "leave_block:",
    "mov rax, [rip + {output}]",
    ".irp n,0,1,2,3,4,5,6,7",
    "mov rcx, [rdi + 8*\\n]",
    "mov [rax + 8*(8 + \\n)], rcx",
    ".endr",
    "mov rcx, [rdi + 8*13]",
    "mov [rax + 8*0], rcx",
    "mov rcx, [rdi + 8*14]",
    "mov [rax + 8*1], rcx",
    "mov rcx, [rdi + 8*12]",
    "mov [rax + 8*2], rcx",
    "mov rcx, [rdi + 8*11]",
    "mov [rax + 8*3], rcx",
    "mov rcx, [rdi + 8*15]",
    "mov [rax + 8*4], rcx",
    "mov rcx, [rdi + 8*10]",
    "mov [rax + 8*5], rcx",
    "mov rcx, [rdi + 8*9]",
    "mov [rax + 8*6], rcx",
    "mov rcx, [rdi + 8*8]",
    "mov [rax + 8*7], rcx",
    "mov rcx, [rdi + 8*17]",
    "mov [rax + {out_rflags}], rcx",
    "mov qword ptr [rax + {out_stored}], 0",
    "mov rsp, [rip + {saved_rsp}]",
    "jmp 6b",
    saved_rsp = sym SAVED_RSP,
    saved_rax = sym SAVED_RAX,
    output = sym OUTPUT,
    end_vectors = sym END_VECTORS,
    path = sym PATH,
    vectors = sym VECTORS,
    rflags = const offset_of!(RunInput, rflags),
    target = const offset_of!(RunInput, target),
    // Intel SDM volume 1, table 10-2.
    mxcsr = const 24,
    environment = const X87_ENVIRONMENT,
    zmm = const offset_of!(VectorFile, zmm),
    opmask = const offset_of!(VectorFile, opmask),
    out_rflags = const offset_of!(RunOutput, rflags),
    out_stored = const offset_of!(RunOutput, stored),
);

unsafe extern "C" {
    /// Runs a block; returns when it has left by an exit stub or a signal.
    ///
    /// # Safety
    /// `input.target` must be code that ends in exit stubs, all pointers must be valid and aligned to 64 bytes,
    /// and `path` must not name components that the CPU lacks.
    pub unsafe fn enter_block(
        input: *const RunInput,
        vectors: *const VectorFile,
        path: u64,
        output: *mut RunOutput,
        end_vectors: *mut VectorFile,
    );
    fn capture_block();
    /// Ends a run on [`PATH_GENERAL`] from within a signal handler, which does not return: stores the registers of the
    /// frame (`sigcontext`: R8 to R15, RDI, RSI, RBP, RBX, RDX, RAX, RCX, RSP, RIP, RFLAGS) and returns to the caller of
    /// `enter_block`.
    ///
    /// # Safety
    /// A run is under way, and `registers` are those of its frame.
    pub unsafe fn leave_block(registers: *const u64) -> !;
}

/// Whether the run under way has to do with general registers only.
pub fn is_general() -> bool {
    // SAFETY: single-threaded; a signal arrives in a block, not while this is written.
    unsafe { (&raw const PATH).read() & PATH_GENERAL != 0 }
}

/// Where exit stubs jump to.
pub fn capture_address() -> u64 {
    capture_block as *const () as u64
}

/// Lets the CPU see code that another process has written: IRET is the serializing instruction that needs no
/// privilege and, unlike CPUID, no hypervisor (Intel SDM volume 3, section 9.3).
pub fn serialize() {
    // SAFETY: returns to the next instruction with the same stack, segments and flags.
    unsafe {
        core::arch::asm!(
            "mov {scratch}, rsp",
            "mov {segment:e}, ss",
            "push {segment}",
            "push {scratch}",
            "pushfq",
            "mov {segment:e}, cs",
            "push {segment}",
            "lea {scratch}, [rip + 2f]",
            "push {scratch}",
            "iretq",
            "2:",
            scratch = out(reg) _,
            segment = out(reg) _,
        );
    }
}
