/// Width of a bin.
const WIDTH: f64 = 0.01;
/// How far below the threshold scores are looked at, in bins.
const BINS_BELOW: u32 = 20;
/// Scores below this are only looked at if the threshold is lower still: nearly all pairs of records have them.
const LEAST_FLOOR: f64 = 0.5;

/// Equally wide ranges of scores from a floor up to 1. The threshold is where one of them begins, exactly.
#[derive(Clone, Debug, PartialEq)]
pub struct Bins {
    /// Where each bin begins; at most 101 of them.
    edges: Vec<f64>,
    /// Which bin begins at the threshold.
    first_exact: usize,
}

impl Bins {
    /// The bins of a run with this threshold, which is in (0, 1].
    pub fn of_threshold(threshold: f64) -> Self {
        let below =
            (1..=BINS_BELOW).take_while(|&bins| edge(threshold, -f64::from(bins)) >= LEAST_FLOOR).count();
        let above = (0..=100).take_while(|&bins| bins == 0 || edge(threshold, f64::from(bins)) < 1.0).count();
        let places = -(below as i32)..above as i32;
        let edge = |place| if place == 0 { threshold } else { edge(threshold, f64::from(place)) };
        Self { edges: places.map(edge).collect(), first_exact: below }
    }

    /// How wide a bin is.
    pub fn width(&self) -> f64 {
        WIDTH
    }

    /// Where each bin begins, ascending. The last one ends with 1.
    pub fn edges(&self) -> &[f64] {
        &self.edges
    }

    /// The number of the bin that begins at the threshold.
    pub fn first_exact(&self) -> usize {
        self.first_exact
    }

    /// Where the first bin begins.
    pub fn floor(&self) -> f64 {
        self.edges[0]
    }

    /// The bin of a score; None below the floor.
    pub fn of_score(&self, score: f64) -> Option<usize> {
        let guess = ((score - self.floor()) / WIDTH).clamp(0.0, (self.edges.len() - 1) as f64) as usize;
        // the guess is off by one at most, where rounding moves an edge
        let next = self.edges.get(guess + 1).is_some_and(|&edge| score >= edge);
        let bin = if next { guess + 1 } else { guess };
        if score >= self.edges[bin] { Some(bin) } else { bin.checked_sub(1) }
    }
}

/// So many bins above the threshold, without the digits that rounding adds.
fn edge(threshold: f64, bins: f64) -> f64 {
    ((threshold + bins * WIDTH) * 1e9).round() / 1e9
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bins_begin_at_the_threshold_and_below_it() {
        let bins = Bins::of_threshold(0.8);
        assert_eq!((bins.floor(), bins.edges()[bins.first_exact()], bins.edges().len()), (0.6, 0.8, 40));
        assert_eq!(
            (bins.of_score(1.0), bins.of_score(0.8), bins.of_score(0.599)),
            (Some(39), Some(20), None)
        );
        let low = Bins::of_threshold(0.3);
        assert_eq!((low.floor(), low.first_exact(), low.edges().len()), (0.3, 0, 70));
        let one = Bins::of_threshold(1.0);
        assert_eq!((one.floor(), one.first_exact(), one.of_score(1.0)), (0.8, 20, Some(20)));
        assert!(Bins::of_threshold(f64::MIN_POSITIVE).edges().len() <= 101);
    }

    proptest! {
        #[test]
        fn every_score_is_in_the_bin_whose_edges_are_around_it(threshold in 1e-6..=1.0f64, score in 0.0..=1.0f64, at in 0..101usize) {
            let bins = Bins::of_threshold(threshold);
            prop_assert!(bins.edges().is_sorted() && bins.edges()[bins.first_exact()] == threshold);
            let edge = bins.edges()[at % bins.edges().len()];
            for score in [score, edge, edge.next_down(), edge.next_up().min(1.0), threshold, 1.0] {
                let plain = bins.edges().iter().rposition(|&edge| edge <= score);
                prop_assert_eq!(bins.of_score(score), plain, "{} of {}", score, threshold);
            }
        }
    }
}
