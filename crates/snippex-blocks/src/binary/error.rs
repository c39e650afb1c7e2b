//! Why a file cannot be read as an x86-64 program.

/// Why a file cannot be read as an x86-64 program. The text fits "failed to read FILE: ...".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// Neither ELF nor PE.
    #[error("not an ELF or PE file: it looks like {found}")]
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
    /// An assembly of .NET without native code.
    #[error("no native code in the file: it is .NET bytecode, which is compiled when it runs")]
    Bytecode,
    /// There is nothing to extract.
    #[error("no executable code in the file: its code sections are empty or kept in another file")]
    NoCode,
}

/// What people keep in one folder with programs.
const SCRIPT: &str = "a script";

/// A name for what is neither ELF nor PE.
pub(super) fn looks_like(data: &[u8]) -> &'static str {
    match data {
        [] => "an empty file",
        [b'#', b'!', ..] => SCRIPT,
        [b'!', b'<', b'a', b'r', b'c', b'h', b'>', ..] => "a static library (name its members: LIBRARY:/*.o)",
        [0xcf | 0xce, 0xfa, 0xed, 0xfe, ..] | [0xca, 0xfe, 0xba, 0xbe, ..] => "a Mach-O or Java file",
        [0, b'a', b's', b'm', ..] => "a WebAssembly module",
        [0x1f, 0x8b, ..] | [0xfd, b'7', b'z', ..] | [0x28, 0xb5, 0x2f, 0xfd, ..] | [b'P', b'K', ..] => {
            "a compressed file or archive (unpack it first)"
        }
        _ if data
            .iter()
            .take(512)
            .all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace()) =>
        {
            "text"
        }
        _ => "other data",
    }
}

impl ImageError {
    /// Whether it is a script, which people keep in one folder with programs.
    #[must_use]
    pub fn is_script(&self) -> bool {
        matches!(self, Self::UnknownFormat { found } if *found == SCRIPT)
    }

    /// What a user can do about a file that is not a program we can read.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::UnknownFormat { .. } | Self::NotLinked { .. } => {
                "name an x86-64 program or shared library, such as /bin/bash"
            }
            Self::WrongMachine { .. } => "name a program for x86-64, whatever machine this is",
            Self::Truncated { .. } => "the copy is incomplete: fetch the file again",
            Self::Malformed { .. } => {
                "the file is damaged or made to mislead; no loader would take it either"
            }
            Self::Bytecode => {
                "compile it ahead of time (`dotnet publish` with PublishReadyToRun or PublishAot), or name the runtime's own libraries"
            }
            Self::NoCode => {
                "name a program with code; if this is debug information, the program that it is of"
            }
        }
    }
}
