//! Reproducers: what is to be reproduced, the programs that build them, and trying them.

mod provenance;
mod story;
mod subject;
mod toolchain;

pub(crate) use story::{notes, title};
pub(crate) use subject::{Judged, Subject};
pub(crate) use toolchain::{Tried, build_and_run, builders, spelling};
