use super::Error;

/// The least Dice similarity of pairs that are kept; in (0, 1].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Threshold(f64);

impl Threshold {
    /// Fails unless the threshold is above 0 and at most 1.
    pub fn new(threshold: f64) -> Result<Self, Error> {
        if threshold > 0.0 && threshold <= 1.0 {
            Ok(Self(threshold))
        } else {
            Err(Error::Threshold(threshold))
        }
    }

    /// The threshold as a number.
    pub fn get(self) -> f64 {
        self.0
    }
}

/// The Dice similarity of two encodings of the same size, by its plain definition: twice the bits that both have
/// over the bits of either, 0 when both are empty.
///
/// ```
/// assert_eq!(linkage_engine::dice(&[0b1110], &[0b0111]), 2.0 * 2.0 / 6.0);
/// assert_eq!(linkage_engine::dice(&[0], &[0]), 0.0);
/// ```
pub fn dice(a: &[u64], b: &[u64]) -> f64 {
    let ones = |words: &[u64]| words.iter().map(|word| word.count_ones()).sum::<u32>();
    let intersection = a.iter().zip(b).map(|(x, y)| (x & y).count_ones()).sum();
    score(intersection, ones(a) + ones(b))
}

/// The similarity by the bits that both encodings have, and the sum of the bits that each has.
pub(super) fn score(intersection: u32, sum: u32) -> f64 {
    if sum == 0 { 0.0 } else { 2.0 * f64::from(intersection) / f64::from(sum) }
}

/// The threshold in integers: for each sum of two encodings' bits, how many of them both must have.
#[derive(Clone, Debug)]
pub(super) struct Cutoffs {
    by_sum: Vec<u32>,
    threshold: f64,
}

impl Cutoffs {
    /// For encodings of this many bytes.
    ///
    /// The division rounds correctly, so that the score never falls when the intersection grows: the least
    /// intersection that reaches the threshold separates exactly those that do from those that do not. Half of
    /// the sum always reaches it, as no threshold is above 1.
    pub(super) fn new(Threshold(threshold): Threshold, encoding_bytes: usize) -> Self {
        let most = 2 * 8 * encoding_bytes as u32;
        let least = |sum: u32| {
            // One below the real bound, more than what rounding can shift.
            let start = ((threshold * f64::from(sum) / 2.0) as u32).saturating_sub(1);
            (start..=sum).find(|&intersection| score(intersection, sum) >= threshold).unwrap_or(u32::MAX)
        };
        Self { by_sum: (0..=most).map(least).collect(), threshold }
    }

    /// The cutoffs by the sum of the bits.
    pub(super) fn as_slice(&self) -> &[u32] {
        &self.by_sum
    }

    /// What an encoding with so many bits adds to the cutoff of any pair that it is in: the shares of two encodings
    /// never come to more than the cutoff of their sum.
    ///
    /// An intersection that reaches the threshold is at least `t·s/2`, but for an error below 2⁻³⁸ from the rounding
    /// of the division and of the products here, as s < 2¹⁵. Shares are such products rounded down. So they come to
    /// at most the intersection plus that error, and as all three are integers, to at most the intersection.
    pub(super) fn share(&self, count: u32) -> i64 {
        (self.threshold * f64::from(count) / 2.0) as i64
    }

    /// In how many bits at most an encoding with so many may differ from another one that it reaches the threshold
    /// with, but for the other's part of it.
    ///
    /// Two encodings differ in `|a| + |b| − 2·|a∧b|` bits, and |a∧b| is at least the sum of their shares: so pairs that
    /// reach the threshold differ in at most the sum of their slacks.
    pub(super) fn slack(&self, count: u32) -> u32 {
        // a share is at most half of the count
        (i64::from(count) - 2 * self.share(count)) as u32
    }

    /// The slack of an encoding.
    pub(super) fn slack_of(&self, words: &[u64]) -> u32 {
        self.slack(words.iter().map(|word| word.count_ones()).sum())
    }
}
