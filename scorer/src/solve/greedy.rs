use fixedbitset::FixedBitSet;
use foldhash::HashMap;

use super::edges::Edges;
use super::records::Records;
use super::scores::Candidates;
use super::{Error, GreedyOptions, Groups, ScoresWithin};
use crate::pairs::Pair;

/// So many pairs are taken together.
const TOGETHER: usize = 64;

/// Forms groups of records, greedily by descending score, as anonlink's `greedy_solve` does.
///
/// Every record starts as a group of its own. A pair between two groups counts as one edge between them; when
/// the edges between two groups are as many as the product of their sizes, that is when every pair between
/// them has been seen, they merge. As pairs are only formed between parties, groups that share a party can
/// never merge, and a group never holds two records of one party.
///
/// [`GreedyOptions`] ask for less: then the groups are those of anonlink's `probabilistic_greedy_solve`, of the
/// compiled one, in whose order factors are multiplied. With a lower merge threshold a share of the edges suffices, and
/// groups that share a party merge only if these are not one-to-one.
///
/// A single party's pairs are those within its data. Then a group is what that party holds of one person: any number of
/// records, every two of which are a pair. Records that are only similar to a common third one stay apart.
///
/// **Memory**: 8 bytes a record, 12 in the end, plus the edges between groups that have not merged but still may: groups
/// of disjoint parties, of which one at least has two records. With two parties there are none. With a single party, or if
/// groups may hold several records of one, these are any groups, and in the worst case all pairs but one for each record.
///
/// ```
/// use scorer::pairs::Pair;
/// use scorer::solve::{GreedySolver, Member};
///
/// # fn main() -> Result<(), scorer::solve::Error> {
/// let mut solver = GreedySolver::new(&[2, 2])?;
/// for (score, record0, record1) in [(0.95, 0, 1), (0.9, 0, 0), (0.85, 1, 0)] {
///     solver.add(&Pair { score, dataset0: 0, dataset1: 1, record0, record1 })?;
/// }
/// let groups = solver.finish();
/// let member = |dataset, record| Member { dataset, record };
/// let expected = [[member(0, 0), member(1, 1)], [member(0, 1), member(1, 0)]];
/// assert!(groups.iter().eq(expected));
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct GreedySolver {
    records: Records,
    parties: usize,
    /// Which share of the edges between two groups lets them merge.
    merge_threshold: f64,
    /// Whether groups that share a party never merge.
    one_to_one: bool,
    /// For each record where it is.
    places: Vec<Place>,
    /// Records whose group cannot grow, as it has one of every party. Between two parties these are all that have a group,
    /// most pairs are of such a one, and a bit a record stays in the processor's cache.
    complete: FixedBitSet,
    /// Records of the groups with more than two.
    sizes: HashMap<u32, usize>,
    edges: Edges,
    groups: u64,
    pairs: u64,
    last_score: f64,
    /// The pairs that may be within a group, where their scores are asked for.
    candidates: Option<Candidates>,
}

/// Two records, by their numbers, and how similar they are.
#[derive(Clone, Copy, Debug, Default)]
struct Numbered {
    a: u32,
    b: u32,
    score: f64,
}

/// Where a record is. Both are mostly needed together, and waiting for memory is most of the time of a merge.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// The number of its group: one of the group's records.
    group: u32,
    /// The next record of its group, in a ring.
    next: u32,
}

impl GreedySolver {
    /// A solver for data sets with these numbers of records.
    pub fn new(records: &[u64]) -> Result<Self, Error> {
        Self::with_options(records, GreedyOptions::default())
    }

    /// A solver that merges as the options say.
    ///
    /// # Errors
    /// When the options cannot be of use to so many data sets, or there are too many records.
    pub fn with_options(records: &[u64], options: GreedyOptions) -> Result<Self, Error> {
        let parties = records.len();
        options.check(parties)?;
        let records = Records::new(records)?;
        Ok(Self {
            parties,
            merge_threshold: options.merge_threshold,
            // Where every pair must have come, groups that share a party never merge: no pair is within a party.
            one_to_one: !options.keeps_edges(parties),
            complete: FixedBitSet::with_capacity(records.total() as usize),
            places: (0..records.total()).map(|number| Place { group: number, next: number }).collect(),
            records,
            sizes: HashMap::default(),
            edges: Edges::default(),
            groups: 0,
            pairs: 0,
            last_score: f64::INFINITY,
            candidates: None,
        })
    }

