use std::ops::Range;

use super::Error;
use super::chunk::Chunk;
use super::executor::{Done, Executor};
use super::kernel::Scratch;
use super::linkage::{Linkage, Matcher};
use super::triangle::score_later;
use super::work::{self, Rectangle};
use crate::pairs::Pair;

/// One task compares this many records with [`TILE_COLUMNS`] others: enough to be worth a task, few enough that
/// even if all of them match their pairs take little memory.
const TILE_ROWS: usize = 512;
const TILE_COLUMNS: usize = 1024;

/// A part of the work: records that are held in memory, and records that stream past them; or the very same.
pub(super) struct Pass {
    held: usize,
    held_records: Range<u32>,
    streamed: usize,
    streamed_records: Range<u32>,
    /// Whether records are compared with themselves.
    within: bool,
}

impl Pass {
    /// Holds the shorter side, so that it fits as often as possible and the longer one is read once.
    fn new(rectangle: Rectangle) -> Self {
        let within = rectangle.is_triangle();
        let Rectangle { dataset0, records0, dataset1, records1 } = rectangle;
        let (first, second) = ((dataset0 as usize, records0), (dataset1 as usize, records1));
        let (held, streamed) =
            if first.1.len() <= second.1.len() { (first, second) } else { (second, first) };
        Self {
            held: held.0,
            held_records: held.1,
            streamed: streamed.0,
            streamed_records: streamed.1,
            within,
        }
    }

    /// The pair of a record that is held and one that streams past.
    pub(super) fn pair(&self, held: u32, streamed: u32, score: f64) -> Pair {
        Pair::of((self.held, held), (self.streamed, streamed), score)
    }

    /// Whether the chunks that start at these records are one and the same, of which each pair is compared once.
    pub(super) fn is_same(&self, held: u32, streamed: u32) -> bool {
        (self.held, held) == (self.streamed, streamed)
    }
}

/// Compares everything with everything, within the linkage's shard.
pub(super) fn run_dense(
    linkage: &Linkage<'_>,
    matcher: &Matcher,
    executor: &mut Executor<'_>,
) -> Result<(), Error> {
    for_each_pair_of_chunks(
        linkage,
        Chunk::record_bytes(linkage.encoding_bytes()),
        |chunk: &mut Chunk, dataset, records| load(linkage, chunk, dataset, records),
        |pass, (held, first_held), (streamed, first_streamed)| {
            let same = pass.is_same(first_held, first_streamed);
            run_chunks(held, streamed, same, matcher, executor, |row, column, score| {
                pass.pair(first_held + row, first_streamed + column, score)
            })
        },
    )
}

/// Goes over the linkage's shard in chunks that fit its memory: what is held, and what streams past it, each with the
/// number of its first record. Where records are compared with themselves, a chunk first meets itself.
pub(super) fn for_each_pair_of_chunks<C: Default>(
    linkage: &Linkage<'_>,
    record_bytes: usize,
    load: impl Fn(&mut C, usize, Range<u32>) -> Result<(), Error>,
    mut compare: impl FnMut(&Pass, (&C, u32), (&C, u32)) -> Result<(), Error>,
) -> Result<(), Error> {
    let chunk_records = linkage.chunk_records(record_bytes);
    let (mut held, mut streamed) = (C::default(), C::default());
    for pass in work::slice(&linkage.records, linkage.shard).into_iter().map(Pass::new) {
        for held_records in pieces(pass.held_records.clone(), chunk_records) {
            load(&mut held, pass.held, held_records.clone())?;
            let held = (&held, held_records.start);
            let mut past = pass.streamed_records.clone();
            if pass.within {
                compare(&pass, held, held)?;
                past.start = held_records.end;
            }
            for streamed_records in pieces(past, chunk_records) {
                load(&mut streamed, pass.streamed, streamed_records.clone())?;
                compare(&pass, held, (&streamed, streamed_records.start))?;
            }
        }
    }
    Ok(())
}

/// Compares every record of one chunk with every one of the other, or each with the later ones where it is the same
/// chunk. `pair` makes a pair of their places in the chunks and the score.
fn run_chunks(
    rows: &Chunk,
    columns: &Chunk,
    same: bool,
    matcher: &Matcher,
    executor: &mut Executor<'_>,
    pair: impl Fn(u32, u32, f64) -> Pair + Sync,
) -> Result<(), Error> {
    // Tasks that follow one another share columns.
    let row_tiles = rows.len().div_ceil(TILE_ROWS);
    let tasks = row_tiles * columns.len().div_ceil(TILE_COLUMNS);
    executor.run(tasks, |task, scratch: &mut Scratch, pairs| {
        let tile_rows = tile(task % row_tiles, TILE_ROWS, rows.len());
        let tile_columns = tile(task / row_tiles, TILE_COLUMNS, columns.len());
        let mut found = |row, column, score| pairs.push(pair(row, column, score));
        let comparisons = if same {
            score_later(matcher, rows, tile_rows, tile_columns, scratch, found)
        } else {
            let (first_row, first_column) = (tile_rows.start as u32, tile_columns.start as u32);
            let comparisons = (tile_rows.len() * tile_columns.len()) as u64;
            let (rows, columns) = (rows.tile(tile_rows), columns.tile(tile_columns));
            matcher.score_tile(rows, columns, scratch, |row, column, score| {
                found(first_row + row, first_column + column, score);
            });
            comparisons
        };
        Ok(Done { planned: comparisons, comparisons })
    })
}

fn load(linkage: &Linkage<'_>, chunk: &mut Chunk, dataset: usize, records: Range<u32>) -> Result<(), Error> {
    chunk.load(linkage.sources[dataset], records).map_err(|source| Error::Read { dataset, source })
}

/// The records of the i-th tile when `records` are cut into tiles of a length, the last one shorter.
fn tile(i: usize, length: usize, records: usize) -> Range<usize> {
    i * length..((i + 1) * length).min(records)
}

/// A range cut into pieces of a length, the last one shorter.
pub(super) fn pieces(range: Range<u32>, length: u32) -> impl Iterator<Item = Range<u32>> {
    let end = range.end;
    range.step_by(length as usize).map(move |start| start..start.saturating_add(length).min(end))
}
