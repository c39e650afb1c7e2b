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

    /// The numbers `length` to 1, each once: what sorts like to be given least.
    #[must_use]
    pub fn reversed(length: usize) -> Vec<u64> {
        (1..=length as u64).rev().collect()
    }

    /// Numbers of which only `distinct` are different, in random order; all zero when that is 0.
    #[must_use]
    pub fn with_duplicates(&mut self, length: usize, distinct: usize) -> Vec<u64> {
        (0..length)
            .map(|_| self.rng.next_below(distinct) as u64)
            .collect()
    }

    /// Keys below `keys` by Zipf's law: the key k is asked for `(k + 1)^-skew` times as often as the key 0, as caches and
    /// maps are by users. A skew of 0 is uniform, 1 is that of words in a text.
    #[must_use]
    pub fn zipf_keys(&mut self, length: usize, keys: usize, skew: f64) -> Vec<usize> {
        let mut sums = Vec::with_capacity(keys);
        let mut sum = 0.0;
        for key in 0..keys {
            sum += ((key + 1) as f64).powf(-skew);
            sums.push(sum);
        }
        (0..length)
            .map(|_| {
                let at = self.rng.next_unit() * sum;
                sums.partition_point(|end| *end <= at).min(keys.saturating_sub(1))
            })
            .collect()
    }

    /// Values around 0 with a standard deviation of 1 (normal distribution).
    #[must_use]
    pub fn normals(&mut self, length: usize) -> Vec<f64> {
        (0..length).map(|_| self.rng.next_normal()).collect()
    }

    /// Sizes with many small and few large ones, as of files and requests: their logarithms are normally distributed
    /// around that of `median` with a deviation of `sigma`. At least 1 each.
    #[must_use]
    pub fn log_normal_sizes(&mut self, length: usize, median: usize, sigma: f64) -> Vec<usize> {
        let size = |normal: f64| (median as f64 * (sigma * normal).exp()).round().max(1.0) as usize;
        (0..length).map(|_| size(self.rng.next_normal())).collect()
    }

    /// Bytes of which a compressor can save about `share` (0 to 1): runs of one byte between random ones.
    #[must_use]
    pub fn compressible_bytes(&mut self, length: usize, share: f64) -> Vec<u8> {
        const RUN: usize = 64;
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            let run = RUN.min(length - bytes.len());
            if self.rng.next_unit() < share {
                bytes.resize(bytes.len() + run, b' ');
            } else {
                let random = self.bytes(run);
                bytes.extend_from_slice(&random);
            }
        }
        bytes
    }

    /// A JSON document: objects of four members, nested `depth` deep, with words, numbers and lists at the ends. It has
    /// 4^`depth` of them, so that 6 is some 150 KiB.
    #[must_use]
    pub fn json_document(&mut self, depth: u32) -> String {
        let mut text = String::new();
        self.write_json(&mut text, depth);
        text
    }

    fn write_json(&mut self, text: &mut String, depth: u32) {
        use std::fmt::Write as _;
        if depth == 0 {
            let _ = match self.rng.next_below(4) {
                0 => write!(text, "{}", self.rng.next_below(1_000_000)),
                1 => write!(text, "{:.6}", self.rng.next_normal()),
                2 => write!(text, "[{}, {}]", self.rng.next_below(10), self.rng.next_below(10)),
                _ => write!(text, "\"{}\"", self.words(3)),
            };
            return;
        }
        text.push('{');
        for member in 0..4 {
            if member > 0 {
                text.push_str(", ");
            }
            let name = self.words(1);
            let _ = write!(text, "\"{name}{member}\": ");
            self.write_json(text, depth - 1);
        }
        text.push('}');
    }

    /// A connected graph: the neighbours of each of `nodes` nodes, with `extra` random edges beyond a random tree. Each edge
    /// stands at both of its ends.
    #[must_use]
    pub fn graph(&mut self, nodes: usize, extra: usize) -> Vec<Vec<usize>> {
        let mut neighbours = vec![Vec::new(); nodes];
        let tree: Vec<(usize, usize)> = (1..nodes).map(|node| (node, self.rng.next_below(node))).collect();
        let more = if nodes > 1 { extra } else { 0 };
        let random: Vec<(usize, usize)> = (0..more)
            .map(|_| {
                let from = self.rng.next_below(nodes);
                (from, (from + 1 + self.rng.next_below(nodes - 1)) % nodes)
            })
            .collect();
        for (from, to) in tree.into_iter().chain(random) {
            neighbours[from].push(to);
            neighbours[to].push(from);
        }
        neighbours
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
