//! Values that follow from the start state without running anything: registers that did not change, small
//! constants, and memory of the case.
//!
//! Addresses and shift counts come from here. A value that is not certain is `None`; nothing here is a guess,
//! and flags are never known.

use iced_x86::{Instruction, Mnemonic, OpKind, Register, UsedMemory};

use crate::case::{Case, PAGE_SIZE};
use crate::state::RSP;

/// One store of the block, newest last.
#[derive(Clone, Copy, Debug)]
struct Store {
    /// `None` when the address or the extent is not known.
    extent: Option<(u64, usize)>,
    value: Option<u64>,
}

/// What is known at one point of the block.
#[derive(Clone, Debug)]
pub(super) struct Known<'a> {
    case: &'a Case,
    gpr: [Option<u64>; 16],
    bases: [Option<u64>; 2],
    stores: Vec<Store>,
}

impl<'a> Known<'a> {
    /// The start of `case`.
    pub(super) fn new(case: &'a Case) -> Self {
        Self {
            case,
            gpr: case.state.gpr.map(Some),
            bases: [Some(case.state.fs_base), Some(case.state.gs_base)],
            stores: Vec::new(),
        }
    }

    /// Value of a general register of any width, zero-extended; of FS and GS, their base.
    pub(super) fn register_value(&self, register: Register) -> Option<u64> {
        match register {
            Register::None | Register::ES | Register::CS | Register::SS | Register::DS => Some(0),
            Register::FS => self.bases[0],
            Register::GS => self.bases[1],
            _ => {
                let (index, shift, mask) = general_register_bits(register)?;
                self.gpr[index].map(|value| (value >> shift) & mask)
            }
        }
    }

    /// Sets a general register of any width; other registers are ignored.
    pub(super) fn set_register(&mut self, register: Register, value: Option<u64>) {
        let Some((index, shift, mask)) = general_register_bits(register) else {
            return;
        };
        self.gpr[index] = match register.size() {
            4 | 8 => value.map(|value| value & mask),
            _ => self.gpr[index]
                .zip(value)
                .map(|(old, value)| (old & !(mask << shift)) | ((value & mask) << shift)),
        };
    }

    /// Forgets the bases that WRFSBASE and its like change.
    pub(super) fn forget_bases(&mut self) {
        self.bases = [None; 2];
    }

    /// Run-time address of a memory access.
    pub(super) fn memory_address(&self, instruction: &Instruction, memory: &UsedMemory) -> Option<u64> {
        if memory.vsib_size() != 0 {
            return None;
        }
        let address = memory.virtual_address(0, |register, _, _| self.register_value(register))?;
        let relative = instruction.is_ip_rel_memory_operand() && is_absolute(memory);
        Some(if relative {
            address.wrapping_add(self.case.placement.image_base)
        } else {
            address
        })
    }

    /// Up to 8 bytes of memory, if they are known.
    pub(super) fn memory_value(&self, address: u64, size: usize) -> Option<u64> {
        for store in self.stores.iter().rev() {
            let (start, length) = store.extent?;
            let offset = address.wrapping_sub(start);
            if offset.wrapping_add(size as u64) <= length as u64 && offset < length as u64 {
                return store
                    .value
                    .map(|value| truncate_to_size(value >> (8 * offset.min(7)), size));
            }
            if offset < length as u64 || start.wrapping_sub(address) < size as u64 {
                return None;
            }
        }
        self.initial(address, size)
    }

    /// Notes a store. `extent` is its address and size in bytes, when both are known.
    pub(super) fn note_store(&mut self, extent: Option<(u64, usize)>, value: Option<u64>) {
        let value = value.filter(|_| extent.is_some_and(|(_, size)| size <= 8));
        self.stores.push(Store { extent, value });
    }

    fn initial(&self, address: u64, size: usize) -> Option<u64> {
        if size == 0 || size > 8 {
            return None;
        }
        (0..size as u64).rev().try_fold(0, |value, offset| {
            let address = address.wrapping_add(offset);
            let page = address & !(PAGE_SIZE as u64 - 1);
            let index = self
                .case
                .pages
                .binary_search_by_key(&page, |page| page.address)
                .ok()?;
            let byte = self.case.pages[index].content[(address - page) as usize];
            Some((value << 8) | u64::from(byte))
        })
    }

