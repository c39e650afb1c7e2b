//! What kind of code start states are made for.

/// What kind of code start states are made for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Style {
    /// Code as compilers write it: blocks should run to their end, and control registers hold what programs leave in
    /// them.
    #[default]
    Compiled,
    /// Single instructions: every control setting, unmasked exceptions, invalid encodings, full and empty x87 stacks,
    /// addresses at the ends of lines and pages.
    Corners,
}
