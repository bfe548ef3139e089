//! Looks up what two rows have in common with many columns, a nibble at a time: for processors that look many bytes up in
//! a table of sixteen with one instruction, but cannot count the bits of words side by side.
//!
//! The usual table says how many bits a nibble has; here there is one for each two nibbles that a pair of rows can have
//! at some place, and the nibbles of the columns at that place are looked up in it as they are. An entry's low half says
//! how many bits the column's nibble has in common with that of the first row, its high half with that of the second:
//! the AND, the shift and the masks of the usual way are gone, and each look-up is worth two pairs.
//!
//! An entry's half holds the sum of three such counts. Then the high half is added to a sum of its own, and the whole
//! entry to another, which overflows: taking the high halves off it again leaves the sum of the low ones.
//!
//! As in [`super::avx512`], sums start at minus the columns' share of the cutoff. Here is all but the look-up itself,
//! which [`super::avx2`], [`super::avx512bw`] and [`super::neon`] do.

use super::found::Found;
use super::places::{LOW_HALVES, Place, RECORDS, WORD_PLACES, transpose, word_of_each};
use super::{Hit, Tile};
use crate::threshold::Cutoffs;

/// Columns that are compared together, for the tables of the rows to be loaded less often.
pub(super) const COLUMNS: usize = RECORDS;
/// The places of an encoding are filled up to a multiple of this, so that a loop has no rest.
const PLACES_AT_ONCE: usize = 3;
/// Places after which bytes could overflow, as each adds up to four.
const CHUNK_PLACES: usize = 60;
/// Pairs of rows that go over some columns while those are in the fastest cache.
const PAIRS_AT_ONCE: usize = 16;
/// Fewer rows or columns than that are not worth transposing; tests have few.
const FEWEST: (usize, usize) = if cfg!(test) { (3, 5) } else { (16, 56) };

/// A sum for each column. There are even ones (those in the even bytes of a [`Place`]), then odd ones.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(super) struct Sums(pub(super) [i16; COLUMNS]);

/// By a nibble, how many bits it has in common with that of the first row, and in the high half of the second.
#[repr(align(16))]
pub(super) struct Table(pub(super) [u8; 16]);

/// By the nibble of the first row, and in the high half that of the second.
pub(super) static TABLES: [Table; 256] = {
    let mut tables = [const { Table([0; 16]) }; 256];
    let mut i = 0;
    while i < 256 * 16 {
        let (rows, column) = (i / 16, i % 16);
        let (first, second) = (rows & 15 & column, (rows >> 4) & column);
        tables[rows].0[column] = (first.count_ones() | (second.count_ones() << 4)) as u8;
        i += 1;
    }
    tables
};

/// What one kind of register does.
pub(super) trait LookUp: Copy {
    /// Adds what a pair of rows has in common with the columns, at as many places as there are.
    fn add_common(self, pair: &[u8], columns: &[Place], sums: &mut [Sums; 2]);
}

/// A tile, by nibbles.
#[derive(Debug, Default)]
pub(super) struct Nibbles {
    /// By pair of rows, then by place: see [`TABLES`].
    pairs: Vec<u8>,
    /// What the sums of each row have to reach.
    row_shares: Vec<i16>,
    /// By block of columns, then by place. The last block is filled up with empty records.
    columns: Vec<Place>,
    /// By block of columns: where their sums start.
    starts: Vec<Sums>,
    /// Of the pairs of rows that are being compared.
    sums: Vec<[Sums; 2]>,
}

