mod tables;

use std::fmt;
use std::io::Write;

use rand::rngs::ChaCha20Rng;
use rand::{Rng, SeedableRng};

use super::{Error, table_format};
use crate::plan::ResultFormat;
use crate::solve::Groups;

/// What all randomness of a run's permutations comes from: 32 bytes that nobody can guess.
///
/// Whoever knows the seed can tell which records match, so it must come from the system's random generator
/// (`rand::rngs::SysRng`), once a run, and be as secret as the result itself. That a retried run writes the same
/// bytes, it is kept until the result is complete; never derive it from anything that a party knows.
#[derive(Clone)]
pub struct Seed(pub [u8; 32]);

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(secret)")
    }
}

/// One random permutation a party, and the mask that tells which positions match.
///
/// `permutation(p)[i]` is the new position of party p's record i. Both records of a match get the same position,
/// drawn uniformly from those below the size of the smaller data set (both parties have those), where the mask
/// is 1. All other records fill their party's remaining positions uniformly. So when both parties move their
/// records to the new positions, the rows where the mask is 1 belong to the same people, and neither the
/// positions nor a party's own permutation tell it which of its records those are.
///
/// The generator is ChaCha20, with a stream of its own for each purpose; the same seed and groups give the same
/// permutations on every machine.
///
/// ```
/// use scorer::pairs::Pair;
/// use scorer::result::{Permutations, Seed};
/// use scorer::solve::GreedySolver;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut solver = GreedySolver::new(&[3, 2])?;
/// solver.add(&Pair { score: 1.0, dataset0: 0, dataset1: 1, record0: 2, record1: 0 })?;
/// let permutations = Permutations::new(&solver.finish(), &Seed([7; 32]))?;
/// let position = permutations.permutation(0)[2];
/// assert_eq!(permutations.permutation(1)[0], position);
/// assert_eq!(permutations.mask()[position as usize], true);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Permutations {
    permutations: [Vec<u32>; 2],
    mask: Vec<bool>,
    matches: u64,
}

/// Streams of the generator: matches first, then the rest of either party.
const MATCHES: u64 = 0;
const REST: [u64; 2] = [1, 2];
/// A record that has no position yet.
const UNPLACED: u32 = u32::MAX;

impl Permutations {
    /// Draws the permutations for groups between exactly two parties.
    pub fn new(groups: &Groups, seed: &Seed) -> Result<Self, Error> {
        let records = groups.records();
        let &[records0, records1] = &records[..] else {
            return Err(Error::NotTwoParties { parties: records.len() });
        };
        let mut positions: Vec<u32> = (0..records0.min(records1) as u32).collect();
        shuffle(&mut positions, &mut generator(seed, MATCHES));

        let mut permutations = [vec![UNPLACED; records0 as usize], vec![UNPLACED; records1 as usize]];
        let mut mask = vec![false; positions.len()];
        for (group, &position) in groups.iter().zip(&positions) {
            for member in group {
                permutations[member.dataset as usize][member.record as usize] = position;
            }
            mask[position as usize] = true;
        }
        for (permutation, stream) in permutations.iter_mut().zip(REST) {
            place_rest(permutation, &mask, &mut generator(seed, stream));
        }
        Ok(Self { permutations, mask, matches: groups.len() })
    }

    /// The new position of each record of a party (0 or 1).
    pub fn permutation(&self, dataset: usize) -> &[u32] {
        &self.permutations[dataset]
    }

    /// For each position of the smaller data set, whether the records there match.
    pub fn mask(&self) -> &[bool] {
        &self.mask
    }

    /// How many positions match.
    pub fn matches(&self) -> u64 {
        self.matches
    }

    /// Writes the mask in any format, and gives `out` back: `{"mask":[0,1,…]}`, or a table `position,match`.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_mask_as<W: Write + Send>(&self, mut out: W, format: ResultFormat) -> Result<W, Error> {
        match table_format(format) {
            None => self.write_mask(&mut out).map(|()| out),
            Some(format) => self.write_mask_table(out, format),
        }
    }

    /// Writes the permutation of a party (0 or 1) in any format, and gives `out` back: `{"permutation":[…],"rows":n}`, or a
    /// table `record,position` in the order of the positions.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_permutation_as<W: Write + Send>(
        &self,
        dataset: usize,
        mut out: W,
        format: ResultFormat,
    ) -> Result<W, Error> {
        match table_format(format) {
            None => self.write_permutation(dataset, &mut out).map(|()| out),
            Some(format) => self.write_permutation_table(dataset, out, format),
        }
    }

    /// Writes `{"mask":[0,1,…]}`.
    pub fn write_mask(&self, mut out: impl Write) -> Result<(), Error> {
        out.write_all(b"{\"mask\":[")?;
        for (i, &matches) in self.mask.iter().enumerate() {
            let separator = if i == 0 { "" } else { "," };
            write!(out, "{separator}{}", u8::from(matches))?;
        }
        out.write_all(b"]}")?;
        Ok(out.flush()?)
    }

    /// Writes `{"permutation":[…],"rows":n}` for a party (0 or 1).
    pub fn write_permutation(&self, dataset: usize, mut out: impl Write) -> Result<(), Error> {
        out.write_all(b"{")?;
        self.write_permutation_members(dataset, &mut out)?;
        out.write_all(b"}")?;
        Ok(out.flush()?)
    }

    /// Writes `"permutation":[…],"rows":n` for a party (0 or 1): the same without the braces. For both parties n is the length
    /// of the mask, as the Anonlink Entity Service has it: only the first n positions can match.
    pub fn write_permutation_members(&self, dataset: usize, mut out: impl Write) -> Result<(), Error> {
        let permutation = self.permutation(dataset);
        out.write_all(b"\"permutation\":[")?;
        for (i, position) in permutation.iter().enumerate() {
            let separator = if i == 0 { "" } else { "," };
            write!(out, "{separator}{position}")?;
        }
        Ok(write!(out, "],\"rows\":{}", self.mask.len())?)
    }
}

/// Gives every record without a position one that no match has taken.
fn place_rest(permutation: &mut [u32], mask: &[bool], random: &mut impl Rng) {
    let free = |&position: &u32| !mask.get(position as usize).copied().unwrap_or(false);
    let mut positions: Vec<u32> = (0..permutation.len() as u32).filter(free).collect();
    shuffle(&mut positions, random);
    let unplaced = permutation.iter_mut().filter(|position| **position == UNPLACED);
    for (record, position) in unplaced.zip(positions) {
        *record = position;
    }
}

fn generator(seed: &Seed, stream: u64) -> ChaCha20Rng {
    let mut generator = ChaCha20Rng::from_seed(seed.0);
    generator.set_stream(stream);
    generator
}

/// Fisher and Yates' shuffle. Spelt out, since a library's may draw differently in its next version, and then
/// a retry with a newer image would write other bytes.
fn shuffle(items: &mut [u32], random: &mut impl Rng) {
    for last in (1..items.len()).rev() {
        let other = below(last as u32 + 1, random);
        items.swap(last, other as usize);
    }
}

/// A uniform number below a bound, without bias: Lemire's method.
fn below(bound: u32, random: &mut impl Rng) -> u32 {
    let rejected = bound.wrapping_neg() % bound;
    loop {
        let product = u64::from(random.next_u32()) * u64::from(bound);
        if product as u32 >= rejected {
            return (product >> 32) as u32;
        }
    }
}

#[cfg(test)]
mod tests;
