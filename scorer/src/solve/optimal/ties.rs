//! Of several matchings with the greatest sum, the one with the earliest pairs.
//!
//! By the prices that prove a matching the greatest, all others of the same sum can be told, too: their pairs are among
//! those whose prices come to just their weight, and a record whose price is not zero has a partner in all of them. One
//! is turned into another by left records that pass their partners on in a circle. Circles may lead through
//! [`NOBODY`], which takes the partner of a record that can do without one, and gives those away that nobody has.

use super::matching::{Edge, Graph, Matching, NONE};
use super::weight::Weight;

/// What stands for those without a partner, in a path of left records.
const NOBODY: u32 = u32::MAX - 1;

/// Which pairs are settled, and which circles are not to be found.
struct Ties<'a> {
    graph: &'a Graph,
    matching: &'a mut Matching,
    /// Left records whose partner is settled.
    settled: Vec<bool>,
    /// Left records, and nobody as the last one, in classes: no circle leads through two of them.
    class: Vec<u32>,
    classes: u32,
}

/// How a search has come to a left record, or to nobody: who takes which right record.
#[derive(Clone, Copy)]
struct Step {
    taker: u32,
    right: u32,
}

impl Graph {
    /// Turns one of the greatest matchings into the one with the earliest pairs.
    pub(super) fn prefer_earlier_pairs(&self, matching: &mut Matching) {
        let lefts = matching.right_of.len();
        let (settled, class) = (vec![false; lefts], vec![0; lefts + 1]);
        let mut ties = Ties { graph: self, matching, settled, class, classes: 1 };
        for &(left, at) in &self.order {
            ties.settle(left, &self.edges[at as usize]);
        }
    }
}

impl Ties<'_> {
    /// Matches this pair, if there is a matching with it and with all that is settled.
    fn settle(&mut self, left: u32, edge: &Edge) {
        let owner = self.matching.left_of[edge.right as usize];
        let is_taken = owner != NONE && self.settled[owner as usize];
        if self.settled[left as usize] || is_taken || self.matching.slack(left, edge) != Weight::ZERO {
            return;
        }
        // in a circle, who has the right record goes on where the left one's partner is to be had
        let start = if owner == NONE { NOBODY } else { owner };
        if owner != left && (self.class(start) != self.class(left) || !self.pass_on(start, left, edge.right))
        {
            return;
        }
        self.settled[left as usize] = true;
    }

    fn class(&self, node: u32) -> u32 {
        self.class[self.place(node)]
    }

    fn place(&self, node: u32) -> usize {
        if node == NOBODY { self.settled.len() } else { node as usize }
    }

    /// Has `start` take another partner, and so on, until that of `end` is taken, which gets the right record; false if
    /// there is no such circle. Then those who were found are a class of their own, as no path leads out of it: at most
    /// as many searches fail as there are records.
    fn pass_on(&mut self, start: u32, end: u32, right: u32) -> bool {
        let mut steps: Vec<Option<Step>> = vec![None; self.class.len()];
        let mut found = vec![start];
        steps[self.place(start)] = Some(Step { taker: NONE, right: NONE });
        let mut next = 0;
        while next < found.len() {
            let node = found[next];
            next += 1;
            self.each_step(node, |to, right| {
                let place = self.place(to);
                if steps[place].is_none() && self.class[place] == self.class(start) {
                    steps[place] = Some(Step { taker: node, right });
                    found.push(to);
                }
            });
            if steps[end as usize].is_some() {
                self.change(&steps, end, right);
                return true;
            }
        }
        for node in found {
            let place = self.place(node);
            self.class[place] = self.classes;
        }
        self.classes += 1;
        false
    }

    /// Whose partner this one could take, and which that is.
    fn each_step(&self, node: u32, mut step: impl FnMut(u32, u32)) {
        let matching = &*self.matching;
        let is_free = |price: Weight| price == Weight::ZERO;
        if node == NOBODY {
            for left in (0..self.settled.len() as u32).filter(|&left| !self.settled[left as usize]) {
                let right = matching.right_of[left as usize];
                if right == NONE || is_free(matching.right_prices[right as usize]) {
                    step(left, right);
                }
            }
            return;
        }
        if is_free(matching.left_prices[node as usize]) && matching.right_of[node as usize] != NONE {
            step(NOBODY, NONE);
        }
        for edge in self.graph.edges_of(node).iter().filter(|edge| is_free(matching.slack(node, edge))) {
            match matching.left_of[edge.right as usize] {
                NONE => step(NOBODY, edge.right),
                owner if owner != node && !self.settled[owner as usize] => step(owner, edge.right),
                _ => {}
            }
        }
    }

    /// Everybody along the path to `end` takes what was found, and `end` this right record.
    fn change(&mut self, steps: &[Option<Step>], end: u32, right: u32) {
        let (mut node, mut gets) = (end, right);
        loop {
            let step = steps[self.place(node)];
            if node != NOBODY {
                self.matching.right_of[node as usize] = gets;
            }
            if gets != NONE {
                self.matching.left_of[gets as usize] = if node == NOBODY { NONE } else { node };
            }
            match step {
                Some(Step { taker, right }) if taker != NONE => (node, gets) = (taker, right),
                _ => break,
            }
        }
    }
}
