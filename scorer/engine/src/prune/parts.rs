//! Divides the bits into parts, such that few pairs of unlike records agree in all bits of any part.
//!
//! Two encodings that differ in at most d bits agree in all bits of at least one of any d + 1 parts: each differing bit
//! spoils one part. A pair that reaches the threshold differs in at most the sum of both records' slacks
//! (`Cutoffs::slack`), s. So if the parts are numbered, it agrees in one of the parts 0 to s; and in part `k` only pairs
//! with s ≥ k have to be looked for.
//!
//! Any division is right. What a good one is, is learnt: pairs of similar records are to differ in every part.
//!
//! That one of the parts agrees is the pigeonhole principle, known from multi-index hashing (Norouzi, Punjani and Fleet,
//! CVPR 2012) and its general form with a threshold a part (Qin et al., GPH, ICDE 2018); that a pair's own slack decides
//! how many parts it needs, and learning the parts by it, are this project's.

use rand::rngs::ChaCha20Rng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

use super::buckets::HASH_BITS;
use super::sample::SampledPair;

/// The most parts that are worth it: each is gone through for all records.
pub(super) const MOST_PARTS: usize = 128;
/// How often all bits are gone through. More changes next to nothing.
const SWEEPS: usize = 4;
/// A pair weighs so much less in a part for each further bit in which it differs there. That it differs at all is not
/// enough: it stands for others like it.
const DECAY: f32 = 0.25;
/// Parts that fewer pairs need weigh less, to this power of their share: sums of decayed weights fall more slowly with each
/// bit than the share of the pairs that agree does.
const POWER: f64 = 0.7;
/// Spreads the bits of a key over the upper ones of a word: 2⁶⁴ divided by the golden ratio (Knuth's multiplicative
/// hashing).
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;
/// Bits of a word.
const WORD: usize = 64;

/// A division of some of the bits into parts.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    /// Words of an encoding.
    width: usize,
    /// Of each part the bits, `width` words. Of the same bit of all words at most one is in a part.
    masks: Vec<u64>,
}

impl Parts {
    /// A division learnt from pairs that are to be told apart. `needed` has for each part the share of all pairs that need
    /// it, which falls. The last part has no bit, so that all pairs agree in it.
    pub(super) fn learn(pairs: &[SampledPair<'_>], needed: &[f64], width: usize) -> Self {
        let mut learner = Learner::new(pairs, needed, width);
        for _ in 0..SWEEPS {
            learner.sweep();
        }
        learner.parts()
    }

    /// How many parts there are, with the last one, which is empty.
    pub(super) fn len(&self) -> usize {
        self.masks.len() / self.width
    }

    /// A hash of the bits of a record that are in a part. Records agree in a part if their hashes do: all that have the same
    /// bits, and few others.
    #[inline]
    pub(super) fn hash(&self, part: usize, record: &[u64]) -> u32 {
        let key = record.iter().zip(self.mask(part)).fold(0, |key, (word, mask)| key | word & mask);
        (key.wrapping_mul(SPREAD) >> (u64::BITS - HASH_BITS)) as u32
    }

    /// Whether two records agree in none of the parts before some part.
    pub(super) fn agree_in_none_before(&self, part: usize, a: &[u64], b: &[u64]) -> bool {
        !(0..part).any(|part| self.hash(part, a) == self.hash(part, b))
    }

    fn mask(&self, part: usize) -> &[u64] {
        &self.masks[part * self.width..][..self.width]
    }
}

/// What parts are learnt from, and the parts so far.
struct Learner {
    width: usize,
    /// How many parts.
    parts: usize,
    /// By bit, the pairs that differ in it.
    differing: Vec<Vec<u32>>,
    /// By pair, then by part: how much it weighs.
    weights: Vec<f32>,
    /// The part of each bit, if there is one.
    places: Vec<Option<usize>>,
    /// By part, which bits of a word are taken.
    taken: Vec<u64>,
    /// The bits, in the order in which they are gone through.
    order: Vec<usize>,
}

impl Learner {
    /// With bits in parts in turn.
    fn new(pairs: &[SampledPair<'_>], needed: &[f64], width: usize) -> Self {
        let parts = needed.len();
        let mut random = ChaCha20Rng::seed_from_u64(parts as u64);
        let mut order: Vec<usize> = (0..width * WORD).collect();
        order.shuffle(&mut random);
        let weights: Vec<f32> = needed.iter().map(|share| share.powf(POWER) as f32).collect();
        let mut learner = Self {
            width,
            parts,
            differing: vec![Vec::new(); width * WORD],
            weights: weights.repeat(pairs.len()),
            places: vec![None; width * WORD],
            taken: vec![0; parts],
            order,
        };
        for (pair, (a, b)) in (0..).zip(pairs) {
            for (word, (a, b)) in a.iter().zip(*b).enumerate() {
                let mut differing = a ^ b;
                while differing != 0 {
                    learner.differing[word * WORD + differing.trailing_zeros() as usize].push(pair);
                    differing &= differing - 1;
                }
            }
        }
        let mut next = random.random_range(0..parts);
        for place in 0..learner.order.len() {
            let bit = learner.order[place];
            let free =
                (next..next + parts).map(|part| part % parts).find(|&part| learner.has_room(part, bit));
            if let Some(part) = free {
                learner.put(bit, part);
                next = (part + 1) % parts;
            }
        }
        learner
    }

    fn has_room(&self, part: usize, bit: usize) -> bool {
        self.taken[part] >> (bit % WORD) & 1 == 0
    }

    /// Puts every bit where the pairs that differ in it weigh most.
    fn sweep(&mut self) {
        let mut sums = vec![0.0; self.parts];
        for place in 0..self.order.len() {
            let bit = self.order[place];
            if let Some(part) = self.places[bit] {
                self.scale(bit, part, 1.0 / DECAY);
                self.taken[part] &= !(1 << (bit % WORD));
            }
            sums.fill(0.0);
            for &pair in &self.differing[bit] {
                let weights = &self.weights[pair as usize * self.parts..][..self.parts];
                sums.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += weight);
            }
            let free = (0..self.parts).filter(|&part| self.has_room(part, bit));
            if let Some(part) = free.max_by(|&a, &b| f32::total_cmp(&sums[a], &sums[b])) {
                self.put(bit, part);
            }
        }
    }

