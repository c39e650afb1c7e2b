//! Shows results. A report is a plain view struct that its maker fills in; each file here turns it into one
//! format and knows nothing else: no files, no network, no clock, no judgement.

pub mod benchmarks;
mod chart;
pub mod pages;

/// The style sheet of every page and report: light and dark, from a phone up, without scripts or other files.
pub const STYLE: &str = include_str!("style.css");
