//! Apache Parquet, a group of rows at a time: what is held is bounded, whatever the number of rows.

use std::io::{self, Write};
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, Type as PhysicalType};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{Type, TypePtr};

use super::{Cell, Column, Kind};
use crate::result::Error;

/// Rows of a group, and bytes of text in it: whatever is reached first. Readers can skip or share out whole groups.
const GROUP_ROWS: usize = 128 << 10;
const GROUP_TEXT_BYTES: usize = 8 << 20;
/// The most memory that writing a table takes: the rows of a group, some 100 bytes each, and a column of them encoded.
pub const PARQUET_BYTES: u64 = 32 << 20;

/// A Parquet file that is being written. It names neither time nor place, so that a retry writes the same bytes.
pub struct ParquetTable<W: Write + Send> {
    file: SerializedFileWriter<W>,
    columns: Vec<Values>,
    rows: usize,
    text_bytes: usize,
}

/// The values of one column in the current group.
enum Values {
    Integers(Vec<i64>),
    Scores(Vec<f64>),
    Texts(Vec<ByteArray>),
    /// Those that are there; and for each row whether it has one (1) or not (0).
    OptionalTexts(Vec<ByteArray>, Vec<i16>),
}

impl Values {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Integer => Self::Integers(Vec::new()),
            Kind::Score => Self::Scores(Vec::new()),
            Kind::Text => Self::Texts(Vec::new()),
            Kind::OptionalText => Self::OptionalTexts(Vec::new(), Vec::new()),
        }
    }

    /// Takes a value; tells how many bytes of text are new with it.
    fn push(&mut self, cell: &Cell<'_>) -> Result<usize, Error> {
        let wrong = |kind: &str| Error::Row(format!("{cell:?} in a column of {kind}"));
        match (self, cell) {
            (Self::Integers(values), Cell::Integer(value)) => {
                values.push(i64::try_from(*value).map_err(|_| wrong("integers"))?);
                Ok(0)
            }
            (Self::Scores(values), Cell::Score(value)) => {
                values.push(*value);
                Ok(0)
            }
            (Self::Texts(values), Cell::Text(text)) => Ok(push_text(values, text)),
            (Self::OptionalTexts(values, levels), Cell::Text(text)) => {
                levels.push(1);
                Ok(push_text(values, text))
            }
            (Self::OptionalTexts(_, levels), Cell::Missing) => {
                levels.push(0);
                Ok(0)
            }
            (Self::Integers(_), _) => Err(wrong("integers")),
            (Self::Scores(_), _) => Err(wrong("scores")),
            (Self::Texts(_) | Self::OptionalTexts(..), _) => Err(wrong("texts")),
        }
    }

    fn clear(&mut self) {
        match self {
            Self::Integers(values) => values.clear(),
            Self::Scores(values) => values.clear(),
            Self::Texts(values) => values.clear(),
            Self::OptionalTexts(values, levels) => {
                values.clear();
                levels.clear();
            }
        }
    }
}

/// The name of a party comes many times in a row: then all share one copy.
fn push_text(values: &mut Vec<ByteArray>, text: &str) -> usize {
    match values.last() {
        Some(last) if last.data() == text.as_bytes() => {
            values.push(last.clone());
            0
        }
        _ => {
            values.push(text.into());
            text.len()
        }
    }
}

impl<W: Write + Send> ParquetTable<W> {
    pub(super) fn new(out: W, columns: &[Column]) -> Result<Self, Error> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_offset_index_disabled(true)
            .build();
        Ok(Self {
            file: SerializedFileWriter::new(out, schema(columns)?, Arc::new(properties))?,
            columns: columns.iter().map(|column| Values::new(column.kind)).collect(),
            rows: 0,
            text_bytes: 0,
        })
    }

    pub(super) fn row(&mut self, cells: &[Cell<'_>]) -> Result<(), Error> {
        if cells.len() != self.columns.len() {
            return Err(Error::Row(format!("{} cells for {} columns", cells.len(), self.columns.len())));
        }
        for (values, cell) in self.columns.iter_mut().zip(cells) {
            self.text_bytes += values.push(cell)?;
        }
        self.rows += 1;
        if self.rows == GROUP_ROWS || self.text_bytes >= GROUP_TEXT_BYTES {
            self.write_group()
        } else {
            Ok(())
        }
    }

    fn write_group(&mut self) -> Result<(), Error> {
        let mut group = self.file.next_row_group()?;
        for values in &mut self.columns {
            write_column(&mut group, values)?;
            values.clear();
        }
        group.close()?;
        (self.rows, self.text_bytes) = (0, 0);
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<W, Error> {
        if self.rows > 0 {
            self.write_group()?;
        }
        Ok(self.file.into_inner()?)
    }
}

fn write_column<W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: &Values,
) -> Result<(), Error> {
    let Some(mut column) = group.next_column()? else {
        return Err(Error::Row("the file has fewer columns than the table".into()));
    };
    match values {
        Values::Integers(values) => column.typed::<Int64Type>().write_batch(values, None, None)?,
        Values::Scores(values) => column.typed::<DoubleType>().write_batch(values, None, None)?,
        Values::Texts(values) => column.typed::<ByteArrayType>().write_batch(values, None, None)?,
        Values::OptionalTexts(values, levels) => {
            column.typed::<ByteArrayType>().write_batch(values, Some(levels), None)?
        }
    };
    Ok(column.close()?)
}

fn schema(columns: &[Column]) -> Result<TypePtr, Error> {
    let field = |column: &Column| -> Result<TypePtr, ParquetError> {
        let (physical, logical, repetition) = match column.kind {
            Kind::Integer => (PhysicalType::INT64, None, Repetition::REQUIRED),
            Kind::Score => (PhysicalType::DOUBLE, None, Repetition::REQUIRED),
            Kind::Text => (PhysicalType::BYTE_ARRAY, Some(LogicalType::String), Repetition::REQUIRED),
            Kind::OptionalText => (PhysicalType::BYTE_ARRAY, Some(LogicalType::String), Repetition::OPTIONAL),
        };
        let builder = Type::primitive_type_builder(column.name, physical);
        builder.with_logical_type(logical).with_repetition(repetition).build().map(Arc::new)
    };
    let fields = columns.iter().map(field).collect::<Result<_, _>>()?;
    Ok(Arc::new(Type::group_type_builder("result").with_fields(fields).build()?))
}

impl From<ParquetError> for Error {
    fn from(error: ParquetError) -> Self {
        match error {
            // what the store said
            ParquetError::External(source) => Self::Write(match source.downcast::<io::Error>() {
                Ok(error) => *error,
                Err(other) => io::Error::other(other),
            }),
            other => Self::Row(other.to_string()),
        }
    }
}
