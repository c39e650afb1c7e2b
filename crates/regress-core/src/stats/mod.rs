//! Statistics over plain values: one estimator or test a file, no knowledge of benchmarks.
//!
//! The first stage after ingest: [`crate::detect`] builds its judgements from these. Everything here is pure and
//! deterministic, takes `&[f64]`, and gives `None` where the answer is not defined (too few values, a value that is
//! not finite). Nothing here decides whether a change matters.

pub mod bootstrap;
pub mod effect;
pub mod fdr;
pub mod interval;
pub mod kruskal_wallis;
pub mod mann_whitney;
pub mod median_law;
pub mod moments;
pub mod normal;
pub mod quantile;
pub mod rng;
pub mod seasonal;
pub mod student;
pub mod trend;
pub mod welch;

pub use bootstrap::ratio_of_medians;
pub use effect::{cliffs_delta, normalised_difference};
pub use fdr::benjamini_hochberg;
pub use interval::Interval;
pub use mann_whitney::{MannWhitney, mann_whitney};
pub use moments::{mean, mean_interval, std_dev};
pub use quantile::{Fences, iqr_fences, median, median_absolute_deviation, quantile};
pub use seasonal::{Decomposition, decompose_seasonal};
pub use trend::{Trend, theil_sen};
pub use welch::{Welch, welch_t_test};
