//! Who asks, and what they may do.
//!
//! A request proves who it is from by a token of a repository, or by the identity that GitHub gives a workflow
//! (OpenID Connect). Nothing but `/health`, `/ready` and the signed `/webhook` is open without one, unless the
//! operator opens reading.

mod issue;
mod oidc;
mod principal;
mod token;

pub use issue::issue_token;
pub use oidc::{Oidc, OidcError};
pub use principal::{Principal, WorkflowClaims};
pub use token::{TokenCache, hash_token, new_token};
