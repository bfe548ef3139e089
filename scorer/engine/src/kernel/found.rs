//! What kernels that let a few pairs too many through do with them.

use super::{Hit, Tile};
use crate::threshold::Cutoffs;

/// Two tiles that are being compared, and where the hits go.
pub(super) struct Found<'a> {
    pub(super) rows: Tile<'a>,
    pub(super) columns: Tile<'a>,
    pub(super) cutoffs: &'a Cutoffs,
    pub(super) hits: &'a mut Vec<Hit>,
}

impl Found<'_> {
    /// Keeps a pair if it reaches the threshold.
    #[inline]
    pub(super) fn test(&mut self, row: usize, column: usize, intersection: u32) {
        let sum = self.rows.counts[row] + self.columns.counts[column];
        if intersection >= self.cutoffs.as_slice()[sum as usize] {
            self.hits.push(Hit { row: row as u32, column: column as u32, intersection });
        }
    }
}
