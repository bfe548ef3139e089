use super::{Groups, Member};
use crate::pairs::Pair;

/// Unlikely pairs are looked for at first when there are so many, and then whenever the others have doubled.
const FIRST_PRUNING: usize = 64;

/// Two records, by their numbers, and how similar they are.
#[derive(Clone, Copy, Debug)]
struct Scored {
    a: u32,
    b: u32,
    score: f64,
}

/// The pairs that are within a group, or may come to be while groups are formed. 16 bytes each.
#[derive(Debug)]
pub(super) struct Candidates {
    pairs: Vec<Scored>,
    prune_at: usize,
}

impl Candidates {
    pub(super) fn new() -> Self {
        Self { pairs: Vec::new(), prune_at: FIRST_PRUNING }
    }

    pub(super) fn len(&self) -> usize {
        self.pairs.len()
    }

    pub(super) fn push(&mut self, a: u32, b: u32, score: f64) {
        self.pairs.push(Scored { a: a.min(b), b: a.max(b), score });
    }

    /// Whether it is time for [`Candidates::prune`].
    pub(super) fn are_many(&self) -> bool {
        self.pairs.len() >= self.prune_at
    }

    /// Forgets the pairs that can never be within a group any more.
    pub(super) fn prune(&mut self, may_be: impl Fn(u32, u32) -> bool) {
        self.pairs.retain(|pair| may_be(pair.a, pair.b));
        self.prune_at = FIRST_PRUNING.max(2 * self.pairs.len());
    }

    /// Those that are within a group in the end: whose records have the same first member of their group.
    pub(super) fn within(mut self, first: &[u32]) -> ScoresWithin {
        let group = |number: u32| first[number as usize];
        self.pairs.retain(|pair| group(pair.a) == group(pair.b));
        self.pairs.sort_unstable_by_key(|pair| (group(pair.a), pair.a, pair.b));
        ScoresWithin { pairs: self.pairs }
    }
}

/// The scores of the pairs within groups: of all those that were taken.
///
/// Made by [`GreedySolver::finish_with_scores`](super::GreedySolver::finish_with_scores), for the groups that come with it.
#[derive(Clone, Debug, Default)]
pub struct ScoresWithin {
    /// By the first member of their group, then by their records.
    pairs: Vec<Scored>,
}

/// A group, and the scores of the pairs within it.
#[derive(Clone, Debug)]
pub struct ScoredGroup<'s> {
    /// Sorted by data set, then by record.
    pub members: Vec<Member>,
    /// The same, as numbers.
    numbers: Vec<u32>,
    pairs: &'s [Scored],
}

impl ScoredGroup<'_> {
    /// For each pair within the group the positions of its members, the lower one first, and its score; by position.
    pub fn scores(&self) -> impl Iterator<Item = (usize, usize, f64)> + '_ {
        self.pairs.iter().map(|pair| (self.position(pair.a), self.position(pair.b), pair.score))
    }

    /// For each member its highest similarity to another one. No member is without: it was a pair that made it one.
    pub fn highest_scores(&self) -> Vec<f64> {
        let mut highest = vec![0.0; self.members.len()];
        for (a, b, score) in self.scores() {
            for member in [a, b] {
                highest[member] = score.max(highest[member]);
            }
        }
        highest
    }

    fn position(&self, number: u32) -> usize {
        self.numbers.partition_point(|&member| member < number)
    }
}

impl Groups {
    /// The scores of those pairs that are within a group.
    ///
    /// # Errors
    /// The first of the pairs'.
    pub fn scores_within<E>(&self, pairs: impl Iterator<Item = Result<Pair, E>>) -> Result<ScoresWithin, E> {
        let first = self.first_members();
        let mut candidates = Candidates::new();
        for pair in pairs {
            let Pair { score, dataset0, dataset1, record0, record1 } = pair?;
            let numbers = self.records.number(dataset0, record0).zip(self.records.number(dataset1, record1));
            if let Some((a, b)) = numbers.filter(|&(a, b)| first[a as usize] == first[b as usize]) {
                candidates.push(a, b, score);
            }
        }
        Ok(candidates.within(&first))
    }

    /// The groups in the order of [`Groups::iter`], with the scores that came with them.
    pub fn with_scores<'s>(&'s self, scores: &'s ScoresWithin) -> impl Iterator<Item = ScoredGroup<'s>> + 's {
        let mut left = &scores.pairs[..];
        self.numbers().map(move |numbers| {
            let is_within = |pair: &Scored| numbers.binary_search(&pair.a).is_ok();
            let (pairs, others) = left.split_at(left.iter().take_while(|pair| is_within(pair)).count());
            left = others;
            ScoredGroup { members: self.members(&numbers), numbers, pairs }
        })
    }
}
