//! NDJSON: a JSON object a row.

use std::io::Write;

use super::{Cell, Column};
use crate::result::Error;

/// An NDJSON table that is being written.
pub struct NdjsonTable<W> {
    out: W,
    columns: &'static [Column],
}

impl<W: Write> NdjsonTable<W> {
    pub(super) fn new(out: W, columns: &'static [Column]) -> Self {
        Self { out, columns }
    }

    pub(super) fn row(&mut self, cells: &[Cell<'_>]) -> Result<(), Error> {
        if cells.len() != self.columns.len() {
            return Err(Error::Row(format!("{} cells for {} columns", cells.len(), self.columns.len())));
        }
        for (index, (column, cell)) in self.columns.iter().zip(cells).enumerate() {
            let separator = if index == 0 { '{' } else { ',' };
            write!(self.out, "{separator}\"{}\":", column.name)?;
            match cell {
                Cell::Integer(number) => write!(self.out, "{number}")?,
                Cell::Score(score) => {
                    serde_json::to_writer(&mut self.out, score).map_err(std::io::Error::from)?
                }
                Cell::Text(text) => {
                    serde_json::to_writer(&mut self.out, text).map_err(std::io::Error::from)?
                }
                Cell::Missing => self.out.write_all(b"null")?,
            }
        }
        Ok(self.out.write_all(b"}\n")?)
    }

    pub(super) fn finish(mut self) -> Result<W, Error> {
        self.out.flush()?;
        Ok(self.out)
    }
}
