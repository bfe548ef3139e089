//! Learns from sampled pairs how to divide the bits.

use std::array;

use rand::rngs::ChaCha20Rng;
use rand::{RngExt, SeedableRng};

use super::sample::SampledPair;
use crate::threshold::Cutoffs;

/// How much time to take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effort {
    /// How often all bits are gone through with all pairs counting the same.
    even_sweeps: usize,
    /// And after that with those counting most that are the hardest to tell apart.
    weighted_sweeps: usize,
}

/// The most that a pair counts.
const MOST_WEIGHT: i16 = 8;

impl Effort {
    /// Enough to tell whether there is anything to learn.
    pub(super) const LITTLE: Self = Self { even_sweeps: 1, weighted_sweeps: 0 };
    /// More changes next to nothing.
    pub(super) const FULL: Self = Self { even_sweeps: 2, weighted_sweeps: 2 };
}

/// So that the weights of all pairs together are less than an i16 holds.
const MOST_PAIRS: usize = i16::MAX as usize / MOST_WEIGHT as usize;

/// So that a count fits into a byte.
const MOST_BITS: usize = u8::MAX as usize;

/// A division of the bits into segments.
#[derive(Clone, Debug)]
pub(super) struct Segments {
    /// How many segments there are.
    pub segments: usize,
    /// For each bit its segment, and whether it is turned round. None: it is in no segment.
    pub bits: Vec<Option<(u8, bool)>>,
}

/// A pair in which a bit differs, and 1 or −1 for which of the two records has it.
type Difference = (u32, i16);

/// Differences of eight counts: as many as are added up side by side.
type Eight = [i16; 8];

/// What a division into at most so many times eight segments is learnt from, and the division so far.
struct Learner<const EIGHTS: usize> {
    segments: usize,
    /// By bit.
    differences: Vec<Vec<Difference>>,
    /// For each pair the sum of the slacks.
    slacks: Vec<u32>,
    /// For each pair the difference of each count.
    sums: Vec<[Eight; EIGHTS]>,
    /// For each pair how much it counts.
    weights: Vec<i16>,
    /// For each bit its segment and sign; a sign of 0 when there was no segment left for it.
    places: Vec<(usize, i16)>,
    /// Bits of each segment.
    sizes: Vec<usize>,
}

