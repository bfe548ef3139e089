//! Compares the records of two leaves, but for pairs whose segment counts differ too much: see [`crate::prune`].
//!
//! Written for whatever vectors the compiler may use; compiled for each instruction set.

use super::Hit;
use crate::prune::{BOX_SEGMENTS, Bounds, Counts, LEAF, Leaf, Projected, Ranges};

/// Stands for a width that is only known at run time.
const ANY: usize = 0;

/// For each record of one leaf the records of another one that may match it, a bit each.
pub(super) type Candidates = [u64; LEAF];

/// What is left to be done for candidates.
pub(super) trait Common: Copy {
    /// The number of bits set in both of two encodings.
    fn common(self, a: &[u64], b: &[u64]) -> u32;
}

/// The steps that take most of the time.
pub(super) trait Instructions: Common {
    /// The records of a leaf whose counts are near enough to the range of another one's, a bit each.
    ///
    /// What is left of the slacks, less the distance, is at least 0 for those, and at most the sum of the greatest
    /// slacks. All is done modulo 256: a record that is further away may look near, but none that is near looks far.
    fn near(self, leaf: &Leaf<'_>, other: &Leaf<'_>) -> u64;

    /// Fills in the candidates of some columns, those whose bit is set, among some rows. Gives those back that have any.
    /// Of the slacks of no pair more is left than `most`: see [`most_left`].
    fn find(
        self,
        columns: &Counts<'_>,
        among_columns: u64,
        rows: &Counts<'_>,
        among_rows: u64,
        most: u8,
        candidates: &mut Candidates,
    ) -> u64;

    /// Fills in the candidates of some rows among some columns, by projections. Gives those back that have any.
    #[inline(always)]
    fn find_projected(
        self,
        rows: &Projected<'_>,
        among_rows: u64,
        columns: &Projected<'_>,
        among_columns: u64,
        candidates: &mut Candidates,
    ) -> u64 {
        let mut found = 0;
        for row in bits(among_rows) {
            for column in bits(among_columns) {
                let reach = rows.values[row].reach(&columns.values[column]);
                candidates[row] |= u64::from(reach) << column;
            }
            found |= u64::from(candidates[row] != 0) << row;
        }
        found
    }
}

/// Appends the pairs of the leaves at or above the threshold. The cutoffs are those of the sums of bits.
#[inline(always)]
pub(super) fn score_leaves(
    rows: Leaf<'_>,
    columns: Leaf<'_>,
    cutoffs: &[u32],
    by: impl Instructions,
    hits: &mut Vec<Hit>,
) {
    if !(rows.ranges.bounded && columns.ranges.bounded) {
        let all = [of(columns.ones.len()); LEAF];
        return verify(&rows, &columns, of(rows.ones.len()), &all, cutoffs, by, |hit| hits.push(hit));
    }
    let near_rows = by.near(&rows, &columns) & of(rows.ones.len());
    if near_rows == 0 {
        return;
    }
    let near_columns = by.near(&columns, &rows) & of(columns.ones.len());
    if near_columns == 0 {
        return;
    }
    let mut candidates = [0; LEAF];
    let (row_counts, column_counts) = match (&rows.bounds, &columns.bounds) {
        (Bounds::Counts(row_counts), Bounds::Counts(column_counts)) => (row_counts, column_counts),
        (Bounds::Projected(of_rows), Bounds::Projected(of_columns)) => {
            let found = by.find_projected(of_rows, near_rows, of_columns, near_columns, &mut candidates);
            return verify(&rows, &columns, found, &candidates, cutoffs, by, |hit| hits.push(hit));
        }
        _ => unreachable!("all leaves have the same bounds"),
    };
    let most = most_left(&rows, &columns);
    let found = by.find(column_counts, near_columns, row_counts, near_rows, most, &mut candidates);
    verify(&columns, &rows, found, &candidates, cutoffs, by, |Hit { row, column, intersection }| {
        hits.push(Hit { row: column, column: row, intersection });
    });
}

/// What is left of the greatest slack of a leaf before the distances from its ranges are taken off; modulo 256. A
/// distance is `max(count, greatest) − min(count, least) − (greatest − least)`, and this has the last part in it.
#[inline(always)]
pub(super) fn start(ranges: &Ranges) -> u8 {
    let extents = ranges.greatest.iter().zip(&ranges.least).map(|(greatest, least)| greatest - least);
    extents.fold(ranges.greatest_slack, u8::wrapping_add)
}

/// The most that is left of the slacks of any pair, halved: see [`Instructions::near`].
#[inline(always)]
fn most_left(a: &Leaf<'_>, b: &Leaf<'_>) -> u8 {
    // each of the halves may have been rounded up
    (a.ranges.greatest_slack + b.ranges.greatest_slack) / 2 + 1
}

