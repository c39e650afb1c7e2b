//! Sums of start values, as far as a block's addresses can be followed.

/// A sum of start values with coefficients and a constant: `terms.0 * coefficient + ... + constant`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linear {
    /// Register number (encoding order) and coefficient. At most [`Linear::MAX_TERMS`], no duplicates.
    pub terms: Vec<(u8, i64)>,
    /// Added constant.
    pub constant: i64,
    /// Some term went through a narrowing (32-bit move, sign extension): exact only while it is small.
    pub narrowed: bool,
}

impl Linear {
    /// Longer sums are treated as unknown.
    pub const MAX_TERMS: usize = 4;

    pub(super) fn start_of(register: u8) -> Self {
        Self {
            terms: vec![(register, 1)],
            constant: 0,
            narrowed: false,
        }
    }

    pub(super) fn from_constant(constant: i64) -> Self {
        Self {
            terms: Vec::new(),
            constant,
            narrowed: false,
        }
    }

    pub(super) fn add_scaled(&self, other: &Self, factor: i64) -> Option<Self> {
        let mut sum = self.clone();
        sum.constant = sum.constant.wrapping_add(other.constant.wrapping_mul(factor));
        sum.narrowed |= other.narrowed;
        for &(register, coefficient) in &other.terms {
            let coefficient = coefficient.wrapping_mul(factor);
            match sum.terms.iter_mut().find(|(found, _)| *found == register) {
                Some((_, found)) => *found = found.wrapping_add(coefficient),
                None => sum.terms.push((register, coefficient)),
            }
        }
        sum.terms.retain(|&(_, coefficient)| coefficient != 0);
        (sum.terms.len() <= Self::MAX_TERMS).then_some(sum)
    }

    pub(super) fn offset(mut self, by: i64) -> Self {
        self.constant = self.constant.wrapping_add(by);
        self
    }

    pub(super) fn mark_narrowed(mut self) -> Self {
        self.narrowed |= !self.terms.is_empty();
        self
    }

    /// Its value for the given start values.
    #[must_use]
    pub fn value_for(&self, gpr: &[u64; 16]) -> u64 {
        self.terms
            .iter()
            .fold(self.constant as u64, |sum, &(register, coefficient)| {
                sum.wrapping_add(gpr[register as usize].wrapping_mul(coefficient as u64))
            })
    }
}
