use std::cmp::Ordering;

/// Two records of different parties, or two of the only party, and how similar they are.
///
/// Pairs are ordered by descending score, ties by ascending `dataset0`, `dataset1`, `record0`, `record1`: the
/// order in which the solver takes them. Two pairs are equal when all five fields are (scores by their bits).
#[derive(Clone, Copy, Debug)]
pub struct Pair {
    /// Dice similarity, in (0, 1].
    pub score: f64,
    /// Data set of the first record: the position of its party.
    pub dataset0: u32,
    /// Data set of the second record. What the engine writes has `dataset0 < dataset1`; or, within a single data set,
    /// both 0 and `record0 < record1`.
    pub dataset1: u32,
    /// The first record's index in its data set.
    pub record0: u32,
    /// The second record's index in its data set.
    pub record1: u32,
}

impl Pair {
    /// The pair of two different records, each by data set and index, whichever comes first.
    pub(crate) fn of(a: (usize, u32), b: (usize, u32), score: f64) -> Self {
        let ((dataset0, record0), (dataset1, record1)) = (a.min(b), a.max(b));
        Self { score, dataset0: dataset0 as u32, dataset1: dataset1 as u32, record0, record1 }
    }

    /// The two records without the score, in the order of ties: as one number, which is compared without a branch.
    #[inline]
    fn records(&self) -> u128 {
        let high = |a: u32, b: u32| u128::from(a) << 32 | u128::from(b);
        high(self.dataset0, self.dataset1) << 64 | high(self.record0, self.record1)
    }
}

impl Ord for Pair {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        other.score.total_cmp(&self.score).then_with(|| self.records().cmp(&other.records()))
    }
}

impl PartialOrd for Pair {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Pair {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.score.to_bits() == other.score.to_bits() && self.records() == other.records()
    }
}

impl Eq for Pair {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_by_descending_score_then_by_ascending_indices() {
        let pair =
            |score, d0, d1, r0, r1| Pair { score, dataset0: d0, dataset1: d1, record0: r0, record1: r1 };
        let sorted = [
            pair(1.0, 1, 2, 9, 9),
            pair(0.9, 0, 1, 5, 9),
            pair(0.9, 0, 1, 6, 1),
            pair(0.9, 0, 1, 6, 2),
            pair(0.9, 0, 2, 0, 0),
            pair(0.9, 1, 2, 0, 0),
            pair(0.8, 0, 1, 0, 0),
        ];
        assert!(sorted.is_sorted());
        assert!(sorted.windows(2).all(|two| two[0] < two[1]));
    }
}
