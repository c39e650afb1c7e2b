//! Which values are known after an instruction.

use iced_x86::{Code, Mnemonic, OpKind, Register};

use super::decoded::Decoded;
use super::flow::{Flow, MemoryAccess, is_write_access};
use crate::decode::{loads_mxcsr, loads_segment, loads_x87_control};

impl Flow<'_> {
    /// Follows the values that later addresses and counts may need.
    pub(super) fn follow_values(&mut self, decoded: &Decoded, accesses: &[MemoryAccess]) {
        let instruction = &decoded.instruction;
        let address = accesses.first().and_then(|access| access.address);
        let result = self.known.result_value(instruction, address);
        let stack = self.known.stack_pointer();
        let loaded = match accesses {
            [access] if access.reads => access
                .address
                .and_then(|at| self.known.memory_value(at, access.size)),
            _ => None,
        };
        let pushed = (instruction.mnemonic() == Mnemonic::Push)
            .then(|| self.known.operand_value(instruction, 0, address))
            .flatten();
        let returns_to = instruction.next_ip().wrapping_add(self.case.placement.code_base);
        for access in accesses.iter().filter(|access| access.writes) {
            let whole = !access.partial && accesses.len() == 1;
            let value = match instruction.mnemonic() {
                Mnemonic::Push => pushed,
                Mnemonic::Call => Some(returns_to),
                _ => result,
            };
            let extent = access
                .address
                .filter(|_| access.size > 0)
                .map(|address| (address, access.size));
            self.known.note_store(extent, value.filter(|_| whole));
        }
        for used in decoded
            .registers
            .iter()
            .filter(|used| is_write_access(used.access()))
        {
            self.known.set_register(used.register(), None);
        }
        match instruction.mnemonic() {
            mnemonic if loads_mxcsr(mnemonic) || loads_x87_control(mnemonic) => {
                self.controls_changed = true;
            }
            Mnemonic::Wrfsbase | Mnemonic::Wrgsbase => self.known.forget_bases(),
            _ if loads_segment(instruction) && !instruction.is_stack_instruction() => {
                self.known.forget_bases();
            }
            Mnemonic::Pop if instruction.op0_kind() == OpKind::Register => {
                if loads_segment(instruction) {
                    self.known.forget_bases();
                }
                self.known.set_register(
                    Register::RSP,
                    stack.map(|stack| stack.wrapping_add(instruction.stack_pointer_increment() as u64)),
                );
                self.known.set_register(instruction.op0_register(), loaded);
            }
            Mnemonic::Leave | Mnemonic::Enter | Mnemonic::Ret => {}
            _ if instruction.is_stack_instruction() && instruction.code() != Code::INVALID => {
                let moved = i64::from(instruction.stack_pointer_increment()).cast_unsigned();
                self.known
                    .set_register(Register::RSP, stack.map(|stack| stack.wrapping_add(moved)));
            }
            _ if instruction.op0_kind() == OpKind::Register => {
                self.known.set_register(
                    instruction.op0_register(),
                    result.or_else(|| self.unwritten(decoded)),
                );
            }
            _ => {}
        }
    }

    /// The first operand of an instruction that only reads it keeps its value.
    fn unwritten(&self, decoded: &Decoded) -> Option<u64> {
        let register = decoded.instruction.op0_register();
        let written = decoded.registers.iter().any(|used| {
            is_write_access(used.access()) && used.register().full_register() == register.full_register()
        });
        if written {
            None
        } else {
            self.known.register_value(register)
        }
    }
}
