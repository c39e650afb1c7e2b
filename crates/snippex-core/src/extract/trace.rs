//! Recursive descent: follows control flow from one position after the other.

use iced_x86::{Code as Opcode, Instruction, Mnemonic, OpKind, Register};

use super::code::{Code, Position, Region};
use super::function::{FunctionId, Functions, Waiter};
use super::jump_table::{Resolved, Tables};
use super::noreturn::never_returns;
use crate::binary::Image;
use crate::block::{Origin, Terminator};
use crate::decode::{Control, control, decoder};

/// Code to be traced.
#[derive(Clone, Copy, Debug)]
struct Work {
    position: Position,
    function: FunctionId,
    /// The branch that leads here, when one does: jump tables look for their bounds behind it.
    from: Option<Position>,
}

/// The state of a descent.
#[derive(Debug)]
pub(super) struct Tracer<'i, 'a> {
    pub(super) image: &'i Image<'a>,
    pub(super) code: Code<'a>,
    pub(super) functions: Functions,
    /// Code addresses that code loads as values.
    pub(super) taken: Vec<Position>,
    pub(super) tables: Tables,
    /// Indirect jumps not recognised as jump tables or imports.
    pub(super) unresolved_jumps: u64,
    work: Vec<Work>,
}

/// Where a PLT stub leads.
enum Stub<'a> {
    /// To a symbol of another file.
    Import(&'a [u8]),
    /// To code of this file, unless another file's symbol takes precedence.
    Local(Position),
}

/// Where one straight run of a trace is.
struct Run<'a> {
    region: Region<'a>,
    function: FunctionId,
    /// First position of the run, and the branch that led there.
    start: Position,
    from: Option<Position>,
}

impl<'i, 'a> Tracer<'i, 'a> {
    pub(super) fn new(image: &'i Image<'a>) -> Self {
        let code = Code::new(image);
        let known = image.functions().iter().filter_map(|function| {
            let start = code.position(function.address)?;
            let limit = code.region(start).end();
            let length = function.end.saturating_sub(function.address);
            let end = u64::from(start).saturating_add(length).min(u64::from(limit)) as Position;
            Some((start, end))
        });
        let functions = Functions::new(known);
        Self {
            image,
            code,
            functions,
            taken: Vec::new(),
            tables: Tables::new(image),
            unresolved_jumps: 0,
            work: Vec::new(),
        }
    }

    /// Queues `position` as a block of the function that owns it.
    pub(super) fn start(&mut self, position: Position, origin: Origin) {
        let function = self.enter(position);
        self.queue(position, origin, function, None);
    }

    /// Follows everything that is queued.
    pub(super) fn run(&mut self) {
        while let Some(work) = self.work.pop() {
            self.trace(work);
        }
    }

    /// Takes up the jump tables whose end was not certain; whether there were any.
    pub(super) fn follow_unbounded_tables(&mut self) -> bool {
        let pending = self.tables.take_unbounded();
        let any = !pending.is_empty();
        for table in pending {
            let function = self.functions.owner(table.jump);
            let (start, end) = function.map_or((0, 0), |function| self.functions.range(function));
            let targets = self
                .tables
                .unbounded_targets(self.image, &mut self.code, &table, start..end);
            if targets.is_empty() {
                self.unresolved_jumps += 1;
                if let Some(function) = function {
                    self.set_returns(function);
                }
            }
            for &target in &targets {
                let function = self.enter(target);
                self.queue(target, Origin::JumpTable, function, Some(table.jump));
            }
        }
        any
    }

    fn queue(&mut self, position: Position, origin: Origin, function: FunctionId, from: Option<Position>) {
        self.code.mark_leader(position, origin);
        if !self.code.is_instruction(position) {
            self.work.push(Work {
                position,
                function,
                from,
            });
        }
    }

    /// The function of `position`. A new one that lies in traced code shares the fate of its owner.
    fn enter(&mut self, position: Position) -> FunctionId {
        let owner = self.functions.owner(position);
        let (function, new) = self.functions.entry(position);
        if let (true, Some(owner), true) = (new, owner, self.code.is_instruction(position)) {
            self.flow(function, owner);
        }
        function
    }

    /// `from` goes on in `to`.
    fn flow(&mut self, from: FunctionId, to: FunctionId) {
        if from != to && !self.functions.wait(to, Waiter::Flow { caller: from }) {
            self.set_returns(from);
        }
    }

