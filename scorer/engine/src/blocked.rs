use std::ops::Range;

use super::Error;
use super::blocks::{Blocks, Unit, first_shared_is};
use super::chunk::Chunk;
use super::dense::pieces;
use super::executor::{Done, Executor};
use super::kernel;
use super::linkage::{Linkage, Matcher};
use super::threshold::score;
use super::triangle::score_later;
use crate::pairs::Pair;

/// Larger units are cut: enough for a task, few enough that their pairs take little memory if all match.
const PIECE_RECORDS: u32 = 512;
/// Small units are put together into tasks of about so much work; reading a record counts as some comparisons.
const TASK_WORK: u128 = 1 << 18;
const READ_WORK: u128 = 32;
/// So many tasks are planned at a time.
const TASKS: usize = 1 << 8;

/// Compares the records that share a block, within the linkage's shard.
pub(super) fn run_blocked(
    linkage: &Linkage<'_>,
    blocks: &Blocks,
    matcher: &Matcher,
    executor: &mut Executor<'_>,
) -> Result<(), Error> {
    let mut units = blocks.units(linkage.shard).flat_map(split).peekable();
    let mut tasks: Vec<Vec<Unit>> = Vec::new();
    while units.peek().is_some() {
        tasks.clear();
        tasks.extend(std::iter::from_fn(|| next_task(&mut units)).take(TASKS));
        executor.run(tasks.len(), |task, scratch: &mut Scratch, pairs| {
            let mut done = Done::default();
            for unit in &tasks[task] {
                done.planned += unit.comparisons() as u64;
                let comparing = Comparing { linkage, blocks, matcher, unit };
                done.comparisons += match unit.is_triangle() {
                    false => comparing.run(scratch, pairs)?,
                    true => comparing.run_within(scratch, pairs)?,
                };
            }
            Ok(done)
        })?;
    }
    Ok(())
}

/// Cuts a unit into pieces; one of records with themselves into pieces with themselves and with later ones.
fn split(unit: Unit) -> impl Iterator<Item = Unit> {
    pieces(unit.places0.clone(), PIECE_RECORDS).flat_map(move |places0| {
        let unit = unit.clone();
        let first = if unit.is_triangle() { places0.start } else { unit.places1.start };
        pieces(first..unit.places1.end, PIECE_RECORDS).map(move |places1| Unit {
            places0: places0.clone(),
            places1,
            ..unit
        })
    })
}

/// Units that make up one task; None when there are no more.
fn next_task(units: &mut impl Iterator<Item = Unit>) -> Option<Vec<Unit>> {
    let mut task = Vec::new();
    let mut work = 0;
    while work < TASK_WORK {
        let Some(unit) = units.next() else { break };
        work += unit.comparisons() + READ_WORK * (unit.places0.len() + unit.places1.len()) as u128;
        task.push(unit);
    }
    (!task.is_empty()).then_some(task)
}

/// What a thread reuses.
#[derive(Default)]
struct Scratch {
    rows: Chunk,
    columns: Chunk,
    kernel: kernel::Scratch,
}

/// One unit being compared.
struct Comparing<'a> {
    linkage: &'a Linkage<'a>,
    blocks: &'a Blocks,
    matcher: &'a Matcher,
    unit: &'a Unit,
}

