use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Held;
use super::weight::Weight;

/// No record.
pub(super) const NONE: u32 = u32::MAX;

/// A component's pairs as a bipartite graph. Records are numbered by themselves on either side; the left side is the
/// one with fewer, whichever party that is.
pub(super) struct Graph {
    /// Records on the left, ascending.
    lefts: Vec<u32>,
    /// Records on the right, ascending.
    rights: Vec<u32>,
    /// The pairs in their order: left, and where among `edges`.
    pub(super) order: Vec<(u32, u32)>,
    /// Where each left record's edges begin, and where the last one's end.
    starts: Vec<u32>,
    /// By left record; of each in the order of the pairs.
    pub(super) edges: Vec<Edge>,
    is_swapped: bool,
}

#[derive(Clone, Copy, Default)]
pub(super) struct Edge {
    pub right: u32,
    pub weight: Weight,
}

/// A matching, and prices that prove it the greatest.
///
/// Prices are never below zero. Those of the two records of a pair come to its weight at least, and to exactly that if
/// the pair is matched; a record without a partner has the price zero. So no matching's sum is above the sum of all
/// prices, and this one's is just that.
pub(super) struct Matching {
    /// For each left record its partner, or [`NONE`].
    pub right_of: Vec<u32>,
    /// For each right record its partner, or [`NONE`].
    pub left_of: Vec<u32>,
    pub left_prices: Vec<Weight>,
    pub right_prices: Vec<Weight>,
}

impl Graph {
    /// The graph of at least one pair.
    pub(super) fn new(pairs: &[Held]) -> Self {
        let side = |of: fn(&Held) -> u32| {
            let mut records: Vec<u32> = pairs.iter().map(of).collect();
            records.sort_unstable();
            records.dedup();
            records
        };
        let (firsts, seconds) = (side(|pair| pair.a), side(|pair| pair.b));
        let is_swapped = seconds.len() < firsts.len();
        let (lefts, rights) = if is_swapped { (seconds, firsts) } else { (firsts, seconds) };
        let place = |records: &[u32], record| records.partition_point(|&other| other < record) as u32;
        let ends = |pair: &Held| {
            let (left, right) = if is_swapped { (pair.b, pair.a) } else { (pair.a, pair.b) };
            (place(&lefts, left), place(&rights, right))
        };
        let mut starts = vec![0; lefts.len() + 1];
        pairs.iter().for_each(|pair| starts[ends(pair).0 as usize + 1] += 1);
        for left in 0..lefts.len() {
            starts[left + 1] += starts[left];
        }
        let mut next = starts.clone();
        let mut edges = vec![Edge::default(); pairs.len()];
        let mut order = Vec::with_capacity(pairs.len());
        for pair in pairs {
            let (left, right) = ends(pair);
            let at = next[left as usize];
            next[left as usize] += 1;
            // scores were checked before
            edges[at as usize] = Edge { right, weight: Weight::of_score(pair.score).unwrap_or_default() };
            order.push((left, at));
        }
        Self { lefts, rights, order, starts, edges, is_swapped }
    }

    /// The pairs of the greatest matching, of several the one with the earliest pairs: the first party's record first.
    pub(super) fn greatest_matching(&self) -> Vec<(u32, u32)> {
        let mut matching = self.solve();
        self.prefer_earlier_pairs(&mut matching);
        let matched = self.lefts.iter().zip(&matching.right_of).filter(|&(_, &right)| right != NONE);
        let pairs = matched.map(|(&left, &right)| (left, self.rights[right as usize]));
        pairs.map(|(left, right)| if self.is_swapped { (right, left) } else { (left, right) }).collect()
    }

    /// A left record's edges.
    pub(super) fn edges_of(&self, left: u32) -> &[Edge] {
        &self.edges[self.starts[left as usize] as usize..self.starts[left as usize + 1] as usize]
    }

    /// One of the greatest matchings, by the Hungarian method: each left record that has no partner yet changes those
    /// of others along the path that costs least.
    pub(super) fn solve(&self) -> Matching {
        let mut matching = self.first_prices();
        let mut search = Search::new(self.lefts.len());
        for left in 0..self.lefts.len() as u32 {
            if matching.right_of[left as usize] == NONE {
                search.change_partners(self, &mut matching, left);
            }
        }
        matching
    }

