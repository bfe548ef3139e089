use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::blocks::{Blocks, Membership, SharedBefore, Unit, first_shared_is};
use super::chunk::Chunk;
use super::executor::{Done, Executor};
use super::kernel::{self, FEW, Records};
use super::linkage::{Linkage, Matcher};
use super::{EncodingSource, Encodings, Error};
use crate::pairs::Pair;

/// Larger units are cut: enough for a task, few enough that their pairs take little memory if all match.
const PIECE_RECORDS: u32 = if cfg!(test) { 50 } else { 512 };
/// The same where records are compared with themselves, each pair twice: so many that little is compared twice.
const TRIANGLE_RECORDS: u32 = if cfg!(test) { 20 } else { 64 };
/// Small units are put together into tasks of about so much work; reading a record counts as some comparisons.
const TASK_WORK: u128 = if cfg!(test) { 1 << 10 } else { 1 << 18 };
const READ_WORK: u128 = 32;
/// So many tasks are run at a time.
const TASKS: usize = 1 << 10;
/// So many units are fetched from memory at a time, before as many are compared.
const GROUP: usize = 4;
/// Units of more records than that are not fetched ahead: the fastest cache would not hold them.
const FETCHED_RECORDS: usize = 16 * GROUP;
/// Reading a data set whole takes about as long as reading one out of so many records where it is.
const WHOLE_FOR: u64 = 16;

/// Compares the records that share a block, within the linkage's shard.
pub(super) fn run_blocked(
    linkage: &Linkage<'_>,
    blocks: &Blocks,
    matcher: &Matcher,
    executor: &mut Executor<'_>,
) -> Result<(), Error> {
    let loaded = load_what_fits(linkage)?;
    let mut sources = linkage.sources.to_vec();
    for (source, loaded) in sources.iter_mut().zip(&loaded) {
        if let Some(loaded) = loaded {
            *source = loaded;
        }
    }
    let width = linkage.encoding_bytes() / 8;
    // what is not whole is read instead, and that tells what is wrong
    let is_whole = |dataset: usize, words: &[u64]| words.len() >= linkage.records[dataset] as usize * width;
    let words = sources.iter().enumerate();
    let words =
        words.map(|(dataset, source)| source.words().filter(|words| is_whole(dataset, words))).collect();
    let comparing = Comparing { blocks, matcher, sources: &sources, words, width };
    // Tasks are not planned before, but taken when a worker is free: there may be millions of them.
    let pieces = Mutex::new(Pieces { units: blocks.units(linkage.shard), rests: Vec::new() });
    let all_done = AtomicBool::new(false);
    while !all_done.load(Ordering::Relaxed) {
        executor.run(TASKS, |_, scratch: &mut Scratch, pairs| {
            let mut units = std::mem::take(&mut scratch.units);
            pieces.lock().unwrap_or_else(PoisonError::into_inner).take_task(&mut units);
            if units.is_empty() {
                all_done.store(true, Ordering::Relaxed);
            }
            let done = comparing.run(&units, scratch, pairs);
            scratch.units = units;
            done
        })?;
    }
    Ok(())
}

/// The data sets that are not in memory, but fit there; unless few of their records are needed, as in one shard of many.
fn load_what_fits(linkage: &Linkage<'_>) -> Result<Vec<Option<Encodings<'static>>>, Error> {
    // as many records at most of either side are needed as there are comparisons
    let needed = linkage.comparisons()?;
    let mut left = linkage.memory;
    let load = |(dataset, source): (usize, &&dyn EncodingSource)| {
        let bytes = source.records() as usize * source.encoding_bytes();
        let few = needed < u64::from(source.records()) / WHOLE_FOR;
        if source.words().is_some() || bytes > left || few {
            return Ok(None);
        }
        left -= bytes;
        Encodings::load(*source).map(Some).map_err(|source| Error::Read { dataset, source })
    };
    linkage.sources.iter().enumerate().map(load).collect()
}

/// Units, cut into pieces.
struct Pieces<U> {
    units: U,
    /// What is left of a unit that is being cut.
    rests: Vec<Unit>,
}

impl<U: Iterator<Item = Unit>> Pieces<U> {
    /// Fills in the units that make up one task; none when there are no more.
    fn take_task(&mut self, task: &mut Vec<Unit>) {
        task.clear();
        let mut work = 0;
        while work < TASK_WORK {
            let Some(unit) = self.next() else { break };
            work += unit.comparisons() + READ_WORK * (unit.places0.len() + unit.places1.len()) as u128;
            task.push(unit);
        }
    }
}

impl<U: Iterator<Item = Unit>> Iterator for Pieces<U> {
    type Item = Unit;

    fn next(&mut self) -> Option<Unit> {
        let mut unit = self.rests.pop().or_else(|| self.units.next())?;
        if unit.is_triangle() {
            let Range { start, end } = unit.places0;
            if end - start > TRIANGLE_RECORDS {
                let middle = start + TRIANGLE_RECORDS;
                self.rests.push(Unit { places0: middle..end, places1: middle..end, ..unit });
                self.rests.push(Unit { places0: start..middle, places1: middle..end, ..unit });
                (unit.places0, unit.places1) = (start..middle, start..middle);
            }
            return Some(unit);
        }
        if unit.places0.len() > PIECE_RECORDS as usize {
            let middle = unit.places0.start + PIECE_RECORDS;
            self.rests.push(Unit { places0: middle..unit.places0.end, ..unit.clone() });
            unit.places0.end = middle;
        }
        if unit.places1.len() > PIECE_RECORDS as usize {
            let middle = unit.places1.start + PIECE_RECORDS;
            self.rests.push(Unit { places1: middle..unit.places1.end, ..unit.clone() });
            unit.places1.end = middle;
        }
        Some(unit)
    }
}

/// What a thread reuses.
#[derive(Default)]
struct Scratch {
    units: Vec<Unit>,
    rows: Chunk,
    columns: Chunk,
    kernel: kernel::Scratch,
    shared_before: SharedBefore,
}

/// What is the same for all units.
struct Comparing<'a> {
    blocks: &'a Blocks,
    matcher: &'a Matcher,
    sources: &'a [&'a dyn EncodingSource],
    /// For each data set its encodings, if they are in memory.
    words: Vec<Option<&'a [u64]>>,
    /// Words of one encoding.
    width: usize,
}

