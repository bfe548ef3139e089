use std::ops::{Add, AddAssign, Sub, SubAssign};

/// A score, or a sum or difference of scores, as a multiple of 2^-100, so that nothing is ever rounded.
///
/// A float of at least 2^-48 is such a multiple, as it has 53 significant bits. Dice similarities of encodings of up to
/// 8192 bits are at least 2^-13. What sums may come to is bounded by twice the greatest score, which leaves bits to
/// spare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Weight(i128);

impl Weight {
    pub(super) const ZERO: Self = Self(0);

    /// None unless the score is at most 1, and at least 2^-48.
    pub(super) fn of_score(score: f64) -> Option<Self> {
        const LEAST: f64 = 1.0 / (1u64 << 48) as f64;
        // a multiplication by a power of two is exact
        (LEAST..=1.0).contains(&score).then_some(Self((score * (1u128 << 100) as f64) as i128))
    }
}

impl Add for Weight {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for Weight {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl AddAssign for Weight {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl SubAssign for Weight {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}
