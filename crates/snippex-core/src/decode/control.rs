//! How control leaves an instruction.

use iced_x86::{Code, FlowControl, Instruction, Mnemonic, OpKind};

use crate::block::Terminator;

/// How control leaves an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// To the next instruction only.
    Next,
    /// The instruction ends a block.
    End(Terminator),
}

/// How control leaves `instruction`. Far transfers count as the near ones of their kind.
#[must_use]
pub fn control_flow(instruction: &Instruction) -> Control {
    use Terminator as T;
    let direct = || {
        matches!(
            instruction.op0_kind(),
            OpKind::NearBranch64 | OpKind::NearBranch32 | OpKind::NearBranch16
        )
    };
    Control::End(match instruction.flow_control() {
        FlowControl::Next if instruction.code() == Code::Hlt => T::Trap,
        FlowControl::Next => return Control::Next,
        FlowControl::UnconditionalBranch if direct() => T::Jmp,
        FlowControl::UnconditionalBranch | FlowControl::IndirectBranch => T::IndirectJmp,
        FlowControl::ConditionalBranch => match instruction.mnemonic() {
            Mnemonic::Loop | Mnemonic::Loope | Mnemonic::Loopne | Mnemonic::Jrcxz | Mnemonic::Jecxz => {
                T::Loop
            }
            _ => T::Jcc,
        },
        FlowControl::Return => T::Ret,
        FlowControl::Call => match instruction.mnemonic() {
            Mnemonic::Call if direct() => T::Call,
            Mnemonic::Call => T::IndirectCall,
            // SYSCALL, SYSENTER, VMCALL and their like: they enter something and come back.
            _ => T::Syscall,
        },
        FlowControl::IndirectCall => T::IndirectCall,
        FlowControl::Interrupt if instruction.code() == Code::Int3 => T::Trap,
        // Every vector but that of system calls faults or traps.
        FlowControl::Interrupt
            if instruction.code() == Code::Int_imm8 && instruction.immediate8() != 0x80 =>
        {
            T::Trap
        }
        FlowControl::Interrupt => T::Syscall,
        // XBEGIN alone transfers control: to the fallback when the transaction aborts.
        FlowControl::XbeginXabortXend => match instruction.mnemonic() {
            Mnemonic::Xbegin => T::Jcc,
            _ => return Control::Next,
        },
        FlowControl::Exception => T::Trap,
    })
}
