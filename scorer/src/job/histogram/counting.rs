use super::{MOST_PARTIES, pairs_of_parties};
use crate::advice::Bins;
use crate::engine::PairSink;
use crate::pairs::{self, Pair};

/// Hands pairs on as they are, and counts them by score.
pub(in crate::job) struct Counting<'a> {
    sink: &'a mut dyn PairSink,
    bins: &'a Bins,
    parties: usize,
    /// For each two parties in order, pairs by bin.
    counts: Vec<Vec<u64>>,
}

impl<'a> Counting<'a> {
    pub fn new(sink: &'a mut dyn PairSink, bins: &'a Bins, parties: usize) -> Self {
        let pairs = if parties <= MOST_PARTIES { pairs_of_parties(parties).len() } else { 0 };
        Self { sink, bins, parties, counts: vec![vec![0; bins.edges().len()]; pairs] }
    }

    /// What was counted; None with too many parties.
    pub fn finish(self) -> Option<Vec<Vec<u64>>> {
        Some(self.counts).filter(|counts| !counts.is_empty())
    }
}

impl PairSink for Counting<'_> {
    fn accept(&mut self, pairs: &[Pair]) -> Result<(), pairs::Error> {
        for pair in pairs {
            let place = place(self.parties, pair.dataset0 as usize, pair.dataset1 as usize);
            if let (Some(counts), Some(bin)) = (self.counts.get_mut(place), self.bins.of_score(pair.score)) {
                counts[bin] += 1;
            }
        }
        self.sink.accept(pairs)
    }
}

/// Which of [`pairs_of_parties`] these are.
fn place(parties: usize, first: usize, second: usize) -> usize {
    if parties == 1 { 0 } else { first * (2 * parties - first - 1) / 2 + second - first - 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_two_parties_have_a_place_of_their_own() {
        for parties in 1..9 {
            for (at, [first, second]) in pairs_of_parties(parties).into_iter().enumerate() {
                assert_eq!(place(parties, first as usize, second as usize), at);
            }
        }
    }

    #[test]
    fn pairs_are_counted_and_handed_on() {
        let pair = |dataset0, dataset1, score| Pair { score, dataset0, dataset1, record0: 0, record1: 1 };
        let bins = Bins::of_threshold(0.8);
        let pairs = [pair(0, 1, 0.8), pair(0, 2, 1.0), pair(1, 2, 0.995), pair(1, 2, 1.0)];
        let mut sink = Vec::new();
        let mut counting = Counting::new(&mut sink, &bins, 3);
        counting.accept(&pairs).unwrap();
        let counts = counting.finish().unwrap();
        assert_eq!(sink, pairs);
        assert_eq!((counts[0][20], counts[1][39], counts[2][39]), (1, 1, 2));
        assert_eq!(counts.iter().flatten().sum::<u64>(), 4);
    }
}
