//! Groups of records, in each of the formats.

use std::io::Write;

use super::table::{Cell, Column, Kind, Table, TableFormat};
use super::{Error, party, table_format};
use crate::plan::ResultFormat;
use crate::solve::{Groups, ScoredGroup, ScoresWithin};

/// One row a member; `score` is its highest similarity to another member.
const COLUMNS: &[Column] = &[
    Column::new("group", Kind::Integer),
    Column::new("party", Kind::Text),
    Column::new("record", Kind::Integer),
    Column::new("score", Kind::Score),
];

/// Writes `{"groups":[[[dataset,record],…],…]}`, in the order of [`Groups::iter`].
///
/// # Errors
/// Those of `out`.
pub fn write_groups(mut out: impl Write, groups: &Groups) -> Result<(), Error> {
    out.write_all(b"{\"groups\":[")?;
    for (i, group) in groups.iter().enumerate() {
        out.write_all(if i == 0 { b"[" } else { b",[" })?;
        for (j, member) in group.iter().enumerate() {
            let separator = if j == 0 { "" } else { "," };
            write!(out, "{separator}[{},{}]", member.dataset, member.record)?;
        }
        out.write_all(b"]")?;
    }
    out.write_all(b"]}")?;
    Ok(out.flush()?)
}

/// Writes groups in any format, in the same order, and gives `out` back. All formats but JSON name the parties, which are
/// given by data set, and tell the scores within groups.
///
/// # Errors
/// Those of `out`; or a member is of a party that there is not.
pub fn write_groups_as<W: Write + Send>(
    mut out: W,
    format: ResultFormat,
    groups: &Groups,
    scores: &ScoresWithin,
    parties: &[String],
) -> Result<W, Error> {
    match table_format(format) {
        None => write_groups(&mut out, groups)?,
        Some(TableFormat::Ndjson) => {
            for (number, group) in groups.with_scores(scores).enumerate() {
                write_line(&mut out, number, &group, parties)?;
            }
            out.flush()?;
        }
        Some(format) => return write_table(out, format, groups, scores, parties),
    }
    Ok(out)
}

fn write_table<W: Write + Send>(
    out: W,
    format: TableFormat,
    groups: &Groups,
    scores: &ScoresWithin,
    parties: &[String],
) -> Result<W, Error> {
    let mut table = Table::new(out, format, COLUMNS)?;
    for (number, group) in groups.with_scores(scores).enumerate() {
        for (member, highest) in group.members.iter().zip(group.highest_scores()) {
            table.row(&[
                Cell::Integer(number as u64),
                Cell::Text(party(parties, member.dataset)?),
                Cell::Integer(member.record.into()),
                Cell::Score(highest),
            ])?;
        }
    }
    table.finish()
}

/// Writes `{"group":0,"members":[{"party":"a","record":5},…],"scores":[{"a":0,"b":1,"score":0.9},…]}`: `a` and `b` are
/// members by their positions, from 0.
fn write_line(
    out: &mut impl Write,
    number: usize,
    group: &ScoredGroup<'_>,
    parties: &[String],
) -> Result<(), Error> {
    let json = std::io::Error::from;
    write!(out, "{{\"group\":{number},\"members\":")?;
    for (index, member) in group.members.iter().enumerate() {
        out.write_all(if index == 0 { b"[{\"party\":" } else { b",{\"party\":" })?;
        serde_json::to_writer(&mut *out, party(parties, member.dataset)?).map_err(json)?;
        write!(out, ",\"record\":{}}}", member.record)?;
    }
    out.write_all(b"],\"scores\":[")?;
    for (index, (a, b, score)) in group.scores().enumerate() {
        let separator = if index == 0 { "" } else { "," };
        write!(out, "{separator}{{\"a\":{a},\"b\":{b},\"score\":")?;
        serde_json::to_writer(&mut *out, &score).map_err(json)?;
        out.write_all(b"}")?;
    }
    Ok(out.write_all(b"]}\n")?)
}
