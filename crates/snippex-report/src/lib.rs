//! Shows results. A report is a plain view struct that its maker fills in; each file here turns it into one
//! format and knows nothing else: no files, no network, no clock, no judgement.

pub mod benchmarks;
