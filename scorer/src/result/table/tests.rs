use std::io;

use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::record::Field;
use bytes::Bytes;
use proptest::prelude::*;

use super::*;

const COLUMNS: &[Column] = &[
    Column::new("number", Kind::Integer),
    Column::new("score", Kind::Score),
    Column::new("name", Kind::Text),
    Column::new("note", Kind::OptionalText),
];

type Row = (u64, f64, String, Option<String>);

fn written(format: TableFormat, rows: &[Row]) -> Vec<u8> {
    let mut table = Table::new(Vec::new(), format, COLUMNS).unwrap();
    for (number, score, name, note) in rows {
        let note = note.as_deref().map_or(Cell::Missing, Cell::Text);
        table.row(&[Cell::Integer(*number), Cell::Score(*score), Cell::Text(name), note]).unwrap();
    }
    table.finish().unwrap()
}

fn read_parquet(file: Vec<u8>) -> (Vec<Row>, usize) {
    let reader = SerializedFileReader::new(Bytes::from(file)).unwrap();
    let rows = reader.get_row_iter(None).unwrap().map(|row| {
        let row = row.unwrap();
        let mut fields = row.get_column_iter().map(|(_, field)| field.clone());
        let mut next = || fields.next().unwrap();
        let (Field::Long(number), Field::Double(score), Field::Str(name)) = (next(), next(), next()) else {
            panic!("{row:?}")
        };
        let note = match next() {
            Field::Str(note) => Some(note),
            Field::Null => None,
            other => panic!("{other:?}"),
        };
        (number as u64, score, name, note)
    });
    (rows.collect(), reader.num_row_groups())
}

fn rows(most: usize) -> impl Strategy<Value = Vec<Row>> {
    let score = (0..8192u32, 1..16384u32).prop_map(|(a, b)| (2.0 * f64::from(a) / f64::from(b)).min(1.0));
    let row = (0..=i64::MAX as u64, score, "\\PC{0,6}|[,\"=\r\n]{0,3}", prop::option::of("[0-9]{0,20}"));
    prop::collection::vec(row, 0..most)
}

proptest! {
    #[test]
    fn parquet_reads_back_to_the_same_bits(rows in rows(50)) {
        let file = written(TableFormat::Parquet, &rows);
        prop_assert_eq!(&file, &written(TableFormat::Parquet, &rows), "the same rows make the same bytes");
        let (found, _) = read_parquet(file);
        prop_assert_eq!(found, rows);
    }

    #[test]
    fn csv_reads_back_to_the_same_bits(rows in rows(50)) {
        let text = written(TableFormat::Csv, &rows);
        let mut found = Vec::new();
        for record in csv_reader(&text).records() {
            let record = record.unwrap();
            let field = |index: usize| record.get(index).unwrap();
            found.push((field(0).parse().unwrap(), field(1).parse().unwrap(), field(2).to_owned(), field(3).to_owned()));
        }
        let as_shown = |text: &str| match text.chars().next() {
            Some('=' | '+' | '-' | '@' | '\t' | '\r') => format!("'{text}"),
            _ => text.to_owned(),
        };
        let expected: Vec<(u64, f64, String, String)> = rows
            .into_iter()
            .map(|(number, score, name, note)| (number, score, as_shown(&name), note.unwrap_or_default()))
            .collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn ndjson_reads_back_to_the_same_bits(rows in rows(50)) {
        let text = written(TableFormat::Ndjson, &rows);
        let lines = std::str::from_utf8(&text).unwrap().split_terminator('\n');
        let mut found = Vec::new();
        for line in lines {
            let row: serde_json::Value = line.parse().unwrap();
            let text = |name: &str| row[name].as_str().map(str::to_owned);
            // serde_json itself reads some numbers to the next one
            let score = line.split("\"score\":").nth(1).unwrap().split(',').next().unwrap();
            found.push((row["number"].as_u64().unwrap(), score.parse().unwrap(), text("name").unwrap(), text("note")));
        }
        let expected = rows;
        prop_assert_eq!(found, expected);
    }
}

fn csv_reader(text: &[u8]) -> ::csv::Reader<&[u8]> {
    let mut reader = ::csv::Reader::from_reader(text);
    assert_eq!(reader.headers().unwrap().iter().collect::<Vec<_>>(), ["number", "score", "name", "note"]);
    reader
}

#[test]
fn groups_of_rows_are_bounded_in_rows_and_in_bytes() {
    let few = |number: u64| (number, 0.5, "a".to_owned(), None);
    let rows: Vec<Row> = (0..300_000).map(few).collect();
    let (found, groups) = read_parquet(written(TableFormat::Parquet, &rows));
    assert!(found == rows);
    assert_eq!(groups, 3);
    let long = |number: u64| (number, 0.5, format!("{number}{}", "x".repeat(1 << 20)), None);
    let rows: Vec<Row> = (0..20).map(long).collect();
    let (found, groups) = read_parquet(written(TableFormat::Parquet, &rows));
    assert!(found == rows);
    assert_eq!(groups, 3);
}

#[test]
fn an_empty_table_has_its_columns() {
    assert_eq!(written(TableFormat::Csv, &[]), b"number,score,name,note\r\n");
    assert_eq!(written(TableFormat::Ndjson, &[]), b"");
    let (rows, groups) = read_parquet(written(TableFormat::Parquet, &[]));
    assert_eq!((rows.len(), groups), (0, 0));
}

#[test]
fn cells_that_are_none_of_the_columns_are_errors() {
    for format in [TableFormat::Csv, TableFormat::Ndjson, TableFormat::Parquet] {
        let mut table = Table::new(Vec::new(), format, COLUMNS).unwrap();
        assert!(matches!(table.row(&[Cell::Integer(1)]), Err(Error::Row(_))), "{format:?}");
    }
    let mut table = Table::new(Vec::new(), TableFormat::Parquet, COLUMNS).unwrap();
    let wrong = table.row(&[Cell::Score(1.0), Cell::Score(1.0), Cell::Text(""), Cell::Missing]);
    assert!(matches!(wrong, Err(Error::Row(_))));
}

/// Takes some bytes, then fails as a store does that is away.
struct Failing(usize);

impl Write for Failing {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::Error::other("the store is away"));
        }
        let taken = data.len().min(self.0);
        self.0 -= taken;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_the_store_says_is_handed_on() {
    for format in [TableFormat::Csv, TableFormat::Ndjson, TableFormat::Parquet] {
        let mut failed = None;
        let mut table = Table::new(Failing(100_000), format, COLUMNS).unwrap();
        for number in 0..1_000_000 {
            let row = [Cell::Integer(number), Cell::Score(0.5), Cell::Text("a"), Cell::Missing];
            if let Err(error) = table.row(&row) {
                failed = Some(error);
                break;
            }
        }
        let Some(Error::Write(error)) = failed else { panic!("{format:?}") };
        assert_eq!(error.to_string(), "the store is away");
    }
}
