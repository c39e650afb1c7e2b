//! The names that stand in `.snip` files for the variants of types.

use crate::block::{Origin, Terminator, Unrunnable};
use crate::case::Access;

pub(super) const TERMINATORS: [(&str, Terminator); 10] = [
    ("fall-through", Terminator::FallThrough),
    ("jcc", Terminator::Jcc),
    ("loop", Terminator::Loop),
    ("jmp", Terminator::Jmp),
    ("call", Terminator::Call),
    ("indirect-jmp", Terminator::IndirectJmp),
    ("indirect-call", Terminator::IndirectCall),
    ("ret", Terminator::Ret),
    ("syscall", Terminator::Syscall),
    ("trap", Terminator::Trap),
];

pub(super) const ORIGINS: [(&str, Origin); 11] = [
    ("entry", Origin::Entry),
    ("symbol", Origin::Symbol),
    ("unwind-info", Origin::UnwindInfo),
    ("init-array", Origin::InitArray),
    ("relocation", Origin::Relocation),
    ("branch-target", Origin::BranchTarget),
    ("call-target", Origin::CallTarget),
    ("after-terminator", Origin::AfterTerminator),
    ("jump-table", Origin::JumpTable),
    ("address-taken", Origin::AddressTaken),
    ("sweep", Origin::Sweep),
];

pub(super) const UNRUNNABLE: [(&str, Unrunnable); 6] = [
    ("syscall", Unrunnable::Syscall),
    ("privileged", Unrunnable::Privileged),
    ("host-dependent", Unrunnable::HostDependent),
    ("state-not-covered", Unrunnable::StateNotCovered),
    ("far-transfer", Unrunnable::FarTransfer),
    ("invalid", Unrunnable::Invalid),
];

pub(super) const ACCESS: [(&str, Access); 2] = [("read", Access::Read), ("read-write", Access::ReadWrite)];

/// The name of `value`.
pub(super) fn name<T: PartialEq>(table: &[(&'static str, T)], value: &T) -> &'static str {
    table
        .iter()
        .find(|(_, known)| known == value)
        .map_or("unknown", |(name, _)| name)
}

/// What is called `name`.
pub(super) fn value<T: Copy>(table: &[(&'static str, T)], name: &str) -> Option<T> {
    table
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, value)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A variant without a name would be written as `unknown`: serde knows all of them and calls them the same.
    #[test]
    fn names_are_those_that_serde_gives() {
        fn check<T: serde::Serialize>(table: &[(&str, T)]) {
            for (name, value) in table {
                assert_eq!(serde_json::to_value(value).unwrap(), *name);
            }
        }
        check(&TERMINATORS);
        check(&ORIGINS);
        check(&UNRUNNABLE);
        check(&ACCESS);
    }
}
