//! Records by which divisions of the bits are learnt and judged.

use rand::rngs::ChaCha20Rng;
use rand::{RngExt, SeedableRng};

use super::buckets::INDEX_WORDS;
use super::counting::Counting;
use super::parts::Parts;
use super::projections::Projections;
use super::segments::Segments;
use crate::linkage::Linkage;
use crate::threshold::Cutoffs;
use crate::{EncodingSource, Error};

/// Records of all data sets together.
const RECORDS: usize = 3000;

/// Pairs that are kept of those that some bound leaves, at least, if it leaves so many.
const KEPT: usize = 4000;

/// One of so many records is compared with all of the other data sets.
const EVERY: usize = 4;

/// The encodings of two records.
pub(super) type SampledPair<'a> = (&'a [u64], &'a [u64]);

/// Records of each data set, evenly spread.
pub(super) struct Sample<'a> {
    /// Words of an encoding.
    width: usize,
    cutoffs: &'a Cutoffs,
    /// By data set. A single one is in two halves, to be compared with each other.
    datasets: Vec<Vec<u64>>,
}

/// What some bound leaves of the sampled pairs of different data sets.
pub(super) struct Left<'a> {
    /// Of how many pairs.
    of: usize,
    count: usize,
    /// Some of those that are left, evenly spread.
    pairs: Vec<SampledPair<'a>>,
    /// One of so many is kept.
    step: usize,
}

impl<'a> Left<'a> {
    fn add(&mut self, pair: SampledPair<'a>) {
        if self.count.is_multiple_of(self.step) {
            self.pairs.push(pair);
        }
        self.count += 1;
        if self.pairs.len() == 2 * KEPT {
            self.pairs = self.pairs.iter().copied().step_by(2).collect();
            self.step *= 2;
        }
    }

    /// Their share of all sampled pairs.
    pub(super) fn share(&self) -> f64 {
        self.count as f64 / self.of.max(1) as f64
    }

    /// So many of them at most, evenly spread.
    pub(super) fn some(&self, most: usize) -> impl Iterator<Item = &SampledPair<'a>> {
        self.pairs.iter().step_by(self.pairs.len().div_ceil(most).max(1))
    }
}

impl<'a> Sample<'a> {
    /// # Errors
    /// When records cannot be read.
    pub(super) fn read(linkage: &Linkage<'_>, cutoffs: &'a Cutoffs) -> Result<Self, Error> {
        let share = RECORDS / linkage.sources.len().max(1);
        let read = |(dataset, source): (usize, &&dyn EncodingSource)| {
            let records = source.records();
            let sampled = (share as u32).clamp(1, records.max(1)).min(records);
            let place = |i: u32| (u64::from(i) * u64::from(records) / u64::from(sampled)) as u32;
            let places: Vec<u32> = (0..sampled).map(place).collect();
            let mut words = Vec::new();
            source.gather(&places, &mut words).map_err(|source| Error::Read { dataset, source })?;
            Ok(words)
        };
        let datasets = linkage.sources.iter().enumerate().map(read).collect::<Result<_, Error>>()?;
        Ok(Self::new(datasets, linkage.encoding_bytes() / 8, cutoffs))
    }

    /// Of encodings of so many words.
    pub(super) fn new(mut datasets: Vec<Vec<u64>>, width: usize, cutoffs: &'a Cutoffs) -> Self {
        if let [alone] = &datasets[..] {
            datasets = halves(alone, width).into();
        }
        Self { width, cutoffs, datasets }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.datasets.iter().all(Vec::is_empty)
    }

    /// The records of all data sets, one after the other.
    pub(super) fn words(&self) -> Vec<u64> {
        self.datasets.concat()
    }

    /// The share of the records with more slack than so much.
    pub(super) fn share_with_more(&self, slack: u32) -> f64 {
        let slacks = || {
            self.datasets
                .iter()
                .flat_map(|words| words.chunks_exact(self.width))
                .map(|words| self.cutoffs.slack_of(words))
        };
        slacks().filter(|&more| more > slack).count() as f64 / slacks().count().max(1) as f64
    }

