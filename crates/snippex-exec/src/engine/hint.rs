//! What a user can do about an error of an engine.

use std::io::ErrorKind;

use super::{EngineError, SpecError};

impl SpecError {
    /// What mends it, in the words of the command line.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Unknown { .. } => {
                "snippex engines list shows them; an engine of your own is added with snippex engines add, or given to a \
                 check with --engine-command 'PROGRAM {runner}'"
                    .to_owned()
            }
            Self::Only32 { engine, .. } => {
                format!("name {engine}: it runs 64-bit and 32-bit programs, each with its own")
            }
            Self::UnknownConfiguration { engine, .. } => {
                format!("snippex engines show {engine} lists its configurations")
            }
            Self::Contradiction { .. } => "name only one of the configurations that set it".to_owned(),
            Self::NoCommand(name) => format!("add command = \"PROGRAM {{runner}}\" to [engines.{name}]"),
            Self::Missing { .. } => "or name another engine: snippex engines list shows which are here".to_owned(),
            Self::EmptyCommand | Self::OpenQuote(_) => {
                "correct --engine-command, or the command of the engine's entry in the settings".to_owned()
            }
        }
    }
}

impl EngineError {
    /// What mends it, in the words of the command line.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Start { program, .. } => {
                format!("check that {program} is installed and executable, and on the PATH")
            }
            Self::Handshake { .. } => {
                "the engine has to run the x86-64 program that is named where {runner} stands, and pass its standard \
                 input and output on; try the command by hand"
                    .to_owned()
            }
            Self::NoCpu | Self::NotNative { .. } => {
                "compare with a recording (snippex record BINARY --to FILE on an x86-64 machine, then snippex replay FILE \
                 here), with the CPU of an x86-64 host (--reference HOST/native, see snippex hosts), or with an emulator \
                 that is taken as right (--reference ENGINE)"
                    .to_owned()
            }
            Self::Changed { .. } => "do not update the engine while it is in use".to_owned(),
            Self::KeepsDying { .. } => {
                "the engine is broken, or its machine is out of memory; try it with --count 1".to_owned()
            }
            Self::Prepare { source, .. } if source.kind() != ErrorKind::OutOfMemory => format!(
                "make room in {}, or name another folder in the variable TMPDIR",
                std::env::temp_dir().display()
            ),
            Self::Prepare { .. } | Self::Talk { .. } => "free memory, and try again".to_owned(),
            Self::Batch(_) => "give fewer --states".to_owned(),
            #[cfg(feature = "recordings")]
            Self::Recording(error) => error.hint(),
            #[cfg(feature = "remote")]
            Self::Remote(error) => error.hint(),
            Self::Results(_) => "have the engine run the batch again".to_owned(),
        }
    }
}
