//! Permutations and masks as tables.

use std::io::Write;

use super::Permutations;
use crate::result::Error;
use crate::result::table::{Cell, Column, Kind, Table, TableFormat};

/// One row a position of the smaller data set: 1 where the records match.
const MASK: &[Column] = &[Column::new("position", Kind::Integer), Column::new("match", Kind::Integer)];
/// One row a record, by position: the order into which the party brings its records.
const PERMUTATION: &[Column] =
    &[Column::new("record", Kind::Integer), Column::new("position", Kind::Integer)];

impl Permutations {
    pub(super) fn write_mask_table<W: Write + Send>(&self, out: W, format: TableFormat) -> Result<W, Error> {
        let mut table = Table::new(out, format, MASK)?;
        for (position, &matches) in (0..).zip(&self.mask) {
            table.row(&[Cell::Integer(position), Cell::Integer(matches.into())])?;
        }
        table.finish()
    }

    pub(super) fn write_permutation_table<W: Write + Send>(
        &self,
        dataset: usize,
        out: W,
        format: TableFormat,
    ) -> Result<W, Error> {
        let mut table = Table::new(out, format, PERMUTATION)?;
        for (position, record) in (0..).zip(self.records_by_position(dataset)) {
            table.row(&[Cell::Integer(record.into()), Cell::Integer(position)])?;
        }
        table.finish()
    }

    /// For each position the record of a party (0 or 1) that comes there.
    pub fn records_by_position(&self, dataset: usize) -> Vec<u32> {
        let permutation = self.permutation(dataset);
        let mut records = vec![0; permutation.len()];
        for (record, &position) in (0..).zip(permutation) {
            records[position as usize] = record;
        }
        records
    }
}
