//! Rows and columns, in any of the formats that hold such: CSV, NDJSON, Parquet.

mod csv;
mod ndjson;
mod parquet;

use std::io::Write;

use self::csv::CsvTable;
use self::ndjson::NdjsonTable;
use self::parquet::ParquetTable;
use super::Error;

pub use self::parquet::PARQUET_BYTES;

/// One column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name, in lower case with underscores.
    pub name: &'static str,
    /// What is in it.
    pub kind: Kind,
}

impl Column {
    /// A column.
    pub const fn new(name: &'static str, kind: Kind) -> Self {
        Self { name, kind }
    }
}

/// What is in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A whole number from 0 to 2^63 - 1.
    Integer,
    /// A similarity. Printed such that it reads back to the same bits.
    Score,
    /// Text.
    Text,
    /// Text, or nothing.
    OptionalText,
}

/// One value, of its column's kind.
#[derive(Clone, Copy, Debug)]
pub enum Cell<'c> {
    /// Of [`Kind::Integer`].
    Integer(u64),
    /// Of [`Kind::Score`].
    Score(f64),
    /// Of [`Kind::Text`] or [`Kind::OptionalText`].
    Text(&'c str),
    /// Of [`Kind::OptionalText`].
    Missing,
}

/// A format that holds rows and columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableFormat {
    /// A header line, and a line a row, as RFC 4180 has it.
    Csv,
    /// A JSON object a row.
    Ndjson,
    /// An Apache Parquet file.
    Parquet,
}

/// A table that is being written, a row at a time. The same rows make the same bytes.
pub enum Table<W: Write + Send> {
    /// As CSV.
    Csv(CsvTable<W>),
    /// As NDJSON.
    Ndjson(NdjsonTable<W>),
    /// As Parquet.
    Parquet(ParquetTable<W>),
}

impl<W: Write + Send> Table<W> {
    /// Starts a table.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn new(out: W, format: TableFormat, columns: &'static [Column]) -> Result<Self, Error> {
        Ok(match format {
            TableFormat::Csv => Self::Csv(CsvTable::new(out, columns)?),
            TableFormat::Ndjson => Self::Ndjson(NdjsonTable::new(out, columns)),
            TableFormat::Parquet => Self::Parquet(ParquetTable::new(out, columns)?),
        })
    }

    /// Writes a row: a cell for each column.
    ///
    /// # Errors
    /// Those of `out`; [`Error::Row`] when the cells are not those of the columns.
    pub fn row(&mut self, cells: &[Cell<'_>]) -> Result<(), Error> {
        match self {
            Self::Csv(table) => table.row(cells),
            Self::Ndjson(table) => table.row(cells),
            Self::Parquet(table) => table.row(cells),
        }
    }

    /// Writes what is left, and gives `out` back.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn finish(self) -> Result<W, Error> {
        match self {
            Self::Csv(table) => table.finish(),
            Self::Ndjson(table) => table.finish(),
            Self::Parquet(table) => table.finish(),
        }
    }
}

#[cfg(test)]
mod tests;
