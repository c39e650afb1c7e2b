//! The pages of a service that keeps benchmarks: repositories, one repository, one benchmark, one run, a message, and
//! the badge.
//!
//! Each file holds the view of one page and the function that turns it into HTML. Pages need no script and have no style
//! of their own but the classes of [`crate::STYLE`], so that a browser may be told to allow nothing else. Everything
//! that came from outside is escaped here.

pub mod badge;
mod benchmark;
mod beside;
mod frame;
mod message;
mod repositories;
mod repository;
mod run;
mod run_list;
#[cfg(test)]
mod tests;

pub use benchmark::{
    AcceptForm, BenchmarkPage, Change, ChangeKind, Fact, HistoryPoint, PointState, TimeRange,
    render_benchmark_page,
};
pub use beside::{BesideLine, BesidePart};
pub use frame::{Frame, Link, When};
pub use message::{MessagePage, TokenForm, render_message_page};
pub use repositories::{RepositoriesPage, RepositoryCard, render_repositories_page};
pub use repository::{RepositoryPage, SeriesLine, StreamSection, render_repository_page};
pub use run::{RunLine, RunPage, render_run_page};
pub use run_list::{ChoosableRun, RunListPage, render_run_list_page};
