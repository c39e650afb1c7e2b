//! Inputs for performance tests, the same in every run for the same seed.

use crate::stats::rng::Rng;

/// A generator of inputs.
#[derive(Debug, Clone)]
pub struct Workload {
    rng: Rng,
}

impl Workload {
    /// A generator; equal seeds give equal inputs, on every machine.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { rng: Rng::new(seed) }
    }

    /// Random bytes, which do not compress.
    #[must_use]
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length)
            .map(|_| self.rng.next_u64().to_le_bytes()[0])
            .collect()
    }

    /// Numbers below `bound`; all zero when that is 0.
    #[must_use]
    pub fn integers(&mut self, length: usize, bound: u64) -> Vec<u64> {
        (0..length)
            .map(|_| self.rng.next_u64().checked_rem(bound).unwrap_or(0))
            .collect()
    }

    /// The numbers 0 to `length` in random order, each once.
    #[must_use]
    pub fn shuffled(&mut self, length: usize) -> Vec<u64> {
        let mut numbers: Vec<u64> = (0..length as u64).collect();
        self.rng.shuffle(&mut numbers);
        numbers
    }

    /// The numbers 0 to `length` in order but for `swaps` random exchanges.
    #[must_use]
    pub fn nearly_sorted(&mut self, length: usize, swaps: usize) -> Vec<u64> {
        let mut numbers: Vec<u64> = (0..length as u64).collect();
        for _ in 0..if length > 1 { swaps } else { 0 } {
            let (left, right) = (self.rng.next_below(length), self.rng.next_below(length));
            numbers.swap(left, right);
        }
        numbers
    }

    /// Lower-case words of 2 to 9 letters with a space between.
    #[must_use]
    pub fn words(&mut self, count: usize) -> String {
        let mut text = String::with_capacity(count * 7);
        for index in 0..count {
            if index > 0 {
                text.push(' ');
            }
            for _ in 0..2 + self.rng.next_below(8) {
                text.push(char::from(b'a' + self.rng.next_below(26) as u8));
            }
        }
        text
    }

    /// Sizes from `first` to at most `last`, each `factor` times the one before: for tests of how time grows.
    /// Empty when `first` is 0 or above `last`; one size when `factor` is below 2.
    #[must_use]
    pub fn growing_sizes(first: usize, last: usize, factor: usize) -> Vec<usize> {
        let next = |size: &usize| {
            size.checked_mul(factor)
                .filter(|next| next > size && *next <= last)
        };
        std::iter::successors(Some(first).filter(|size| (1..=last).contains(size)), next).collect()
    }
}