    /// Value of an operand: register, immediate, or memory at `address`.
    pub(super) fn operand_value(
        &self,
        instruction: &Instruction,
        operand: u32,
        address: Option<u64>,
    ) -> Option<u64> {
        match instruction.op_kind(operand) {
            OpKind::Register => self.register_value(instruction.op_register(operand)),
            OpKind::Memory => self.memory_value(address?, instruction.memory_size().size()),
            _ => instruction.try_immediate(operand).ok(),
        }
    }

    /// The results of `instruction` that can be computed: the value of its first operand, if it is known.
    pub(super) fn result_value(&self, instruction: &Instruction, address: Option<u64>) -> Option<u64> {
        use Mnemonic as M;
        let operand = |index| self.operand_value(instruction, index, address);
        let width = super::undefined::operand_bits(instruction);
        let binary = |compute: fn(u64, u64) -> u64| Some(compute(operand(0)?, operand(1)?));
        let value = match instruction.mnemonic() {
            M::Mov | M::Movzx => operand(1)?,
            M::Movsx | M::Movsxd => {
                let source = match instruction.op1_kind() {
                    OpKind::Register => instruction.op1_register().size(),
                    _ => instruction.memory_size().size(),
                };
                sign_extend(operand(1)?, source)
            }
            M::Lea => self.effective_address(instruction)?,
            M::Add => binary(u64::wrapping_add)?,
            M::Sub if same_registers(instruction) => 0,
            M::Xor if same_registers(instruction) => 0,
            M::Sub => binary(u64::wrapping_sub)?,
            M::Xor => binary(|a, b| a ^ b)?,
            M::Or => binary(|a, b| a | b)?,
            M::And => binary(|a, b| a & b)?,
            M::Inc => operand(0)?.wrapping_add(1),
            M::Dec => operand(0)?.wrapping_sub(1),
            M::Neg => operand(0)?.wrapping_neg(),
            M::Not => !operand(0)?,
            M::Shl | M::Sal => operand(0)? << (operand(1)? & if width == 64 { 63 } else { 31 }),
            M::Shr => operand(0)? >> (operand(1)? & if width == 64 { 63 } else { 31 }),
            _ => return None,
        };
        Some(truncate_to_size(value, (width / 8) as usize))
    }

    fn effective_address(&self, instruction: &Instruction) -> Option<u64> {
        let address = instruction.virtual_address(1, 0, |register, _, _| match register {
            // LEA ignores segments.
            Register::FS | Register::GS => Some(0),
            _ => self.register_value(register),
        })?;
        let relative = instruction.is_ip_rel_memory_operand();
        Some(if relative {
            address.wrapping_add(self.case.placement.image_base)
        } else {
            address
        })
    }

    /// Value of the stack pointer.
    pub(super) fn stack_pointer(&self) -> Option<u64> {
        self.gpr[RSP]
    }
}

/// A RIP-relative access has neither base nor index once iced-x86 has computed it.
fn is_absolute(memory: &UsedMemory) -> bool {
    matches!(memory.base(), Register::None | Register::RIP | Register::EIP)
        && memory.index() == Register::None
}

fn same_registers(instruction: &Instruction) -> bool {
    instruction.op0_kind() == OpKind::Register
        && instruction.op1_kind() == OpKind::Register
        && instruction.op0_register() == instruction.op1_register()
}

/// Index, lowest bit and mask (before shifting) of a general register of any width.
pub(super) fn general_register_bits(register: Register) -> Option<(usize, u32, u64)> {
    if !register.is_gpr() {
        return None;
    }
    let index = register.full_register() as usize - Register::RAX as usize;
    let shift = if matches!(
        register,
        Register::AH | Register::CH | Register::DH | Register::BH
    ) {
        8
    } else {
        0
    };
    Some((index, shift, truncate_to_size(u64::MAX, register.size())))
}

/// The low `size` bytes of `value`.
pub(super) fn truncate_to_size(value: u64, size: usize) -> u64 {
    if size >= 8 {
        value
    } else {
        value & ((1 << (8 * size)) - 1)
    }
}

/// `value` of `size` bytes as a signed number of 64 bits.
pub(super) fn sign_extend(value: u64, size: usize) -> u64 {
    let shift = 64 - 8 * size.clamp(1, 8) as u32;
    ((value << shift).cast_signed() >> shift).cast_unsigned()
}
