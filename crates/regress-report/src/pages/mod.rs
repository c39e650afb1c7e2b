//! The pages of a service that keeps benchmarks: repositories, one repository, one benchmark, one run, a message, and
//! the badge.
//!
//! Each file holds the view of one page and the function that turns it into HTML. Pages need no script and have no style
//! of their own but the classes of [`crate::STYLE`], so that a browser may be told to allow nothing else. Everything
//! that came from outside is escaped here.

pub mod badge;
mod benchmark;
mod frame;
mod message;
mod repositories;
mod repository;
mod run;
#[cfg(test)]
mod tests;

pub use benchmark::{BenchmarkPage, Change, ChangeKind, Fact, HistoryPoint, PointState, benchmark};
pub use frame::{Frame, Link, When};
pub use message::{MessagePage, TokenForm, message};
pub use repositories::{RepositoriesPage, RepositoryCard, repositories};
pub use repository::{RepositoryPage, SeriesLine, StreamSection, repository};
pub use run::{RunLine, RunPage, run};
