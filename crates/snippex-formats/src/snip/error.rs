//! What is wrong with a `.snip` file, and where.

use thiserror::Error;

/// A `.snip` file that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}: {problem}")]
pub struct SnipError {
    /// Line, from 1; one beyond the last when something is missing at the end.
    pub line: usize,
    /// What is wrong there.
    pub problem: SnipProblem,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SnipProblem {
    /// The first line is something else.
    #[error("a .snip file begins with `snip 1`")]
    Header,
    /// A newer form.
    #[error("this is version {0} of the form, and this snippex reads version 1; use a newer one")]
    Version(String),
    /// A word that no line begins with, or not here.
    #[error("`{word}` cannot stand here; expected {expected}")]
    Keyword {
        /// The word.
        word: String,
        /// What can stand there.
        expected: &'static str,
    },
    /// Something has to follow.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// Something follows that has no meaning.
    #[error("`{0}` is one word too many")]
    Surplus(String),
    /// A number that is none.
    #[error("`{0}` is not a number; write decimal digits, or 0x and hexadecimal ones")]
    Number(String),
    /// A number that does not fit.
    #[error("{value} has more than {bits} bits")]
    Width {
        /// As written.
        value: String,
        /// What there is room for.
        bits: u32,
    },
    /// Bytes that are none.
    #[error("`{0}` is not a byte; write two hexadecimal digits")]
    Byte(String),
    /// A register that there is not.
    #[error("`{0}` is no register")]
    Register(String),
    /// A flag that there is not.
    #[error("`{0}` is no flag; write CF, PF, AF, ZF, SF, TF, DF, OF, NT, AC, ID or none")]
    Flag(String),
    /// A name from a list that is not on it.
    #[error("`{word}` is no {what}")]
    Name {
        /// The word.
        word: String,
        /// What it should name.
        what: &'static str,
    },
    /// Said before.
    #[error("{0} is given twice")]
    Twice(String),
    /// A place beyond a page, or a page that is none.
    #[error("{0}")]
    Place(&'static str),
    /// A case that has too much of something.
    #[error("more than {most} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many are read.
        most: usize,
    },
}
