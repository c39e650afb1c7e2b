//! What is compared, brought into registers that the harness compares.

use super::super::Reproducer;
use super::super::checks::{CheckedPlace, ReproCheck};
use super::super::impossible::Impossible;
use super::SCRATCH;
use super::block::BlockText;
use snippex_core::effects::BlockEffects;
use snippex_core::state::{GPR_NAMES, MachineState, RSP};

/// Instructions after the block, and the registers that the header lists with their values.
#[derive(Default)]
pub(super) struct After {
    pub(super) code: String,
    pub(super) registers: Vec<(String, String)>,
    /// Registers that hold nothing that is compared, the next to use last.
    free: Vec<usize>,
}

/// Whether a general register is checked that stays as it is.
pub(super) fn is_unchanged(check: &ReproCheck, start: &MachineState) -> bool {
    match check.place {
        CheckedPlace::Gpr(register) => (start.gpr[register] ^ check.expected) & check.mask == 0,
        _ => false,
    }
}

pub(super) fn build_after_part(
    reproducer: &Reproducer<'_>,
    checks: &[ReproCheck],
    block: &BlockText,
) -> Result<After, Impossible> {
    let listed = |register: &usize| {
        checks
            .iter()
            .any(|check| check.place == CheckedPlace::Gpr(*register) && *register != RSP)
    };
    let mut after = After {
        free: (0..16)
            .rev()
            .filter(|register| *register != RSP && !listed(register))
            .collect(),
        ..After::default()
    };
    if block.target_register.is_some_and(|register| listed(&register)) {
        return Err(Impossible::Position("the address of the test itself is compared"));
    }
    after.branch(block)?;
    after.all(reproducer, checks, block)?;
    Ok(after)
}

impl After {
    fn line(&mut self, line: &str) {
        self.code += line;
        self.code.push('\n');
    }

    /// A register that holds nothing that is compared.
    fn take(&mut self) -> Result<usize, Impossible> {
        self.free.pop().ok_or(Impossible::State("so many values at once"))
    }

    fn list(&mut self, register: usize, value: u64) {
        let name = GPR_NAMES[register].to_uppercase();
        self.registers.push((name, format!("\"{value:#x}\"")));
    }

    /// Which way a conditional branch went, and the label that everything leads to.
    fn branch(&mut self, block: &BlockText) -> Result<(), Impossible> {
        if let Some(taken) = block.taken {
            let register = self.take()?;
            let name = GPR_NAMES[register];
            self.line(&format!(
                "mov {name}, 0\njmp .end\n.taken:\nmov {name}, 1 ; the branch was taken"
            ));
            self.list(register, u64::from(taken));
        }
        let leads = block.target_register.is_some() || block.target_word.is_some();
        if leads || block.taken.is_some() || block.code.contains(".end") {
            self.line(".end:");
        }
        Ok(())
    }

    fn all(
        &mut self,
        reproducer: &Reproducer<'_>,
        checks: &[ReproCheck],
        block: &BlockText,
    ) -> Result<(), Impossible> {
        // RSP first, since the test then uses a stack of its own; flags next, since masking changes them.
        if let Some(check) = checks.iter().find(|check| check.place == CheckedPlace::Gpr(RSP)) {
            let register = self.take()?;
            self.line(&format!("mov {}, rsp", GPR_NAMES[register]));
            self.list(register, check.expected);
        }
        self.line(&format!("mov rsp, {SCRATCH:#x}"));
        if let Some(check) = checks.iter().find(|check| check.place == CheckedPlace::Flags) {
            let register = self.take()?;
            let name = GPR_NAMES[register];
            let names = |bits| {
                let names = crate::snip::flag_names(bits | snippex_core::state::rflags::INITIAL);
                names.unwrap_or_default()
            };
            self.line(&format!(
                "pushfq\npop {name}\nand {name}, {:#x} ; of {}: {}",
                check.mask,
                names(check.mask),
                names(check.expected)
            ));
            self.list(register, check.expected);
        }
        let mut vectors = Vec::new();
        let mut stack = Vec::new();
        for check in checks {
            match check.place {
                CheckedPlace::Gpr(RSP) | CheckedPlace::Flags => {}
                CheckedPlace::Gpr(register) => {
                    self.masked(register, check.mask)?;
                    self.list(register, check.expected);
                }
                CheckedPlace::Mxcsr => self.word(check, "stmxcsr [rsp]", "mov", "[rsp]")?,
                CheckedPlace::Control => self.word(check, "fnstcw [rsp]", "movzx", "word [rsp]")?,
                CheckedPlace::Status => self.word(check, "fnstsw [rsp]", "movzx", "word [rsp]")?,
                CheckedPlace::Tags => self.word(check, "fxsave64 [rsp]", "movzx", "byte [rsp + 4]")?,
                CheckedPlace::Memory(address) => {
                    let register = self.take()?;
                    let name = GPR_NAMES[register];
                    self.line(&format!(
                        "mov {name}, {:#x}\nmov {name}, [{name}]",
                        block.checked_address(address)
                    ));
                    self.masked(register, check.mask)?;
                    self.list(register, check.expected);
                }
                CheckedPlace::Vector(register) if !vectors.contains(&register) => {
                    vectors.push(register);
                    self.vector(reproducer, checks, register)?;
                }
                CheckedPlace::Stack(index) if !stack.contains(&index) => {
                    stack.push(index);
                    self.stack(reproducer, checks, index)?;
                }
                CheckedPlace::Vector(_) | CheckedPlace::Stack(_) => {}
                CheckedPlace::Opmask(_) => return Err(Impossible::State("an opmask register")),
                CheckedPlace::FaultAddress => return Err(Impossible::State("the address of a fault")),
            }
        }
        Ok(())
    }

