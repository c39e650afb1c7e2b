//! Identities of rows and the times that are stored with them.

use std::fmt;

pub use database_kit::UnixMillis;
use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// A binary in the database.
    BinaryId
}
id! {
    /// The number by which users name a block, from 1 upward. Never given out twice in one database.
    BlockNumber
}
id! {
    /// An engine with its version, configuration and guest.
    EngineId
}
id! {
    /// A machine that runs were done on.
    HostId
}
id! {
    /// One invocation of `check`, `validate` or `simulate`.
    RunId
}
id! {
    /// A stored divergence.
    DivergenceId
}
id! {
    /// A stored observation.
    ObservationId
}
