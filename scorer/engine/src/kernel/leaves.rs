//! Compares the records of two leaves, but for pairs whose segment counts differ too much: see [`crate::prune`].
//!
//! Written for whatever vectors the compiler may use; compiled for each instruction set.

use std::mem::MaybeUninit;

use super::Hit;
use super::candidates::Candidates;
use crate::prune::{BOX_SEGMENTS, Bounds, Counts, FinerCounts, LEAF, Leaf, Projected, Ranges};

/// Stands for a width that is only known at run time.
const ANY: usize = 0;

/// What is left to be done for candidates.
pub(super) trait Common: Copy {
    /// The number of bits set in both of two encodings.
    fn common(self, a: &[u64], b: &[u64]) -> u32;

    /// The sum of the differences of the finer segment counts of two records.
    #[inline(always)]
    fn finer_distance(self, a: &FinerCounts, b: &FinerCounts) -> u32 {
        a.0.iter().zip(&b.0).map(|(a, b)| u32::from(a.abs_diff(*b))).sum()
    }
}

/// The steps that take most of the time.
pub(super) trait Instructions: Common {
    /// The records of a leaf whose counts are near enough to the range of another one's, a bit each.
    ///
    /// What is left of the slacks, less the distance, is at least 0 for those, and at most the sum of the greatest
    /// slacks. All is done modulo 256: a record that is further away may look near, but none that is near looks far.
    fn near(self, leaf: &Leaf<'_>, other: &Leaf<'_>) -> u64;

    /// Adds the candidates of some columns, those whose bit is set, among some rows. Of the slacks of no pair more is
    /// left than `most`: see [`most_left`].
    fn find(
        self,
        columns: &Counts<'_>,
        among_columns: u64,
        rows: &Counts<'_>,
        among_rows: u64,
        most: u8,
        candidates: &mut Candidates,
    );

    /// Adds the candidates of some rows among some columns, by projections.
    #[inline(always)]
    fn find_projected(
        self,
        rows: &Projected<'_>,
        among_rows: u64,
        columns: &Projected<'_>,
        among_columns: u64,
        candidates: &mut Candidates,
    ) {
        for row in bits(among_rows) {
            let reached = |&column: &usize| rows.values[row].reach(&columns.values[column]);
            candidates.add(row, bits(among_columns).filter(reached).fold(0, |set, column| set | 1 << column));
        }
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
        let mut candidates = Candidates::new();
        (0..rows.ones.len()).for_each(|row| candidates.add(row, of(columns.ones.len())));
        return verify(&rows, &columns, &candidates, None, cutoffs, by, |hit| hits.push(hit));
    }
    let near_rows = by.near(&rows, &columns) & of(rows.ones.len());
    if near_rows == 0 {
        return;
    }
    let near_columns = by.near(&columns, &rows) & of(columns.ones.len());
    if near_columns == 0 {
        return;
    }
    let mut candidates = Candidates::new();
    let (row_counts, column_counts) = match (&rows.bounds, &columns.bounds) {
        (Bounds::Counts(row_counts), Bounds::Counts(column_counts)) => (row_counts, column_counts),
        (Bounds::Projected(of_rows), Bounds::Projected(of_columns)) => {
            by.find_projected(of_rows, near_rows, of_columns, near_columns, &mut candidates);
            return verify(&rows, &columns, &candidates, None, cutoffs, by, |hit| hits.push(hit));
        }
        _ => unreachable!("all leaves have the same bounds"),
    };
    let most = most_left(&rows, &columns);
    by.find(column_counts, near_columns, row_counts, near_rows, most, &mut candidates);
    let finer = column_counts.finer.zip(row_counts.finer);
    verify(&columns, &rows, &candidates, finer, cutoffs, by, |Hit { row, column, intersection }| {
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
    ) {
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
            candidates.add(column, at_most(&left, most) & among_rows);
        }
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

/// The finer segment counts of two leaves.
type Finer<'a> = (&'a [FinerCounts; LEAF], &'a [FinerCounts; LEAF]);

/// Compares candidates; first their finer counts, if there are any.
#[inline(always)]
#[allow(unsafe_code)]
fn verify(
    rows: &Leaf<'_>,
    columns: &Leaf<'_>,
    candidates: &Candidates,
    finer: Option<Finer<'_>>,
    cutoffs: &[u32],
    by: impl Common,
    mut hit: impl FnMut(Hit),
) {
    let Some(finer) = finer else {
        return compare(rows, columns, candidates.pairs(), cutoffs, by, &mut hit);
    };
    let mut left = [const { MaybeUninit::uninit() }; LEAF * LEAF];
    let mut len = 0;
    for (row, column) in candidates.pairs() {
        let distance = by.finer_distance(&finer.0[row % LEAF], &finer.1[column % LEAF]);
        let slacks = u32::from(rows.slacks[row % LEAF]) + u32::from(columns.slacks[column % LEAF]);
        left[len % (LEAF * LEAF)].write((row as u8, column as u8));
        len += usize::from(distance <= slacks);
    }
    // SAFETY: so many have been written.
    let left = unsafe { left[..len].assume_init_ref() };
    let left = left.iter().map(|&(row, column): &(u8, u8)| (usize::from(row), usize::from(column)));
    compare(rows, columns, left, cutoffs, by, &mut hit);
}

#[inline(always)]
fn compare(
    rows: &Leaf<'_>,
    columns: &Leaf<'_>,
    pairs: impl Iterator<Item = (usize, usize)>,
    cutoffs: &[u32],
    by: impl Common,
    hit: &mut impl FnMut(Hit),
) {
    // Loops of a known length are unrolled: for the usual sizes.
    match rows.words.len() / rows.ones.len() {
        8 => compare_sized::<8>(rows, columns, pairs, cutoffs, by, hit),
        16 => compare_sized::<16>(rows, columns, pairs, cutoffs, by, hit),
        32 => compare_sized::<32>(rows, columns, pairs, cutoffs, by, hit),
        _ => compare_sized::<ANY>(rows, columns, pairs, cutoffs, by, hit),
    }
}

#[inline(always)]
fn compare_sized<const WIDTH: usize>(
    rows: &Leaf<'_>,
    columns: &Leaf<'_>,
    pairs: impl Iterator<Item = (usize, usize)>,
    cutoffs: &[u32],
    by: impl Common,
    hit: &mut impl FnMut(Hit),
) {
    let width = if WIDTH == ANY { rows.words.len() / rows.ones.len() } else { WIDTH };
    for (row, column) in pairs {
        let words = &columns.words[column * width..][..width];
        let intersection = by.common(&rows.words[row * width..][..width], words);
        if intersection >= cutoffs[(rows.ones[row] + columns.ones[column]) as usize] {
            hit(Hit { row: row as u32, column: column as u32, intersection });
        }
    }
}
