//! Groups of two parties' records with the greatest sum of scores.

mod components;
mod matching;
mod ties;
mod weight;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use self::components::{Component, Components};
use self::matching::Graph;
use self::weight::Weight;
use super::records::Records;
use super::{Error, Groups};
use crate::pairs::Pair;

/// What bounds the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct OptimalOptions {
    /// Components with more records than this are solved greedily: from 2 to [`Self::MOST_RECORDS`].
    pub max_component_records: u32,
}

impl OptimalOptions {
    /// The greatest bound on a component's records.
    pub const MOST_RECORDS: u32 = 100_000;
    /// The bound by default. Even where every record is similar to every other, such a component takes less than 1 GiB,
    /// and some seconds; with scores that are as hard as can be, a minute or two. Few similar records take no time at all.
    pub const DEFAULT_RECORDS: u32 = 5000;

    /// Refuses what cannot be of use to so many parties.
    ///
    /// # Errors
    /// [`Error::Options`].
    pub fn check(&self, parties: usize) -> Result<(), Error> {
        if !(2..=Self::MOST_RECORDS).contains(&self.max_component_records) {
            let what = format!(
                "maxComponentRecords is {}; it must be from 2 to {}",
                self.max_component_records,
                Self::MOST_RECORDS
            );
            return Err(Error::Options { what });
        }
        if parties != 2 {
            let what = format!(
                "algorithm Optimal is for exactly two parties, and there are {parties}; use algorithm Greedy"
            );
            return Err(Error::Options { what });
        }
        Ok(())
    }
}

impl Default for OptimalOptions {
    fn default() -> Self {
        Self { max_component_records: Self::DEFAULT_RECORDS }
    }
}

/// What was solved how: connected components of pairs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Solving {
    /// All of them.
    pub components: u64,
    /// Records of the largest one.
    pub largest_component_records: u64,
    /// Those that were too large, and were solved greedily.
    pub greedy_components: u64,
    /// The records in these.
    pub greedy_records: u64,
    /// The pairs in these.
    pub greedy_pairs: u64,
}

/// Bytes held for a record: where its component is, its partner, and what finding components takes.
pub const BYTES_PER_RECORD: u64 = 24;
/// Bytes held for a pair until its component is solved.
const HELD_BYTES: u64 = size_of::<Held>() as u64;
/// Bytes that solving takes for a pair of the component at hand, and for a record.
const SOLVING_BYTES: u64 = 128;

/// A pair that waits for the rest of its component: the numbers of its records, the first party's first.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Held {
    a: u32,
    b: u32,
    score: f64,
}

/// Matches the records of two parties one to one, so that the sum of the scores of the matched pairs is the greatest
/// that there is.
///
/// The sum is one of exact numbers: scores are taken for the binary fractions that they are, and nothing is rounded
/// when they are added up. Of several matchings with the same sum it is the one with the earliest pairs: of any two,
/// the one that has the first pair, in the order of [`Pair`], which is not in both. So the result depends on the pairs
/// alone.
///
/// Connected components of pairs are independent of each other, and solved by themselves, in parallel. One with more
/// than `max_component_records` records is solved greedily instead, as [`super::GreedySolver`] does; [`Solving`] tells
/// how many of them there were.
///
/// `pairs` is called for the same pairs several times: by descending score, ties in the order of [`Pair`], none twice.
/// First components are found; then pairs are collected and solved, as many components at a time as
/// `memory_bytes` allow.
///
/// **Memory**: [`BYTES_PER_RECORD`] a record, beside `memory_bytes`.
///
/// # Errors
/// When the options cannot be of use, the pairs are not what was promised, a single component does not fit the memory
/// ([`Error::Memory`]), or reading fails.
///
/// ```
/// use scorer::pairs::Pair;
/// use scorer::solve::{Error, Member, OptimalOptions, solve_optimally};
///
/// # fn main() -> Result<(), Error> {
/// let pair = |(score, record0, record1)| Ok::<_, Error>(Pair { score, dataset0: 0, dataset1: 1, record0, record1 });
/// let scores = [(0.95, 0, 0), (0.9, 0, 1), (0.9, 1, 0)];
/// let pairs = || Ok(scores.into_iter().map(pair));
/// let (groups, _) = solve_optimally(&[2, 2], OptimalOptions::default(), 1 << 20, pairs)?;
/// // greedily, 0.95 would be all that there is
/// let member = |dataset, record| Member { dataset, record };
/// assert!(groups.iter().eq([[member(0, 0), member(1, 1)], [member(0, 1), member(1, 0)]]));
/// # Ok(()) }
/// ```
pub fn solve_optimally<E, I>(
    records: &[u64],
    options: OptimalOptions,
    memory_bytes: u64,
    mut pairs: impl FnMut() -> Result<I, E>,
) -> Result<(Groups, Solving), E>
where
    E: From<Error>,
    I: Iterator<Item = Result<Pair, E>>,
{
    options.check(records.len())?;
    let mut checked = CheckedPairs::new(records)?;
    let mut components = Components::new(checked.records.total());
    for pair in pairs()? {
        let Held { a, b, .. } = checked.next(&pair?)?;
        components.connect(a, b);
    }
    let (component_of, components, solving) = components.finish(options.max_component_records);
    let mut matched = Matched::new(checked.records.total());
    let mut batches = Batches { components: &components, next: 0, memory_bytes };
    let mut is_first = true;
    while let Some(batch) = batches.next().transpose()? {
        let mut collected = Collected::new(batch, &components);
        let mut checked = CheckedPairs::new(records)?;
        for pair in pairs()? {
            let held = checked.next(&pair?)?;
            match component_of.get(held.a) {
                Some(component) => collected.add(component, held)?,
                None if is_first => matched.join_if_alone(held.a, held.b),
                None => {}
            }
        }
        collected.solve(&mut matched)?;
        is_first = false;
    }
    Ok((Groups { records: checked.records, next: matched.next, len: matched.len }, solving))
}

