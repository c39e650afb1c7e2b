//! The GitHub client against the built-in GitHub: tokens, limits, failures, and nothing said twice.
#![expect(clippy::unwrap_used, reason = "tests")]

mod checks;
mod comments;
mod failures;
mod set_up;
mod tokens;