/// By whatever vectors the compiler knows of.
#[derive(Clone, Copy)]
pub(super) struct Plainly;

impl Common for Plainly {
    #[inline(always)]
    fn common(self, a: &[u64], b: &[u64]) -> u32 {
        a.iter().zip(b).map(|(a, b)| (a & b).count_ones()).sum()
    }
}

impl Instructions for Plainly {
    #[inline(always)]
    fn near(self, leaf: &Leaf<'_>, other: &Leaf<'_>) -> u64 {
        let mut left = *leaf.slacks;
        let start = start(other.ranges);
        for left in &mut left {
            *left = left.wrapping_add(start);
        }
        for segment in 0..BOX_SEGMENTS {
            let (least, greatest) = (other.ranges.least[segment], other.ranges.greatest[segment]);
            for (left, &count) in left.iter_mut().zip(&leaf.boxed[segment]) {
                *left = left.wrapping_sub(count.max(greatest) - count.min(least));
            }
        }
        at_most(&left, leaf.ranges.greatest_slack + other.ranges.greatest_slack)
    }

    /// With `|x − y| = 2·max(x, y) − x − y`, the counts' differences are within the slacks when the sum of the greater
    /// counts is at most that of the halves. Modulo 256, as in `near`.
    #[inline(always)]
    fn find(
        self,
        columns: &Counts<'_>,
        among_columns: u64,
        rows: &Counts<'_>,
        among_rows: u64,
        most: u8,
        candidates: &mut Candidates,
    ) -> u64 {
        let mut found = 0;
        for column in bits(among_columns) {
            let mut left = *rows.halves;
            for left in &mut left {
                *left = left.wrapping_add(columns.halves[column]);
            }
            for (rows, column_counts) in rows.by_segment.iter().zip(columns.by_segment) {
                let count = column_counts[column];
                for (left, &row) in left.iter_mut().zip(rows) {
                    *left = left.wrapping_sub(row.max(count));
                }
            }
            candidates[column] = at_most(&left, most) & among_rows;
            found |= u64::from(candidates[column] != 0) << column;
        }
        found
    }
}

/// A bit for each value that is at most so much.
#[inline(always)]
fn at_most(values: &[u8; LEAF], most: u8) -> u64 {
    let mut flags = [0; LEAF];
    for (flag, &value) in flags.iter_mut().zip(values) {
        *flag = u8::from(value <= most);
    }
    let (eights, _) = flags.as_chunks::<8>();
    let mut mask = 0;
    for (i, &eight) in eights.iter().enumerate() {
        // gathers the lowest bits of eight bytes in the highest byte
        let gathered = u64::from_le_bytes(eight).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        mask |= gathered << (8 * i);
    }
    mask
}

/// The places of the bits that are set.
#[inline(always)]
pub(super) fn bits(mut set: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let place = (set != 0).then(|| set.trailing_zeros() as usize);
        set &= set.wrapping_sub(1);
        place
    })
}

/// The lowest bits set, one for each of so many records.
#[inline(always)]
fn of(records: usize) -> u64 {
    if records == 0 { 0 } else { u64::MAX >> (LEAF - records) }
}

#[inline(always)]
fn verify(
    rows: &Leaf<'_>,
    columns: &Leaf<'_>,
    among_rows: u64,
    candidates: &Candidates,
    cutoffs: &[u32],
    by: impl Common,
    hit: impl FnMut(Hit),
) {
    // Loops of a known length are unrolled: for the usual sizes.
    match rows.words.len() / rows.ones.len() {
        8 => verify_sized::<8>(rows, columns, among_rows, candidates, cutoffs, by, hit),
        16 => verify_sized::<16>(rows, columns, among_rows, candidates, cutoffs, by, hit),
        32 => verify_sized::<32>(rows, columns, among_rows, candidates, cutoffs, by, hit),
        _ => verify_sized::<ANY>(rows, columns, among_rows, candidates, cutoffs, by, hit),
    }
}

#[inline(always)]
fn verify_sized<const WIDTH: usize>(
    rows: &Leaf<'_>,
    columns: &Leaf<'_>,
    among_rows: u64,
    candidates: &Candidates,
    cutoffs: &[u32],
    by: impl Common,
    mut hit: impl FnMut(Hit),
) {
    let width = if WIDTH == ANY { rows.words.len() / rows.ones.len() } else { WIDTH };
    for row in bits(among_rows) {
        let row_words = &rows.words[row * width..][..width];
        let cutoffs = &cutoffs[rows.ones[row] as usize..];
        for column in bits(candidates[row]) {
            let intersection = by.common(row_words, &columns.words[column * width..][..width]);
            if intersection >= cutoffs[columns.ones[column] as usize] {
                hit(Hit { row: row as u32, column: column as u32, intersection });
            }
        }
    }
}
