//! A day in the life of a team, played against a running service: for trying it out, and for tests.
//!
//! ```text
//! sample results --upload-->            /analyze \
//!                                                 service --> GitHub (built in, or the service's own)
//! signed deliveries --webhook secret--> /webhook /
//! ```
//!
//! Nothing is simulated within the service: it gets the requests that GitHub and a workflow would send.

mod play;
mod samples;
mod sender;
mod stage;

pub use play::{Act, Scene, play_scene, scenes_for_owner};
pub use samples::{Language, SampleKind, SimulatedSample, samples_for_language};
pub use sender::{SendError, Sender, SimulatedUpload};
pub use stage::{Stage, StageError};