    /// So many pairs of records of all data sets, drawn at random; of no records none.
    pub(super) fn random_pairs(&self, pairs: usize) -> Vec<SampledPair<'_>> {
        let records: Vec<&[u64]> =
            self.datasets.iter().flat_map(|words| words.chunks_exact(self.width)).collect();
        let mut random = ChaCha20Rng::seed_from_u64(pairs as u64);
        let mut record = || records[random.random_range(0..records.len())];
        let pairs = if records.is_empty() { 0 } else { pairs };
        (0..pairs).map(|_| (record(), record())).collect()
    }

    /// What segment counts leave of the pairs of every so many records with all of the other data sets.
    pub(super) fn left_by<const WORDS: usize>(&self, every: usize, segments: &Segments) -> Left<'_> {
        let counting = Counting::<WORDS>::new(segments);
        let bound = |words: &[u64]| (counting.count(words), self.cutoffs.slack_of(words));
        self.left(every, bound, |(a, slack_a), (b, slack_b)| distance(a, b) <= slack_a + slack_b)
    }

    /// The share of all pairs that remain of those that are left, by further segment counts.
    pub(super) fn left_after<const WORDS: usize>(&self, left: &Left<'_>, segments: &Segments) -> f64 {
        let counting = Counting::<WORDS>::new(segments);
        let remains = |(a, b): &&SampledPair<'_>| {
            let slacks = self.cutoffs.slack_of(a) + self.cutoffs.slack_of(b);
            distance(&counting.count(a), &counting.count(b)) <= slacks
        };
        let remaining = left.pairs.iter().filter(remains).count() as f64 / left.pairs.len().max(1) as f64;
        remaining * left.share()
    }

    /// What projections leave.
    pub(super) fn left_by_projections(&self, projections: &Projections) -> Left<'_> {
        // a product takes longer than the differences of a few counts
        self.left(4, |words| projections.project(words, self.cutoffs.slack_of(words)), |a, b| a.reach(b))
    }

    /// For each sum of slacks, up to the greatest or `most` of them, the share of the pairs that have at least that sum. There
    /// is at least one.
    pub(super) fn slack_sums(&self, most: usize) -> Vec<f64> {
        let mut slacks = self.slacks();
        slacks.iter_mut().for_each(|slacks| slacks.sort_unstable());
        let (mut at_least, mut pairs) = (vec![0usize; most], 0);
        for (dataset, of_rows) in slacks.iter().enumerate() {
            for of_columns in &slacks[dataset + 1..] {
                pairs += of_rows.len() * of_columns.len();
                for (sum, at_least) in (0..).zip(&mut at_least) {
                    let less = |slack: u32| of_columns.partition_point(|&other| slack + other < sum);
                    *at_least += of_rows.iter().map(|&slack| of_columns.len() - less(slack)).sum::<usize>();
                }
            }
        }
        if pairs == 0 {
            return vec![1.0];
        }
        let shares = at_least.into_iter().take_while(|&at_least| at_least > 0);
        shares.map(|at_least| at_least as f64 / pairs as f64).collect()
    }

    /// So many pairs that differ in more bits than their slacks, evenly drawn from all by how likely it is that they agree in
    /// all bits of one of so many parts of a random division.
    pub(super) fn likely_to_agree(&self, pairs: usize, parts: usize) -> Vec<SampledPair<'_>> {
        let bits = self.width as f64 * 64.0;
        let likelihood = |differing: u32| (1.0 - f64::from(differing) / bits).powf(bits / parts as f64);
        let by_distance: Vec<f64> = (0..=bits as u32).map(likelihood).collect();
        let slacks = self.slacks();
        let mut likely = Vec::new();
        for (dataset, rows) in self.datasets.iter().enumerate() {
            let rows = rows.chunks_exact(self.width).zip(&slacks[dataset]);
            // others than those by which the parts are judged
            for (a, slack_a) in rows.skip(EVERY / 2).step_by(EVERY) {
                for (columns, slacks) in self.datasets.iter().zip(&slacks).skip(dataset + 1) {
                    for (b, slack_b) in columns.chunks_exact(self.width).zip(slacks) {
                        let differing: u32 = a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum();
                        if differing > slack_a + slack_b {
                            likely.push(((a, b), by_distance[differing as usize]));
                        }
                    }
                }
            }
        }
        let step = likely.iter().map(|(_, likelihood)| likelihood).sum::<f64>() / pairs as f64;
        let mut sum = 0.0;
        likely
            .into_iter()
            .flat_map(|(pair, likelihood)| {
                sum += likelihood / step;
                let times = sum as usize;
                sum -= times as f64;
                std::iter::repeat_n(pair, times)
            })
            .collect()
    }

    /// The share of the pairs that are looked up, and of those that segment counts leave, each as often as they agree.
    pub(super) fn looked_up(&self, parts: &Parts, segments: &Segments) -> (f64, f64) {
        let counting = Counting::<INDEX_WORDS>::new(segments);
        let bound = |words: &[u64]| {
            let hashes: Vec<u32> = (0..parts.len()).map(|part| parts.hash(part, words)).collect();
            (hashes, counting.count(words), self.cutoffs.slack_of(words))
        };
        let agreeing = |(a, _, slack_a): &(Vec<u32>, _, u32), (b, _, slack_b): &(Vec<u32>, _, u32)| {
            let needed = parts.len().min((slack_a + slack_b) as usize + 1);
            a[..needed].iter().zip(b).filter(|(a, b)| a == b).count()
        };
        let (mut looked_up, mut near) = (0, 0);
        let left = self.left(EVERY, bound, |a, b| {
            let agreeing = agreeing(a, b);
            looked_up += agreeing;
            near += if agreeing > 0 && distance(&a.1, &b.1) <= a.2 + b.2 { agreeing } else { 0 };
            false
        });
        let share = |count: usize| count as f64 / left.of.max(1) as f64;
        (share(looked_up), share(near))
    }

    /// By data set, then by record.
    fn slacks(&self) -> Vec<Vec<u32>> {
        let slacks = |words: &Vec<u64>| {
            words.chunks_exact(self.width).map(|words| self.cutoffs.slack_of(words)).collect()
        };
        self.datasets.iter().map(slacks).collect()
    }

    /// What is left of the pairs of every so many records with all of the other data sets.
    fn left<T>(
        &self,
        every: usize,
        bound: impl Fn(&[u64]) -> T,
        mut is_left: impl FnMut(&T, &T) -> bool,
    ) -> Left<'_> {
        let bounded = |words: &Vec<u64>| words.chunks_exact(self.width).map(&bound).collect();
        let bounds: Vec<Vec<T>> = self.datasets.iter().map(bounded).collect();
        let record =
            |dataset: usize, record: usize| &self.datasets[dataset][record * self.width..][..self.width];
        let mut left = Left { of: 0, count: 0, pairs: Vec::new(), step: 1 };
        for (dataset, rows) in bounds.iter().enumerate() {
            for (other, columns) in bounds.iter().enumerate().skip(dataset + 1) {
                for (row, a) in rows.iter().enumerate().step_by(every) {
                    left.of += columns.len();
                    let columns = columns.iter().enumerate().filter(|(_, b)| is_left(a, b));
                    columns.for_each(|(column, _)| left.add((record(dataset, row), record(other, column))));
                }
            }
        }
        left
    }
}

