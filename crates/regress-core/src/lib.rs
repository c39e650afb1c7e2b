//! Judges benchmark results on noisy machines.