impl Comparing<'_> {
    /// Compares the unit's records but for pairs that share an earlier block, which are compared there. Gives the
    /// number of comparisons back.
    ///
    /// A record whose first block this is cannot share an earlier one. The members are ordered by that, so that
    /// all but the pairs of two others go to the kernel unchecked.
    fn run(&self, scratch: &mut Scratch, pairs: &mut Vec<Pair>) -> Result<u64, Error> {
        let (rows, row_firsts) = self.members(self.unit.dataset0, &self.unit.places0);
        let (columns, column_firsts) = self.members(self.unit.dataset1, &self.unit.places1);
        self.gather(self.unit.dataset0, rows, &mut scratch.rows)?;
        self.gather(self.unit.dataset1, columns, &mut scratch.columns)?;

        let mut comparisons = self.score(0..row_firsts, 0..columns.len(), scratch, pairs);
        comparisons += self.score(row_firsts..rows.len(), 0..column_firsts, scratch, pairs);
        for (row, &record0) in rows.iter().enumerate().skip(row_firsts) {
            let blocks = self.blocks.dataset(self.unit.dataset0).blocks(record0);
            for (column, &record1) in columns.iter().enumerate().skip(column_firsts) {
                let others = self.blocks.dataset(self.unit.dataset1).blocks(record1);
                if first_shared_is(self.unit.block, blocks, others) {
                    comparisons += self.score(row..row + 1, column..column + 1, scratch, pairs);
                }
            }
        }
        Ok(comparisons)
    }

    /// The same of records that are compared with themselves: each with those at later places.
    fn run_within(&self, scratch: &mut Scratch, pairs: &mut Vec<Pair>) -> Result<u64, Error> {
        let (records, firsts) = self.members(self.unit.dataset0, &self.unit.places0);
        self.gather(self.unit.dataset0, records, &mut scratch.rows)?;
        let Scratch { rows: chunk, kernel, .. } = scratch;
        let mut score = |rows: Range<usize>, columns: Range<usize>| {
            let comparisons = score_later(self.matcher, chunk, &rows, &columns, kernel);
            self.keep((chunk, rows.start), (chunk, columns.start), kernel, pairs);
            comparisons
        };
        let mut comparisons = score(0..firsts, 0..records.len());
        for (row, &record) in records.iter().enumerate().skip(firsts) {
            let blocks = self.blocks.dataset(self.unit.dataset0).blocks(record);
            for (column, &later) in records.iter().enumerate().skip(row + 1) {
                let others = self.blocks.dataset(self.unit.dataset0).blocks(later);
                if first_shared_is(self.unit.block, blocks, others) {
                    comparisons += score(row..row + 1, column..column + 1);
                }
            }
        }
        Ok(comparisons)
    }

    /// The records at some places of the block, and how many of them have no earlier block.
    fn members(&self, dataset: usize, places: &Range<u32>) -> (&[u32], usize) {
        let dataset = self.blocks.dataset(dataset);
        let members = &dataset.members(self.unit.block)[places.start as usize..places.end as usize];
        let firsts = dataset.firsts(self.unit.block).clamp(places.start, places.end) - places.start;
        (members, firsts as usize)
    }

    fn gather(&self, dataset: usize, records: &[u32], chunk: &mut Chunk) -> Result<(), Error> {
        let source = self.linkage.sources[dataset];
        chunk.gather(source, records).map_err(|source| Error::Read { dataset, source })
    }

    /// Compares every one of some rows with every one of some columns; gives the number of comparisons back.
    fn score(
        &self,
        rows: Range<usize>,
        columns: Range<usize>,
        scratch: &mut Scratch,
        pairs: &mut Vec<Pair>,
    ) -> u64 {
        let Scratch { rows: row_chunk, columns: column_chunk, kernel } = scratch;
        self.matcher.score_tile(row_chunk.tile(rows.clone()), column_chunk.tile(columns.clone()), kernel);
        self.keep((row_chunk, rows.start), (column_chunk, columns.start), kernel, pairs);
        (rows.len() * columns.len()) as u64
    }

    /// Takes over the pairs of the hits among some rows and columns, each with the place of its first one.
    fn keep(
        &self,
        (row_chunk, first_row): (&Chunk, usize),
        (column_chunk, first_column): (&Chunk, usize),
        found: &kernel::Scratch,
        pairs: &mut Vec<Pair>,
    ) {
        let (row_records, _) = self.members(self.unit.dataset0, &self.unit.places0);
        let (column_records, _) = self.members(self.unit.dataset1, &self.unit.places1);
        pairs.extend(found.hits.iter().map(|hit| {
            let (row, column) = (first_row + hit.row as usize, first_column + hit.column as usize);
            let sum = row_chunk.count(row as u32) + column_chunk.count(column as u32);
            let first = (self.unit.dataset0, row_records[row]);
            let second = (self.unit.dataset1, column_records[column]);
            Pair::of(first, second, score(hit.intersection, sum))
        }));
    }
}
