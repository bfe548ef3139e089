//! Cuts the comparisons between data sets into shards, the same on every machine.
//!
//! All comparisons are lined up: the pairs of data sets in order, within each the lines of its longer side.
//! Shard i of n takes the i-th n-th part of that row, cut at whole lines, so that it is a few rectangles.

use std::ops::Range;

use super::Error;

/// One of several equal parts of a linkage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: u32,
    shards: u32,
}

impl Shard {
    /// All of the work in one part.
    pub const WHOLE: Self = Self { index: 0, shards: 1 };

    /// Part `index`, counted from 0, of `shards`.
    pub fn new(index: u32, shards: u32) -> Result<Self, Error> {
        if index < shards { Ok(Self { index, shards }) } else { Err(Error::Shard { index, shards }) }
    }

    /// The part of `total` comparisons in a row that falls to this shard.
    pub(super) fn bounds(self, total: u128) -> Range<u128> {
        // Not total * index / shards, which could overflow.
        let (share, rest) = (total / u128::from(self.shards), total % u128::from(self.shards));
        let bound =
            |index: u32| share * u128::from(index) + rest * u128::from(index) / u128::from(self.shards);
        bound(self.index)..bound(self.index + 1)
    }
}

/// Some records of one data set, to be compared with some of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rectangle {
    /// The first data set.
    pub dataset0: u32,
    /// Records of the first data set.
    pub records0: Range<u32>,
    /// The second data set, above the first.
    pub dataset1: u32,
    /// Records of the second data set.
    pub records1: Range<u32>,
}

impl Rectangle {
    /// How many comparisons these are.
    pub fn comparisons(&self) -> u128 {
        self.records0.len() as u128 * self.records1.len() as u128
    }
}

/// Comparisons between the records of different data sets, by their numbers of records.
pub fn total(records: &[u32]) -> u128 {
    dataset_pairs(records.len()).map(|(i, j)| area(records[i], records[j])).sum()
}

/// What one shard compares. Over all shards every pair of records of different data sets is compared once.
///
/// ```
/// use linkage_engine::work::{Rectangle, Shard, slice};
/// let half = slice(&[10, 100], Shard::new(1, 2).unwrap());
/// assert_eq!(half, [Rectangle { dataset0: 0, records0: 0..10, dataset1: 1, records1: 50..100 }]);
/// ```
pub fn slice(records: &[u32], shard: Shard) -> Vec<Rectangle> {
    let bounds = shard.bounds(total(records));
    let mut offset = 0;
    let mut rectangles = Vec::new();
    for (i, j) in dataset_pairs(records.len()) {
        if let Some((records0, records1)) = cut(records[i], records[j], offset, &bounds) {
            rectangles.push(Rectangle { dataset0: i as u32, records0, dataset1: j as u32, records1 });
        }
        offset += area(records[i], records[j]);
    }
    rectangles
}

/// All (i, j) with i < j < count.
pub(super) fn dataset_pairs(count: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..count).flat_map(move |i| (i + 1..count).map(move |j| (i, j)))
}

pub(super) fn area(rows: u32, columns: u32) -> u128 {
    u128::from(rows) * u128::from(columns)
}

/// The rows and columns of a rectangle that lie within `bounds`, when its comparisons start at `offset`.
///
/// It is cut across its longer side, at whole lines; a bound within a line belongs to the nearer end. Two shards
/// that share a bound cut at the same line.
pub(super) fn cut(
    rows: u32,
    columns: u32,
    offset: u128,
    bounds: &Range<u128>,
) -> Option<(Range<u32>, Range<u32>)> {
    let (long, short) = (rows.max(columns), rows.min(columns));
    let line = |bound: u128| {
        let inside = bound.saturating_sub(offset).min(area(rows, columns));
        // Divides by at least 1, and is at most `long`.
        ((inside + u128::from(short / 2)) / u128::from(short.max(1))).min(long.into()) as u32
    };
    let lines = line(bounds.start)..line(bounds.end);
    let part = if rows >= columns { (lines, 0..columns) } else { (0..rows, lines) };
    (!part.0.is_empty() && !part.1.is_empty()).then_some(part)
}

#[cfg(test)]
mod tests;
