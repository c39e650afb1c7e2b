//! Pages of the block that is running: comparing them with what they held before, and putting that back.

use core::arch::asm;
use core::arch::x86_64::{
    __m256i, __m512i, _mm256_loadu_si256, _mm256_or_si256, _mm256_testz_si256, _mm256_xor_si256,
    _mm512_loadu_si512, _mm512_or_si512, _mm512_test_epi64_mask, _mm512_xor_si512,
};

use crate::layout::{COMPONENT_AVX, COMPONENT_AVX512, LINE, PAGE, WireLine};

const LINES: usize = PAGE as usize / LINE;

/// How pages are compared on this CPU.
#[derive(Clone, Copy)]
pub enum Width {
    Sse,
    Avx,
    Avx512,
}

impl Width {
    pub fn new(components: u32, leaf7_ebx: u32) -> Self {
        if components & COMPONENT_AVX512 != 0 {
            Self::Avx512
        } else if components & COMPONENT_AVX != 0 && leaf7_ebx & (1 << 5) != 0 {
            Self::Avx
        } else {
            Self::Sse
        }
    }
}

/// Appends the lines of `page` that differ from `pristine` at `lines` and restores them. Returns their number.
///
/// # Safety
/// `page` is writable, `pristine` readable, both `PAGE` bytes; `lines` has room for a whole page.
pub unsafe fn scan_page(width: Width, page: *mut u8, pristine: *const u8, lines: *mut WireLine) -> usize {
    let mut count = 0;
    let mut group = 0;
    while group < LINES {
        // SAFETY: four lines from `group` on lie within the page; `width` says what the CPU has.
        let differ = unsafe {
            let (a, b) = (page.add(group * LINE), pristine.add(group * LINE));
            match width {
                Width::Avx512 => differ_avx512(a, b),
                Width::Avx => differ_avx(a, b),
                Width::Sse => true,
            }
        };
        if differ {
            for line in group..group + 4 {
                // SAFETY: as above; at most `LINES` lines are appended.
                count += usize::from(unsafe {
                    take_line(page.add(line * LINE), pristine.add(line * LINE), lines.add(count))
                });
            }
        }
        group += 4;
    }
    count
}

/// If `line` differs from `pristine`, copies it to `slot` and restores it. Returns whether it did.
///
/// # Safety
/// `line` is writable, `pristine` readable, both `LINE` bytes; `slot` is writable.
pub unsafe fn take_line(line: *mut u8, pristine: *const u8, slot: *mut WireLine) -> bool {
    // SAFETY: the caller's contract.
    unsafe {
        if equal_line(line, pristine) {
            return false;
        }
        (*slot).address = line as u64;
        copy_line((&raw mut (*slot).bytes).cast(), line);
        copy_line(line, pristine);
    }
    true
}

/// `rep movsb` takes longer to start than so few bytes take to copy, and emulators are quicker with general registers.
///
/// # Safety
/// `to` is writable, `from` readable, both `LINE` bytes and aligned to eight.
unsafe fn copy_line(to: *mut u8, from: *const u8) {
    for i in 0..LINE / 8 {
        // SAFETY: the caller's contract; volatile keeps the compiler from calling `memcpy`.
        unsafe {
            to.cast::<u64>()
                .add(i)
                .write_volatile(from.cast::<u64>().add(i).read());
        }
    }
}

#[target_feature(enable = "avx512f")]
unsafe fn differ_avx512(a: *const u8, b: *const u8) -> bool {
    // SAFETY: the caller gives 256 readable bytes on both sides.
    unsafe {
        let mut any = _mm512_xor_si512(load512(a), load512(b));
        for i in 1..4 {
            any = _mm512_or_si512(
                any,
                _mm512_xor_si512(load512(a.add(i * LINE)), load512(b.add(i * LINE))),
            );
        }
        _mm512_test_epi64_mask(any, any) != 0
    }
}

#[target_feature(enable = "avx512f")]
unsafe fn load512(at: *const u8) -> __m512i {
    // SAFETY: the caller gives 64 readable bytes.
    unsafe { _mm512_loadu_si512(at.cast()) }
}

#[target_feature(enable = "avx2")]
unsafe fn differ_avx(a: *const u8, b: *const u8) -> bool {
    // SAFETY: the caller gives 256 readable bytes on both sides.
    unsafe {
        let load = |at: *const u8| -> __m256i { _mm256_loadu_si256(at.cast()) };
        let mut any = _mm256_xor_si256(load(a), load(b));
        for i in 1..8 {
            any = _mm256_or_si256(any, _mm256_xor_si256(load(a.add(i * 32)), load(b.add(i * 32))));
        }
        _mm256_testz_si256(any, any) == 0
    }
}

/// # Safety
/// Both are `LINE` readable bytes, aligned to eight.
unsafe fn equal_line(a: *const u8, b: *const u8) -> bool {
    let mut any = 0;
    for i in 0..LINE / 8 {
        // SAFETY: the caller's contract; volatile keeps the compiler from using vectors, which emulators are slow with.
        any |= unsafe { a.cast::<u64>().add(i).read_volatile() ^ b.cast::<u64>().add(i).read_volatile() };
    }
    any == 0
}

/// # Safety
/// As `core::ptr::copy_nonoverlapping`.
pub unsafe fn copy(to: *mut u8, from: *const u8, length: usize) {
    // SAFETY: the caller gives valid ranges; DF is clear in the runner.
    unsafe {
        asm!("rep movsb", inout("rcx") length => _, inout("rdi") to => _, inout("rsi") from => _,
            options(nostack, preserves_flags));
    }
}

// The compiler may call these for copies of structures; there is no libc to bring them.

/// # Safety
/// As C `memcpy`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
    // SAFETY: the caller's contract.
    unsafe { copy(to, from, length) };
    to
}

/// # Safety
/// As C `memset`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memset(to: *mut u8, value: i32, length: usize) -> *mut u8 {
    // SAFETY: the caller gives a valid range.
    unsafe {
        asm!("rep stosb", inout("rcx") length => _, inout("rdi") to => _, in("al") value as u8,
            options(nostack, preserves_flags));
    }
    to
}
