//! Recursive descent: follows control flow from one position after the other.

use iced_x86::{Code as Opcode, Instruction, Mnemonic, OpKind, Register};

use super::code::{CodeRegions, Position, Region};
use super::function::{FunctionId, Functions, Waiter};
use super::jump_table::{Resolved, Tables};
use crate::binary::Image;
use snippex_core::block::{Origin, Terminator};
use snippex_core::decode::{Control, MAX_LENGTH, control_flow, intel_decoder, measure_refused};

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
    pub(super) code: CodeRegions<'a>,
    pub(super) functions: Functions,
    /// Code addresses that code loads as values.
    pub(super) taken: Vec<Position>,
    pub(super) tables: Tables,
    /// Indirect jumps not recognised as jump tables or imports.
    pub(super) unresolved_jumps: u64,
    work: Vec<Work>,
}

/// Where one straight run of a trace is.
pub(super) struct TracedRun<'a> {
    pub(super) region: Region<'a>,
    pub(super) function: FunctionId,
    /// First position of the run, and the branch that led there.
    start: Position,
    from: Option<Position>,
}

impl<'i, 'a> Tracer<'i, 'a> {
    pub(super) fn new(image: &'i Image<'a>) -> Self {
        let code = CodeRegions::new(image);
        let known = image.functions().iter().filter_map(|function| {
            let start = code.position_of(function.address)?;
            let limit = code.region_at(start).end_position();
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
    pub(super) fn queue_owned_block(&mut self, position: Position, origin: Origin) {
        let function = self.ensure_function(position);
        self.queue_block(position, origin, function, None);
    }

    /// Follows everything that is queued.
    pub(super) fn trace_queued(&mut self) {
        while let Some(work) = self.work.pop() {
            self.trace(work);
        }
    }

    /// Takes up the jump tables whose end was not certain; whether there were any.
    pub(super) fn follow_unbounded_tables(&mut self) -> bool {
        let pending = self.tables.take_unbounded();
        let any = !pending.is_empty();
        for table in pending {
            let function = self.functions.find_owner(table.jump);
            let (start, end) = function.map_or((0, 0), |function| self.functions.position_range(function));
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
                let function = self.ensure_function(target);
                self.queue_block(target, Origin::JumpTable, function, Some(table.jump));
            }
        }
        any
    }

    pub(super) fn queue_block(
        &mut self,
        position: Position,
        origin: Origin,
        function: FunctionId,
        from: Option<Position>,
    ) {
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
    pub(super) fn ensure_function(&mut self, position: Position) -> FunctionId {
        let owner = self.functions.find_owner(position);
        let (function, new) = self.functions.get_or_create(position);
        if let (true, Some(owner), true) = (new, owner, self.code.is_instruction(position)) {
            self.flow(function, owner);
        }
        function
    }

    /// `from` goes on in `to`.
    fn flow(&mut self, from: FunctionId, to: FunctionId) {
        if from != to && !self.functions.add_waiter(to, Waiter::Flow { caller: from }) {
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
        let region = self.code.region_at(work.position);
        let mut run = TracedRun {
            region,
            function: work.function,
            start: work.position,
            from: work.from,
        };
        let mut position = work.position;
        let first = (position - region.base) as usize;
        let mut decoder = intel_decoder(&region.bytes[first..], region.address + first as u64);
        let mut instruction = Instruction::default();
        let mut function_end = self.functions.position_range(run.function).1;
        loop {
            if position == region.end_position() {
                return self.set_returns(run.function);
            }
            if position != run.start
                && (position == function_end || self.code.is_leader(position))
                && let Some(next) = self
                    .functions
                    .find_owner(position)
                    .filter(|&next| next != run.function)
            {
                // Runs into the next function.
                self.flow(run.function, next);
                run.function = next;
                function_end = self.functions.position_range(next).1;
            }
            if self.code.is_instruction(position) {
                if !self.code.is_leader(position) {
                    // Two ways of reading the same bytes meet here; which one is right is decided at the end.
                    self.code.mark_leader(position, Origin::AfterTerminator);
                }
                return;
            }
            decoder.decode_out(&mut instruction);
            if instruction.is_invalid() {
                // What processors refuse is no code to sweep.
                let offset = (position - region.base) as usize;
                let bytes = &region.bytes[offset..region.bytes.len().min(offset + MAX_LENGTH)];
                if position != run.start
                    && let Some(length) = measure_refused(bytes)
                {
                    self.code.mark_data(position, length);
                }
                // What cannot be read is assumed to be able to return.
                return self.set_returns(run.function);
            }
            self.code.mark_instruction(position, instruction.len());
            let next = position + instruction.len() as Position;
            match control_flow(&instruction) {
                Control::Next => self.note_addresses(&instruction),
                Control::End(terminator) => {
                    if !self.leave(&run, position, next, &instruction, terminator) {
                        return;
                    }
                    let aligned = self.skip_alignment(next);
                    if aligned >= region.end_position() {
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
        run: &TracedRun<'a>,
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
            Terminator::Call => self.follow_call(run, next, instruction),
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

    fn branch(&mut self, run: &TracedRun<'a>, position: Position, instruction: &Instruction) {
        let Some(target) = self.code.position_of(instruction.near_branch_target()) else {
            return self.set_returns(run.function);
        };
        let function = if self.functions.covers_position(run.function, target) {
            run.function
        } else {
            match self.functions.find_owner(target) {
                Some(owner) => {
                    self.flow(run.function, owner);
                    owner
                }
                None => run.function,
            }
        };
        self.queue_block(target, Origin::BranchTarget, function, Some(position));
    }

    fn indirect_jump(&mut self, run: &TracedRun<'a>, position: Position, instruction: &Instruction) {
        if self.leads_nowhere(instruction) {
            return;
        }
        let path = (run.start, run.from);
        let function_start = self.functions.position_range(run.function).0;
        match self.tables.resolve_jump(
            self.image,
            &mut self.code,
            position,
            instruction,
            path,
            function_start,
        ) {
            Resolved::Targets(targets) => {
                for &target in &targets {
                    self.follow_case(run, position, target);
                }
            }
            Resolved::Later(first) => {
                if let Some(target) = first {
                    self.follow_case(run, position, target);
                }
            }
            Resolved::Unknown => {
                self.unresolved_jumps += u64::from(
                    instruction.op0_kind() != OpKind::Memory || instruction.memory_base() != Register::RIP,
                );
                // A jump that is not a table is a tail call, most often: its target may return for us.
                self.set_returns(run.function);
            }
        }
    }

    /// Queues a case of the `switch` whose jump is at `position`.
    fn follow_case(&mut self, run: &TracedRun<'a>, position: Position, target: Position) {
        let function = if self.functions.covers_position(run.function, target) {
            run.function
        } else {
            self.functions.find_owner(target).unwrap_or(run.function)
        };
        self.flow(run.function, function);
        self.queue_block(target, Origin::JumpTable, function, Some(position));
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
        match self.code.position_of(address) {
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
