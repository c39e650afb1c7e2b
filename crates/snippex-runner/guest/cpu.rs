//! What the guest sees of its CPU: features, names, and how FS and GS bases are set.

use core::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv, CpuidResult};

use crate::layout::{
    COMPONENT_AVX, COMPONENT_AVX512, COMPONENT_FSGSBASE, Header, Leaf, X87_ENVIRONMENT, X87_PHYSICAL,
    X87_PUSHED, X87_STACK,
};
use crate::sys;

const AT_PAGESZ: u64 = 6;
const AT_HWCAP2: u64 = 26;
/// Minimum size of a signal stack (Linux 5.14 and newer).
const AT_MINSIGSTKSZ: u64 = 51;

/// An FXRSTOR image with TOP = 1, register n of which is 2 to the power of n.
#[repr(C, align(16))]
struct X87Image([u8; 512]);

static POWERS: X87Image = {
    let mut image = [0; 512];
    // For FLDENV: FCW, FSW and the whole tag word at every fourth byte (Intel SDM volume 1, figure 8-9).
    image[X87_ENVIRONMENT] = 0x7f;
    image[X87_ENVIRONMENT + 1] = 0x03;
    image[X87_ENVIRONMENT + 5] = 0x08;
    // FCW 0x37f, FSW with TOP = 1, no register empty, MXCSR 0x1f80.
    image[0] = 0x7f;
    image[1] = 0x03;
    image[3] = 0x08;
    image[4] = 0xff;
    image[24] = 0x80;
    image[25] = 0x1f;
    let mut register = 0;
    while register < 8 {
        // 1.0 has the exponent 0x3fff, the integer bit is explicit.
        image[32 + 16 * register + 7] = 0x80;
        let exponent = 0x3fff + register as u16;
        image[32 + 16 * register + 8] = exponent as u8;
        image[32 + 16 * register + 9] = (exponent >> 8) as u8;
        register += 1;
    }
    X87Image(image)
};

/// [`Header::x87_order`] of this engine.
fn x87_order() -> u64 {
    let order = fxrstor_order();
    if order == X87_STACK || order == X87_PHYSICAL || !loads_pushed_x87() {
        return order;
    }
    X87_PUSHED
}

/// Whether the registers of an image can be loaded one by one, TOP and all.
fn loads_pushed_x87() -> bool {
    let mut tops = [[0_u64; 2]; 2];
    // SAFETY: as in `fxrstor_order`; eight values fill the stack of FNINIT, and FLDENV turns it.
    unsafe {
        core::arch::asm!(
            "fninit",
            "fld tbyte ptr [{image} + 144]", "fld tbyte ptr [{image} + 128]",
            "fld tbyte ptr [{image} + 112]", "fld tbyte ptr [{image} + 96]",
            "fld tbyte ptr [{image} + 80]", "fld tbyte ptr [{image} + 64]",
            "fld tbyte ptr [{image} + 48]", "fld tbyte ptr [{image} + 32]",
            "fldenv [{image} + {environment}]",
            "fstp tbyte ptr [{tops}]", "fstp tbyte ptr [{tops} + 16]", "fninit",
            image = in(reg) &raw const POWERS, tops = in(reg) &raw mut tops,
            environment = const X87_ENVIRONMENT,
            clobber_abi("sysv64"), options(nostack)
        );
    }
    // With TOP = 1 the registers come as they are numbered, from 1 on.
    power(tops[0]) == 1 && power(tops[1]) == 2
}

/// The exponent of a power of two; anything above 7 for what is none of those in [`POWERS`].
fn power(extended: [u64; 2]) -> u64 {
    if extended[0] == 1 << 63 {
        (extended[1] & 0xffff).wrapping_sub(0x3fff)
    } else {
        u64::MAX
    }
}

/// Which register of an image FXRSTOR makes ST(0) when TOP is 1: 0 by the manual; anything above 7 when it is none.
fn fxrstor_order() -> u64 {
    let mut top = [0_u64; 2];
    // SAFETY: the image is one, `top` has room for ten bytes, and all that is loaded is said to be lost.
    unsafe {
        core::arch::asm!(
            "fxrstor64 [{image}]", "fstp tbyte ptr [{top}]", "fninit",
            image = in(reg) &raw const POWERS, top = in(reg) &raw mut top,
            clobber_abi("sysv64"), options(nostack)
        );
    }
    power(top)
}

fn leaf(result: CpuidResult) -> Leaf {
    [result.eax, result.ebx, result.ecx, result.edx]
}

/// Value of an entry of the auxiliary vector, 0 if it is absent.
pub fn auxiliary(auxv: *const u64, key: u64) -> u64 {
    let mut at = auxv;
    loop {
        // SAFETY: the vector is a list of pairs that ends with key 0 (AT_NULL).
        let (found, value) = unsafe { (*at, *at.add(1)) };
        if found == key {
            return value;
        }
        if found == 0 {
            return 0;
        }
        // SAFETY: not at the end, so another pair follows.
        at = unsafe { at.add(2) };
    }
}

/// Bytes that a signal frame may take.
pub fn minimum_signal_stack(auxv: *const u64) -> u64 {
    auxiliary(auxv, AT_MINSIGSTKSZ)
}

