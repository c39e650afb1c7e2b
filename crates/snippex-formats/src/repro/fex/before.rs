//! The start state as instructions.

use super::super::impossible::Impossible;
use super::super::memory::format_byte_list;
use super::super::needs::Needs;
use super::super::registers::{environment_image, fx_image};
use super::SCRATCH;
use super::block::BlockText;
use snippex_core::case::Case;
use snippex_core::state::{FCW_INITIAL, GPR_NAMES, MXCSR_INITIAL, MachineState, RSP, X87State, rflags};

/// Code that loads the state, and the data it loads, on a page of its own.
#[derive(Default)]
pub(super) struct Before {
    pub(super) code: String,
    pub(super) data: String,
}

/// `is_used` says of a general register whether it matters what it starts with.
pub(super) fn build_before_part(
    case: &Case,
    needs: &Needs,
    block: &BlockText,
    is_used: impl Fn(usize) -> bool,
) -> Result<Before, Impossible> {
    if case.state.rflags & rflags::TF != 0 {
        return Err(Impossible::TrapFlag);
    }
    let mut before = Before::default();
    let mut clobbered = [false; 16];
    if needs.x87 {
        before.x87(case);
    }
    if needs.sse {
        before.vectors(case, needs.avx);
    }
    let state = &case.state;
    if needs.bases {
        for (instruction, base) in [("wrfsbase", state.fs_base), ("wrgsbase", state.gs_base)] {
            before.line(&format!("mov rax, {base:#x}\n{instruction} rax"));
            clobbered[0] = true;
        }
    }
    if let Some(word) = block.target_word {
        before.line(&format!("; The block goes to the end of the test.\nlea rax, [rel .end]\nmov rcx, {word:#x}\nmov [rcx], rax"));
        (clobbered[0], clobbered[1]) = (true, true);
    }
    if state.rflags != rflags::INITIAL {
        let names = crate::snip::flag_names(state.rflags).unwrap_or_default();
        before.line(&format!(
            "mov rsp, {SCRATCH:#x}\npush {:#x} ; {names}\npopfq",
            state.rflags
        ));
        clobbered[RSP] = true;
    }
    for (register, name) in GPR_NAMES.iter().enumerate() {
        if block.target_register == Some(register) {
            before.line(&format!("lea {name}, [rel .end]"));
        } else if is_used(register) && (state.gpr[register] != 0 || clobbered[register]) {
            before.line(&format!("mov {name}, {:#x}", state.gpr[register]));
        }
    }
    Ok(before)
}

impl Before {
    fn line(&mut self, line: &str) {
        self.code += line;
        self.code.push('\n');
    }

    fn datum(&mut self, align: usize, label: &str, bytes: &[u8]) {
        if align > 1 {
            self.data += &format!("align {align}\n");
        }
        self.data += &format!("{label}:\n");
        if bytes.len() <= 32 && bytes.len().is_multiple_of(8) {
            let words = bytes.chunks_exact(8).map(|word| {
                let value = word
                    .iter()
                    .rev()
                    .fold(0, |number, byte| number << 8 | u64::from(*byte));
                format!("{value:#x}")
            });
            self.data += &format!("dq {}\n", words.collect::<Vec<_>>().join(", "));
            return;
        }
        let used = bytes
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |last| last + 1);
        for row in bytes[..used].chunks(16) {
            self.data += &format!("db {}\n", format_byte_list(row));
        }
        if used < bytes.len() {
            self.data += &format!("times {} db 0\n", bytes.len() - used);
        }
    }

    /// The x87 unit: values pushed one by one where that gives the state, else from an image.
    fn x87(&mut self, case: &Case) {
        let x87 = &case.state.x87;
        if x87.control != FCW_INITIAL {
            self.line("fldcw [rel data_fcw]");
            self.datum(2, "data_fcw", &x87.control.to_le_bytes());
        }
        if let Some(depth) = pushed(x87) {
            for index in (0..depth).rev() {
                self.line(&format!("fld tword [rel data_st{index}]"));
                self.datum(16, &format!("data_st{index}"), &x87.st[index]);
            }
            return;
        }
        // FXRSTOR loads MXCSR and XMM, too: they are loaded again below.
        let image = fx_image(&MachineState {
            x87: *x87,
            ..MachineState::default()
        });
        self.line("fxrstor64 [rel data_fx]");
        self.datum(16, "data_fx", &image);
        if let Some(environment) = environment_image(x87) {
            self.line("fldenv [rel data_environment] ; TOP and the status flags");
            self.datum(16, "data_environment", &environment);
        }
    }

    fn vectors(&mut self, case: &Case, avx: bool) {
        let width = if avx { 32 } else { 16 };
        for (register, vector) in case.state.vectors[..16].iter().enumerate() {
            let bytes = &vector[..width];
            if bytes.iter().all(|byte| *byte == 0) {
                continue;
            }
            if bytes[16..].iter().any(|byte| *byte != 0) {
                self.line(&format!("vmovups ymm{register}, [rel data_ymm{register}]"));
                self.datum(32, &format!("data_ymm{register}"), bytes);
            } else {
                self.line(&format!("movups xmm{register}, [rel data_xmm{register}]"));
                self.datum(16, &format!("data_xmm{register}"), &bytes[..16]);
            }
        }
        if case.state.mxcsr != MXCSR_INITIAL {
            self.line("ldmxcsr [rel data_mxcsr]");
            self.datum(4, "data_mxcsr", &case.state.mxcsr.to_le_bytes());
        }
    }
}

/// How many values have been pushed, if the state is as it is after just that.
fn pushed(x87: &X87State) -> Option<usize> {
    let depth = (8 - usize::from(x87.top())) & 7;
    let tags = (0xff00_u16 >> depth) as u8;
    let status = u16::from(x87.top()) << 11;
    let empty = x87.st[depth..].iter().all(|register| *register == [0; 10]);
    (x87.tags == tags && x87.status == status && empty).then_some(depth)
}
