//! A GitHub of our own, over HTTP: as much of it as an app needs, with its limits, its moods and its tokens.
//!
//! Tests and `regressd simulate` run the whole service against it. What it answers follows GitHub's documentation:
//! tokens are really signed and really end, limits are counted, comments are kept. `trouble` makes it fail on
//! command, `control` shows what it was told, `page` shows the comments to a person.

mod access;
mod api;
mod control;
mod keys;
mod page;
mod server;
mod state;
mod trouble;

pub use keys::{SigningKey, signing_key};
pub use server::{FakeGitHub, FakeSettings};
pub use state::{Check, Comment, Issue, LoggedCall, Pull};
pub use trouble::{Trouble, TroubleKind};