/// Fills the description of the CPU in the header.
pub fn identify(header: &mut Header, auxv: *const u64) {
    header.page_size = auxiliary(auxv, AT_PAGESZ) as u32;
    header.hwcap2 = auxiliary(auxv, AT_HWCAP2);
    header.x87_order = x87_order();
    header.leaf0 = leaf(__cpuid(0));
    header.leaf1 = leaf(__cpuid(1));
    if header.leaf0[0] >= 7 {
        header.leaf7 = leaf(__cpuid_count(7, 0));
        // EAX is the highest subleaf.
        if header.leaf7[0] >= 1 {
            header.leaf7_1 = leaf(__cpuid_count(7, 1));
        }
    }
    if header.leaf0[0] >= 0xd {
        header.leaf_d1 = leaf(__cpuid_count(0xd, 1));
    }
    let highest = __cpuid(0x8000_0000).eax;
    if highest >= 0x8000_0008 {
        header.leaf_ext8 = leaf(__cpuid(0x8000_0008));
    }
    if highest >= 0x8000_0004 {
        header.leaf_ext1 = leaf(__cpuid(0x8000_0001));
        for (i, slot) in header.brand.iter_mut().enumerate() {
            *slot = leaf(__cpuid(0x8000_0002 + i as u32));
        }
    }
    // Real CPUs without a hypervisor answer with the data of the highest basic leaf: the host looks at the bit.
    header.hypervisor = leaf(__cpuid(0x4000_0000));
    for (i, slot) in header.hypervisor1.iter_mut().enumerate() {
        *slot = leaf(__cpuid(0x4000_0001 + i as u32));
    }

    let osxsave = header.leaf1[2] & (1 << 27) != 0;
    if osxsave {
        // SAFETY: OSXSAVE says that XGETBV is enabled.
        header.xcr0 = unsafe { xcr0() };
    }
    let mut components = 0;
    if header.xcr0 & 0x6 == 0x6 && header.leaf1[2] & (1 << 28) != 0 {
        components |= COMPONENT_AVX;
        let avx512f_bw = (1 << 16) | (1 << 30);
        if header.xcr0 & 0xe0 == 0xe0 && header.leaf7[1] & avx512f_bw == avx512f_bw {
            components |= COMPONENT_AVX512;
        }
    }
    if header.hwcap2 & 2 != 0 {
        components |= COMPONENT_FSGSBASE;
    }
    header.components = components;
}

#[target_feature(enable = "xsave")]
unsafe fn xcr0() -> u64 {
    // SAFETY: the caller has checked OSXSAVE.
    unsafe { _xgetbv(0) }
}

/// Loads the selectors that Linux starts a process with, after a block that may have loaded others. Which bases that
/// leaves in FS and GS is the processor's affair: they have to be set again.
pub fn reset_selectors() {
    // SAFETY: null selectors, which these registers take, and nothing here uses these segments.
    unsafe {
        core::arch::asm!(
            "mov ds, {0:e}", "mov es, {0:e}", "mov fs, {0:e}", "mov gs, {0:e}",
            in(reg) 0, options(nomem, nostack, preserves_flags)
        );
    }
}

/// FS and GS bases as they were last set, so that the common case (no change) costs nothing.
pub struct Bases {
    pub fs: u64,
    pub gs: u64,
    direct: bool,
}

impl Bases {
    pub fn new(components: u32) -> Self {
        // The runner itself uses neither; both start at zero.
        Self {
            fs: 0,
            gs: 0,
            direct: components & COMPONENT_FSGSBASE != 0,
        }
    }

    /// Forgets what was set last: what ran may have changed it behind our back.
    pub fn forget(&mut self) {
        self.fs = u64::MAX;
        self.gs = u64::MAX;
    }

    pub fn set(&mut self, fs: u64, gs: u64) {
        const ARCH_SET_GS: u64 = 0x1001;
        const ARCH_SET_FS: u64 = 0x1002;
        if fs != self.fs {
            if self.direct {
                // SAFETY: AT_HWCAP2 says that the instruction is enabled; the runner has no thread-local data.
                unsafe {
                    core::arch::asm!("wrfsbase {}", in(reg) fs, options(nomem, nostack, preserves_flags))
                };
            } else {
                sys::arch_prctl(ARCH_SET_FS, fs);
            }
            self.fs = fs;
        }
        if gs != self.gs {
            if self.direct {
                // SAFETY: as above.
                unsafe {
                    core::arch::asm!("wrgsbase {}", in(reg) gs, options(nomem, nostack, preserves_flags))
                };
            } else {
                sys::arch_prctl(ARCH_SET_GS, gs);
            }
            self.gs = gs;
        }
    }

    /// The bases as they were last set or read.
    pub fn last(&self) -> (u64, u64) {
        (self.fs, self.gs)
    }

    /// The bases after a run; remembers them, as the block may have changed them.
    pub fn read(&mut self) -> (u64, u64) {
        if self.direct {
            // SAFETY: as above.
            unsafe {
                core::arch::asm!("rdfsbase {}", out(reg) self.fs, options(nomem, nostack, preserves_flags));
                core::arch::asm!("rdgsbase {}", out(reg) self.gs, options(nomem, nostack, preserves_flags));
            }
        }
        (self.fs, self.gs)
    }
}
