//! Start states: made so that blocks run to their end and meet the values at which emulators go wrong.
//!
//! [`Roles`] says what each register is used for. [`start_states`] gives base registers addresses in the arena, index and
//! count registers small numbers, and all others data with many edge values, which is the
//! strategy under which most blocks complete. [`vector_pool()`] does the same for vector and x87 registers, and
//! [`memory`] for the content of pages. Generated blocks are started in another [`Style`]: from the corners that
//! compiled code seldom meets. Everything comes from one seed, by [`crate::random::Random`].

mod corners;
mod linear;
pub mod memory;
mod roles;
mod start_corners;
mod starts;
mod style;
mod values;
mod vector_pool;
mod x87_pairs;

pub use linear::Linear;
pub use roles::{MemoryUse, Role, Roles};
pub use start_corners::StartCorner;
pub use starts::{landing_pad, start_states};
pub use style::Style;
pub use vector_pool::vector_pool;
pub use x87_pairs::{X87Class, X87Pair};