    fn put(&mut self, bit: usize, part: usize) {
        self.places[bit] = Some(part);
        self.taken[part] |= 1 << (bit % WORD);
        self.scale(bit, part, DECAY);
    }

    /// Makes the pairs that differ in a bit weigh more or less in a part. By powers of two, so that nothing is lost.
    fn scale(&mut self, bit: usize, part: usize, factor: f32) {
        for &pair in &self.differing[bit] {
            self.weights[pair as usize * self.parts + part] *= factor;
        }
    }

    /// The parts up to the first that got no bit; that one is the last.
    fn parts(self) -> Parts {
        let filled = self.taken.iter().take_while(|&&taken| taken != 0).count();
        let mut masks = vec![0; (filled + 1) * self.width];
        for (bit, part) in self.places.into_iter().enumerate() {
            if let Some(part) = part.filter(|&part| part < filled) {
                masks[part * self.width + bit / WORD] |= 1 << (bit % WORD);
            }
        }
        Parts { width: self.width, masks }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Threshold;
    use crate::prune::sample::Sample;
    use crate::tests::datasets;
    use crate::threshold::Cutoffs;

    #[test]
    fn every_bit_is_in_one_part_at_most_and_none_in_the_last() {
        for (width, threshold) in [(1, 0.9), (1, 1.0), (8, 0.3), (8, 0.95), (16, 0.8), (128, 0.99)] {
            let cutoffs = Cutoffs::new(Threshold::new(threshold).unwrap(), width * 8);
            let sample = Sample::new(datasets(1, &[60, 60], width), width, &cutoffs);
            let needed = sample.slack_sums(MOST_PARTS);
            let parts = Parts::learn(&sample.likely_to_agree(500, needed.len()), &needed, width);
            assert!((1..=needed.len() + 1).contains(&parts.len()));
            let mut seen = vec![0; width];
            for part in 0..parts.len() {
                let mask = parts.mask(part);
                assert_eq!(mask.iter().all(|&word| word == 0), part + 1 == parts.len());
                assert_eq!(mask.iter().fold(0, |all, word| all & word), 0);
                let bits: u32 = mask.iter().map(|word| word.count_ones()).sum();
                assert_eq!(
                    bits,
                    mask.iter().fold(0, |all, word| all | word).count_ones(),
                    "no bit hides another"
                );
                for (seen, word) in seen.iter_mut().zip(mask) {
                    assert_eq!(*seen & word, 0);
                    *seen |= word;
                }
            }
        }
    }

    #[test]
    fn a_differing_bit_spoils_one_part() {
        let pairs: [([u64; 2], [u64; 2]); 2] = [([0, 0], [u64::MAX, u64::MAX]), ([1, 2], [3, 9])];
        let pairs: Vec<SampledPair<'_>> = pairs.iter().map(|(a, b)| (&a[..], &b[..])).collect();
        let parts = Parts::learn(&pairs, &[1.0, 1.0, 0.5, 0.1], 2);
        let record = [0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210];
        for bit in 0..128 {
            let mut other = record;
            other[bit / 64] ^= 1 << (bit % 64);
            let spoilt =
                (0..parts.len()).filter(|&part| parts.hash(part, &record) != parts.hash(part, &other));
            assert!(spoilt.count() <= 1);
        }
        // what agrees in the first part does so in one before all others, and nothing does before the first
        assert!(parts.agree_in_none_before(0, &record, &record));
        assert!((1..parts.len()).all(|part| !parts.agree_in_none_before(part, &record, &record)));
    }

    #[test]
    fn bits_that_tell_records_apart_are_spread_over_the_parts() {
        let width = 16;
        let cutoffs = Cutoffs::new(Threshold::new(0.95).unwrap(), width * 8);
        // a quarter of the bits varies
        let mut random = ChaCha20Rng::seed_from_u64(9);
        let mut record =
            || (0..width).map(|word| if word % 4 == 0 { random.random() } else { 0x1357_9bdf }).collect();
        let mut records = || (0..400).flat_map(|_| -> Vec<u64> { record() }).collect();
        let sample = Sample::new(vec![records(), records()], width, &cutoffs);
        let needed = sample.slack_sums(MOST_PARTS);
        let pairs = sample.likely_to_agree(2000, needed.len());
        assert!((1999..=2001).contains(&pairs.len()));
        let agreeing = |parts: &Parts| -> usize {
            let agree = |&(a, b): &SampledPair<'_>| {
                (0..needed.len()).filter(|&part| parts.hash(part, a) == parts.hash(part, b)).count()
            };
            pairs.iter().map(agree).sum()
        };
        let learnt = agreeing(&Parts::learn(&pairs, &vec![1.0; needed.len()], width));
        let in_turn = agreeing(&Learner::new(&pairs, &vec![1.0; needed.len()], width).parts());
        assert!(learnt * 3 < in_turn * 2, "{learnt} of {in_turn}");
    }
}