    fn set_returns(&mut self, function: FunctionId) {
        let (code, work) = (&mut self.code, &mut self.work);
        self.functions.set_returns(function, |position, function| {
            code.mark_leader(position, Origin::AfterTerminator);
            if !code.is_instruction(position) {
                work.push(Work {
                    position,
                    function,
                    from: None,
                });
            }
        });
    }

    /// Decodes from one position until control leaves or joins what is known.
    fn trace(&mut self, work: Work) {
        let region = self.code.region(work.position);
        let mut run = Run {
            region,
            function: work.function,
            start: work.position,
            from: work.from,
        };
        let mut position = work.position;
        let first = (position - region.base) as usize;
        let mut decoder = decoder(&region.bytes[first..], region.address + first as u64);
        let mut instruction = Instruction::default();
        let mut function_end = self.functions.range(run.function).1;
        loop {
            if position == region.end() {
                return self.set_returns(run.function);
            }
            if position != run.start
                && (position == function_end || self.code.is_leader(position))
                && let Some(next) = self
                    .functions
                    .owner(position)
                    .filter(|&next| next != run.function)
            {
                // Runs into the next function.
                self.flow(run.function, next);
                run.function = next;
                function_end = self.functions.range(next).1;
            }
            if self.code.is_instruction(position) {
                return;
            }
            decoder.decode_out(&mut instruction);
            if instruction.is_invalid() {
                // What cannot be read is assumed to be able to return.
                return self.set_returns(run.function);
            }
            self.code.mark_instruction(position, instruction.len());
            let next = position + instruction.len() as Position;
            match control(&instruction) {
                Control::Next => self.note_addresses(&instruction),
                Control::End(terminator) => {
                    if !self.leave(&run, position, next, &instruction, terminator) {
                        return;
                    }
                    let aligned = self.skip_alignment(next);
                    if aligned >= region.end() {
                        return self.set_returns(run.function);
                    }
                    self.code.mark_leader(aligned, Origin::AfterTerminator);
                    let offset = (aligned - region.base) as usize;
                    decoder
                        .set_position(offset - first)
                        .expect("the position lies in the region");
                    decoder.set_ip(region.address + offset as u64);
                    position = aligned;
                    continue;
                }
            }
            position = next;
        }
    }

    /// Queues where a terminator leads; whether control also goes on behind it.
    fn leave(
        &mut self,
        run: &Run<'a>,
        position: Position,
        next: Position,
        instruction: &Instruction,
        terminator: Terminator,
    ) -> bool {
        match terminator {
            Terminator::Jcc | Terminator::Loop => {
                self.branch(run, position, instruction);
                true
            }
            Terminator::Jmp => {
                self.branch(run, position, instruction);
                false
            }
            Terminator::Call => self.call(run, next, instruction),
            Terminator::IndirectCall => !self.leads_nowhere(instruction) && !self.ends_at(run.function, next),
            Terminator::IndirectJmp => {
                self.indirect_jump(run, position, instruction);
                false
            }
            Terminator::Ret => {
                self.set_returns(run.function);
                false
            }
            // INT 29h is Windows' fail-fast.
            Terminator::Syscall => {
                !(instruction.code() == Opcode::Int_imm8 && instruction.immediate8() == 0x29)
            }
            Terminator::Trap => false,
            Terminator::FallThrough => true,
        }
    }

    fn branch(&mut self, run: &Run<'a>, position: Position, instruction: &Instruction) {
        let Some(target) = self.code.position(instruction.near_branch_target()) else {
            return self.set_returns(run.function);
        };
        let function = if self.functions.covers(run.function, target) {
            run.function
        } else {
            match self.functions.owner(target) {
                Some(owner) => {
                    self.flow(run.function, owner);
                    owner
                }
                None => run.function,
            }
        };
        self.queue(target, Origin::BranchTarget, function, Some(position));
    }

    /// A direct call: true when the callee is known to return.
    fn call(&mut self, run: &Run<'a>, next: Position, instruction: &Instruction) -> bool {
        let address = instruction.near_branch_target();
        let Some(target) = self.code.position(address) else {
            return true;
        };
        if target == next {
            return true; // `call next; pop reg` reads the instruction pointer
        }
        let callee = self.enter(target);
        self.queue(target, Origin::CallTarget, callee, None);
        if next >= run.region.end() || self.ends_at(run.function, next) {
            return false;
        }
        let callee = match self.stub(target) {
            Some(Stub::Import(name)) => return !never_returns(name),
            Some(Stub::Local(behind)) => self.enter(behind),
            None => callee,
        };
        let continuation = self.skip_alignment(next);
        let caller = run.function;
        continuation < run.region.end()
            && !self
                .functions
                .wait(callee, Waiter::Continuation { continuation, caller })
    }