impl Nibbles {
    /// Inlined, to be compiled for the processor that the look-up is for.
    #[inline(always)]
    pub(super) fn score(&mut self, found: &mut Found<'_>, look_up: impl LookUp) {
        let (rows, columns) = (found.rows, found.columns);
        if columns.counts.is_empty() {
            return;
        }
        let places = (WORD_PLACES * rows.width).next_multiple_of(PLACES_AT_ONCE);
        self.fill_rows(rows, places, found.cutoffs);
        self.fill_columns(columns, places, found.cutoffs);
        for (block, pairs) in self.pairs.chunks(PAIRS_AT_ONCE * places).enumerate() {
            let first_row = block * 2 * PAIRS_AT_ONCE;
            let columns = self.columns.chunks_exact(places);
            for (block, (columns, starts)) in columns.zip(&self.starts).enumerate() {
                self.sums.clear();
                self.sums.resize(pairs.len() / places, [*starts; 2]);
                for first in (0..places).step_by(CHUNK_PLACES) {
                    let chunk = first..(first + CHUNK_PLACES).min(places);
                    for (pair, sums) in pairs.chunks_exact(places).zip(&mut self.sums) {
                        look_up.add_common(&pair[chunk.clone()], &columns[chunk.clone()], sums);
                    }
                }
                let shares = &self.row_shares[first_row..];
                for (row, (sums, &share)) in self.sums.as_flattened().iter().zip(shares).enumerate() {
                    if sums.0.iter().fold(i16::MIN, |most, &sum| most.max(sum)) >= share {
                        keep(found, first_row + row, block * COLUMNS, share, starts, sums);
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn fill_rows(&mut self, rows: Tile<'_>, places: usize, cutoffs: &Cutoffs) {
        self.pairs.clear();
        for pair in rows.words.chunks(2 * rows.width) {
            let (first, second) = pair.split_at(rows.width);
            for (i, first) in first.iter().enumerate() {
                let second = second.get(i).copied().unwrap_or(0);
                let low = (first & LOW_HALVES) | ((second & LOW_HALVES) << 4);
                let high = ((first >> 4) & LOW_HALVES) | (second & !LOW_HALVES);
                self.pairs.extend_from_slice([low.to_le_bytes(), high.to_le_bytes()].as_flattened());
            }
            self.pairs.resize(self.pairs.len().next_multiple_of(places), 0);
        }
        self.row_shares.clear();
        self.row_shares.extend(rows.counts.iter().map(|&count| cutoffs.share(count) as i16));
    }

    #[inline(always)]
    fn fill_columns(&mut self, columns: Tile<'_>, places: usize, cutoffs: &Cutoffs) {
        let width = columns.width;
        self.columns.clear();
        self.columns.resize(columns.counts.len().div_ceil(COLUMNS) * places, Place([0; RECORDS]));
        let blocks = columns.words.chunks(COLUMNS * width);
        for (places, records) in self.columns.chunks_exact_mut(places).zip(blocks) {
            for (word, places) in places.as_chunks_mut().0.iter_mut().take(width).enumerate() {
                transpose(&word_of_each(records, width, word), places);
            }
        }
        self.starts.clear();
        self.starts.extend(columns.counts.chunks(COLUMNS).map(|counts| {
            // what only fills up reaches nothing
            let mut starts = Sums([i16::MIN / 2; COLUMNS]);
            starts.0.iter_mut().zip(counts).for_each(|(start, &count)| *start = -cutoffs.share(count) as i16);
            starts
        }));
    }
}

/// Keeps those of a row's pairs that reach the threshold.
#[cold]
#[inline(never)]
fn keep(found: &mut Found<'_>, row: usize, first_column: usize, share: i16, starts: &Sums, sums: &Sums) {
    for (i, (&sum, &start)) in sums.0.iter().zip(&starts.0).enumerate() {
        if sum >= share {
            found.test(row, first_column + i, (sum - start) as u32);
        }
    }
}

/// Lets another kernel compare those columns that are too few to be worth transposing, and gives the others back.
pub(super) fn without_few<'a>(
    found: &mut Found<'a>,
    score_tile: impl FnOnce(Tile<'_>, Tile<'_>, &Cutoffs, &mut Vec<Hit>),
) -> Tile<'a> {
    let Tile { words, counts, width } = found.columns;
    let last = counts.len() % COLUMNS;
    let many = match found.rows.counts.len() >= FEWEST.0 {
        true if last < FEWEST.1 => counts.len() - last,
        true => counts.len(),
        false => 0,
    };
    let few = Tile { words: &words[many * width..], counts: &counts[many..], width };
    let hits = found.hits.len();
    score_tile(found.rows, few, found.cutoffs, found.hits);
    found.hits[hits..].iter_mut().for_each(|hit| hit.column += many as u32);
    Tile { words: &words[..many * width], counts: &counts[..many], width }
}
