//! Records by which divisions of the bits are learnt and judged.

use rand::rngs::ChaCha20Rng;
use rand::{RngExt, SeedableRng};

use super::counting::Counting;
use super::projections::Projections;
use super::segments::Segments;
use crate::linkage::Linkage;
use crate::threshold::Cutoffs;
use crate::{EncodingSource, Error};

/// Records of all data sets together.
const RECORDS: usize = 3000;

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
    /// How many there are.
    of: usize,
    pub(super) pairs: Vec<SampledPair<'a>>,
}

impl Left<'_> {
    pub(super) fn share(&self) -> f64 {
        self.pairs.len() as f64 / self.of.max(1) as f64
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
                .map(|words| self.slack(words))
        };
        slacks().filter(|&more| more > slack).count() as f64 / slacks().count().max(1) as f64
    }

    /// So many pairs of records of all data sets, drawn at random; of no records none.
    pub(super) fn random_pairs(&self, pairs: usize) -> Vec<SampledPair<'_>> {
        let records: Vec<&[u64]> =
            self.datasets.iter().flat_map(|words| words.chunks_exact(self.width)).collect();
        let mut random = ChaCha20Rng::seed_from_u64(pairs as u64);
        let mut record = || records[random.random_range(0..records.len())];
        (0..pairs).filter(|_| !records.is_empty()).map(|_| (record(), record())).collect()
    }

    /// What segment counts leave of the pairs of every so many records with all of the other data sets.
    pub(super) fn left_by<const WORDS: usize>(&self, every: usize, segments: &Segments) -> Left<'_> {
        let counting = Counting::<WORDS>::new(segments);
        let bound = |words: &[u64]| (counting.count(words), self.slack(words));
        self.left(every, bound, |(a, slack_a), (b, slack_b)| distance(a, b) <= slack_a + slack_b)
    }

    /// The share of all pairs that remain of those that are left, by further segment counts.
    pub(super) fn left_after<const WORDS: usize>(&self, left: &Left<'_>, segments: &Segments) -> f64 {
        let counting = Counting::<WORDS>::new(segments);
        let remains = |(a, b): &&SampledPair<'_>| {
            let slacks = self.slack(a) + self.slack(b);
            distance(&counting.count(a), &counting.count(b)) <= slacks
        };
        left.pairs.iter().filter(remains).count() as f64 / left.of.max(1) as f64
    }

    /// What projections leave.
    pub(super) fn left_by_projections(&self, projections: &Projections) -> Left<'_> {
        // a product takes longer than the differences of a few counts
        self.left(4, |words| projections.project(words, self.slack(words)), |a, b| a.reach(b))
    }

    /// What is left of the pairs of every so many records with all of the other data sets.
    fn left<T>(
        &self,
        every: usize,
        bound: impl Fn(&[u64]) -> T,
        is_left: impl Fn(&T, &T) -> bool,
    ) -> Left<'_> {
        let bounded = |words: &Vec<u64>| words.chunks_exact(self.width).map(&bound).collect();
        let bounds: Vec<Vec<T>> = self.datasets.iter().map(bounded).collect();
        let record =
            |dataset: usize, record: usize| &self.datasets[dataset][record * self.width..][..self.width];
        let mut left = Left { of: 0, pairs: Vec::new() };
        for (dataset, rows) in bounds.iter().enumerate() {
            for (other, columns) in bounds.iter().enumerate().skip(dataset + 1) {
                for (row, a) in rows.iter().enumerate().step_by(every) {
                    left.of += columns.len();
                    let columns = columns.iter().enumerate().filter(|(_, b)| is_left(a, b));
                    left.pairs
                        .extend(columns.map(|(column, _)| (record(dataset, row), record(other, column))));
                }
            }
        }
        left
    }

    fn slack(&self, words: &[u64]) -> u32 {
        self.cutoffs.slack(words.iter().map(|word| word.count_ones()).sum())
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
