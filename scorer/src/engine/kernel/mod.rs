//! The innermost loop, behind [`score_tile`]: compares every row of a tile with every column.
//!
//! [`plain`] is portable. On x86-64 it is compiled a second time for processors with POPCNT (all since 2008),
//! which the baseline instruction set lacks; which one runs is decided once a tile.

mod plain;
#[cfg(target_arch = "x86_64")]
mod popcnt;

use super::threshold::Cutoffs;

/// Encodings side by side, with the number of bits set in each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tile<'a> {
    /// `counts.len()` encodings of `width` words.
    pub words: &'a [u64],
    /// Bits set in each encoding.
    pub counts: &'a [u32],
    /// Words of one encoding.
    pub width: usize,
}

/// A pair at or above the threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Hit {
    /// Row of the first tile.
    pub row: u32,
    /// Row of the second tile.
    pub column: u32,
    /// Bits set in both encodings.
    pub intersection: u32,
}

/// Compares every encoding of `rows` with every one of `columns`; appends the pairs at or above the threshold to
/// `hits`, in any order. The cutoffs are those of the encodings' size.
pub(super) fn score_tile(rows: Tile<'_>, columns: Tile<'_>, cutoffs: &Cutoffs, hits: &mut Vec<Hit>) {
    debug_assert!(rows.width == columns.width && cutoffs.as_slice().len() == 128 * rows.width + 1);
    #[cfg(target_arch = "x86_64")]
    if let Some(popcnt) = popcnt::Popcnt::detect() {
        return popcnt.score_tile(rows, columns, cutoffs, hits);
    }
    plain::score_tile(rows, columns, cutoffs, hits);
}

/// Appends the number of bits set in each encoding of `width` words.
pub(super) fn count_ones(words: &[u64], width: usize, counts: &mut Vec<u32>) {
    #[cfg(target_arch = "x86_64")]
    if let Some(popcnt) = popcnt::Popcnt::detect() {
        return popcnt.count_ones(words, width, counts);
    }
    plain::count_ones(words, width, counts);
}

#[cfg(test)]
mod tests;