impl Segments {
    /// A division into so many segments whose counts tell as many pairs like these apart as can be: bit after bit is moved
    /// to where the sum of the counts' differences gains most.
    ///
    /// That sum only has to be greater than the pair's slacks, so that after some sweeps pairs count the more the nearer
    /// they are to their slacks.
    pub(super) fn learn(
        segments: usize,
        pairs: &[SampledPair<'_>],
        width: usize,
        cutoffs: &Cutoffs,
        effort: Effort,
    ) -> Self {
        match segments.div_ceil(8) {
            1 => Learner::<1>::new(segments, pairs, width, cutoffs).learn(effort),
            2 => Learner::<2>::new(segments, pairs, width, cutoffs).learn(effort),
            3 => Learner::<3>::new(segments, pairs, width, cutoffs).learn(effort),
            4 => Learner::<4>::new(segments, pairs, width, cutoffs).learn(effort),
            6 => Learner::<6>::new(segments, pairs, width, cutoffs).learn(effort),
            12 => Learner::<12>::new(segments, pairs, width, cutoffs).learn(effort),
            _ => unreachable!("no plan has {segments} segments"),
        }
    }
}

impl<const EIGHTS: usize> Learner<EIGHTS> {
    /// With bits in segments in turn.
    fn new(segments: usize, pairs: &[SampledPair<'_>], width: usize, cutoffs: &Cutoffs) -> Self {
        debug_assert!(pairs.len() <= MOST_PAIRS);
        let mut random = ChaCha20Rng::seed_from_u64(segments as u64);
        let mut learner = Self {
            segments,
            differences: vec![Vec::new(); width * 64],
            slacks: pairs.iter().map(|(a, b)| cutoffs.slack_of(a) + cutoffs.slack_of(b)).collect(),
            sums: vec![[[0; 8]; EIGHTS]; pairs.len()],
            weights: vec![1; pairs.len()],
            places: Vec::with_capacity(width * 64),
            sizes: vec![0; segments],
        };
        for (pair, (a, b)) in (0..).zip(pairs) {
            for (word, (&a, &b)) in a.iter().zip(*b).enumerate() {
                let mut differing = a ^ b;
                while differing != 0 {
                    let bit = differing.trailing_zeros() as usize;
                    differing &= differing - 1;
                    let sign = if a >> bit & 1 == 1 { 1 } else { -1 };
                    learner.differences[word * 64 + bit].push((pair, sign));
                }
            }
        }
        for bit in 0..width * 64 {
            let (segment, sign) = (bit % segments, if random.random() { 1 } else { -1 });
            let fits = learner.sizes[segment] < MOST_BITS;
            learner.places.push((segment, if fits { sign } else { 0 }));
            learner.sizes[segment] += usize::from(fits);
            learner.shift(bit, learner.places[bit]);
        }
        learner
    }

    fn learn(mut self, effort: Effort) -> Segments {
        for _ in 0..effort.even_sweeps {
            self.sweep();
        }
        for _ in 0..effort.weighted_sweeps {
            self.weigh();
            self.sweep();
        }
        let bits = self.places.into_iter();
        let bits = bits.map(|(segment, sign)| (sign != 0).then_some((segment as u8, sign < 0)));
        Segments { segments: self.segments, bits: bits.collect() }
    }

    /// Moves every bit to its best place.
    fn sweep(&mut self) {
        for bit in 0..self.places.len() {
            let (segment, sign) = self.places[bit];
            if sign != 0 {
                self.shift(bit, (segment, -sign));
                self.sizes[segment] -= 1;
                self.places[bit] = self.best_place(bit);
                self.sizes[self.places[bit].0] += 1;
                self.shift(bit, self.places[bit]);
            }
        }
    }

    /// Adds a bit, by its sign, to the sums of a segment.
    fn shift(&mut self, bit: usize, (segment, sign): (usize, i16)) {
        for &(pair, difference) in &self.differences[bit] {
            self.sums[pair as usize].as_flattened_mut()[segment] += sign * difference;
        }
    }

    /// The segment and sign with which a bit makes the fewest sums smaller, by weight. (Every sum that does not become
    /// smaller by one becomes larger by one.)
    fn best_place(&self, bit: usize) -> (usize, i16) {
        let (mut with, mut against) = ([[0; 8]; EIGHTS], [[0; 8]; EIGHTS]);
        for &(pair, difference) in &self.differences[bit] {
            let weight = self.weights[pair as usize];
            let eights = with.iter_mut().zip(&mut against);
            for ((with, against), sums) in eights.zip(&self.sums[pair as usize]) {
                add_signs(with, against, sums, difference, weight);
            }
        }
        let (with, against) = (with.as_flattened(), against.as_flattened());
        let free = (0..self.segments).filter(|&segment| self.sizes[segment] < MOST_BITS);
        let places = free.flat_map(|segment| [(with[segment], segment, 1), (against[segment], segment, -1)]);
        // there is always a place: that which the bit has just left
        places.min().map_or((0, 1), |(_, segment, sign)| (segment, sign))
    }

    /// Weighs each pair by the slope of a logistic curve from its slacks on, as wide as the sums are scattered: a pair
    /// that is told apart by far needs no more.
    fn weigh(&mut self) {
        let sums =
            |sums: &[Eight; EIGHTS]| sums.as_flattened().iter().map(|sum| f64::from(sum.abs())).sum::<f64>();
        let sums: Vec<f64> = self.sums.iter().map(sums).collect();
        let mean = sums.iter().sum::<f64>() / sums.len() as f64;
        let variance = sums.iter().map(|sum| (sum - mean).powi(2)).sum::<f64>() / sums.len() as f64;
        let width = variance.sqrt().max(1.0);
        for ((weight, sum), &slack) in self.weights.iter_mut().zip(sums).zip(&self.slacks) {
            let share = 1.0 / (1.0 + ((sum - f64::from(slack)) / width).exp());
            // those that are not told apart yet may still be
            let slope = (4.0 * share * (1.0 - share).max(0.25)).min(1.0);
            *weight = (slope * f64::from(MOST_WEIGHT)).round() as i16;
        }
    }
}

/// Adds a weight where a difference makes a sum smaller, and where it would with the other sign.
#[inline(always)]
fn add_signs(with: &mut Eight, against: &mut Eight, sums: &Eight, difference: i16, weight: i16) {
    let towards = sums.map(|sum| sum * difference);
    // shifted, a negative number has all bits set, and others none
    *with = array::from_fn(|i| with[i] + (weight & (towards[i] >> 15)));
    *against = array::from_fn(|i| against[i] + (weight & (-towards[i] >> 15)));
}
