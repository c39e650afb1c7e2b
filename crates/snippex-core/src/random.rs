//! The one source of pseudo-random numbers: everything that is random in snippex comes from a seed through here.
//!
//! The generator is xoshiro256++ (Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2021),
//! its state filled by SplitMix64. The same seed gives the same numbers on every machine, in every process and
//! in every later version; a stored seed is a promise, so the algorithm must not change. Not for secrets.

/// A seeded generator. Substreams made by [`Random::derive_stream`] do not depend on what was drawn before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Random {
    seed: u64,
    state: [u64; 4],
}

impl Random {
    /// Starts the stream of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut counter = seed;
        let state = std::array::from_fn(|_| {
            counter = counter.wrapping_add(GOLDEN);
            mix(counter)
        });
        Self { seed, state }
    }

    /// The independent substream named by `path`, for example `[block address, state number]`.
    ///
    /// Depends on this generator's seed and `path` only, so that work can be split in any order over any number
    /// of threads.
    #[must_use]
    pub fn derive_stream(&self, path: &[u64]) -> Self {
        // The length goes in first: [1] and [1, 0] are different streams.
        let start = mix(self.seed ^ mix((path.len() as u64).wrapping_add(GOLDEN)));
        Self::new(path.iter().fold(start, |seed, &part| {
            mix(seed.rotate_left(23).wrapping_add(mix(part ^ GOLDEN)))
        }))
    }

    /// 64 uniform bits.
    pub fn next_u64(&mut self) -> u64 {
        let [s0, s1, s2, s3] = self.state;
        let result = s0.wrapping_add(s3).rotate_left(23).wrapping_add(s0);
        let (s2, s3) = (s2 ^ s0, s3 ^ s1);
        self.state = [s0 ^ s3, s1 ^ s2, s2 ^ (s1 << 17), s3.rotate_left(45)];
        result
    }

    /// A uniform number below `bound`; 0 when `bound` is 0.
    ///
    /// Multiplies instead of dividing and redraws the biased part (Lemire, "Fast random integer generation in an
    /// interval", 2019).
    pub fn next_below(&mut self, bound: u64) -> u64 {
        if bound == 0 {
            return 0;
        }
        let threshold = bound.wrapping_neg() % bound;
        loop {
            let product = u128::from(self.next_u64()) * u128::from(bound);
            if product as u64 >= threshold {
                return (product >> 64) as u64;
            }
        }
    }

    /// Fills `bytes`, little-endian, eight at a time.
    pub fn fill_bytes(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let word = self.next_u64().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }
}

/// 2^64 divided by the golden ratio, the increment of SplitMix64.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The output function of SplitMix64 (Steele, Lea and Flood, 2014).
fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_published_algorithms() {
        // First outputs of SplitMix64 from 0 are published test values; they are this generator's state.
        let random = Random::new(0);
        assert_eq!(
            random.state,
            [
                0xe220_a839_7b1d_cdaf,
                0x6e78_9e6a_a1b9_65f4,
                0x06c4_5d18_8009_454f,
                0xf88b_b8a8_724c_81ec
            ]
        );
        // xoshiro256++ from the state 1, 2, 3, 4 (vector of the rand_xoshiro crate and the reference C code).
        let mut random = Random {
            seed: 0,
            state: [1, 2, 3, 4],
        };
        let drawn: Vec<u64> = (0..4).map(|_| random.next_u64()).collect();
        assert_eq!(
            drawn,
            [
                41_943_041,
                58_720_359,
                3_588_806_011_781_223,
                3_591_011_842_654_386
            ]
        );
    }

    #[test]
    fn substreams_do_not_depend_on_what_was_drawn() {
        let mut root = Random::new(7);
        let before = root.derive_stream(&[1, 2]).next_u64();
        root.next_u64();
        assert_eq!(before, root.derive_stream(&[1, 2]).next_u64());
        assert_ne!(before, root.derive_stream(&[2, 1]).next_u64());
        assert_ne!(
            root.derive_stream(&[1]).next_u64(),
            root.derive_stream(&[1, 0]).next_u64()
        );
    }

    #[test]
    fn numbers_below_a_bound_are_even() {
        let mut random = Random::new(1);
        let mut counts = [0_u32; 6];
        for _ in 0..60_000 {
            counts[random.next_below(6) as usize] += 1;
        }
        assert!(
            counts.iter().all(|&count| (9_600..10_400).contains(&count)),
            "{counts:?}"
        );
        assert_eq!(random.next_below(0), 0);
        assert_eq!(random.next_below(1), 0);
    }

    #[test]
    fn fill_covers_odd_lengths() {
        let mut bytes = [0_u8; 13];
        Random::new(3).fill_bytes(&mut bytes);
        let mut words = Random::new(3);
        assert_eq!(bytes[..8], words.next_u64().to_le_bytes());
        assert_eq!(bytes[8..], words.next_u64().to_le_bytes()[..5]);
    }
}
