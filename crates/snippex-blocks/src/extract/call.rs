//! Calls: who is called, and whether and where control comes back.

use iced_x86::{Instruction, Mnemonic, OpKind, Register};

use super::code::Position;
use super::function::{FunctionId, Waiter};
use super::noreturn::never_returns;
use super::trace::{TracedRun, Tracer};
use snippex_core::block::Origin;
use snippex_core::decode::intel_decoder;

/// Where a PLT stub leads.
enum Stub<'a> {
    /// To a symbol of another file.
    Import(&'a [u8]),
    /// To code of this file, unless another file's symbol takes precedence.
    Local(Position),
}

impl<'a> Tracer<'_, 'a> {
    /// A direct call: true when the callee is known to return.
    pub(super) fn follow_call(
        &mut self,
        run: &TracedRun<'a>,
        next: Position,
        instruction: &Instruction,
    ) -> bool {
        let address = instruction.near_branch_target();
        let Some(target) = self.code.position_of(address) else {
            return true;
        };
        if target == next {
            return true; // `call next; pop reg` reads the instruction pointer
        }
        let callee = self.ensure_function(target);
        self.queue_block(target, Origin::CallTarget, callee, None);
        if next >= run.region.end_position() || self.ends_at(run.function, next) {
            return false;
        }
        let callee = match self.stub(target) {
            Some(Stub::Import(name)) => return !never_returns(name),
            Some(Stub::Local(behind)) => self.ensure_function(behind),
            None => callee,
        };
        let continuation = self.skip_alignment(next);
        let caller = run.function;
        continuation < run.region.end_position()
            && !self
                .functions
                .add_waiter(callee, Waiter::Continuation { continuation, caller })
    }

    /// Whether `function` ends at `position` for certain. Compilers end a function with a call only when the callee
    /// never returns.
    pub(super) fn ends_at(&self, function: FunctionId, position: Position) -> bool {
        let (start, end) = self.functions.position_range(function);
        end != start && end == position
    }

    /// What is behind a PLT stub: `[endbr64] [bnd] jmp [rip + slot]`.
    fn stub(&self, position: Position) -> Option<Stub<'a>> {
        let bytes = self.code.bytes_from(position);
        let body = bytes.strip_prefix(&[0xf3, 0x0f, 0x1e, 0xfa]).unwrap_or(bytes);
        let body = body.strip_prefix(&[0xf2]).unwrap_or(body);
        let displacement = body.strip_prefix(&[0xff, 0x25])?.first_chunk::<4>()?;
        let length = (bytes.len() - body.len() + 6) as u64;
        let after = self.code.address_of(position) + length;
        let slot = after.wrapping_add(i64::from(i32::from_le_bytes(*displacement)) as u64);
        match self.image.import_at(slot) {
            Some(name) => Some(Stub::Import(name)),
            None => self
                .code
                .position_of(self.image.pointer_at(slot)?)
                .map(Stub::Local),
        }
    }

    /// The position behind the NOPs with which a compiler aligns the code at `position`. Control runs through them,
    /// but they belong to no block.
    pub(super) fn skip_alignment(&mut self, position: Position) -> Position {
        if position >= self.code.len() {
            return position;
        }
        let bytes = self.code.bytes_from(position);
        if !matches!(bytes[0], 0x0f | 0x2e | 0x66 | 0x90) {
            return position;
        }
        let mut decoder = intel_decoder(bytes, self.code.address_of(position));
        while decoder.ip() % 16 != 0 && decoder.can_decode() {
            if decoder.decode().mnemonic() != Mnemonic::Nop {
                return position;
            }
        }
        let length = decoder.position();
        self.code.mark_data(position, length);
        position + length as Position
    }

    /// Whether an indirect transfer goes to an import that never returns.
    pub(super) fn leads_nowhere(&self, instruction: &Instruction) -> bool {
        instruction.op0_kind() == OpKind::Memory
            && instruction.memory_base() == Register::RIP
            && self
                .image
                .import_at(instruction.memory_displacement64())
                .is_some_and(never_returns)
    }
}