/// Sees to it that pairs are of the two parties, and in order.
struct CheckedPairs {
    records: Records,
    position: u64,
    last_score: f64,
}

impl CheckedPairs {
    fn new(records: &[u64]) -> Result<Self, Error> {
        Ok(Self { records: Records::new(records)?, position: 0, last_score: f64::INFINITY })
    }

    fn next(&mut self, pair: &Pair) -> Result<Held, Error> {
        let position = self.position;
        let refuse = |what: String| Error::Pair { position, what };
        let &Pair { score, dataset0, dataset1, record0, record1 } = pair;
        if (dataset0, dataset1) != (0, 1) {
            return Err(refuse(format!(
                "its records are of data sets {dataset0} and {dataset1}, not 0 and 1"
            )));
        }
        let number = |dataset, record| {
            let missing = || refuse(format!("there is no record {record} in data set {dataset}"));
            self.records.number(dataset, record).ok_or_else(missing)
        };
        let held = Held { a: number(0, record0)?, b: number(1, record1)?, score };
        if score > self.last_score {
            return Err(Error::Unsorted { position });
        }
        if Weight::of_score(score).is_none() {
            return Err(refuse(format!("its score is {score}; scores are above 0 and at most 1")));
        }
        (self.position, self.last_score) = (position + 1, score);
        Ok(held)
    }
}

/// Who is matched with whom.
struct Matched {
    /// For each record its partner; itself when it has none.
    next: Vec<u32>,
    len: u64,
}

impl Matched {
    fn new(records: u32) -> Self {
        Self { next: (0..records).collect(), len: 0 }
    }

    /// What the greedy solver does between two parties.
    fn join_if_alone(&mut self, a: u32, b: u32) {
        if self.next[a as usize] == a && self.next[b as usize] == b {
            self.next.swap(a as usize, b as usize);
            self.len += 1;
        }
    }
}

/// As many components at a time as fit the memory, in their order. There is always one, as other pairs are read with
/// it.
struct Batches<'a> {
    components: &'a [Component],
    next: usize,
    memory_bytes: u64,
}

impl Iterator for Batches<'_> {
    type Item = Result<std::ops::Range<usize>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.next;
        if start > 0 && start >= self.components.len() {
            return None;
        }
        let threads = rayon::current_num_threads() as u64;
        let (mut held, mut largest) = (0, 0);
        let mut end = start;
        for component in &self.components[start..] {
            let pairs = u64::from(component.pairs);
            held += pairs * HELD_BYTES + size_of::<usize>() as u64;
            largest = largest.max(pairs + u64::from(component.records));
            let needed = held + largest * SOLVING_BYTES * threads.min(1 + (end - start) as u64);
            if needed > self.memory_bytes {
                if end == start {
                    let what = Error::Memory { records: component.records, pairs, needed_bytes: needed };
                    self.next = self.components.len();
                    return Some(Err(what));
                }
                break;
            }
            end += 1;
        }
        // without any component there is one empty batch
        self.next = end.max(1);
        Some(Ok(start..end))
    }
}

/// The pairs of a batch of components, each component's together and in their order.
struct Collected<'a> {
    batch: std::ops::Range<usize>,
    components: &'a [Component],
    held: Vec<Held>,
    /// For each component of the batch, where its next pair goes.
    ends: Vec<usize>,
}

impl<'a> Collected<'a> {
    fn new(batch: std::ops::Range<usize>, components: &'a [Component]) -> Self {
        let mut total = 0;
        let mut ends = Vec::with_capacity(batch.len());
        for component in &components[batch.clone()] {
            ends.push(total);
            total += component.pairs as usize;
        }
        Self { batch, components, held: vec![Held::default(); total], ends }
    }

    fn add(&mut self, component: usize, held: Held) -> Result<(), Error> {
        let Some(index) = component.checked_sub(self.batch.start).filter(|&index| index < self.ends.len())
        else {
            return Ok(());
        };
        let end = &mut self.ends[index];
        *self.held.get_mut(*end).ok_or(Error::Changed)? = held;
        *end += 1;
        Ok(())
    }

    /// Solves the components in parallel.
    fn solve(self, matched: &mut Matched) -> Result<(), Error> {
        let mut rest = &self.held[..];
        let mut start = 0;
        let mut slices = Vec::with_capacity(self.ends.len());
        for (component, &end) in self.components[self.batch.clone()].iter().zip(&self.ends) {
            let (pairs, after) = rest.split_at(component.pairs as usize);
            start += pairs.len();
            if end != start {
                return Err(Error::Changed);
            }
            slices.push(pairs);
            rest = after;
        }
        let solved: Vec<Vec<(u32, u32)>> =
            slices.into_par_iter().map(|pairs| Graph::new(pairs).greatest_matching()).collect();
        for (a, b) in solved.into_iter().flatten() {
            matched.join_if_alone(a, b);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