    /// Keeps the scores of the pairs within groups, for [`GreedySolver::finish_with_scores`]. To be called before the first
    /// pair. This takes 16 bytes for each pair that is within a group or still may come to be: with two parties one for
    /// each group.
    pub fn keep_scores(self) -> Self {
        Self { candidates: Some(Candidates::new()), ..self }
    }

    /// Takes the next pair: by descending score, ties in the order of [`Pair`], none twice.
    ///
    /// # Errors
    /// When there are no such records, they can be no pair, or the pair is not in order.
    pub fn add(&mut self, pair: &Pair) -> Result<(), Error> {
        self.add_all(std::slice::from_ref(pair))
    }

    /// Takes the next pairs.
    ///
    /// # Errors
    /// As with [`GreedySolver::add`]. Nothing more is to be added then.
    pub fn add_all(&mut self, pairs: &[Pair]) -> Result<(), Error> {
        pairs.chunks(TOGETHER).try_for_each(|pairs| self.add_few(pairs))
    }

    /// Most pairs are of a record whose group is complete. They are left out first, without a branch, as the processor could
    /// not guess which they are.
    fn add_few(&mut self, pairs: &[Pair]) -> Result<(), Error> {
        // All pairs within a complete group have been seen, unless a share of them sufficed.
        let are_all_kept = self.candidates.is_some() && self.merge_threshold < 1.0;
        let mut open = [Numbered::default(); TOGETHER];
        let mut count = 0;
        for pair in pairs {
            let (a, b) = self.check(pair)?;
            self.pairs += 1;
            self.last_score = pair.score;
            let is_complete = self.complete.contains(a as usize) | self.complete.contains(b as usize);
            open[count] = Numbered { a, b, score: pair.score };
            count += usize::from(!is_complete | are_all_kept);
        }
        open[..count].iter().for_each(|&pair| self.take(pair));
        Ok(())
    }

    fn take(&mut self, Numbered { a, b, score }: Numbered) {
        if self.candidates.is_some() {
            self.keep_score(a, b, score);
        }
        let (a, b) = (self.group(a), self.group(b));
        if a != b {
            self.count_edge(a, b);
        }
    }

    /// Pairs taken so far.
    pub fn pairs(&self) -> u64 {
        self.pairs
    }

    /// Pairs whose scores are kept at the moment.
    pub fn scores_kept(&self) -> usize {
        self.candidates.as_ref().map_or(0, Candidates::len)
    }

    /// The groups, and the scores of all pairs within them that were taken; none unless [`GreedySolver::keep_scores`] was
    /// called.
    pub fn finish_with_scores(mut self) -> (Groups, ScoresWithin) {
        let candidates = self.candidates.take();
        let groups = self.finish();
        let scores = candidates.map(|candidates| candidates.within(&groups.first_members()));
        (groups, scores.unwrap_or_default())
    }

    /// The groups.
    pub fn finish(self) -> Groups {
        let next = self.places.iter().map(|place| place.next).collect();
        Groups { records: self.records, next, len: self.groups }
    }

    /// The numbers of a pair's records.
    fn check(&self, pair: &Pair) -> Result<(u32, u32), Error> {
        let position = self.pairs;
        let number = |dataset, record| {
            self.records.number(dataset, record).ok_or_else(|| {
                let what = format!("there is no record {record} in data set {dataset}");
                Error::Pair { position, what }
            })
        };
        let (dataset0, dataset1) = (pair.dataset0, pair.dataset1);
        if (dataset0, pair.record0) == (dataset1, pair.record1) {
            let what = format!("it is of record {} in data set {dataset0} and itself", pair.record0);
            return Err(Error::Pair { position, what });
        }
        if dataset0 == dataset1 && self.parties > 1 {
            let what = format!("both of its records are of data set {dataset0}");
            return Err(Error::Pair { position, what });
        }
        if pair.score.is_nan() || pair.score > self.last_score {
            return Err(Error::Unsorted { position });
        }
        Ok((number(dataset0, pair.record0)?, number(dataset1, pair.record1)?))
    }

