use std::io::Write;

use super::table::{Cell, Column, Kind, Table};
use super::{Error, Permutations, table_format};
use crate::plan::ResultFormat;

/// What JSON says of the ciphertexts, beside the mask: how `phe` is to read them. All exponents are 0, so the base does
/// not matter.
const PAILLIER_CONTEXT: &str = r#"{"base":2,"encoded":true}"#;

/// One row a position of the smaller data set.
const MASK: &[Column] = &[Column::new("position", Kind::Integer), Column::new("match", Kind::Text)];
/// One row a record, by position; there is no mask where the other party has no record.
const PERMUTATION: &[Column] = &[
    Column::new("record", Kind::Integer),
    Column::new("position", Kind::Integer),
    Column::new("match", Kind::OptionalText),
];

/// Writes an encrypted mask in one of the formats, as it is encrypted: for the result token alone, for a party behind its
/// permutation.
///
/// JSON is `{"mask":[…],"paillier_context":{…}}`, each element `{"v":"…","e":0}` as `phe` writes an EncryptedNumber; a
/// table is `position,match` or `record,position,match`, the ciphertexts in decimal digits, of exponent 0.
pub struct EncryptedMaskWriter<W: Write + Send> {
    form: Form<W>,
    written: usize,
}

enum Form<W: Write + Send> {
    Json(W),
    Mask(Table<W>),
    /// For each position the party's record there.
    Permutation(Table<W>, Vec<u32>),
}

impl<W: Write + Send> EncryptedMaskWriter<W> {
    /// Starts an object for the result token (`party` is None), or for a party (0 or 1).
    ///
    /// # Errors
    /// Those of `out`.
    pub fn new(
        mut out: W,
        format: ResultFormat,
        permutations: &Permutations,
        party: Option<usize>,
    ) -> Result<Self, Error> {
        let form = match (table_format(format), party) {
            (None, _) => {
                out.write_all(b"{")?;
                if let Some(party) = party {
                    permutations.write_permutation_members(party, &mut out)?;
                    out.write_all(b",")?;
                }
                out.write_all(b"\"mask\":[")?;
                Form::Json(out)
            }
            (Some(format), None) => Form::Mask(Table::new(out, format, MASK)?),
            (Some(format), Some(party)) => Form::Permutation(
                Table::new(out, format, PERMUTATION)?,
                permutations.records_by_position(party),
            ),
        };
        Ok(Self { form, written: 0 })
    }

    /// Writes the next elements.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn elements(&mut self, ciphertexts: &[String]) -> Result<(), Error> {
        for ciphertext in ciphertexts {
            let position = self.written as u64;
            match &mut self.form {
                Form::Json(out) => {
                    let separator = if position == 0 { "" } else { "," };
                    write!(out, r#"{separator}{{"v":"{ciphertext}","e":0}}"#)?;
                }
                Form::Mask(table) => table.row(&[Cell::Integer(position), Cell::Text(ciphertext)])?,
                Form::Permutation(table, records) => {
                    let record = Cell::Integer(records[self.written].into());
                    table.row(&[record, Cell::Integer(position), Cell::Text(ciphertext)])?;
                }
            }
            self.written += 1;
        }
        Ok(())
    }

    /// Writes the end, and gives `out` back.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn finish(self) -> Result<W, Error> {
        match self.form {
            Form::Json(mut out) => {
                write!(out, "],\"paillier_context\":{PAILLIER_CONTEXT}}}")?;
                Ok(out)
            }
            Form::Mask(table) => table.finish(),
            Form::Permutation(mut table, records) => {
                for (position, &record) in records.iter().enumerate().skip(self.written) {
                    let position = Cell::Integer(position as u64);
                    table.row(&[Cell::Integer(record.into()), position, Cell::Missing])?;
                }
                table.finish()
            }
        }
    }
}
