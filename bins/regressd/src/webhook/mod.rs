//! What GitHub tells us: from the bytes of a delivery to a domain event.
//!
//! ```text
//! request --extractor--> signature holds? --event--> Event
//! ```
//!
//! Nothing here acts: the handler stores the delivery as a job, a worker acts on it. Everything in a payload is the
//! word of whoever opened the pull request and is checked here once: names of repositories, commits, lengths.

mod event;
mod extractor;
mod payload;
mod rejection;
mod signature;

pub use event::{
    Event, InstallationEvent, MergeGroupEvent, PullRequestAction, PullRequestEvent, PushEvent, RenamedEvent,
    RerequestedEvent, WorkflowRunEvent,
};
pub use extractor::{SignedDelivery, WebhookKeys};
pub use payload::{PayloadError, read_event};
pub use rejection::Rejection;
pub use signature::{SignatureError, sign_body, verify_signature};

/// The largest payload GitHub sends.
pub const MAX_BYTES: usize = 25 * 1024 * 1024;
