//! Compares the records of a chunk with one another: each pair once, as a row and a later column.

use std::ops::Range;

use super::chunk::Chunk;
use super::kernel::Scratch;
use super::linkage::Matcher;

/// Rows that are compared at once where the diagonal passes through them: enough for the kernels to be fast, few enough
/// that little is compared below the diagonal.
const STRIP: usize = 64;

/// Compares some records of a chunk with others of it, where these come later; hands over the places of those at or
/// above the threshold in the chunk, and the score. Gives the number of comparisons back.
pub(super) fn score_later(
    matcher: &Matcher,
    chunk: &Chunk,
    rows: Range<usize>,
    columns: Range<usize>,
    scratch: &mut Scratch,
    mut found: impl FnMut(u32, u32, f64),
) -> u64 {
    for (strip, later) in strips(&rows, &columns) {
        let (first_row, first_column) = (strip.start as u32, later.start as u32);
        matcher.score_tile(chunk.tile(strip), chunk.tile(later), scratch, |row, column, score| {
            let (row, column) = (first_row + row, first_column + column);
            if row < column {
                found(row, column, score);
            }
        });
    }
    rows.map(|row| later_than(row, &columns).len() as u64).sum()
}

/// Rectangles of all pairs of a row and a later column, and of few others.
fn strips(rows: &Range<usize>, columns: &Range<usize>) -> impl Iterator<Item = (Range<usize>, Range<usize>)> {
    // all columns are later than these rows
    let all = rows.start..rows.end.min(columns.start);
    let (start, end) = (all.end.max(rows.start), rows.end);
    let all = Some((all, columns.clone()));
    let strips = (start..end).step_by(STRIP).map(move |first| first..(first + STRIP).min(end));
    let strips = strips.map(|strip| (strip.clone(), later_than(strip.start, columns)));
    all.into_iter().chain(strips).filter(|(rows, columns)| !rows.is_empty() && !columns.is_empty())
}

fn later_than(row: usize, columns: &Range<usize>) -> Range<usize> {
    columns.start.max(row + 1).min(columns.end)..columns.end
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn strips_hold_each_pair_above_the_diagonal_once(
            (first_row, rows) in (0..300usize, 0..300usize),
            (first_column, columns) in (0..300usize, 0..300usize),
        ) {
            let (rows, columns) = (first_row..first_row + rows, first_column..first_column + columns);
            let mut seen = std::collections::BTreeSet::new();
            for (strip, later) in strips(&rows, &columns) {
                prop_assert!(strip.start >= rows.start && strip.end <= rows.end);
                prop_assert!(later.start >= columns.start && later.end <= columns.end);
                for row in strip {
                    prop_assert!(later.clone().all(|column| seen.insert((row, column))));
                }
            }
            let below = seen.iter().filter(|(row, column)| row >= column).count();
            prop_assert!(below <= rows.len() * STRIP);
            let above = rows.clone().flat_map(|row| columns.clone().map(move |column| (row, column)));
            prop_assert!(above.filter(|(row, column)| row < column).all(|pair| seen.contains(&pair)));
        }
    }
}