    /// Left records are worth what their best pair is, and get its right record where nobody has it yet.
    fn first_prices(&self) -> Matching {
        let best = |left| self.edges_of(left).iter().map(|edge| edge.weight).max().unwrap_or_default();
        let mut matching = Matching {
            right_of: vec![NONE; self.lefts.len()],
            left_of: vec![NONE; self.rights.len()],
            left_prices: (0..self.lefts.len() as u32).map(best).collect(),
            right_prices: vec![Weight::ZERO; self.rights.len()],
        };
        for &(left, at) in &self.order {
            let Edge { right, weight } = self.edges[at as usize];
            let are_alone =
                (matching.right_of[left as usize], matching.left_of[right as usize]) == (NONE, NONE);
            if are_alone && weight == matching.left_prices[left as usize] {
                matching.join(left, right);
            }
        }
        matching
    }
}

impl Matching {
    pub(super) fn join(&mut self, left: u32, right: u32) {
        self.right_of[left as usize] = right;
        self.left_of[right as usize] = left;
    }

    /// By how much the prices of a pair exceed its weight.
    pub(super) fn slack(&self, left: u32, edge: &Edge) -> Weight {
        self.left_prices[left as usize] + self.right_prices[edge.right as usize] - edge.weight
    }
}

/// A path that begins with a left record without a partner: each record takes the partner of the next.
struct Search {
    /// What it costs until a left record has to give its partner away; none if no path is known.
    costs: Vec<Option<Weight>>,
    /// The left record that takes that partner.
    takers: Vec<u32>,
    /// Those with known costs.
    reached: Vec<u32>,
    nearest: BinaryHeap<Reverse<(Weight, u32)>>,
}

/// How a path ends: a left record gets a right one that nobody has, or stays without.
struct End {
    cost: Weight,
    left: u32,
    right: u32,
}

impl Search {
    fn new(lefts: usize) -> Self {
        Self {
            costs: vec![None; lefts],
            takers: vec![NONE; lefts],
            reached: Vec::new(),
            nearest: BinaryHeap::new(),
        }
    }

    fn change_partners(&mut self, graph: &Graph, matching: &mut Matching, start: u32) {
        let end = self.cheapest_end(graph, matching, start);
        self.change_prices(matching, &end);
        let (mut left, mut right) = (end.left, end.right);
        loop {
            let given_away = std::mem::replace(&mut matching.right_of[left as usize], right);
            if right != NONE {
                matching.left_of[right as usize] = left;
            }
            if left == start {
                break;
            }
            (left, right) = (self.takers[left as usize], given_away);
        }
        for left in self.reached.drain(..) {
            self.costs[left as usize] = None;
        }
        self.nearest.clear();
    }

    /// Dijkstra's algorithm, where a step costs what the prices of a pair exceed its weight.
    fn cheapest_end(&mut self, graph: &Graph, matching: &Matching, start: u32) -> End {
        let mut end = End { cost: matching.left_prices[start as usize], left: start, right: NONE };
        self.reach(start, Weight::ZERO, NONE);
        while let Some(Reverse((cost, left))) = self.nearest.pop() {
            if cost >= end.cost {
                break;
            }
            if self.costs[left as usize] != Some(cost) {
                continue;
            }
            let without = cost + matching.left_prices[left as usize];
            if without < end.cost {
                end = End { cost: without, left, right: NONE };
            }
            for edge in graph.edges_of(left) {
                let next = cost + matching.slack(left, edge);
                if next >= end.cost {
                    continue;
                }
                match matching.left_of[edge.right as usize] {
                    NONE => end = End { cost: next, left, right: edge.right },
                    owner if owner != left => self.reach(owner, next, left),
                    _ => {}
                }
            }
        }
        end
    }

    fn reach(&mut self, left: u32, cost: Weight, taker: u32) {
        match self.costs[left as usize] {
            Some(known) if known <= cost => return,
            Some(_) => {}
            None => self.reached.push(left),
        }
        (self.costs[left as usize], self.takers[left as usize]) = (Some(cost), taker);
        self.nearest.push(Reverse((cost, left)));
    }

    /// So that the pairs along the path cost nothing any more, and none is below its weight.
    fn change_prices(&self, matching: &mut Matching, end: &End) {
        for &left in &self.reached {
            let Some(cost) = self.costs[left as usize].filter(|&cost| cost < end.cost) else { continue };
            let change = end.cost - cost;
            matching.left_prices[left as usize] -= change;
            let right = matching.right_of[left as usize];
            if right != NONE {
                matching.right_prices[right as usize] += change;
            }
        }
    }
}
