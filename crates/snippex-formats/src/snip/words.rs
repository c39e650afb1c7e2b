//! The names that stand in `.snip` files for the variants of types.
//!
//! Each name is in a `match` without a rest, so that a new variant cannot be forgotten.

use snippex_core::block::{Origin, Terminator, Unrunnable};
use snippex_core::case::PageAccess;

/// A type whose values have names.
pub(super) trait Named: Copy + 'static {
    /// Every value.
    const ALL: &'static [Self];

    /// Its name.
    fn name(self) -> &'static str;

    /// The value called `name`.
    fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|value| value.name() == name)
    }
}

macro_rules! named {
    ($type:ident: $($variant:ident = $name:literal,)+) => {
        impl Named for $type {
            const ALL: &'static [Self] = &[$(Self::$variant),+];

            fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

named! { Terminator:
    FallThrough = "fall-through",
    Jcc = "jcc",
    Loop = "loop",
    Jmp = "jmp",
    Call = "call",
    IndirectJmp = "indirect-jmp",
    IndirectCall = "indirect-call",
    Ret = "ret",
    Syscall = "syscall",
    Trap = "trap",
}

named! { Origin:
    Entry = "entry",
    Symbol = "symbol",
    UnwindInfo = "unwind-info",
    InitArray = "init-array",
    Relocation = "relocation",
    BranchTarget = "branch-target",
    CallTarget = "call-target",
    AfterTerminator = "after-terminator",
    JumpTable = "jump-table",
    AddressTaken = "address-taken",
    Sweep = "sweep",
    Generated = "generated",
}

named! { Unrunnable:
    Syscall = "syscall",
    Privileged = "privileged",
    HostDependent = "host-dependent",
    StateNotCovered = "state-not-covered",
    FarTransfer = "far-transfer",
    Invalid = "invalid",
}

named! { PageAccess:
    Read = "read",
    ReadWrite = "read-write",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_serde_gives() {
        fn check<T: Named + serde::Serialize>() {
            for value in T::ALL {
                assert_eq!(serde_json::to_value(value).unwrap(), value.name());
            }
        }
        check::<Terminator>();
        check::<Origin>();
        check::<Unrunnable>();
        check::<PageAccess>();
    }
}