    /// Whether `function` ends at `position` for certain. Compilers end a function with a call only when the callee
    /// never returns.
    fn ends_at(&self, function: FunctionId, position: Position) -> bool {
        let (start, end) = self.functions.range(function);
        end != start && end == position
    }

    /// What is behind a PLT stub: `[endbr64] [bnd] jmp [rip + slot]`.
    fn stub(&self, position: Position) -> Option<Stub<'a>> {
        let bytes = self.code.bytes_from(position);
        let body = bytes.strip_prefix(&[0xf3, 0x0f, 0x1e, 0xfa]).unwrap_or(bytes);
        let body = body.strip_prefix(&[0xf2]).unwrap_or(body);
        let displacement = body.strip_prefix(&[0xff, 0x25])?.first_chunk::<4>()?;
        let length = (bytes.len() - body.len() + 6) as u64;
        let after = self.code.address(position) + length;
        let slot = after.wrapping_add(i64::from(i32::from_le_bytes(*displacement)) as u64);
        match self.image.import_at(slot) {
            Some(name) => Some(Stub::Import(name)),
            None => self.code.position(self.image.pointer_at(slot)?).map(Stub::Local),
        }
    }

    /// The position behind the NOPs with which a compiler aligns the code at `position`. Control runs through them,
    /// but they belong to no block.
    fn skip_alignment(&mut self, position: Position) -> Position {
        if position >= self.code.len() {
            return position;
        }
        let bytes = self.code.bytes_from(position);
        if !matches!(bytes[0], 0x0f | 0x2e | 0x66 | 0x90) {
            return position;
        }
        let mut decoder = decoder(bytes, self.code.address(position));
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
    fn leads_nowhere(&self, instruction: &Instruction) -> bool {
        instruction.op0_kind() == OpKind::Memory
            && instruction.memory_base() == Register::RIP
            && self
                .image
                .import_at(instruction.memory_displacement64())
                .is_some_and(never_returns)
    }

    fn indirect_jump(&mut self, run: &Run<'a>, position: Position, instruction: &Instruction) {
        if self.leads_nowhere(instruction) {
            return;
        }
        let path = (run.start, run.from);
        let function_start = self.functions.range(run.function).0;
        match self.tables.resolve(
            self.image,
            &mut self.code,
            position,
            instruction,
            path,
            function_start,
        ) {
            Resolved::Targets(targets) => {
                for &target in &targets {
                    let function = if self.functions.covers(run.function, target) {
                        run.function
                    } else {
                        self.functions.owner(target).unwrap_or(run.function)
                    };
                    self.flow(run.function, function);
                    self.queue(target, Origin::JumpTable, function, Some(position));
                }
            }
            Resolved::Later => {}
            Resolved::Unknown => {
                self.unresolved_jumps += u64::from(
                    instruction.op0_kind() != OpKind::Memory || instruction.memory_base() != Register::RIP,
                );
                // A jump that is not a table is a tail call, most often: its target may return for us.
                self.set_returns(run.function);
            }
        }
    }

    /// Notes what an ordinary instruction says about addresses: code taken as a value, data that may be a table.
    fn note_addresses(&mut self, instruction: &Instruction) {
        let address = match instruction.mnemonic() {
            Mnemonic::Lea if instruction.memory_base() == Register::RIP => {
                instruction.memory_displacement64()
            }
            Mnemonic::Mov | Mnemonic::Push if !self.image.position_independent() => {
                match instruction.op_kind(instruction.op_count() - 1) {
                    OpKind::Immediate32 => u64::from(instruction.immediate32()),
                    OpKind::Immediate32to64 => instruction.immediate32to64() as u64,
                    OpKind::Immediate64 => instruction.immediate64(),
                    _ => return,
                }
            }
            _ => return,
        };
        match self.code.position(address) {
            Some(position) if !self.code.is_instruction(position) => {
                if self.taken.last() != Some(&position) {
                    self.taken.push(position);
                }
            }
            Some(_) => {}
            None => self.tables.note_reference(address),
        }
    }
}