    /// Leaves only the bits of `mask`.
    fn masked(&mut self, register: usize, mask: u64) -> Result<(), Impossible> {
        if mask == u64::MAX {
            return Ok(());
        }
        let mask_register = self.take()?;
        let name = GPR_NAMES[mask_register];
        self.line(&format!(
            "mov {name}, {mask:#x}\nand {}, {name}",
            GPR_NAMES[register]
        ));
        // It can hold the next mask or value.
        self.free.push(mask_register);
        Ok(())
    }

    /// A value that an instruction stores at RSP.
    fn word(&mut self, check: &ReproCheck, store: &str, load: &str, operand: &str) -> Result<(), Impossible> {
        let register = self.take()?;
        let name = narrow(register);
        self.line(&format!(
            "{store}\n{load} {name}, {operand}\nand {name}, {:#x}",
            check.mask
        ));
        self.list(register, check.expected);
        Ok(())
    }

    fn vector(
        &mut self,
        reproducer: &Reproducer<'_>,
        checks: &[ReproCheck],
        register: usize,
    ) -> Result<(), Impossible> {
        let chunks: Vec<&ReproCheck> = checks
            .iter()
            .filter(|check| check.place == CheckedPlace::Vector(register))
            .collect();
        let high = chunks.iter().any(|check| check.offset >= 16);
        if register >= 16 || chunks.iter().any(|check| check.offset >= 32) {
            return Err(Impossible::State("the upper half of a ZMM register"));
        }
        let count = if high { 4 } else { 2 };
        let end = &reproducer.expected.state;
        let mask = BlockEffects::new(&reproducer.case.block).mask_at_endpoint(
            reproducer.case,
            &reproducer.expected.endpoint,
            end,
        );
        let bytes = (1_u64 << (8 * count)) - 1;
        let estimates = mask
            .approximations
            .iter()
            .any(|lanes| usize::from(lanes.register) == register);
        if mask.vectors[register].mask & bytes == 0 && !estimates {
            let word = |index: usize| {
                u64::from_le_bytes(
                    end.vectors[register][8 * index..8 * index + 8]
                        .try_into()
                        .expect("eight bytes"),
                )
            };
            let words: Vec<String> = (0..count)
                .map(|index| format!("\"{:#018x}\"", word(index)))
                .collect();
            self.registers
                .push((format!("XMM{register}"), format!("[{}]", words.join(", "))));
            return Ok(());
        }
        self.line(&if high {
            format!("vmovups [rsp], ymm{register}")
        } else {
            format!("movups [rsp], xmm{register}")
        });
        for check in chunks {
            self.chunk(check, check.offset)?;
        }
        Ok(())
    }

    /// Eight bytes of what was stored at RSP.
    fn chunk(&mut self, check: &ReproCheck, offset: usize) -> Result<(), Impossible> {
        let register = self.take()?;
        self.line(&format!("mov {}, [rsp + {offset}]", GPR_NAMES[register]));
        self.masked(register, check.mask)?;
        self.list(register, check.expected);
        Ok(())
    }

    /// An x87 register: the harness compares whole ones by physical number, as `MM`.
    fn stack(
        &mut self,
        reproducer: &Reproducer<'_>,
        checks: &[ReproCheck],
        index: usize,
    ) -> Result<(), Impossible> {
        let parts: Vec<&ReproCheck> = checks
            .iter()
            .filter(|check| check.place == CheckedPlace::Stack(index))
            .collect();
        if let [low, high] = parts[..]
            && low.mask == u64::MAX
        {
            let physical = (usize::from(reproducer.expected.state.x87.top()) + index) & 7;
            let value = format!("[\"{:#018x}\", \"{:#x}\"]", low.expected, high.expected);
            self.registers.push((format!("MM{physical}"), value));
            return Ok(());
        }
        self.line("fxsave64 [rsp]");
        for check in parts {
            self.chunk(check, 32 + 16 * index + check.offset)?;
        }
        Ok(())
    }
}

/// The name of the lower half of a register.
fn narrow(register: usize) -> String {
    let name = GPR_NAMES[register];
    match register {
        0..8 => format!("e{}", &name[1..]),
        _ => format!("{name}d"),
    }
}
