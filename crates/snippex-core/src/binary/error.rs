//! Why a file cannot be read as an x86-64 program.

/// Why a file cannot be read as an x86-64 program. The text fits "failed to read FILE: ...".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// Neither ELF nor PE.
    #[error("not an ELF or PE file: it looks like {found}; name an x86-64 program or shared library")]
    UnknownFormat {
        /// What the first bytes look like.
        found: &'static str,
    },
    /// An ELF or PE file for another machine, word size or byte order.
    #[error("made for {found}, but only x86-64 is supported")]
    WrongMachine {
        /// The machine the header names.
        found: String,
    },
    /// An object file or another kind that no loader maps.
    #[error("not a linked program or shared library but {found}; link it first")]
    NotLinked {
        /// The kind of file.
        found: &'static str,
    },
    /// The file ends before something its headers name.
    #[error("the file is truncated: {what} ends at byte {end}, but the file has {length} bytes")]
    Truncated {
        /// What is cut off.
        what: &'static str,
        /// Where it would end, in bytes from the start of the file.
        end: u64,
        /// Bytes in the file.
        length: u64,
    },
    /// The headers contradict themselves.
    #[error("malformed headers: {what}")]
    Malformed {
        /// What is wrong.
        what: String,
    },
    /// There is nothing to extract.
    #[error("no executable code in the file: its code sections are empty or kept in another file")]
    NoCode,
}
