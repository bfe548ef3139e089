mod builder;
mod interner;
mod membership;

use std::ops::Range;

pub use builder::BlocksBuilder;
pub(super) use membership::{Membership, SharedBefore, first_shared_is};

use super::Shard;
use super::work::{comparisons, cut, dataset_pairs};

/// Which records are in which blocks: two records of different data sets, or of the only one, are compared when they
/// share one.
///
/// Made by a [`BlocksBuilder`]. Only blocks with records to compare are kept. Blocks are numbered in
/// the order of their first records, so that what is compared one after the other is read from near one another where
/// that is possible; not in the order in which the entries came, as all shards must number them alike. Takes about
/// 8 bytes an entry, 4 a record, and 8 a block and data set.
#[derive(Clone, Debug)]
pub struct Blocks {
    /// For each data set, its records by block.
    datasets: Vec<Membership>,
    /// How many blocks there are.
    blocks: u32,
    /// The sum of all products.
    comparisons: u128,
}

/// Some records of one data set in a block, to be compared with some of another data set; or of the same one, with
/// later ones or with themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    pub block: u32,
    pub dataset0: usize,
    /// Places among the block's records in data set 0.
    pub places0: Range<u32>,
    pub dataset1: usize,
    /// Places among the block's records in data set 1.
    pub places1: Range<u32>,
}

impl Unit {
    /// Comparisons within the unit, those that other blocks have already made included.
    pub(super) fn comparisons(&self) -> u128 {
        comparisons(self.is_triangle(), self.places0.len() as u32, self.places1.len() as u32)
    }

    /// Whether records are compared with themselves: each pair of them once.
    pub(super) fn is_triangle(&self) -> bool {
        self.dataset0 == self.dataset1 && self.places0 == self.places1
    }
}

impl Blocks {
    fn new(datasets: Vec<Membership>, blocks: u32) -> Self {
        let mut made = Self { datasets, blocks, comparisons: 0 };
        made.comparisons =
            made.products().map(|(_, i, j, rows, columns)| comparisons(i == j, rows, columns)).sum();
        made
    }

    /// How many blocks have records to compare: of two data sets or more, or two of the only data set.
    pub fn len(&self) -> u32 {
        self.blocks
    }

    /// Whether no two records share a block.
    pub fn is_empty(&self) -> bool {
        self.blocks == 0
    }

    /// Records of each data set.
    pub fn records(&self) -> Vec<u32> {
        self.datasets.iter().map(Membership::records).collect()
    }

    /// Comparisons within all blocks: the sum over the blocks of the products of their records in each two data
    /// sets, or of the pairs of their records in the only one. Pairs that share several blocks count several times.
    pub fn comparisons(&self) -> u128 {
        self.comparisons
    }

    /// The records of another data set that are compared with this one, each once, however many blocks they share: in no
    /// order. Of the same data set, the record itself is among them. Panics if there is no such data set or record.
    pub fn candidates(&self, dataset: usize, record: u32, other: usize) -> impl Iterator<Item = u32> + '_ {
        let (blocks, others) = (self.datasets[dataset].blocks(record), &self.datasets[other]);
        blocks.iter().flat_map(move |&block| {
            let members = others.members(block).iter().copied();
            members.filter(move |&member| first_shared_is(block, blocks, others.blocks(member)))
        })
    }

    pub(super) fn dataset(&self, dataset: usize) -> &Membership {
        &self.datasets[dataset]
    }

    /// What one shard compares, a block and two data sets at a time. Huge blocks are cut, as [`super::work::slice`]
    /// cuts data sets.
    pub(super) fn units(&self, shard: Shard) -> impl Iterator<Item = Unit> + '_ {
        let bounds = shard.bounds(self.comparisons);
        let mut offset = 0;
        self.products().flat_map(move |(block, dataset0, dataset1, rows, columns)| {
            let start = offset;
            let same = dataset0 == dataset1;
            offset += comparisons(same, rows, columns);
            // nearly all blocks are small, and within the bounds: no division for those
            let whole = bounds.start <= start && offset <= bounds.end && start < offset;
            let parts = (!whole).then(|| cut(same, rows, columns, start, &bounds));
            let parts = whole.then_some((0..rows, 0..columns)).into_iter().chain(parts.into_iter().flatten());
            parts.map(move |(places0, places1)| Unit { block, dataset0, places0, dataset1, places1 })
        })
    }

    /// For each block and two data sets: their records in it.
    fn products(&self) -> impl Iterator<Item = (u32, usize, usize, u32, u32)> + '_ {
        let pairs: Vec<_> = dataset_pairs(self.datasets.len()).collect();
        let (mut block, mut pair) = (0, 0);
        std::iter::from_fn(move || {
            if block == self.blocks {
                return None;
            }
            let (i, j) = pairs[pair];
            let members = |dataset: usize| self.datasets[dataset].members(block).len() as u32;
            let product = (block, i, j, members(i), members(j));
            pair += 1;
            if pair == pairs.len() {
                (block, pair) = (block + 1, 0);
            }
            Some(product)
        })
    }
}

#[cfg(test)]
mod tests;
