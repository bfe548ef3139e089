//! Cuts the comparisons between data sets, or within one, into shards, the same on every machine.
//!
//! All comparisons are lined up: the pairs of data sets in order, within each the lines of its longer side.
//! Shard i of n takes the i-th n-th part of that row, cut at whole lines, so that it is a few rectangles.
//!
//! One data set alone is compared with itself. Line j is then record j against those before it, so that all lines make
//! a triangle, and a shard is a rectangle and a smaller triangle below it.

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

/// Some records of one data set, to be compared with some of another, or with some of the same.
///
/// Of the same data set, the records are either all before the others, or the very same: then they make a triangle,
/// each pair of records once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rectangle {
    /// The first data set.
    pub dataset0: u32,
    /// Records of the first data set.
    pub records0: Range<u32>,
    /// The second data set, above the first; or the first.
    pub dataset1: u32,
    /// Records of the second data set.
    pub records1: Range<u32>,
}

impl Rectangle {
    /// How many comparisons these are.
    pub fn comparisons(&self) -> u128 {
        let (rows, columns) = (self.records0.len() as u32, self.records1.len() as u32);
        if self.is_triangle() { triangle(rows) } else { area(rows, columns) }
    }

    /// Whether records are compared with themselves.
    pub(super) fn is_triangle(&self) -> bool {
        self.dataset0 == self.dataset1 && self.records0 == self.records1
    }
}

/// Comparisons between the records of different data sets, or within a single one, by their numbers of records.
pub fn total(records: &[u32]) -> u128 {
    dataset_pairs(records.len()).map(|(i, j)| comparisons(i == j, records[i], records[j])).sum()
}

/// What one shard compares. Over all shards every pair of records of different data sets, or of the only data set, is
/// compared once.
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
        for (records0, records1) in cut(i == j, records[i], records[j], offset, &bounds) {
            rectangles.push(Rectangle { dataset0: i as u32, records0, dataset1: j as u32, records1 });
        }
        offset += comparisons(i == j, records[i], records[j]);
    }
    rectangles
}

/// All (i, j) with i < j < count; of a single data set (0, 0), as that is compared with itself.
pub(super) fn dataset_pairs(count: usize) -> impl Iterator<Item = (usize, usize)> {
    let least_difference = usize::from(count > 1);
    (0..count).flat_map(move |i| (i + least_difference..count).map(move |j| (i, j)))
}

/// Comparisons of rows with columns, or of the rows with themselves.
pub(super) fn comparisons(within: bool, rows: u32, columns: u32) -> u128 {
    if within { triangle(rows) } else { area(rows, columns) }
}

fn area(rows: u32, columns: u32) -> u128 {
    u128::from(rows) * u128::from(columns)
}

/// Pairs of so many records.
fn triangle(records: u32) -> u128 {
    area(records, records.saturating_sub(1)) / 2
}

/// What lies within `bounds` of a rectangle, or of the rows with themselves, when its comparisons start at `offset`.
pub(super) fn cut(
    within: bool,
    rows: u32,
    columns: u32,
    offset: u128,
    bounds: &Range<u128>,
) -> impl Iterator<Item = (Range<u32>, Range<u32>)> + use<> {
    let [first, second] = match within {
        false => [cut_rectangle(rows, columns, offset, bounds), None],
        true => cut_triangle(rows, offset, bounds),
    };
    first.into_iter().chain(second)
}

/// The rows and columns of a rectangle that lie within `bounds`, when its comparisons start at `offset`.
///
/// It is cut across its longer side, at whole lines; a bound within a line belongs to the nearer end. Two shards
/// that share a bound cut at the same line.
fn cut_rectangle(
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

/// The same of a triangle: the records of some lines against all before those lines, and against themselves.
fn cut_triangle(records: u32, offset: u128, bounds: &Range<u128>) -> [Option<(Range<u32>, Range<u32>)>; 2] {
    let line = |bound: u128| {
        let inside = bound.saturating_sub(offset).min(triangle(records));
        if inside == 0 || inside == triangle(records) {
            return if inside == 0 { 0 } else { records }; // at once, as almost every block lies in one shard
        }
        // the last line that starts at or before it, and how far that is into the line, which is as long as its number
        let line = (1 + 8 * inside).isqrt().div_ceil(2);
        let into = inside - line * (line - 1) / 2;
        (line + u128::from(into > line / 2)) as u32
    };
    let (start, end) = (line(bounds.start), line(bounds.end));
    let before = (0 < start && start < end).then_some((0..start, start..end));
    let among = (start + 1 < end).then_some((start..end, start..end));
    [before, among]
}

#[cfg(test)]
mod tests;
