//! Learns from a sample how to divide the bits.

use rand::rngs::ChaCha20Rng;
use rand::{RngExt, SeedableRng};

/// How much time to take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effort {
    /// Pairs of sampled records by which a division is judged; less than an i16 holds.
    pairs: usize,
    /// How often all bits are gone through.
    sweeps: usize,
}

impl Effort {
    /// Tells whether there is anything to learn, in a tenth of the time.
    pub(super) const LITTLE: Self = Self { pairs: 1000, sweeps: 1 };
    /// More of either changes next to nothing.
    pub(super) const FULL: Self = Self { pairs: 4000, sweeps: 4 };
}

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

/// The pairs in which a bit differs: their numbers, and 1 or −1 for who has it.
type Differences = Vec<Vec<(u32, i16)>>;

impl Segments {
    /// A division into `SEGMENTS` that makes the mean sum of the counts' differences large, for encodings like those
    /// of the sample. Bit after bit is moved to where that sum gains most, until little moves.
    pub(super) fn learn<const SEGMENTS: usize>(sample: &[u64], width: usize, effort: Effort) -> Self {
        let mut random = ChaCha20Rng::seed_from_u64(SEGMENTS as u64);
        let differences = differences(sample, width, effort.pairs, &mut random);
        let mut place: Vec<(usize, i16)> = Vec::with_capacity(differences.len());
        let mut sizes = [0; SEGMENTS];
        // for each pair the difference of each count
        let mut sums = vec![[0i16; SEGMENTS]; effort.pairs];
        for (bit, pairs) in differences.iter().enumerate() {
            // in turn, so that all are of a size to begin with
            let (segment, sign) = (bit % SEGMENTS, if random.random() { 1 } else { -1 });
            place.push((segment, sign));
            if sizes[segment] < MOST_BITS {
                sizes[segment] += 1;
                shift(&mut sums, pairs, segment, sign);
            } else {
                place[bit].1 = 0;
            }
        }
        for _ in 0..effort.sweeps {
            for (pairs, place) in differences.iter().zip(&mut place).filter(|(_, place)| place.1 != 0) {
                let (segment, sign) = *place;
                shift(&mut sums, pairs, segment, -sign);
                sizes[segment] -= 1;
                *place = best_place(&sums, pairs, &sizes);
                sizes[place.0] += 1;
                shift(&mut sums, pairs, place.0, place.1);
            }
        }
        let bits = place.into_iter().map(|(segment, sign)| (sign != 0).then_some((segment as u8, sign < 0)));
        Self { segments: SEGMENTS, bits: bits.collect() }
    }
}

fn differences(sample: &[u64], width: usize, pairs: usize, random: &mut ChaCha20Rng) -> Differences {
    let mut differences = vec![Vec::new(); width * 64];
    let records = sample.len() / width;
    let record = |random: &mut ChaCha20Rng| &sample[random.random_range(0..records) * width..][..width];
    for pair in 0..pairs as u32 {
        let (a, b) = (record(random), record(random));
        for (word, (&a, &b)) in a.iter().zip(b).enumerate() {
            let mut differing = a ^ b;
            while differing != 0 {
                let bit = differing.trailing_zeros() as usize;
                differing &= differing - 1;
                differences[word * 64 + bit].push((pair, if a >> bit & 1 == 1 { 1 } else { -1 }));
            }
        }
    }
    differences
}

/// Adds a bit, by its sign, to the sums of a segment.
fn shift<const SEGMENTS: usize>(
    sums: &mut [[i16; SEGMENTS]],
    pairs: &[(u32, i16)],
    segment: usize,
    sign: i16,
) {
    for &(pair, difference) in pairs {
        sums[pair as usize][segment] += sign * difference;
    }
}

/// The segment and sign with which a bit makes the fewest sums smaller. (Every sum that does not become smaller by one
/// becomes larger by one.)
fn best_place<const SEGMENTS: usize>(
    sums: &[[i16; SEGMENTS]],
    pairs: &[(u32, i16)],
    sizes: &[usize; SEGMENTS],
) -> (usize, i16) {
    // no more than there are pairs, which an i16 holds
    let (mut with, mut against) = ([0i16; SEGMENTS], [0i16; SEGMENTS]);
    for &(pair, difference) in pairs {
        for (segment, sum) in sums[pair as usize].iter().enumerate() {
            let towards = sum * difference;
            with[segment] += i16::from(towards < 0);
            against[segment] += i16::from(towards > 0);
        }
    }
    let free = (0..SEGMENTS).filter(|&segment| sizes[segment] < MOST_BITS);
    let places = free.flat_map(|segment| [(with[segment], segment, 1), (against[segment], segment, -1)]);
    // there is always a place: that which the bit has just left
    places.min().map_or((0, 1), |(_, segment, sign)| (segment, sign))
}