/// One side of a unit: some of a block's records of one data set.
#[derive(Clone, Copy)]
struct Side<'a> {
    dataset: usize,
    membership: &'a Membership,
    records: &'a [u32],
    /// How many of them have no earlier block; they are the first.
    firsts: usize,
}

impl Comparing<'_> {
    /// Compares units.
    fn run(&self, units: &[Unit], scratch: &mut Scratch, pairs: &mut Vec<Pair>) -> Result<Done, Error> {
        let mut done = Done::default();
        let mut groups = units.chunks(GROUP);
        let mut next = groups.next().inspect(|group| self.fetch(group));
        while let Some(group) = next {
            next = groups.next().inspect(|group| self.fetch(group));
            for unit in group {
                done.planned += unit.comparisons() as u64;
                done.comparisons += self.compare(unit, scratch, pairs)?;
            }
        }
        Ok(done)
    }

    /// Compares the unit's records but for pairs that share an earlier block, which are compared there. Gives the
    /// number of comparisons back.
    ///
    /// A record whose first block this is cannot share an earlier one. Where records are compared with themselves, each
    /// pair is found twice, and kept once.
    fn compare(&self, unit: &Unit, scratch: &mut Scratch, pairs: &mut Vec<Pair>) -> Result<u64, Error> {
        let rows = self.side(unit.block, unit.dataset0, &unit.places0);
        let columns = self.side(unit.block, unit.dataset1, &unit.places1);
        let others = [rows, columns].map(|side| (side.membership, &side.records[side.firsts..]));
        let all_here = others.iter().any(|(_, records)| records.is_empty());
        let mut keep = |record0: u32, record1: u32, score| {
            if unit.is_triangle() && record0 >= record1 {
                return;
            }
            let first_shared_is = |block| {
                first_shared_is(block, rows.membership.blocks(record0), columns.membership.blocks(record1))
            };
            if all_here || first_shared_is(unit.block) {
                pairs.push(Pair::of((rows.dataset, record0), (columns.dataset, record1), score));
            }
        };
        match (self.in_memory(rows), self.in_memory(columns)) {
            (Some(few), Some(others)) if rows.records.len().min(columns.records.len()) <= FEW => {
                self.matcher.score_few(few, others, keep);
            }
            _ => {
                self.gather(rows, &mut scratch.rows)?;
                self.gather(columns, &mut scratch.columns)?;
                self.matcher.score_tile(
                    scratch.rows.tile(0..rows.records.len()),
                    scratch.columns.tile(0..columns.records.len()),
                    &mut scratch.kernel,
                    |row, column, score| {
                        keep(rows.records[row as usize], columns.records[column as usize], score)
                    },
                );
            }
        }
        let mut elsewhere = if all_here { 0 } else { scratch.shared_before.count(unit.block, others) };
        if unit.is_triangle() {
            // each pair has been counted twice, and each record with itself
            elsewhere = (elsewhere - if all_here { 0 } else { others[0].1.len() as u64 }) / 2;
        }
        Ok(unit.comparisons() as u64 - elsewhere)
    }

    #[inline]
    fn side(&self, block: u32, dataset: usize, places: &Range<u32>) -> Side<'_> {
        let membership = self.blocks.dataset(dataset);
        let records = &membership.members(block)[places.start as usize..places.end as usize];
        let firsts = membership.firsts(block).clamp(places.start, places.end) - places.start;
        Side { dataset, membership, records, firsts: firsts as usize }
    }

    /// The records where they are, if that is in memory.
    fn in_memory<'a>(&'a self, side: Side<'a>) -> Option<Records<'a>> {
        self.words[side.dataset].map(|words| Records { words, width: self.width, records: side.records })
    }

    /// Lets the processor fetch the records of a group of units. They are those of blocks next to one another, and
    /// there is no need to look at each.
    fn fetch(&self, units: &[Unit]) {
        let (Some(first), Some(last)) = (units.first(), units.last()) else { return };
        for (dataset, &words) in self.words.iter().enumerate() {
            let membership = self.blocks.dataset(dataset);
            let blocks = first.block..last.block + 1;
            let records = membership.members_of(blocks.clone());
            if records.len() > FETCHED_RECORDS {
                continue;
            }
            if let Some(words) = words {
                Records { words, width: self.width, records }.fetch();
            }
            membership.fetch_blocks_of_others(blocks);
        }
    }

    fn gather(&self, side: Side<'_>, chunk: &mut Chunk) -> Result<(), Error> {
        let source = self.sources[side.dataset];
        chunk.gather(source, side.records).map_err(|source| Error::Read { dataset: side.dataset, source })
    }
}
