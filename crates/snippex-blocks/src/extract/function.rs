//! Functions as far as extraction needs them: where they begin, and whether they can return.
//!
//! A call's continuation is code only if the callee returns. The answer is the least solution of "a function
//! returns if it reaches a return, or flows into a function that returns", found while tracing: continuations
//! wait at their callee and are released when a return is reached (Meng and Miller, "Binary Code Is Not Easy",
//! 2016).

use std::collections::BTreeMap;

use super::code::Position;

/// Index of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FunctionId(u32);

/// Released when a callee returns.
#[derive(Clone, Copy, Debug)]
pub(super) enum Waiter {
    /// Code of `caller` at `continuation` is reached.
    Continuation {
        continuation: Position,
        caller: FunctionId,
    },
    /// `caller` flows into the callee, and so returns as well.
    Flow { caller: FunctionId },
}

#[derive(Clone, Copy, Debug)]
struct Function {
    start: Position,
    /// Equal to `start` when unknown.
    end: Position,
    returns: bool,
    /// Head of the list of waiters; `NONE` at its end.
    waiters: u32,
}

const NONE: u32 = u32::MAX;

/// All functions known so far.
#[derive(Debug, Default)]
pub(super) struct Functions {
    functions: Vec<Function>,
    /// The first `sorted` functions ascend by start; those found later are in `late`.
    sorted: usize,
    late: BTreeMap<Position, u32>,
    waiters: Vec<(Waiter, u32)>,
}

impl Functions {
    /// Functions the file names: ascending starts, each once.
    pub(super) fn new(known: impl Iterator<Item = (Position, Position)>) -> Self {
        let function = |(start, end)| Function {
            start,
            end,
            returns: false,
            waiters: NONE,
        };
        let functions: Vec<_> = known.map(function).collect();
        Self {
            sorted: functions.len(),
            functions,
            ..Self::default()
        }
    }

    /// The function that begins at `position`, made when there is none and the position is not inside a function
    /// of known extent; in that case, that function. The flag says that it is new.
    pub(super) fn get_or_create(&mut self, position: Position) -> (FunctionId, bool) {
        if let Some(id) = self.find_owner(position) {
            let function = &self.functions[id.0 as usize];
            if function.start == position || position < function.end {
                return (id, false);
            }
        }
        let id = self.functions.len() as u32;
        self.functions.push(Function {
            start: position,
            end: position,
            returns: false,
            waiters: NONE,
        });
        self.late.insert(position, id);
        (FunctionId(id), true)
    }

    /// The nearest function at or before `position` that does not end before it.
    pub(super) fn find_owner(&self, position: Position) -> Option<FunctionId> {
        let known = self.functions[..self.sorted].partition_point(|function| function.start <= position);
        let known = known.checked_sub(1).map(|index| index as u32);
        let late = self.late.range(..=position).next_back().map(|(_, &id)| id);
        let start = |id: &u32| self.functions[*id as usize].start;
        let id = [known, late].into_iter().flatten().max_by_key(start)?;
        let function = &self.functions[id as usize];
        (function.end == function.start || position < function.end).then_some(FunctionId(id))
    }

    /// Whether `position` belongs to `function` for certain.
    pub(super) fn covers_position(&self, function: FunctionId, position: Position) -> bool {
        let function = &self.functions[function.0 as usize];
        (function.start..function.end).contains(&position)
    }

    /// Start and end; equal when the end is unknown.
    pub(super) fn position_range(&self, function: FunctionId) -> (Position, Position) {
        let function = &self.functions[function.0 as usize];
        (function.start, function.end)
    }

    /// Lets `waiter` wait for `function`; false when that function is known to return, so that there is nothing
    /// to wait for.
    pub(super) fn add_waiter(&mut self, function: FunctionId, waiter: Waiter) -> bool {
        let function = &mut self.functions[function.0 as usize];
        if function.returns {
            return false;
        }
        self.waiters.push((waiter, function.waiters));
        function.waiters = self.waiters.len() as u32 - 1;
        true
    }

    /// Notes that `function` returns, and hands every continuation that this releases to `release`.
    pub(super) fn set_returns(
        &mut self,
        function: FunctionId,
        mut release: impl FnMut(Position, FunctionId),
    ) {
        let mut returning = vec![function];
        while let Some(id) = returning.pop() {
            let function = &mut self.functions[id.0 as usize];
            if std::mem::replace(&mut function.returns, true) {
                continue;
            }
            let mut next = std::mem::replace(&mut function.waiters, NONE);
            while let Some(&(waiter, following)) = self.waiters.get(next as usize) {
                match waiter {
                    Waiter::Continuation { continuation, caller } => release(continuation, caller),
                    Waiter::Flow { caller } => returning.push(caller),
                }
                next = following;
            }
        }
    }

    /// Calls whose callee was never seen to return.
    pub(super) fn never_returning_calls(&self) -> u64 {
        let waiting = |function: &Function| {
            std::iter::successors(self.waiters.get(function.waiters as usize), |(_, next)| {
                self.waiters.get(*next as usize)
            })
            .filter(|(waiter, _)| matches!(waiter, Waiter::Continuation { .. }))
            .count() as u64
        };
        self.functions.iter().map(waiting).sum()
    }

    pub(super) fn len(&self) -> usize {
        self.functions.len()
    }
}
