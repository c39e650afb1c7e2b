//! Reproducers: what is to be reproduced, the programs that build them, and trying them.

mod judged;
mod provenance;
mod story;
mod subject;
mod toolchain;

pub(crate) use judged::Judged;
pub(crate) use story::{notes, title};
pub(crate) use subject::Subject;
pub(crate) use toolchain::{Tried, build_and_run, builders, spelling};