    /// Keeps the score of a pair of records that are in one group, or may come to be.
    fn keep_score(&mut self, a: u32, b: u32, score: f64) {
        if !self.may_be_together(a, b) {
            return;
        }
        let Some(mut candidates) = self.candidates.take() else { return };
        if candidates.are_many() {
            candidates.prune(|a, b| self.may_be_together(a, b));
        }
        candidates.push(a, b, score);
        self.candidates = Some(candidates);
    }

    /// Whether two records are in one group, or may come to be.
    fn may_be_together(&self, a: u32, b: u32) -> bool {
        let (a, b) = (self.group(a), self.group(b));
        a == b || self.may_merge(a, b)
    }

    /// One more pair was seen between two different groups.
    fn count_edge(&mut self, a: u32, b: u32) {
        let (size_a, size_b) = (self.size(a), self.size(b));
        if size_a == 1 && size_b == 1 {
            self.groups += 1;
            return self.merge(a, b);
        }
        if !self.may_merge(a, b) {
            return;
        }
        // anonlink multiplies in this order, which decides on the last bit.
        if f64::from(self.edges.get(a, b)) + 1.0 < self.merge_threshold * size_a as f64 * size_b as f64 {
            return self.edges.add(a, b, 1);
        }
        self.groups -= u64::from(size_a > 1 && size_b > 1);
        self.merge(a, b);
    }

    /// Merges the smaller one into the larger.
    fn merge(&mut self, a: u32, b: u32) {
        let (a, b) = if self.size(a) < self.size(b) { (b, a) } else { (a, b) };
        let size = self.size(a) + self.size(b);
        let of_b = self.edges.take(b);
        // Groups that may share a party keep all of its edges.
        let of_a = if self.one_to_one { self.edges.take(a) } else { HashMap::default() };
        let mut member = b;
        loop {
            let place = &mut self.places[member as usize];
            place.group = a;
            member = place.next;
            if member == b {
                break;
            }
        }
        // Swapping the successors of two rings makes one of them.
        let (after_a, after_b) = (self.next(a), self.next(b));
        (self.places[a as usize].next, self.places[b as usize].next) = (after_b, after_a);
        self.sizes.remove(&b);
        if size > 2 {
            self.sizes.insert(a, size);
        }
        if self.one_to_one && size == self.parties {
            let mut member = a;
            for _ in 0..size {
                self.complete.insert(member as usize);
                member = self.next(member);
            }
        }
        for (other, count) in of_a.into_iter().chain(of_b) {
            // Edges to a group that shares a party with the merged one are of no more use.
            if other != a && other != b && self.may_merge(a, other) {
                self.edges.add(a, other, count);
            }
        }
    }

    /// The group of a record.
    fn group(&self, number: u32) -> u32 {
        self.places[number as usize].group
    }

    /// The record after this one in the ring of its group.
    fn next(&self, number: u32) -> u32 {
        self.places[number as usize].next
    }

    /// How many records a group has.
    fn size(&self, group: u32) -> usize {
        let is_alone = self.next(group) == group;
        if is_alone { 1 } else { self.sizes.get(&group).copied().unwrap_or(2) }
    }

    /// Whether two groups may merge once enough pairs between them have come.
    fn may_merge(&self, a: u32, b: u32) -> bool {
        !self.one_to_one || (self.size(a) + self.size(b) <= self.parties && !self.share_party(a, b))
    }

    /// The records of a group.
    fn members(&self, group: u32) -> impl Iterator<Item = u32> + '_ {
        let mut upcoming = Some(group);
        std::iter::from_fn(move || {
            let member = upcoming?;
            upcoming = Some(self.next(member)).filter(|&next| next != group);
            Some(member)
        })
    }

    /// Whether two groups hold records of the same party.
    fn share_party(&self, a: u32, b: u32) -> bool {
        let dataset = |member| self.records.dataset(member);
        self.members(a).any(|x| self.members(b).any(|y| dataset(x) == dataset(y)))
    }
}

#[cfg(test)]
mod tests;