/// The sum of the differences of segment counts.
fn distance<const WORDS: usize>(a: &[[u8; 8]; WORDS], b: &[[u8; 8]; WORDS]) -> u32 {
    a.as_flattened().iter().zip(b.as_flattened()).map(|(a, b)| u32::from(a.abs_diff(*b))).sum()
}

/// Every other record in either half.
fn halves(words: &[u64], width: usize) -> [Vec<u64>; 2] {
    [0, 1].map(|first| words.chunks_exact(width).skip(first).step_by(2).flatten().copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Threshold;
    use crate::prune::segments::Effort;
    use crate::tests::datasets;

    #[test]
    fn pairs_within_their_slacks_are_left() {
        let width = 2;
        let cutoffs = Cutoffs::new(Threshold::new(0.8).unwrap(), 8 * width);
        let sample = Sample::new(datasets(5, &[60, 70], width), width, &cutoffs);
        let segments = Segments::learn(16, &sample.random_pairs(500), width, &cutoffs, Effort::LITTLE);
        let counting = Counting::<2>::new(&segments);
        let is_left = |(a, b): &SampledPair<'_>| {
            distance(&counting.count(a), &counting.count(b)) <= cutoffs.slack_of(a) + cutoffs.slack_of(b)
        };
        for every in [1, 4] {
            let rows = sample.datasets[0].chunks_exact(width).step_by(every);
            let pairs = rows.flat_map(|a| sample.datasets[1].chunks_exact(width).map(move |b| (a, b)));
            let expected: Vec<_> = pairs.clone().filter(is_left).collect();
            let left = sample.left_by::<2>(every, &segments);
            assert!(left.pairs == expected && !expected.is_empty());
            assert_eq!(left.share(), expected.len() as f64 / pairs.count() as f64);
            assert_eq!(sample.left_after::<2>(&left, &segments), left.share());
        }
    }

    #[test]
    fn pairs_are_counted_by_their_slacks_and_the_parts_in_which_they_agree() {
        let width = 2;
        let cutoffs = Cutoffs::new(Threshold::new(0.9).unwrap(), 8 * width);
        let sample = Sample::new(datasets(5, &[60, 70], width), width, &cutoffs);
        let slacks = |(a, b): &SampledPair<'_>| cutoffs.slack_of(a) + cutoffs.slack_of(b);
        let pairs = |every: usize| {
            let rows = sample.datasets[0].chunks_exact(width).step_by(every);
            rows.flat_map(|a| sample.datasets[1].chunks_exact(width).map(move |b| (a, b)))
        };
        let sums = sample.slack_sums(100);
        assert_eq!(sums.len() as u32, pairs(1).map(|pair| slacks(&pair)).max().unwrap() + 1);
        assert_eq!(sample.slack_sums(3), sums[..3]);
        for (least, share) in (0..).zip(&sums) {
            let at_least = pairs(1).filter(|pair| slacks(pair) >= least).count();
            assert_eq!(*share, at_least as f64 / 4200.0);
        }
        let parts = Parts::learn(&sample.likely_to_agree(300, sums.len()), &sums, width);
        let segments = Segments::learn(15, &sample.random_pairs(500), width, &cutoffs, Effort::LITTLE);
        let counting = Counting::<INDEX_WORDS>::new(&segments);
        let agreeing = |pair: &SampledPair<'_>| {
            let needed = 0..parts.len().min(slacks(pair) as usize + 1);
            needed.filter(|&part| parts.hash(part, pair.0) == parts.hash(part, pair.1)).count()
        };
        let is_near = |pair: &SampledPair<'_>| {
            distance(&counting.count(pair.0), &counting.count(pair.1)) <= slacks(pair)
        };
        let looked_up: usize = pairs(EVERY).map(|pair| agreeing(&pair)).sum();
        let near: usize = pairs(EVERY).filter(is_near).map(|pair| agreeing(&pair)).sum();
        let of = pairs(EVERY).count() as f64;
        assert!(looked_up > near && near > 0);
        assert_eq!(sample.looked_up(&parts, &segments), (looked_up as f64 / of, near as f64 / of));
    }

    #[test]
    fn without_pairs_there_are_no_slacks() {
        let cutoffs = Cutoffs::new(Threshold::new(0.9).unwrap(), 8);
        assert_eq!(Sample::new(vec![vec![], vec![]], 1, &cutoffs).slack_sums(10), [1.0]);
    }

    #[test]
    fn some_pairs_of_many_are_kept_evenly() {
        let (numbers, nothing) = ((0..100_000).collect::<Vec<u64>>(), [0]);
        for count in [0, 1, KEPT, 2 * KEPT - 1, 2 * KEPT, 100_000] {
            let mut left = Left { of: 200_000, count: 0, pairs: Vec::new(), step: 1 };
            numbers.chunks(1).take(count).for_each(|number| left.add((number, &nothing)));
            assert_eq!(left.share(), count as f64 / 200_000.0);
            assert!((count.min(KEPT)..2 * KEPT).contains(&left.pairs.len()) || count == 0);
            assert!(left.pairs.iter().enumerate().all(|(i, pair)| pair.0 == [(i * left.step) as u64]));
            assert!(left.some(1000).count() <= 1000);
        }
    }
}
