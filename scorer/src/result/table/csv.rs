//! CSV as RFC 4180 has it: comma, CRLF, and quotes where they are needed.

use std::io::Write;

use csv::{Terminator, Writer, WriterBuilder};

use super::{Cell, Column};
use crate::result::Error;

/// What makes a spreadsheet take a text for a formula (OWASP, "CSV Injection").
const FORMULA_STARTS: [u8; 6] = [b'=', b'+', b'-', b'@', b'\t', b'\r'];

/// A CSV table that is being written.
///
/// A text that a spreadsheet would take for a formula gets an apostrophe before it, which spreadsheets do not show. No name
/// of a party in a cluster begins so; the name of a file on a laptop may.
pub struct CsvTable<W: Write> {
    out: Writer<W>,
    /// A number as text.
    field: Vec<u8>,
}

impl<W: Write> CsvTable<W> {
    pub(super) fn new(out: W, columns: &[Column]) -> Result<Self, Error> {
        let mut out = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(out);
        out.write_record(columns.iter().map(|column| column.name)).map_err(failed)?;
        Ok(Self { out, field: Vec::new() })
    }

    pub(super) fn row(&mut self, cells: &[Cell<'_>]) -> Result<(), Error> {
        for cell in cells {
            self.field.clear();
            match cell {
                Cell::Integer(number) => write!(self.field, "{number}")?,
                // as in JSON: to the same bits, and to the same text
                Cell::Score(score) => {
                    serde_json::to_writer(&mut self.field, score).map_err(std::io::Error::from)?
                }
                Cell::Text(text) => {
                    if text.as_bytes().first().is_some_and(|first| FORMULA_STARTS.contains(first)) {
                        self.field.push(b'\'');
                    }
                    self.field.extend_from_slice(text.as_bytes());
                }
                Cell::Missing => {}
            }
            self.out.write_field(&self.field).map_err(failed)?;
        }
        self.out.write_record(None::<&[u8]>).map_err(failed)
    }

    pub(super) fn finish(self) -> Result<W, Error> {
        self.out.into_inner().map_err(|error| Error::Write(error.into_error()))
    }
}

fn failed(error: csv::Error) -> Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => Error::Write(error),
        other => Error::Row(format!("{other:?}")),
    }
}
