//! GitHub, as far as one comment needs it. The only place that is async, and the one crossing into it.

mod error;
mod event;
mod sticky;

pub(crate) use error::CommentError;
#[cfg(feature = "service")]
pub(crate) use event::pull_request_head;
pub(crate) use event::pull_request_of_event;
pub(crate) use sticky::{Target, Written, write_comment};
