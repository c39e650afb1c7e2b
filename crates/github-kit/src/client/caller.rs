//! As whom a call is made.

/// Whose token a call needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Caller {
    /// The owner of a token that is given.
    TokenOwner,
    /// The app itself.
    App,
    /// The app where it is installed.
    Installation(u64),
}

impl Caller {
    /// The number of the installation, by which GitHub counts.
    pub(crate) fn installation(self) -> Option<u64> {
        match self {
            Self::TokenOwner | Self::App => None,
            Self::Installation(id) => Some(id),
        }
    }
}
