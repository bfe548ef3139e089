//! Pairs with their scores, a pair at a time.

use std::io::{self, Write};

use super::table::{Cell, Column, Kind, Table};
use super::{Error, party, table_format};
use crate::pairs::{self, Pair, PairWriter};
use crate::plan::ResultFormat;

const COLUMNS: &[Column] = &[
    Column::new("party_a", Kind::Text),
    Column::new("record_a", Kind::Integer),
    Column::new("party_b", Kind::Text),
    Column::new("record_b", Kind::Integer),
    Column::new("score", Kind::Score),
];

/// Similarity scores that are being written in one of the formats, in the order of the pairs.
pub struct SimilarityScoresWriter<'p, W: Write + Send> {
    form: Form<W>,
    parties: &'p [String],
}

#[expect(clippy::large_enum_variant, reason = "there is one for each object that is written")]
enum Form<W: Write + Send> {
    Json { out: W, first: bool },
    Anonlink(PairWriter<W>),
    Table(Table<W>),
}

impl<'p, W: Write + Send> SimilarityScoresWriter<'p, W> {
    /// Starts `{"similarity_scores":[[[dataset,record],[dataset,record],score],…]}`, or anonlink's binary form, or a table
    /// that names the parties, which are given by data set.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn new(mut out: W, format: ResultFormat, parties: &'p [String]) -> Result<Self, Error> {
        let form = match table_format(format) {
            None if format == ResultFormat::Anonlink => Form::Anonlink(PairWriter::new(out)?),
            None => {
                out.write_all(b"{\"similarity_scores\":[")?;
                Form::Json { out, first: true }
            }
            Some(format) => Form::Table(Table::new(out, format, COLUMNS)?),
        };
        Ok(Self { form, parties })
    }

    /// Writes the next pair.
    ///
    /// # Errors
    /// Those of `out`; or the pair is of a party that there is not.
    pub fn pair(&mut self, pair: &Pair) -> Result<(), Error> {
        match &mut self.form {
            Form::Json { out, first } => Ok(write_score(out, std::mem::take(first), pair)?),
            Form::Anonlink(pairs) => Ok(pairs.write(pair)?),
            Form::Table(table) => table.row(&[
                Cell::Text(party(self.parties, pair.dataset0)?),
                Cell::Integer(pair.record0.into()),
                Cell::Text(party(self.parties, pair.dataset1)?),
                Cell::Integer(pair.record1.into()),
                Cell::Score(pair.score),
            ]),
        }
    }

    /// Writes the end, and gives `out` back.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn finish(self) -> Result<W, Error> {
        match self.form {
            Form::Json { mut out, .. } => {
                out.write_all(b"]}")?;
                out.flush()?;
                Ok(out)
            }
            Form::Anonlink(pairs) => Ok(pairs.finish()?),
            Form::Table(table) => table.finish(),
        }
    }
}

/// Writes `{"similarity_scores":[[[dataset,record],[dataset,record],score],…]}` in the order of the pairs, which
/// is to be theirs ([`Pair`]). Scores are printed such that they read back to the same bits. Gives the number of
/// pairs back.
pub fn write_similarity_scores(
    out: impl Write + Send,
    pairs: impl IntoIterator<Item = Result<Pair, pairs::Error>>,
) -> Result<u64, Error> {
    let mut writer = SimilarityScoresWriter::new(out, ResultFormat::Json, &[])?;
    let mut written = 0;
    for pair in pairs {
        writer.pair(&pair?)?;
        written += 1;
    }
    writer.finish()?;
    Ok(written)
}

fn write_score(out: &mut impl Write, first: bool, pair: &Pair) -> io::Result<()> {
    let Pair { score, dataset0, dataset1, record0, record1 } = pair;
    let separator = if first { "" } else { "," };
    write!(out, "{separator}[[{dataset0},{record0}],[{dataset1},{record1}],")?;
    serde_json::to_writer(&mut *out, score)?;
    out.write_all(b"]")
}
